/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/pool.h"

#include "client/channel.h"
#include "client/demand.h"
#include "client/overlay.h"
#include "client/track.h"
#include "shared/clock.h"
#include "shared/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POOL_TIMEOUT_MS 5000
#define POOL_ELEMENT_SIZE 8
#define POOL_AT_ONCE 1 /* a deadline that has passed: what is told only, and cannot be told at once, is left */

static_assert(SHAPE_SLOTS_MAX == 1 << SLOT_BITS, "a slot's index fits its number");
static_assert(POOL_SLABS_MAX <= UINT32_MAX >> SLOT_BITS, "and so does its slab's");

uint64_t pool_total(const struct wasmpool *pool, enum Kind kind) {
    return kind == KIND_MEMORY  ? pool->limits.total_memories
           : kind == KIND_TABLE ? pool->limits.total_tables
                                : pool->limits.total_core_instances;
}

const char *pool_total_name(enum Kind kind) {
    return kind == KIND_MEMORY ? "total_memories" : kind == KIND_TABLE ? "total_tables" : "total_core_instances";
}

/* ------------------------------------------------------------------------------------------------ tracking */

static void pool_try_tracker(struct wasmpool *pool) {
    pthread_mutex_lock(&pool->tracker_lock);
    if (!atomic_load(&pool->tracker_tried))
        tracker_init(&pool->tracker, pool->limits.pagemap_scan == LIMIT_AUTO_NO ? TRACKER_NONE : TRACKER_COUNT);
    atomic_store_explicit(&pool->tracker_tried, true, memory_order_release);
    pthread_mutex_unlock(&pool->tracker_lock);
}

const struct Tracker *pool_tracker(struct wasmpool *pool) {
    if (__builtin_expect(!atomic_load_explicit(&pool->tracker_tried, memory_order_acquire), 0))
        pool_try_tracker(pool);
    return pool->tracker.way == TRACKER_NONE ? NULL : &pool->tracker;
}

struct Planner *pool_planner(struct wasmpool *pool, uint64_t bytes) {
    uint64_t pages = bytes / WASM_PAGE_BYTES;
    unsigned i = pages ? 63 - (unsigned)__builtin_clzll(pages) : 0;

    return &pool->planners[i < POOL_PLANNERS_N ? i : POOL_PLANNERS_N - 1];
}

/* Where it is asked for by name, it must be there. */
static int pool_check_tracker(struct wasmpool *pool, struct wasmpool_error *error) {
    if (pool->limits.pagemap_scan != LIMIT_AUTO_YES || pool_tracker(pool))
        return 0;
    return error_set(failure(error), ERROR_UNSUPPORTED, "pagemap_scan is set to yes, but %s", pool->tracker.why);
}

/* ------------------------------------------------------------------------------------------------ slabs */

static struct Slab *pool_steal_spare(struct wasmpool *pool, uint32_t capacity) {
    for (struct Slab **link = &pool->spares; *link; link = &(*link)->next)
        if ((*link)->capacity == capacity) {
            struct Slab *slab = *link;

            *link = slab->next;
            return slab;
        }
    return NULL;
}

static int pool_make_slab(struct wasmpool *pool, uint32_t capacity, struct Slab **slabp, struct wasmpool_error *error) {
    struct Slab *slab;

    if (pool->n_slabs == POOL_SLABS_MAX)
        return error_limit(failure(error), ERROR_HOST, "slabs", POOL_SLABS_MAX, pool->n_slabs, 1,
                           "this process has too many slabs");
    slab = aligned_alloc(_Alignof(struct Slab), sizeof(*slab) + capacity * sizeof(struct Slot));
    if (!slab)
        return failure_errno(error, -ENOMEM, "a slab's record");
    memset(slab, 0, sizeof(*slab) + capacity * sizeof(struct Slot));
    slab->capacity = capacity;
    slab->number = pool->n_slabs++;
    /* For good: whoever comes late to a slot of a record that is used again reads it. */
    for (uint32_t i = 0; i < capacity; i++)
        slab->slots[i].slab = slab;
    *slabp = slab;
    return 0;
}

