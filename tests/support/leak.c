/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/leak.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAK_LINE_BYTES 512

static void leak_give_up(const char *what) {
    perror(what);
    abort();
}

static char *leak_list_fds(void) {
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);
    DIR *directory = opendir("/proc/self/fd");

    if (!stream || !directory)
        leak_give_up("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) {
        char target[LEAK_LINE_BYTES];
        ssize_t n;

        if (*entry->d_name == '.' || atoi(entry->d_name) == dirfd(directory))
            continue;
        n = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = 0;
        fprintf(stream, "fd %s %s\n", entry->d_name, target);
    }
    closedir(directory);
    fclose(stream);
    return text;
}

static char *leak_list_maps(const char *name) {
    char *text = NULL, line[LEAK_LINE_BYTES], memfd[64];
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes), *maps = fopen("/proc/self/maps", "re");

    if (!stream || !maps)
        leak_give_up("/proc/self/maps");
    snprintf(memfd, sizeof(memfd), "/memfd:%s", name);
    while (fgets(line, sizeof(line), maps))
        if (strstr(line, memfd))
            fputs(line, stream);
    fclose(maps);
    fclose(stream);
    return text;
}

void leak_mark_init(struct LeakMark *mark) {
    mark->maps = leak_list_maps("wasmpool");
    mark->fds = leak_list_fds();
}

void leak_mark_deinit(struct LeakMark *mark) {
    free(mark->fds);
    free(mark->maps);
    *mark = (struct LeakMark){0};
}

static int leak_has_line(const char *text, const char *line, size_t bytes) {
    for (const char *at = text; at && *at; at = strchr(at, '\n') + 1)
        if (!strncmp(at, line, bytes + 1))
            return 1;
    return 0;
}

/* Count and report the lines of `text` that are not in `other`. */
static unsigned leak_difference(const char *text, const char *other, const char *what, char **atp, char *end) {
    unsigned n = 0;

    for (const char *line = text, *next; *line; line = next + 1) {
        int written;

        next = strchr(line, '\n');
        if (leak_has_line(other, line, (size_t)(next - line)))
            continue;
        n++;
        written = snprintf(*atp, (size_t)(end - *atp), "%s: %.*s\n", what, (int)(next - line), line);
        *atp = written < end - *atp ? *atp + written : end - 1;
    }
    return n;
}

unsigned leak_compare(const struct LeakMark *before, char *report, size_t report_bytes) {
    struct LeakMark now;
    char *at = report, *end = report + report_bytes;
    unsigned n;

    *report = 0;
    leak_mark_init(&now);
    n = leak_difference(now.fds, before->fds, "still open", &at, end);
    n += leak_difference(before->fds, now.fds, "no longer open", &at, end);
    n += leak_difference(now.maps, before->maps, "still mapped", &at, end);
    leak_mark_deinit(&now);
    return n;
}

unsigned leak_count_maps(const char *name) {
    char *text = leak_list_maps(name);
    unsigned n = 0;

    for (const char *at = text; *at; at = strchr(at, '\n') + 1)
        n++;
    free(text);
    return n;
}
