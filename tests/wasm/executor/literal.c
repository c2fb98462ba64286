/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/literal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* Bytes of a numeric type, or 0. */
static unsigned bytes_of(const char *type) {
    static const struct {
        const char *name;
        unsigned bytes;
    } types[] = {{"i8", 1}, {"i16", 2}, {"i32", 4}, {"i64", 8}, {"f32", 4}, {"f64", 8}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(types[i].name, type))
            return types[i].bytes;
    return 0;
}

/* Does `bits`, of a type of so many bytes, match a number or one of the patterns of NaNs? */
static bool number_matches(const char *text, unsigned bytes, uint64_t bits) {
    uint64_t quiet = bytes == 4 ? UINT32_C(0x7fc00000) : UINT64_C(0x7ff8000000000000);
    uint64_t sign = UINT64_C(1) << (8 * bytes - 1);

    if (!strcmp(text, "nan:canonical"))
        return (bits & ~sign) == quiet;
    if (!strcmp(text, "nan:arithmetic"))
        return (bits & quiet) == quiet;
    return bits == strtoull(text, NULL, 10);
}

static uint64_t bits_at(const uint8_t *at, unsigned bytes) {
    uint64_t bits = 0;

    memcpy(&bits, at, bytes);
    return bits;
}

static bool lanes_match(const json_t *literal, const union Value *value) {
    const json_t *lanes = json_object_get(literal, "value");
    unsigned bytes = bytes_of(text_of(literal, "lane_type"));

    if (bytes == 0 || json_array_size(lanes) * bytes != sizeof(value->v128))
        return false;
    for (size_t i = 0; i < json_array_size(lanes); i++)
        if (!number_matches(json_string_value(json_array_get(lanes, i)), bytes,
                            bits_at(value->v128 + i * bytes, bytes)))
            return false;
    return true;
}

static void *reference_of(const char *text) {
    return (void *)(uintptr_t)(strtoull(text, NULL, 10) + 1);
}

bool literal_value(const json_t *literal, union Value *valuep) {
    const char *type = text_of(literal, "type"), *text = text_of(literal, "value");
    union Value value = {0};

    if (bytes_of(type))
        value.i64 = strtoull(text, NULL, 10);
    else if (!strcmp(text, "null"))
        value.reference = NULL;
    else if (!strcmp(type, "externref"))
        value.reference = reference_of(text);
    else
        return false;
    *valuep = value;
    return true;
}

bool literal_matches(const json_t *literal, const union Value *value) {
    const char *type = text_of(literal, "type"), *text = text_of(literal, "value");

    if (!strcmp(type, "v128"))
        return lanes_match(literal, value);
    if (bytes_of(type))
        return number_matches(text, bytes_of(type), bits_at(value->v128, bytes_of(type)));
    if (!strcmp(text, "null"))
        return value->reference == NULL;
    /* Which function a funcref is cannot be said in the file. */
    return strcmp(type, "externref") ? value->reference != NULL : value->reference == reference_of(text);
}

void literal_print(const json_t *literal, const union Value *value, char *text, size_t bytes) {
    const char *type = text_of(literal, "type");

    if (!strcmp(type, "v128"))
        snprintf(text, bytes, "0x%016" PRIx64 "%016" PRIx64, bits_at(value->v128 + 8, 8), value->i64);
    else if (bytes_of(type))
        snprintf(text, bytes, "%" PRIu64 " (0x%" PRIx64 ")", bits_at(value->v128, bytes_of(type)),
                 bits_at(value->v128, bytes_of(type)));
    else if (!value->reference)
        snprintf(text, bytes, "null");
    else if (!strcmp(type, "externref"))
        snprintf(text, bytes, "%" PRIuPTR, (uintptr_t)value->reference - 1);
    else
        snprintf(text, bytes, "a function");
}