int pool_new_slab(struct wasmpool *pool, struct Shelf *shelf, const struct Shape *shape, struct Slab **slabp,
                  struct wasmpool_error *error) {
    struct Slab *slab = pool_steal_spare(pool, shape->count);
    int r;

    if (!slab) {
        r = pool_make_slab(pool, shape->count, &slab, error);
        if (r)
            return r;
    }
    slab->shelf = shelf;
    slab->connection = NULL;
    slab->spare = false;
    overlay_forget(slab);
    slab->most = shape->count;
    slab->n_granted = 0;
    slab->announced = (struct Announcement){0};
    slab->shape = *shape;
    slab->fd = -1;
    for (uint32_t i = 0; i < shape->count; i++) {
        struct Slot *slot = &slab->slots[i];

        slot->where = SLOT_AWAY;
        slot->generation = UINT64_MAX;
        slot->accessible = 0;
        slot->warm = slot->marked = false;
        slot->provenance = PROVENANCE_EMPTY;
        slot->image_id = 0;
        track_unmap(slot->track);
    }
    *slabp = slab;
    return 0;
}

void pool_add_slab(struct wasmpool *pool, struct Slab *slab) {
    struct Connection *connection = slab->connection;

    atomic_store(&slab->entries, connection->table->entries + slab->first_entry);
    connection->n_slabs++;
    pool->n_mapped++;
    slab->next = slab->shelf->slabs;
    slab->shelf->slabs = slab;
    demand_add_slab(slab);
    atomic_store_explicit(&pool->slabs[slab->number], slab, memory_order_release);
}

void pool_unmap_slab(struct wasmpool *pool, struct Slab *slab) {
    /* Of several threads that release the last slots of a draining slab, each finds that none is busy. */
    if (slab->spare)
        return;
    slab->spare = true;
    for (struct Slab **link = &slab->shelf->slabs; *link; link = &(*link)->next)
        if (*link == slab) {
            *link = slab->next;
            demand_remove_slab(slab);
            shelf_forget_slab(slab);
            atomic_fetch_sub(&slab->shelf->n_granted, atomic_exchange(&slab->n_granted, 0));
            pool->n_mapped--;
            if (!--slab->connection->n_slabs && slab->connection->draining)
                connection_blank(slab->connection);
            break;
        }
    mapping_deinit(&slab->mapping);
    if (slab->fd >= 0)
        close(slab->fd);
    slab->fd = -1;
    slab->next = pool->spares;
    pool->spares = slab;
}

/* ------------------------------------------------------------------------------------------------ the lock */

static void pool_tell_returned(struct wasmpool *pool) {
    struct Slab *slab = atomic_exchange(&pool->returned, NULL);

    while (slab) {
        struct Slab *next = slab->next_returned;

        atomic_store(&slab->has_returned, false);
        pool->source->returned(pool, slab);
        slab = next;
    }
}

/* Who notes something sets the flag and then tries the lock; who lets it go looks at the flag afterwards. One of them
 * sees the other. */
static void pool_tend(struct wasmpool *pool) {
    while (atomic_load(&pool->is_untended) && !pthread_mutex_trylock(&pool->lock)) {
        pool->patience.deadline_ns = POOL_AT_ONCE;
        if (atomic_exchange(&pool->is_untended, false)) {
            pool_tell_returned(pool);
            demand_tend(&pool->instances);
            demand_tend(&pool->memories);
            demand_tend(&pool->tables[0]);
            demand_tend(&pool->tables[1]);
        }
        pool->patience.deadline_ns = 0;
        pthread_mutex_unlock(&pool->lock);
    }
}

/* gcc 12's thread sanitizer does not know pthread_mutex_clocklock(3). */
static int pool_clocklock(pthread_mutex_t *lock, uint64_t deadline_ns) {
#ifdef __SANITIZE_THREAD__
    (void)deadline_ns;
    return pthread_mutex_lock(lock);
#else
    struct timespec deadline = clock_timespec(deadline_ns);

    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &deadline);
#endif
}

bool pool_lock_until(struct wasmpool *pool, uint64_t deadline_ns) {
    if (!deadline_ns)
        pthread_mutex_lock(&pool->lock);
    else if (pool_clocklock(&pool->lock, deadline_ns))
        return false;
    pool->patience.deadline_ns = deadline_ns;
    return true;
}

void pool_unlock(struct wasmpool *pool) {
    pool->patience.deadline_ns = 0;
    pthread_mutex_unlock(&pool->lock);
    pool_tend(pool);
}

void pool_defer(struct wasmpool *pool) {
    atomic_store(&pool->is_untended, true);
    pool_tend(pool);
}

void pool_slot_returned(struct wasmpool *pool, struct Slab *slab) {
    if (!atomic_exchange(&slab->has_returned, true)) {
        slab->next_returned = atomic_load(&pool->returned);
        while (!atomic_compare_exchange_weak(&pool->returned, &slab->next_returned, slab))
            continue;
    }
    pool_defer(pool);
}

/* ------------------------------------------------------------------------------------------------ open */

