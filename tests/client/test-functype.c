/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/functype.h"
#include "tests/client/fixture.h"

#include <pthread.h>

static const uint8_t I32_I64[] = {WASMPOOL_TYPE_I32, WASMPOOL_TYPE_I64};

static struct wasmpool_function_type type_of(uint32_t n_parameters, uint32_t n_results) {
    return (struct wasmpool_function_type){I32_I64, I32_I64, n_parameters, n_results, 0};
}

/* Number `i` of very many. */
static struct wasmpool_function_type type_number(uint32_t i, uint8_t bytes[static 32]) {
    for (int bit = 0; bit < 32; bit++)
        bytes[bit] = i >> bit & 1 ? WASMPOOL_TYPE_I32 : WASMPOOL_TYPE_F64;
    return (struct wasmpool_function_type){bytes, NULL, 32, 0, 0};
}

Test(functype, equal_types_have_one_id_and_others_have_others) {
    const struct wasmpool_function_type types[] = {type_of(0, 0), type_of(1, 0), type_of(0, 1),
                                                   type_of(1, 1), type_of(2, 0), type_of(2, 2)};
    const uint8_t copy[] = {WASMPOOL_TYPE_I32, WASMPOOL_TYPE_I64};
    uint32_t ids[6], again;

    for (int i = 0; i < 6; i++) {
        expect_eq(wasmpool_function_type_ref(&types[i], &ids[i], NULL), 0);
        for (int j = 0; j < i; j++)
            cr_assert_neq(ids[i], ids[j], "types %d and %d are both %u", i, j, ids[i]);
    }
    expect_eq(wasmpool_function_type_ref(&(struct wasmpool_function_type){copy, copy, 2, 2, 99}, &again, NULL), 0);
    expect_eq(again, ids[5]);
    wasmpool_function_type_unref(again);
    for (int i = 0; i < 6; i++)
        wasmpool_function_type_unref(ids[i]);
}

Test(functype, arrays_of_nothing_may_be_null) {
    const struct wasmpool_function_type empty = {0}, other = type_of(0, 0);
    uint32_t id, again;

    expect_eq(wasmpool_function_type_ref(&empty, &id, NULL), 0);
    expect_eq(wasmpool_function_type_ref(&other, &again, NULL), 0);
    expect_eq(again, id);
    cr_assert_neq(id, FUNCTYPE_NONE);
    wasmpool_function_type_unref(id);
    wasmpool_function_type_unref(again);
}

Test(functype, an_id_is_used_again_only_after_its_last_reference) {
    struct Functypes types = FUNCTYPES_INIT(10);
    const struct wasmpool_function_type a = type_of(1, 0), b = type_of(2, 0), c = type_of(0, 1);
    uint32_t ids[4];

    expect_eq(functypes_ref(&types, &a, &ids[0], NULL), 0);
    expect_eq(functypes_ref(&types, &a, &ids[1], NULL), 0);
    functypes_unref(&types, ids[0]);
    expect_eq(functypes_ref(&types, &b, &ids[2], NULL), 0);
    cr_assert_neq(ids[2], ids[1]);
    functypes_unref(&types, ids[1]);
    expect_eq(functypes_ref(&types, &c, &ids[3], NULL), 0);
    expect_eq(ids[3], ids[1]);
    functypes_unref(&types, ids[2]);
    functypes_unref(&types, ids[3]);
    expect_eq(types.n, 0);
    cr_assert_null(types.at);
}

Test(functype, there_is_a_limit_that_is_named) {
    struct Functypes types = FUNCTYPES_INIT(2);
    const struct wasmpool_function_type a = type_of(1, 0), b = type_of(2, 0), c = type_of(0, 1);
    struct wasmpool_error error;
    uint32_t ids[4] = {0, 0, 77, 0};

    expect_eq(functypes_ref(&types, &a, &ids[0], NULL), 0);
    expect_eq(functypes_ref(&types, &b, &ids[1], NULL), 0);
    expect_eq(functypes_ref(&types, &c, &ids[2], &error), WASMPOOL_E_LIMIT);
    expect_eq(ids[2], 77);
    expect_str(error.limit, "function_types");
    expect_eq(error.bound, 2);
    expect_eq(functypes_ref(&types, &b, &ids[3], &error), 0); /* which is there */
    functypes_unref(&types, ids[3]);
    functypes_unref(&types, ids[0]);
    expect_eq(functypes_ref(&types, &c, &ids[2], &error), 0);
    functypes_unref(&types, ids[1]);
    functypes_unref(&types, ids[2]);
}

