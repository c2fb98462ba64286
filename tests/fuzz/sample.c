/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/sample.h"
#include "tests/fuzz/random.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 24 }; /* items of an index space */

enum Type { I32 = 0x7f, I64 = 0x7e, F32 = 0x7d, F64 = 0x7c, V128 = 0x7b, FUNCREF = 0x70, EXTERNREF = 0x6f };

/* A module in the making: what is in its index spaces so far. */
struct Sample {
    struct Random random;
    struct Bytes *out;
    struct Bytes section;
    uint32_t n_types, n_functions, n_tables, n_memories, n_globals, n_tags;
    uint32_t n_imported_globals, n_imported_functions, n_data;
    bool nothing_taken[MOST], nothing_returned[MOST]; /* of types */
    uint8_t function_types[MOST];
    uint8_t table_types[MOST];
    uint8_t global_types[MOST];
    bool is_mutable[MOST];
};

static uint32_t below(struct Sample *sample, uint32_t n) {
    return random_below(&sample->random, n);
}

static bool one_in(struct Sample *sample, uint32_t n) {
    return random_one_in(&sample->random, n);
}

static void put_u8(struct Sample *sample, unsigned value) {
    bytes_u8(&sample->section, (uint8_t)value);
}

/* An index, count or size; sometimes longer than needed, at most five bytes. */
static void put(struct Sample *sample, uint32_t value) {
    bytes_unsigned(&sample->section, value, value < 128 && one_in(sample, 12) ? 1 + below(sample, 4) : 0);
}

static void put_name(struct Sample *sample, uint32_t number) {
    static const char *const names[] = {"", "memory", "t\xc3\xa9l\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8e\x88", "a b"};
    char name[40];
    int n = snprintf(name, sizeof(name), "%s%u", names[below(sample, 6)], (unsigned)number);

    put(sample, (uint32_t)n);
    bytes_put(&sample->section, name, (size_t)n);
}

static uint8_t value_type(struct Sample *sample) {
    static const uint8_t types[] = {I32, I32, I64, F32, F64, V128, FUNCREF, EXTERNREF};

    return types[below(sample, sizeof(types))];
}

static void custom_section(struct Sample *sample) {
    struct Bytes contents = {0};
    static const char *const names[] = {"name", "producers", "x", ""};
    const char *name = names[1 + below(sample, 3)];

    /* A module's name, behind all others. */
    if (one_in(sample, 8)) {
        name = names[0];
        bytes_unsigned(&contents, 4, 0);
        bytes_put(&contents, name, 4);
        bytes_put(&contents, "\0\6\5first", 8);
    } else {
        bytes_unsigned(&contents, strlen(name), 0);
        bytes_put(&contents, name, strlen(name));
        for (uint32_t i = below(sample, 12); i; i--)
            bytes_u8(&contents, (uint8_t)below(sample, 256));
    }
    bytes_section(sample->out, 0, &contents, below(sample, 3));
    bytes_deinit(&contents);
}

/* Hand over what was written, as the section of this id, and begin another. */
static void finish(struct Sample *sample, uint8_t id) {
    if (one_in(sample, 6))
        custom_section(sample);
    if (sample->section.n)
        bytes_section(sample->out, id, &sample->section, one_in(sample, 4) ? below(sample, 3) : 0);
    sample->section.n = 0;
}

/* ------------------------------------------------------------------------------------------------ expressions */

/* An imported, immutable global of the type; MOST if there is none. */
static uint32_t constant_global(struct Sample *sample, uint8_t type) {
    uint32_t first = below(sample, MOST);

    for (uint32_t i = 0; i < MOST; i++) {
        uint32_t index = (first + i) % MOST;

        if (index < sample->n_imported_globals && sample->global_types[index] == type && !sample->is_mutable[index])
            return index;
    }
    return MOST;
}

static void put_number(struct Sample *sample, uint8_t type) {
    static const int64_t odd[] = {0, 1, -1, 63, 64, -64, -65, INT32_MAX, INT32_MIN};
    uint64_t bits = random_next(&sample->random);
    int64_t value = one_in(sample, 2) ? odd[below(sample, 9)] : (int32_t)bits;

    if (type == I32) {
        put_u8(sample, 0x41);
        bytes_signed(&sample->section, value);
    } else if (type == I64) {
        put_u8(sample, 0x42);
        bytes_signed(&sample->section, one_in(sample, 2) ? value : (int64_t)bits);
    } else if (type == F32) {
        put_u8(sample, 0x43);
        bytes_put(&sample->section, &bits, 4);
    } else if (type == F64) {
        put_u8(sample, 0x44);
        bytes_put(&sample->section, &bits, 8);
    } else {
        bytes_put(&sample->section, "\xfd\x0c", 2);
        bytes_put(&sample->section, &bits, 8);
        bytes_put(&sample->section, &bits, 8);
    }
}

