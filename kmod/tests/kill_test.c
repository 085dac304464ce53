// SPDX-License-Identifier: GPL-2.0-only
/*
 * nursery_join_killable(): SIGKILL of the joiner cancels, and the join still completes.
 * The joiner is a kthread that lets the signal through.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "util.h"

#define MANY	1000

struct victim {
	struct nursery_params	params;
	struct probe		*p;		/* its children */
	unsigned int		nr;
	int			(*join)(struct nursery *n);
	struct completion	spawned;
	struct task_struct	*task;
	int			result;
	bool			again;		/* the same, by a second join */
	int			finished;	/* children, when the join returned */
};

static int victim_thread(void *data)
{
	struct victim *v = data;
	struct nursery n;
	unsigned int i;

	allow_signal(SIGKILL);
	nursery_init(&n, &v->params);
	for (i = 0; i < v->nr; i++)
		nursery_spawn(&n, &v->p[i].child);
	complete(&v->spawned);
	v->result = v->join(&n);
	for (i = 0; i < v->nr; i++)
		v->finished += atomic_read(&v->p[i].dones);
	v->again = v->join(&n) == v->result;
	flush_signals(current);
	return 0;
}

static struct victim *new_victim(struct kunit *test, unsigned int nr)
{
	struct victim *v;
	unsigned int i;

	v = NEW(test, struct victim, 1);
	v->p = NEW(test, struct probe, nr);
	v->nr = nr;
	for (i = 0; i < nr; i++) {
		probe_init(&v->p[i], 0);
		v->p[i].sleep = LONG_TIME;
	}
	v->params.name = "victim";
	v->join = nursery_join_killable;
	v->result = 1;
	init_completion(&v->spawned);
	return v;
}

static void start_victim(struct kunit *test, struct victim *v)
{
	v->task = kthread_create(victim_thread, v, "nursery_victim");
	KUNIT_ASSERT_FALSE(test, IS_ERR(v->task));
	get_task_struct(v->task);
	wake_up_process(v->task);
	wait_for_completion(&v->spawned);
}

/* Kill it when its children have started: one that has not never would. */
static void kill_victim(struct kunit *test, struct victim *v)
{
	unsigned int i;

	start_victim(test, v);
	for (i = 0; i < v->nr; i++)
		wait_for_completion(&v->p[i].started);
	send_sig(SIGKILL, v->task, 1);
}

/* Its thread has returned from the join. */
static void end_victim(struct kunit *test, struct victim *v)
{
	kthread_stop(v->task);
	put_task_struct(v->task);
	KUNIT_EXPECT_EQ(test, v->finished, (int)v->nr);
	KUNIT_EXPECT_TRUE(test, v->again);
}

static void kill_ends_a_join_that_sleeps(struct kunit *test)
{
	struct victim *v = new_victim(test, 3);
	int i;

	v->params.flags = NURSERY_NO_HELP;
	kill_victim(test, v);
	end_victim(test, v);
	KUNIT_EXPECT_EQ(test, v->result, -EINTR);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, v->p[i].slept, -ECANCELED);
}

/* The joiner runs the child itself: it is in the child's wait that it is killed. */
static DECLARE_WAIT_QUEUE_HEAD(queue);
static bool let_go;
static DECLARE_COMPLETION(let_go_too);

static int wait_in_event(struct nursery_child *c)
{
	complete_all(&to_probe(c)->started);
	return nursery_wait_event(c, queue, READ_ONCE(let_go));
}

static int wait_in_completion(struct nursery_child *c)
{
	complete_all(&to_probe(c)->started);
	return nursery_wait_for_completion(c, &let_go_too);
}

static int wait_in_loop(struct nursery_child *c)
{
	int err;

	complete_all(&to_probe(c)->started);
	while (!(err = nursery_cond_resched(c)))
		schedule_timeout_idle(1);
	return err;
}

/* It joins a nursery of its own, unkillably, and runs its child, which sleeps. */
static int wait_in_nested(struct nursery_child *c)
{
	struct probe p;
	int err = -1;

	probe_init(&p, 0);
	p.sleep = LONG_TIME;
	scoped_nursery(n, .name = "nested", .parent = c, .result = &err,
		       .executor = nursery_executor_inline) {
		complete_all(&to_probe(c)->started);
		nursery_spawn(n, &p.child);
	}
	return err;
}

static void kill_is_noticed_in_a_child_that_the_joiner_runs(struct kunit *test)
{
	static const nursery_fn_t fns[] = {
		probe_run, wait_in_event, wait_in_completion, wait_in_loop, wait_in_nested
	};
	struct nursery_executor *e = busy_worker(test);
	struct victim *v;
	int i;

	for (i = 0; i < ARRAY_SIZE(fns); i++) {
		v = new_victim(test, 1);
		v->params.executor = e;
		nursery_child_init(&v->p->child, fns[i], probe_done);
		kill_victim(test, v);
		end_victim(test, v);
		KUNIT_EXPECT_EQ_MSG(test, v->result, -EINTR, "wait %d", i);
	}
	busy_worker_destroy(e);
}

static atomic_t ran;

static int kill_oneself(struct nursery_child *c)
{
	if (atomic_inc_return(&ran) == 1)
		send_sig(SIGKILL, current, 1);
	return 0;
}

