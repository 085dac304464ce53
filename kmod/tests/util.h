/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share. An assertion inside a child would end the worker's
 * thread and not the test: children record, the test asserts.
 */
#ifndef _NURSERY_TESTS_UTIL_H
#define _NURSERY_TESTS_UTIL_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/nursery.h>
#include <linux/workqueue.h>

/* Longer than any machine needs; waited for only when a test fails. */
#define LONG_TIME	(1000 * NSEC_PER_SEC)
/* The same, where a test goes on: it is far from LONG_TIME, and says nothing of speed. */
#define PROMPT_MS	60000

/* A child that records what happened to it. */
struct probe {
	struct nursery_child	child;
	int			ret;		/* what its function is to return */
	ktime_t			sleep;		/* and how long it sleeps before; 0: not */
	struct completion	*gate;		/* wait for this before; NULL: not */
	struct completion	started;
	atomic_t		runs;
	atomic_t		dones;
	int			slept;		/* what nursery_sleep() returned */
	bool			saw_cancel;
	struct task_struct	*task;		/* ran it */
};

void probe_init(struct probe *p, int ret);
int probe_run(struct nursery_child *c);
void probe_done(struct nursery_child *c);

static inline struct probe *to_probe(struct nursery_child *c)
{
	return container_of(c, struct probe, child);
}

/* Does a task sleep, as a joiner does that has nothing to do? And wait until it does. */
bool is_asleep(struct task_struct *task);
void wait_until_asleep(struct task_struct *task);

/* An array of zeroes, which goes with the test. If there is no memory the test fails here. */
void *zeroed(struct kunit *test, size_t nr, size_t size);
#define NEW(test, type, nr)	((type *)zeroed(test, nr, sizeof(type)))

/* Where a child says that it is there, and waits until the test lets it go on. */
struct rendezvous {
	struct completion	here;
	struct completion	go_on;
};

void rendezvous_init(struct rendezvous *r);
void rendezvous_wait(struct rendezvous *r);	/* the child */

/* Call @fn(@arg) in a hard interrupt, and return when it has returned. */
void run_in_hardirq(void (*fn)(void *arg), void *arg);

/*
 * Make the next allocation of this task with GFP_FAILS fail. Return: false if this kernel
 * cannot inject failures.
 */
bool fail_next_allocation(void);
#define GFP_FAILS	(GFP_NOWAIT | __GFP_NOWARN)

/*
 * Make allocation @nth of this task fail, counted from 1, whatever its flags; and say whether it
 * has come to that, or forget it. May it be done? Not without fault injection, nor if
 * that leaves allocations alone that may sleep: see run_kunit() in tools/vm/guest/run-tests.
 */
bool may_fail_allocations(void);
void fail_allocation(unsigned int nth);
bool allocation_has_failed(void);

/* An executor with a single worker, and the end of it. */
struct nursery_executor *single_worker(struct kunit *test);
void single_worker_destroy(struct nursery_executor *e);

/* The same, and the worker is busy until the end. */
struct nursery_executor *busy_worker(struct kunit *test);
void busy_worker_destroy(struct nursery_executor *e);

/* Something on the stack that keeps a worker of a workqueue busy until it is removed. */
struct plug {
	struct work_struct	work;
	struct completion	removed;
};

void plug_insert(struct plug *p, struct workqueue_struct *wq);
void plug_remove(struct plug *p);

extern struct kunit_suite nursery_scope_suite;
extern struct kunit_suite nursery_child_suite;
extern struct kunit_suite nursery_cancel_suite;
extern struct kunit_suite nursery_tree_suite;
extern struct kunit_suite nursery_result_suite;
extern struct kunit_suite nursery_resource_suite;
extern struct kunit_suite nursery_devm_suite;
extern struct kunit_suite nursery_quiesce_suite;
extern struct kunit_suite nursery_context_suite;
extern struct kunit_suite nursery_stress_suite;
extern struct kunit_suite nursery_dma_suite;
extern struct kunit_suite nursery_dma_buf_suite;
extern struct kunit_suite nursery_dma_lend_suite;
extern struct kunit_suite nursery_dma_fail_suite;
extern struct kunit_suite nursery_executor_suite;
extern struct kunit_suite nursery_sim_suite;
extern struct kunit_suite nursery_depth_suite;
extern struct kunit_suite nursery_park_suite;
extern struct kunit_suite nursery_place_suite;
extern struct kunit_suite nursery_service_suite;
extern struct kunit_suite nursery_collect_suite;
extern struct kunit_suite nursery_handler_suite;
extern struct kunit_suite nursery_shield_suite;
extern struct kunit_suite nursery_try_suite;
extern struct kunit_suite nursery_kill_suite;
extern struct kunit_suite nursery_grace_suite;
extern struct kunit_suite nursery_race_suite;
extern struct kunit_suite nursery_start_suite;
extern struct kunit_suite nursery_go_suite;
extern struct kunit_suite nursery_wait_suite;
extern struct kunit_suite nursery_deadline_suite;
extern struct kunit_suite nursery_misuse_suite;
extern struct kunit_suite nursery_join_suite;
extern struct kunit_suite nursery_for_each_suite;
extern struct kunit_suite nursery_conform_trio_suite;
extern struct kunit_suite nursery_conform_rust_suite;
extern struct kunit_suite nursery_conform_cpp_suite;
extern struct kunit_suite nursery_conform_jvm_suite;
extern struct kunit_suite nursery_conform_misc_suite;

#endif /* _NURSERY_TESTS_UTIL_H */
