/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_HOST_H
#define TESTS_WASM_HOST_H

/* What the program that `generate` writes for a .wast file consists of: its commands as a table, which host.c runs. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wasm-rt-impl.h"
#include "wasm-rt.h"

#define RESULTS_MAX 8

enum ValueType { VALUE_I32, VALUE_I64, VALUE_F32, VALUE_F64, VALUE_EXTERNREF, VALUE_FUNCREF };

/* What is expected of a floating-point result beyond its bits (the specification's result patterns). */
enum ValuePattern { PATTERN_EXACT, PATTERN_NAN_CANONICAL, PATTERN_NAN_ARITHMETIC };

struct Value {
    enum ValueType type;
    enum ValuePattern pattern;
    uint64_t bits; /* funcref: 0 for null, else the code's address */
};

enum CommandKind {
    COMMAND_MODULE, /* instantiate */
    COMMAND_ACTION, /* just run */
    COMMAND_RETURN, /* assert_return */
    COMMAND_TRAP,   /* assert_trap, assert_exhaustion, assert_uninstantiable */
};

struct Command {
    int line;
    enum CommandKind kind;
    const char *what;
    void (*run)(struct Value *results);
    wasm_rt_trap_t trap;
    uint32_t n_results;
    struct Value results[RESULTS_MAX];
};

struct Suite {
    const char *name;
    const struct Command *commands;
    size_t n_commands;
    size_t n_skipped; /* assert_invalid, assert_malformed and assert_unlinkable: nothing that runs */
    void (*init)(void);
    void (*free)(void); /* every instance */
};

extern const struct Suite suite;

static inline float f32_of(uint32_t bits) {
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline double f64_of(uint64_t bits) {
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline struct Value value_i32(uint32_t value) {
    return (struct Value){.type = VALUE_I32, .bits = value};
}

static inline struct Value value_i64(uint64_t value) {
    return (struct Value){.type = VALUE_I64, .bits = value};
}

static inline struct Value value_f32(float value) {
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return (struct Value){.type = VALUE_F32, .bits = bits};
}

static inline struct Value value_f64(double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return (struct Value){.type = VALUE_F64, .bits = bits};
}

static inline struct Value value_externref(wasm_rt_externref_t value) {
    return (struct Value){.type = VALUE_EXTERNREF, .bits = (uintptr_t)value};
}

static inline struct Value value_funcref(wasm_rt_funcref_t value) {
    return (struct Value){.type = VALUE_FUNCREF, .bits = (uintptr_t)value.func};
}

/* The module that the specification's tests import from. */
struct Z_spectest_instance_t {
    wasm_rt_memory_t memory;
    wasm_rt_funcref_table_t table;
    uint32_t global_i32;
    uint64_t global_i64;
    float global_f32;
    double global_f64;
};
extern struct Z_spectest_instance_t Z_spectest;

#endif