/* Children that do not look: the joiner does, between them. */
static void kill_is_noticed_between_children(struct kunit *test)
{
	struct nursery_executor *e = busy_worker(test);
	struct victim *v = new_victim(test, MANY);
	int i;

	atomic_set(&ran, 0);
	v->params.executor = e;
	for (i = 0; i < MANY; i++)
		nursery_child_init(&v->p[i].child, kill_oneself, probe_done);
	start_victim(test, v);
	end_victim(test, v);
	busy_worker_destroy(e);
	KUNIT_EXPECT_EQ(test, v->result, -EINTR);
	KUNIT_EXPECT_LT(test, atomic_read(&ran), MANY);
}

/* Sees the cancel, and goes on until it is let go. */
static DECLARE_COMPLETION(obstinate_saw);

static int obstinate_run(struct nursery_child *c)
{
	struct probe *p = to_probe(c);

	complete_all(&p->started);
	p->slept = nursery_sleep(c, p->sleep);
	complete(&obstinate_saw);
	wait_for_completion(p->gate);
	return p->ret;
}

static void killed_join_still_waits(struct kunit *test)
{
	static const int results[] = { 0, -ECANCELED, -EIO };
	DECLARE_COMPLETION_ONSTACK(gate);
	struct victim *v;
	int i;

	for (i = 0; i < ARRAY_SIZE(results); i++) {
		reinit_completion(&gate);
		v = new_victim(test, 1);
		v->params.flags = NURSERY_NO_HELP;
		nursery_child_init(&v->p->child, obstinate_run, probe_done);
		v->p->gate = &gate;
		v->p->ret = results[i];
		kill_victim(test, v);
		wait_for_completion(&obstinate_saw);
		/* Once more: nobody listens now. */
		send_sig(SIGKILL, v->task, 1);
		KUNIT_EXPECT_EQ(test, READ_ONCE(v->result), 1);
		complete(&gate);
		end_victim(test, v);
		KUNIT_EXPECT_EQ(test, v->p->slept, -ECANCELED);
		KUNIT_EXPECT_EQ(test, v->result, results[i] == -EIO ? -EIO : -EINTR);
	}
}

/* A signal, but not one of those that a killable join is about. */
static void plain_join_is_not_killed(struct kunit *test)
{
	static const nursery_fn_t fns[] = { probe_run, wait_in_event, wait_in_completion };
	struct nursery_executor *e = busy_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct victim *v;
	int i;

	for (i = 0; i < ARRAY_SIZE(fns); i++) {
		v = new_victim(test, 1);
		v->params.executor = e;
		v->join = nursery_join;
		v->p->sleep = 50 * NSEC_PER_MSEC;
		nursery_child_init(&v->p->child, fns[i], probe_done);
		kill_victim(test, v);
		/* Time to make a mistake. */
		msleep(20);
		WRITE_ONCE(let_go, true);
		wake_up(&queue);
		complete(&let_go_too);
		end_victim(test, v);
		KUNIT_EXPECT_EQ_MSG(test, v->result, 0, "wait %d", i);
		WRITE_ONCE(let_go, false);
		reinit_completion(&let_go_too);
	}
	busy_worker_destroy(e);

	v = new_victim(test, 1);
	v->params.flags = NURSERY_NO_HELP;
	v->join = nursery_join;
	v->p->sleep = 0;
	v->p->gate = &gate;
	kill_victim(test, v);
	complete(&gate);
	end_victim(test, v);
	KUNIT_EXPECT_EQ(test, v->result, 0);
}

static int join_after_kill(struct nursery *n)
{
	send_sig(SIGKILL, current, 1);
	return nursery_join_killable(n);
}

static int cancel_and_join_after_kill(struct nursery *n)
{
	nursery_cancel(n, -ENODEV);
	return join_after_kill(n);
}

static void killed_before_the_join(struct kunit *test)
{
	struct victim *v = new_victim(test, 2);

	/* A signal that is there already cancels all the same. */
	v->join = join_after_kill;
	start_victim(test, v);
	end_victim(test, v);
	KUNIT_EXPECT_EQ(test, v->result, -EINTR);

	/* The first cause stays. */
	v = new_victim(test, 2);
	v->join = cancel_and_join_after_kill;
	start_victim(test, v);
	end_victim(test, v);
	KUNIT_EXPECT_EQ(test, v->result, -ENODEV);

	/* Nobody to wait for: there is nothing to cancel. */
	v = new_victim(test, 0);
	v->join = join_after_kill;
	start_victim(test, v);
	end_victim(test, v);
	KUNIT_EXPECT_EQ(test, v->result, 0);
}

static void killable_join_without_a_kill(struct kunit *test)
{
	struct victim *v = new_victim(test, 8);
	int i;

	for (i = 0; i < 8; i++)
		v->p[i].sleep = 5 * NSEC_PER_MSEC;
	v->p[7].ret = -EIO;
	v->params.flags = NURSERY_SUPERVISE;
	start_victim(test, v);
	end_victim(test, v);
	KUNIT_EXPECT_EQ(test, v->result, -EIO);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, v->p[i].slept, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(kill_ends_a_join_that_sleeps),
	KUNIT_CASE(kill_is_noticed_in_a_child_that_the_joiner_runs),
	KUNIT_CASE(kill_is_noticed_between_children),
	KUNIT_CASE(killed_join_still_waits),
	KUNIT_CASE(plain_join_is_not_killed),
	KUNIT_CASE(killed_before_the_join),
	KUNIT_CASE(killable_join_without_a_kill),
	{ }
};

struct kunit_suite nursery_kill_suite = { .name = "nursery_kill", .test_cases = cases };
