// SPDX-License-Identifier: GPL-2.0-only
/*
 * nurseryctl tree and list: what nurseries there are, who runs in them, and
 * which operations have been registered.
 *
 * The kernel gives one flat list in pre-order with the depth of each entry;
 * the shape of the tree follows from that. The nursery of this program's own
 * file is left out.
 */
#include <langinfo.h>
#include <unistd.h>
#include "nurseryctl.h"

static const char tree_help[] =
"Usage: nurseryctl tree [OPTION]...\n"
"Show the nurseries and children of the whole system as a tree. Needs root.\n"
"\n"
"Options:\n"
"  -a, --all      the whole system; this is the default\n"
"      --json     print one JSON object, with the children inside their nurseries\n"
"  -q, --quiet    print nothing\n"
"  -h, --help     print this help\n"
"      --version  print the version\n"
"\n"
"Examples:\n"
"  nurseryctl tree\n"
"  watch -n 0.5 nurseryctl tree\n"
"\n"
"Exit codes:\n"
"  0  done\n"
"  2  the module is not loaded, or this is not root\n";

static const char list_help[] =
"Usage: nurseryctl list [OPTION]...\n"
"List the nurseries of the whole system, one on a line. Needs root.\n"
"\n"
"Options:\n"
"  -o, --ops      list the operations that nurseryctl run can use instead\n"
"      --json     print one JSON object\n"
"  -q, --quiet    leave out the line with the names of the columns\n"
"  -h, --help     print this help\n"
"      --version  print the version\n"
"\n"
"The columns are separated by blanks. Only the last one may be empty or hold\n"
"blanks; elsewhere - stands for none and _ for a blank. PARENT is the nursery\n"
"around it; DEADLINE is in seconds from now.\n"
"\n"
"Examples:\n"
"  nurseryctl list --ops\n"
"  nurseryctl list -q | awk '$4 > 0 { print $1 }'    # those with children\n"
"\n"
"Exit codes:\n"
"  0  done\n"
"  2  the module is not loaded, or this is not root\n";

/* All entries but our own. The caller frees them. */
static struct nursery_entry *system_list(__u32 *nr)
{
	struct nursery_entry *list;
	struct nursery_info info;
	__u32 i, kept = 0;
	int fd;

	fd = device_open(&info);
	list = device_list(fd, NURSERY_LIST_ALL, nr);
	close(fd);
	for (i = 0; i < *nr; i++)
		if (list[i].kind != NURSERY_ENTRY_NURSERY || list[i].id != info.id)
			list[kept++] = list[i];
	*nr = kept;
	return list;
}

static const char *kind_name(const struct nursery_entry *e)
{
	switch (e->kind) {
	case NURSERY_ENTRY_NURSERY:
		return "nursery";
	case NURSERY_ENTRY_CHILD:
		return "child";
	case NURSERY_ENTRY_EXTERNAL:
		return "external";
	default:
		return "unknown";
	}
}

static const char *state_name(const struct nursery_entry *e)
{
	switch (e->state) {
	case NURSERY_STATE_OPEN:
		return "open";
	case NURSERY_STATE_RELEASING:
		return "releasing";
	case NURSERY_STATE_WAITING:
		return "waiting";
	case NURSERY_STATE_QUEUED:
		return "queued";
	case NURSERY_STATE_RUNNING:
		return "running";
	case NURSERY_STATE_PARKED:
		return "parked";
	default:
		return "unknown";
	}
}

/* Seconds from now; negative when it has passed. */
static double deadline_in(const struct nursery_entry *e, __u64 now)
{
	return (int64_t)(e->deadline - now) / 1e9;
}

/* "no", "yes", or why */
static const char *cancelled_name(const struct nursery_entry *e)
{
	if (!(e->flags & NURSERY_ENTRY_CANCELLED))
		return "no";
	return e->cause ? errno_name(e->cause) : "yes";
}

