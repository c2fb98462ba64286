/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Packets that are no messages, or not the ones that the daemon knows. */

#include "shared/tracking.h"
#include "tests/support/rig.h"

#include <stdio.h>
#include <stdlib.h>

RIG_SUITE(packet);

#define SEED 20260131
#define RECONNECTS_MAX 200 /* of one process: each leaves a disconnected client until it ends */

struct Bytes {
    uint8_t at[512];
    size_t n;
};

static struct Bytes bytes_pack(const WireMessage *message) {
    struct Bytes bytes;

    host_demand(wasmpool__packet__get_packed_size(message) <= sizeof(bytes.at), "too long");
    bytes.n = wasmpool__packet__pack(message, bytes.at);
    return bytes;
}

static struct Bytes bytes_hello(uint32_t major, uint32_t minor) {
    Wasmpool__Hello hello = WASMPOOL__HELLO__INIT;

    hello.major = major;
    hello.minor = minor;
    hello.name = "attacker";
    return bytes_pack(&(WireMessage)WIRE_MESSAGE(1, HELLO, hello, &hello));
}

static struct Bytes bytes_open_slab(void) {
    Wasmpool__OpenSlab open_slab = WASMPOOL__OPEN_SLAB__INIT;
    struct Shape shape = peer_shape(KIND_MEMORY, 4);

    wire_shape_put(&open_slab, &shape);
    open_slab.want = 1;
    return bytes_pack(&(WireMessage)WIRE_MESSAGE(2, OPEN_SLAB, open_slab, &open_slab));
}

static struct Bytes bytes_want(void) {
    Wasmpool__Want want = WASMPOOL__WANT__INIT;

    want.slab = 1;
    return bytes_pack(&(WireMessage)WIRE_MESSAGE(3, WANT, want, &want));
}

static struct Bytes bytes_close_slab(void) {
    Wasmpool__CloseSlab close_slab = WASMPOOL__CLOSE_SLAB__INIT;

    close_slab.slab = 1;
    return bytes_pack(&(WireMessage)WIRE_MESSAGE(0, CLOSE_SLAB, close_slab, &close_slab));
}

static struct Bytes bytes_kick(void) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;

    return bytes_pack(&(WireMessage)WIRE_MESSAGE(0, KICK, kick, &kick));
}

static struct Bytes bytes_status(void) {
    Wasmpool__Status status = WASMPOOL__STATUS__INIT;

    return bytes_pack(&(WireMessage)WIRE_MESSAGE(4, STATUS, status, &status));
}

/* Is somebody there still? Answers that came before are swallowed. */
static bool is_connected(struct Peer *peer) {
    uint64_t id = (peer->next_id = 7000 + peer->next_id % 1000) + 1;

    peer->next_id = id - 1;
    peer_ask_want(peer, UINT32_MAX);
    for (;;) {
        struct WirePacket packet;
        int r = peer_receive(peer, &packet);
        bool found = !r && packet.message->id == id;

        host_demand(r != WIRE_E_AGAIN, "the daemon neither answers nor closes");
        if (!r)
            wire_packet_deinit(&packet);
        if (r || found)
            return found;
    }
}

/* ------------------------------------------------------------------------------------------------ truncated */

static void truncate_hello(void *unused) {
    struct Bytes hello = bytes_hello(WIRE_MAJOR, WIRE_MINOR);

    (void)unused;
    for (size_t n = 1; n < hello.n; n++) {
        struct Peer peer;

        peer_connect(&peer, rig.daemon.socket);
        peer_send_bytes(&peer, hello.at, n);
        peer_expect_cut_off(&peer, n == 2 ? "did not begin with hello" : "no message");
        peer_close(&peer);
    }
}

Test(packet, hello_truncated_at_every_byte_ends_its_connection) {
    uint64_t before;

    rig_open(NULL);
    before = rig_status().cut_off;
    rig_attack(truncate_hello, NULL);
    expect_eq(rig_status().cut_off - before, bytes_hello(WIRE_MAJOR, WIRE_MINOR).n - 1);
    rig_close();
}

static void truncate_request(void *argument) {
    const struct Bytes *bytes = argument;
    bool has_id = bytes->at[0] == 0x08;

    for (size_t n = 1; n < bytes->n; n++) {
        struct Peer peer;

        peer_open(&peer, rig.daemon.socket);
        peer_send_bytes(&peer, bytes->at, n);
        if (has_id && n == 2) {
            /* An id and nothing else is a message whose body nobody knows. */
            peer_expect_error(&peer, bytes->at[1], ERROR_UNSUPPORTED, NULL);
            host_demand(is_connected(&peer), "an unknown body ended the connection");
        } else {
            peer_expect_cut_off(&peer, "no message");
        }
        peer_close(&peer);
    }
}

