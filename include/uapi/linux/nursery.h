/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/nursery: one open file is one nursery.
 *
 * Closing it (its last descriptor and its last mapping), or dying, cancels its
 * children and joins them. All times are CLOCK_MONOTONIC, in nanoseconds.
 * Structures have no holes. Unknown ioctls are -ENOTTY; unknown flags and
 * reserved fields that are not zero are -EINVAL. A structure may grow at its end:
 * the size is part of the request number, a shorter one is filled up with zeroes,
 * and of a longer one the part that the kernel does not know must be zero
 * (-E2BIG).
 *
 * Documentation/userspace-api/nursery.rst describes the whole.
 */
#ifndef _UAPI_LINUX_NURSERY_H
#define _UAPI_LINUX_NURSERY_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define NURSERY_ABI_VERSION	1
#define NURSERY_NAME_LEN	32	/* with the terminating zero */
#define NURSERY_USAGE_LEN	64	/* with the terminating zero */
#define NURSERY_OP_ARGS		4

/**
 * struct nursery_info - NURSERY_IOC_INFO: what this file and this kernel are
 * @abi: NURSERY_ABI_VERSION of the kernel
 * @flags: 0
 * @id: of this file's nursery, as in listings
 * @outstanding: children spawned whose record has not been read
 * @buffer_size: bytes of the scoped buffer; 0: none yet
 * @buffer_max: the largest that may be asked for
 */
struct nursery_info {
	__u32 abi;
	__u32 flags;
	__u64 id;
	__u64 outstanding;
	__u64 buffer_size;
	__u64 buffer_max;
};

/**
 * struct nursery_spawn - NURSERY_IOC_SPAWN: start a named operation as a child
 * @flags: 0
 * @nr_args: how many of @args are given; must be what the operation takes
 * @args: its arguments
 * @cookie: handed back in the child's record
 * @id: set to the child's id
 * @op: name of the operation, zero-terminated
 *
 * Errors: ENOENT no such operation, ENODEV its device is going away, EINVAL
 * wrong number of arguments, an argument beyond @nr_args that is not zero or a
 * name without end, ECANCELED the nursery was cancelled, ENOMEM.
 */
struct nursery_spawn {
	__u32 flags;
	__u32 nr_args;
	__u64 args[NURSERY_OP_ARGS];
	__u64 cookie;
	__u64 id;
	char op[NURSERY_NAME_LEN];
};

/**
 * struct nursery_cancel - NURSERY_IOC_CANCEL: ask children to stop
 * @id: 0: this file's nursery; a child of this file; or, with CAP_SYS_ADMIN,
 *	any nursery or child of the system
 * @cause: for a nursery: 0 or a negative errno, what its join is to return;
 *	for a child it says nothing
 * @flags: 0
 *
 * Errors: ENOENT nothing (any more) has that id, EPERM it is not yours.
 */
struct nursery_cancel {
	__u64 id;
	__s32 cause;
	__u32 flags;
};

/**
 * struct nursery_deadline - NURSERY_IOC_DEADLINE: cancel at a time
 * @when: absolute CLOCK_MONOTONIC, in ns; 0: no deadline. The nursery is then
 *	cancelled with ETIMEDOUT. May be moved either way until it fires.
 * @flags: 0
 * @reserved: 0
 */
