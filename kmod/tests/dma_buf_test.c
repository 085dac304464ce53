// SPDX-License-Identifier: GPL-2.0-only
/* Buffers that are shared as a dma-buf, and those of others. */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fcntl.h>
#include <linux/iosys-map.h>

#include "../compat.h"
#include "kinds.h"

#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)

NURSERY_IMPORT_NS(DMA_BUF);

/* What is in the first byte, as somebody sees it who has but the dma-buf; or an errno. */
static int first_byte(struct dma_buf *dmabuf)
{
	struct iosys_map map;
	int ret;

	ret = dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	if (ret)
		return ret;
	dma_resv_lock(dmabuf->resv, NULL);
	ret = dma_buf_vmap(dmabuf, &map);
	if (!ret) {
		ret = *(unsigned char *)map.vaddr;
		dma_buf_vunmap(dmabuf, &map);
	}
	dma_resv_unlock(dmabuf->resv);
	return dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL) ?: ret;
}

static struct platform_device *other_device(struct kunit *test)
{
	struct platform_device *pdev;

	pdev = platform_device_register_simple("nursery_kunit", PLATFORM_DEVID_AUTO, NULL, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pdev));
	return pdev;
}

/* A buffer that is 0x77 all over, in a nursery; exported. */
static struct dma_buf *export(struct kunit *test, struct nursery *n, struct kind_material *m)
{
	struct nursery_dma *buf;
	struct dma_buf *dmabuf;

	buf = nursery_dma_alloc_shareable(n, m->dev, KIND_SIZE, DMA_BIDIRECTIONAL, GFP_KERNEL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(buf));
	memset(buf->cpu, 0x77, KIND_SIZE);
	dmabuf = nursery_dma_export(buf, O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dmabuf));
	KUNIT_EXPECT_EQ(test, dmabuf->size, KIND_SIZE);
	return dmabuf;
}

/* But the device is not held any longer: it may go. */
static void dma_buf_outlives_the_join(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct dma_buf *dmabuf;
	struct nursery n;
	unsigned int base;

	base = device_refs(m->dev);
	nursery_init(&n, NULL);
	dmabuf = export(test, &n, m);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base + 1);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
	KUNIT_EXPECT_EQ(test, first_byte(dmabuf), 0x77);
	dma_buf_put(dmabuf);
}

/* ... whose own scope outlives that of the exporter, and its reference. */
static void dma_buf_lives_as_long_as_its_importer(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery exporter, importer;
	struct platform_device *other;
	struct nursery_dma *buf;
	struct dma_buf *dmabuf;
	unsigned int base;

	other = other_device(test);
	base = device_refs(&other->dev);
	nursery_init(&exporter, NULL);
	nursery_init(&importer, NULL);
	dmabuf = export(test, &exporter, m);
	buf = nursery_dma_import(&importer, &other->dev, dmabuf, DMA_FROM_DEVICE);
	KUNIT_EXPECT_FALSE(test, IS_ERR(buf));
	KUNIT_EXPECT_EQ(test, device_refs(&other->dev), base + !IS_ERR(buf));
	/* Mapped for both. */
	KUNIT_EXPECT_EQ(test, first_byte(dmabuf), 0x77);
	KUNIT_EXPECT_EQ(test, nursery_join(&exporter), 0);
	if (!IS_ERR(buf)) {
		dma_buf_put(dmabuf);
		/* The import's reference: KASAN would tell. */
		KUNIT_EXPECT_EQ(test, first_byte(dmabuf), 0x77);
	}
	KUNIT_EXPECT_EQ(test, nursery_join(&importer), 0);
	KUNIT_EXPECT_EQ(test, device_refs(&other->dev), base);
	platform_device_unregister(other);
}

static void import_refuses_and_keeps_nothing(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_dma *buf;
	struct nursery n;
	long refs;

	refs = file_count(m->dmabuf->file);
	nursery_init(&n, NULL);
	buf = nursery_dma_import(&n, m->dev, m->dmabuf, DMA_NONE);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(buf), -EINVAL);
	nursery_join(&n);
	buf = nursery_dma_import(&n, m->dev, m->dmabuf, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(buf), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, (long)file_count(m->dmabuf->file), refs);
}

static void only_what_is_shareable_is_exported(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery n;
	unsigned int i;

	nursery_init(&n, NULL);
	for (i = 0; i < nr_kinds; i++) {
		struct nursery_dma *buf = kinds[i].make(&n, m);
		struct dma_buf *dmabuf;

		KUNIT_ASSERT_FALSE(test, IS_ERR(buf));
		dmabuf = nursery_dma_export(buf, O_RDWR);
		if (IS_ERR(dmabuf)) {
			KUNIT_EXPECT_STRNEQ(test, kinds[i].name, "shareable");
			KUNIT_EXPECT_EQ(test, (int)PTR_ERR(dmabuf), -EINVAL);
			continue;
		}
		KUNIT_EXPECT_STREQ(test, kinds[i].name, "shareable");
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(nursery_dma_export(buf, O_RDWR)), -EBUSY);
		dma_buf_put(dmabuf);
	}
	KUNIT_EXPECT_EQ(test,
			PTR_ERR_OR_ZERO(nursery_dma_alloc_shareable(&n, m->dev, 100,
								    DMA_TO_DEVICE, GFP_KERNEL)),
			-EINVAL);
	nursery_join(&n);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(dma_buf_outlives_the_join),
	KUNIT_CASE(dma_buf_lives_as_long_as_its_importer),
	KUNIT_CASE(import_refuses_and_keeps_nothing),
	KUNIT_CASE(only_what_is_shareable_is_exported),
	{ }
};

#else

static void needs_dma_buf(struct kunit *test)
{
	kunit_skip(test, "this kernel has no DMA_SHARED_BUFFER");
}

static struct kunit_case cases[] = {
	KUNIT_CASE(needs_dma_buf),
	{ }
};

#endif

struct kunit_suite nursery_dma_buf_suite = {
	.name = "nursery_dma_buf", .init = kind_material_init, .exit = kind_material_exit,
	.test_cases = cases,
};