static int pool_init_shelf(struct wasmpool *pool, struct Shelf *shelf, struct Shape shape, bool keeps_warm,
                           struct wasmpool_error *error) {
    int r;

    /* As many slots as fit the largest slab that there may be. */
    while ((r = shape_finish(&shape, failure(error))) && shape.count > 1)
        shape.count /= 2;
    if (!r)
        shelf_init(shelf, pool, &shape, keeps_warm);
    return r;
}

static int pool_init_shelves(struct wasmpool *pool, struct wasmpool_error *error) {
    const struct Limits *limits = &pool->limits;
    int r = pool_init_shelf(pool, &pool->instances,
                            (struct Shape){.kind = KIND_INSTANCE, .count = SHELF_PERMIT_SLOTS}, false, error);

    if (!r)
        r = pool_init_shelf(pool, &pool->memories,
                            (struct Shape){.kind = KIND_MEMORY,
                                           .reservation = limits->memory_reservation,
                                           .guard = limits->memory_guard_size,
                                           .guard_before = limits->guard_before_linear_memory,
                                           .count = SHELF_SLAB_SLOTS},
                            limits->linear_memory_keep_resident && limits->max_unused_warm_slots, error);
    for (int i = 0; i < 2 && !r; i++) {
        r = pool_init_shelf(pool, &pool->tables[i],
                            (struct Shape){.kind = KIND_TABLE,
                                           .elements = limits->table_elements,
                                           .element_size = pool->element_sizes[i],
                                           .count = SHELF_SLAB_SLOTS},
                            limits->table_keep_resident, error);
        pool->table_shelves[i] = &pool->tables[i && pool->element_sizes[0] != pool->element_sizes[1]];
    }
    return r;
}

static int pool_set(struct wasmpool *pool, const char *setting, bool remote, struct wasmpool_error *error) {
    const char *equals = strchr(setting, '=');
    char name[64];

    if (!equals || (size_t)(equals - setting) >= sizeof(name))
        return error_set(failure(error), ERROR_INVALID, "the setting '%s' is not NAME=VALUE", setting);
    memcpy(name, setting, (size_t)(equals - setting));
    name[equals - setting] = 0;
    if (remote && strcmp(name, "memory_reservation") && strcmp(name, "memory_guard_size") &&
        strcmp(name, "guard_before_linear_memory") && limits_find(name))
        return error_set(failure(error), ERROR_INVALID, "%s is for the daemon to set, not for its clients", name);
    return limits_set(&pool->limits, name, equals + 1, failure(error));
}

static int pool_configure(struct wasmpool *pool, const struct wasmpool_options *options, bool remote,
                          struct wasmpool_error *error) {
    int r;

    limits_init(&pool->limits);
    for (const char *const *setting = options->settings; setting && *setting; setting++) {
        r = pool_set(pool, *setting, remote, error);
        if (r)
            return r;
    }
    pool->patience.timeout_ms = options->timeout_ms ? options->timeout_ms : POOL_TIMEOUT_MS;
    pool->element_sizes[WASMPOOL_FUNCREF] = options->funcref_size ? options->funcref_size : POOL_ELEMENT_SIZE;
    pool->element_sizes[WASMPOOL_EXTERNREF] = options->externref_size ? options->externref_size : POOL_ELEMENT_SIZE;
    if (options->name && !(pool->name = strdup(options->name)))
        return failure_errno(error, -ENOMEM, "the client's name");
    return 0;
}

static int pool_init_alive(struct wasmpool *pool, struct wasmpool_error *error) {
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int r;

    if (page == MAP_FAILED)
        return failure_errno(error, -errno, "a page");
    pool->alive = page;
    if (madvise(page, bytes, MADV_WIPEONFORK)) {
        r = -errno;
        return error_set(failure(error), ERROR_UNSUPPORTED, "this kernel cannot wipe a page on fork (Linux 4.14): %s",
                         strerror(-r));
    }
    *page = 1;
    return 0;
}

/* "embedded:" or "unix:PATH"; writes the path. Whether it is the daemon's is *remotep. */
static int pool_parse_address(struct wasmpool *pool, const char *address, bool *remotep,
                              struct wasmpool_error *error) {
    int r = 0;

    if (!address)
        address = secure_getenv("WASMPOOL_ADDRESS");
    if (!address || !strcmp(address, "embedded:")) {
        *remotep = false;
        return 0;
    }
    if (strncmp(address, "unix:", 5))
        return error_set(failure(error), ERROR_INVALID, "the address '%s' is neither embedded: nor unix:PATH", address);
    *remotep = true;
    if (!address[5])
        r = paths_find(pool->path, sizeof(pool->path), PATHS_TENANTS);
    else if (strlen(address + 5) < sizeof(pool->path))
        strcpy(pool->path, address + 5);
    else
        r = -ENAMETOOLONG;
    if (r)
        return error_set(failure(error), ERROR_INVALID, "no path for the daemon's socket from '%s': %s", address,
                         r == -ENOENT ? "neither root nor $XDG_RUNTIME_DIR" : strerror(-r));
    return 0;
}

