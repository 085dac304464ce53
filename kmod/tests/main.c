// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of nurseries. A case is named after the invariant that it is
 * about (i1_ to i9_, see Documentation/core-api/nursery.rst), if there is one.
 */
#include <linux/module.h>

#include "util.h"

kunit_test_suites(&nursery_scope_suite,
		  &nursery_child_suite,
		  &nursery_cancel_suite,
		  &nursery_tree_suite,
		  &nursery_result_suite,
		  &nursery_resource_suite,
		  &nursery_devm_suite,
		  &nursery_quiesce_suite,
		  &nursery_context_suite,
		  &nursery_stress_suite,
		  &nursery_dma_suite,
		  &nursery_dma_buf_suite,
		  &nursery_dma_lend_suite,
		  &nursery_dma_fail_suite,
		  &nursery_executor_suite,
		  &nursery_sim_suite,
		  &nursery_depth_suite,
		  &nursery_park_suite, &nursery_place_suite,
		  &nursery_service_suite,
		  &nursery_collect_suite,
		  &nursery_shield_suite,
		  &nursery_try_suite,
		  &nursery_kill_suite,
		  &nursery_grace_suite,
		  &nursery_race_suite,
		  &nursery_start_suite,
		  &nursery_join_suite,
		  &nursery_for_each_suite,
		  &nursery_wait_suite,
		  &nursery_conform_trio_suite,
		  &nursery_conform_rust_suite,
		  &nursery_conform_cpp_suite,
		  &nursery_conform_jvm_suite,
		  &nursery_conform_misc_suite,
		  &nursery_handler_suite,
		  &nursery_deadline_suite,
		  &nursery_misuse_suite,
		  &nursery_go_suite);

MODULE_DESCRIPTION("KUnit tests of nurseries");
MODULE_LICENSE("GPL");
