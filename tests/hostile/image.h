/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_HOSTILE_IMAGE_H
#define TESTS_HOSTILE_IMAGE_H

/* What the tests of hostile clients and images share. */

#include "tests/support/peer-image.h"
#include "tests/support/rig.h"

#include <stdio.h>

#define BYTES (16 * HASH_PAGE_BYTES)
#define LARGE_BYTES (UINT64_C(64) << 20) /* takes a while to hash */

/* Nothing is charged any more, of whatever there was. */
static inline void expect_no_images(void) {
    cr_assert(host_await(!rig_status().images, RIG_AWAIT_MS), "%lu images are left", rig_status().images);
    expect_eq(rig_status().image_bytes, 0);
}

static inline void set_bytes_max(const char *value) {
    char setting[64];

    snprintf(setting, sizeof(setting), "image_bytes_max=%s", value);
    expect_eq(host_run((const char *[]){"wasmpoolctl", "--socket", rig.daemon.admin, "limit", setting, NULL}, 0, NULL,
                       NULL),
              0);
}

/* Those that nobody uses go, and with them what the daemon has open for them. */
static inline void drop_images(void) {
    set_bytes_max("0");
    expect_no_images();
    set_bytes_max("1G");
}

static inline void peer_refused(struct Peer *peer, uint64_t id, int code, const char *limit) {
    struct Error error;

    peer_expect_error(peer, id, code, &error);
    host_demand(!strcmp(error.limit, limit), "the refusal is '%s', not of %s", error.message, limit);
}

#endif
