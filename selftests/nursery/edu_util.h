/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's edu devices from user space: which there are, who drives them, and
 * copies through them with the operation of the sample driver, nursery_edu.
 */
#ifndef NURSERY_TEST_EDU_UTIL_H
#define NURSERY_TEST_EDU_UTIL_H

#include "util.h"

#define EDU_DRIVER	"nursery_edu"
#define EDU_OP		"edu-copy"
#define EDU_CHUNK	4096
#define EDU_MAX		16

/* A transfer takes a tenth of a second, a chunk takes two. */
struct edu_devices {
	char addr[EDU_MAX][16];		/* as in 0000:00:05.0 */
	unsigned int nr;
};

void edu_find(struct edu_devices *devices);
int edu_start(struct edu_devices *devices);
bool edu_driven_by(const char *addr, const char *driver);
int edu_bind(const char *addr, const char *driver);
int edu_unbind(const char *addr, const char *driver);

void edu_fill(void *data, size_t len, unsigned int seed);
int edu_spawn(int fd, unsigned int chunk, unsigned int nr_chunks);
int edu_copies(unsigned int nr_chunks, unsigned int seed, int ms);
unsigned int edu_pending(int fd, unsigned int *providers);
unsigned int edu_transfers(int fd);

#endif /* NURSERY_TEST_EDU_UTIL_H */
