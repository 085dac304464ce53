// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/nursery: one function for each thing that can be asked of it.
 *
 * What cannot be helped (no module, no right) ends the program with a line
 * that says what to do; what depends on the caller comes back as a negative
 * errno. The file is opened with O_NONBLOCK, to be waited for with poll().
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "nurseryctl.h"

/* The clock of deadlines and records. */
__u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int device_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Open a nursery of our own. */
int device_open(struct nursery_info *info)
{
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (fd < 0) {
		switch (errno) {
		case ENOENT:
		case ENODEV:
		case ENXIO:
			die(EXIT_USAGE, "%s: the nursery module is not loaded: modprobe nursery",
			    DEVICE);
		case EACCES:
		case EPERM:
			die(EXIT_USAGE, "%s: needs root (the device is 0600)", DEVICE);
		default:
			die(EXIT_USAGE, "%s: %s; see dmesg", DEVICE, strerror(errno));
		}
	}

	memset(info, 0, sizeof(*info));
	err = device_ioctl(fd, NURSERY_IOC_INFO, info);
	if (err)
		die(EXIT_USAGE,
		    "%s: %s: not the nursery module's device; remove it and load the module",
		    DEVICE, strerror(-err));
	if (info->abi < NURSERY_ABI_VERSION)
		die(EXIT_USAGE, "%s: the module has ABI %u, this needs %u: load a newer one",
		    DEVICE, info->abi, NURSERY_ABI_VERSION);
	return fd;
}

/* Make the scoped buffer and map it. */
void *device_buffer(int fd, __u64 size)
{
	struct nursery_buffer buffer = { .size = size };
	void *map;
	int err;

	err = device_ioctl(fd, NURSERY_IOC_BUFFER, &buffer);
	if (err)
		die(EXIT_USAGE, "a buffer of %llu bytes: %s; ask for less",
		    size, strerror(-err));
	map = mmap(NULL, buffer.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, buffer.offset);
	if (map == MAP_FAILED)
		die(EXIT_USAGE, "mapping a buffer of %llu bytes: %s; ask for less",
		    size, strerror(errno));
	return map;
}

int device_spawn(int fd, struct nursery_spawn *spawn)
{
	return device_ioctl(fd, NURSERY_IOC_SPAWN, spawn);
}

/* id 0 is the file's own nursery. */
int device_cancel(int fd, __u64 id, int cause)
{
	struct nursery_cancel cancel = { .id = id, .cause = cause };

	return device_ioctl(fd, NURSERY_IOC_CANCEL, &cancel);
}

int device_deadline(int fd, __u64 when)
{
	struct nursery_deadline deadline = { .when = when };

	return device_ioctl(fd, NURSERY_IOC_DEADLINE, &deadline);
}

/* How many records there were, to be called while children are outstanding. */
int device_read(int fd, struct nursery_record *records, size_t nr)
{
	ssize_t len = read(fd, records, nr * sizeof(*records));

	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!len || len % sizeof(*records))
		return -EPROTO;
	return len / sizeof(*records);
}

/* Fill an array with an ioctl that says how many entries there are; the first ones, if too many. */
static void *fetch(int fd, unsigned long request, __u32 flags, size_t size, __u32 *nr)
{
	struct nursery_list list;
	__u32 room = 0;
	void *array;
	int err;

	for (;;) {
		room = room ? list.nr + 16 : 64;
		if (room > NURSERY_LIST_MAX)
			room = NURSERY_LIST_MAX;
		array = must(calloc(room, size));
		list = (struct nursery_list) {
			.entries = (uintptr_t)array,
			.entry_size = size,
			.nr = room,
			.flags = flags,
		};
		err = device_ioctl(fd, request, &list);
		if (err == -EPERM || err == -EACCES)
			die(EXIT_USAGE, "listing the whole system needs root (CAP_SYS_ADMIN)");
		if (err)
			die(EXIT_USAGE, "%s: cannot list: %s; see dmesg", DEVICE, strerror(-err));
		if (list.nr <= room || room == NURSERY_LIST_MAX)
			break;
		free(array);
	}
	*nr = list.nr < room ? list.nr : room;
	return array;
}

/* The caller frees what these two return. */
struct nursery_entry *device_list(int fd, __u32 flags, __u32 *nr)
{
	struct nursery_entry *list = fetch(fd, NURSERY_IOC_LIST, flags, sizeof(*list), nr);
	__u32 i;

	for (i = 0; i < *nr; i++)
		make_printable(list[i].name, sizeof(list[i].name));
	return list;
}

struct nursery_op_entry *device_ops(int fd, __u32 *nr)
{
	struct nursery_op_entry *ops = fetch(fd, NURSERY_IOC_OPS, 0, sizeof(*ops), nr);
	__u32 i;

	for (i = 0; i < *nr; i++) {
		make_printable(ops[i].name, sizeof(ops[i].name));
		make_printable(ops[i].provider, sizeof(ops[i].provider));
		make_printable(ops[i].usage, sizeof(ops[i].usage));
	}
	return ops;
}

/* Why our nursery was cancelled, 0 if for no particular reason. */
int device_cause(int fd)
{
	struct nursery_entry *list;
	int cause = 0;
	__u32 nr;

	list = device_list(fd, 0, &nr);
	if (nr)
		cause = list[0].cause;
	free(list);
	return cause;
}
