/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/gallery.h"

#include "tests/bench/runner.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GALLERY_SAMPLED 5 /* runs with perf */
#define GALLERY_FAULT_MS 20
#define GALLERY_FAULT_WARM 2000
#define GALLERY_PATH_BYTES 64

#define GALLERY_STRINGIZE(number) #number
#define GALLERY_STRING(number) GALLERY_STRINGIZE(number)

const struct GalleryWay GALLERY_WAYS[GALLERY_SIDES_N] = {
    [GALLERY_DAEMON] = {"daemon", "daemon", "fault-shared"},
    [GALLERY_STOCK] = {"stock", "stock wasm2c", "fault-anonymous"},
};

/* Everything lies in one directory. */
struct GalleryFiles {
    char directory[GALLERY_PATH_BYTES / 2];
    char images[GALLERY_PATH_BYTES];
    char out[GALLERY_SIDES_N][GALLERY_PATH_BYTES];
    char samples[GALLERY_PATH_BYTES]; /* perf's */
};

/* ------------------------------------------------------------------------------------------------ images */

static int gallery_run_command(const char *const *command) {
    struct Use use;

    return runner_use(command, &use);
}

/* Those that make the guest misbehave say nothing about speed: one of them ends by a timeout. */
static bool gallery_is_image(const char *name) {
    return name[0] != '.' && strncmp(name, "fault-", strlen("fault-"));
}

/* Leave only images. Returns how many, or a negative errno. */
static int gallery_sort_out(const char *path) {
    DIR *directory = opendir(path);
    struct dirent *entry;
    int n = 0;

    if (!directory)
        return -errno;
    while (n >= 0 && (entry = readdir(directory)))
        if (gallery_is_image(entry->d_name))
            n++;
        else if (entry->d_name[0] != '.' && unlinkat(dirfd(directory), entry->d_name, 0))
            n = -errno;
    closedir(directory);
    return n ? n : -ENOENT;
}

static int gallery_make_images(struct Gallery *gallery, struct GalleryFiles *files) {
    const char *const command[] = {gallery->make_images, files->images, gallery->gifs, NULL};
    int r;

    snprintf(files->directory, sizeof(files->directory), "/tmp/wasmpool-thumbs-XXXXXX");
    if (!mkdtemp(files->directory))
        return -errno;
    snprintf(files->images, sizeof(files->images), "%s/images", files->directory);
    for (unsigned i = 0; i < GALLERY_SIDES_N; i++)
        snprintf(files->out[i], sizeof(files->out[i]), "%s/%s", files->directory, GALLERY_WAYS[i].key);
    snprintf(files->samples, sizeof(files->samples), "%s/samples", files->directory);
    r = gallery_run_command(command);
    if (r)
        return r;
    r = gallery_sort_out(files->images);
    if (r < 0)
        return r;
    gallery->images = (unsigned)r;
    return 0;
}

static int gallery_remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

/* ------------------------------------------------------------------------------------------------ measuring */

static int gallery_take_fault(const struct Gallery *gallery, enum GallerySide side, double *nsp) {
    struct Task task = {
        .work = GALLERY_WAYS[side].fault,
        .warm = GALLERY_FAULT_WARM,
        .ms = GALLERY_FAULT_MS,
        .part = true,
    };
    struct Rate rate;
    int r = runner_measure(gallery->cycle, &task, &rate);

    if (!r)
        *nsp = rate.ns;
    return r;
}

static int gallery_measure(struct Gallery *gallery, const struct GalleryFiles *files, enum GallerySide side) {
    const char *const command[] = {gallery->programs[side], "--quiet", "--workers", GALLERY_STRING(GALLERY_WORKERS),
                                   "--address", gallery->address, "--out", files->out[side], files->images, NULL};
    struct GalleryCell *cell = &gallery->cells[side];
    double images = gallery->images, fault_ns;
    struct Use use;
    int r = gallery_take_fault(gallery, side, &fault_ns);

    if (!r)
        r = runner_use(command, &use);
    if (r)
        return r;
    sample_add(&cell->per_s, images * 1e9 / use.ns);
    sample_add(&cell->cpu_ns, use.cpu_ns / images);
    sample_add(&cell->faults, use.faults / images);
    sample_add(&cell->fault_ns, fault_ns);
    sample_add(&cell->share, use.faults * fault_ns / use.cpu_ns);
    return 0;
}

static void gallery_read_share(void *data, const char *text) {
    double share;

    if (sscanf(text, "%lf", &share) == 1)
        sample_add(data, share);
}

/* That it cannot be done is no failure. */
static int gallery_sample(struct Gallery *gallery, const struct GalleryFiles *files, enum GallerySide side) {
    const char *const command[] = {gallery->fault_share, files->samples, gallery->programs[side], "--quiet",
                                   "--workers", GALLERY_STRING(GALLERY_WORKERS), "--address", gallery->address,
                                   "--out", files->out[side], files->images, NULL};

    return runner_read(command, gallery_read_share, &gallery->cells[side].sampled);
}

static int gallery_compare(const struct GalleryFiles *files) {
    const char *const command[] = {"diff", "-rq", files->out[GALLERY_DAEMON], files->out[GALLERY_STOCK], NULL};
    int r = gallery_run_command(command);

    if (r)
        fprintf(stderr, "bench: thumbnails of the stock runtime are not those of the daemon\n");
    return r;
}

static int gallery_repeat_once(struct Gallery *gallery, const struct GalleryFiles *files, unsigned repetition) {
    struct GalleryCell *cells = gallery->cells;
    int r = 0;

    for (unsigned i = 0; i < GALLERY_SIDES_N && !r; i++)
        r = gallery_measure(gallery, files, repetition % 2 ? GALLERY_SIDES_N - 1 - i : i);
    if (r)
        return r;
    sample_add(&gallery->ratio, cells[GALLERY_DAEMON].per_s.at[repetition] / cells[GALLERY_STOCK].per_s.at[repetition]);
    return repetition ? 0 : gallery_compare(files);
}

int gallery_repeat(struct Gallery *gallery, unsigned repetitions) {
    struct GalleryFiles files = {.directory = ""};
    int r = gallery_make_images(gallery, &files);

    for (unsigned i = 0; i < repetitions && !r; i++)
        r = gallery_repeat_once(gallery, &files, i);
    for (unsigned i = 0; i < GALLERY_SAMPLED * GALLERY_SIDES_N && i < repetitions * GALLERY_SIDES_N && !r; i++)
        r = gallery_sample(gallery, &files, i % GALLERY_SIDES_N);
    if (files.images[0] && nftw(files.directory, gallery_remove_entry, 16, FTW_DEPTH | FTW_PHYS) && !r)
        r = -errno;
    return r;
}
