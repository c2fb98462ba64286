/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/images.h"

#include <assert.h>
#include <errno.h>
#include <fts.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Leaves room in NAME_MAX for a number and ".png". */
#define NAME_BYTES_MAX 200

const char *outcome_name(enum Outcome outcome) {
    static const char *const names[OUTCOMES] = {
        [OUTCOME_PENDING] = "pending",     [OUTCOME_DONE] = "done",           [OUTCOME_REJECTED] = "rejected",
        [OUTCOME_TRAPPED] = "trapped",     [OUTCOME_TIMED_OUT] = "timed_out", [OUTCOME_KILLED] = "killed",
        [OUTCOME_UNREADABLE] = "unreadable",
    };

    return names[outcome];
}

static int name_compare(const void *a, const void *b) {
    return strcmp(a, b);
}

/* "holiday/a.png" becomes "holiday_a.png.png", and if that is given already, "holiday_a.png-2.png". */
static char *name_new(struct Images *images, const char *relative) {
    char *name;

    for (unsigned n = 1;; n++) {
        int r = n == 1 ? asprintf(&name, "%.*s.png", NAME_BYTES_MAX, relative)
                       : asprintf(&name, "%.*s-%u.png", NAME_BYTES_MAX, relative, n);

        if (r < 0)
            return NULL;
        for (char *slash = name; (slash = strchr(slash, '/')); slash++)
            *slash = '_';
        if (!tfind(name, &images->names, name_compare))
            break;
        free(name);
    }
    if (!tsearch(name, &images->names, name_compare)) {
        free(name);
        return NULL;
    }
    return name;
}

static int add_file(struct Images *images, const char *path, const char *relative) {
    struct Image *image;

    if (images->count == images->capacity) {
        uint32_t capacity = images->capacity ? 2 * images->capacity : 64;
        struct Image *at = capacity < images->capacity ? NULL : reallocarray(images->at, capacity, sizeof(*at));

        if (!at)
            return -ENOMEM;
        images->at = at;
        images->capacity = capacity;
    }
    image = &images->at[images->count];
    *image = (struct Image){.path = strdup(path)};
    if (image->path)
        image->name = name_new(images, relative);
    if (!image->name) {
        free(image->path);
        return -ENOMEM;
    }
    images->count++;
    return 0;
}

static bool is_image_name(const char *name) {
    static const char *const endings[] = {"png", "jpg", "jpeg", "gif", "bmp"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++)
        if (!strcasecmp(dot + 1, endings[i]))
            return true;
    return false;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* What cannot be read beneath the directory is left out; the directory itself must be readable. */
static int add_entry(struct Images *images, FTS *fts, FTSENT *entry, const struct stat *out) {
    const char *relative = entry->fts_path + strlen(entry->fts_path) - entry->fts_namelen;

    switch (entry->fts_info) {
    case FTS_D:
        if (entry->fts_level > 0 && entry->fts_statp->st_dev == out->st_dev && entry->fts_statp->st_ino == out->st_ino)
            fts_set(fts, entry, FTS_SKIP);
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return entry->fts_level ? 0 : -entry->fts_errno;
    case FTS_F:
        break;
    default:
        if (entry->fts_level)
            return 0; /* links, fifos, ...: only when named */
        break;
    }
    if (entry->fts_level && !is_image_name(entry->fts_name))
        return 0;
    /* Back over as many names as the entry is deep. */
    for (int level = 1; level < entry->fts_level; level++)
        while (relative > entry->fts_path + 1 && *(--relative - 1) != '/')
            ;
    return add_file(images, entry->fts_path, relative);
}

int images_add(struct Images *images, const char *path, const struct stat *out) {
    char *copy = strdup(path), *paths[2] = {copy, NULL};
    FTSENT *entry;
    FTS *fts;
    int r = 0;

    if (!copy)
        return -ENOMEM;
    fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (!fts) {
        r = -errno;
        free(copy);
        return r;
    }
    while (!r && (errno = 0, entry = fts_read(fts))) {
        if (entry->fts_info == FTS_DP || entry->fts_info == FTS_DC)
            continue;
        r = add_entry(images, fts, entry, out);
    }
    if (!r && errno)
        r = -errno;
    fts_close(fts);
    free(copy);
    return r;
}

static void name_keep(void *name) {
    (void)name; /* the image's to free */
}

void images_deinit(struct Images *images) {
    tdestroy(images->names, name_keep);
    for (uint32_t i = 0; i < images->count; i++) {
        free(images->at[i].path);
        free(images->at[i].name);
    }
    free(images->at);
    *images = (struct Images){0};
}

int queue_init(struct Queue *queue, uint32_t capacity) {
    queue->at = calloc(capacity ? capacity : 1, sizeof(*queue->at));
    queue->capacity = capacity;
    queue->head = queue->count = 0;
    return queue->at ? 0 : -ENOMEM;
}

void queue_deinit(struct Queue *queue) {
    free(queue->at);
    *queue = (struct Queue){0};
}

void queue_push(struct Queue *queue, uint32_t image) {
    assert(queue->count < queue->capacity);
    queue->at[(queue->head + queue->count++) % queue->capacity] = image;
}

uint32_t queue_pop(struct Queue *queue) {
    uint32_t image = queue->at[queue->head];

    assert(queue->count);
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    return image;
}