Test(functype, what_is_no_type_is_refused) {
    const uint8_t wrong[] = {WASMPOOL_TYPE_I32, 0x40};
    struct wasmpool_error error;
    uint32_t id = 77;

    expect_eq(wasmpool_function_type_ref(&(struct wasmpool_function_type){wrong, NULL, 2, 0, 0}, &id, &error),
              WASMPOOL_E_INVALID);
    expect_says(error.message, "0x40 is no value type");
    expect_eq(wasmpool_function_type_ref(&(struct wasmpool_function_type){wrong, wrong, 1, 2, 0}, &id, &error),
              WASMPOOL_E_INVALID);
    expect_eq(wasmpool_function_type_ref(&(struct wasmpool_function_type){NULL, NULL, UINT32_MAX, UINT32_MAX, 0}, &id,
                                         &error),
              WASMPOOL_E_INVALID);
    expect_says(error.message, "at most 1000 parameters");
    expect_eq(id, 77);
}

Test(functype, ids_that_nobody_has_are_left_alone) {
    struct Functypes types = FUNCTYPES_INIT(10);
    const struct wasmpool_function_type a = type_of(1, 0), b = type_of(2, 0);
    uint32_t id, other;

    functypes_unref(&types, 0);
    functypes_unref(&types, 1);
    expect_eq(functypes_ref(&types, &a, &id, NULL), 0);
    expect_eq(functypes_ref(&types, &b, &other, NULL), 0);
    functypes_unref(&types, other);
    functypes_unref(&types, other);
    functypes_unref(&types, UINT32_MAX);
    expect_eq(types.n, 1);
    functypes_unref(&types, id);
}

/* In time that grows with their number: anything else would not end. */
Test(functype, a_million_types_are_told_apart) {
    const uint32_t n = 1000000;
    struct Functypes types = FUNCTYPES_INIT(n);
    uint32_t *ids = malloc(n * sizeof(*ids)), again;
    uint8_t bytes[32];

    for (uint32_t i = 0; i < n; i++) {
        const struct wasmpool_function_type type = type_number(i, bytes);

        cr_assert_eq(functypes_ref(&types, &type, &ids[i], NULL), 0);
    }
    expect_eq(types.n, n);
    for (uint32_t i = 0; i < n; i += 997) {
        const struct wasmpool_function_type type = type_number(i, bytes);

        expect_eq(functypes_ref(&types, &type, &again, NULL), 0);
        expect_eq(again, ids[i]);
        functypes_unref(&types, again);
    }
    for (uint32_t i = 0; i < n; i++)
        functypes_unref(&types, ids[i]);
    expect_eq(types.n, 0);
    free(ids);
}

static struct Functypes shared = FUNCTYPES_INIT(1000);

static void *ref_and_unref(void *unused) {
    uint8_t bytes[32];

    (void)unused;
    for (uint32_t round = 0; round < 20000; round++) {
        const struct wasmpool_function_type type = type_number(round % 70, bytes);
        uint32_t id, again;

        if (functypes_ref(&shared, &type, &id, NULL) || functypes_ref(&shared, &type, &again, NULL) || id != again)
            return "a type lost its id";
        functypes_unref(&shared, id);
        functypes_unref(&shared, again);
    }
    return NULL;
}

Test(functype, threads_agree) {
    pthread_t threads[4];
    void *wrong;

    for (int i = 0; i < 4; i++)
        expect_eq(pthread_create(&threads[i], NULL, ref_and_unref, NULL), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        cr_assert_null(wrong, "%s", (const char *)wrong);
    }
    expect_eq(shared.n, 0);
}
