/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_SLOT_H
#define CLIENT_SLOT_H

/* What a client says of a slot that it has taken, for those who inspect. */

#include "shared/lease.h"

/* It was taken now, with so many bytes in use; `label` is LEASE_LABEL_BYTES long and padded. */
void slot_announce(struct LeaseEntry *entry, uint64_t bytes, const char *label);
/* It has so many bytes in use now. */
void slot_announce_bytes(struct LeaseEntry *entry, uint64_t bytes);

#endif
