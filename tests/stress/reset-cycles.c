/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Memories that are used again are, byte for byte, what fresh ones are: over many random cycles of writing, growing,
 * failing calls of the kernel, trimming and revoking, with each way to reset a slot, and all of them mixed; with images
 * that are copied and images that lie over their slots; with two threads whose faults disturb each other's counts.
 *
 * reset-cycles [CYCLES]         of each of the ways, each thread; 2000
 * reset-cycles CYCLES DEFECT    with a defect that each must notice: it fails unless it does
 */

#include "client/allocator.h"
#include "client/overlay.h"
#include "client/reset.h"
#include "shared/kernel.h"
#include "shared/memfd.h"
#include "tests/stress/defect.h"
#include "tests/stress/stress.h"
#include "tests/support/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define PAGE 4096
#define THREADS 2
#define SLOTS 6
#define CYCLES 2000
#define SORTS 9
#define SORTS_COPIED 6 /* the others are overlaid */
#define MEMORY_MAX (UINT64_C(2) << 20)
#define ANY_WAY LEASE_RESET_EXTENTS /* of a planner: another one each time */

/* A sort of memory: how large it is, and its image. */
struct Sort {
    uint64_t wasm_pages;
    struct Image *image;
    uint8_t *fresh; /* what it is when new */
    struct Planner planner;
};

static struct Sort sorts[SORTS];
static struct wasmpool *pool;
static enum LeaseReset way;
static unsigned cycles = CYCLES;
static uint32_t first_sort; /* of those in this run */
static enum TrackerWay possible; /* here */
static _Atomic unsigned n_different, n_trimmed, n_grown, n_broken, n_refused, n_overlaid, n_paged_out;
static unsigned n_swapped; /* of all runs */

