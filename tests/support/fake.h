/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_FAKE_H
#define TESTS_SUPPORT_FAKE_H

/* A daemon that can be told to misbehave: a thread that speaks the tenants' half of the protocol on a socket in a
 * directory of its own. Where it is not told otherwise it is honest, grants what is asked for up to its limits, and
 * never takes back. */

#include "shared/error.h"
#include "shared/hash.h"
#include "shared/lease.h"
#include "shared/limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

/* What can be wrong with one answer. */
enum FakeMischief {
    FAKE_HONEST,
    FAKE_WITHOUT_SEALS,   /* the memfd is not sealed at all */
    FAKE_WITHOUT_SHRINK,  /* F_SEAL_SHRINK is missing */
    FAKE_WITHOUT_SEAL,    /* F_SEAL_SEAL is missing */
    FAKE_NOT_A_MEMFD,     /* the fd is a pipe's */
    FAKE_TOO_SMALL,       /* the memfd, by a page */
    FAKE_TOO_LARGE,
    FAKE_WITHOUT_FD,
    FAKE_TWO_FDS,
    FAKE_MANY_FDS,        /* more than a control buffer holds */
    FAKE_FD_UNASKED,      /* one with an answer that has none */
    FAKE_OTHER_MAJOR,
    FAKE_OTHER_MAGIC,     /* of the lease table */
    FAKE_OTHER_TABLE,     /* version of the lease table */
    FAKE_NO_ENTRIES,
    FAKE_TOO_MANY_ENTRIES,
    FAKE_WITHOUT_LIMITS,
    FAKE_OTHER_BYTES,     /* says another file size than was agreed */
    FAKE_OTHER_TARGET,    /* a target word that the header does not have */
    FAKE_OTHER_ENTRY,     /* entries beyond the table */
    FAKE_OTHER_BODY,      /* answers with something else */
    FAKE_GRANTS_NOTHING,  /* says Granted, and nothing is */
    FAKE_GARBAGE,         /* bytes that are no message */
    FAKE_OVERSIZED,
    FAKE_UNKNOWN_ERROR,   /* an Error with a code from the future */
    FAKE_REFUSE,          /* answers with fake->error */
    FAKE_SILENT,          /* says nothing, and remembers the answer */
    FAKE_HANG_UP,         /* closes the connection */
    FAKE_WITHOUT_WRITE,   /* F_SEAL_WRITE is missing, of an image */
    FAKE_UNWRITABLE,      /* an image to be filled has F_SEAL_WRITE already */
    FAKE_NONE_WITH_FD,    /* says that there is no image, and sends an fd */
    FAKE_OLDER,           /* knows nothing of images */
    FAKE_MISCHIEF_N,
};

#define FAKE_CONNECTIONS_MAX 8
#define FAKE_SLABS_MAX 64
#define FAKE_IMAGES_MAX 64

struct FakeSlab {
    uint32_t first_entry, count, granted;
    bool waits; /* as its target said when it was wanted last */
    enum Kind kind;
};

/* An image, of whatever connection: ids are one more than their index. */
struct FakeImage {
    int fd; /* -1: not any more */
    uint64_t bytes;
    uint8_t hash[HASH_BYTES];
    bool sealed;
};

struct FakeConnection {
    int socket; /* -1: none */
    int table;  /* the lease table's memfd */
    uint32_t next_entry, n_slabs;
    struct FakeSlab slabs[FAKE_SLABS_MAX]; /* by target; the slab's id is one more */
};

/* What it has seen since it was opened, all connections together. */
struct FakeSeen {
    uint64_t hellos, open_slabs, wants, hints, waits, close_slabs, kicks, acks, goodbyes, hang_ups;
    uint64_t finds, creates, seals, releases;
    uint32_t last_closed; /* slab */
    uint32_t last_target; /* as it was when the last Want came */
};

struct FakeDaemon {
    /* Set before fake_daemon_open, and kept over fake_daemon_die. */
    struct Limits limits;
    /* May be set at any time. */
    _Atomic int at_connect, at_hello, at_open_slab, at_want, at_find, at_create, at_seal; /* enum FakeMischief */
    struct Error error;  /* for FAKE_REFUSE */
    /* Read only. */
    char directory[64], address[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
    struct FakeSeen seen; /* under lock: use fake_daemon_see and fake_daemon_wait */
    /* Its own. */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int listener, stop;
    uint64_t granted[KIND_N];
    struct FakeConnection connections[FAKE_CONNECTIONS_MAX];
    struct FakeImage images[FAKE_IMAGES_MAX];
    uint32_t n_images;
    struct FakeKept *kept;
};

/* Make its directory, listen and start. fake->limits are the defaults if total_memories is 0. */
void fake_daemon_open(struct FakeDaemon *fake);
/* End: all connections, the listener and the thread, as if it were killed; the socket stays there, stale. */
void fake_daemon_die(struct FakeDaemon *fake);
/* Another one at the same address, which knows nothing of the one before. */
void fake_daemon_return(struct FakeDaemon *fake);
/* End for good, and remove the directory. */
void fake_daemon_close(struct FakeDaemon *fake);

/* Send the last answer that FAKE_SILENT kept back. False when there is none. */
bool fake_daemon_send_late(struct FakeDaemon *fake);

/* Raise the total of memories by `n`, and grant that many more to the slabs that wait, with a wake-up. */
void fake_daemon_yield(struct FakeDaemon *fake, uint64_t n);

/* A copy of what it has seen. */
struct FakeSeen fake_daemon_see(struct FakeDaemon *fake);

/* Wait until the counter at `offset` of struct FakeSeen is at least `least`. False if that does not happen in 10 s. */
bool fake_daemon_wait(struct FakeDaemon *fake, size_t offset, uint64_t least);
#define FAKE_WAIT(FAKE, COUNTER, LEAST) fake_daemon_wait(FAKE, offsetof(struct FakeSeen, COUNTER), LEAST)

#endif
