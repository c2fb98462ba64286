/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/daemon/core.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

Test(slab, is_a_sealed_memfd_of_the_shapes_size) {
    struct Pool pool;
    struct Slab *slab;
    struct stat st;
    int seals;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 3, 0);
    cr_assert_eq(fstat(slab->fd, &st), 0);
    cr_expect_eq((uint64_t)st.st_size, 3 * ((UINT64_C(1) << 20) + (1 << 16)), "%ld", st.st_size);
    cr_expect_eq(st.st_ino, slab->inode);
    seals = fcntl(slab->fd, F_GET_SEALS);
    cr_expect_eq(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, "%#x",
                 seals);
    core_pool_deinit(&pool);
}

Test(slab, of_instances_has_no_memfd) {
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_INSTANCE, 6, 6);
    cr_expect_eq(slab->fd, -1);
    cr_expect_eq(slab->n_granted, 6, "%u", slab->n_granted);
    core_pool_deinit(&pool);
}

Test(slab, measures_what_is_resident) {
    struct Pool pool;
    struct Client *client;
    struct Slab *slab;

    core_pool_init(&pool);
    client = core_client(&pool, 0);
    slab = core_slab(client, KIND_MEMORY, 2, 2);
    for (off_t at = 0; at < 5 * 4096; at += 4096)
        cr_assert_eq(pwrite(slab->fd, "x", 1, at), 1);
    pool_measure(&pool);
    cr_expect_eq(pool.resident_bytes, 5 * 4096, "%lu", pool.resident_bytes);
    cr_expect_eq(client->resident_bytes, 5 * 4096, "%lu", client->resident_bytes);
    core_pool_deinit(&pool);
}

Test(slab, shows_what_the_client_says_of_a_busy_slot) {
    struct SlotView view;
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 2, 2);
    core_take(slab, 1);
    slab_entry(slab, 1)->pages = 17;
    slab_entry(slab, 1)->taken_ns = 123;
    memcpy(slab_entry(slab, 1)->label, "a\033[31mlabel that never end", LEASE_LABEL_BYTES);
    cr_assert_eq(pwrite(slab->fd, "x", 1, (off_t)shape_slot_offset(&slab->shape, 1)), 1);
    slab_view(slab, 1, &view);
    cr_expect_str_eq(view.state, "busy");
    cr_expect(view.pages == 17 && view.taken_ns == 123, "%lu %lu", view.pages, view.taken_ns);
    cr_expect_str_eq(view.label, "a?[31mlabel that never ", "'%s'", view.label);
    cr_expect_eq(view.resident_bytes, 4096, "%lu", view.resident_bytes);
    slab_view(slab, 0, &view);
    cr_expect_str_eq(view.state, "idle");
    core_pool_deinit(&pool);
}

Test(slab, shows_nothing_of_a_slot_that_was_never_granted) {
    struct SlotView view;
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 2, 1);
    atomic_store(&slab_entry(slab, 1)->word, lease_word(0, LEASE_BUSY));
    slab_view(slab, 1, &view);
    cr_expect_null(view.state, "%s", view.state);
    core_pool_deinit(&pool);
}

Test(slab, shows_a_retired_slot_and_one_with_private_pages) {
    struct SlotView view;
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 1, 1);
    core_take(slab, 0);
    slab_entry(slab, 0)->flags = LEASE_FLAG_RETIRED;
    slab_view(slab, 0, &view);
    cr_expect_str_eq(view.state, "retired");
    cr_expect(!view.copy_on_write);
    slab_entry(slab, 0)->flags = LEASE_FLAG_PRIVATE;
    slab_view(slab, 0, &view);
    cr_expect_str_eq(view.state, "busy");
    cr_expect(view.copy_on_write);
    core_pool_deinit(&pool);
}

Test(slab, that_cannot_be_looked_into_is_retired) {
    struct Pool pool;
    struct Slab *slab;
    int fd;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 1, 0);
    fd = slab->fd;
    slab->fd = open("/dev/null", O_RDONLY | O_CLOEXEC | O_PATH);
    cr_expect_not(slab_slot_is_empty(slab, 0));
    cr_expect(slab->records[0].retired);
    cr_expect_eq(grant_slots(slab, 1), 0, "a slot that could not be emptied was granted");
    close(slab->fd);
    slab->fd = fd;
    core_pool_deinit(&pool);
}

Test(slab, that_cannot_be_cleaned_is_retired) {
    struct Reclaim *reclaims;
    struct Pool pool;
    struct Slab *slab;

    core_pool_init(&pool);
    slab = core_slab(core_client(&pool, 0), KIND_MEMORY, 1, 0);
    cr_assert_eq(pwrite(slab->fd, "x", 1, 0), 1);
    cr_expect_not(slab_slot_is_empty(slab, 0));
    reclaims = reclaim_steal(&pool);
    reclaims->result = -EIO;
    reclaim_finish(reclaims);
    cr_expect(slab->records[0].retired && !slab->records[0].cleaning);
    core_pool_deinit(&pool);
}