static int pool_start(struct wasmpool *pool, const struct wasmpool_options *options, struct wasmpool_error *error) {
    bool remote = false;
    int r = pool_parse_address(pool, options->address, &remote, error);

    if (!r)
        r = pool_init_alive(pool, error);
    if (!r)
        r = pool_configure(pool, options, remote, error);
    if (!r)
        r = remote ? remote_open(pool, error) : embedded_open(pool, error);
    if (!r && !remote)
        r = limits_check(&pool->limits, failure(error));
    if (!r)
        r = pool_check_tracker(pool, error);
    if (!r)
        r = pool_init_shelves(pool, error);
    if (!remote && pool->table_shelves[0] != pool->table_shelves[1]) {
        pool->tables[0].kin = &pool->tables[1];
        pool->tables[1].kin = &pool->tables[0];
    }
    pool->count_warm = pool->limits.max_unused_warm_slots < pool->limits.total_memories;
    return r;
}

/* As many threads as run at the same time. */
static uint32_t pool_count_lanes(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n < LANES_MAX ? (uint32_t)n : LANES_MAX;
}

PUBLIC int wasmpool_open(struct wasmpool **poolp, const struct wasmpool_options *options,
                         struct wasmpool_error *error) {
    static const struct wasmpool_options none;
    struct wasmpool *pool = aligned_alloc(_Alignof(struct wasmpool), sizeof(*pool));
    int r;

    if (!pool)
        return failure_errno(error, -ENOMEM, "an allocator");
    memset(pool, 0, sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->tracker_lock, NULL);
    handles_init(&pool->handles);
    tracker_init(&pool->tracker, TRACKER_NONE);
    for (unsigned i = 0; i < POOL_PLANNERS_N; i++)
        planner_init(&pool->planners[i]);
    pool->n_lanes = pool_count_lanes();
    r = pool_start(pool, options ? options : &none, error);
    if (r) {
        wasmpool_close(pool);
        return r;
    }
    *poolp = pool;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ close */

static struct Slab *pool_free_slab(struct wasmpool *pool, struct Slab *slab, bool mapped) {
    struct Slab *next = slab->next;

    /* A forked child has no mapping to undo: its address may be somebody else's by now. */
    if (mapped && *pool->alive)
        mapping_deinit(&slab->mapping);
    if (slab->fd >= 0)
        close(slab->fd);
    for (uint32_t i = 0; i < slab->capacity; i++) {
        free(slab->slots[i].handle);
        track_free(slab->slots[i].track);
    }
    overlay_forget(slab);
    free(slab);
    return next;
}

static void pool_free_shelf(struct wasmpool *pool, struct Shelf *shelf) {
    shelf_deinit(shelf);
    while (shelf->slabs)
        shelf->slabs = pool_free_slab(pool, shelf->slabs, true);
}

static void pool_free_connection(struct wasmpool *pool, struct Connection *connection) {
    if (*pool->alive) {
        connection_free(connection);
        return;
    }
    connection_forget_images(connection);
    channel_close(connection->channel);
    free(connection);
}

PUBLIC struct wasmpool *wasmpool_close(struct wasmpool *pool) {
    if (!pool)
        return NULL;
    pool_free_shelf(pool, &pool->instances);
    pool_free_shelf(pool, &pool->memories);
    pool_free_shelf(pool, &pool->tables[0]);
    pool_free_shelf(pool, &pool->tables[1]);
    while (pool->spares)
        pool->spares = pool_free_slab(pool, pool->spares, false);
    if (pool->connection && *pool->alive)
        pool->source->close(pool);
    while (pool->connection) {
        struct Connection *connection = pool->connection;

        pool->connection = connection->next;
        pool_free_connection(pool, connection);
    }
    if (pool->alive)
        munmap((void *)pool->alive, (size_t)sysconf(_SC_PAGESIZE));
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->tracker_lock);
    handles_deinit(&pool->handles);
    tracker_deinit(&pool->tracker);
    free(pool->name);
    free(pool);
    return NULL;
}
