/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A lease: what a memory or table that generated code knows only by its address is for the allocator. And the process's
 * default pool, which leases to those who did not prefetch. Part of wasm-rt-impl.c and wrap.c. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `size` of wasm2c's memory has 32 bits, which 65536 wasm pages of 64 KiB would just not fit. */
#define MEMORY_PAGES_MAX UINT32_C(65535)
#define MEMORY_PAGE_BYTES UINT32_C(65536)

static_assert((uint64_t)MEMORY_PAGES_MAX * MEMORY_PAGE_BYTES <= UINT32_MAX, "a memory's size does not fit");
static_assert(MEMORY_RESERVATION_BYTES == UINT64_C(4294967296), "keep the setting below in step");
static_assert(MEMORY_GUARD_BYTES == UINT64_C(4295032832), "keep the setting below in step");
static_assert(sizeof(wasm_rt_funcref_t) == 24, "funcrefs of another wabt");
static_assert(sizeof(wasm_rt_externref_t) == 8, "externrefs of another wabt");

/* Handed out by a scope (`memory` or `table` is the instance's, the lease part of the scope), or by the default pool (it is
 * `own`, the lease on the heap and in the default pool's list). */
struct Lease {
    struct wasmpool *pool;
    struct wasmpool_memory *memory; /* or NULL */
    struct wasmpool_table *table;   /* or NULL */
    union {
        struct wasmpool_memory memory;
        struct wasmpool_table table;
    } own;
    const struct wasmpool_wasm2c_scope *scope; /* default pool: whose release gives it back too, or NULL */
    struct Lease *previous, *next;             /* in the default pool's list */
    struct Lease *next_table;                  /* in its bucket */
    bool handed_out;
};

/* ------------------------------------------------------------------------------------------------ tables by address */

#define TABLE_BUCKETS 64

