/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct WorkModule MODULES[] = {
    {"empty", 0, 0},
    {"memory64k", 1, 0},
    {"memory1m", 16, 0},
    {"table1000", 0, 1000},
};

const struct WorkModule *work_module(const char *name) {
    for (size_t i = 0; i < sizeof(MODULES) / sizeof(MODULES[0]); i++)
        if (!strcmp(MODULES[i].name, name))
            return &MODULES[i];
    return NULL;
}

size_t work_module_bytes(const struct WorkModule *module) {
    return (size_t)module->wasm_pages * 65536 + (size_t)module->table_elements * 8;
}

struct WorkTouch work_touch_of(const struct WorkOptions *options, size_t memory_bytes) {
    struct WorkTouch touch = {options->touch, options->stride ? options->stride : memory_bytes / WORK_TOUCH_PARTS};

    if (touch.pages && (touch.pages - 1) * touch.stride >= memory_bytes)
        work_fail("--touch", "is beyond the memory");
    return touch;
}

void *work_allocate(size_t bytes) {
    void *block = calloc(1, bytes);

    if (!block)
        work_fail("memory", "there is none");
    return block;
}

void work_fail(const char *what, const char *why) {
    fprintf(stderr, "bench-cycle: %s: %s\n", what, why);
    exit(1);
}

long work_interruptions(void) {
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

uint64_t work_peak_bytes(void) {
    FILE *file = fopen("/proc/self/status", "re");
    unsigned long long kilobytes = 0;
    char line[256];

    if (!file)
        work_fail("/proc/self/status", strerror(errno));
    while (!kilobytes && fgets(line, sizeof(line), file))
        sscanf(line, "VmHWM: %llu kB", &kilobytes);
    fclose(file);
    if (!kilobytes)
        work_fail("/proc/self/status", "has no VmHWM");
    return kilobytes * 1024;
}

unsigned work_pin(unsigned n) {
    /* As it was at first: pinning narrows it. */
    static cpu_set_t allowed;
    unsigned count = (unsigned)CPU_COUNT(&allowed), seen = 0;
    cpu_set_t one;

    if (!count) {
        if (sched_getaffinity(0, sizeof(allowed), &allowed))
            return 1;
        count = (unsigned)CPU_COUNT(&allowed);
    }
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && seen++ == n % count)
            CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    return count;
}
