/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_JOB_H
#define THUMBS_JOB_H

/* What the supervisor and its children say to each other: fixed structs, one to a packet of a SOCK_SEQPACKET pair. A
 * child has one job at a time. A worker answers REPLY_STARTED once it has its sandbox, then one final reply; or
 * REPLY_REFUSED alone. An oracle answers one final reply. A child ends when the supervisor closes its socket. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/wasmpool.h"

/* A file larger than this is no image that anyone wants a thumbnail of. */
#define JOB_FILE_BYTES_MAX (256U << 20)

struct Job {
    uint32_t id; /* the image's index */
    uint32_t box;
    uint32_t pixels_max;
    bool want_rejected;       /* oracle: the sandbox rejected the image, so there is no thumbnail */
    char image[PATH_MAX];
    char partial[PATH_MAX];   /* worker: written first, */
    char thumbnail[PATH_MAX]; /* and then renamed to this; oracle: compared with this */
};

enum ReplyKind {
    REPLY_STARTED,    /* worker: it has a sandbox; the image's time runs from here */
    REPLY_DONE,       /* worker: the thumbnail is there */
    REPLY_REJECTED,   /* worker: by the decoder */
    REPLY_TRAPPED,    /* worker */
    REPLY_UNREADABLE, /* worker: the file cannot be read, or the thumbnail not be written */
    REPLY_REFUSED,    /* worker: the pool did not give a sandbox: `error` */
    REPLY_SAME,       /* oracle: the native build agrees */
    REPLY_DIFFER,     /* oracle: it does not */
    REPLY_KINDS,
};

struct Reply {
    uint32_t id;
    uint32_t kind;     /* enum ReplyKind, as received: to be checked */
    uint32_t pages;    /* wasm pages at the end */
    uint64_t cycle_ns; /* prefetch + instantiate + free + release */
    char why[256];
    struct wasmpool_error error;
};

/* The child's only sockets and files, at fixed numbers: everything else that it inherited is closed. */
enum {
    JOB_SOCKET = 3,
    JOB_AUDIT = 4, /* --audit */
};

struct WorkerSettings {
    const char *address; /* of the pool; may be NULL */
    bool audit;
};

/* The lives of the two kinds of children, from after the fork; the exit status. */
int worker_run(const struct WorkerSettings *settings);
int oracle_run(void);

/* Reads a whole regular file of at most JOB_FILE_BYTES_MAX. The caller frees it. 0 or a negative errno. */
int job_read_file(const char *path, uint8_t **bytesp, size_t *sizep);

/* The next job: 1, or 0 when the supervisor has closed the socket or is gone. */
int job_receive(struct Job *job);

/* 0, or a negative errno: nobody is there any more. */
int job_reply(const struct Reply *reply);

#endif
