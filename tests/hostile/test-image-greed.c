/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Clients that die over an image, that want too many, or the same one at the same time. */

#include "tests/hostile/image.h"

#include <sys/mman.h>
#include <sys/socket.h>

RIG_SUITE(image);

/* ------------------------------------------------------------------------------------------------ death */

enum Step { STEP_ASKED, STEP_UNREAD, STEP_UNACKED, STEP_FILLING, STEP_MAPPED, STEP_SEALING, STEP_SEALED_UNREAD, STEP_N };

static void ask_and_fill(struct Peer *peer, uint64_t bytes, struct PeerImage *image) {
    char *at;

    peer_create_image(peer, bytes, image);
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, image->fd, 0);
    host_demand(at != MAP_FAILED, "mmap");
    memset(at, 1, bytes / 2);
    munmap(at, bytes);
}

static void fill_late(struct Peer *peer, enum Step step) {
    struct PeerImage image;
    uint8_t hash[HASH_BYTES];

    ask_and_fill(peer, step == STEP_SEALING ? LARGE_BYTES : BYTES, &image);
    if (step == STEP_MAPPED)
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, image.fd, 0);
    if (step < STEP_SEALING)
        return;
    host_demand(!hash_file(image.fd, image.bytes, hash), "hash");
    peer_ask_seal(peer, image.id, hash, HASH_BYTES);
    if (step == STEP_SEALED_UNREAD)
        host_await(false, 200);
}

static void die_while_filling(void *argument) {
    enum Step step = *(const enum Step *)argument;
    struct WirePacket packet;
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    if (step <= STEP_UNACKED)
        peer_ask_create(&peer, BYTES);
    else
        fill_late(&peer, step);
    if (step == STEP_UNREAD)
        host_await(false, 50);
    if (step == STEP_UNACKED)
        host_demand(!peer_receive(&peer, &packet), "no answer");
    raise(SIGKILL);
}

Test(image, of_a_client_that_dies_goes_at_each_step) {
    rig_open(NULL);
    for (enum Step step = 0; step < STEP_N; step++) {
        expect_eq(host_join(host_fork(die_while_filling, &step)), 128 + SIGKILL);
        if (step == STEP_SEALED_UNREAD || step == STEP_SEALING) /* it was there for others, or may be */
            drop_images();
        expect_no_images();
        rig_expect_sound();
    }
    rig_close();
}

static void close_while_filling(void *argument) {
    enum Step step = *(const enum Step *)argument;
    struct PeerImage image;
    uint8_t hash[HASH_BYTES];
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    ask_and_fill(&peer, step == STEP_SEALING ? LARGE_BYTES : BYTES, &image);
    if (step == STEP_SEALING) {
        host_demand(!hash_file(image.fd, image.bytes, hash), "hash");
        peer_ask_seal(&peer, image.id, hash, HASH_BYTES);
    }
    peer_goodbye(&peer);
}

Test(image, of_a_client_that_says_goodbye_goes) {
    rig_open(NULL);
    for (enum Step step = STEP_FILLING; step <= STEP_SEALING; step += STEP_SEALING - STEP_FILLING) {
        expect_eq(host_join(host_fork(close_while_filling, &step)), 0);
        if (step == STEP_SEALING) {
            host_await(rig_status().connections == 1, RIG_AWAIT_MS);
            drop_images();
        }
        expect_no_images();
        rig_expect_sound();
    }
    rig_close();
}

/* The daemon ends while it hashes: it does not hang, and nothing is touched after it was freed. */
static void seal_and_wait(void *argument) {
    struct PeerImage image;
    uint8_t hash[HASH_BYTES];
    struct WirePacket packet;
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    ask_and_fill(&peer, LARGE_BYTES, &image);
    host_demand(!hash_file(image.fd, image.bytes, hash), "hash");
    peer_ask_seal(&peer, image.id, hash, HASH_BYTES);
    *(_Atomic bool *)argument = true;
    if (!peer_receive(&peer, &packet))
        wire_packet_deinit(&packet);
    peer_close(&peer);
}

Test(image, that_is_being_sealed_does_not_keep_the_daemon) {
    _Atomic bool *asked = host_share(sizeof(*asked));
    pid_t pid;

    rig_open(NULL);
    pid = host_fork(seal_and_wait, asked);
    expect_eq(host_await(*asked, RIG_AWAIT_MS), true);
    rig_close();
    expect_eq(host_join(pid), 0);
    host_unshare(asked, sizeof(*asked));
}

/* ------------------------------------------------------------------------------------------------ greed */

/* Never sealed: one for each connection, and no more. */
static void hoard(void *argument) {
    _Atomic unsigned *held = argument;
    struct PeerImage image;
    struct Peer peers[20];
    struct Error error;

    for (int i = 0; i < 20; i++) {
        peer_open(&peers[i], rig.daemon.socket);
        if (i < 8) {
            peer_create_image(&peers[i], BYTES, &image);
            ++*held;
        } else {
            peer_expect_error(&peers[i], peer_ask_create(&peers[i], BYTES), ERROR_LIMIT, &error);
            host_demand(!strcmp(error.limit, "images_max of the user") &&
                            !strncmp(error.message, "connection ", strlen("connection ")),
                        "the refusal is '%s'", error.message);
        }
    }
    for (;;)
        pause();
}

