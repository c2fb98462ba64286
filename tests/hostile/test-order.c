/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Messages that are well-formed and come when they should not. */

#include "tests/support/rig.h"

RIG_SUITE(order);

static void send_one_way(struct Peer *peer, Wasmpool__Packet__BodyCase body) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    Wasmpool__Ack ack = WASMPOOL__ACK__INIT;
    Wasmpool__Goodbye goodbye = WASMPOOL__GOODBYE__INIT;
    Wasmpool__CloseSlab close_slab = WASMPOOL__CLOSE_SLAB__INIT;
    WireMessage message = {.base = {&wasmpool__packet__descriptor, 0, NULL}, .body_case = body};

    if (body == WASMPOOL__PACKET__BODY_KICK)
        message.kick = &kick;
    else if (body == WASMPOOL__PACKET__BODY_ACK)
        message.ack = &ack;
    else if (body == WASMPOOL__PACKET__BODY_GOODBYE)
        message.goodbye = &goodbye;
    else
        message.close_slab = &close_slab;
    peer_send(peer, &message);
}

static uint64_t ask_status(struct Peer *peer) {
    Wasmpool__Status status = WASMPOOL__STATUS__INIT;

    peer_send(peer, &(WireMessage)WIRE_MESSAGE(++peer->next_id, STATUS, status, &status));
    return peer->next_id;
}

static uint64_t ask_list(struct Peer *peer) {
    Wasmpool__List list = WASMPOOL__LIST__INIT;

    peer_send(peer, &(WireMessage)WIRE_MESSAGE(++peer->next_id, LIST, list, &list));
    return peer->next_id;
}

static void send_hello(struct Peer *peer, uint64_t id) {
    Wasmpool__Hello hello = WASMPOOL__HELLO__INIT;

    hello.major = WIRE_MAJOR;
    peer_send(peer, &(WireMessage)WIRE_MESSAGE(id, HELLO, hello, &hello));
}

/* The answer, whose fds go with it, but no Ack. */
static void swallow(struct Peer *peer) {
    struct WirePacket packet;

    host_demand(!peer_receive(peer, &packet), "no answer");
    host_demand(packet.message->body_case != WASMPOOL__PACKET__BODY_ERROR, "an Error came: %s",
                packet.message->error->message);
    wire_packet_deinit(&packet);
}

/* ------------------------------------------------------------------------------------------------ cut off */

static void slab_before_hello(struct Peer *peer) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);

    peer_connect(peer, rig.daemon.socket);
    peer_ask_slab(peer, &shape, 1);
}

static void want_before_hello(struct Peer *peer) {
    peer_connect(peer, rig.daemon.socket);
    peer_ask_want(peer, 1);
}

static void goodbye_before_hello(struct Peer *peer) {
    peer_connect(peer, rig.daemon.socket);
    send_one_way(peer, WASMPOOL__PACKET__BODY_GOODBYE);
}

static void kick_before_hello(struct Peer *peer) {
    peer_connect(peer, rig.daemon.socket);
    send_one_way(peer, WASMPOOL__PACKET__BODY_KICK);
}

static void hello_twice(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    send_hello(peer, 9);
}

static void hello_twice_at_once(struct Peer *peer) {
    peer_connect(peer, rig.daemon.socket);
    send_hello(peer, 1);
    send_hello(peer, 2);
    swallow(peer);
}

static void hello_without_an_id(struct Peer *peer) {
    peer_connect(peer, rig.daemon.socket);
    send_hello(peer, 0);
}

static void want_without_an_id(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    peer->next_id = UINT64_MAX;
    peer_ask_want(peer, 1);
}

static void ack_of_nothing(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    peer_ack(peer);
}

static void slab_before_the_table_is_acknowledged(struct Peer *peer) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);

    peer_connect(peer, rig.daemon.socket);
    send_hello(peer, 1);
    swallow(peer);
    peer_ask_slab(peer, &shape, 1);
}

static void slab_before_the_last_is_acknowledged(struct Peer *peer) {
    struct Shape shape = peer_shape(KIND_TABLE, 4);

    peer_open(peer, rig.daemon.socket);
    peer_ask_slab(peer, &shape, 1);
    peer_ask_slab(peer, &shape, 1);
    swallow(peer);
}

static void close_of_an_unknown_slab(struct Peer *peer) {
    peer_open(peer, rig.daemon.socket);
    peer_close_slab_id(peer, 4711);
}

static void close_of_a_slab_twice(struct Peer *peer) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);
    struct PeerSlab slab;

    peer_open(peer, rig.daemon.socket);
    peer_open_slab(peer, &shape, 1, &slab);
    peer_close_slab(peer, &slab);
    peer_close_slab_id(peer, slab.id);
}

