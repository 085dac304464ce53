/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine's own hands: QEMU's monitor protocol (QMP), spoken from inside the
 * guest. tools/vm joins a virtio serial port, "qmp", to QEMU's monitor. Only one
 * process at a time has it open.
 *
 * Also what the bench does that the monitor cannot: pull a card out of a PCI Express slot.
 */
#ifndef NURSERY_TEST_QMP_H
#define NURSERY_TEST_QMP_H

#include "util.h"

int qmp_open(void);
__printf(3, 4) int qmp(int fd, const char *command, const char *format, ...);
int slot_of(const char *addr);
int slot_power_off(int slot);
int slot_pull(const char *addr);

#endif /* NURSERY_TEST_QMP_H */
