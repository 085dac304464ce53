// SPDX-License-Identifier: GPL-2.0-only
/*
 * nurseryctl edu-copy: a file through the DMA engines of edu devices and back.
 *
 * The scoped buffer is a set of slots, each with room for a chunk before and
 * after its journey. A chunk that has been read into a free slot becomes a
 * child; its record says that the other half of the slot can be written, and
 * frees the slot. So memory is bounded, every device is kept busy, and chunks
 * may finish in any order. On an error or a signal the nursery is cancelled
 * and the output discarded, but the program always waits for the children that
 * it has started.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "nurseryctl.h"

#define OPERATION	"edu-copy"
#define CHUNK		4096	/* what the device takes at a time */
#define PER_DEVICE	2	/* chunks in flight: one in the engine, the next one waiting */
#define MAX_SLOTS	64

static const char help[] =
"Usage: nurseryctl edu-copy [OPTION]... IN OUT\n"
"Copy the file IN to OUT, through the DMA engines of all edu devices and back.\n"
"OUT appears when all of it has arrived and is on the disk, or not at all.\n"
"\n"
"IN may be a pipe, or - for standard input. OUT must be a file of its own; one\n"
"that exists is replaced.\n"
"\n"
"Options:\n"
"      --json     print one JSON object instead of text\n"
"  -q, --quiet    print errors only, no progress\n"
"  -h, --help     print this help\n"
"      --version  print the version\n"
"\n"
"Examples:\n"
"  nurseryctl edu-copy /boot/vmlinuz /tmp/copy\n"
"  dd if=/dev/urandom bs=1K count=256 | nurseryctl edu-copy - /tmp/random\n"
"\n"
"Exit codes:\n"
"  0      copied\n"
"  1      the copy failed; OUT was not written\n"
"  2      nothing was started: a file cannot be opened, or no device is bound\n"
"  128+N  cancelled by signal N (130: Ctrl-C); OUT was not written\n";

struct slot {
	__u64 offset;	/* in the file */
	unsigned int len;
};

struct copy {
	const char *in_name, *out_name;
	int in, dev, signals;
	struct output out;
	struct progress progress;
	unsigned int devices;
	__u64 total;		/* bytes of IN; 0: unknown */

	char *map;
	struct slot slots[MAX_SLOTS];
	struct slot *idle[MAX_SLOTS];
	unsigned int nr_idle;
	struct slot *filling;

	__u64 bytes_read, bytes, chunks;	/* bytes, chunks: written */
	unsigned int outstanding;
	bool eof;

	bool stopped;		/* the rest is only waited for */
	unsigned int in_flight;	/* when it was stopped */
	int signal;
	char *error;
};

static char *source(struct copy *c, const struct slot *slot)
{
	return c->map + (slot - c->slots) * 2 * CHUNK;
}

static char *destination(struct copy *c, const struct slot *slot)
{
	return source(c, slot) + CHUNK;
}

static void stop(struct copy *c)
{
	if (c->stopped)
		return;
	c->stopped = true;
	c->in_flight = c->outstanding;
	device_cancel(c->dev, 0, -EINTR);
	output_discard(&c->out);
}

/* Only the first error counts, and none after a signal. */
static __printf(2, 3) void fail(struct copy *c, const char *format, ...)
{
	va_list args;

	if (!c->error && !c->signal) {
		va_start(args, format);
		if (vasprintf(&c->error, format, args) < 0)
			must(NULL);
		va_end(args);
	}
	stop(c);
}

static void output_failed(struct copy *c, int err)
{
	fail(c, "%s: cannot be written: %s, it is as it was; make room or name another place",
	     c->out_name, strerror(-err));
}

/* A chunk could not be started, or its child failed. */
static void chunk_failed(struct copy *c, const struct slot *slot, int err)
{
	if (err == -ECANCELED)	/* a sibling failed, or somebody wanted it */
		stop(c);
	else if (err == -ENODEV || err == -ENOENT)
		fail(c,
		     "an edu device went away (%s), %s was not written; nurseryctl list --ops shows what is left to run it again with",
		     strerror(-err), c->out_name);
	else
		fail(c,
		     "the chunk at byte %llu failed: %s, %s was not written; see dmesg for what the device did",
		     slot->offset, strerror(-err), c->out_name);
}