static struct json_object *entry_json(const struct nursery_entry *e, __u64 now)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "id", json_object_new_uint64(e->id));
	json_object_object_add(o, "nursery", json_object_new_uint64(e->nursery));
	json_object_object_add(o, "kind", json_object_new_string(kind_name(e)));
	json_object_object_add(o, "name", json_object_new_string(e->name));
	json_object_object_add(o, "state", json_object_new_string(state_name(e)));
	json_object_object_add(o, "nr_children", json_object_new_int64(e->nr_children));
	json_object_object_add(o, "nr_resources", json_object_new_int64(e->nr_resources));
	json_object_object_add(o, "pid", e->pid ? json_object_new_int(e->pid) : NULL);
	json_object_object_add(o, "deadline_in", e->deadline ?
			       json_object_new_double(deadline_in(e, now)) : NULL);
	json_object_object_add(o, "cancelled",
			       json_object_new_boolean(e->flags & NURSERY_ENTRY_CANCELLED));
	json_object_object_add(o, "cause", e->cause ?
			       json_object_new_string(errno_name(e->cause)) : NULL);
	return o;
}

static void print_entry(const struct nursery_entry *e, __u64 now)
{
	double left = deadline_in(e, now);

	if (e->kind == NURSERY_ENTRY_NURSERY)
		printf("%s  id %llu  %s  %u child%s  %u resource%s", e->name,
		       e->id, state_name(e), e->nr_children,
		       e->nr_children == 1 ? "" : "ren", e->nr_resources,
		       plural(e->nr_resources));
	else if (e->id)
		printf("%s  id %llu  %s", e->name, e->id, state_name(e));
	else
		printf("%s  %s", e->name, state_name(e));
	if (e->kind == NURSERY_ENTRY_EXTERNAL)
		printf("  external");
	if (e->deadline && left > 0)
		printf("  deadline in %.1f s", left);
	else if (e->deadline)
		printf("  deadline passed");
	if (e->pid)
		printf("  pid %d", e->pid);
	if (e->flags & NURSERY_ENTRY_CANCELLED)
		printf("  cancelled%s%s%s", e->cause ? " (" : "",
		       e->cause ? errno_name(e->cause) : "", e->cause ? ")" : "");
	putchar('\n');
}

/* Does another entry with the same parent follow list[i] (at depth)? */
static bool has_sibling(const struct nursery_entry *list, __u32 nr, __u32 i, __u32 depth)
{
	while (++i < nr && list[i].depth > depth)
		;
	return i < nr && list[i].depth == depth;
}

static void print_tree(const struct nursery_entry *list, __u32 nr, __u64 now)
{
	bool utf8 = isatty(STDOUT_FILENO) && !strcmp(nl_langinfo(CODESET), "UTF-8");
	__u32 i, depth, max = 0;
	bool *more;	/* for each depth on the way here: are there siblings to come */

	for (i = 0; i < nr; i++)
		if (list[i].depth > max)
			max = list[i].depth;
	more = must(calloc(max + 1, sizeof(*more)));

	for (i = 0; i < nr; i++) {
		for (depth = 1; depth < list[i].depth; depth++)
			fputs(!more[depth] ? "   " : utf8 ? "│  " : "|  ", stdout);
		more[depth] = has_sibling(list, nr, i, list[i].depth);
		if (list[i].depth && more[depth])
			fputs(utf8 ? "├─ " : "|- ", stdout);
		else if (list[i].depth)
			fputs(utf8 ? "└─ " : "`- ", stdout);
		print_entry(&list[i], now);
	}
	free(more);
}

/* The entries of one depth from list[*i] on, each with what is below it. */
static struct json_object *tree_json(const struct nursery_entry *list, __u32 nr, __u32 *i,
				     __u64 now)
{
	struct json_object *array = json_object_new_array(), *object;
	__u32 depth = *i < nr ? list[*i].depth : 0;

	while (*i < nr && list[*i].depth >= depth) {
		object = entry_json(&list[(*i)++], now);
		json_object_array_add(array, object);
		if (*i < nr && list[*i].depth > depth)
			json_object_object_add(object, "children", tree_json(list, nr, i, now));
		else
			json_object_object_add(object, "children", json_object_new_array());
	}
	return array;
}

static int tree_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ 0 }
	};
	__u64 now = now_ns();
	struct nursery_entry *list;
	struct json_object *all;
	__u32 nr, i = 0;

	while (next_option(argc, argv, options) != -1)
		;
	if (optind < argc)
		die(EXIT_USAGE, "%s: tree takes no arguments; see --help", argv[optind]);

	list = system_list(&nr);
	if (opt_json) {
		all = json_object_new_object();
		json_object_object_add(all, "tree", tree_json(list, nr, &i, now));
		print_json(all);
	} else if (!opt_quiet) {
		print_tree(list, nr, now);
		if (!nr)
			puts("no nurseries");
	}
	free(list);
	return EXIT_SUCCESS;
}

