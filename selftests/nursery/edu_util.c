// SPDX-License-Identifier: GPL-2.0-only
/* See edu_util.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "edu_util.h"

#define PCI	"/sys/bus/pci"

static unsigned int read_id(const char *addr, const char *name)
{
	char path[PATH_MAX];
	unsigned int id = 0;
	FILE *f;

	snprintf(path, sizeof(path), PCI "/devices/%s/%s", addr, name);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%x", &id) != 1)
		id = 0;
	fclose(f);
	return id;
}

static int by_address(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void edu_find(struct edu_devices *devices)
{
	struct dirent **names;
	int nr, i;

	devices->nr = 0;
	nr = scandir(PCI "/devices", &names, NULL, by_address);
	for (i = 0; i < nr; i++) {
		if (devices->nr < EDU_MAX && strlen(names[i]->d_name) < 16 &&
		    read_id(names[i]->d_name, "vendor") == 0x1234 &&
		    read_id(names[i]->d_name, "device") == 0x11e8)
			strcpy(devices->addr[devices->nr++], names[i]->d_name);
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
}

/* Have all devices driven by the sample driver, whatever was before. */
int edu_start(struct edu_devices *devices)
{
	unsigned int i;
	int err;

	edu_find(devices);
	if (devices->nr && shell("modprobe " EDU_DRIVER))
		return -ENODEV;
	for (i = 0; i < devices->nr; i++) {
		if (edu_driven_by(devices->addr[i], EDU_DRIVER))
			continue;
		err = edu_bind(devices->addr[i], EDU_DRIVER);
		if (err)
			return err;
	}
	return 0;
}

bool edu_driven_by(const char *addr, const char *driver)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/devices/%s/driver", addr);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	return !strcmp(basename(target), driver);
}

static int write_driver(const char *driver, const char *file, const char *addr)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI "/drivers/%s/%s", driver, file);
	return write_file(path, addr, SOON_MS);
}

int edu_bind(const char *addr, const char *driver)
{
	return write_driver(driver, "bind", addr);
}

int edu_unbind(const char *addr, const char *driver)
{
	return write_driver(driver, "unbind", addr);
}

void edu_fill(void *data, size_t len, unsigned int seed)
{
	unsigned char *byte = data;

	while (len--) {
		seed = seed * 1103515245 + 12345;
		*byte++ = seed >> 16;
	}
}

/* Send a chunk of the buffer's first half to its place in the second half. */
int edu_spawn(int fd, unsigned int chunk, unsigned int nr_chunks)
{
	return spawn(fd, NULL, chunk, EDU_OP, chunk * EDU_CHUNK,
		     (nr_chunks + chunk) * EDU_CHUNK, EDU_CHUNK);
}

/* Copy so many chunks in a file of our own, and compare. 0, or what went wrong. */
int edu_copies(unsigned int nr_chunks, unsigned int seed, int ms)
{
	size_t len = nr_chunks * EDU_CHUNK;
	struct nursery_record *records = calloc(nr_chunks, sizeof(*records));
	int fd = open_nursery(0), err = 0;
	unsigned int i;
	char *map;

	map = map_buffer(fd, 2 * len);
	if (!records || !map)
		return -ENOMEM;
	edu_fill(map, len, seed);
	for (i = 0; i < nr_chunks && !err; i++)
		err = edu_spawn(fd, i, nr_chunks);
	if (!err && read_records(fd, records, nr_chunks, ms) != (int)nr_chunks)
		err = -ETIMEDOUT;
	for (i = 0; i < nr_chunks && !err; i++)
		err = records[i].result;
	if (!err && memcmp(map, map + len, len))
		err = -EILSEQ;
	munmap(map, 2 * len);
	close(fd);
	free(records);
	return err;
}

/* Calls that have not finished, and how many devices have some. */
unsigned int edu_pending(int fd, unsigned int *providers)
{
	struct nursery_op_entry *ops;
	unsigned int pending = 0;
	__u32 nr, i;

	*providers = 0;
	ops = list_ops(fd, &nr);
	for (i = 0; i < nr; i++) {
		if (strcmp(ops[i].name, EDU_OP))
			continue;
		*providers += ops[i].pending != 0;
		pending += ops[i].pending;
	}
	free(ops);
	return pending;
}

/* Transfers that are in the devices now. */
unsigned int edu_transfers(int fd)
{
	struct nursery_entry *list;
	unsigned int transfers = 0;
	__u32 nr, i;

	list = list_entries(fd, NURSERY_LIST_ALL, &nr);
	for (i = 0; i < nr; i++)
		transfers += list[i].kind == NURSERY_ENTRY_EXTERNAL && !list[i].id;
	free(list);
	return transfers;
}
