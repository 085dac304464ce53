// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that appears whole or not at all.
 *
 * What is written goes to a file without a name (O_TMPFILE), of which nothing
 * is left however the program ends, or where the file system has no such
 * thing, to a hidden one that output_discard() removes. output_commit() has it
 * on the disk before it gets its name. That takes two steps, since a link
 * cannot replace a file but a rename can.
 */
#include <fcntl.h>
#include <libgen.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "nurseryctl.h"

/* A new hidden name beside the file's: .NAME.nursery-XXXXXXXX. */
static char *temp_name(const char *path)
{
	char *dir = must(strdup(path)), *base = must(strdup(path));
	__u32 number = 0;
	char *name;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = now_ns();
	if (asprintf(&name, "%s/.%.200s.nursery-%08x", dirname(dir), basename(base), number) < 0)
		must(NULL);
	free(dir);
	free(base);
	return name;
}

/* 0, or a negative errno with nothing to discard. */
int output_open(struct output *o, const char *path)
{
	char *dir;
	int err;

	o->temp = NULL;
	o->path = realpath(path, NULL);		/* through a symbolic link */
	if (!o->path)
		o->path = must(strdup(path));

	dir = must(strdup(o->path));
	o->fd = open(dirname(dir), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	free(dir);
	if (o->fd < 0) {
		o->temp = temp_name(o->path);
		o->fd = open(o->temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	}
	if (o->fd >= 0)
		return 0;
	err = -errno;
	free(o->temp);
	free(o->path);
	o->path = NULL;
	return err;
}

int output_write(struct output *o, const void *data, size_t len, __u64 offset)
{
	ssize_t done;

	while (len) {
		done = pwrite(o->fd, data, len, offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		data += done;
		len -= done;
		offset += done;
	}
	return 0;
}

/* Owner and mode of the file that is replaced, else what a new one gets. */
static int set_mode(struct output *o)
{
	mode_t mode, mask;
	struct stat old;

	if (!stat(o->path, &old)) {
		mode = old.st_mode & 07777;
		if (fchown(o->fd, old.st_uid, old.st_gid))
			mode &= 0777;
	} else {
		mask = umask(0);
		umask(mask);
		mode = 0666 & ~mask;
	}
	return fchmod(o->fd, mode);
}

static int give_name(struct output *o)
{
	char proc[40], *name;
	int ret;

	if (o->temp)
		return 0;
	name = temp_name(o->path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", o->fd);
	ret = linkat(AT_FDCWD, proc, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
	if (ret && errno == ENOENT)	/* no /proc */
		ret = linkat(o->fd, "", AT_FDCWD, name, AT_EMPTY_PATH);
	if (ret)
		free(name);
	else
		o->temp = name;
	return ret;
}

/* 0, or a negative errno and everything is as before. */
int output_commit(struct output *o)
{
	if (set_mode(o) || fsync(o->fd) || give_name(o) || rename(o->temp, o->path)) {
		int err = -errno;

		output_discard(o);
		return err;
	}
	free(o->temp);
	o->temp = NULL;
	output_discard(o);
	return 0;
}

/* Also when there is nothing any more. */
void output_discard(struct output *o)
{
	if (!o->path)
		return;
	if (o->temp)
		unlink(o->temp);
	close(o->fd);
	free(o->temp);
	free(o->path);
	o->temp = NULL;
	o->path = NULL;
}
