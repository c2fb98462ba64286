/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/cycle.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct Work *const WORKS[] = {
    &WORK_POOL,
    &WORK_STOCK,
    &WORK_ZERO,
    &WORK_CAS,
    &WORK_CLOCK,
    &WORK_ARITHMETIC,
    &WORK_ROUNDTRIP_NEAR,
    &WORK_ROUNDTRIP_FAR,
    &WORK_READ,
    &WORK_READ_FILE,
    &WORK_INSTANCE,
    &WORK_COPY_TEMPLATE,
    &WORK_COPY_TABLE,
    &WORK_COPY_PAGES,
    &WORK_COPY_DIRTY,
    &WORK_RESET,
    &WORK_RESET_ALL,
    &WORK_RESET_ORACLE,
    &WORK_RESET_GATE,
    &WORK_FAULT_ANONYMOUS,
    &WORK_FAULT_SHARED,
};
#define WORKS_N (sizeof(WORKS) / sizeof(WORKS[0]))

static const struct option OPTIONS[] = {
    {"work", required_argument, NULL, 'w'},    {"module", required_argument, NULL, 'm'},
    {"address", required_argument, NULL, 'a'}, {"touch", required_argument, NULL, 't'},
    {"warm", required_argument, NULL, 'W'},    {"cycles", required_argument, NULL, 'c'},
    {"ms", required_argument, NULL, 'T'},      {"hold", required_argument, NULL, 'H'},
    {"watch", required_argument, NULL, 'P'},   {"processes", required_argument, NULL, 'p'},
    {"pin", no_argument, NULL, 'n'},           {"against", required_argument, NULL, 'A'},
    {"rounds", required_argument, NULL, 'r'},  {"file", required_argument, NULL, 'f'},
    {"peak", no_argument, NULL, 'k'},          {"threads", no_argument, NULL, 'd'},
    {"stride", required_argument, NULL, 's'},  {"wait", no_argument, NULL, 'i'},
    {"part", no_argument, NULL, 'x'},          {"quantiles", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
};

static void usage(void) {
    printf("usage: bench-cycle [OPTION...]\n"
           "  --work W       what to do, see below (pool)\n"
           "  --module M     empty, memory64k, memory1m or table1000 (empty)\n"
           "  --file F       a WebAssembly binary, for the works that read one\n"
           "  --touch N      host pages that each cycle writes to, at most %d (0)\n"
           "  --stride N     bytes from one of them to the next (a 16th of the memory)\n"
           "  --address A    of the library's allocator ($WASMPOOL_ADDRESS, else embedded:)\n"
           "  --warm N       cycles before the clock runs (1000)\n"
           "  --cycles N     cycles (10000)\n"
           "  --ms N         or as many as fit into so many milliseconds\n"
           "  --part         of each cycle only the part that is of interest, where the work has one\n"
           "  --quantiles    each cycle by itself, and also their median and p99\n"
           "  --hold N       measure nothing: have N instances at one time, once\n"
           "  --wait         print a line before that, and when they are there, and wait for a line after each\n"
           "  --processes N  side by side, started together (1)\n"
           "  --threads      threads with the same allocator, not processes\n"
           "  --pin          process i on processor i\n"
           "  --watch PID    also how often and how long that process ran meanwhile\n"
           "  --peak         also the most memory that was resident\n"
           "  --against W    instead: what a second process gains, beside that work; a line for each round\n"
           "  --rounds N     so many (20)\n"
           "works:\n",
           WORK_TOUCH_MAX);
    for (size_t i = 0; i < WORKS_N; i++)
        printf("  %-15s %s\n", WORKS[i]->name, WORKS[i]->meaning);
}

static const struct Work *find_work(const char *name) {
    for (size_t i = 0; i < WORKS_N; i++)
        if (!strcmp(WORKS[i]->name, name))
            return WORKS[i];
    work_fail(name, "is not a work");
}

static uint64_t number(const char *text, uint64_t most) {
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value > most)
        work_fail(text, "is not a number in range");
    return value;
}

static const struct WorkModule *find_module(const char *name) {
    const struct WorkModule *module = work_module(name);

    if (!module)
        work_fail(name, "is not a module");
    return module;
}

/* Returns whether it is one. */
static bool set_flag(struct Cycle *cycle, int option) {
    switch (option) {
    case 'n':
        cycle->pin = true;
        return true;
    case 'd':
        cycle->threads = cycle->options.shared = true;
        return true;
    case 'k':
        cycle->peak = true;
        return true;
    case 'i':
        cycle->wait = true;
        return true;
    case 'x':
        cycle->part = true;
        return true;
    case 'q':
        cycle->quantiles = true;
        return true;
    case 'h':
        usage();
        exit(0);
    default:
        return false;
    }
}

static void set_number(struct Cycle *cycle, int option, const char *value) {
    switch (option) {
    case 't':
        cycle->options.touch = (uint32_t)number(value, WORK_TOUCH_MAX);
        break;
    case 's':
        cycle->options.stride = number(value, INT64_MAX);
        break;
    case 'W':
        cycle->warm = number(value, UINT64_MAX);
        break;
    case 'c':
        cycle->cycles = number(value, UINT64_MAX);
        break;
    case 'T':
        cycle->ms = number(value, 3600000);
        break;
    case 'H':
        cycle->hold = number(value, 1000000);
        break;
    case 'P':
        cycle->watch = (int)number(value, INT32_MAX);
        break;
    case 'p':
        cycle->processes = (uint32_t)number(value, CYCLE_PROCESSES_MAX);
        break;
    case 'r':
        cycle->rounds = (uint32_t)number(value, 1000);
        break;
    default:
        exit(2);
    }
}

static void set_option(struct Cycle *cycle, int option, const char *value) {
    switch (option) {
    case 'w':
        cycle->work = find_work(value);
        break;
    case 'A':
        cycle->against = find_work(value);
        break;
    case 'm':
        cycle->options.module = find_module(value);
        break;
    case 'a':
        cycle->options.address = value;
        break;
    case 'f':
        cycle->options.file = value;
        break;
    default:
        if (!set_flag(cycle, option))
            set_number(cycle, option, value);
    }
}

void cycle_parse(struct Cycle *cycle, int argc, char **argv) {
    int option;

    *cycle = (struct Cycle){
        .work = &WORK_POOL,
        .options.module = work_module("empty"),
        .warm = 1000,
        .cycles = 10000,
        .processes = 1,
        .rounds = 20,
    };
    while ((option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1)
        set_option(cycle, option, optarg);
    if (optind < argc)
        work_fail(argv[optind], "is not an option");
    if (cycle->hold && !cycle->work->hold)
        work_fail("--hold", "means nothing for this work");
    if (cycle->part && !cycle->work->run_part)
        work_fail("--part", "means nothing for this work");
}
