// SPDX-License-Identifier: GPL-2.0-only
/* See util.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "util.h"

/* Loads the module if need be. */
int open_nursery(int flags)
{
	int fd = open(DEVICE, O_RDWR | flags);

	if (fd < 0 && errno == ENOENT) {
		shell("modprobe nursery");
		fd = open(DEVICE, O_RDWR | flags);
	}
	return fd < 0 ? -errno : fd;
}

int call(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

/* 0 is nobody's id. */
__u64 id_of(int fd)
{
	struct nursery_info info = { 0 };

	return call(fd, NURSERY_IOC_INFO, &info) ? 0 : info.id;
}

int cancel(int fd, __u64 id, int cause)
{
	struct nursery_cancel args = { .id = id, .cause = cause };

	return call(fd, NURSERY_IOC_CANCEL, &args);
}

int spawn_args(int fd, __u64 *id, __u64 cookie, const char *op, unsigned int nr_args,
	       const __u64 *args)
{
	struct nursery_spawn s = { .nr_args = nr_args, .cookie = cookie };
	int err;

	memcpy(s.args, args, nr_args * sizeof(*args));
	snprintf(s.op, sizeof(s.op), "%s", op);
	err = call(fd, NURSERY_IOC_SPAWN, &s);
	if (id)
		*id = s.id;
	return err;
}

/* Read @nr records; returns how many came within @ms, or a negative errno. */
int read_records(int fd, struct nursery_record *records, unsigned int nr, int ms)
{
	__u64 end = now_ns() + ms * MS, now;
	unsigned int got = 0;
	ssize_t len;

	while (got < nr) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		now = now_ns();
		if (now >= end || poll(&p, 1, (end - now) / MS + 1) < 1)
			break;
		len = read(fd, records + got, (nr - got) * sizeof(*records));
		if (len < 0)
			return -errno;
		got += len / sizeof(*records);
	}
	return got;
}

/* Make the file's buffer and map it; NULL if one of the two fails. */
void *map_buffer(int fd, __u64 size)
{
	struct nursery_buffer args = { .size = size };
	void *map;

	if (call(fd, NURSERY_IOC_BUFFER, &args))
		return NULL;
	map = mmap(NULL, args.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, args.offset);
	return map == MAP_FAILED ? NULL : map;
}

static void *list(int fd, unsigned long request, size_t size, __u32 flags, __u32 *nr)
{
	struct nursery_list args;
	__u32 room = 256;
	void *entries;

	for (;;) {
		entries = calloc(room, size);
		args = (struct nursery_list) {
			.entries = (uintptr_t)entries,
			.entry_size = size,
			.nr = room,
			.flags = flags,
		};
		*nr = 0;
		if (!entries || call(fd, request, &args)) {
			free(entries);
			return NULL;
		}
		*nr = args.nr;
		if (args.nr <= room)
			return entries;
		if (room == NURSERY_LIST_MAX) {
			*nr = room;
			return entries;
		}
		free(entries);
		room = args.nr + 256 < NURSERY_LIST_MAX ? args.nr + 256 : NURSERY_LIST_MAX;
	}
}

/* Both to be freed; NULL on an error, which is in errno. */
struct nursery_entry *list_entries(int fd, __u32 flags, __u32 *nr)
{
	return list(fd, NURSERY_IOC_LIST, sizeof(struct nursery_entry), flags, nr);
}

struct nursery_op_entry *list_ops(int fd, __u32 *nr)
{
	return list(fd, NURSERY_IOC_OPS, sizeof(struct nursery_op_entry), 0, nr);
}

int take_census(struct census *c)
{
	int fd = open_nursery(0), err = 0;
	struct nursery_entry *entries;
	__u64 own;
	__u32 nr, i;

	*c = (struct census) { 0 };
	if (fd < 0)
		return fd;
	own = id_of(fd);
	entries = list_entries(fd, NURSERY_LIST_ALL, &nr);
	if (!entries)
		err = -errno;
	for (i = 0; i < nr; i++) {
		if (entries[i].kind != NURSERY_ENTRY_NURSERY || entries[i].id == own)
			continue;
		c->files += entries[i].pid != 0;
		c->children += entries[i].nr_children;
		c->resources += entries[i].nr_resources;
	}
	free(entries);
	close(fd);
	return err;
}

