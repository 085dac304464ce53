// SPDX-License-Identifier: GPL-2.0-only
/*
 * nurseryctl run: each operation becomes a child of one nursery.
 *
 * All operations are checked before the first one starts. Then every child
 * gives one record, whether it worked, failed, or was cancelled because a
 * sibling failed, the deadline passed or a signal came; the program waits for
 * all of them. A child that the nursery does not take any more counts as
 * cancelled, as one that it took but never started does.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include "nurseryctl.h"

static const char help[] =
"Usage: nurseryctl run [OPTION]... OP[:ARG,ARG...]...\n"
"Run operations at the same time, in one nursery. When one fails the others are\n"
"cancelled; the command ends when all of them have finished.\n"
"\n"
"Options:\n"
"  -d, --deadline TIME  cancel what has not finished after TIME\n"
"  -i, --input FILE     put FILE into the buffer that operations work on\n"
"  -b, --buffer SIZE    make that buffer at least SIZE bytes\n"
"      --json           print one JSON object when all is done\n"
"  -q, --quiet          print errors only\n"
"  -h, --help           print this help\n"
"      --version        print the version\n"
"\n"
"An ARG is a number (16 or 0x10), a size (4K, 1M, 1G), a time (ns, us, ms, s or\n"
"m; a bare number is ns) or the name of an error (EIO). Drivers bring operations\n"
"of their own; nurseryctl list --ops shows them.\n"
"\n"
"Examples:\n"
"  nurseryctl run sleep:1s sleep:2s\n"
"  nurseryctl run --deadline 500ms sleep:1m\n"
"  nurseryctl run --input FILE checksum:0,4K checksum:4K,4K\n"
"  nurseryctl run sleep:1m fail:EIO\n"
"\n"
"Exit codes:\n"
"  0      all operations worked\n"
"  1      one failed or was cancelled\n"
"  2      nothing was started: an argument is wrong, or the module is missing\n"
"  128+N  cancelled by signal N\n";

struct child {
	const char *text;
	struct nursery_spawn spawn;
	struct nursery_record record;
	__u64 started;
};

struct run {
	int dev;
	struct child *children;
	size_t nr;
	size_t outstanding;
	size_t ok, failed, cancelled;
	struct child *first_error;
	int signal;
	bool timed;		/* has a deadline */
	int width;		/* of the first column */
};

static const char *state_of(int result)
{
	return !result ? "ok" : result == -ECANCELED ? "cancelled" : "failed";
}

static __u64 taken(const struct child *c)
{
	return c->record.when > c->started ? c->record.when - c->started : 0;
}

/* Some child has its record: count it and print its line. */
static void child_finished(struct run *r, struct child *c)
{
	int result = c->record.result;
	char time[32];

	if (!result) {
		r->ok++;
	} else if (result == -ECANCELED) {
		r->cancelled++;
	} else {
		r->failed++;
		if (!r->first_error)
			r->first_error = c;
	}
	if (opt_quiet || opt_json)
		return;

	printf("%-*s  %-9s  %9s", r->width, c->text, state_of(result),
	       format_duration(taken(c), time, sizeof(time)));
	if (result && result != -ECANCELED)
		printf("  %s", strerror(-result));
	if (c->record.value)
		printf("  value %llu (0x%llx)", c->record.value,
		       c->record.value);
	putchar('\n');
	fflush(stdout);
}

static void unknown_operation(const char *name, struct nursery_op_entry *ops, __u32 nr)
{
	char *known = must(calloc(nr + 1, NURSERY_NAME_LEN + 2)), *end = known;
	__u32 i, k;

	for (i = 0; i < nr; i++) {
		for (k = 0; k < i && strcmp(ops[k].name, ops[i].name); k++)
			;
		if (k == i)	/* the first of that name */
			end += sprintf(end, "%s%s", i ? ", " : "", ops[i].name);
	}
	die(EXIT_USAGE, "%s: no such operation; there are: %s", name, nr ? known : "none");
}