static uint32_t draw(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

/* ------------------------------------------------------------------------------------------------ sorts */

/* Extents of host pages, up to a pair of zeroes. */
static void sort_init(struct Sort *sort, uint64_t wasm_pages, const uint32_t (*extents)[2]) {
    static uint64_t next_id = UINT64_C(1) << 40;
    uint32_t n = 0;

    sort->wasm_pages = wasm_pages;
    sort->fresh = calloc(1, MEMORY_MAX);
    planner_init(&sort->planner);
    while (extents && extents[n][1])
        n++;
    if (!n)
        return;
    sort->image = calloc(1, sizeof(struct Image) + n * sizeof(struct ImageExtent));
    sort->image->id = next_id++;
    sort->image->bytes = sort->fresh;
    sort->image->n_extents = n;
    sort->image->mapped = sort->image->end = (extents[n - 1][0] + extents[n - 1][1]) * (uint64_t)PAGE;
    for (uint32_t i = 0; i < n; i++) {
        sort->image->extents[i].from = extents[i][0] * (uint64_t)PAGE;
        sort->image->extents[i].to = (extents[i][0] + extents[i][1]) * (uint64_t)PAGE;
        for (uint64_t at = sort->image->extents[i].from; at < sort->image->extents[i].to; at++)
            sort->fresh[at] = (uint8_t)(sort->image->id * 31 + at * 7 + at / PAGE + 1);
    }
}

/* Have its slots map it, however small it is. */
static void sort_overlay(struct Sort *sort) {
    struct Image *image = sort->image;

    image->has_file = true;
    check(!memfd_new_open("wasmpool-image", image->end, &image->file), "a memfd");
    check(!image_fill(image, image->file) && !memfd_freeze(image->file), "it can be filled, and sealed");
}

static void sorts_init(void) {
    static const uint32_t sparse[][2] = {{0, 1}, {20, 17}, {79, 1}, {0, 0}}, dense[][2] = {{0, 256}, {0, 0}},
                          last[][2] = {{79, 1}, {0, 0}}, behind[][2] = {{30, 200}, {0, 0}};

    sort_init(&sorts[0], 1, NULL);
    sort_init(&sorts[1], 3, NULL);
    sort_init(&sorts[2], 5, sparse);
    sort_init(&sorts[3], 17, dense);
    sort_init(&sorts[4], 20, NULL);
    sort_init(&sorts[5], 5, last);
    sort_init(&sorts[6], 5, sparse);
    sort_init(&sorts[7], 17, dense);
    sort_init(&sorts[8], 20, behind);
    for (int i = SORTS_COPIED; i < SORTS; i++)
        sort_overlay(&sorts[i]);
}

static void sorts_deinit(void) {
    for (int i = 0; i < SORTS; i++) {
        if (i >= SORTS_COPIED)
            image_drop_file(sorts[i].image);
        free(sorts[i].image);
        free(sorts[i].fresh);
    }
}

/* ------------------------------------------------------------------------------------------------ a cycle */

struct Thread {
    uint64_t seed;
    int ends[2];    /* a pipe */
    uint8_t *bytes; /* MEMORY_MAX */
    bool is_first;
};

/* Mostly not through the mapping, where to read a hole would make it a page. What lies over the slab is there alone:
 * not always looked at, as that would be a fault, too. */
static void expect_fresh(struct Thread *thread, const struct Sort *sort, const struct wasmpool_memory *memory) {
    const uint8_t *found = memory->base;
    bool in_place = draw(&thread->seed) % 4 == 0;
    struct Taken taken;

    check(shelf_find(pool, memory->allocation, &taken), "a memory has a slot");
    if (overlay_of(&taken)) {
        n_overlaid++;
        if (!in_place)
            return;
    } else if (!in_place) {
        uint64_t offset = shape_slot_offset(&taken.slab->shape, taken.index);

        check(pread(taken.slab->fd, thread->bytes, memory->current_length, (off_t)offset) ==
                  (ssize_t)memory->current_length, "a memory can be read");
        found = thread->bytes;
    }
    n_different += memcmp(found, sort->fresh, memory->current_length) != 0;
    if (draw(&thread->seed) % 16 == 0 && !memory->explicit_bounds)
        n_different += write(thread->ends[1], memory->base + memory->current_length, 1) >= 0 || errno != EFAULT;
}

static void dirty(struct Thread *thread, const struct wasmpool_memory *memory) {
    uint64_t at = draw(&thread->seed) % memory->current_length, left = memory->current_length - at;
    uint64_t bytes = 1 + draw(&thread->seed) % (draw(&thread->seed) % 8 ? 64 : 9 * PAGE);

    bytes = bytes < left ? bytes : left;
    if (draw(&thread->seed) % 4 || bytes > PAGE)
        memset(memory->base + at, (int)(1 + draw(&thread->seed) % 255), bytes);
    else if (write(thread->ends[1], sorts[3].fresh, bytes) == (ssize_t)bytes)
        check(read(thread->ends[0], memory->base + at, bytes) == (ssize_t)bytes, "a memory can be read to");
}

static void use(struct Thread *thread, struct wasmpool_memory *memory) {
    if (draw(&thread->seed) % 8 == 0 && wasmpool_grow_memory(pool, memory, 1 + draw(&thread->seed) % 8) >= 0)
        n_grown++;
    for (uint32_t n = draw(&thread->seed) % 5 ? draw(&thread->seed) % 6 : draw(&thread->seed) % 90; n; n--)
        dirty(thread, memory);
}

/* Where there is swap, some pages go there. */
static void page_out(struct Thread *thread, const struct wasmpool_memory *memory) {
    uint64_t from = draw(&thread->seed) % (memory->current_length / PAGE) * PAGE;
    struct sysinfo before, after;

    memory->base[from] = 1;
    sysinfo(&before);
    n_paged_out += !madvise(memory->base + from, memory->current_length - from, MADV_PAGEOUT) && !sysinfo(&after) &&
                   after.freeswap < before.freeswap;
}

/* What a slot's reset comes to depends on it, and on nothing that it does. */
static void disturb(struct Thread *thread, struct Sort *sort, const struct wasmpool_memory *memory) {
    struct Taken taken;

    sort->planner.way = way == ANY_WAY ? LEASE_RESET_COUNT + draw(&thread->seed) % 3 : way;
    if (shelf_find(pool, memory->allocation, &taken) && taken.slot->track && draw(&thread->seed) % 8 == 0)
        taken.slot->track->age_max = 1 + draw(&thread->seed) % 12;
}

static void cycle(struct Thread *thread) {
    struct Sort *sort = &sorts[first_sort + draw(&thread->seed) % (SORTS - first_sort)];
    const struct wasmpool_memory_type type = {.minimum = sort->wasm_pages};
    static const char label[LEASE_LABEL_BYTES];
    struct wasmpool_memory memory;

    if (memory_allocate(pool, &(struct MemoryRequest){.type = &type, .label = label, .image = sort->image,
                                                      .planner = &sort->planner,
                                                      .explicit_bounds = draw(&thread->seed) % 4 == 0}, &memory, NULL)) {
        n_refused++;
        return;
    }
    expect_fresh(thread, sort, &memory);
    use(thread, &memory);
    if (draw(&thread->seed) % 16 == 0)
        page_out(thread, &memory);
    disturb(thread, sort, &memory);
    wasmpool_deallocate_memory(pool, &memory);
}

/* ------------------------------------------------------------------------------------------------ from outside */

/* As a daemon trims: an idle slot is taken back, emptied and granted again. By nobody else meanwhile: here that is who
 * has the lock. */
static void trim_one(struct Thread *thread) {
    struct Slab *slab = pool->memories.slabs;
    uint32_t index = draw(&thread->seed) % SLOTS;
    struct LeaseEntry *entry = slab_entry(slab, index);
    uint64_t generation = lease_generation(lease_load(entry));

    if (lease_revoke(entry, generation))
        return;
    check(!memfd_punch(slab->fd, shape_slot_offset(&slab->shape, index), slab->shape.stride), "a slot can be punched");
    check(!lease_grant(entry, generation + 1), "nobody else leaves VACANT");
    n_trimmed++;
}

static void trim(struct Thread *thread) {
    pool_lock_until(pool, 0);
    trim_one(thread);
    pool_unlock(pool);
}

/* For some cycles the kernel does not do what the tracker asks: one of its descriptors is of something else. */
static void run_broken(struct Thread *thread) {
    int fd = draw(&thread->seed) % 2 ? pool->tracker.pagemap_fd : pool->tracker.userfault_fd;
    int kept = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0), other = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (kept >= 0 && other >= 0) {
        dup2(other, fd);
        for (int i = 0; i < 8; i++)
            cycle(thread);
        dup2(kept, fd);
        n_broken++;
    }
    close(other);
    close(kept);
}

