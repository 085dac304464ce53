/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests have in common: /dev/nursery as functions that return 0 or a
 * negative errno, a census of the system's nurseries, and waits that end. Times
 * are in ns where they go to the kernel and in ms where they bound a wait.
 */
#ifndef NURSERY_TEST_UTIL_H
#define NURSERY_TEST_UTIL_H

#define __SANE_USERSPACE_TYPES__	/* __u64 is unsigned long long */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/nursery.h>

#define DEVICE	"/dev/nursery"
#define NOBODY	65534
#define MS	1000000ULL
#define SEC	1000000000ULL

/* How long what ought to happen at once may take on a slow and busy machine. */
#define SOON_MS	10000

#define __printf(text, first)	__attribute__((format(printf, text, first)))

/* the device */
int open_nursery(int flags);
int call(int fd, unsigned long request, void *arg);
__u64 id_of(int fd);
int cancel(int fd, __u64 id, int cause);
int spawn_args(int fd, __u64 *id, __u64 cookie, const char *op, unsigned int nr_args,
	       const __u64 *args);

/* spawn(fd, &id or NULL, cookie, "operation", arguments...) */
#define spawn(fd, id, cookie, op, ...)						\
	spawn_args(fd, id, cookie, op,						\
		   sizeof((__u64[]){ __VA_ARGS__ }) / sizeof(__u64),		\
		   (__u64[]){ __VA_ARGS__ })

int read_records(int fd, struct nursery_record *records, unsigned int nr, int ms);
void *map_buffer(int fd, __u64 size);
struct nursery_entry *list_entries(int fd, __u32 flags, __u32 *nr);
struct nursery_op_entry *list_ops(int fd, __u32 *nr);

/* what the whole system holds, but for the file that is used to ask */
struct census {
	unsigned int files;
	unsigned int children;
	unsigned int resources;
};

int take_census(struct census *c);
int wait_for_census(const struct census *want, int ms);

/* time, processes, files */
__u64 now_ns(void);
void sleep_ms(unsigned int ms);
char task_state(pid_t pid);
int wait_exit(pid_t pid, int ms, int *status);
int become_nobody(void);
int write_file(const char *path, const char *text, int ms);
__printf(1, 2) int shell(const char *format, ...);

/* repeat until @condition holds or @ms have passed; says whether it holds */
#define wait_until(condition, ms) ({						\
	__u64 __end = now_ns() + (ms) * MS;					\
	bool __holds;								\
										\
	while (!(__holds = (condition)) && now_ns() < __end)			\
		sleep_ms(5);							\
	__holds;								\
})

/* allocations of this thread that fail, one at a time */
int open_failures(void);
void fail_allocation(int fd, unsigned int nth);
bool allocation_has_failed(int fd);

/* the kernel's log */
int kmsg_open(void);
__printf(1, 2) void kmsg_say(const char *format, ...);
bool kmsg_find(int fd, const char *regex, int ms);

#endif /* NURSERY_TEST_UTIL_H */
