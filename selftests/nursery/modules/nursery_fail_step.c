// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has a function that a driver calls fail without being run: a step of a probe, in a
 * kernel without fault injection. The function is named when the module is loaded; it
 * fails for callers in the modules of nurseries alone, and counts how often it did.
 * On x86, where a function that has just been entered finds the caller on the stack.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/string.h>

static char *function;
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "what is to fail; nothing unless it is named");

static long value;
module_param(value, long, 0444);
MODULE_PARM_DESC(value, "what it returns instead");

static unsigned int failures;
module_param(failures, uint, 0444);
MODULE_PARM_DESC(failures, "how often it did; read only");

/* Run instead of it: it goes back to the caller and leaves the result as it is. */
static noinline notrace void nothing(void)
{
}

static int __kprobes fail(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long caller = *(unsigned long *)kernel_stack_pointer(regs);
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, caller);
	if (!strstr(name, "[nursery"))
		return 0;
	failures++;
	regs_set_return_value(regs, value);
	instruction_pointer_set(regs, (unsigned long)nothing);
	return 1;
}

static struct kprobe probe = { .pre_handler = fail };

static int __init fail_step_init(void)
{
	if (!function)
		return 0;
	probe.symbol_name = function;
	return register_kprobe(&probe);
}
module_init(fail_step_init);

static void __exit fail_step_exit(void)
{
	if (function)
		unregister_kprobe(&probe);
}
module_exit(fail_step_exit);

MODULE_DESCRIPTION("Test: a function fails for its callers in nursery modules");
MODULE_LICENSE("GPL");
