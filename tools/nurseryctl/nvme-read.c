// SPDX-License-Identifier: GPL-2.0-only
/*
 * nurseryctl nvme-read: what is on a disk, to standard output.
 *
 * The scoped buffer is a ring of slots, each with room for a chunk of the disk. Chunks
 * are read in any order, several at a time, and written in theirs: a slot whose chunk has
 * been written is used for the one that comes next. The device wants whole blocks, and
 * gets whole pages; what nobody asked for is not written. On an error or a signal the
 * nursery is cancelled, and the program waits for the children that it has started.
 *
 * Standard output has nothing but the data; everything that is said goes to stderr.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "nurseryctl.h"

#define READ_OP		"nvme-read-"
#define SIZE_OP		"nvme-size-"
#define ALIGNMENT	4096		/* no disk has larger blocks that pages can be made of */
#define CHUNK		(1024 * 1024)
#define DEPTH		8		/* chunks at a time */

static const char help[] =
"Usage: nurseryctl nvme-read [OPTION]... [DEVICE] >OUT\n"
"Write what is on the disk of an NVMe controller to standard output.\n"
"\n"
"DEVICE is the controller's PCI address, such as 0000:00:10.0 (or 0000-00-10.0).\n"
"It must be bound to nursery_nvme; if just one is, DEVICE may be left out.\n"
"\n"
"Options:\n"
"      --offset SIZE  begin there (default 0)\n"
"      --length SIZE  write so much (default: to the end of the disk)\n"
"      --json         at the end, print one JSON object on standard error\n"
"  -q, --quiet        print errors only, no progress\n"
"  -h, --help         print this help\n"
"      --version      print the version\n"
"\n"
"A SIZE is a number of bytes, also as in 64K, 1M or 1G.\n"
"\n"
"Examples:\n"
"  nurseryctl nvme-read 0000:00:10.0 >disk.img\n"
"  nurseryctl nvme-read --offset 1M --length 4K | od -Ax -tx1\n"
"\n"
"Exit codes:\n"
"  0      all of it was written\n"
"  1      a read, or a write to standard output, failed\n"
"  2      nothing was started: no such device, or the arguments are wrong\n"
"  128+N  cancelled by signal N (130: Ctrl-C)\n";

struct slot {
	__u64 start;		/* on the disk */
	__u32 len;
	bool done;
};

struct reading {
	int dev, out, signals;
	struct nursery_spawn spawn;	/* with the name of the operation */
	struct progress progress;
	char *map;
	struct slot slots[DEPTH];

	__u64 from, to;		/* what was asked for, on the disk */
	__u64 end;		/* what is read for it ends there */
	__u64 next;		/* where the next chunk begins */
	__u64 bytes;		/* written */
	unsigned int first, nr;	/* slots that are in use */
	unsigned int outstanding;

	bool stopped;		/* the rest is only waited for */
	int signal;
	char *error;
};

static void stop(struct reading *r)
{
	if (r->stopped)
		return;
	r->stopped = true;
	device_cancel(r->dev, 0, -EINTR);
}

/* Only the first error counts, and none after a signal. */
static __printf(2, 3) void fail(struct reading *r, const char *format, ...)
{
	va_list args;

	if (!r->error && !r->signal) {
		va_start(args, format);
		if (vasprintf(&r->error, format, args) < 0)
			must(NULL);
		va_end(args);
	}
	stop(r);
}

static void chunk_failed(struct reading *r, const struct slot *slot, int err)
{
	if (err == -ECANCELED)	/* a sibling failed, or somebody wanted it */
		stop(r);
	else if (err == -ENODEV || err == -ENOENT)
		fail(r,
		     "the controller went away (%s) after %llu bytes; nurseryctl list --ops shows what is left",
		     strerror(-err), r->bytes);
	else
		fail(r, "reading at byte %llu failed: %s; see dmesg for what the device did",
		     slot->start, strerror(-err));
}

/* Have the next chunk read. */
static void spawn_chunk(struct reading *r)
{
	unsigned int index = (r->first + r->nr) % DEPTH;
	struct slot *slot = &r->slots[index];
	int err;

	slot->start = r->next;
	slot->len = r->end - r->next < CHUNK ? r->end - r->next : CHUNK;
	slot->done = false;
	r->spawn.nr_args = 3;
	r->spawn.args[0] = (__u64)index * CHUNK;
	r->spawn.args[1] = slot->start;
	r->spawn.args[2] = slot->len;
	r->spawn.cookie = index;
	err = device_spawn(r->dev, &r->spawn);
	if (err) {
		chunk_failed(r, slot, err);
		return;
	}
	r->next += slot->len;
	r->nr++;
	r->outstanding++;
}

