/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* A holding: what a memory or table that generated code knows only by its address is for the allocator. And the
 * process's default pool, which serves those who did not prefetch. Part of wasm-rt-impl.c and wrap.c. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `size` of wasm2c's memory has 32 bits, which 65536 wasm pages of 64 KiB would just not fit. */
#define MEMORY_PAGES_MAX UINT32_C(65535)
#define MEMORY_PAGE_BYTES UINT32_C(65536)

_Static_assert((uint64_t)MEMORY_PAGES_MAX * MEMORY_PAGE_BYTES <= UINT32_MAX, "a memory's size does not fit");
_Static_assert(MEMORY_RESERVATION_BYTES == UINT64_C(4294967296), "keep the setting below in step");
_Static_assert(MEMORY_GUARD_BYTES == UINT64_C(4295032832), "keep the setting below in step");
_Static_assert(sizeof(wasm_rt_funcref_t) == 24, "funcrefs of another wabt");
_Static_assert(sizeof(wasm_rt_externref_t) == 8, "externrefs of another wabt");

/* Handed out by a scope (`memory` or `table` is the instance's, the holding part of the scope), or by the default pool
 * (it is `own`, the holding on the heap and in the default pool's list). */
struct Holding {
    struct wasmpool *pool;
    struct wasmpool_memory *memory; /* or NULL */
    struct wasmpool_table *table;   /* or NULL */
    union {
        struct wasmpool_memory memory;
        struct wasmpool_table table;
    } own;
    const struct wasmpool_wasm2c_scope *scope; /* default pool: whose release gives it back too, or NULL */
    struct Holding *previous, *next; /* in the default pool's list */
    struct Holding *next_table;      /* in its bucket */
    bool handed_out;
};

/* ------------------------------------------------------------------------------------------------ tables by address */

#define TABLE_BUCKETS 64

