/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/slab.h"

#include "daemon/reclaim.h"
#include "daemon/user.h"
#include "shared/memfd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the kernel cannot count a slot's pages in one call, this many extents of it are looked at: an inspection must
 * not hold up the loop, however a client has scattered its pages. */
#define SLAB_EXTENTS_MAX 64

static int slab_make_memfd(struct Slab *slab, struct Error *error) {
    char name[32];
    struct stat st;
    int r;

    snprintf(name, sizeof(name), "wasmpool-%s", kind_name(slab->shape.kind));
    r = memfd_new(name, slab->shape.file_bytes, &slab->fd);
    if (r == MEMFD_E_FSIZE)
        return error_limit(error, ERROR_HOST, "RLIMIT_FSIZE", memfd_bytes_max(), 0, slab->shape.file_bytes,
                           "a slab exceeds the size that the daemon's files may have");
    if (r == -EMFILE || r == -ENFILE)
        return error_limit(error, ERROR_LIMIT, "fds", (uint64_t)sysconf(_SC_OPEN_MAX), (uint64_t)sysconf(_SC_OPEN_MAX),
                           1, "the daemon has no file descriptor left for a slab");
    if (!r && fstat(slab->fd, &st))
        r = -errno;
    if (r)
        return error_set(error, ERROR_HOST, "cannot make a slab: %s", strerror(-r));
    slab->inode = st.st_ino;
    slab->backing = backing_new(slab->fd);
    if (!slab->backing)
        return error_set(error, -ENOMEM, "the daemon is out of memory");
    slab->backing->slab = slab;
    return 0;
}

int slab_new(struct Slab **slabp, const struct Shape *shape, struct Error *error) {
    struct Slab *slab = calloc(1, sizeof(*slab) + shape->count * sizeof(struct SlotRecord));
    int r = 0;

    if (!slab)
        return error_set(error, -ENOMEM, "the daemon is out of memory");
    slab->shape = *shape;
    slab->fd = -1;
    slab->reclaim = reclaim_new();
    if (!slab->reclaim)
        r = error_set(error, -ENOMEM, "the daemon is out of memory");
    else if (shape->kind != KIND_INSTANCE)
        r = slab_make_memfd(slab, error);
    if (r) {
        slab_free(slab);
        return r;
    }
    *slabp = slab;
    return 0;
}

struct Slab *slab_free(struct Slab *slab) {
    if (!slab)
        return NULL;
    if (slab->backing && slab->client)
        reclaim_add(slab->client->pool, slab->reclaim, slab->backing, 0, slab->shape.file_bytes, UINT64_MAX);
    else
        free(slab->reclaim);
    if (slab->backing) {
        slab->backing->slab = NULL;
        backing_unref(slab->backing);
    } else if (slab->fd >= 0)
        close(slab->fd);
    free(slab);
    return NULL;
}

void slab_clean_slot(struct Slab *slab, uint32_t slot) {
    uint64_t offset = shape_slot_offset(&slab->shape, slot), resident;
    struct Reclaim *reclaim;
    bool whole;

    if (slab->fd < 0 || slab->records[slot].cleaning)
        return;
    if (memfd_resident(slab->fd, offset, slab->shape.stride, SLAB_EXTENTS_MAX, &resident, &whole) || !whole)
        resident = UINT64_MAX;
    reclaim = resident ? reclaim_new() : NULL;
    if (!reclaim)
        return;
    reclaim->is_slot = true;
    reclaim->slot = slot;
    slab->records[slot].cleaning = 1;
    slab->n_cleaning++;
    reclaim_add(slab->client->pool, reclaim, slab->backing, offset, slab->shape.stride, resident);
}

bool slab_slot_is_empty(struct Slab *slab, uint32_t slot) {
    struct SlotRecord *record = &slab->records[slot];
    int r;

    if (slab->fd < 0)
        return true;
    if (record->cleaning)
        return false;
    r = memfd_has_pages(slab->fd, shape_slot_offset(&slab->shape, slot), slab->shape.stride);
    if (r > 0)
        slab_clean_slot(slab, slot);
    else if (r < 0)
        record->retired = 1;
    return !r;
}

void slab_slot_cleaned(struct Slab *slab, uint32_t slot, int result) {
    slab->n_cleaning -= slab->records[slot].cleaning;
    slab->records[slot].cleaning = 0;
    if (result)
        slab->records[slot].retired = 1;
}

void slab_measure(struct Slab *slab) {
    struct Client *client = slab->client;
    struct Gauge *gauge;
    uint64_t resident;

    if (slab->fd < 0)
        return;
    gauge = &client->pool->gauges.all[slab->gauge];
    resident = gauge_read(gauge);
    if (resident == slab->resident_bytes)
        return;
    cgroup_charge(client->cgroup, resident - slab->resident_bytes);
    client->resident_bytes += resident - slab->resident_bytes;
    client->user->resident_bytes += resident - slab->resident_bytes;
    client->pool->resident_bytes += resident - slab->resident_bytes;
    slab->resident_bytes = gauge->resident_bytes = resident;
}

uint32_t slab_count_busy(const struct Slab *slab) {
    uint32_t n = 0;

    for (uint32_t i = 0, granted = 0; granted < slab->n_granted && i < slab->shape.count; i++) {
        granted += slab->records[i].granted;
        n += slab->records[i].granted && lease_state(lease_load(slab_entry(slab, i))) == LEASE_BUSY;
    }
    return n;
}

/* A label is whatever the client wrote: end it, and keep what can be printed. */
static void slab_copy_label(char label[static LEASE_LABEL_BYTES], const struct LeaseEntry *entry) {
    memcpy(label, entry->label, LEASE_LABEL_BYTES);
    label[LEASE_LABEL_BYTES - 1] = 0;
    for (char *c = label; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
}

void slab_view(const struct Slab *slab, uint32_t slot, struct SlotView *view) {
    const struct SlotRecord *record = &slab->records[slot];
    const struct LeaseEntry *entry = slab_entry(slab, slot);
    uint64_t word = lease_load(entry);
    uint32_t flags = atomic_load(&((struct LeaseEntry *)entry)->flags);
    bool whole;

    *view = (struct SlotView){0};
    if (!record->granted)
        return;
    /* Nobody but the client can have made it anything else. */
    if (flags & LEASE_FLAG_RETIRED)
        view->state = "retired";
    else
        view->state = lease_state(word) == LEASE_IDLE || lease_state(word) == LEASE_BUSY ? lease_word_name(word)
                                                                                         : "tampered";
    view->copy_on_write = flags & LEASE_FLAG_PRIVATE;
    if (slab->fd >= 0)
        memfd_resident(slab->fd, shape_slot_offset(&slab->shape, slot), slab->shape.stride, SLAB_EXTENTS_MAX,
                       &view->resident_bytes, &whole);
    if (lease_state(word) != LEASE_BUSY)
        return;
    view->pages = atomic_load(&((struct LeaseEntry *)entry)->pages);
    view->taken_ns = atomic_load(&((struct LeaseEntry *)entry)->taken_ns);
    slab_copy_label(view->label, entry);
}