static void spawn_chunk(struct copy *c, struct slot *slot)
{
	struct nursery_spawn spawn = {
		.nr_args = 3,
		.args = { source(c, slot) - c->map, destination(c, slot) - c->map, slot->len },
		.cookie = slot - c->slots,
		.op = OPERATION,
	};
	int err = device_spawn(c->dev, &spawn);

	if (err)
		chunk_failed(c, slot, err);
	else
		c->outstanding++;
}

/* IN has something, if only its end. A pipe may give less than a chunk. */
static void read_input(struct copy *c)
{
	struct slot *slot = c->filling;
	ssize_t len;

	if (!slot) {
		slot = c->idle[--c->nr_idle];
		slot->offset = c->bytes_read;
		slot->len = 0;
		c->filling = slot;
	}
	len = read(c->in, source(c, slot) + slot->len, CHUNK - slot->len);
	if (len < 0) {
		if (errno != EINTR && errno != EAGAIN)
			fail(c, "%s: cannot be read: %s; %s was not written", c->in_name,
			     strerror(errno), c->out_name);
		return;
	}
	c->eof = !len;
	c->bytes_read += len;
	slot->len += len;
	if (slot->len == CHUNK || (c->eof && slot->len)) {
		c->filling = NULL;
		spawn_chunk(c, slot);
	}
}

static void chunk_finished(struct copy *c, const struct nursery_record *record)
{
	struct slot *slot = &c->slots[record->cookie];
	int err;

	c->outstanding--;
	if (record->result) {
		chunk_failed(c, slot, record->result);
		return;
	}
	if (c->stopped)
		return;
	err = output_write(&c->out, destination(c, slot), slot->len, slot->offset);
	if (err) {
		output_failed(c, err);
		return;
	}
	c->bytes += slot->len;
	c->chunks++;
	c->idle[c->nr_idle++] = slot;
}

static void read_records(struct copy *c)
{
	struct nursery_record records[16];
	int nr, i;

	nr = device_read(c->dev, records, ARRAY_SIZE(records));
	for (i = 0; i < nr; i++)
		chunk_finished(c, &records[i]);
	if (nr < 0) {
		fail(c, "%s: children cannot be waited for: %s; see dmesg", DEVICE,
		     strerror(-nr));
		c->outstanding = 0;
	}
}

static void copy(struct copy *c)
{
	struct pollfd fds[] = {
		{ .fd = c->signals, .events = POLLIN },
		{ .events = POLLIN },
		{ .events = POLLIN },
	};
	bool reading;

	while (c->outstanding || (!c->eof && !c->stopped)) {
		reading = !c->eof && !c->stopped && (c->filling || c->nr_idle);
		fds[1].fd = c->outstanding ? c->dev : -1;
		fds[2].fd = reading ? c->in : -1;
		if (poll(fds, ARRAY_SIZE(fds), c->progress.terminal ? 100 : -1) < 0)
			continue;
		if (fds[0].revents && !c->stopped) {
			c->signal = signals_take(c->signals);
			if (c->signal)
				stop(c);
		}
		if (fds[1].revents)
			read_records(c);
		if (fds[2].revents && !c->stopped)
			read_input(c);
		progress_show(&c->progress, c->bytes);
	}
	progress_end(&c->progress);
}

/* Open IN, and see that OUT is something that can be replaced. */
static void open_input(struct copy *c)
{
	struct stat in, out;

	c->in = STDIN_FILENO;
	if (strcmp(c->in_name, "-"))
		c->in = open(c->in_name, O_RDONLY | O_CLOEXEC);
	if (c->in < 0 || fstat(c->in, &in))
		die(EXIT_USAGE, "%s: cannot be opened: %s; name a file that can be read",
		    c->in_name, strerror(errno));
	if (S_ISDIR(in.st_mode))
		die(EXIT_USAGE, "%s: is a directory; name a file", c->in_name);
	if (S_ISREG(in.st_mode))
		c->total = in.st_size;

	if (!strcmp(c->out_name, "-"))
		die(EXIT_USAGE, "OUT cannot be standard output; name a file");
	if (!stat(c->out_name, &out)) {
		if (!S_ISREG(out.st_mode))
			die(EXIT_USAGE, "%s: is not a regular file; name one, or a new one",
			    c->out_name);
		if (in.st_dev == out.st_dev && in.st_ino == out.st_ino)
			die(EXIT_USAGE, "%s and %s are the same file; name another one",
			    c->in_name, c->out_name);
	}
}

