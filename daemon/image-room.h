/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_IMAGE_ROOM_H
#define DAEMON_IMAGE_ROOM_H

/* Room for images: what bounds how many there are and how large, of the pool and of a user, and which go for another.
 */

#include "daemon/image.h"

/* How long one may be filled before it makes room for others: ten times what a client itself allows for. */
#define IMAGE_FILL_MS 10000
#define IMAGE_FILL_BYTES_PER_MS (UINT64_C(10) << 10)
/* Of the pool's images_max and image_bytes_max one user has so much by default: some is left for the second, whatever
 * the first does. */
#define IMAGE_USER_PART 2
#define IMAGES_CLOSING_MAX 16 /* dropped ones that are still open: their pages go back off the loop */

/* What a user may have of a bound of the pool's. */
static inline uint64_t image_user_bound(uint64_t quota, uint64_t max) {
    return quota ? quota : max - max / IMAGE_USER_PART;
}

/* So that one of `bytes` fits into every bound: evict the user's, and then others', if that is enough; else nothing.
 * 0 or ERROR_LIMIT (image_bytes_max, images_max, either of the user, fds_max of the user). */
int images_make_room(struct User *user, uint64_t bytes, struct Error *error);

/* Drop one image: one that has been FILLING for too long, or else the one without users that was used least recently; of
 * one user's, unless that is NULL. False: none. */
bool images_evict(struct Pool *pool, const struct User *user);

/* After the bounds were lowered: drop what is beyond them and has no users. */
void images_fit(struct Pool *pool);

#endif