static bool census_is(const struct census *want, struct census *seen)
{
	return !take_census(seen) && seen->files == want->files &&
	       seen->children == want->children && seen->resources == want->resources;
}

/* 0, or -ETIMEDOUT and what is left on stdout. */
int wait_for_census(const struct census *want, int ms)
{
	struct census seen;

	if (wait_until(census_is(want, &seen), ms))
		return 0;
	printf("# left: %u files, %u children, %u resources; before: %u, %u, %u\n",
	       seen.files, seen.children, seen.resources,
	       want->files, want->children, want->resources);
	return -ETIMEDOUT;
}

__u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SEC + now.tv_nsec;
}

void sleep_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * MS };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* The letter that /proc has for what a process or thread does, 0 for one that is gone. */
char task_state(pid_t pid)
{
	char path[32], state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(f);
	return state;
}

/* 0 and the status, or -ETIMEDOUT, and the process lives on. */
int wait_exit(pid_t pid, int ms, int *status)
{
	int dummy;

	return wait_until(waitpid(pid, status ?: &dummy, WNOHANG) == pid, ms) ? 0 : -ETIMEDOUT;
}

int become_nobody(void)
{
	return setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) ? -errno : 0;
}

/* A write that may hang in the kernel: another process does it. */
int write_file(const char *path, const char *text, int ms)
{
	pid_t pid = fork();
	int fd, status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		fd = open(path, O_WRONLY);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			_exit(errno);
		_exit(0);
	}
	if (wait_exit(pid, ms, &status)) {
		kill(pid, SIGKILL);
		return -ETIMEDOUT;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* The exit status of a command. */
int shell(const char *format, ...)
{
	char command[512];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	fflush(stdout);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define FAULTS	"/sys/kernel/debug/"

/*
 * A file to make allocations of this thread fail with; -ENOENT: this kernel has no fault
 * injection. Those that may sleep fail too, and single pages, without a stack trace for
 * each. But not those of the checkers, who would turn themselves off, if the kernel was told
 * which caches may fail: slub_debug=A,...
 */
int open_failures(void)
{
	static const char * const settings[] = {
		FAULTS "failslab/ignore-gfp-wait", "N",
		FAULTS "failslab/verbose", "0",
		FAULTS "fail_page_alloc/ignore-gfp-wait", "N",
		FAULTS "fail_page_alloc/min-order", "0",
		FAULTS "fail_page_alloc/verbose", "0",
		NULL
	};
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), err = 0;
	unsigned int i;

	if (fd < 0)
		return -errno;
	for (i = 0; settings[i] && !err; i += 2)
		err = write_file(settings[i], settings[i + 1], SOON_MS);
	if (!err && !shell("grep -q 1 /sys/kernel/slab/kmalloc-64/failslab"))
		err = write_file(FAULTS "failslab/cache-filter", "Y", SOON_MS);
	if (err)
		close(fd);
	return err ?: fd;
}

/* From now on, the @nth, from 1; 0: none. */
void fail_allocation(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fd, text, len, 0) != len)
		printf("# fail-nth: %s\n", strerror(errno));
}

/* Has it come to that? From now on none fails. */
bool allocation_has_failed(int fd)
{
	char text[16] = "";
	bool armed;

	/* It counts down. */
	armed = pread(fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) != 0;
	fail_allocation(fd, 0);
	return !armed;
}

/* Reads what is logged from now on. */
int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

/* In one write, which is one line of the log. */
void kmsg_say(const char *format, ...)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		printf("# /dev/kmsg: %s\n", strerror(errno));
	close(fd);
}

/* Does a line that matches come within @ms? Lines up to it are used up. */
bool kmsg_find(int fd, const char *regex, int ms)
{
	char line[4096];
	bool found = false;
	regex_t compiled;
	__u64 end = now_ns() + ms * MS;
	ssize_t len;

	if (regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB))
		return false;
	for (;;) {
		len = read(fd, line, sizeof(line) - 1);
		if (len > 0) {
			line[len] = '\0';
			found = !regexec(&compiled, line, 0, NULL, 0);
			if (found)
				break;
		} else if (errno != EPIPE) {	/* that is: lines were lost, go on */
			if (now_ns() >= end)
				break;
			sleep_ms(10);
		}
	}
	regfree(&compiled);
	return found;
}
