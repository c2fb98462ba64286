/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_MEMFD_H
#define SHARED_MEMFD_H

/* memfds as both sides need them: born sealed, checked before they are mapped, emptied from the file's side. */

#include <stdbool.h>
#include <stdint.h>

/* Positive outcomes: of the checks, of memfd_new (RLIMIT_FSIZE is too low; the kernel would send SIGXFSZ), and of
 * memfd_freeze (somebody maps it writable, or a device may still write to its pages). */
enum { MEMFD_E_SEALS = 1, MEMFD_E_SIZE = 2, MEMFD_E_FSIZE = 3, MEMFD_E_BUSY = 4 };

/* A new sparse memfd of exactly `bytes` bytes, sealed SHRINK|GROW|SEAL (and against exec where the kernel can),
 * CLOEXEC. `name` shows in /proc/PID/maps as /memfd:NAME. Returns 0, a negative errno (a failed seal is a failed memfd:
 * nothing is left), or MEMFD_E_FSIZE. */
int memfd_new(const char *name, uint64_t bytes, int *fdp);

/* The same, sealed SHRINK|GROW only, to be filled by a peer and then frozen. */
int memfd_new_open(const char *name, uint64_t bytes, int *fdp);

/* Seal it against writes for ever, with WRITE|SEAL. A peer may have added seals before us: only what is there in the
 * end counts. 0, MEMFD_E_BUSY, MEMFD_E_SEALS (a seal of the peer's keeps ours out), or a negative errno. Waits for
 * pages that are pinned, up to 170 ms: not for an event loop. */
int memfd_freeze(int fd);

/* RLIMIT_FSIZE: the bytes that a memfd of this process may have, for messages. */
uint64_t memfd_bytes_max(void);

/* Is a received fd what it is said to be: sealed at least SHRINK|GROW|SEAL, and of exactly `bytes` bytes?
 * Returns 0, MEMFD_E_SEALS, MEMFD_E_SIZE, or a negative errno. */
int memfd_check(int fd, uint64_t bytes);

/* The same of one to be filled (SHRINK|GROW), and of one that nobody can change any more (WRITE too). */
int memfd_check_open(int fd, uint64_t bytes);
int memfd_check_frozen(int fd, uint64_t bytes);

/* Give the pages of a range back to the kernel: it reads as zero from then on, in every mapping. 0 or negative errno.
 */
int memfd_punch(int fd, uint64_t offset, uint64_t bytes);

/* Does the range have pages? A range without any reads as zero. 1, 0 or a negative errno. */
int memfd_has_pages(int fd, uint64_t offset, uint64_t bytes);

/* Bytes of pages in a range, those in swap included: by cachestat(2), or on kernels without it by walking at most
 * `extents_max` extents, in which case *wholep tells whether the walk was complete. 0 or negative errno. */
int memfd_resident(int fd, uint64_t offset, uint64_t bytes, unsigned extents_max, uint64_t *residentp, bool *wholep);

#endif
