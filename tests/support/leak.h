/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_LEAK_H
#define TESTS_SUPPORT_LEAK_H

/* What a process must not gather: open file descriptors, and mappings of wasmpool's memfds. Needs no test framework, so
 * that plain programs can use it too. */

#include <stddef.h>

struct LeakMark {
    char *fds;  /* a line for each fd: its number and what it is; heap */
    char *maps; /* the lines of /proc/self/maps that name memfd:wasmpool; heap */
};

/* Remember what there is now. Aborts when /proc cannot be read: a check that sees nothing is worse than none. */
void leak_mark_init(struct LeakMark *mark);
void leak_mark_deinit(struct LeakMark *mark);

/* Compare with now. Returns the number of fds that are open or closed unlike before, and of mappings that are new, and
 * writes what they are to *report, line by line, as far as it goes. */
unsigned leak_compare(const struct LeakMark *before, char *report, size_t report_bytes);

/* How many mappings of memfds whose name begins with `name` there are now: "wasmpool", "wasmpool-memory", ... */
unsigned leak_count_maps(const char *name);

#endif
