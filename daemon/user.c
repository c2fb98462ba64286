/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/user.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int user_ref(struct User **userp, struct Pool *pool, uid_t uid) {
    struct User *user = pool->users;

    while (user && user->uid != uid)
        user = user->next;
    if (!user) {
        user = calloc(1, sizeof(*user));
        if (!user)
            return -ENOMEM;
        user->pool = pool;
        user->uid = uid;
        user->quota = *quotas_find(&pool->quotas, uid);
        user->next = pool->users;
        pool->users = user;
        pool->n_users++;
    }
    user->n_clients++;
    *userp = user;
    return 0;
}

void user_settle(struct User *user) {
    struct User **link;

    if (user->n_clients || user->n_images)
        return;
    for (int kind = 0; kind < KIND_N; kind++)
        assert(!user->granted[kind] && !user->slabs[kind]);
    assert(!user->resident_bytes && !user->n_fds && !user->clients);
    for (link = &user->pool->users; *link != user; link = &(*link)->next)
        ;
    *link = user->next;
    user->pool->n_users--;
    free(user);
}

struct User *user_unref(struct User *user) {
    if (!user)
        return NULL;
    user->n_clients--;
    user_settle(user);
    return NULL;
}
