/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Clients that want something of images that is not theirs to want. */

#include "tests/hostile/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/uio.h>

RIG_SUITE(image);

static const uint8_t NO_HASH[HASH_BYTES];

/* ------------------------------------------------------------------------------------------------ order */

static void find_before_hello(struct Peer *peer) {
    peer_connect(peer, rig.daemon.socket);
    peer_ask_find(peer, NO_HASH, BYTES);
}

static void find_without_an_id(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    peer->next_id = UINT64_MAX;
    peer_ask_find(peer, NO_HASH, BYTES);
}

static void create_without_an_id(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    peer->next_id = UINT64_MAX;
    peer_ask_create(peer, BYTES);
}

static void seal_without_an_id(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    peer->next_id = UINT64_MAX;
    peer_ask_seal(peer, 1, NO_HASH, HASH_BYTES);
}

/* With the answer to CreateImage read, but not acknowledged. */
static void open_unacknowledged(struct Peer *peer) {
    struct WirePacket packet;

    peer_open(peer, rig.daemon.socket);
    peer_ask_create(peer, BYTES);
    host_demand(!peer_receive(peer, &packet) && packet.n_fds == 1, "no image to fill");
    wire_packet_deinit(&packet);
}

static void find_before_the_last_is_acknowledged(struct Peer *peer) {
    open_unacknowledged(peer);
    peer_ask_find(peer, NO_HASH, BYTES);
}

static void create_before_the_last_is_acknowledged(struct Peer *peer) {
    open_unacknowledged(peer);
    peer_ask_create(peer, BYTES);
}

static void seal_before_the_last_is_acknowledged(struct Peer *peer) {
    open_unacknowledged(peer);
    peer_ask_seal(peer, 1, NO_HASH, HASH_BYTES);
}

static void slab_before_the_image_is_acknowledged(struct Peer *peer) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);

    open_unacknowledged(peer);
    peer_ask_slab(peer, &shape, 1);
}

static void ack_of_no_image(struct Peer *peer) {
    struct PeerImage image;

    peer_open(peer, rig.daemon.socket);
    host_demand(!peer_find_image(peer, "nothing", BYTES, &image), "it is there");
    peer_ack(peer);
}

static void release_of_an_unknown_image(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    peer_release_image(peer, 1);
}

static void release_of_an_image_twice(struct Peer *peer) {
    struct PeerImage image;

    peer_open(peer, rig.daemon.socket);
    peer_create_image(peer, BYTES, &image);
    peer_release_image(peer, image.id);
    peer_release_image(peer, image.id);
}

static const struct Violation violations[] = {
    {find_before_hello, "did not begin with hello"},
    {find_without_an_id, "a request without an id"},
    {create_without_an_id, "a request without an id"},
    {seal_without_an_id, "a request without an id"},
    {find_before_the_last_is_acknowledged, "before it acknowledged"},
    {create_before_the_last_is_acknowledged, "before it acknowledged"},
    {seal_before_the_last_is_acknowledged, "before it acknowledged"},
    {slab_before_the_image_is_acknowledged, "before it acknowledged"},
    {ack_of_no_image, "acknowledged a message without an fd"},
    {release_of_an_unknown_image, "released an image that it does not have"},
    {release_of_an_image_twice, "released an image that it does not have"},
};

