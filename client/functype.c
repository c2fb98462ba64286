/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/functype.h"

#include "client/module.h"
#include "client/types.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define FUNCTYPES_CAPACITY_MIN 64

/* ------------------------------------------------------------------------------------------------ hashing */

static uint64_t rotate(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[static 4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void sip_absorb(uint64_t v[static 4], uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static void sip_absorb_bytes(uint64_t v[static 4], const uint8_t *bytes, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 8) {
        uint64_t word = 0;

        memcpy(&word, bytes + i, n - i < 8 ? n - i : 8);
        sip_absorb(v, word);
    }
}

/* SipHash-1-3, over words: both counts, then the types. With a secret key nobody can make types that collide. */
static uint64_t functype_hash(const uint64_t key[static 2], const struct wasmpool_function_type *type) {
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};

    sip_absorb(v, (uint64_t)type->n_parameters << 32 | type->n_results);
    sip_absorb_bytes(v, type->parameters, type->n_parameters);
    sip_absorb_bytes(v, type->results, type->n_results);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool functype_equals(const struct Functype *known, uint64_t hash, const struct wasmpool_function_type *type) {
    return known->hash == hash && known->n_parameters == type->n_parameters && known->n_results == type->n_results &&
           (!type->n_parameters || !memcmp(known->bytes, type->parameters, type->n_parameters)) &&
           (!type->n_results || !memcmp(known->bytes + type->n_parameters, type->results, type->n_results));
}

static struct Functype *functype_new(uint64_t hash, const struct wasmpool_function_type *type) {
    struct Functype *known = malloc(sizeof(*known) + type->n_parameters + type->n_results);

    if (!known)
        return NULL;
    *known =
        (struct Functype){.hash = hash, .refs = 1, .n_parameters = type->n_parameters, .n_results = type->n_results};
    if (type->n_parameters)
        memcpy(known->bytes, type->parameters, type->n_parameters);
    if (type->n_results)
        memcpy(known->bytes + type->n_parameters, type->results, type->n_results);
    return known;
}

/* ------------------------------------------------------------------------------------------------ the registry */

static uint32_t *functypes_bucket(struct Functypes *types, uint64_t hash) {
    return &types->buckets[hash & (types->capacity - 1)];
}

static uint32_t functypes_find(struct Functypes *types, uint64_t hash, const struct wasmpool_function_type *type) {
    uint32_t id = types->capacity ? *functypes_bucket(types, hash) : FUNCTYPE_NONE;

    while (id != FUNCTYPE_NONE && !functype_equals(types->at[id - 1], hash, type))
        id = types->at[id - 1]->next;
    return id;
}

static void functypes_insert(struct Functypes *types, uint32_t id) {
    uint32_t *bucket = functypes_bucket(types, types->at[id - 1]->hash);

    types->at[id - 1]->next = *bucket;
    *bucket = id;
}

/* Twice the room. A failure leaves everything as it was, if partly larger. */
static int functypes_grow(struct Functypes *types) {
    uint32_t capacity = types->capacity ? types->capacity * 2 : FUNCTYPES_CAPACITY_MIN;
    struct Functype **at = realloc(types->at, capacity * sizeof(*at));
    uint32_t *next_free, *buckets;

    if (!at)
        return -ENOMEM;
    types->at = at;
    next_free = realloc(types->next_free, capacity * sizeof(*next_free));
    if (!next_free)
        return -ENOMEM;
    types->next_free = next_free;
    buckets = calloc(capacity, sizeof(*buckets));
    if (!buckets)
        return -ENOMEM;
    free(types->buckets);
    types->buckets = buckets;
    types->capacity = capacity;
    for (uint32_t id = 1; id <= types->n_ids; id++)
        if (types->at[id - 1])
            functypes_insert(types, id);
    return 0;
}

/* What is left when there are no types. */
static void functypes_clear(struct Functypes *types) {
    if (types->n)
        return;
    free(types->at);
    free(types->next_free);
    free(types->buckets);
    types->at = NULL;
    types->next_free = types->buckets = NULL;
    types->n_ids = types->capacity = types->free = 0;
}

static int functypes_add(struct Functypes *types, uint64_t hash, const struct wasmpool_function_type *type,
                         uint32_t *idp, struct wasmpool_error *error) {
    struct Functype *known;

    if (types->n == types->maximum)
        return error_limit(failure(error), ERROR_LIMIT, types->limit, types->maximum, types->n, 1, "function types");
    known = functype_new(hash, type);
    if (!known || (types->free == FUNCTYPE_NONE && types->n_ids == types->capacity && functypes_grow(types))) {
        free(known);
        functypes_clear(types);
        return failure_errno(error, -ENOMEM, "a function type");
    }
    if (types->free != FUNCTYPE_NONE) {
        *idp = types->free;
        types->free = types->next_free[*idp - 1];
    } else {
        *idp = ++types->n_ids;
    }
    types->at[*idp - 1] = known;
    types->n++;
    functypes_insert(types, *idp);
    return 0;
}

static int functypes_check(const struct wasmpool_function_type *type, struct wasmpool_error *error) {
    if (type->n_parameters > MODULE_PARAMETERS_MAX || type->n_results > MODULE_RESULTS_MAX)
        return error_set(failure(error), ERROR_INVALID,
                         "a function type has at most %d parameters and %d results, not %u and %u",
                         MODULE_PARAMETERS_MAX, MODULE_RESULTS_MAX, type->n_parameters, type->n_results);
    for (uint32_t i = 0; i < type->n_parameters + type->n_results; i++) {
        uint8_t value = i < type->n_parameters ? type->parameters[i] : type->results[i - type->n_parameters];

        if (!types_is_value(value))
            return error_set(failure(error), ERROR_INVALID, "%#x is no value type", value);
    }
    return 0;
}

/* A key from a kernel that has no entropy yet would not be secret; nothing else would be wrong with it. */
static void functypes_make_key(struct Functypes *types) {
    if (!types->key[0] && getrandom(types->key, sizeof(types->key), GRND_NONBLOCK) != sizeof(types->key))
        types->key[0] = (uintptr_t)types;
}

int functypes_ref(struct Functypes *types, const struct wasmpool_function_type *type, uint32_t *idp,
                  struct wasmpool_error *error) {
    int r = functypes_check(type, error);
    uint64_t hash;
    uint32_t id;

    if (r)
        return r;
    pthread_mutex_lock(&types->lock);
    functypes_make_key(types);
    hash = functype_hash(types->key, type);
    id = functypes_find(types, hash, type);
    if (id == FUNCTYPE_NONE)
        r = functypes_add(types, hash, type, &id, error);
    else
        types->at[id - 1]->refs++;
    pthread_mutex_unlock(&types->lock);
    if (!r)
        *idp = id;
    return r;
}

static void functypes_remove(struct Functypes *types, uint32_t id) {
    struct Functype *known = types->at[id - 1];
    uint32_t *link = functypes_bucket(types, known->hash);

    while (*link != id)
        link = &types->at[*link - 1]->next;
    *link = known->next;
    free(known);
    types->at[id - 1] = NULL;
    types->next_free[id - 1] = types->free;
    types->free = id;
    types->n--;
    functypes_clear(types);
}

void functypes_unref(struct Functypes *types, uint32_t id) {
    pthread_mutex_lock(&types->lock);
    /* An id that nobody has is a mistake of the caller's, and would be remembered as a reference too few. */
    if (id != FUNCTYPE_NONE && id <= types->n_ids && types->at[id - 1] && !--types->at[id - 1]->refs)
        functypes_remove(types, id);
    pthread_mutex_unlock(&types->lock);
}

/* ------------------------------------------------------------------------------------------------ of the process */

static struct Functypes process = FUNCTYPES_INIT(FUNCTYPES_MAX);

PUBLIC int wasmpool_function_type_ref(const struct wasmpool_function_type *type, uint32_t *idp,
                                      struct wasmpool_error *error) {
    return functypes_ref(&process, type, idp, error);
}

PUBLIC void wasmpool_function_type_unref(uint32_t id) {
    functypes_unref(&process, id);
}

/* A child that is forked while another thread holds the lock would wait for ever. */
static void functype_before_fork(void) {
    pthread_mutex_lock(&process.lock);
}

static void functype_after_fork(void) {
    pthread_mutex_unlock(&process.lock);
}

__attribute__((constructor)) static void functype_init(void) {
    pthread_atfork(functype_before_fork, functype_after_fork, functype_after_fork);
}
