/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_USER_H
#define DAEMON_USER_H

/* A uid and what its clients have together. It lives as long as one of them does, or an image. */

#include "daemon/client.h"

#include <sys/types.h>

struct User {
    struct Pool *pool;
    struct User *next;
    uid_t uid;
    uint64_t n_clients;     /* the references that are counted here */
    uint64_t n_images;      /* and these, in whatever state, */
    uint64_t image_bytes;   /* and their files' bytes */
    struct Image *images;   /* list: those that can be found */
    bool is_sealing;        /* one of them */
    struct Client *clients; /* list, in the order of their ids */
    struct Quota quota;
    uint64_t granted[KIND_N];
    uint64_t due[KIND_N];   /* its fair share, when shares were computed last */
    struct Futile futile;
    uint64_t resident_bytes;
    uint64_t n_fds;
    uint64_t slabs[KIND_N];
};

/* The user of that uid, made when it is new, with one more reference. 0 or -ENOMEM. */
int user_ref(struct User **userp, struct Pool *pool, uid_t uid);
/* Drop a reference; returns NULL. NULL is fine. */
struct User *user_unref(struct User *user);
/* An image has gone: so does a user of whom nothing else is left. */
void user_settle(struct User *user);

#endif