Test(image, in_the_wrong_order_ends_the_connection_with_one_line) {
    rig_open(NULL);
    rig_expect_cut_off(violations, sizeof(violations) / sizeof(violations[0]));
    expect_no_images();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ refused */

static void ask_for_the_impossible(void *unused) {
    struct PeerImage image, other;
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_refused(&peer, peer_ask_create(&peer, 0), ERROR_INVALID, "");
    peer_refused(&peer, peer_ask_create(&peer, 4095), ERROR_INVALID, "");
    peer_refused(&peer, peer_ask_create(&peer, UINT64_MAX), ERROR_INVALID, "");
    peer_refused(&peer, peer_ask_create(&peer, UINT64_MAX - 4095), ERROR_INVALID, "max_memory_size");
    peer_refused(&peer, peer_ask_create(&peer, (UINT64_C(1) << 32) + 4096), ERROR_INVALID, "max_memory_size");
    peer_refused(&peer, peer_ask_create(&peer, (UINT64_C(1) << 30) + 4096), ERROR_LIMIT, "image_bytes_max");
    host_demand(!peer_find_image(&peer, "x", UINT64_MAX - 4095, &image), "found");
    host_demand(!peer_find_image(&peer, "x", 0, &image), "found");
    peer_refused(&peer, peer_ask_seal(&peer, 0, NO_HASH, HASH_BYTES), ERROR_PROTOCOL, "");
    peer_refused(&peer, peer_ask_seal(&peer, 1, NO_HASH, HASH_BYTES), ERROR_PROTOCOL, "");
    peer_create_image(&peer, BYTES, &image);
    peer_refused(&peer, peer_ask_create(&peer, BYTES), ERROR_LIMIT, "images_filling");
    peer_refused(&peer, peer_ask_seal(&peer, image.id + 1, NO_HASH, HASH_BYTES), ERROR_PROTOCOL, "");
    peer_refused(&peer, peer_ask_seal(&peer, image.id, NO_HASH, HASH_BYTES - 1), ERROR_INVALID, "");
    peer_refused(&peer, peer_ask_seal(&peer, image.id, NO_HASH, 0), ERROR_INVALID, "");
    peer_close_image(&image);
    peer_release_image(&peer, image.id);
    peer_refused(&peer, peer_ask_seal(&peer, image.id, NO_HASH, HASH_BYTES), ERROR_PROTOCOL, "");
    peer_make_image(&peer, "fine", BYTES, &other);
    peer_refused(&peer, peer_ask_seal(&peer, other.id, NO_HASH, HASH_BYTES), ERROR_PROTOCOL, ""); /* twice */
    peer_close_image(&other);
    peer_goodbye(&peer);
}

Test(image, that_cannot_be_is_refused_to_a_client_that_goes_on) {
    rig_open(NULL);
    expect_eq(host_join(host_fork(ask_for_the_impossible, NULL)), 0);
    expect_eq(rig_status().cut_off, 0);
    expect_eq(rig_status().images, 1);
    drop_images();
    rig_expect_sound();
    rig_close();
}

/* More is asked before the answer: it is answered after it, in order. */
static void ask_while_it_is_sealed(void *unused) {
    struct PeerImage image;
    struct Peer peer;
    uint8_t hash[HASH_BYTES];
    uint64_t seal, want;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_create_image(&peer, LARGE_BYTES, &image);
    for (uint64_t at = 0; at < LARGE_BYTES; at += LARGE_BYTES / 1024)
        host_demand(pwrite(image.fd, "x", 1, (off_t)at) == 1, "pwrite");
    host_demand(!hash_file(image.fd, LARGE_BYTES, hash), "hash");
    peer_close_image(&image);
    seal = peer_ask_seal(&peer, image.id, hash, HASH_BYTES);
    want = peer_ask_want(&peer, 4711);
    host_demand(peer_take_image(&peer, seal, &image), "it is not there");
    peer_expect_error(&peer, want, ERROR_PROTOCOL, NULL);
    peer_close_image(&image);
    peer_goodbye(&peer);
}

Test(image, that_is_being_sealed_is_answered_before_what_was_asked_later) {
    rig_open(NULL);
    expect_eq(host_join(host_fork(ask_while_it_is_sealed, NULL)), 0);
    drop_images();
    rig_expect_sound();
    rig_close();
}

static void say_the_wrong_hash(void *unused) {
    static const size_t written[] = {0, 11, 13}; /* nothing, too little, and too much of it */
    struct PeerImage image;
    struct Peer peer;
    uint8_t hash[HASH_BYTES];

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    for (int i = 0; i < 3; i++) {
        peer_hash("what it says", BYTES, hash);
        peer_create_image(&peer, BYTES, &image);
        host_demand(pwrite(image.fd, "what it says!", written[i], 0) == (ssize_t)written[i], "pwrite");
        peer_close_image(&image);
        peer_refused(&peer, peer_ask_seal(&peer, image.id, hash, HASH_BYTES), ERROR_INVALID, "");
    }
    /* One that is shorter cannot be made of it, and a hash is of a length. */
    peer_create_image(&peer, BYTES, &image);
    host_demand(ftruncate(image.fd, BYTES / 2) && errno == EPERM, "the file can be cut short");
    host_demand(pwrite(image.fd, "what it says", 12, 0) == 12, "pwrite");
    host_demand(pwrite(image.fd, "x", 1, BYTES) < 0 && errno == EPERM, "the file can grow");
    peer_hash("what it says", BYTES / 2, hash);
    peer_close_image(&image);
    peer_refused(&peer, peer_ask_seal(&peer, image.id, hash, HASH_BYTES), ERROR_INVALID, "");
    host_demand(!peer_find_image(&peer, "what it says", BYTES, &image), "it is there");
    host_demand(!peer_find_image(&peer, "what it says", BYTES / 2, &image), "it is there");
    peer_goodbye(&peer);
}

Test(image, of_another_hash_is_refused_and_goes) {
    rig_open(NULL);
    rig_attack(say_the_wrong_hash, NULL);
    expect_no_images();
    expect_eq(rig_status().cut_off, 0);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ writers */

static void keep_a_writable_mapping(void *unused) {
    struct PeerImage image;
    struct Peer peer;
    uint8_t hash[HASH_BYTES];
    char *bytes;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_hash("mapped", BYTES, hash);
    peer_create_image(&peer, BYTES, &image);
    bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, image.fd, 0);
    host_demand(bytes != MAP_FAILED, "mmap: %s", strerror(errno));
    strcpy(bytes, "mapped");
    peer_refused(&peer, peer_ask_seal(&peer, image.id, hash, HASH_BYTES), ERROR_BUSY, "");
    host_demand(!peer_find_image(&peer, "mapped", BYTES, &image), "it is there");
    munmap(bytes, BYTES);
    peer_goodbye(&peer);
}

Test(image, that_is_still_mapped_writable_is_busy) {
    rig_open(NULL);
    rig_attack(keep_a_writable_mapping, NULL);
    expect_no_images();
    expect_eq(rig_status().cut_off, 0);
    rig_close();
}

/* A pipe that was given the page itself has it as a device would that still writes to it. The kernel waits for such a
 * page, 170 ms or so: others are served meanwhile. */
static void pin_a_page(void *argument) {
    _Atomic bool *asked = argument;
    struct PeerImage image;
    struct Peer peer;
    uint8_t hash[HASH_BYTES];
    struct iovec vector = {.iov_len = HASH_PAGE_BYTES};
    int ends[2];
    uint64_t id;

    peer_open(&peer, rig.daemon.socket);
    peer_hash("pinned", BYTES, hash);
    peer_create_image(&peer, BYTES, &image);
    vector.iov_base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, image.fd, 0);
    host_demand(vector.iov_base != MAP_FAILED && !pipe(ends), "%s", strerror(errno));
    strcpy(vector.iov_base, "pinned");
    host_demand(vmsplice(ends[1], &vector, 1, 0) > 0, "vmsplice: %s", strerror(errno));
    munmap(vector.iov_base, BYTES);
    id = peer_ask_seal(&peer, image.id, hash, HASH_BYTES);
    *asked = true;
    peer_refused(&peer, id, ERROR_BUSY, "");
    peer_goodbye(&peer);
}

