/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of nurseryctl share. Each part is described where it is
 * defined.
 */
#ifndef NURSERYCTL_H
#define NURSERYCTL_H

#define __SANE_USERSPACE_TYPES__	/* __u64 is unsigned long long */

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/nursery.h>

#define VERSION		"0.1"
#define DEVICE		"/dev/nursery"

#define __printf(text, first)	__attribute__((format(printf, text, first)))
#define __noreturn	__attribute__((noreturn))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Exit codes; a run that was ended by signal N exits with 128 + N. */
#define EXIT_WORK	1	/* what was asked for failed */
#define EXIT_USAGE	2	/* the arguments or the machine do not allow it */

/* main.c: subcommands, options, messages */
struct command {
	const char *name;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_run, cmd_edu_copy, cmd_nvme_read;
extern const struct command cmd_tree, cmd_list, cmd_cancel, cmd_quarantine;
extern bool opt_json, opt_quiet;

int next_option(int argc, char **argv, const struct option *extra);
__printf(1, 2) void complain(const char *format, ...);
__printf(2, 3) __noreturn void die(int code, const char *format, ...);
void *must(void *memory);
void print_json(struct json_object *object);
void print_json_to(FILE *file, struct json_object *object);

/* parse.c: text to numbers and back */
int parse_number(const char *text, __u64 *value);
int parse_size(const char *text, __u64 *bytes);
int parse_id(const char *text, __u64 *id);
int parse_duration(const char *text, __u64 *ns);
int parse_errno(const char *text, int *err);
void parse_operation(const char *text, struct nursery_spawn *spawn);
const char *errno_name(int err);
const char *format_duration(__u64 ns, char *text, size_t size);
const char *plural(__u64 nr);
void make_printable(char *text, size_t size);

/* device.c: /dev/nursery */
__u64 now_ns(void);
int device_open(struct nursery_info *info);
void *device_buffer(int fd, __u64 size);
int device_spawn(int fd, struct nursery_spawn *spawn);
int device_cancel(int fd, __u64 id, int cause);
int device_deadline(int fd, __u64 when);
int device_read(int fd, struct nursery_record *records, size_t nr);
struct nursery_entry *device_list(int fd, __u32 flags, __u32 *nr);
struct nursery_op_entry *device_ops(int fd, __u32 *nr);
int device_cause(int fd);

/* signals.c: being asked to stop */
int signals_catch(void);
int signals_take(int fd);

/* progress.c: how far a copy is */
struct progress {
	const char *what;
	__u64 total;
	__u64 started;
	__u64 drawn;
	unsigned int devices;		/* 0: not said */
	unsigned int tenth;
	bool off;
	bool terminal;
};

void progress_start(struct progress *p, const char *what, __u64 total, unsigned int devices);
void progress_show(struct progress *p, __u64 done);
void progress_end(struct progress *p);

/* output.c: a file that appears whole or not at all */
struct output {
	int fd;
	char *path;
	char *temp;
};

int output_open(struct output *o, const char *path);
int output_write(struct output *o, const void *data, size_t len, __u64 offset);
int output_commit(struct output *o);
void output_discard(struct output *o);

#endif /* NURSERYCTL_H */