static void read_records(struct reading *r)
{
	struct nursery_record records[DEPTH];
	int nr, i;

	nr = device_read(r->dev, records, ARRAY_SIZE(records));
	for (i = 0; i < nr; i++) {
		struct slot *slot = &r->slots[records[i].cookie];

		r->outstanding--;
		slot->done = !records[i].result;
		if (records[i].result)
			chunk_failed(r, slot, records[i].result);
	}
	if (nr < 0) {
		fail(r, "%s: children cannot be waited for: %s; see dmesg", DEVICE,
		     strerror(-nr));
		r->outstanding = 0;
	}
}

/* Write of the first slot as much as the output takes at once. */
static void write_output(struct reading *r)
{
	__u64 at = r->from + r->bytes, len;
	struct slot *slot = &r->slots[r->first];
	ssize_t done;

	len = slot->start + slot->len;
	len = (len < r->to ? len : r->to) - at;
	done = write(r->out, r->map + (__u64)r->first * CHUNK + (at - slot->start), len);
	if (done < 0) {
		if (errno != EINTR && errno != EAGAIN)
			fail(r, "standard output: %s after %llu bytes", strerror(errno), r->bytes);
		return;
	}
	r->bytes += done;
	if ((__u64)done == len) {
		r->first = (r->first + 1) % DEPTH;
		r->nr--;
	}
}

static void read_disk(struct reading *r)
{
	struct pollfd fds[] = {
		{ .fd = r->signals, .events = POLLIN },
		{ .events = POLLIN },
		{ .events = POLLOUT },
	};

	for (;;) {
		while (!r->stopped && r->nr < DEPTH && r->next < r->end)
			spawn_chunk(r);
		if (!r->outstanding && (r->stopped || !r->nr))
			break;
		fds[1].fd = r->outstanding ? r->dev : -1;
		fds[2].fd = !r->stopped && r->nr && r->slots[r->first].done ? r->out : -1;
		if (poll(fds, ARRAY_SIZE(fds), r->progress.terminal ? 100 : -1) < 0)
			continue;
		if (fds[0].revents && !r->stopped) {
			r->signal = signals_take(r->signals);
			if (r->signal)
				stop(r);
		}
		if (fds[1].revents)
			read_records(r);
		if (fds[2].revents && !r->stopped)
			write_output(r);
		progress_show(&r->progress, r->bytes);
	}
	progress_end(&r->progress);
}

/* Who provides the operations for a device: the end of their names. NULL: nobody. */
static char *find_device(int dev, const char *device)
{
	struct nursery_op_entry *ops;
	char *found = NULL, *name;
	__u32 nr, i;

	ops = device_ops(dev, &nr);
	for (i = 0; i < nr; i++) {
		if (strncmp(ops[i].name, READ_OP, strlen(READ_OP)))
			continue;
		name = ops[i].name + strlen(READ_OP);
		if (device && strcmp(device, name))
			continue;
		if (found)
			die(EXIT_USAGE,
			    "there are several controllers; name one, nurseryctl list --ops shows them");
		found = must(strdup(name));
	}
	free(ops);
	return found;
}

/* Ask the driver how large the disk is. */
static __u64 disk_size(struct reading *r, const char *name)
{
	struct pollfd fd = { .fd = r->dev, .events = POLLIN };
	struct nursery_record record;
	int err;

	snprintf(r->spawn.op, sizeof(r->spawn.op), SIZE_OP "%s", name);
	err = device_spawn(r->dev, &r->spawn);
	if (!err) {
		while (!(err = device_read(r->dev, &record, 1)))
			poll(&fd, 1, -1);
		err = err < 0 ? err : record.result;
	}
	if (err)
		die(EXIT_USAGE, "the size of the disk: %s; see dmesg", strerror(-err));
	return record.value;
}

