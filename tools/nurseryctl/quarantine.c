// SPDX-License-Identifier: GPL-2.0-only
/*
 * nurseryctl quarantine: memory that the kernel keeps since hardware that may use it could
 * not be stopped.
 *
 * The kernel shows it in debugfs, a line for each nursery and device; the name of the nursery
 * comes last, as it may have blanks.
 */
#include <time.h>
#include <unistd.h>
#include "nurseryctl.h"

#define QUARANTINE	"/sys/kernel/debug/nursery/quarantine"

static const char help[] =
"Usage: nurseryctl quarantine [OPTION]...\n"
"List memory that is kept, as the hardware that may use it could not be stopped.\n"
"Needs root, and debugfs.\n"
"\n"
"Options:\n"
"      --json     print one JSON object\n"
"  -q, --quiet    leave out the line with the names of the columns\n"
"  -h, --help     print this help\n"
"      --version  print the version\n"
"\n"
"The columns are separated by blanks; only the last one, the name of the nursery,\n"
"may hold blanks. The driver releases what it has to keep when it has reset the\n"
"device.\n"
"\n"
"Examples:\n"
"  nurseryctl quarantine\n"
"  nurseryctl quarantine -q | awk '{ sum += $3 } END { print sum + 0 }'    # bytes\n"
"\n"
"Exit codes:\n"
"  0  done, also if nothing is in quarantine\n"
"  2  the module is not loaded, there is no debugfs, or this is not root\n";

struct record {
	char device[64];
	unsigned long long buffers, bytes;
	long long since;
	const char *nursery;
};

/* A line of the kernel's; its end is cut off. */
static bool parse(char *line, struct record *r)
{
	int name = 0;

	line[strcspn(line, "\n")] = '\0';
	make_printable(line, strlen(line) + 1);
	if (sscanf(line, "%63s %llu %llu %lld%n", r->device, &r->buffers, &r->bytes, &r->since,
		   &name) != 4 || line[name] != ' ')
		return false;
	r->nursery = line + name + 1;
	return true;
}

static struct json_object *record_json(const struct record *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "device", json_object_new_string(r->device));
	json_object_object_add(o, "nursery", json_object_new_string(r->nursery));
	json_object_object_add(o, "buffers", json_object_new_uint64(r->buffers));
	json_object_object_add(o, "bytes", json_object_new_uint64(r->bytes));
	json_object_object_add(o, "since", json_object_new_int64(r->since));
	return o;
}

static void print_record(const struct record *r)
{
	char since[32] = "-";
	time_t when = r->since;
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%S", &tm);
	printf("%-16s %7llu %10llu %-19s %s\n", r->device, r->buffers, r->bytes, since,
	       r->nursery);
}

static FILE *open_listing(void)
{
	struct nursery_info info;
	FILE *file;

	/* It says what is wrong if that is the module, or who we are. */
	close(device_open(&info));
	file = fopen(QUARANTINE, "re");
	if (!file && errno == ENOENT)
		die(EXIT_USAGE, "%s: not there: mount -t debugfs none /sys/kernel/debug",
		    QUARANTINE);
	if (!file)
		die(EXIT_USAGE, "%s: %s", QUARANTINE, strerror(errno));
	return file;
}

static int quarantine_main(int argc, char **argv)
{
	struct json_object *all, *array = NULL;
	struct record record;
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	while (next_option(argc, argv, NULL) != -1)
		;
	if (optind < argc)
		die(EXIT_USAGE, "%s: quarantine takes no arguments; see --help", argv[optind]);

	file = open_listing();
	if (opt_json)
		array = json_object_new_array();
	else if (!opt_quiet)
		printf("%-16s %7s %10s %-19s %s\n", "DEVICE", "BUFFERS", "BYTES", "SINCE",
		       "NURSERY");
	errno = 0;
	while (getline(&line, &size, file) >= 0) {
		if (!parse(line, &record))
			die(EXIT_USAGE, "%s: '%s' is of another version of the module",
			    QUARANTINE, line);
		if (opt_json)
			json_object_array_add(array, record_json(&record));
		else
			print_record(&record);
	}
	if (ferror(file))
		die(EXIT_USAGE, "%s: %s", QUARANTINE, strerror(errno));
	fclose(file);
	free(line);
	if (opt_json) {
		all = json_object_new_object();
		json_object_object_add(all, "quarantine", array);
		print_json(all);
	}
	return EXIT_SUCCESS;
}

const struct command cmd_quarantine = {
	"quarantine", "list memory that hardware may still use", help, quarantine_main,
};