static void put_operand(struct Sample *sample, uint8_t type) {
    uint32_t global = one_in(sample, 2) ? constant_global(sample, type) : MOST;

    if (global < MOST) {
        put_u8(sample, 0x23);
        put(sample, global);
    } else if (type == FUNCREF && sample->n_functions && one_in(sample, 2)) {
        put_u8(sample, 0xd2);
        put(sample, below(sample, sample->n_functions));
    } else if (type == FUNCREF || type == EXTERNREF) {
        put_u8(sample, 0xd0);
        put_u8(sample, type);
    } else {
        put_number(sample, type);
    }
}

/* A constant expression of the type, some of them extended ones. */
static void put_expression(struct Sample *sample, uint8_t type) {
    uint32_t operations = (type == I32 || type == I64) && one_in(sample, 3) ? 1 + below(sample, 5) : 0, pending = 0;

    put_operand(sample, type);
    while (operations || pending) {
        if (operations && (!pending || one_in(sample, 2))) {
            put_operand(sample, type);
            operations--;
            pending++;
        } else {
            put_u8(sample, (type == I32 ? 0x6a : 0x7c) + below(sample, 3));
            pending--;
        }
    }
    put_u8(sample, 0x0b);
}

/* ------------------------------------------------------------------------------------------------ types, imports */

static void put_types(struct Sample *sample) {
    sample->n_types = 1 + below(sample, 8);
    put(sample, sample->n_types);
    for (uint32_t i = 0; i < sample->n_types; i++) {
        uint32_t taken = i ? below(sample, 5) : 0, returned = i ? below(sample, 3) : 0;

        put_u8(sample, 0x60);
        put(sample, taken);
        for (uint32_t j = 0; j < taken; j++)
            put_u8(sample, value_type(sample));
        put(sample, returned);
        for (uint32_t j = 0; j < returned; j++)
            put_u8(sample, value_type(sample));
        sample->nothing_taken[i] = !taken;
        sample->nothing_returned[i] = !returned;
    }
    finish(sample, 1);
}

static void put_limits(struct Sample *sample, uint32_t bound, bool may_be_shared) {
    uint32_t least = below(sample, 4) ? below(sample, 20) : below(sample, bound + 1);
    bool has_most = one_in(sample, 2), shared = may_be_shared && has_most && one_in(sample, 4);

    put_u8(sample, (unsigned)has_most | (unsigned)shared << 1);
    put(sample, least);
    if (has_most)
        put(sample, one_in(sample, 3) ? bound : least + below(sample, bound - least + 1));
}

static void put_function(struct Sample *sample) {
    uint32_t type = below(sample, sample->n_types);

    put(sample, type);
    sample->function_types[sample->n_functions++] = (uint8_t)type;
}

static void put_table(struct Sample *sample) {
    uint8_t type = one_in(sample, 3) ? EXTERNREF : FUNCREF;

    put_u8(sample, type);
    put_limits(sample, 10000000, false);
    sample->table_types[sample->n_tables++] = type;
}

static void put_memory(struct Sample *sample) {
    put_limits(sample, 65536, true);
    sample->n_memories++;
}

static void put_global(struct Sample *sample) {
    uint8_t type = value_type(sample);
    bool is_mutable = one_in(sample, 3);

    put_u8(sample, type);
    put_u8(sample, is_mutable);
    sample->global_types[sample->n_globals] = type;
    sample->is_mutable[sample->n_globals++] = is_mutable;
}

/* Tags return nothing. */
static void put_tag(struct Sample *sample) {
    uint32_t type = below(sample, sample->n_types);

    put_u8(sample, 0);
    put(sample, sample->nothing_returned[type] ? type : 0);
    sample->n_tags++;
}

static void put_imports(struct Sample *sample) {
    static void (*const items[])(struct Sample *) = {put_function, put_table, put_memory, put_global, put_tag};
    uint32_t n = one_in(sample, 3) ? 0 : below(sample, 10);

    if (!n && one_in(sample, 2))
        return;
    put(sample, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t kind = one_in(sample, 3) ? 3 : below(sample, 5);

        put_name(sample, 0);
        put_name(sample, i);
        put_u8(sample, kind);
        items[kind](sample);
    }
    sample->n_imported_functions = sample->n_functions;
    sample->n_imported_globals = sample->n_globals;
    finish(sample, 2);
}

/* A section that is a vector of items. */
static void put_items(struct Sample *sample, uint8_t id, uint32_t most, void (*item)(struct Sample *)) {
    uint32_t n = below(sample, most + 1);

    if (!n && one_in(sample, 2))
        return;
    put(sample, n);
    for (uint32_t i = 0; i < n; i++)
        item(sample);
    finish(sample, id);
}

