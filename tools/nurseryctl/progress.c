// SPDX-License-Identifier: GPL-2.0-only
/*
 * How far a copy is, on stderr: on a terminal one line that is drawn again at
 * most ten times a second, elsewhere a plain line for each tenth (every five
 * seconds if nobody knows how much there is). progress_end() takes the line
 * off the terminal, so that what follows starts on a clean one.
 */
#include <sys/ioctl.h>
#include <unistd.h>
#include "nurseryctl.h"

#define REDRAW_NS	100000000ULL
#define LINE_NS		5000000000ULL
#define BAR		"##############################"
#define NO_BAR		"------------------------------"

static const struct scale {
	const char *name;
	double bytes;
} scales[] = {
	{ "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 },
};

/* The unit in which bytes has two digits or more. */
static const struct scale *scale_of(double bytes)
{
	size_t i = ARRAY_SIZE(scales) - 1;

	while (i && bytes < 10 * scales[i].bytes)
		i--;
	return &scales[i];
}

void progress_start(struct progress *p, const char *what, __u64 total, unsigned int devices)
{
	memset(p, 0, sizeof(*p));
	p->what = what;
	p->total = total;
	p->devices = devices;
	p->started = now_ns();
	p->terminal = isatty(STDERR_FILENO);
	p->off = opt_quiet || (opt_json && !p->terminal);
}

static int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return size.ws_col;
}

static void draw(struct progress *p, __u64 done, unsigned int percent, __u64 now)
{
	const struct scale *scale = scale_of(p->total ? p->total : done), *per;
	double rate = done * 1e9 / (now - p->started + 1);
	int width = columns(), len = 0, bar, fill;
	char line[200];

#define add(...) (len += snprintf(line + len, sizeof(line) - len, __VA_ARGS__))
	add("%s", p->what);
	if (p->total)
		add(" %3u%%", percent);
	if (p->total && p->terminal && width >= 70) {
		bar = width < 90 ? 10 : 30;
		fill = bar * percent / 100;
		add(" [%.*s%.*s]", fill, BAR, bar - fill, NO_BAR);
	}
	add("  %.0f", done / scale->bytes);
	if (p->total)
		add("/%.0f", p->total / scale->bytes);
	per = scale_of(rate);
	add(" %s  %.0f %s/s", scale->name, rate / per->bytes, per->name);
	if (p->devices)
		add("  %u device%s", p->devices, plural(p->devices));
#undef add

	if (p->terminal)
		fprintf(stderr, "\r%.*s\033[K", width - 1, line);
	else
		fprintf(stderr, "%s\n", line);
}

void progress_show(struct progress *p, __u64 done)
{
	unsigned int percent = 0;
	__u64 now = now_ns();
	bool due;

	if (p->off)
		return;
	if (p->total)
		percent = done < p->total ? 100.0 * done / p->total : 100;
	if (p->terminal)
		due = !p->drawn || now - p->drawn >= REDRAW_NS;
	else if (p->total)
		due = percent / 10 > p->tenth;
	else
		due = now - (p->drawn ? p->drawn : p->started) >= LINE_NS;
	if (!due)
		return;
	p->tenth = percent / 10;
	p->drawn = now;
	draw(p, done, percent, now);
}

void progress_end(struct progress *p)
{
	if (p->terminal && p->drawn)
		fputs("\r\033[K", stderr);
	p->off = true;
}
