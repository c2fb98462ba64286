/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "host.h"

/* Runs one .wast file's commands on the process's default pool ($WASMPOOL_ADDRESS; embedded when not set) and prints
 * `FILE: N/M assertions passed`. When all instances are freed nothing may be left in the pool: one more assertion. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "wasmpool-wasm2c.h"

static unsigned passed, failed;

static void report(const struct Command *command, const char *problem, const char *detail) {
    printf("%s:%d: %s: %s%s\n", suite.name, command->line, command->what, problem, detail);
}

static bool count(bool is_good) {
    if (is_good)
        passed++;
    else
        failed++;
    return is_good;
}

static bool value_matches(const struct Value *expected, const struct Value *value) {
    uint64_t quiet = value->type == VALUE_F32 ? UINT32_C(0x7fc00000) : UINT64_C(0x7ff8000000000000);
    uint64_t sign = value->type == VALUE_F32 ? UINT32_C(0x80000000) : UINT64_C(0x8000000000000000);

    if (expected->type != value->type)
        return false;
    switch (expected->pattern) {
    case PATTERN_NAN_CANONICAL:
        return (value->bits & ~sign) == quiet;
    case PATTERN_NAN_ARITHMETIC:
        return (value->bits & quiet) == quiet;
    case PATTERN_EXACT:
        break;
    }
    return expected->bits == value->bits;
}

static void check_results(const struct Command *command, const struct Value *results) {
    for (uint32_t i = 0; i < command->n_results; i++) {
        char detail[128];

        if (value_matches(&command->results[i], &results[i]))
            continue;
        snprintf(detail, sizeof(detail), "result %u is 0x%" PRIx64 ", expected 0x%" PRIx64, i, results[i].bits,
                 command->results[i].bits);
        report(command, detail, "");
        count(false);
        return;
    }
    count(true);
}

/* The trap, or none. In a function of its own, so that no variable lives across the jump. */
static wasm_rt_trap_t attempt(const struct Command *command, struct Value *results) {
    wasm_rt_trap_t trap = wasm_rt_impl_try();

    if (trap == WASM_RT_TRAP_NONE)
        command->run(results);
    return trap;
}

static void run(const struct Command *command) {
    struct Value results[RESULTS_MAX] = {0};
    wasm_rt_trap_t trap = attempt(command, results);

    if (command->kind == COMMAND_TRAP) {
        if (!count(trap == command->trap))
            report(command, trap ? "trapped with: " : "did not trap, expected: ",
                   wasm_rt_strerror(trap ? trap : command->trap));
    } else if (trap) {
        report(command, "trapped: ", wasm_rt_strerror(trap));
        count(false);
    } else if (command->kind == COMMAND_RETURN) {
        check_results(command, results);
    }
}

static void check_nothing_left(void) {
    struct wasmpool_error error = {0};
    struct wasmpool_metrics metrics = {0};
    struct wasmpool *pool;

    if (wasmpool_wasm2c_default_pool(&pool, &error)) {
        printf("%s: the pool cannot be opened: %s\n", suite.name, error.message);
        count(false);
        return;
    }
    wasmpool_metrics(pool, &metrics);
    if (!count(!metrics.core_instances && !metrics.memories && !metrics.tables))
        printf("%s: %" PRIu64 " memories and %" PRIu64 " tables are left\n", suite.name, metrics.memories,
               metrics.tables);
}

/* ------------------------------------------------------------------------------------------------ spectest */

struct Z_spectest_instance_t Z_spectest = {
    .global_i32 = 666,
    .global_i64 = 666,
    .global_f32 = 666.6f,
    .global_f64 = 666.6,
};

wasm_rt_memory_t *Z_spectestZ_memory(struct Z_spectest_instance_t *instance);
wasm_rt_funcref_table_t *Z_spectestZ_table(struct Z_spectest_instance_t *instance);
uint32_t *Z_spectestZ_global_i32(struct Z_spectest_instance_t *instance);
uint64_t *Z_spectestZ_global_i64(struct Z_spectest_instance_t *instance);
float *Z_spectestZ_global_f32(struct Z_spectest_instance_t *instance);
double *Z_spectestZ_global_f64(struct Z_spectest_instance_t *instance);
void Z_spectestZ_print(struct Z_spectest_instance_t *instance);
void Z_spectestZ_print_i32(struct Z_spectest_instance_t *instance, uint32_t value);

wasm_rt_memory_t *Z_spectestZ_memory(struct Z_spectest_instance_t *instance) {
    return &instance->memory;
}

wasm_rt_funcref_table_t *Z_spectestZ_table(struct Z_spectest_instance_t *instance) {
    return &instance->table;
}

uint32_t *Z_spectestZ_global_i32(struct Z_spectest_instance_t *instance) {
    return &instance->global_i32;
}

uint64_t *Z_spectestZ_global_i64(struct Z_spectest_instance_t *instance) {
    return &instance->global_i64;
}

float *Z_spectestZ_global_f32(struct Z_spectest_instance_t *instance) {
    return &instance->global_f32;
}

double *Z_spectestZ_global_f64(struct Z_spectest_instance_t *instance) {
    return &instance->global_f64;
}

void Z_spectestZ_print(struct Z_spectest_instance_t *instance) {
    (void)instance;
}

void Z_spectestZ_print_i32(struct Z_spectest_instance_t *instance, uint32_t value) {
    (void)instance;
    (void)value;
}

static void spectest_make(struct Value *results) {
    (void)results;
    wasm_rt_allocate_memory(&Z_spectest.memory, 1, 2);
    wasm_rt_allocate_funcref_table(&Z_spectest.table, 10, 20);
}

int main(void) {
    static const struct Command spectest = {.what = "spectest", .kind = COMMAND_MODULE, .run = spectest_make};

    setvbuf(stdout, NULL, _IOLBF, 0);
    wasm_rt_init();
    suite.init();
    run(&spectest);
    for (size_t i = 0; i < suite.n_commands; i++)
        run(&suite.commands[i]);
    suite.free();
    wasm_rt_free_funcref_table(&Z_spectest.table);
    wasm_rt_free_memory(&Z_spectest.memory);
    check_nothing_left();
    wasm_rt_free();
    printf("%s: %u/%u assertions passed", suite.name, passed, passed + failed);
    if (suite.n_skipped)
        printf(" (%zu that do not run left out)", suite.n_skipped);
    putchar('\n');
    return failed != 0;
}