/* Does the kernel know every operation, with that many arguments? */
static void check_operations(struct run *r)
{
	struct nursery_op_entry *ops;
	struct child *c;
	__u32 nr, i;

	ops = device_ops(r->dev, &nr);
	for (c = r->children; c < r->children + r->nr; c++) {
		for (i = 0; i < nr && strcmp(c->spawn.op, ops[i].name); i++)
			;
		if (i == nr)
			unknown_operation(c->spawn.op, ops, nr);
		if (c->spawn.nr_args != ops[i].nr_args)
			die(EXIT_USAGE, "%s: wrong number of arguments; the usage is %s%s%s",
			    c->text, ops[i].name, ops[i].nr_args ? ":" : "", ops[i].usage);
	}
	free(ops);
}

/* Make a buffer of at least size bytes and fill it from file, if there is one. */
static void load_buffer(struct run *r, const char *file, __u64 size, __u64 max)
{
	size_t room = 0, len = 0;
	char *data = NULL, *map;
	ssize_t got = 0;
	int fd = -1;

	if (file) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die(EXIT_USAGE, "%s: cannot be opened: %s; name a file that can be read",
			    file, strerror(errno));
	}
	while (fd >= 0) {
		if (len == room) {
			room = room ? 2 * room : 1 << 16;
			data = must(realloc(data, room));
		}
		got = read(fd, data + len, room - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			die(EXIT_USAGE, "%s: cannot be read: %s; name a file that can", file,
			    strerror(errno));
		if (!got)
			break;
		len += got;
		if (len > max)
			die(EXIT_USAGE, "%s: too large; the buffer can be at most %llu bytes",
			    file, max);
	}
	if (fd >= 0)
		close(fd);

	if (size < len)
		size = len;
	map = device_buffer(r->dev, size ? size : 1);
	if (len)
		memcpy(map, data, len);
	free(data);	/* the mapping is the program's to the end */
}

static void spawn_all(struct run *r)
{
	struct child *c;
	int err;

	for (c = r->children; c < r->children + r->nr; c++) {
		c->started = now_ns();
		c->spawn.cookie = c - r->children;
		err = device_spawn(r->dev, &c->spawn);
		if (!err) {
			r->outstanding++;
			continue;
		}
		if (err != -ECANCELED)
			device_cancel(r->dev, 0, err);
		c->record.result = err;
		c->record.when = now_ns();
		child_finished(r, c);
	}
}

static void read_records(struct run *r)
{
	struct nursery_record records[16];
	struct child *c;
	int nr, i;

	nr = device_read(r->dev, records, ARRAY_SIZE(records));
	if (nr < 0)
		die(EXIT_WORK, "%s: children cannot be waited for: %s; see dmesg", DEVICE,
		    strerror(-nr));
	for (i = 0; i < nr; i++) {
		c = &r->children[records[i].cookie];
		c->record = records[i];
		r->outstanding--;
		child_finished(r, c);
	}
}

static void wait_all(struct run *r, int signals)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = r->dev, .events = POLLIN },
	};

	while (r->outstanding) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[0].revents && !r->signal) {
			r->signal = signals_take(signals);
			if (r->signal)
				device_cancel(r->dev, 0, -EINTR);
		}
		if (fds[1].revents)
			read_records(r);
	}
}

static void print_result_json(struct run *r)
{
	struct json_object *all = json_object_new_object(), *list = json_object_new_array();
	struct json_object *object;
	struct child *c;
	int result;

	for (c = r->children; c < r->children + r->nr; c++) {
		result = c->record.result;
		object = json_object_new_object();
		json_object_object_add(object, "operation", json_object_new_string(c->text));
		json_object_object_add(object, "id", json_object_new_uint64(c->spawn.id));
		json_object_object_add(object, "state",
				       json_object_new_string(state_of(result)));
		json_object_object_add(object, "error", !result ? NULL :
				       json_object_new_string(errno_name(result)));
		json_object_object_add(object, "value", json_object_new_uint64(c->record.value));
		json_object_object_add(object, "seconds",
				       json_object_new_double(taken(c) / 1e9));
		json_object_array_add(list, object);
	}
	json_object_object_add(all, "children", list);
	json_object_object_add(all, "ok", json_object_new_int64(r->ok));
	json_object_object_add(all, "failed", json_object_new_int64(r->failed));
	json_object_object_add(all, "cancelled", json_object_new_int64(r->cancelled));
	print_json(all);
}

