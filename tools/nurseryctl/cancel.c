// SPDX-License-Identifier: GPL-2.0-only
/*
 * nurseryctl cancel: ask nurseries or children to stop, by id. It does not
 * wait; their owners do.
 */
#include <unistd.h>
#include "nurseryctl.h"

static const char help[] =
"Usage: nurseryctl cancel [OPTION]... ID...\n"
"Cancel nurseries or children, whoever they belong to, by the ids that\n"
"nurseryctl tree shows. What is below a nursery is cancelled with it. Needs\n"
"root. The command does not wait until they have finished.\n"
"\n"
"Options:\n"
"  -c, --cause ERRNO  what the join of a nursery is to return, such as ETIMEDOUT\n"
"      --json         print one JSON object\n"
"  -q, --quiet        print errors only\n"
"  -h, --help         print this help\n"
"      --version      print the version\n"
"\n"
"Examples:\n"
"  nurseryctl cancel 12\n"
"  nurseryctl cancel --cause ETIMEDOUT 12 15\n"
"\n"
"Exit codes:\n"
"  0  all of them have been asked to stop\n"
"  1  an ID is not there (any more), or cannot be cancelled\n"
"  2  an argument is wrong, the module is not loaded, or this is not root\n";

static int cancel_one(int fd, const char *id, int cause, struct json_object *done)
{
	__u64 number;
	int err;

	parse_id(id, &number);
	err = device_cancel(fd, number, cause);
	switch (err) {
	case 0:
		json_object_array_add(done, json_object_new_uint64(number));
		if (!opt_json && !opt_quiet)
			printf("%s: asked to stop\n", id);
		return EXIT_SUCCESS;
	case -EPERM:
	case -EACCES:
		complain("%s: is not yours: needs root (CAP_SYS_ADMIN)", id);
		return EXIT_USAGE;
	case -ENOENT:
		complain("%s: nothing (any more) has that id; nurseryctl tree shows what there is",
			 id);
		return EXIT_WORK;
	default:
		complain("%s: cannot be cancelled: %s%s", id, strerror(-err),
			 cause ? "; a cause is only for nurseries" : "");
		return EXIT_WORK;
	}
}

static int cancel_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cause", required_argument, NULL, 'c' },
		{ 0 }
	};
	struct json_object *all, *done;
	struct nursery_info info;
	int cause = 0, code = EXIT_SUCCESS, fd, i, ret;
	__u64 id;

	while (next_option(argc, argv, options) != -1)
		if (parse_errno(optarg, &cause))
			die(EXIT_USAGE, "--cause %s: not an error; give a name like ETIMEDOUT",
			    optarg);
	if (optind == argc)
		die(EXIT_USAGE, "no id given; nurseryctl tree shows them");
	for (i = optind; i < argc; i++)
		if (parse_id(argv[i], &id))
			die(EXIT_USAGE, "%s: not an id; nurseryctl tree shows them", argv[i]);

	fd = device_open(&info);
	done = json_object_new_array();
	for (i = optind; i < argc; i++) {
		ret = cancel_one(fd, argv[i], -cause, done);
		if (ret > code)
			code = ret;
	}
	close(fd);

	all = json_object_new_object();
	json_object_object_add(all, "cancelled", done);
	if (opt_json)
		print_json(all);
	else
		json_object_put(all);
	return code;
}

const struct command cmd_cancel = {
	"cancel", "ask a nursery or a child to stop", help, cancel_main,
};
