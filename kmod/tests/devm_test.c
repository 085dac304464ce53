// SPDX-License-Identifier: GPL-2.0-only
/* devm_nursery_init(): the end of a scope among the managed resources of a device. */
#include <linux/platform_device.h>

#include "util.h"

/* What happened, in order. */
enum event {
	GOT_EARLIER = 1,	/* what was acquired before the nursery is released */
	GOT_LATER,		/* and what was acquired after it */
	CHILD_ENDED,
	RELEASED,		/* what the nursery owns */
	JOINED_BY_DRIVER,
};

/* A driver's data, but for the memory: that is the test's, to look at it afterwards. */
struct state {
	struct nursery nursery;
	struct nursery_child child;
	int probe_result;
	bool joins_itself;
	unsigned int failure;	/* this allocation of devm_nursery_init() fails; 0: none */
	bool has_failed;
	int opened;		/* what it returned ... */
	int spawned;		/* ... and a spawn after that */
	int cause;
	int result;		/* of the join, at the end */
	enum event events[8];
	int nr;
};

static void happened(struct state *s, enum event event)
{
	s->events[s->nr++] = event;
}

static void earlier(void *data)
{
	struct state *s = data;

	s->cause = nursery_cancel_cause(&s->nursery);
	s->result = nursery_join(&s->nursery);
	happened(s, GOT_EARLIER);
}

static void later(void *data)
{
	happened(data, GOT_LATER);
}

static void released(void *data)
{
	happened(data, RELEASED);
}

static void joined_by_driver(void *data)
{
	struct state *s = data;

	nursery_cancel(&s->nursery, -EPIPE);
	nursery_join(&s->nursery);
	happened(s, JOINED_BY_DRIVER);
}

/* It ends when it is cancelled and at no other time. */
static int run(struct nursery_child *c)
{
	return nursery_sleep(c, LONG_TIME);
}

static void child_done(struct nursery_child *c)
{
	happened(container_of(c, struct state, child), CHILD_ENDED);
}

static int probe(struct platform_device *pdev)
{
	struct state *s = *(struct state **)dev_get_platdata(&pdev->dev);
	const struct nursery_params params = { .name = "managed" };
	int err;

	err = devm_add_action_or_reset(&pdev->dev, earlier, s);
	if (err)
		return err;
	nursery_child_init(&s->child, run, child_done);
	if (s->failure)
		fail_allocation(s->failure);
	err = devm_nursery_init(&pdev->dev, &s->nursery, &params);
	if (s->failure)
		s->has_failed = allocation_has_failed();
	s->opened = err;
	if (err) {
		s->spawned = nursery_spawn(&s->nursery, &s->child);
		/* If it is not refused, do not wait for it for ever. */
		if (!s->spawned)
			nursery_cancel(&s->nursery, -EPROTO);
		return err;
	}
	err = nursery_defer(&s->nursery, released, s) ?: nursery_spawn(&s->nursery, &s->child);
	if (err)
		return err;
	err = devm_add_action_or_reset(&pdev->dev, s->joins_itself ? joined_by_driver : later, s);
	return err ?: s->probe_result;
}

static struct platform_driver driver = {
	.probe	= probe,
	.driver	= { .name = "nursery_kunit_devm" },
};

static int devm_suite_init(struct kunit_suite *suite)
{
	/* As platform_driver_register(), but for the owner: its module may have no kobject yet. */
	driver.driver.bus = &platform_bus_type;
	return driver_register(&driver.driver);
}

static void devm_suite_exit(struct kunit_suite *suite)
{
	driver_unregister(&driver.driver);
}

