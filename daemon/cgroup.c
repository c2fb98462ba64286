/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/cgroup.h"

#include "daemon/client.h"
#include "daemon/psi.h"
#include "daemon/text.h"

#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CGROUP_V1_NONE (UINT64_C(1) << 62) /* version 1 says "no limit" with a number a little below 2^63 */
#define CGROUP_STAT_BYTES 8192             /* of memory.stat */

/* ------------------------------------------------------------------------------------------------ hierarchy */

/* In a hybrid setup both are mounted, and the controller is where version 1 has it. */
void cgroups_init(struct Cgroups *cgroups, const char *mounts) {
    FILE *file = setmntent(mounts, "re");
    char buffer[2 * CGROUP_PATH_BYTES];
    struct mntent mount;

    *cgroups = (struct Cgroups){0};
    while (file && !cgroups->is_v1 && getmntent_r(file, &mount, buffer, sizeof(buffer))) {
        bool is_v1 = !strcmp(mount.mnt_type, "cgroup") && hasmntopt(&mount, "memory");

        if (!is_v1 && (strcmp(mount.mnt_type, "cgroup2") || *cgroups->root))
            continue;
        cgroups->is_v1 = is_v1;
        snprintf(cgroups->root, sizeof(cgroups->root), "%s", mount.mnt_dir);
    }
    if (file)
        endmntent(file);
}

/* The path in a line "0::PATH", or "N:memory:PATH" with other controllers beside memory. Ends the line. */
static char *cgroup_path_in(const struct Cgroups *cgroups, char *line) {
    char *end = strchr(line, '\n'), *controllers = strchr(line, ':'), *path;

    if (end)
        *end = '\0';
    path = controllers ? strchr(++controllers, ':') : NULL;
    if (!path)
        return NULL;
    *path++ = '\0';
    if (!cgroups->is_v1)
        return *controllers ? NULL : path;
    for (char *name; (name = strsep(&controllers, ","));)
        if (!strcmp(name, "memory"))
            return path;
    return NULL;
}

/* As the file has it, without a slash at its end. A path that leads out of our own cgroup namespace is none of ours. */
static char *cgroup_path_of(const struct Cgroups *cgroups, char *text) {
    char *path = NULL, *next;

    for (char *line = text; line && *line && !path; line = next) {
        next = strchr(line, '\n');
        next = next ? next + 1 : NULL;
        path = cgroup_path_in(cgroups, line);
    }
    return path && *path == '/' && path[1] && strncmp(path, "/..", 3) ? path : NULL;
}

/* ------------------------------------------------------------------------------------------------ files */

static int cgroup_read_text(const struct Cgroup *cgroup, const char *name, char *buffer, size_t bytes) {
    char path[2 * CGROUP_PATH_BYTES + 64];

    snprintf(path, sizeof(path), "%s/%s", cgroup->path, name);
    return text_read(buffer, bytes, path);
}

/* "max" is no number. */
static uint64_t cgroup_read_number(const struct Cgroup *cgroup, const char *name, uint64_t otherwise) {
    uint64_t number;
    char text[32];

    if (cgroup_read_text(cgroup, name, text, sizeof(text)) || sscanf(text, "%" SCNu64, &number) != 1)
        return otherwise;
    return number;
}

uint64_t cgroup_read_limit(const struct Cgroups *cgroups, const struct Cgroup *cgroup) {
    uint64_t max, high;

    if (cgroups->is_v1) {
        max = cgroup_read_number(cgroup, "memory.limit_in_bytes", UINT64_MAX);
        return max < CGROUP_V1_NONE ? max : UINT64_MAX;
    }
    max = cgroup_read_number(cgroup, "memory.max", UINT64_MAX);
    high = cgroup_read_number(cgroup, "memory.high", UINT64_MAX);
    return max < high ? max : high;
}

/* A line of memory.stat, "NAME NUMBER". */
static uint64_t stat_find(const char *text, const char *name) {
    size_t bytes = strlen(name);
    uint64_t number;

    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, name, bytes) && sscanf(line + bytes, " %" SCNu64, &number) == 1)
            return number;
    }
    return 0;
}

