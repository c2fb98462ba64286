/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/footprint.h"

#include <errno.h>
#include <string.h>

static int footprint_read(pid_t pid, const char *name, const char *field, double *bytesp) {
    unsigned long long kilobytes;
    char path[64], line[256];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    while (!found && fgets(line, sizeof(line), file))
        found = !strncmp(line, field, strlen(field)) && sscanf(line + strlen(field), ": %llu kB", &kilobytes) == 1;
    fclose(file);
    if (!found)
        return -ENODATA;
    *bytesp += (double)kilobytes * 1024;
    return 0;
}

static int footprint_add(pid_t pid, double quantities[static FOOTPRINT_QUANTITIES_N]) {
    int r = footprint_read(pid, "smaps_rollup", "Pss", &quantities[FOOTPRINT_PSS]);

    if (!r)
        r = footprint_read(pid, "status", "VmPTE", &quantities[FOOTPRINT_PAGE_TABLES]);
    return r ? r : footprint_read(pid, "status", "VmSize", &quantities[FOOTPRINT_VM_SIZE]);
}

/* Wait until all of them have said the word, look at them, and let them go on. */
static int footprint_look(struct Holder *holders, unsigned n, const char *word, pid_t daemon,
                          double quantities[static FOOTPRINT_QUANTITIES_N]) {
    int r = 0;

    for (unsigned i = 0; i < n && !r; i++)
        r = runner_hold_read(&holders[i], word);
    for (unsigned i = 0; i < n && !r; i++)
        r = footprint_add(holders[i].pid, quantities);
    if (!r && daemon)
        r = footprint_add(daemon, quantities);
    for (unsigned i = 0; i < n && !r; i++)
        r = runner_hold_answer(&holders[i]);
    return r;
}

int footprint_measure(const char *program, const struct Task *task, unsigned processes, pid_t daemon,
                      struct Footprint *footprintp) {
    struct Holder holders[FOOTPRINT_PROCESSES_MAX] = {0};
    struct Footprint footprint = {0};
    int r = 0;

    for (unsigned i = 0; i < processes && !r; i++)
        r = runner_hold(program, task, &holders[i]);
    if (!r)
        r = footprint_look(holders, processes, "opened", daemon, footprint.before);
    if (!r)
        r = footprint_look(holders, processes, "held", daemon, footprint.held);
    for (unsigned i = 0; i < processes; i++) {
        int ended = runner_hold_end(&holders[i]);

        r = r ? r : ended;
    }
    if (!r)
        *footprintp = footprint;
    return r;
}