static struct TableBucket {
    pthread_mutex_t lock;
    struct Lease *first;
} table_buckets[TABLE_BUCKETS] = {[0 ... TABLE_BUCKETS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

/* Tables start on host pages, neighbours at strides of many. */
static struct TableBucket *table_bucket(const void *base) {
    return &table_buckets[((uint64_t)(uintptr_t)base >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 58];
}

static void table_claim(struct Lease *lease) {
    struct TableBucket *bucket = table_bucket(lease->table->base);

    pthread_mutex_lock(&bucket->lock);
    lease->next_table = bucket->first;
    bucket->first = lease;
    pthread_mutex_unlock(&bucket->lock);
}

static struct Lease *table_find(const void *base) {
    struct TableBucket *bucket = table_bucket(base);
    struct Lease *lease;

    if (!base)
        return NULL;
    pthread_mutex_lock(&bucket->lock);
    for (lease = bucket->first; lease && lease->table->base != base; lease = lease->next_table)
        ;
    pthread_mutex_unlock(&bucket->lock);
    return lease;
}

static void table_drop(struct Lease *lease) {
    struct TableBucket *bucket = table_bucket(lease->table->base);

    pthread_mutex_lock(&bucket->lock);
    for (struct Lease **at = &bucket->first; *at; at = &(*at)->next_table)
        if (*at == lease) {
            *at = lease->next_table;
            break;
        }
    pthread_mutex_unlock(&bucket->lock);
}

/* From here on its address is known to the functions below and to the signal handler. */
static bool lease_hand_out(struct Lease *lease) {
    if (lease->memory && !granule_claim(lease->memory->base, lease))
        return false;
    if (lease->table)
        table_claim(lease);
    lease->handed_out = true;
    return true;
}

/* Must come before the slot goes back: the next one to take it claims the same address. */
static void lease_forget(struct Lease *lease) {
    if (!lease->handed_out)
        return;
    if (lease->memory)
        granule_drop(lease->memory->base);
    if (lease->table)
        table_drop(lease);
    lease->handed_out = false;
}

/* ------------------------------------------------------------------------------------------------ opening */

static const char *const settings_forced[] = {
    "memory_reservation=4294967296",
    "memory_guard_size=4295032832",
    "guard_before_linear_memory=false",
};
#define SETTINGS_FORCED (sizeof(settings_forced) / sizeof(settings_forced[0]))

static bool setting_is_forced(const char *setting) {
    for (size_t i = 0; i < SETTINGS_FORCED; i++) {
        size_t name_bytes = (size_t)(strchr(settings_forced[i], '=') - settings_forced[i] + 1);

        if (!strncmp(setting, settings_forced[i], name_bytes))
            return true;
    }
    return false;
}

int wasmpool_wasm2c_open(struct wasmpool **poolp, const struct wasmpool_options *options,
                         struct wasmpool_error *error) {
    struct wasmpool_options ours = options ? *options : (struct wasmpool_options){0};
    const char *const *given = ours.settings;
    const char **settings;
    size_t n = 0;
    int result;

    for (size_t i = 0; given && given[i]; i++)
        n++;
    settings = calloc(n + SETTINGS_FORCED + 1, sizeof(*settings));
    if (!settings) {
        if (error)
            *error = (struct wasmpool_error){.code = -ENOMEM, .message = "out of memory"};
        return -ENOMEM;
    }
    n = 0;
    for (size_t i = 0; given && given[i]; i++)
        if (!setting_is_forced(given[i]))
            settings[n++] = given[i];
    memcpy(settings + n, settings_forced, sizeof(settings_forced));

    ours.settings = settings;
    ours.funcref_size = sizeof(wasm_rt_funcref_t);
    ours.externref_size = sizeof(wasm_rt_externref_t);
    result = wasmpool_open(poolp, &ours, error);
    free(settings);
    return result;
}

/* ------------------------------------------------------------------------------------------------ the default pool */

static struct {
    pthread_mutex_t lock; /* of what follows, and of the links of the leases in the list */
    struct wasmpool *pool;
    struct Lease *leases;
} standard = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Modules of several memories and tables should run here without anyone having to configure it. With a daemon these maxima
 * are the daemon's. */
static int default_pool_open(struct wasmpool_error *error) {
    static const char *const settings[] = {"max_memories_per_module=100", "max_tables_per_module=100", NULL};
    const char *address = getenv("WASMPOOL_ADDRESS");
    bool embedded = !address || !strncmp(address, "embedded:", strlen("embedded:"));
    struct wasmpool_options options = {.settings = embedded ? settings : NULL};

    return wasmpool_wasm2c_open(&standard.pool, &options, error);
}

int wasmpool_wasm2c_default_pool(struct wasmpool **poolp, struct wasmpool_error *error) {
    int result = 0;

    pthread_mutex_lock(&standard.lock);
    if (!standard.pool)
        result = default_pool_open(error);
    if (!result)
        *poolp = standard.pool;
    pthread_mutex_unlock(&standard.lock);
    return result;
}

static void lease_link(struct Lease *lease) {
    pthread_mutex_lock(&standard.lock);
    lease->next = standard.leases;
    if (lease->next)
        lease->next->previous = lease;
    standard.leases = lease;
    pthread_mutex_unlock(&standard.lock);
}

static void lease_unlink_locked(struct Lease *lease) {
    if (lease->previous)
        lease->previous->next = lease->next;
    else
        standard.leases = lease->next;
    if (lease->next)
        lease->next->previous = lease->previous;
    lease->previous = lease->next = NULL;
}

/* Of the default pool, and out of its list. */
static void lease_give_back(struct Lease *lease) {
    lease_forget(lease);
    if (lease->memory)
        wasmpool_deallocate_memory(lease->pool, lease->memory);
    if (lease->table)
        wasmpool_deallocate_table(lease->pool, lease->table);
    free(lease);
}

static void lease_free(struct Lease *lease) {
    pthread_mutex_lock(&standard.lock);
    lease_unlink_locked(lease);
    pthread_mutex_unlock(&standard.lock);
    lease_give_back(lease);
}

/* All leases of one scope, or all there are. */
static void leases_free(const struct wasmpool_wasm2c_scope *scope) {
    struct Lease *doomed = NULL;

    pthread_mutex_lock(&standard.lock);
    for (struct Lease *lease = standard.leases, *next; lease; lease = next) {
        next = lease->next;
        if (scope && lease->scope != scope)
            continue;
        lease_unlink_locked(lease);
        lease->next = doomed;
        doomed = lease;
    }
    pthread_mutex_unlock(&standard.lock);
    while (doomed) {
        struct Lease *next = doomed->next;

        lease_give_back(doomed);
        doomed = next;
    }
}

static void default_pool_close(void) {
    leases_free(NULL);
    pthread_mutex_lock(&standard.lock);
    standard.pool = wasmpool_close(standard.pool);
    pthread_mutex_unlock(&standard.lock);
}

/* Allocate what `wanted` says from the default pool. NULL when it is exhausted or cannot be opened. */
static struct Lease *lease_try(const struct wasmpool_memory_type *memory_type,
                               const struct wasmpool_table_type *table_type, int *resultp) {
    struct Lease *lease = calloc(1, sizeof(*lease));

    if (!lease)
        return NULL;
    *resultp = wasmpool_wasm2c_default_pool(&lease->pool, NULL);
    if (!*resultp && memory_type) {
        lease->memory = &lease->own.memory;
        *resultp = wasmpool_allocate_memory(lease->pool, memory_type, NULL, lease->memory, NULL);
    }
    if (!*resultp && table_type) {
        lease->table = &lease->own.table;
        *resultp = wasmpool_allocate_table(lease->pool, table_type, NULL, lease->table, NULL);
    }
    if (*resultp) {
        free(lease);
        return NULL;
    }
    return lease;
}

/* NULL when the default pool is exhausted or cannot be opened; wasmpool_wasm2c_default_pool says why. */
static struct Lease *lease_new(const struct wasmpool_memory_type *memory_type,
                               const struct wasmpool_table_type *table_type,
                               const struct wasmpool_wasm2c_scope *scope) {
    int result = 0;
    struct Lease *lease = lease_try(memory_type, table_type, &result);

    /* A forked child inherits the default pool without having asked for it; it gets one of its own. */
    if (!lease && result == WASMPOOL_E_FORKED) {
        default_pool_close();
        lease = lease_try(memory_type, table_type, &result);
    }
    if (!lease)
        return NULL;
    lease->scope = scope;
    lease_link(lease);
    if (lease_hand_out(lease))
        return lease;
    lease_free(lease);
    return NULL;
}