/* Memfds are no page cache to it: they are on the lists of anonymous memory. Version 1 counts what is below apart. */
static void cgroup_read_stat(const struct Cgroups *cgroups, const struct Cgroup *cgroup, struct CgroupUse *use) {
    uint64_t current = cgroup_read_number(cgroup, cgroups->is_v1 ? "memory.usage_in_bytes" : "memory.current", 0);
    char text[CGROUP_STAT_BYTES];
    uint64_t cache;

    use->working_bytes = current;
    use->shmem_bytes = 0;
    if (cgroup_read_text(cgroup, "memory.stat", text, sizeof(text)))
        return;
    cache = stat_find(text, cgroups->is_v1 ? "total_inactive_file" : "inactive_file") +
            stat_find(text, cgroups->is_v1 ? "total_active_file" : "active_file");
    use->working_bytes = current > cache ? current - cache : 0;
    use->shmem_bytes = stat_find(text, cgroups->is_v1 ? "total_shmem" : "shmem");
}

static uint64_t cgroup_read_stalled(const struct Cgroup *cgroup) {
    char path[2 * CGROUP_PATH_BYTES + 64];
    uint64_t total_us;

    snprintf(path, sizeof(path), "%s/memory.pressure", cgroup->path);
    return psi_read(path, &total_us) ? 0 : total_us;
}

void cgroup_read(const struct Cgroups *cgroups, const struct Cgroup *cgroup, struct CgroupUse *use) {
    use->limit_bytes = cgroup_read_limit(cgroups, cgroup);
    use->stalled_us = cgroups->is_v1 ? 0 : cgroup_read_stalled(cgroup);
    cgroup_read_stat(cgroups, cgroup, use);
}

/* ------------------------------------------------------------------------------------------------ references */

static struct Cgroup *cgroup_find(const struct Cgroups *cgroups, const char *path, size_t bytes) {
    for (struct Cgroup *cgroup = cgroups->all; cgroup; cgroup = cgroup->next)
        if (!strncmp(cgroup->path, path, bytes) && !cgroup->path[bytes])
            return cgroup;
    return NULL;
}

static struct Cgroup *cgroup_new(struct Cgroups *cgroups, struct Cgroup *parent, const char *path, size_t bytes) {
    struct Cgroup **link = &cgroups->all;
    struct Cgroup *cgroup = cgroups->n < CGROUPS_MAX ? calloc(1, sizeof(*cgroup) + bytes + 1) : NULL;

    if (!cgroup)
        return NULL;
    memcpy(cgroup->path, path, bytes);
    cgroup->limit_bytes = cgroup_read_limit(cgroups, cgroup);
    cgroup->parent = parent;
    if (parent)
        parent->n_refs++;
    while (*link)
        link = &(*link)->next;
    *link = cgroup;
    cgroups->n++;
    return cgroup;
}

struct Cgroup *cgroup_unref(struct Cgroups *cgroups, struct Cgroup *cgroup) {
    while (cgroup && !--cgroup->n_refs) {
        struct Cgroup **link = &cgroups->all, *parent = cgroup->parent;

        while (*link != cgroup)
            link = &(*link)->next;
        *link = cgroup->next;
        cgroups->n--;
        free(cgroup);
        cgroup = parent;
    }
    return NULL;
}

/* The directory of a path, behind `root`, and all above it, from the top: each holds on to the one above. */
static struct Cgroup *cgroup_descend(struct Cgroups *cgroups, const char *path, size_t root) {
    struct Cgroup *above = NULL, *cgroup = NULL;
    unsigned depth = 0;

    for (const char *end = path + root; end; above = cgroup) {
        size_t bytes;

        end = strchr(end + 1, '/');
        bytes = end ? (size_t)(end - path) : strlen(path);
        cgroup = cgroup_find(cgroups, path, bytes);
        if (!cgroup && depth++ < CGROUP_DEPTH_MAX)
            cgroup = cgroup_new(cgroups, above, path, bytes);
        if (cgroup)
            cgroup->n_refs++;
        cgroup_unref(cgroups, above);
        if (!cgroup)
            return NULL;
    }
    return cgroup;
}

struct Cgroup *cgroup_ref(struct Cgroups *cgroups, const char *file) {
    char text[CGROUP_PATH_BYTES], path[2 * CGROUP_PATH_BYTES];
    const char *below;

    if (!*cgroups->root || text_read(text, sizeof(text), file))
        return NULL;
    below = cgroup_path_of(cgroups, text);
    if (!below)
        return NULL;
    snprintf(path, sizeof(path), "%s%s", cgroups->root, below);
    return cgroup_descend(cgroups, path, strlen(cgroups->root));
}

void cgroup_charge(struct Cgroup *cgroup, uint64_t delta_bytes) {
    for (; cgroup; cgroup = cgroup->parent)
        cgroup->resident_bytes += delta_bytes;
}

bool cgroup_has(const struct Client *client, const void *data) {
    for (const struct Cgroup *cgroup = client->cgroup; cgroup; cgroup = cgroup->parent)
        if (cgroup == data)
            return true;
    return false;
}
