/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_EVENTS_H
#define THUMBS_EVENTS_H

/* What a child's reply, death or silence means for its image: every image comes to its outcome, or back to the
 * queue, here. */

#include "client/examples/thumbs/supervisor.h"

int64_t supervisor_now_ms(void);

/* The file that a worker writes before it becomes a thumbnail: known by its pid, so that it can be removed after a
 * kill. `path` has room for PATH_MAX bytes. */
void events_partial_path(const struct Supervisor *supervisor, const struct Child *child, char *path);

/* Kills and waits for the child, and removes what it left. */
void events_reap(struct Supervisor *supervisor, struct Child *child);

/* Its socket came to its end, or it sent what it must not. */
void events_on_death(struct Supervisor *supervisor, struct Child *child);

/* It took too long. */
void events_on_deadline(struct Supervisor *supervisor, struct Child *child);

/* May a child in this state send such a reply? It decodes untrusted bytes, and one day it may not be itself. */
bool events_reply_is_expected(const struct Child *child, enum ReplyKind kind);

void events_on_reply(struct Supervisor *supervisor, struct Child *child, const struct Reply *reply);

/* Has no worker got a sandbox for too long? Someone else's slots may come free, and a daemon may come back, but the
 * wait must end. */
bool events_patience_is_over(const struct Supervisor *supervisor, int64_t now);

#endif