/* Say what went wrong, if anything did. Returns the exit code. */
static int conclude(struct run *r)
{
	struct child *c = r->first_error;
	char others[48] = "";
	int cause;

	if (r->signal) {
		complain("cancelled by SIG%s: %zu of %zu operations had worked, none is left",
			 sigabbrev_np(r->signal), r->ok, r->nr);
		return 128 + r->signal;
	}
	if (c) {
		if (r->cancelled)
			snprintf(others, sizeof(others), "; %zu other%s cancelled", r->cancelled,
				 r->cancelled == 1 ? " was" : "s were");
		complain("%s: failed: %s (%s)%s%s", c->text, strerror(-c->record.result),
			 errno_name(c->record.result),
			 c->record.result == -EFAULT ? ": outside of the --buffer" : "", others);
		return EXIT_WORK;
	}
	if (!r->cancelled)
		return EXIT_SUCCESS;

	cause = device_cause(r->dev);
	if (cause == -ETIMEDOUT && r->timed)
		complain("the deadline passed: %zu of %zu were cancelled; allow more time",
			 r->cancelled, r->nr);
	else
		complain("%zu of %zu operations were cancelled from outside%s%s", r->cancelled,
			 r->nr, cause ? ": " : "", cause ? strerror(-cause) : "");
	return EXIT_WORK;
}

static int run_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "deadline", required_argument, NULL, 'd' },
		{ "input",    required_argument, NULL, 'i' },
		{ "buffer",   required_argument, NULL, 'b' },
		{ 0 }
	};
	__u64 deadline = 0, size = 0;
	const char *input = NULL;
	struct nursery_info info;
	bool timed = false;
	struct run r = { 0 };
	int c, signals, err, code;
	size_t i;

	while ((c = next_option(argc, argv, options)) != -1) {
		if (c == 'd' && parse_duration(optarg, &deadline))
			die(EXIT_USAGE, "--deadline %s: not a time; give it like 500ms, 5s or 1m",
			    optarg);
		if (c == 'b' && parse_size(optarg, &size))
			die(EXIT_USAGE, "--buffer %s: not a size; give it like 4096, 64K or 1M",
			    optarg);
		if (c == 'd')
			timed = true;
		if (c == 'i')
			input = optarg;
	}
	if (optind == argc)
		die(EXIT_USAGE, "no operation given; nurseryctl list --ops shows them");

	r.nr = argc - optind;
	r.children = must(calloc(r.nr, sizeof(*r.children)));
	for (i = 0; i < r.nr; i++) {
		r.children[i].text = argv[optind + i];
		parse_operation(argv[optind + i], &r.children[i].spawn);
		if (r.width < (int)strlen(argv[optind + i]))
			r.width = strlen(argv[optind + i]);
	}

	r.dev = device_open(&info);
	check_operations(&r);
	if (input || size)
		load_buffer(&r, input, size, info.buffer_max);
	signals = signals_catch();
	r.timed = timed;
	if (timed && __builtin_add_overflow(deadline, now_ns(), &deadline))
		timed = false;	/* centuries away */
	err = timed ? device_deadline(r.dev, deadline) : 0;
	if (err)
		die(EXIT_USAGE, "--deadline: %s", strerror(-err));

	spawn_all(&r);
	wait_all(&r, signals);
	if (opt_json)
		print_result_json(&r);
	code = conclude(&r);
	close(r.dev);
	close(signals);
	free(r.children);
	return code;
}

const struct command cmd_run = {
	"run", "run operations together, in one nursery", help, run_main,
};
