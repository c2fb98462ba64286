/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/daemon/core.h"
#include "tests/daemon/hierarchy.h"

static struct Hierarchy hierarchy;
static struct Cgroups cgroups;

/* In an empty hierarchy, in which nothing is watched before and after. */
#define CgroupTest(SENTENCE, MOUNTS)                                                                                   \
    static void SENTENCE(void);                                                                                        \
    Test(cgroup, SENTENCE) {                                                                                           \
        hierarchy_open(&hierarchy, &cgroups, MOUNTS);                                                                  \
        SENTENCE();                                                                                                    \
        expect_eq(cgroups.n, 0);                                                                                       \
        cr_expect_null(cgroups.all);                                                                                   \
        hierarchy_close(&hierarchy);                                                                                   \
    }                                                                                                                  \
    static void SENTENCE(void)

static void expect_path(const struct Cgroup *cgroup, const char *below) {
    cr_assert_not_null(cgroup);
    cr_expect_str_eq(cgroup->path + strlen(hierarchy.directory), below, "%s", cgroup->path);
}

/* ------------------------------------------------------------------------------------------------ which */

CgroupTest(of_a_process_is_watched_with_all_above_it, HIERARCHY_V2) {
    struct Cgroup *cgroup = hierarchy_ref(&hierarchy, &cgroups, "0::/tenants/a/worker\n");

    expect_path(cgroup, "/tenants/a/worker");
    expect_path(cgroup->parent, "/tenants/a");
    expect_path(cgroup->parent->parent, "/tenants");
    cr_expect_null(cgroup->parent->parent->parent);
    expect_eq(cgroups.n, 3);
    cgroup_unref(&cgroups, cgroup);
}

CgroupTest(of_two_processes_is_one, HIERARCHY_V2) {
    struct Cgroup *a = hierarchy_ref(&hierarchy, &cgroups, "0::/tenants/a\n");
    struct Cgroup *b = hierarchy_ref(&hierarchy, &cgroups, "0::/tenants/b\n");
    struct Cgroup *ab = hierarchy_ref(&hierarchy, &cgroups, "0::/tenants/ab\n");
    struct Cgroup *again = hierarchy_ref(&hierarchy, &cgroups, "0::/tenants/a\n");

    cr_expect(a == again && a != b && a != ab && a->parent == b->parent);
    expect_eq(cgroups.n, 4);
    cgroup_unref(&cgroups, a);
    expect_eq(cgroups.n, 4);
    cgroup_unref(&cgroups, again);
    expect_eq(cgroups.n, 3);
    cgroup_unref(&cgroups, ab);
    cgroup_unref(&cgroups, b);
}

