/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_WORK_H
#define TESTS_BENCH_WORK_H

/* What bench-cycle can measure: something that is set up once and then done over and over. */

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define WORK_TOUCH_MAX 64
#define WORK_TOUCH_PARTS 16 /* unless somebody says otherwise, touched pages are a 16th of the memory apart */

/* A module that every runtime can make instances of; tests/bench/NAME.wat is the same for wasm2c. */
struct WorkModule {
    const char *name;
    uint32_t wasm_pages;     /* of its one memory; 0: it has none */
    uint32_t table_elements; /* of its one table of externrefs, 8 bytes each; 0: it has none */
};

struct WorkOptions {
    const struct WorkModule *module;
    const char *address; /* of the library's allocator; NULL: its default */
    const char *file;    /* a binary, for the works that read one; NULL: none */
    uint32_t touch;      /* pages of the memory that each cycle writes to */
    uint64_t stride;     /* bytes from one of them to the next; 0: a 16th of the memory */
    bool shared;         /* the threads of this process share one allocator */
};

struct Work {
    const char *name, *meaning;
    bool waits; /* for another process, in each cycle */
    /* All end the process with a message when they fail: a measurement with a hole in it is none. */
    void *(*open)(const struct WorkOptions *options);
    void (*run)(void *state, uint64_t cycles);
    /* The same, where only a part of each cycle is of interest: returns that part's nanoseconds. NULL: all of it is. */
    uint64_t (*run_part)(void *state, uint64_t cycles);
    /* Have so many at one time, and call `meanwhile` then; NULL where that means nothing. */
    void (*hold)(void *state, uint64_t instances, void (*meanwhile)(void));
    void (*close)(void *state);
};

extern const struct Work WORK_POOL, WORK_STOCK, WORK_ZERO, WORK_CAS, WORK_CLOCK, WORK_ARITHMETIC,
    WORK_ROUNDTRIP_NEAR, WORK_ROUNDTRIP_FAR, WORK_READ, WORK_READ_FILE, WORK_INSTANCE, WORK_COPY_TEMPLATE,
    WORK_COPY_TABLE, WORK_COPY_PAGES, WORK_COPY_DIRTY, WORK_RESET, WORK_RESET_ALL, WORK_RESET_ORACLE, WORK_RESET_GATE,
    WORK_FAULT_ANONYMOUS, WORK_FAULT_SHARED;

const struct WorkModule *work_module(const char *name);
/* The bytes of the module's memory or table; 0 when it has neither. */
size_t work_module_bytes(const struct WorkModule *module);

/* Which pages of a memory are written to. */
struct WorkTouch {
    uint32_t pages;
    size_t stride;
};

/* The process ends with a message where they do not lie within the memory. */
struct WorkTouch work_touch_of(const struct WorkOptions *options, size_t memory_bytes);

/* A byte of each. */
static inline void work_touch(uint8_t *base, struct WorkTouch touch) {
    for (uint32_t i = 0; i < touch.pages; i++)
        *(volatile uint8_t *)(base + i * touch.stride) = (uint8_t)~i;
}

/* Between two looks at the clock: long against the look, short against a measurement. */
#define WORK_BATCH_NS 20000

static inline uint64_t work_now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How often this thread has had to leave its processor although it wanted to go on. */
long work_interruptions(void);

/* The most memory that this program has had resident since it began. Unlike ru_maxrss it says nothing of the process
 * that started it. */
uint64_t work_peak_bytes(void);

void *work_allocate(size_t bytes);
_Noreturn void work_fail(const char *what, const char *why);

/* Stay on the n-th of the processors that this process may use. Returns how many there are. Of threads each stays by
 * itself, after the process's first call. */
unsigned work_pin(unsigned n);

#endif
