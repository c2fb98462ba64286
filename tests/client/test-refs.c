/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/client/modules.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a module that was freed lives: no shorter than what is made of it, and no longer. */

#define ROUNDS 50
#define SEGMENT_BYTES 60000

static uint8_t contents[SEGMENT_BYTES];

static struct wasmpool_module *large_module(void) {
    memset(contents, 0x5a, sizeof(contents));
    return modules_make(1, &(struct ModulesSegment){.offset = 1000, .n = SEGMENT_BYTES, .bytes = contents}, 1);
}

/* After a first round the heap must not grow by what the others have in it. */
static void expect_no_growth(size_t before) {
    size_t now = mallinfo2().uordblks;

    cr_assert_lt(now, before + ROUNDS / 2 * SEGMENT_BYTES, "%zu bytes were in use, %zu are", before, now);
}

BothTest(refs, a_freed_module_goes_with_its_last_instance) {
    struct Fixture fixture;
    size_t before = 0;

    fixture_open(&fixture, implementation);
    for (int i = 0; i < ROUNDS; i++) {
        struct wasmpool_module *module = large_module();
        struct wasmpool_instance *instances[2];

        for (int k = 0; k < 2; k++)
            expect_result(&fixture, fixture_allocate(&fixture, module, &instances[k]), 0);
        wasmpool_module_free(module);
        for (int k = 0; k < 2; k++) {
            expect_eq(memcmp(wasmpool_instance_memory(instances[k], 0)->base + 1000, contents, SEGMENT_BYTES), 0);
            wasmpool_deallocate_module(&instances[k]);
        }
        if (!i)
            before = mallinfo2().uordblks;
    }
    expect_no_growth(before);
    fixture_close(&fixture);
}

/* Their contents are restored from the module's image when they are given back. */
BothTest(refs, a_freed_module_goes_with_its_last_memory_by_hand) {
    struct Fixture fixture;
    size_t before = 0;

    fixture_open(&fixture, implementation);
    for (int i = 0; i < ROUNDS; i++) {
        struct wasmpool_module *module = large_module();
        struct wasmpool_memory memory;
        struct wasmpool_memories memories = {.at = &memory, .capacity = 1};
        struct wasmpool_request request = {.module = module};

        expect_result(&fixture, wasmpool_allocate_memories(fixture.pool, &request, &memories, &fixture.error), 0);
        wasmpool_module_free(module);
        memset(memory.base, 0xfe, WASM_PAGE);
        wasmpool_deallocate_memories(fixture.pool, &memories);
        if (!i)
            before = mallinfo2().uordblks;
    }
    expect_no_growth(before);
    fixture_close(&fixture);
}

Test(refs, a_module_without_instances_goes_at_once) {
    size_t before = 0;

    for (int i = 0; i < ROUNDS; i++) {
        wasmpool_module_free(large_module());
        if (!i)
            before = mallinfo2().uordblks;
    }
    expect_no_growth(before);
}

/* ------------------------------------------------------------------------------------------------ fork */

static void *read_and_free(void *stop) {
    while (!atomic_load((_Atomic bool *)stop))
        wasmpool_module_free(large_module());
    return NULL;
}

/* Children are made while another thread is likely to hold the locks that modules need. */
Test(refs, a_child_of_a_process_with_threads_can_use_modules, .timeout = 60) {
    _Atomic bool stop = false;
    pthread_t thread;

#ifdef __SANITIZE_ADDRESS__
    cr_skip("a child of a process with threads cannot allocate under AddressSanitizer");
#endif
    expect_eq(pthread_create(&thread, NULL, read_and_free, &stop), 0);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        int status;

        cr_assert_geq(child, 0);
        if (!child) {
            alarm(20);
            wasmpool_module_free(large_module());
            _exit(0);
        }
        expect_eq(waitpid(child, &status, 0), child);
        expect_eq(status, 0);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}