Test(image, with_a_pinned_page_is_busy_and_holds_nobody_up) {
    _Atomic bool *asked = host_share(sizeof(*asked));
    int64_t before_ms, longest_ms = 0;
    pid_t pid;

    rig_open(NULL);
    pid = host_fork(pin_a_page, asked);
    expect_eq(host_await(*asked, RIG_AWAIT_MS), true);
    for (int i = 0; i < 20; i++) {
        before_ms = host_now_ms();
        peer_expect_error(&rig.witness, peer_ask_want(&rig.witness, 4711), ERROR_PROTOCOL, NULL);
        if (host_now_ms() - before_ms > longest_ms)
            longest_ms = host_now_ms() - before_ms;
    }
    cr_assert(longest_ms < 100, "the witness had to wait for %ld ms", (long)longest_ms);
    expect_eq(host_join(pid), 0);
    expect_no_images();
    rig_expect_sound();
    host_unshare(asked, sizeof(*asked));
    rig_close();
}

static void expect_immutable(int fd) {
    char path[40];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR | O_CLOEXEC);
    host_demand(again >= 0, "open: %s", strerror(errno));
    for (int i = 0; i < 2; i++) {
        int which = i ? again : fd;

        host_demand(pwrite(which, "x", 1, 0) < 0 && errno == EPERM, "it can be written");
        host_demand(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, which, 0) == MAP_FAILED, "it can be mapped");
        host_demand(fallocate(which, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BYTES) && errno == EPERM,
                    "it can be punched");
        host_demand(ftruncate(which, 0) && errno == EPERM, "it can be cut short");
        host_demand(fcntl(which, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) && errno == EPERM, "it can be sealed");
    }
    close(again);
}