static struct TableBucket {
    pthread_mutex_t lock;
    struct Holding *first;
} table_buckets[TABLE_BUCKETS] = {[0 ... TABLE_BUCKETS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

/* Tables start on host pages, neighbours at strides of many. */
static struct TableBucket *table_bucket(const void *base) {
    return &table_buckets[((uint64_t)(uintptr_t)base >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 58];
}

static void table_claim(struct Holding *holding) {
    struct TableBucket *bucket = table_bucket(holding->table->base);

    pthread_mutex_lock(&bucket->lock);
    holding->next_table = bucket->first;
    bucket->first = holding;
    pthread_mutex_unlock(&bucket->lock);
}

static struct Holding *table_find(const void *base) {
    struct TableBucket *bucket = table_bucket(base);
    struct Holding *holding;

    if (!base)
        return NULL;
    pthread_mutex_lock(&bucket->lock);
    for (holding = bucket->first; holding && holding->table->base != base; holding = holding->next_table)
        ;
    pthread_mutex_unlock(&bucket->lock);
    return holding;
}

static void table_drop(struct Holding *holding) {
    struct TableBucket *bucket = table_bucket(holding->table->base);

    pthread_mutex_lock(&bucket->lock);
    for (struct Holding **at = &bucket->first; *at; at = &(*at)->next_table)
        if (*at == holding) {
            *at = holding->next_table;
            break;
        }
    pthread_mutex_unlock(&bucket->lock);
}

/* From here on its address is known to the functions below and to the signal handler. */
static bool holding_hand_out(struct Holding *holding) {
    if (holding->memory && !granule_claim(holding->memory->base, holding))
        return false;
    if (holding->table)
        table_claim(holding);
    holding->handed_out = true;
    return true;
}

/* Must come before the slot goes back: the next one to take it claims the same address. */
static void holding_forget(struct Holding *holding) {
    if (!holding->handed_out)
        return;
    if (holding->memory)
        granule_drop(holding->memory->base);
    if (holding->table)
        table_drop(holding);
    holding->handed_out = false;
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
    pthread_mutex_t lock; /* of what follows, and of the links of the holdings in the list */
    struct wasmpool *pool;
    struct Holding *holdings;
} standard = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Modules of several memories and tables should run here without anyone having to configure it. With a daemon these
 * maxima are the daemon's. */
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

static void holding_link(struct Holding *holding) {
    pthread_mutex_lock(&standard.lock);
    holding->next = standard.holdings;
    if (holding->next)
        holding->next->previous = holding;
    standard.holdings = holding;
    pthread_mutex_unlock(&standard.lock);
}

static void holding_unlink_locked(struct Holding *holding) {
    if (holding->previous)
        holding->previous->next = holding->next;
    else
        standard.holdings = holding->next;
    if (holding->next)
        holding->next->previous = holding->previous;
    holding->previous = holding->next = NULL;
}

/* Of the default pool, and out of its list. */
static void holding_give_back(struct Holding *holding) {
    holding_forget(holding);
    if (holding->memory)
        wasmpool_deallocate_memory(holding->pool, holding->memory);
    if (holding->table)
        wasmpool_deallocate_table(holding->pool, holding->table);
    free(holding);
}

static void holding_free(struct Holding *holding) {
    pthread_mutex_lock(&standard.lock);
    holding_unlink_locked(holding);
    pthread_mutex_unlock(&standard.lock);
    holding_give_back(holding);
}

/* All holdings of one scope, or all there are. */
static void holdings_free(const struct wasmpool_wasm2c_scope *scope) {
    struct Holding *doomed = NULL;

    pthread_mutex_lock(&standard.lock);
    for (struct Holding *holding = standard.holdings, *next; holding; holding = next) {
        next = holding->next;
        if (scope && holding->scope != scope)
            continue;
        holding_unlink_locked(holding);
        holding->next = doomed;
        doomed = holding;
    }
    pthread_mutex_unlock(&standard.lock);
    while (doomed) {
        struct Holding *next = doomed->next;

        holding_give_back(doomed);
        doomed = next;
    }
}

static void default_pool_close(void) {
    holdings_free(NULL);
    pthread_mutex_lock(&standard.lock);
    standard.pool = wasmpool_close(standard.pool);
    pthread_mutex_unlock(&standard.lock);
}

/* Allocate what `wanted` says from the default pool. NULL when it is exhausted or cannot be opened. */
static struct Holding *holding_try(const struct wasmpool_memory_type *memory_type,
                               const struct wasmpool_table_type *table_type, int *resultp) {
    struct Holding *holding = calloc(1, sizeof(*holding));

    if (!holding)
        return NULL;
    *resultp = wasmpool_wasm2c_default_pool(&holding->pool, NULL);
    if (!*resultp && memory_type) {
        holding->memory = &holding->own.memory;
        *resultp = wasmpool_allocate_memory(holding->pool, memory_type, NULL, holding->memory, NULL);
    }
    if (!*resultp && table_type) {
        holding->table = &holding->own.table;
        *resultp = wasmpool_allocate_table(holding->pool, table_type, NULL, holding->table, NULL);
    }
    if (*resultp) {
        free(holding);
        return NULL;
    }
    return holding;
}

/* NULL when the default pool is exhausted or cannot be opened; wasmpool_wasm2c_default_pool says why. */
static struct Holding *holding_new(const struct wasmpool_memory_type *memory_type,
                               const struct wasmpool_table_type *table_type,
                               const struct wasmpool_wasm2c_scope *scope) {
    int result = 0;
    struct Holding *holding = holding_try(memory_type, table_type, &result);

    /* A forked child inherits the default pool without having asked for it; it gets one of its own. */
    if (!holding && result == WASMPOOL_E_FORKED) {
        default_pool_close();
        holding = holding_try(memory_type, table_type, &result);
    }
    if (!holding)
        return NULL;
    holding->scope = scope;
    holding_link(holding);
    if (holding_hand_out(holding))
        return holding;
    holding_free(holding);
    return NULL;
}