static void status_before_hello(struct Peer *peer) {
    peer_connect(peer, rig.daemon.admin);
    ask_status(peer);
}

static void hello_twice_to_administration(struct Peer *peer) {
    peer_open(peer, rig.daemon.admin);
    send_hello(peer, 9);
}

static void status_without_an_id(struct Peer *peer) {
    peer_open(peer, rig.daemon.admin);
    peer->next_id = UINT64_MAX;
    ask_status(peer);
}

static const struct Violation violations[] = {
    {slab_before_hello, "did not begin with hello"},
    {want_before_hello, "did not begin with hello"},
    {goodbye_before_hello, "did not begin with hello"},
    {kick_before_hello, "did not begin with hello"},
    {hello_twice, "said hello twice"},
    {hello_twice_at_once, "said hello twice"},
    {hello_without_an_id, "a request without an id"},
    {want_without_an_id, "wanted slots of a slab that it does not have"},
    {ack_of_nothing, "acknowledged a message without an fd"},
    {slab_before_the_table_is_acknowledged, "before it acknowledged"},
    {slab_before_the_last_is_acknowledged, "before it acknowledged"},
    {close_of_an_unknown_slab, "closed a slab that it does not have"},
    {close_of_a_slab_twice, "closed a slab that it does not have"},
    {status_before_hello, "did not begin with hello"},
    {hello_twice_to_administration, "said hello twice"},
    {status_without_an_id, "a request without an id"},
};

Test(order, violated_ends_the_connection_with_one_line) {
    rig_open(NULL);
    rig_expect_cut_off(violations, sizeof(violations) / sizeof(violations[0]));
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ tolerated */

static void ask_unknown(void *unused) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);
    struct PeerSlab slab;
    struct Peer peer;

    (void)unused;
    peer_open(&peer, rig.daemon.socket);
    peer_expect_error(&peer, peer_ask_want(&peer, 0), ERROR_PROTOCOL, NULL);
    peer_expect_error(&peer, peer_ask_want(&peer, UINT32_MAX), ERROR_PROTOCOL, NULL);
    peer_expect_error(&peer, ask_status(&peer), ERROR_UNSUPPORTED, NULL);
    peer_expect_error(&peer, ask_list(&peer), ERROR_UNSUPPORTED, NULL);
    for (int i = 0; i < 10; i++)
        send_one_way(&peer, WASMPOOL__PACKET__BODY_KICK);
    peer_open_slab(&peer, &shape, 1, &slab);
    peer_release(&peer, &slab, peer_take(&peer, &slab));
    peer_unmap_slab(&slab);
    peer_goodbye(&peer);
}

Test(order, unknown_slabs_and_administration_are_refused_to_a_tenant_that_goes_on) {
    rig_open(NULL);
    rig_attack(ask_unknown, NULL);
    expect_eq(rig_status().cut_off, 0);
    rig_close();
}

static void ask_administration(void *unused) {
    struct Shape shape = peer_shape(KIND_MEMORY, 4);
    struct WirePacket packet;
    struct Peer peer;
    uint64_t id;

    (void)unused;
    peer_open(&peer, rig.daemon.admin);
    peer_expect_error(&peer, peer_ask_slab(&peer, &shape, 1), ERROR_UNSUPPORTED, NULL);
    peer_expect_error(&peer, peer_ask_want(&peer, 1), ERROR_UNSUPPORTED, NULL);
    /* One-way, and not for the administration: ignored, since nobody waits for an answer. */
    send_one_way(&peer, WASMPOOL__PACKET__BODY_KICK);
    id = ask_status(&peer);
    host_demand(!peer_receive(&peer, &packet) && packet.message->id == id, "no status");
    wire_packet_deinit(&packet);
    peer_close(&peer);
}

Test(order, tenants_messages_are_refused_by_the_administration_that_goes_on) {
    rig_open(NULL);
    rig_attack(ask_administration, NULL);
    expect_eq(rig_status().cut_off, 0);
    rig_close();
}

static void open_permits_unacknowledged(void *unused) {
    struct Shape shape = peer_shape(KIND_INSTANCE, 4);
    struct PeerSlab slab;
    struct Peer peer;

    (void)unused;
    peer_connect(&peer, rig.daemon.socket);
    send_hello(&peer, 1);
    swallow(&peer);
    peer.next_id = 1;
    peer_open_slab(&peer, &shape, 2, &slab);
    host_demand(slab.granted == 2, "%u granted", slab.granted);
    peer_close(&peer);
}

Test(order, a_slab_without_an_fd_needs_no_ack) {
    rig_open(NULL);
    rig_attack(open_permits_unacknowledged, NULL);
    rig_await_granted(KIND_INSTANCE, 0);
    rig_close();
}
