/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_IMAGES_H
#define THUMBS_IMAGES_H

/* The images of one run: found under the paths of the command line, each with the name that its thumbnail gets. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum Outcome {
    OUTCOME_PENDING,
    OUTCOME_DONE,
    OUTCOME_REJECTED,   /* by the decoder */
    OUTCOME_TRAPPED,    /* the guest did what WebAssembly forbids */
    OUTCOME_TIMED_OUT,  /* the worker was killed for it */
    OUTCOME_KILLED,     /* workers died of it, and it was given up */
    OUTCOME_UNREADABLE, /* the file cannot be read, or the thumbnail not be written */
    OUTCOMES,
};

struct Image {
    char *path;
    char *name; /* of the thumbnail, in the output directory; no two are the same */
    enum Outcome outcome;
    uint8_t deaths;        /* of workers that had it */
    uint8_t oracle_deaths; /* of oracles */
};

struct Images {
    struct Image *at;
    uint32_t count, capacity;
    void *names; /* tsearch tree of the names given */
};

/* A word for it, for people and for JSON. */
const char *outcome_name(enum Outcome outcome);

/* Adds `path`, or, if it is a directory, the png, jpg, jpeg, gif and bmp files beneath it, in the order of their
 * names, but not what lies in the directory `out`. 0 or a negative errno. */
int images_add(struct Images *images, const char *path, const struct stat *out);

void images_deinit(struct Images *images);

/* A ring of image indices; each image is in it at most once, so that it never overflows. */
struct Queue {
    uint32_t *at;
    uint32_t capacity, head, count;
};

int queue_init(struct Queue *queue, uint32_t capacity);
void queue_deinit(struct Queue *queue);
void queue_push(struct Queue *queue, uint32_t image);
uint32_t queue_pop(struct Queue *queue);

#endif