static void print_list(const struct nursery_entry *list, __u32 nr, __u64 now)
{
	const struct nursery_entry *e;
	char parent[24], deadline[32], pid[16];

	if (!opt_quiet)
		printf("%6s %6s %-9s %8s %9s %10s %7s %-10s %s\n", "ID", "PARENT", "STATE",
		       "CHILDREN", "RESOURCES", "DEADLINE", "PID", "CANCELLED", "NAME");
	for (e = list; e < list + nr; e++) {
		if (e->kind != NURSERY_ENTRY_NURSERY)
			continue;
		snprintf(parent, sizeof(parent), e->nursery ? "%llu" : "-",
			 e->nursery);
		snprintf(deadline, sizeof(deadline), e->deadline ? "%.3f" : "-",
			 deadline_in(e, now));
		snprintf(pid, sizeof(pid), e->pid ? "%d" : "-", e->pid);
		printf("%6llu %6s %-9s %8u %9u %10s %7s %-10s %s\n", e->id,
		       parent, state_name(e), e->nr_children, e->nr_resources, deadline, pid,
		       cancelled_name(e), e->name);
	}
}

static void print_list_json(const struct nursery_entry *list, __u32 nr, __u64 now)
{
	struct json_object *all = json_object_new_object(), *array = json_object_new_array();
	__u32 i;

	for (i = 0; i < nr; i++)
		if (list[i].kind == NURSERY_ENTRY_NURSERY)
			json_object_array_add(array, entry_json(&list[i], now));
	json_object_object_add(all, "nurseries", array);
	print_json(all);
}

/* For a column that is not the last. */
static const char *one_word(char *text)
{
	char *c;

	for (c = text; *c; c++)
		if (*c == ' ')
			*c = '_';
	return *text ? text : "-";
}

static void list_ops(void)
{
	struct json_object *all, *array, *object;
	struct nursery_op_entry *ops, *op;
	struct nursery_info info;
	__u32 nr;
	int fd;

	fd = device_open(&info);
	ops = device_ops(fd, &nr);
	close(fd);

	if (opt_json) {
		array = json_object_new_array();
		for (op = ops; op < ops + nr; op++) {
			object = json_object_new_object();
			json_object_object_add(object, "name", json_object_new_string(op->name));
			json_object_object_add(object, "provider",
					       json_object_new_string(op->provider));
			json_object_object_add(object, "usage", json_object_new_string(op->usage));
			json_object_object_add(object, "nr_args",
					       json_object_new_int64(op->nr_args));
			json_object_object_add(object, "pending",
					       json_object_new_int64(op->pending));
			json_object_array_add(array, object);
		}
		all = json_object_new_object();
		json_object_object_add(all, "operations", array);
		print_json(all);
	} else {
		if (!opt_quiet)
			printf("%-16s %-24s %7s %s\n", "OPERATION", "PROVIDER", "PENDING", "USAGE");
		for (op = ops; op < ops + nr; op++)
			printf("%-16s %-24s %7u %s\n", one_word(op->name),
			       one_word(op->provider), op->pending, op->usage);
	}
	free(ops);
}

static int list_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", no_argument, NULL, 'o' },
		{ 0 }
	};
	struct nursery_entry *list;
	bool ops = false;
	__u32 nr;

	while (next_option(argc, argv, options) != -1)
		ops = true;
	if (optind < argc)
		die(EXIT_USAGE, "%s: list takes no arguments; see --help", argv[optind]);
	if (ops) {
		list_ops();
		return EXIT_SUCCESS;
	}

	list = system_list(&nr);
	if (opt_json)
		print_list_json(list, nr, now_ns());
	else
		print_list(list, nr, now_ns());
	free(list);
	return EXIT_SUCCESS;
}

const struct command cmd_tree = {
	"tree", "show all nurseries and their children as a tree", tree_help, tree_main,
};

const struct command cmd_list = {
	"list", "list nurseries, or operations (--ops)", list_help, list_main,
};