CgroupTest(that_is_the_root_or_out_of_sight_is_none, HIERARCHY_V2) {
    static const char *const texts[] = {"0::/\n", "0::/../../other\n", "", "\n\n", "0::\n", "nonsense", "3:memory:/a\n"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        cr_expect_null(hierarchy_ref(&hierarchy, &cgroups, texts[i]), "'%s'", texts[i]);
    cr_expect_null(cgroup_ref(&cgroups, "/nonexistent/cgroup"));
}

CgroupTest(is_where_version_1_has_the_controller,
           "cgroup2 /elsewhere cgroup2 rw 0 0\ncgroup /cpu cgroup rw,cpu 0 0\n" HIERARCHY_V1) {
    struct Cgroup *cgroup = hierarchy_ref(&hierarchy, &cgroups, "9:cpu:/x\n4:pids,memory:/a/b\n0::/c\n");

    cr_expect(cgroups.is_v1);
    expect_path(cgroup, "/a/b");
    cgroup_unref(&cgroups, cgroup);
    cr_expect_null(hierarchy_ref(&hierarchy, &cgroups, "0::/c\n"));
}

CgroupTest(is_nowhere_without_a_hierarchy, "tmpfs /tmp tmpfs rw 0 0\n") {
    cr_expect_null(hierarchy_ref(&hierarchy, &cgroups, "0::/a\n"));
}

CgroupTest(of_too_many_is_not_watched, HIERARCHY_V2) {
    static struct Cgroup *all[CGROUPS_MAX];
    char text[64], deep[4 * CGROUP_DEPTH_MAX] = "0::";

    for (uint32_t i = 0; i < CGROUPS_MAX; i++) {
        snprintf(text, sizeof(text), "0::/%u\n", i);
        all[i] = hierarchy_ref(&hierarchy, &cgroups, text);
        cr_assert_not_null(all[i]);
    }
    cr_expect_null(hierarchy_ref(&hierarchy, &cgroups, "0::/one/more\n"));
    for (uint32_t i = 0; i < CGROUPS_MAX; i++)
        cgroup_unref(&cgroups, all[i]);
    for (unsigned i = 0; i <= CGROUP_DEPTH_MAX; i++)
        strcat(deep, "/a");
    cr_expect_null(hierarchy_ref(&hierarchy, &cgroups, deep));
}

/* ------------------------------------------------------------------------------------------------ what it says */

CgroupTest(has_the_lower_of_its_limits, HIERARCHY_V2) {
    struct Cgroup *cgroup = hierarchy_ref(&hierarchy, &cgroups, "0::/a\n");

    expect_eq(cgroup_read_limit(&cgroups, cgroup), UINT64_MAX);
    hierarchy_write(&hierarchy, "a/memory.max", "max\n");
    hierarchy_write(&hierarchy, "a/memory.high", "max\n");
    expect_eq(cgroup_read_limit(&cgroups, cgroup), UINT64_MAX);
    hierarchy_write(&hierarchy, "a/memory.max", "5000000000\n");
    expect_eq(cgroup_read_limit(&cgroups, cgroup), 5000000000);
    hierarchy_write(&hierarchy, "a/memory.high", "4000000000\n");
    expect_eq(cgroup_read_limit(&cgroups, cgroup), 4000000000);
    hierarchy_write(&hierarchy, "a/memory.max", "0\n");
    expect_eq(cgroup_read_limit(&cgroups, cgroup), 0);
    cgroup_unref(&cgroups, cgroup);
}

CgroupTest(uses_what_is_no_page_cache, HIERARCHY_V2) {
    struct Cgroup *cgroup = hierarchy_ref(&hierarchy, &cgroups, "0::/a\n");
    struct CgroupUse use;

    hierarchy_write(&hierarchy, "a/memory.max", "9000\n");
    hierarchy_write(&hierarchy, "a/memory.current", "8000\n");
    hierarchy_write(&hierarchy, "a/memory.stat",
                    "anon 100\nfile 5000\nshmem 3000\ninactive_anon 7\ninactive_file 1500\nactive_file 500\n");
    hierarchy_write(&hierarchy, "a/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull x\n");
    cgroup_read(&cgroups, cgroup, &use);
    expect_eq(use.limit_bytes, 9000);
    expect_eq(use.working_bytes, 6000);
    expect_eq(use.shmem_bytes, 3000);
    expect_eq(use.stalled_us, 77);
    cgroup_unref(&cgroups, cgroup);
}

CgroupTest(of_version_1_is_read_by_its_older_names, HIERARCHY_V1) {
    struct Cgroup *cgroup = hierarchy_ref(&hierarchy, &cgroups, "4:memory:/a\n");
    struct CgroupUse use;

    hierarchy_write(&hierarchy, "a/memory.limit_in_bytes", "9223372036854771712\n");
    expect_eq(cgroup_read_limit(&cgroups, cgroup), UINT64_MAX);
    hierarchy_write(&hierarchy, "a/memory.limit_in_bytes", "9000\n");
    hierarchy_write(&hierarchy, "a/memory.usage_in_bytes", "8000\n");
    hierarchy_write(&hierarchy, "a/memory.stat",
                    "shmem 1\ninactive_file 2\nactive_file 3\ntotal_shmem 3000\ntotal_inactive_file 1500\ntotal_active_file 500\n");
    cgroup_read(&cgroups, cgroup, &use);
    cr_expect(use.limit_bytes == 9000 && use.working_bytes == 6000 && use.shmem_bytes == 3000 && !use.stalled_us,
              "%lu %lu %lu %lu", use.limit_bytes, use.working_bytes, use.shmem_bytes, use.stalled_us);
    cgroup_unref(&cgroups, cgroup);
}

CgroupTest(that_is_gone_has_no_limit, HIERARCHY_V2) {
    struct Cgroup *cgroup = hierarchy_ref(&hierarchy, &cgroups, "0::/gone\n");
    struct CgroupUse use;

    cgroup_read(&cgroups, cgroup, &use);
    cr_expect(use.limit_bytes == UINT64_MAX && !use.working_bytes && !use.shmem_bytes && !use.stalled_us);
    cgroup_unref(&cgroups, cgroup);
}

/* ------------------------------------------------------------------------------------------------ charges */

Test(cgroup, is_charged_for_the_slabs_of_its_clients) {
    struct Client *client;
    struct Cgroup *cgroup;
    struct Slab *slab;
    struct Pool pool;

    core_pool_init(&pool);
    hierarchy_open(&hierarchy, &pool.cgroups, HIERARCHY_V2);
    cgroup = hierarchy_ref(&hierarchy, &pool.cgroups, "0::/a/b\n");
    client = core_client(&pool, 1);
    client->cgroup = hierarchy_ref(&hierarchy, &pool.cgroups, "0::/a/b\n");
    slab = core_slab(client, KIND_MEMORY, 2, 2);
    cr_assert_eq(pwrite(slab->fd, "x", 1, 0), 1);
    slab_measure(slab);
    expect_eq(cgroup->resident_bytes, 4096);
    expect_eq(cgroup->parent->resident_bytes, 4096);
    cr_expect(cgroup_has(client, cgroup) && cgroup_has(client, cgroup->parent));
    cr_expect_not(cgroup_has(core_client(&pool, 2), cgroup->parent));
    /* Its process is in none that we see now. */
    client_follow_cgroup(client);
    cr_expect_null(client->cgroup);
    expect_eq(cgroup->parent->resident_bytes, 0);
    client->cgroup = hierarchy_ref(&hierarchy, &pool.cgroups, "0::/a\n");
    cgroup_charge(client->cgroup, client->resident_bytes);
    expect_eq(cgroup->parent->resident_bytes, 4096);
    expect_eq(cgroup->resident_bytes, 0);
    client_free(client);
    expect_eq(cgroup->parent->resident_bytes, 0);
    cgroup_unref(&pool.cgroups, cgroup);
    expect_eq(pool.cgroups.n, 0);
    hierarchy_close(&hierarchy);
    core_pool_deinit(&pool);
}
