/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_BENCH_GALLERY_H
#define TESTS_BENCH_GALLERY_H

/* wasmpool-thumbs from its start to its end, over the images of `make demo`, each in a fresh sandbox: through the
 * daemon, and the same program over wasm2c's stock runtime, in turn. */

#include "tests/bench/sample.h"

#define GALLERY_WORKERS 2

enum GallerySide { GALLERY_DAEMON, GALLERY_STOCK, GALLERY_SIDES_N };
extern const struct GalleryWay {
    const char *key, *title;
    const char *fault; /* bench-cycle's work that takes one of its page faults */
} GALLERY_WAYS[GALLERY_SIDES_N];

/* One value for each repetition. */
struct GalleryCell {
    struct Sample per_s;    /* images */
    struct Sample cpu_ns;   /* of all its processes, for an image; the daemon's own is not among them */
    struct Sample faults;   /* the same */
    struct Sample fault_ns; /* of one, just now */
    struct Sample share;    /* of the processors' time: the faults' number times what one of fresh memory costs */
    struct Sample sampled;  /* the same, as perf sees it, in runs of its own; empty where it cannot */
};

struct Gallery {
    const char *programs[GALLERY_SIDES_N]; /* NULL: this is not to be measured */
    const char *make_images, *gifs;       /* thumbs-images, and its second argument */
    const char *cycle, *address;          /* bench-cycle; of the daemon */
    const char *fault_share;              /* the script of that name */
    unsigned images;                      /* of each run */
    struct GalleryCell cells[GALLERY_SIDES_N];
    struct Sample ratio; /* within one repetition: images a second, the daemon's over the stock runtime's */
};

/* So many repetitions. Fails also when the two do not make the same thumbnails. 0 or a negative errno. */
int gallery_repeat(struct Gallery *gallery, unsigned repetitions);

#endif