static void open_device(struct reading *r, char *device, __u64 length)
{
	struct nursery_info info;
	char *name, *c;
	__u64 size;

	r->dev = device_open(&info);
	/* The names of operations have no colons: those are for their arguments. */
	for (c = device; c && *c; c++)
		if (*c == ':')
			*c = '-';
	name = find_device(r->dev, device);
	if (!name)
		die(EXIT_USAGE,
		    "no such NVMe controller is bound to nursery_nvme: give its PCI address, and see driver_override in nurseryctl(1)");
	size = disk_size(r, name);
	snprintf(r->spawn.op, sizeof(r->spawn.op), READ_OP "%s", name);
	free(name);

	if (r->from > size)
		die(EXIT_USAGE, "--offset %llu: the disk has %llu bytes", r->from, size);
	if (length > size - r->from)
		die(EXIT_USAGE, "--length %llu: after the offset the disk has %llu bytes",
		    length, size - r->from);
	r->to = length ? r->from + length : size;
	r->next = r->from / ALIGNMENT * ALIGNMENT;
	r->end = (r->to + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (r->end > size)
		r->end = size;
	r->map = device_buffer(r->dev, DEPTH * CHUNK);
}

/*
 * A pipe of our own, which does not block: a signal is to be heard while who reads it
 * sleeps. It is others' too, so it cannot be made so itself.
 */
static void open_output(struct reading *r)
{
	struct stat st;

	r->out = -1;
	if (fstat(STDOUT_FILENO, &st))
		die(EXIT_USAGE, "standard output: %s", strerror(errno));
	if (isatty(STDOUT_FILENO))
		die(EXIT_USAGE,
		    "standard output is a terminal; write to a file or to another program");
	if (S_ISFIFO(st.st_mode))
		r->out = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (r->out < 0)
		r->out = STDOUT_FILENO;
}

static void print_result_json(struct reading *r, double seconds)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "bytes", json_object_new_uint64(r->bytes));
	json_object_object_add(object, "seconds", json_object_new_double(seconds));
	json_object_object_add(object, "cancelled", json_object_new_boolean(r->signal));
	json_object_object_add(object, "error",
			       r->error ? json_object_new_string(r->error) : NULL);
	print_json_to(stderr, object);
}

/* Returns the exit code. */
static int conclude(struct reading *r)
{
	double seconds = (now_ns() - r->progress.started) / 1e9;

	if (r->stopped && !r->signal && !r->error)
		fail(r, "somebody cancelled it after %llu bytes", r->bytes);
	if (opt_json)
		print_result_json(r, seconds);
	if (r->signal) {
		complain("cancelled: %llu of %llu bytes were written", r->bytes,
			 r->to - r->from);
		return 128 + r->signal;
	}
	if (r->error) {
		complain("%s", r->error);
		return EXIT_WORK;
	}
	if (!opt_json && !opt_quiet)
		fprintf(stderr, "read %llu bytes in %.3f s (%.0f MiB/s)\n", r->bytes, seconds,
			r->bytes / seconds / (1 << 20));
	return EXIT_SUCCESS;
}

static int nvme_read_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "offset", required_argument, NULL, 'o' },
		{ "length", required_argument, NULL, 'l' },
		{ 0 }
	};
	struct reading r = { 0 };
	__u64 length = 0;
	int c, code;

	while ((c = next_option(argc, argv, options)) != -1) {
		if (parse_size(optarg, c == 'o' ? &r.from : &length))
			die(EXIT_USAGE, "--%s %s: not a size; give it like 4096, 64K or 1M",
			    c == 'o' ? "offset" : "length", optarg);
		if (c == 'l' && !length)
			die(EXIT_USAGE, "--length 0: there is nothing to read");
	}
	if (argc - optind > 1)
		die(EXIT_USAGE, "%s: extra argument; give one device", argv[optind + 1]);

	open_output(&r);
	open_device(&r, argv[optind], length);
	r.signals = signals_catch();
	signal(SIGPIPE, SIG_IGN);	/* become errors, which are dealt with */
	signal(SIGXFSZ, SIG_IGN);
	progress_start(&r.progress, "nvme-read", r.to - r.from, 0);
	read_disk(&r);
	code = conclude(&r);

	if (r.out != STDOUT_FILENO)
		close(r.out);
	close(r.dev);
	close(r.signals);
	free(r.error);
	return code;
}

const struct command cmd_nvme_read = {
	"nvme-read", "write what is on an NVMe disk to standard output", help, nvme_read_main,
};