/* Neither who made it nor who found it can change it, not even with the descriptor that it was filled by. */
static void try_to_change_a_sealed_one(void *unused) {
    struct PeerImage image, filled, found;
    struct Peer peer, other;
    uint8_t hash[HASH_BYTES];

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_hash("mine", BYTES, hash);
    peer_create_image(&peer, BYTES, &filled);
    host_demand(pwrite(filled.fd, "mine", 4, 0) == 4, "pwrite");
    host_demand(peer_take_image(&peer, peer_ask_seal(&peer, filled.id, hash, HASH_BYTES), &image), "not there");
    expect_immutable(filled.fd);
    expect_immutable(image.fd);
    peer_open(&other, rig.daemon.socket);
    host_demand(peer_find_image(&other, "mine", BYTES, &found), "not found");
    expect_immutable(found.fd);
    peer_close(&other);
    peer_close(&peer);
}

Test(image, that_is_sealed_is_changed_by_nobody) {
    rig_open(NULL);
    expect_eq(host_join(host_fork(try_to_change_a_sealed_one, NULL)), 0);
    drop_images();
    rig_expect_sound();
    rig_close();
}

static void seal_it_oneself(void *unused) {
    static const int seals[] = {F_SEAL_SEAL, F_SEAL_SEAL | F_SEAL_FUTURE_WRITE};
    struct PeerImage image;
    struct Peer peer;
    uint8_t hash[HASH_BYTES];

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    for (int i = 0; i < 2; i++) {
        peer_hash("sealed", BYTES, hash);
        peer_create_image(&peer, BYTES, &image);
        host_demand(pwrite(image.fd, "sealed", 6, 0) == 6 && !fcntl(image.fd, F_ADD_SEALS, seals[i]), "%s",
                    strerror(errno));
        peer_close_image(&image);
        peer_refused(&peer, peer_ask_seal(&peer, image.id, hash, HASH_BYTES), ERROR_INVALID, "");
    }
    peer_goodbye(&peer);
}

Test(image, that_its_client_keeps_open_to_writes_is_refused) {
    rig_open(NULL);
    rig_attack(seal_it_oneself, NULL);
    expect_no_images();
    rig_close();
}
