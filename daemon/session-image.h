/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_SESSION_IMAGE_H
#define DAEMON_SESSION_IMAGE_H

/* What a tenant says about images. While one is being sealed for it nothing more is read from its connection. */

#include "daemon/session.h"

void session_find_image(struct Session *session, uint64_t id, const Wasmpool__FindImage *asked);
void session_create_image(struct Session *session, uint64_t id, const Wasmpool__CreateImage *asked);
void session_seal_image(struct Session *session, uint64_t id, const Wasmpool__SealImage *asked);
void session_release_image(struct Session *session, const Wasmpool__ReleaseImage *asked);

/* The image is sealed (r is 0, and what the client uses is `use`), or what image_finish says. */
void session_image_sealed(struct Session *session, int r, const struct ImageUse *use, struct Error *error);

#endif