/* Bind the driver to a device, and unbind it. Return: whether it was bound. */
static bool bind_and_unbind(struct kunit *test, struct state *s)
{
	struct platform_device *pdev;
	bool bound;

	pdev = platform_device_register_data(NULL, driver.driver.name, PLATFORM_DEVID_AUTO, &s,
					     sizeof(s));
	KUNIT_ASSERT_FALSE(test, IS_ERR(pdev));
	/* Probed by now, and nobody else binds it; device_is_bound() is not for modules. */
	bound = pdev->dev.driver;
	KUNIT_EXPECT_TRUE(test, !bound || !s->nr);
	platform_device_unregister(pdev);
	return bound;
}

static void expect_order(struct kunit *test, const struct state *s, const enum event *events,
			 int nr)
{
	int i;

	KUNIT_EXPECT_EQ(test, s->nr, nr);
	for (i = 0; i < min(nr, s->nr); i++)
		KUNIT_EXPECT_EQ_MSG(test, s->events[i], events[i], "event %d", i);
}

static const enum event in_order[] = { GOT_LATER, CHILD_ENDED, RELEASED, GOT_EARLIER };

static struct state *new_state(struct kunit *test)
{
	struct state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	return s;
}

static void i2_devm_ends_it_in_its_place(struct kunit *test)
{
	struct state *s = new_state(test);

	KUNIT_EXPECT_TRUE(test, bind_and_unbind(test, s));
	expect_order(test, s, in_order, ARRAY_SIZE(in_order));
	KUNIT_EXPECT_EQ(test, s->cause, -ENODEV);
	KUNIT_EXPECT_EQ(test, s->result, -ENODEV);
}

static void i2_devm_ends_it_when_the_probe_fails(struct kunit *test)
{
	struct state *s = new_state(test);

	s->probe_result = -EIO;
	KUNIT_EXPECT_FALSE(test, bind_and_unbind(test, s));
	expect_order(test, s, in_order, ARRAY_SIZE(in_order));
	KUNIT_EXPECT_EQ(test, s->cause, -ENODEV);
}

static void devm_finds_it_joined(struct kunit *test)
{
	static const enum event order[] = {
		CHILD_ENDED, RELEASED, JOINED_BY_DRIVER, GOT_EARLIER
	};
	struct state *s = new_state(test);

	s->joins_itself = true;
	KUNIT_EXPECT_TRUE(test, bind_and_unbind(test, s));
	expect_order(test, s, order, ARRAY_SIZE(order));
	KUNIT_EXPECT_EQ(test, s->cause, -EPIPE);
	KUNIT_EXPECT_EQ(test, s->result, -EPIPE);
}

/* Refused, it has ended, and so has the probe: there is nothing that would join it. */
static void devm_without_memory(struct kunit *test)
{
	static const enum event order[] = { GOT_EARLIER };
	unsigned int refused = 0;
	struct state *s;

	if (!may_fail_allocations())
		kunit_skip(test, "no fault injection, or not of allocations that may sleep");
	s = new_state(test);
	do {
		unsigned int nth = s->failure + 1;

		*s = (struct state){ .failure = nth };
		KUNIT_EXPECT_EQ(test, bind_and_unbind(test, s), !s->opened);
		if (!s->opened)
			continue;
		refused++;
		KUNIT_EXPECT_TRUE(test, s->has_failed);
		KUNIT_EXPECT_EQ(test, s->opened, -ENOMEM);
		KUNIT_EXPECT_EQ(test, s->spawned, -ESHUTDOWN);
		KUNIT_EXPECT_EQ(test, s->result, -ENODEV);
		expect_order(test, s, order, ARRAY_SIZE(order));
	} while (s->has_failed);
	KUNIT_EXPECT_GE(test, refused, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i2_devm_ends_it_in_its_place),
	KUNIT_CASE(i2_devm_ends_it_when_the_probe_fails),
	KUNIT_CASE(devm_finds_it_joined),
	KUNIT_CASE(devm_without_memory),
	{ }
};

struct kunit_suite nursery_devm_suite = {
	.name		= "nursery_devm",
	.suite_init	= devm_suite_init,
	.suite_exit	= devm_suite_exit,
	.test_cases	= cases,
};