static void put_defined_global(struct Sample *sample) {
    put_global(sample);
    put_expression(sample, sample->global_types[sample->n_globals - 1]);
}

/* ------------------------------------------------------------------------------------------------ exports, segments */

static void put_exports(struct Sample *sample) {
    const uint32_t items[] = {sample->n_functions, sample->n_tables, sample->n_memories, sample->n_globals,
                              sample->n_tags};
    uint32_t n = below(sample, 12), sum = 0;

    for (uint32_t kind = 0; kind < 5; kind++)
        sum += items[kind];
    if (!sum)
        return;
    put(sample, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t kind = below(sample, 5);

        while (!items[kind])
            kind = (kind + 1) % 5;
        put_name(sample, i);
        put_u8(sample, kind);
        put(sample, below(sample, items[kind]));
    }
    finish(sample, 7);
}

static void put_start(struct Sample *sample) {
    for (uint32_t i = 0; i < sample->n_functions; i++) {
        uint8_t type = sample->function_types[i];

        if (!sample->nothing_taken[type] || !sample->nothing_returned[type] || one_in(sample, 2))
            continue;
        put(sample, i);
        finish(sample, 8);
        return;
    }
}

/* Bit 0: not active; bit 1: names a table, or is declared; bit 2: of expressions. */
static void put_element(struct Sample *sample) {
    uint32_t form = below(sample, 8), table = 0, n = below(sample, 6);
    uint8_t type = form & 4 && one_in(sample, 2) ? EXTERNREF : FUNCREF;

    if (!(form & 1)) {
        table = form & 2 ? below(sample, sample->n_tables + 1) : 0;
        if (table >= sample->n_tables || sample->table_types[table] != FUNCREF)
            form |= 1; /* there is none for it */
    }
    if (!(form & 1) || !(form & 4))
        type = FUNCREF;
    put(sample, form);
    if (!(form & 1) && form & 2)
        put(sample, table);
    if (!(form & 1))
        put_expression(sample, I32);
    if (form & 3)
        put_u8(sample, form & 4 ? type : 0);
    if (!(form & 4) && !sample->n_functions)
        n = 0;
    put(sample, n);
    for (uint32_t i = 0; i < n; i++) {
        if (form & 4) {
            put_operand(sample, type);
            put_u8(sample, 0x0b);
        } else {
            put(sample, below(sample, sample->n_functions));
        }
    }
}

static void put_data(struct Sample *sample, uint32_t n) {
    if (!n && one_in(sample, 2))
        return;
    put(sample, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t form = sample->n_memories ? below(sample, 3) : 1, bytes = below(sample, 24);

        put(sample, form);
        if (form == 2)
            put(sample, below(sample, sample->n_memories));
        if (form != 1)
            put_expression(sample, I32);
        put(sample, bytes);
        for (uint32_t j = 0; j < bytes; j++)
            put_u8(sample, below(sample, 256));
    }
    finish(sample, 11);
}

/* Bodies are all `unreachable`, with a local now and then. */
static void put_bodies(struct Sample *sample) {
    uint32_t n = sample->n_functions - sample->n_imported_functions;

    if (!n && one_in(sample, 2))
        return;
    put(sample, n);
    for (uint32_t i = 0; i < n; i++) {
        if (one_in(sample, 2))
            bytes_put(&sample->section, "\3\0\0\x0b", 4);
        else
            bytes_put(&sample->section, "\5\1\2\x7f\0\x0b", 6);
    }
    finish(sample, 10);
}

void sample_module(struct Bytes *bytes, uint64_t seed) {
    struct Sample sample = {.random = {seed * 0x100000001 + 1}, .out = bytes};
    uint32_t n_data;

    bytes_put(bytes, "\0asm\1\0\0\0", 8);
    put_types(&sample);
    put_imports(&sample);
    put_items(&sample, 3, 6, put_function);
    put_items(&sample, 4, 3, put_table);
    put_items(&sample, 5, 3, put_memory);
    put_items(&sample, 13, 2, put_tag);
    put_items(&sample, 6, 6, put_defined_global);
    put_exports(&sample);
    if (one_in(&sample, 2))
        put_start(&sample);
    put_items(&sample, 9, 6, put_element);
    n_data = below(&sample, 6);
    if (n_data ? one_in(&sample, 2) : one_in(&sample, 4)) {
        put(&sample, n_data);
        finish(&sample, 12);
    }
    put_bodies(&sample);
    put_data(&sample, n_data);
    finish(&sample, 0);
    bytes_deinit(&sample.section);
}