/* Of a defect one difference is enough. */
static bool is_done(void) {
    return defect_is_planted() && n_different;
}

static void *work(void *argument) {
    struct Thread *thread = argument;

    for (unsigned i = 0; i < cycles && !is_done(); i++) {
        cycle(thread);
        if (draw(&thread->seed) % 16 == 0)
            trim(thread);
        /* What is broken is broken for both threads: one of them does it. */
        if (thread->is_first && draw(&thread->seed) % 64 == 0 && way == ANY_WAY && !defect_is_planted())
            run_broken(thread);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ runs */

static bool open_pool(const char *tracking, uint64_t keep) {
    const char *settings[] = {"total_memories=6", "memory_reservation=4M", "max_memory_size=4M", "memory_guard_size=64K",
                              tracking, NULL};
    struct wasmpool_options options = {.address = "embedded:", .settings = settings};

    if (wasmpool_open(&pool, &options, NULL))
        return false;
    pool->limits.linear_memory_keep_resident = keep;
    return true;
}

static void run(const char *name, const char *tracking, enum LeaseReset wanted, uint64_t keep) {
    struct Thread threads[THREADS];
    pthread_t ids[THREADS];

    if (is_done())
        return;
    check(open_pool(tracking, keep), "the pool opens");
    way = wanted;
    for (int i = 0; i < SORTS; i++)
        sorts[i].planner.way = wanted == ANY_WAY ? LEASE_RESET_COUNT : wanted;
    n_trimmed = n_grown = n_broken = n_refused = n_overlaid = n_paged_out = 0;
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct Thread){.seed = (uint64_t)i + 1, .is_first = !i, .bytes = malloc(MEMORY_MAX + (UINT64_C(1) << 20))};
        check(!pipe2(threads[i].ends, O_CLOEXEC | O_NONBLOCK), "a pipe");
        pthread_create(&ids[i], NULL, work, &threads[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
        close(threads[i].ends[0]);
        close(threads[i].ends[1]);
        free(threads[i].bytes);
    }
    printf("reset-cycles: %s (%s): %u cycles, %u overlaid, %u grown, %u trimmed, %u broken, %u refused, %u paged out: %u differ\n",
           name, lease_reset_name(wanted), THREADS * cycles, n_overlaid, n_grown, n_trimmed, n_broken, n_refused, n_paged_out,
           n_different);
    check(pool->limits.pagemap_scan == LIMIT_AUTO_NO || pool->tracker.way == possible, "it tracks where it can");
    n_swapped += n_paged_out;
    check((n_grown && n_trimmed && n_overlaid) || cycles < CYCLES || is_done(), "there was some of everything");
    wasmpool_close(pool);
}

/* One memory, of which the same pages are written each time, but for one now and then: most resets ask nothing but the
 * count, and what falls out when pages are armed again is noticed if it was not. */
static void run_quiet(void) {
    static const struct wasmpool_memory_type type = {.minimum = 5};
    static const char label[LEASE_LABEL_BYTES];
    const struct MemoryRequest request = {.type = &type, .label = label, .planner = &sorts[2].planner};
    unsigned still = 0, armed_again = 0;
    uint64_t seed = 1;

    if (is_done() || possible != TRACKER_COUNT)
        return;
    check(open_pool("pagemap_scan=auto", UINT64_MAX), "the pool opens");
    planner_init(&sorts[2].planner);
    for (unsigned i = 0; i < cycles && !is_done(); i++) {
        struct wasmpool_memory memory;
        struct Taken taken;
        uint64_t count;
        char byte;

        check(!memory_allocate(pool, &request, &memory, NULL) && shelf_find(pool, memory.allocation, &taken), "a memory");
        /* Not through the mapping: a page that is read is a fault, too. */
        for (uint64_t page = 0; page < 80; page++)
            n_different += pread(taken.slab->fd, &byte, 1, (off_t)(shape_slot_offset(&taken.slab->shape, taken.index) +
                                                                   page * PAGE)) != 1 || byte;
        for (uint64_t page = 0; page < 4; page++)
            memory.base[page * 7 * PAGE] = 1;
        if (draw(&seed) % 16 == 0)
            memory.base[draw(&seed) % 80 * PAGE] = 1;
        count = taken.slot->track ? taken.slot->track->count : UINT64_MAX;
        if (taken.slot->track)
            taken.slot->track->age_max = 8;
        wasmpool_deallocate_memory(pool, &memory);
        still += taken.slot->track && taken.slot->track->count == count;
        armed_again += taken.slot->track && !taken.slot->track->age;
    }
    printf("reset-cycles: quiet (count): %u cycles, %u still, %u armed again: %u differ\n", cycles, still, armed_again,
           n_different);
    check((still > cycles / 2 && armed_again > cycles / 16) || cycles < CYCLES || is_done(),
          "most resets ask for the count alone");
    wasmpool_close(pool);
}

/* As an older kernel or a sandbox leaves it, from here on for good. */
static void run_refused(const char *name, const struct Refusal *refusal) {
    if (refusals_install(refusal, 1)) {
        possible = TRACKER_NONE;
        run(name, "pagemap_scan=auto", LEASE_RESET_EXTENTS, UINT64_MAX);
    } else
        printf("SKIP reset-cycles, %s: no seccomp filter may be installed here\n", name);
}

int main(int argc, char **argv) {
    struct Tracker tracker;

    if (argc > 1)
        cycles = (unsigned)atoi(argv[1]);
    if (argc > 2)
        defect_plant(argv[2]);
    tracker_init(&tracker, TRACKER_COUNT);
    possible = tracker.way;
    if (tracker.way == TRACKER_NONE)
        printf("SKIP reset-cycles, of the ways that track: %s\n", tracker.why);
    sorts_init();
    run_quiet();
    run("tracked", "pagemap_scan=auto", LEASE_RESET_COUNT, UINT64_MAX);
    run("tracked", "pagemap_scan=auto", LEASE_RESET_SCAN, UINT64_MAX);
    run("tracked", "pagemap_scan=auto", LEASE_RESET_WHOLE, UINT64_MAX);
    run("mixed", "pagemap_scan=auto", ANY_WAY, UINT64_MAX);
    run("mixed, half kept", "pagemap_scan=auto", ANY_WAY, 640 << 10);
    run("not tracked", "pagemap_scan=no", LEASE_RESET_EXTENTS, UINT64_MAX);
    run("nothing kept", "pagemap_scan=no", LEASE_RESET_EXTENTS, 0);
    first_sort = SORTS_COPIED;
    run("copy-on-write", "pagemap_scan=auto", LEASE_RESET_COUNT, UINT64_MAX);
    run("copy-on-write, mixed, some kept", "pagemap_scan=auto", ANY_WAY, 300 << 10);
    run("copy-on-write, not tracked", "pagemap_scan=no", LEASE_RESET_EXTENTS, UINT64_MAX);
    run("copy-on-write, nothing kept", "pagemap_scan=auto", LEASE_RESET_COUNT, 0);
    first_sort = 0;
    run_refused("no PAGEMAP_SCAN", &(struct Refusal){SYS_ioctl, 1, PAGEMAP_SCAN, ENOTTY});
    run_refused("no userfaultfd", &(struct Refusal){SYS_userfaultfd, REFUSAL_ANY, 0, EPERM});
    sorts_deinit();
    if (!n_swapped)
        printf("SKIP reset-cycles, of pages in swap: nothing could be paged out, as where there is no swap\n");
    check(defect_is_planted() ? n_different > 0 : n_different == 0,
          defect_is_planted() ? "the defect is noticed" : "no memory differs from a fresh one");
    tracker_deinit(&tracker);
    return stress_end();
}
