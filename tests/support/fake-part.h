/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_FAKE_PART_H
#define TESTS_SUPPORT_FAKE_PART_H

/* What the parts of the fake daemon have in common. */

#include "shared/wire.h"
#include "tests/support/fake.h"

#define FAKE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

_Noreturn void fake_give_up(const char *what);
void fake_count(struct FakeDaemon *fake, uint64_t *counter);
void fake_send_error(int socket, uint64_t id, const struct Error *error);

/* Send an answer with its fd (-1: none), as wrong as `mischief` says. What concerns a body's fields was done by the
 * caller. */
void fake_answer(struct FakeDaemon *fake, struct FakeConnection *connection, int mischief, WireMessage *message,
                 int fd);

/* A memfd with these seals as an answer needs it, or not quite. */
int fake_make_fd(const char *name, uint64_t bytes, int seals, int mischief);

void fake_on_image_packet(struct FakeDaemon *fake, struct FakeConnection *connection, const WireMessage *message);
void fake_forget_images(struct FakeDaemon *fake);

#endif
