/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/slab.h"

#include "daemon/reclaim.h"
#include "shared/memfd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the kernel cannot count a slot's pages in one call, this many extents of it are looked at: an inspection must not
 * hold up the loop, however a client has scattered its pages. */
#define SLAB_EXTENTS_MAX 64

static int slab_make_memfd(struct Slab *slab, struct Error *error) {
    char name[32];
    struct stat st;
    int r;

    snprintf(name, sizeof(name), "wasmpool-%s", kind_name(slab->shape.kind));
    r = memfd_new(name, slab->shape.file_bytes, &slab->fd);
    if (r == MEMFD_E_FSIZE)
        return error_limit(error, ERROR_HOST, "RLIMIT_FSIZE", 0, 0, slab->shape.file_bytes,
                           "a slab exceeds the size that the daemon's files may have");
    if (!r && fstat(slab->fd, &st))
        r = -errno;
    if (r)
        return error_set(error, r == -EMFILE || r == -ENFILE ? ERROR_HOST : r, "cannot make a slab: %s", strerror(-r));
    slab->inode = st.st_ino;
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
    if (slab->fd >= 0 && slab->client) {
        reclaim_add(slab->client->pool, slab->reclaim, slab->fd, 0, slab->shape.file_bytes);
    } else {
        if (slab->fd >= 0)
            close(slab->fd);
        free(slab->reclaim);
    }
    free(slab);
    return NULL;
}

struct LeaseEntry *slab_entry(const struct Slab *slab, uint32_t slot) {
    return &slab->client->table->entries[slab->first_entry + slot];
}

int slab_empty_slot(struct Slab *slab, uint32_t slot) {
    uint64_t offset = shape_slot_offset(&slab->shape, slot);
    int r;

    if (slab->fd < 0)
        return 0;
    r = memfd_has_pages(slab->fd, offset, slab->shape.stride);
    if (r > 0)
        r = memfd_punch(slab->fd, offset, slab->shape.stride);
    if (r)
        slab->records[slot].retired = 1;
    return r;
}

void slab_reclaim_slot(struct Slab *slab, uint32_t slot) {
    uint64_t offset = shape_slot_offset(&slab->shape, slot);
    struct Reclaim *reclaim;
    int fd;

    slab->records[slot].retired = 1;
    if (slab->fd < 0 || memfd_has_pages(slab->fd, offset, slab->shape.stride) <= 0)
        return;
    /* Without either the pages stay until the slab goes. */
    fd = fcntl(slab->fd, F_DUPFD_CLOEXEC, 0);
    reclaim = fd < 0 ? NULL : reclaim_new();
    if (reclaim)
        reclaim_add(slab->client->pool, reclaim, fd, offset, slab->shape.stride);
    else if (fd >= 0)
        close(fd);
}

void slab_measure(struct Slab *slab) {
    struct Client *client = slab->client;
    struct stat st;
    uint64_t resident;

    if (slab->fd < 0 || fstat(slab->fd, &st))
        return;
    resident = (uint64_t)st.st_blocks * 512;
    client->resident_bytes += resident - slab->resident_bytes;
    client->pool->resident_bytes += resident - slab->resident_bytes;
    slab->resident_bytes = resident;
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
    bool whole;

    *view = (struct SlotView){0};
    if (!record->granted)
        return;
    view->state = atomic_load(&((struct LeaseEntry *)entry)->flags) & LEASE_FLAG_RETIRED ? "retired"
                                                                                         : lease_word_name(word);
    if (slab->fd >= 0)
        memfd_resident(slab->fd, shape_slot_offset(&slab->shape, slot), slab->shape.stride, SLAB_EXTENTS_MAX,
                       &view->resident_bytes, &whole);
    if (lease_state(word) != LEASE_BUSY)
        return;
    view->pages = atomic_load(&((struct LeaseEntry *)entry)->pages);
    view->taken_ns = atomic_load(&((struct LeaseEntry *)entry)->taken_ns);
    slab_copy_label(view->label, entry);
}
