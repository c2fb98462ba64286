/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_READING_H
#define TESTS_BENCH_READING_H

/* Reading binaries: one with very many data segments, and two that differ in their functions' bodies only. */

#include "tests/bench/sample.h"

#include <stdint.h>

#define READING_SEGMENTS 100000 /* as many as there may be */

enum ReadingBodies { BODIES_SMALL, BODIES_LARGE, BODIES_N };

struct Reading {
    const char *program;           /* bench-cycle */
    const char *modules;           /* where the binaries lie */
    uint64_t bytes;                /* of the binary with segments: all but some 20 of them are sections' contents */
    uint64_t body_bytes[BODIES_N]; /* of the binaries with bodies: all but some 1000 */
    struct Sample from_memory, from_file; /* bytes a nanosecond */
    struct Sample segments_peak;          /* bytes resident at most, in a process that reads the first binary once */
    struct Sample bodies_peak[BODIES_N];  /* the same with the others */
    struct Sample bodies_ns[BODIES_N];    /* and how long it took */
    struct Sample command_ns, objdump_ns; /* that whole process, and wasm-objdump -h of the same binary */
};

/* One repetition. 0 or a negative errno. */
int reading_repeat(struct Reading *reading);

#endif