Test(packet, request_truncated_at_every_byte_ends_its_connection) {
    struct Bytes all[] = {bytes_open_slab(), bytes_want(), bytes_close_slab(), bytes_kick(), bytes_status()};

    rig_open(NULL);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        rig_attack(truncate_request, &all[i]);
    rig_close();
}

static void truncate_administration(void *unused) {
    struct Bytes status = bytes_status();

    (void)unused;
    for (size_t n = 1; n < status.n; n++) {
        struct Peer peer;

        peer_open(&peer, rig.daemon.admin);
        peer_send_bytes(&peer, status.at, n);
        if (n == 2)
            peer_expect_error(&peer, 4, ERROR_UNSUPPORTED, NULL);
        else
            peer_expect_cut_off(&peer, "no message");
        peer_close(&peer);
    }
}

Test(packet, truncated_on_the_administration_socket_ends_its_connection) {
    rig_open(NULL);
    rig_attack(truncate_administration, NULL);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ sizes */

static void send_oversized(void *argument) {
    size_t n = *(size_t *)argument;
    uint8_t *bytes = calloc(1, n);
    struct Peer peer;

    peer_open(&peer, rig.daemon.socket);
    host_demand(!peer_send_bytes(&peer, bytes, n), "%zu bytes cannot be sent", n);
    peer_expect_cut_off(&peer, "larger than 32768");
    peer_close(&peer);
    free(bytes);
}

Test(packet, oversized_ends_its_connection_with_one_line) {
    size_t sizes[] = {WIRE_BYTES_MAX + 1, 64 * 1024, 150 * 1024};

    rig_open(NULL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned lines = rig_count_lines();

        rig_attack(send_oversized, &sizes[i]);
        rig_expect_line(lines, "client-cut-off");
    }
    rig_close();
}

Test(packet, of_exactly_the_largest_size_is_taken) {
    static char name[WIRE_BYTES_MAX];
    Wasmpool__Hello hello = WASMPOOL__HELLO__INIT;
    WireMessage message = WIRE_MESSAGE(1, HELLO, hello, &hello);
    static uint8_t bytes[WIRE_BYTES_MAX];
    struct WirePacket packet;
    struct Peer peer;

    rig_open(NULL);
    hello.major = WIRE_MAJOR;
    hello.name = name;
    memset(name, 'x', WIRE_BYTES_MAX - 12);
    expect_eq(wasmpool__packet__get_packed_size(&message), WIRE_BYTES_MAX);
    wasmpool__packet__pack(&message, bytes);
    peer_connect(&peer, rig.daemon.socket);
    expect_eq(peer_send_bytes(&peer, bytes, sizeof(bytes)), 0);
    expect_eq(peer_receive(&peer, &packet), 0);
    expect_eq(packet.message->body_case, WASMPOOL__PACKET__BODY_WELCOME);
    wire_packet_deinit(&packet);
    peer_goodbye(&peer);
    rig_expect_sound();
    rig_close();
}

static void send_empty(void *argument) {
    bool greeted = *(bool *)argument;
    struct Peer peer;

    if (greeted)
        peer_open(&peer, rig.daemon.socket);
    else
        peer_connect(&peer, rig.daemon.socket);
    host_demand(!peer_send_bytes(&peer, "", 0), "an empty packet cannot be sent");
    peer_expect_cut_off(&peer, "no message");
    peer_close(&peer);
}

/* To recvmsg(2) it looks like the end of the connection. */
Test(packet, without_a_byte_ends_its_connection_with_one_line) {
    bool greeted[] = {false, true};

    rig_open(NULL);
    for (size_t i = 0; i < 2; i++) {
        unsigned lines = rig_count_lines();

        rig_attack(send_empty, &greeted[i]);
        rig_expect_line(lines, "client-cut-off");
    }
    rig_close();
}

static void send_many_empty(void *unused) {
    struct Peer peer;

    (void)unused;
    for (int i = 0; i < 20; i++) {
        peer_open(&peer, rig.daemon.socket);
        for (int j = 0; j < 50 && !peer_send_bytes(&peer, "", 0); j++)
            ;
        peer_close(&peer);
    }
}

Test(packet, without_a_byte_many_times_does_no_harm) {
    rig_open(NULL);
    rig_attack(send_many_empty, NULL);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ random */

static void send_random(void *argument) {
    unsigned seed = *(unsigned *)argument;

    for (int i = 0; i < 1000; i++) {
        uint8_t bytes[64];
        size_t n = 1 + (size_t)rand_r(&seed) % sizeof(bytes);
        struct WirePacket packet;
        struct Peer peer;
        int r;

        for (size_t j = 0; j < n; j++)
            bytes[j] = (uint8_t)(rand_r(&seed) >> 4);
        peer_connect(&peer, rig.daemon.socket);
        peer_send_bytes(&peer, bytes, n);
        r = peer_receive(&peer, &packet);
        host_demand(r != WIRE_E_AGAIN, "seed %u, packet %d: no answer and no end", *(unsigned *)argument, i);
        if (!r)
            wire_packet_deinit(&packet);
        peer_close(&peer);
    }
}

Test(packet, of_random_bytes_does_no_harm) {
    rig_open(NULL);
    for (unsigned seed = SEED; seed < SEED + 3; seed++)
        rig_attack(send_random, &seed);
    rig_close();
}

static void send_mutated(void *argument) {
    unsigned seed = *(unsigned *)argument;
    struct Bytes all[] = {bytes_open_slab(), bytes_want(), bytes_close_slab(), bytes_kick(), bytes_status(),
                          bytes_hello(WIRE_MAJOR, WIRE_MINOR)};
    struct Peer peer;
    int reconnects = 0;

    peer_open(&peer, rig.daemon.socket);
    for (int i = 0; i < 800 && reconnects < RECONNECTS_MAX; i++) {
        struct Bytes bytes = all[(size_t)rand_r(&seed) % (sizeof(all) / sizeof(all[0]))];

        for (int j = rand_r(&seed) % 3; j >= 0; j--)
            bytes.at[(size_t)rand_r(&seed) % bytes.n] = (uint8_t)(rand_r(&seed) >> 4);
        if (rand_r(&seed) % 2)
            peer_ack(&peer);
        peer_send_bytes(&peer, bytes.at, bytes.n);
        if (is_connected(&peer))
            continue;
        peer_close(&peer);
        peer_open(&peer, rig.daemon.socket);
        reconnects++;
    }
}

Test(packet, of_messages_with_random_changes_does_no_harm) {
    const char *settings[] = {"total_memories=64", NULL};

    rig_open(settings);
    for (unsigned seed = SEED; seed < SEED + 8; seed++)
        rig_attack(send_mutated, &seed);
    rig_await_granted(KIND_MEMORY, 0);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ unknown */

static void send_unknown_body(void *unused) {
    /* id 9, and a body with the tag 100 */
    static const uint8_t bytes[] = {0x08, 9, 0xa2, 0x06, 3, 1, 2, 3};
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    for (int i = 0; i < 10; i++) {
        peer_send_bytes(&peer, bytes, sizeof(bytes));
        peer_expect_error(&peer, 9, ERROR_UNSUPPORTED, NULL);
    }
    host_demand(is_connected(&peer), "an unknown body ended the connection");
    peer_goodbye(&peer);
}

Test(packet, with_an_unknown_body_is_answered_and_nothing_more) {
    rig_open(NULL);
    rig_attack(send_unknown_body, NULL);
    expect_eq(rig_status().cut_off, 0);
    rig_close();
}

static void send_newer_hello(void *unused) {
    struct Bytes bytes = bytes_hello(WIRE_MAJOR, WIRE_MINOR + 7);
    static const uint8_t unknown[] = {0xa0, 0x06, 1, 0xaa, 0x06, 2, 'h', 'i'};
    struct WirePacket packet;
    struct Peer peer;

    (void)unused;
    /* Behind the body: fields of the packet that nobody knows yet. */
    memcpy(bytes.at + bytes.n, unknown, sizeof(unknown));
    peer_connect(&peer, rig.daemon.socket);
    peer_send_bytes(&peer, bytes.at, bytes.n + sizeof(unknown));
    host_demand(!peer_receive(&peer, &packet) && packet.message->body_case == WASMPOOL__PACKET__BODY_WELCOME,
                "a newer minor version is not welcome");
    host_demand(packet.message->welcome->minor == WIRE_MINOR, "the daemon claims minor version %u",
                packet.message->welcome->minor);
    wire_packet_deinit(&packet);
    peer_close(&peer);
}

Test(packet, of_a_newer_minor_version_with_unknown_fields_is_welcome) {
    rig_open(NULL);
    rig_attack(send_newer_hello, NULL);
    expect_eq(rig_status().cut_off, 0);
    rig_close();
}

static void send_other_major(void *argument) {
    const char *path = argument;
    uint32_t majors[] = {0, WIRE_MAJOR + 1, UINT32_MAX};

    for (size_t i = 0; i < 3; i++) {
        struct Bytes bytes = bytes_hello(majors[i], 7);
        char theirs[32], ours[32];
        struct Error error;
        struct Peer peer;

        snprintf(theirs, sizeof(theirs), "%u.7", majors[i]);
        snprintf(ours, sizeof(ours), "%u.%u", WIRE_MAJOR, WIRE_MINOR);
        peer_connect(&peer, path);
        peer_send_bytes(&peer, bytes.at, bytes.n);
        peer_expect_error(&peer, 1, ERROR_VERSION, &error);
        host_demand(strstr(error.message, theirs) && strstr(error.message, ours), "'%s' does not name %s and %s",
                    error.message, theirs, ours);
        peer_expect_end(&peer);
        peer_close(&peer);
    }
}

Test(packet, of_another_major_version_is_refused_with_both_named) {
    rig_open(NULL);
    rig_attack(send_other_major, rig.daemon.socket);
    rig_attack(send_other_major, rig.daemon.admin);
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ texts */

#define TELLERS 70 /* more than a page of `wasmpoolctl clients` has */

/* With the longest name, and a reason that is longer than there is room for, and no text. */
static void tell_nonsense(void *argument) {
    static struct Peer peers[TELLERS];
    static char name[WIRE_NAME_BYTES], why[4 * TRACKING_WHY_BYTES];
    Wasmpool__Tracking tracking = WASMPOOL__TRACKING__INIT;
    struct Shape shape = peer_shape(KIND_INSTANCE, 1);
    Wasmpool__OpenSlab open_slab = WASMPOOL__OPEN_SLAB__INIT;
    WireMessage message = WIRE_MESSAGE(2, OPEN_SLAB, open_slab, &open_slab);
    _Atomic bool *told = argument;
    struct WirePacket packet;

    memset(name, 'n', sizeof(name) - 1);
    memset(why, '\x1b', sizeof(why) - 1);
    wire_shape_put(&open_slab, &shape);
    open_slab.tracking = &tracking;
    tracking.way = UINT32_MAX;
    tracking.why = why;
    for (int i = 0; i < TELLERS; i++) {
        peer_connect(&peers[i], rig.daemon.socket);
        peer_hello_as(&peers[i], name);
        host_demand(!peer_send(&peers[i], &message), "nothing was sent");
        peer_expect(&peers[i], 2, WASMPOOL__PACKET__BODY_SLAB_OPENED, &packet);
        wire_packet_deinit(&packet);
    }
    told[0] = true;
    host_demand(host_await(told[1], RIG_AWAIT_MS), "nobody said to end");
    for (int i = 0; i < TELLERS; i++)
        peer_goodbye(&peers[i]);
}

static unsigned count(const char *text, const char *part) {
    unsigned n = 0;

    while ((text = strstr(text, part))) {
        text += strlen(part);
        n++;
    }
    return n;
}

Test(packet, that_says_nonsense_of_its_client_shows_it_fit_for_a_terminal) {
    const char *arguments[] = {"wasmpoolctl", "--socket", NULL, "clients", "--json", NULL};
    char *output, expected[TRACKING_WHY_BYTES + 16];
    _Atomic bool *told = host_share(2 * sizeof(*told));
    pid_t pid;

    rig_open(NULL);
    arguments[2] = rig.daemon.admin;
    pid = host_fork(tell_nonsense, (void *)told);
    cr_assert(host_await(told[0], RIG_AWAIT_MS), "not all have said it");
    expect_eq(host_run(arguments, 0, &output, NULL), 0);
    strcpy(expected, "\"why\": \"");
    memset(expected + strlen(expected), '?', TRACKING_WHY_BYTES - 1);
    strcpy(expected + strlen("\"why\": \"") + TRACKING_WHY_BYTES - 1, "\"");
    expect_eq(count(output, expected), TELLERS);
    expect_eq(count(output, "\"way\": \"unknown\""), TELLERS);
    free(output);
    arguments[3] = "status";
    expect_eq(host_run(arguments, 0, &output, NULL), 0);
    expect_says(output, "\"unknown\": {\n      \"connections\": 70");
    free(output);
    told[1] = true;
    expect_eq(host_join(pid), 0);
    rig_expect_sound();
    host_unshare((void *)told, 2 * sizeof(*told));
    rig_close();
}
