// SPDX-License-Identifier: GPL-2.0-only
/*
 * nurseryctl: nurseries from the command line.
 *
 * This file has the table of subcommands and what they have in common: the
 * options, messages of one line, and noticing that stdout could not be
 * written. The options are read with getopt_long() rather than argp: every C
 * library has it, and it leaves the help text, the one line per mistake and
 * the exit codes to us.
 */
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>
#include "nurseryctl.h"

enum { OPT_JSON = 256, OPT_VERSION };

static const struct command *const commands[] = {
	&cmd_run, &cmd_edu_copy, &cmd_nvme_read, &cmd_tree, &cmd_list, &cmd_cancel,
	&cmd_quarantine,
};

static const struct command *current;

bool opt_json;
bool opt_quiet;

static void complain_v(const char *format, va_list args)
{
	fputs("nurseryctl: ", stderr);
	if (current)
		fprintf(stderr, "%s: ", current->name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

/* Say in one line what was wrong and what to do. */
void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_v(format, args);
	va_end(args);
}

void die(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_v(format, args);
	va_end(args);
	exit(code);
}

/* For what malloc() and its like return. */
void *must(void *memory)
{
	if (!memory)
		die(EXIT_USAGE, "out of memory");
	return memory;
}

/* Print the one document of a command, and release it. */
void print_json_to(FILE *file, struct json_object *object)
{
	int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
		    JSON_C_TO_STRING_NOSLASHESCAPE;

	json_c_set_serialization_double_format("%.6f", JSON_C_OPTION_GLOBAL);
	fprintf(file, "%s\n", json_object_to_json_string_ext(object, flags));
	json_object_put(object);
}

void print_json(struct json_object *object)
{
	print_json_to(stdout, object);
}

/* The exit code, once stdout is known to have taken everything. */
static int finish(int code)
{
	if (fflush(stdout) || ferror(stdout)) {
		complain("standard output: %s; part of the output is lost", strerror(errno));
		return code ? code : EXIT_USAGE;
	}
	return code;
}

static void print_help(void)
{
	size_t i;

	if (current) {
		fputs(current->help, stdout);
		return;
	}
	puts("Usage: nurseryctl COMMAND [OPTION]... [ARGUMENT]...\n"
	     "See and use the kernel's nurseries: scopes that own asynchronous work.\n"
	     "\n"
	     "Commands:");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s  %s\n", commands[i]->name, commands[i]->summary);
	puts("\n"
	     "Options:\n"
	     "      --json     print one JSON document instead of text\n"
	     "  -q, --quiet    print errors only\n"
	     "  -h, --help     print this help, after a command the command's\n"
	     "      --version  print the version\n"
	     "\n"
	     "Examples:\n"
	     "  nurseryctl edu-copy --help\n"
	     "  nurseryctl run sleep:1s sleep:2s\n"
	     "\n"
	     "Exit codes:\n"
	     "  0      done\n"
	     "  1      the work failed\n"
	     "  2      the arguments are wrong, or the module, a device or a right is missing\n"
	     "  128+N  cancelled by signal N");
}

/*
 * The next option of those in extra, whose values are their short forms, and
 * of those of every command, which are dealt with here. -1: no more.
 */
int next_option(int argc, char **argv, const struct option *extra)
{
	static const struct option common[] = {
		{ "json",    no_argument, NULL, OPT_JSON },
		{ "quiet",   no_argument, NULL, 'q' },
		{ "help",    no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
	};
	struct option all[16] = { 0 };
	const char *dash = current ? "" : "+";	/* the command's are not ours */
	char letters[40];
	size_t nr, len;
	int c;

	memcpy(all, common, sizeof(common));
	nr = ARRAY_SIZE(common);
	len = snprintf(letters, sizeof(letters), "%s:qh", dash);
	for (; extra && extra->name; extra++) {
		all[nr++] = *extra;
		len += snprintf(letters + len, sizeof(letters) - len, "%c%s", extra->val,
				extra->has_arg ? ":" : "");
	}

	opterr = 0;
	for (;;) {
		c = getopt_long(argc, argv, letters, all, NULL);
		switch (c) {
		case OPT_JSON:
			opt_json = true;
			break;
		case 'q':
			opt_quiet = true;
			break;
		case 'h':
			print_help();
			exit(finish(EXIT_SUCCESS));
		case OPT_VERSION:
			printf("nurseryctl %s (nursery ABI %d)\n", VERSION, NURSERY_ABI_VERSION);
			exit(finish(EXIT_SUCCESS));
		case ':':
			die(EXIT_USAGE, "%s: a value is missing; --help tells which",
			    argv[optind - 1]);
		case '?':
			if (optopt > 0 && optopt < OPT_JSON)
				die(EXIT_USAGE, "-%c: bad option; see --help", optopt);
			die(EXIT_USAGE, "%s: bad option; see --help", argv[optind - 1]);
		default:
			return c;
		}
	}
}

/*
 * A file of ours must not get the number of a standard stream. In the place of
 * a closed stdout comes one that cannot be written, which is then noticed.
 */
static void fill_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *name;
	size_t i;

	fill_standard_streams();
	setlocale(LC_CTYPE, "");
	if (next_option(argc, argv, NULL) != -1 || optind == argc)
		die(EXIT_USAGE, "no command given; nurseryctl --help lists them");

	name = argv[optind];
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i]->name))
			current = commands[i];
	if (!current)
		die(EXIT_USAGE, "%s: no such command; nurseryctl --help lists them", name);

	argc -= optind;
	argv += optind;
	optind = 0;	/* start again */
	return finish(current->run(argc, argv));
}