static void open_device(struct copy *c)
{
	struct nursery_op_entry *ops;
	struct nursery_info info;
	unsigned int slots, i;
	__u32 nr;

	c->dev = device_open(&info);
	ops = device_ops(c->dev, &nr);
	for (i = 0; i < nr; i++)
		c->devices += !strcmp(ops[i].name, OPERATION);
	free(ops);
	if (!c->devices)
		die(EXIT_USAGE,
		    "no edu device is bound: load the sample driver (modprobe nursery_edu) on a machine with one");

	slots = c->devices < MAX_SLOTS / PER_DEVICE ? c->devices * PER_DEVICE : MAX_SLOTS;
	c->map = device_buffer(c->dev, slots * 2 * CHUNK);
	for (i = slots; i; i--)
		c->idle[c->nr_idle++] = &c->slots[i - 1];
}

static void print_result_json(struct copy *c, double seconds)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "bytes", json_object_new_uint64(c->bytes));
	json_object_object_add(object, "chunks", json_object_new_uint64(c->chunks));
	json_object_object_add(object, "devices", json_object_new_int64(c->devices));
	json_object_object_add(object, "seconds", json_object_new_double(seconds));
	json_object_object_add(object, "cancelled", json_object_new_boolean(c->signal));
	json_object_object_add(object, "error",
			       c->error ? json_object_new_string(c->error) : NULL);
	print_json(object);
}

/* The end: give OUT its name, or say why not. Returns the exit code. */
static int conclude(struct copy *c)
{
	double seconds;
	char of[32] = "";
	int err;

	if (c->stopped && !c->signal && !c->error)
		fail(c, "somebody cancelled it; %s was not written", c->out_name);
	err = c->stopped ? 0 : output_commit(&c->out);
	if (err)
		output_failed(c, err);

	seconds = (now_ns() - c->progress.started) / 1e9;
	if (opt_json)
		print_result_json(c, seconds);
	if (c->signal) {
		if (c->total)
			snprintf(of, sizeof(of), " of %llu", (c->total + CHUNK - 1) / CHUNK);
		complain("cancelled: %llu%s chunks were copied, %u in flight were joined, %s %s",
			 c->chunks, of, c->in_flight, c->out_name, "was not written");
		return 128 + c->signal;
	}
	if (c->error) {
		complain("%s", c->error);
		return EXIT_WORK;
	}
	if (!opt_json && !opt_quiet)
		printf("copied %llu bytes in %.1f s through %u device%s (%llu chunk%s)\n",
		       c->bytes, seconds, c->devices, plural(c->devices),
		       c->chunks, plural(c->chunks));
	return EXIT_SUCCESS;
}

static int edu_copy_main(int argc, char **argv)
{
	struct copy c = { 0 };
	int err, code;

	next_option(argc, argv, NULL);
	if (argc - optind != 2)
		die(EXIT_USAGE, "give two files, IN and OUT; see nurseryctl edu-copy --help");
	c.in_name = argv[optind];
	c.out_name = argv[optind + 1];

	open_input(&c);
	open_device(&c);
	c.signals = signals_catch();
	signal(SIGPIPE, SIG_IGN);	/* become errors, which are dealt with */
	signal(SIGXFSZ, SIG_IGN);
	err = output_open(&c.out, c.out_name);
	if (err)
		die(EXIT_USAGE, "%s: cannot be created: %s; name another place", c.out_name,
		    strerror(-err));
	progress_start(&c.progress, "edu-copy", c.total, c.devices);
	copy(&c);
	code = conclude(&c);

	close(c.dev);
	close(c.signals);
	free(c.error);
	return code;
}

const struct command cmd_edu_copy = {
	"edu-copy", "copy a file through the DMA engines of edu devices", help, edu_copy_main,
};
