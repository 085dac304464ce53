/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of nurseries: when a scope opens, what it spawns, when each child
 * ends, when all are joined, what is released then. One nursery's events carry
 * its id, so the order that the nursery promises can be read off a trace.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nursery

#if !defined(_TRACE_NURSERY_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_NURSERY_H

#include <linux/nursery.h>
#include <linux/nursery_resource.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

u64 nursery_id(const struct nursery *n);
u64 nursery_up_id(const struct nursery *n);
const void *nursery_child_fn(const struct nursery_child *c);

#define NURSERY_TRACE_NAME	32

DECLARE_EVENT_CLASS(nursery_scope,
	TP_PROTO(const struct nursery *n, int result),
	TP_ARGS(n, result),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, up)
		__field(int, result)
		__array(char, name, NURSERY_TRACE_NAME)
	),
	TP_fast_assign(
		__entry->id = nursery_id(n);
		__entry->up = nursery_up_id(n);
		__entry->result = result;
		strscpy(__entry->name, n->name, NURSERY_TRACE_NAME);
	),
	TP_printk("nursery=%llu up=%llu result=%d name=\"%s\"",
		  __entry->id, __entry->up, __entry->result, __entry->name)
);

DEFINE_EVENT(nursery_scope, nursery_join,
	TP_PROTO(const struct nursery *n, int result), TP_ARGS(n, result));

TRACE_EVENT(nursery_open,
	TP_PROTO(const struct nursery *n),
	TP_ARGS(n),
	TP_STRUCT__entry(
		__field(u64, id)
		__array(char, name, NURSERY_TRACE_NAME)
	),
	TP_fast_assign(
		__entry->id = nursery_id(n);
		strscpy(__entry->name, n->name, NURSERY_TRACE_NAME);
	),
	TP_printk("nursery=%llu name=\"%s\"", __entry->id, __entry->name)
);

TRACE_EVENT(nursery_cancel,
	TP_PROTO(const struct nursery *n),
	TP_ARGS(n),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(int, cause)
		__field(void *, canceller)
		__array(char, name, NURSERY_TRACE_NAME)
	),
	TP_fast_assign(
		__entry->id = nursery_id(n);
		__entry->cause = n->cause;
		__entry->canceller = (void *)n->canceller;
		strscpy(__entry->name, n->name, NURSERY_TRACE_NAME);
	),
	TP_printk("nursery=%llu cause=%d canceller=%pS name=\"%s\"",
		  __entry->id, __entry->cause, __entry->canceller, __entry->name)
);

DECLARE_EVENT_CLASS(nursery_child,
	TP_PROTO(const struct nursery *n, const struct nursery_child *c),
	TP_ARGS(n, c),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(const void *, child)
		__field(const void *, fn)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->id = nursery_id(n);
		__entry->child = c;
		__entry->fn = nursery_child_fn(c);
		__entry->result = c->result;
	),
	TP_printk("nursery=%llu child=%p fn=%ps result=%d",
		  __entry->id, __entry->child, __entry->fn, __entry->result)
);

DEFINE_EVENT(nursery_child, nursery_spawn,
	TP_PROTO(const struct nursery *n, const struct nursery_child *c), TP_ARGS(n, c));
DEFINE_EVENT(nursery_child, nursery_child_park,
	TP_PROTO(const struct nursery *n, const struct nursery_child *c), TP_ARGS(n, c));
DEFINE_EVENT(nursery_child, nursery_child_done,
	TP_PROTO(const struct nursery *n, const struct nursery_child *c), TP_ARGS(n, c));

DECLARE_EVENT_CLASS(nursery_resource,
	TP_PROTO(const struct nursery *n, const struct nursery_resource *r),
	TP_ARGS(n, r),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(void *, release)
		__array(char, type, NURSERY_TRACE_NAME)
	),
	TP_fast_assign(
		__entry->id = nursery_id(n);
		__entry->release = r->type->release;
		strscpy(__entry->type, r->type->name, NURSERY_TRACE_NAME);
	),
	TP_printk("nursery=%llu release=%ps type=%s", __entry->id, __entry->release,
		  __entry->type)
);

DEFINE_EVENT(nursery_resource, nursery_release,
	TP_PROTO(const struct nursery *n, const struct nursery_resource *r), TP_ARGS(n, r));
DEFINE_EVENT(nursery_resource, nursery_withhold,
	TP_PROTO(const struct nursery *n, const struct nursery_resource *r), TP_ARGS(n, r));

TRACE_EVENT(nursery_quiesce,
	TP_PROTO(const struct nursery *n, int result),
	TP_ARGS(n, result),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->id = nursery_id(n);
		__entry->result = result;
	),
	TP_printk("nursery=%llu result=%d", __entry->id, __entry->result)
);

#endif /* _TRACE_NURSERY_H */

#include <trace/define_trace.h>
