/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_DAEMON_HIERARCHY_H
#define TESTS_DAEMON_HIERARCHY_H

/* A hierarchy of cgroups that is plain files in a temporary directory, with a file of mounts that says where it is. */

#include "daemon/cgroup.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

struct Hierarchy {
    char directory[64];
};

static inline void hierarchy_write(const struct Hierarchy *hierarchy, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline void hierarchy_write(const struct Hierarchy *hierarchy, const char *name, const char *format, ...) {
    char path[256];
    va_list arguments;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", hierarchy->directory, name);
    for (char *slash = path + strlen(hierarchy->directory) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(path, 0700);
    }
    file = fopen(path, "we");
    cr_assert_not_null(file, "%s cannot be written", path);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

/* `mounts` are lines of /proc/self/mounts in which %s, once each, is the directory. */
static inline void hierarchy_open(struct Hierarchy *hierarchy, struct Cgroups *cgroups, const char *mounts) {
    char path[128];
    FILE *file;

    strcpy(hierarchy->directory, "/tmp/wasmpool-cgroup-XXXXXX");
    cr_assert_not_null(mkdtemp(hierarchy->directory));
    snprintf(path, sizeof(path), "%s/mounts", hierarchy->directory);
    file = fopen(path, "we");
    cr_assert_not_null(file);
    for (const char *part = mounts; *part; part++)
        if (part[0] == '%' && part[1] == 's')
            fputs(hierarchy->directory, file), part++;
        else
            fputc(*part, file);
    fclose(file);
    cgroups_init(cgroups, path);
}

static inline int hierarchy_remove(const char *path, const struct stat *st, int type, struct FTW *walk) {
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static inline void hierarchy_close(const struct Hierarchy *hierarchy) {
    nftw(hierarchy->directory, hierarchy_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* What /proc/PID/cgroup would say. */
static inline struct Cgroup *hierarchy_ref(const struct Hierarchy *hierarchy, struct Cgroups *cgroups,
                                           const char *text) {
    char path[128];

    hierarchy_write(hierarchy, "process", "%s", text);
    snprintf(path, sizeof(path), "%s/process", hierarchy->directory);
    return cgroup_ref(cgroups, path);
}

#define HIERARCHY_V2 "cgroup2 %s cgroup2 rw,nosuid 0 0\n"
#define HIERARCHY_V1 "cgroup %s cgroup rw,memory 0 0\n"

#endif