Test(image, that_is_never_sealed_is_charged_to_its_user_and_bounded) {
    static const char *const settings[] = {"user.images_max=8", NULL};
    _Atomic unsigned *held = host_share(sizeof(*held));
    pid_t pid;

    rig_open(settings);
    pid = host_fork(hoard, held);
    expect_eq(host_await(*held == 8 && rig_status().connections == 21, RIG_AWAIT_MS), true);
    expect_eq(rig_status().images, 8);
    expect_eq(rig_status().image_bytes, 8 * BYTES);
    rig_use_witness();
    kill(pid, SIGKILL);
    host_join(pid);
    expect_no_images();
    rig_expect_sound();
    host_unshare(held, sizeof(*held));
    rig_close();
}

static void make_many(void *argument) {
    const char *limit = argument;
    struct PeerImage image;
    struct Peer peer;
    char text[16];
    int n = 0;

    peer_open(&peer, rig.daemon.socket);
    for (; n < 4; n++) {
        snprintf(text, sizeof(text), "image %d", n);
        peer_make_image(&peer, text, BYTES, &image);
        peer_close_image(&image);
    }
    for (int i = 0; i < 20; i++)
        peer_refused(&peer, peer_ask_create(&peer, BYTES), ERROR_LIMIT, limit);
    /* What it lets go makes room again. */
    peer_release_image(&peer, image.id);
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "later %d", i);
        peer_make_image(&peer, text, BYTES, &image);
        peer_close_image(&image);
        peer_release_image(&peer, image.id);
    }
    peer_close(&peer);
}

static void expect_many(const char *setting, const char *limit) {
    const char *settings[] = {"user.image_bytes_max=1G", "user.images_max=1000", setting, NULL};

    rig_open(settings);
    expect_eq(host_join(host_fork(make_many, (void *)limit)), 0);
    expect_eq(rig_status().images, 4);
    expect_eq(rig_status().image_bytes, 4 * BYTES);
    drop_images();
    rig_expect_sound();
    rig_close();
}

Test(image, beyond_a_bound_is_refused_by_name_until_there_is_room) {
    expect_many("image_bytes_max=256K", "image_bytes_max");
    expect_many("user.image_bytes_max=256K", "image_bytes_max of the user");
    expect_many("images_max=4", "images_max");
    expect_many("user.images_max=4", "images_max of the user");
    expect_many("user.fds_max=10", "fds_max of the user"); /* with the witness' connection */
}

/* A client that asks and asks, and reads or does not read. */
static void flood_with_finds(void *argument) {
    bool reads = *(const bool *)argument;
    struct PeerImage image;
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    peer_make_image(&peer, "asked for", BYTES, &image);
    peer_close_image(&image);
    for (int i = 0; reads && i < 3000; i++) {
        host_demand(peer_find_image(&peer, i % 2 ? "asked for" : "not there", BYTES, &image) == i % 2, "round %d", i);
        peer_close_image(&image);
    }
    /* Until the daemon does not read any more, since nobody reads what it says. */
    for (int i = 0; !reads && i < 100000; i++) {
        static const char find[] = {0x08, 1, (char)0xc2, 2, 0}; /* FindImage, empty: refused */

        if (send(peer.socket, find, sizeof(find), MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR) < 0)
            break;
    }
    raise(SIGKILL);
}

Test(image, that_is_asked_for_all_the_time_holds_nobody_up) {
    for (int reads = 0; reads < 2; reads++) {
        bool argument = reads;
        pid_t pid;

        rig_open(NULL);
        pid = host_fork(flood_with_finds, &argument);
        for (int i = 0; i < 20; i++)
            rig_use_witness();
        expect_eq(host_join(pid), 128 + SIGKILL);
        expect_eq(host_await(rig_status().connections == 1, RIG_AWAIT_MS), true);
        drop_images();
        rig_expect_sound();
        rig_close();
    }
}

/* Two that seal the same thing at the same time: one image, whose users are both. */
struct Race {
    _Atomic unsigned ready, sealed;
};

static void race(void *argument) {
    struct Race *shared = argument;
    struct PeerImage image, mine;
    struct Peer peer;
    uint8_t hash[HASH_BYTES];

    peer_open(&peer, rig.daemon.socket);
    peer_create_image(&peer, LARGE_BYTES, &image);
    host_demand(pwrite(image.fd, "raced", 5, 0) == 5, "pwrite");
    peer_close_image(&image);
    peer_hash("raced", LARGE_BYTES, hash);
    ++shared->ready;
    host_demand(host_await(shared->ready == 4, RIG_AWAIT_MS), "not all are ready");
    host_demand(peer_take_image(&peer, peer_ask_seal(&peer, image.id, hash, HASH_BYTES), &mine), "not sealed");
    ++shared->sealed;
    host_demand(host_await(shared->sealed == 4, RIG_AWAIT_MS), "not all are sealed");
    peer_close(&peer);
}

Test(image, that_several_clients_make_at_once_is_one) {
    struct Race *shared = host_share(sizeof(*shared));
    pid_t pids[4];

    rig_open(NULL);
    for (int i = 0; i < 4; i++)
        pids[i] = host_fork(race, shared);
    for (int i = 0; i < 4; i++)
        expect_eq(host_join(pids[i]), 0);
    expect_eq(rig_status().images, 1);
    expect_eq(rig_status().image_bytes, LARGE_BYTES);
    drop_images();
    rig_expect_sound();
    host_unshare(shared, sizeof(*shared));
    rig_close();
}