struct nursery_deadline {
	__u64 when;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct nursery_buffer - NURSERY_IOC_BUFFER: make the file's scoped buffer
 * @size: in bytes, rounded up to whole pages on return
 * @offset: set to what mmap() is to be called with
 * @flags: 0
 * @reserved: 0
 *
 * One per file. Operations address it by offset. It is released after the
 * join, and no earlier than its last mapping.
 *
 * Errors: EBUSY there is one already, EINVAL size 0, EFBIG over the limit,
 * ECANCELED the nursery was cancelled, ENOMEM.
 */
struct nursery_buffer {
	__u64 size;
	__u64 offset;
	__u32 flags;
	__u32 reserved;
};

#define NURSERY_LIST_ALL	(1U << 0)	/* the whole system: CAP_SYS_ADMIN */
#define NURSERY_LIST_MAX	16384		/* entries in one listing */

/**
 * struct nursery_list - NURSERY_IOC_LIST, NURSERY_IOC_OPS: fill an array
 * @entries: address of an array of struct nursery_entry (LIST) or struct
 *	nursery_op_entry (OPS)
 * @entry_size: size of one of the caller's entries
 * @nr: in: how many the array holds, at most NURSERY_LIST_MAX; out: how many
 *	there are. When that is more, the array holds the first ones.
 * @flags: LIST: NURSERY_LIST_ALL, else this file's nursery; OPS: 0
 * @reserved: 0
 *
 * An array of entries may be NULL if @nr is 0, to ask how many there are.
 */
struct nursery_list {
	__u64 entries;
	__u32 entry_size;
	__u32 nr;
	__u32 flags;
	__u32 reserved;
};

/**
 * enum nursery_entry_kind - what an entry is
 * @NURSERY_ENTRY_NURSERY: a nursery
 * @NURSERY_ENTRY_CHILD: a child with a function
 * @NURSERY_ENTRY_EXTERNAL: a child that hardware or a callback completes
 */
enum nursery_entry_kind {
	NURSERY_ENTRY_NURSERY	= 1,
	NURSERY_ENTRY_CHILD	= 2,
	NURSERY_ENTRY_EXTERNAL	= 3,
};

/**
 * enum nursery_entry_state - how far it is
 * @NURSERY_STATE_OPEN: nursery: takes children
 * @NURSERY_STATE_RELEASING: nursery: joined, releases what it owns
 * @NURSERY_STATE_WAITING: child: held back by the nursery's bound
 * @NURSERY_STATE_QUEUED: child: given to the executor
 * @NURSERY_STATE_RUNNING: child: started
 * @NURSERY_STATE_PARKED: child: waits for a time or to be told, on no thread
 */
enum nursery_entry_state {
	NURSERY_STATE_OPEN	= 1,
	NURSERY_STATE_RELEASING	= 2,
	NURSERY_STATE_WAITING	= 3,
	NURSERY_STATE_QUEUED	= 4,
	NURSERY_STATE_RUNNING	= 5,
	NURSERY_STATE_PARKED	= 6,
};

#define NURSERY_ENTRY_CANCELLED	(1U << 0)

/**
 * struct nursery_entry - one nursery or child of a listing
 * @id: unique while the module is loaded; 0: a child that has none
 * @nursery: id of the nursery that it is in; 0: a root
 * @depth: in the tree; a listing is in pre-order, so this tells its shape
 * @kind: enum nursery_entry_kind
 * @state: enum nursery_entry_state
 * @flags: NURSERY_ENTRY_CANCELLED
 * @nr_children: nursery: children that have not finished
 * @nr_resources: nursery: buffers and actions that it owns
 * @pid: child: the thread that runs it; nursery of a file: who opened it
 * @cause: nursery: of its cancel
 * @deadline: nursery: absolute CLOCK_MONOTONIC, in ns; 0: none
 * @name: of the nursery, the operation, or the child's function; "transfer" for
 *	an external child of a driver
 */
struct nursery_entry {
	__u64 id;
	__u64 nursery;
	__u32 depth;
	__u32 kind;
	__u32 state;
	__u32 flags;
	__u32 nr_children;
	__u32 nr_resources;
	__s32 pid;
	__s32 cause;
	__u64 deadline;
	char name[NURSERY_NAME_LEN];
};

/**
 * struct nursery_op_entry - one provider of an operation
 * @name: of the operation
 * @provider: name of the nursery that registered it
 * @usage: its arguments in words
 * @nr_args: how many it takes
 * @pending: calls that have not finished
 */
struct nursery_op_entry {
	char name[NURSERY_NAME_LEN];
	char provider[NURSERY_NAME_LEN];
	char usage[NURSERY_USAGE_LEN];
	__u32 nr_args;
	__u32 pending;
};

/**
 * struct nursery_record - what read() delivers, one for each finished child
 * @id: of the child
 * @cookie: as given to NURSERY_IOC_SPAWN
 * @value: the operation's own result, such as a checksum
 * @when: it finished, CLOCK_MONOTONIC in ns
 * @result: 0 or a negative errno; -ECANCELED: stopped, or never started
 * @flags: 0
 *
 * read() returns whole records, as many as fit and are there; it blocks while
 * there is none but children are outstanding (-EAGAIN with O_NONBLOCK), and
 * returns 0 when nothing is outstanding. poll() says POLLIN when a record is
 * there.
 */
struct nursery_record {
	__u64 id;
	__u64 cookie;
	__u64 value;
	__u64 when;
	__s32 result;
	__u32 flags;
};

#define NURSERY_IOC_MAGIC	'N'	/* numbers 0x20 to 0x2f */
#define NURSERY_IOC_INFO	_IOR(NURSERY_IOC_MAGIC, 0x20, struct nursery_info)
#define NURSERY_IOC_SPAWN	_IOWR(NURSERY_IOC_MAGIC, 0x21, struct nursery_spawn)
#define NURSERY_IOC_CANCEL	_IOW(NURSERY_IOC_MAGIC, 0x22, struct nursery_cancel)
#define NURSERY_IOC_DEADLINE	_IOW(NURSERY_IOC_MAGIC, 0x23, struct nursery_deadline)
#define NURSERY_IOC_BUFFER	_IOWR(NURSERY_IOC_MAGIC, 0x24, struct nursery_buffer)
#define NURSERY_IOC_LIST	_IOWR(NURSERY_IOC_MAGIC, 0x25, struct nursery_list)
#define NURSERY_IOC_OPS		_IOWR(NURSERY_IOC_MAGIC, 0x26, struct nursery_list)

#endif /* _UAPI_LINUX_NURSERY_H */
