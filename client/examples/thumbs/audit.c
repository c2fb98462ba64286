/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/audit.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct Mapping {
    uint64_t inode;
    char name[128];
};

/* A line of proc_pid_maps(5): from-to perms offset device inode name. */
static bool line_holds(const char *line, uintptr_t address, struct Mapping *mapping) {
    uintptr_t from, to;
    uint64_t inode;
    char name[128] = "-";

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %" SCNu64 " %127s", &from, &to, &inode, name) < 3)
        return false;
    if (address < from || address >= to)
        return false;
    mapping->inode = inode;
    snprintf(mapping->name, sizeof(mapping->name), "%s", name);
    return true;
}

void audit_append(int fd, const void *memory, const void *table, const char *image) {
    struct Mapping at_memory = {.name = "-"}, at_table = {.name = "-"};
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL, out[PATH_MAX + 512];
    size_t size = 0;
    int n;

    if (!maps)
        return;
    while (getline(&line, &size, maps) >= 0) {
        line_holds(line, (uintptr_t)memory, &at_memory);
        line_holds(line, (uintptr_t)table, &at_table);
    }
    free(line);
    fclose(maps);
    n = snprintf(out, sizeof(out), "%d memory %p %" PRIu64 " %s table %p %" PRIu64 " %s %s\n", (int)getpid(), memory,
                 at_memory.inode, at_memory.name, table, at_table.inode, at_table.name, image);
    /* A name may hold anything but a NUL, and a line is a line. */
    for (int i = 0; i < n - 1 && i < (int)sizeof(out); i++)
        out[i] = out[i] == '\n' ? '?' : out[i];
    /* One write, so that lines of several workers do not mix. */
    if (n > 0 && (size_t)n < sizeof(out) && write(fd, out, (size_t)n) != n)
        return;
}
