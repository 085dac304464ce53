/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the tracepoints come from: <trace/events/nursery.h>, also out of tree. */
#include <trace/events/nursery.h>
