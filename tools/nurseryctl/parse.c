// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text to numbers and back.
 *
 * The arguments of an operation are all u64, and only its driver knows what
 * they mean, so one parser takes every way to write a number: decimal and
 * hexadecimal, times (in ns), sizes (in bytes) and names of errors.
 */
#include <ctype.h>
#include "nurseryctl.h"

#define MAX_ERRNO	4095

static const struct unit {
	const char *suffix;
	__u64 factor;
	bool time;
} units[] = {
	{ "ns", 1, true },
	{ "us", 1000, true },
	{ "ms", 1000 * 1000, true },
	{ "s", 1000 * 1000 * 1000, true },
	{ "m", 60 * 1000000000ULL, true },
	{ "K", 1 << 10, false },
	{ "M", 1 << 20, false },
	{ "G", 1 << 30, false },
};

/* 0, -EINVAL or -ERANGE; *unit is NULL if there is none. */
static int parse_with_unit(const char *text, __u64 *value, const struct unit **unit)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;
	size_t i;

	*unit = NULL;
	if (!isdigit((unsigned char)text[0]) || (hex && !isxdigit((unsigned char)text[2])))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, hex ? 16 : 10);
	if (errno)
		return -errno;
	if (!*end)
		return 0;

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		*unit = &units[i];
		return __builtin_mul_overflow(*value, units[i].factor, value) ? -ERANGE : 0;
	}
	return -EINVAL;
}

/* The number of an error, by its name. 0: there is none of that name. */
static int errno_number(const char *text)
{
	static const struct {
		const char *name;
		int err;
	} aliases[] = {
		{ "EWOULDBLOCK", EWOULDBLOCK },
		{ "EDEADLOCK", EDEADLOCK },
		{ "EOPNOTSUPP", EOPNOTSUPP },
		{ "ENOTSUP", ENOTSUP },
	};
	const char *name;
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(aliases); i++)
		if (!strcmp(text, aliases[i].name))
			return aliases[i].err;
	for (err = 1; err <= MAX_ERRNO; err++) {
		name = strerrorname_np(err);
		if (name && !strcmp(text, name))
			return err;
	}
	return 0;
}

/* A number of any kind. */
int parse_number(const char *text, __u64 *value)
{
	const struct unit *unit;
	int err = errno_number(text);

	if (!err)
		return parse_with_unit(text, value, &unit);
	*value = err;
	return 0;
}

/* A size in bytes, with its unit or without. */
int parse_size(const char *text, __u64 *bytes)
{
	const struct unit *unit;
	int err = parse_with_unit(text, bytes, &unit);

	if (err)
		return err;
	return unit && unit->time ? -EINVAL : 0;
}

/* An id is just a number, and never 0. */
int parse_id(const char *text, __u64 *id)
{
	const struct unit *unit;
	int err = parse_with_unit(text, id, &unit);

	if (err)
		return err;
	return unit || !*id ? -EINVAL : 0;
}

/* A time with its unit. */
int parse_duration(const char *text, __u64 *ns)
{
	const struct unit *unit;
	int err = parse_with_unit(text, ns, &unit);

	if (err)
		return err;
	return unit && unit->time ? 0 : -EINVAL;
}

/* The name of an error, or its positive number. */
int parse_errno(const char *text, int *err)
{
	__u64 value;

	*err = errno_number(text);
	if (*err)
		return 0;
	if (parse_id(text, &value) || value > MAX_ERRNO)
		return -EINVAL;
	*err = value;
	return 0;
}

/* OP[:ARG,ARG...], or a word of why not. */
void parse_operation(const char *text, struct nursery_spawn *spawn)
{
	size_t len = strcspn(text, ":");
	char *copy, *args, *arg;
	int err;

	memset(spawn, 0, sizeof(*spawn));
	if (!len || len >= sizeof(spawn->op))
		die(EXIT_USAGE, "%s: that is no operation; nurseryctl list --ops shows them",
		    *text ? text : "''");
	memcpy(spawn->op, text, len);
	if (!text[len])
		return;

	copy = must(strdup(text + len + 1));
	args = copy;
	while ((arg = strsep(&args, ","))) {
		if (spawn->nr_args == NURSERY_OP_ARGS)
			die(EXIT_USAGE, "%s: no operation takes more than %d arguments",
			    text, NURSERY_OP_ARGS);
		err = parse_number(arg, &spawn->args[spawn->nr_args++]);
		if (err == -ERANGE)
			die(EXIT_USAGE, "%s: '%s' does not fit in 64 bits", text, arg);
		if (err)
			die(EXIT_USAGE, "%s: '%s' is not a number; use 16, 0x10, 4K, 50ms or EIO",
			    text, arg);
	}
	free(copy);
}

/* err may be negative. */
const char *errno_name(int err)
{
	const char *name = strerrorname_np(abs(err));

	return name ? name : "unknown";
}

const char *format_duration(__u64 ns, char *text, size_t size)
{
	if (ns < 1000000000)
		snprintf(text, size, "%.1f ms", ns / 1e6);
	else
		snprintf(text, size, "%.1f s", ns / 1e9);
	return text;
}

const char *plural(__u64 nr)
{
	return nr == 1 ? "" : "s";
}

/* A name may hold what a process called itself: nothing for a terminal. */
void make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if ((unsigned char)*text > 126 || !isprint((unsigned char)*text))
			*text = '?';
}
