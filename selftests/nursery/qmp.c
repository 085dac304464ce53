// SPDX-License-Identifier: GPL-2.0-only
/* See qmp.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include "qmp.h"

#define PORTS	"/sys/class/virtio-ports"
#define SLOTS	"/sys/bus/pci/slots"

static bool reads(const char *path, const char *want)
{
	char text[32] = "";
	FILE *f = fopen(path, "r");
	bool same = false;

	if (f) {
		same = fgets(text, sizeof(text), f) && !strncmp(text, want, strlen(want));
		fclose(f);
	}
	return same;
}

/* The entry of @dir whose @file begins with @want, in @name; false: there is none. */
static bool find_entry(const char *dir, const char *file, const char *want, char *name, size_t len)
{
	struct dirent *entry;
	char path[PATH_MAX];
	bool found = false;
	DIR *d = opendir(dir);

	while (d && !found && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, entry->d_name, file);
		found = entry->d_name[0] != '.' && reads(path, want);
		if (found)
			snprintf(name, len, "%.*s", (int)len - 1, entry->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* One line of the monitor's within @ms. */
static int read_line(int fd, char *line, size_t size, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len < size - 1) {
		if (poll(&p, 1, ms) < 1)
			return -ETIMEDOUT;
		if (read(fd, line + len, 1) != 1)
			return -EIO;
		if (line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	return 0;
}

/* The port, or -ENODEV: this machine has none. */
int qmp_open(void)
{
	char name[64], path[80];
	int fd;

	if (!find_entry(PORTS, "name", "qmp\n", name, sizeof(name)))
		return -ENODEV;
	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* One session for all of the guest's life: whoever is not the first is told so. */
	qmp(fd, "qmp_capabilities", "'enable': []");
	return fd;
}

/*
 * Have QEMU execute a command, with arguments as in "'id': 'edu%d'", and wait for its answer;
 * events, and answers that nobody has read, are passed over. 0; -EREMOTEIO: QEMU refused it;
 * -ETIMEDOUT.
 */
int qmp(int fd, const char *command, const char *format, ...)
{
	static unsigned int last;
	char line[4096], id[32], arguments[256];
	va_list args;
	int len, err;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	snprintf(id, sizeof(id), "\"%d-%u\"", getpid(), ++last);
	len = snprintf(line, sizeof(line), "{'execute': '%s', 'arguments': {%s}, 'id': %s}\n",
		       command, arguments, id);
	if (write(fd, line, len) != len)
		return -EIO;
	do {
		err = read_line(fd, line, sizeof(line), SOON_MS);
	} while (!err && !strstr(line, id));
	return err ?: strstr(line, "\"error\"") ? -EREMOTEIO : 0;
}

/* The number of the slot that a device is in, or -ENOENT: its bus cannot be hot-plugged. */
int slot_of(const char *addr)
{
	char want[16], name[16];

	/* a slot has an address without a function */
	snprintf(want, sizeof(want), "%.10s\n", addr);
	if (!find_entry(SLOTS, "address", want, name, sizeof(name)))
		return -ENOENT;
	return atoi(name);
}

int slot_power_off(int slot)
{
	char path[64];

	snprintf(path, sizeof(path), SLOTS "/%d/power", slot);
	return write_file(path, "0", 2 * SOON_MS);
}

/* Where the PCI Express capability is in a configuration space; 0: nowhere. */
static unsigned int find_express(int fd)
{
	unsigned char at = 0, cap[2] = { 0 };

	if (pread(fd, &at, 1, PCI_CAPABILITY_LIST) != 1)
		return 0;
	while (at && pread(fd, cap, 2, at) == 2 && cap[0] != PCI_CAP_ID_EXP)
		at = cap[1];
	return at;
}

#define SLOT_OFF	(PCI_EXP_SLTCTL_PWR_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF)

static bool is_off(int fd, unsigned int at)
{
	__u16 control;

	return pread(fd, &control, 2, at) == 2 && (control & SLOT_OFF) == SLOT_OFF;
}

/*
 * Surprise: the device is gone before anybody hears of it. QEMU's device_del presses the
 * slot's attention button, and takes the card when the driver has let go of it, as
 * decent people do. But it also takes the card, at once, from a slot whose power and
 * power indicator go off. So both are turned off behind the back of the slot's driver, with
 * the slot's interrupt off; and then all is as before but for the card, which is what
 * the interrupt then tells. Returns when the slot's driver has got over it: the device's
 * driver has let go, and the slot is off, so another card may come.
 */
int slot_pull(const char *addr)
{
	char path[PATH_MAX];
	unsigned int at;
	__u16 on, gone;
	int fd, err = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/../config", addr);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	at = find_express(fd) + PCI_EXP_SLTCTL;
	if (at == PCI_EXP_SLTCTL || pread(fd, &on, 2, at) != 2) {
		err = -ENODEV;
	} else {
		gone = (on | SLOT_OFF) & ~PCI_EXP_SLTCTL_HPIE;
		if (pwrite(fd, &gone, 2, at) != 2 || pwrite(fd, &on, 2, at) != 2)
			err = -errno;
		else if (!wait_until(is_off(fd, at), 2 * SOON_MS))
			err = -ETIMEDOUT;
	}
	close(fd);
	return err;
}
