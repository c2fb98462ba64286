/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/reading.h"

#include "tests/bench/runner.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#define READING_MS 60
#define READING_WARM 2

static const char *const BODIES[BODIES_N] = {"bodies1m", "bodies200m"};

static const char *reading_path(const struct Reading *reading, const char *module, char path[static PATH_MAX]) {
    snprintf(path, PATH_MAX, "%s/%s.wasm", reading->modules, module);
    return path;
}

static int reading_look(const char *path, uint64_t *bytesp) {
    struct stat st;

    if (stat(path, &st))
        return -errno;
    *bytesp = (uint64_t)st.st_size;
    return 0;
}

static int reading_measure(const struct Reading *reading, const char *work, const char *path, struct Sample *sample) {
    struct Task task = {.work = work, .file = path, .warm = READING_WARM, .ms = READING_MS};
    struct Rate rate;
    int r = runner_measure(reading->program, &task, &rate);

    if (!r)
        sample_add(sample, (double)reading->bytes / rate.ns);
    return r;
}

/* What a process that reads a binary once needs. */
static int reading_once(const struct Reading *reading, const char *path, struct Sample *peak, struct Sample *ns) {
    struct Task task = {.work = "read-file", .file = path, .cycles = 1, .peak = true};
    struct Rate rate;
    int r = runner_measure(reading->program, &task, &rate);

    if (r)
        return r;
    sample_add(peak, rate.peak_bytes);
    if (ns)
        sample_add(ns, rate.ns);
    return 0;
}

static int reading_repeat_commands(struct Reading *reading, const char *path) {
    const char *const objdump[] = {"wasm-objdump", "-h", path, NULL};
    struct Task task = {.work = "read-file", .file = path, .cycles = 1};
    double ns;
    int r = runner_time_task(reading->program, &task, &ns);

    if (r)
        return r;
    sample_add(&reading->command_ns, ns);
    r = runner_time(objdump, &ns);
    if (!r)
        sample_add(&reading->objdump_ns, ns);
    return r;
}

int reading_repeat(struct Reading *reading) {
    char path[PATH_MAX];
    int r = reading_look(reading_path(reading, "segments", path), &reading->bytes);

    if (!r)
        r = reading_measure(reading, "read", path, &reading->from_memory);
    if (!r)
        r = reading_measure(reading, "read-file", path, &reading->from_file);
    if (!r)
        r = reading_once(reading, path, &reading->segments_peak, NULL);
    if (!r)
        r = reading_repeat_commands(reading, path);
    for (unsigned i = 0; i < BODIES_N && !r; i++) {
        r = reading_look(reading_path(reading, BODIES[i], path), &reading->body_bytes[i]);
        if (!r)
            r = reading_once(reading, path, &reading->bodies_peak[i], &reading->bodies_ns[i]);
    }
    return r;
}
