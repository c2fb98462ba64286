/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/wire.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void open_pair(int pair[2]) {
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(int pair[2]) {
    close(pair[0]);
    close(pair[1]);
}

/* Bytes and so many fds, past wire_send. */
static void send_raw(int socket, const void *bytes, size_t n, size_t n_fds) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * 64)];
    } control = {0};
    struct iovec vector = {(void *)bytes, n};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};

    if (n_fds) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * n_fds)};
        for (size_t i = 0; i < n_fds; i++)
            ((int *)CMSG_DATA(&control.header))[i] = STDERR_FILENO;
    }
    cr_assert_eq(sendmsg(socket, &header, MSG_NOSIGNAL), (ssize_t)n, "%s", strerror(errno));
}

static size_t pack_ack(uint8_t bytes[static 64]) {
    Wasmpool__Ack ack = WASMPOOL__ACK__INIT;
    WireMessage message = WIRE_MESSAGE(77, ACK, ack, &ack);

    return wasmpool__packet__pack(&message, bytes);
}

static void send_ack(int socket, size_t n_fds) {
    uint8_t bytes[64];
    size_t n = pack_ack(bytes);

    send_raw(socket, bytes, n, n_fds);
}

static void expect_outcome(int socket, size_t fds_max, int expected) {
    struct WirePacket packet = {.n_fds = 4711};
    int r = wire_recv(socket, fds_max, &packet);

    if (!r)
        wire_packet_deinit(&packet);
    expect_eq(r, expected);
    expect_eq(packet.n_fds, r ? 4711 : 0); /* written on success only */
}

Test(wire, one_message_and_its_fd_travel_together) {
    Wasmpool__SlabOpened opened = WASMPOOL__SLAB_OPENED__INIT;
    WireMessage message = WIRE_MESSAGE(5, SLAB_OPENED, slab_opened, &opened);
    struct WirePacket packet;
    int pair[2], fd = open("/dev/null", O_RDONLY), received;

    open_pair(pair);
    opened.slab = 3;
    opened.file_bytes = UINT64_C(1) << 40;
    expect_eq(wire_send(pair[0], &message, &fd, 1), 0);
    expect_eq(fcntl(fd, F_GETFD), 0); /* stays the caller's */
    expect_eq(wire_recv(pair[1], 1, &packet), 0);
    expect_eq(packet.message->id, 5);
    expect_eq(packet.message->body_case, WASMPOOL__PACKET__BODY_SLAB_OPENED);
    expect_eq(packet.message->slab_opened->file_bytes, UINT64_C(1) << 40);
    expect_eq(packet.n_fds, 1);
    received = wire_packet_steal_fd(&packet);
    cr_expect_neq(received, fd);
    expect_eq(fcntl(received, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    wire_packet_deinit(&packet);
    expect_eq(fcntl(received, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC); /* stolen: the deinit leaves it */
    close(received);
    close(fd);
    close_pair(pair);
}

Test(wire, packets_stay_apart_and_in_order) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    int pair[2];

    open_pair(pair);
    for (uint64_t id = 1; id <= 3; id++) {
        WireMessage message = WIRE_MESSAGE(id, KICK, kick, &kick);

        expect_eq(wire_send(pair[0], &message, NULL, 0), 0);
    }
    for (uint64_t id = 1; id <= 3; id++) {
        struct WirePacket packet;

        expect_eq(wire_recv(pair[1], 0, &packet), 0);
        expect_eq(packet.message->id, id);
        wire_packet_deinit(&packet);
    }
    expect_outcome(pair[1], 0, WIRE_E_AGAIN);
    close_pair(pair);
}

Test(wire, nothing_to_read_and_end_of_file_are_outcomes) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    WireMessage message = WIRE_MESSAGE(0, KICK, kick, &kick);
    int pair[2];

    open_pair(pair);
    expect_outcome(pair[1], 1, WIRE_E_AGAIN);
    close(pair[0]);
    expect_outcome(pair[1], 1, WIRE_E_END);
    expect_eq(wire_send(pair[1], &message, NULL, 0), WIRE_E_END); /* and no SIGPIPE */
    close(pair[1]);
}

Test(wire, a_peer_that_does_not_read_is_an_outcome_and_does_not_block) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    WireMessage message = WIRE_MESSAGE(0, KICK, kick, &kick);
    int pair[2], r = 0;

    open_pair(pair);
    for (int i = 0; i < 100000 && !r; i++)
        r = wire_send(pair[0], &message, NULL, 0);
    expect_eq(r, WIRE_E_AGAIN);
    close_pair(pair);
}

Test(wire, a_bad_fd_is_an_errno) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    WireMessage message = WIRE_MESSAGE(0, KICK, kick, &kick);

    expect_eq(wire_send(-1, &message, NULL, 0), -EBADF);
    expect_outcome(-1, 1, -EBADF);
}

/* ------------------------------------------------------------------------------------------------ fds */

/* All of these come with a message that is right, and must leave no fd behind: the test counts them. */
Test(wire, more_fds_than_expected_are_closed_and_refused) {
    int pair[2];

    open_pair(pair);
    for (size_t n_fds = 0; n_fds <= 2 * WIRE_FDS_MAX; n_fds++)
        for (size_t fds_max = 0; fds_max <= WIRE_FDS_MAX; fds_max++) {
            struct WirePacket packet = {0};
            int expected = n_fds <= fds_max ? 0 : WIRE_E_FDS, r;

            send_ack(pair[0], n_fds);
            r = wire_recv(pair[1], fds_max, &packet);
            cr_assert_eq(r, expected, "%zu fds where %zu may be: %d, not %d", n_fds, fds_max, r, expected);
            cr_assert_eq(packet.n_fds, r ? 0 : n_fds, "%zu fds of %zu", packet.n_fds, n_fds);
            wire_packet_deinit(&packet);
        }
    close_pair(pair);
}

/* A control buffer that is too short makes the kernel install some and drop the rest. */
Test(wire, truncated_fds_are_all_closed) {
    int pair[2];

    open_pair(pair);
    send_ack(pair[0], 60);
    expect_outcome(pair[1], WIRE_FDS_MAX, WIRE_E_FDS);
    close_pair(pair);
}

/* The other way to truncate: no room in the table of fds. */
Test(wire, fds_that_do_not_fit_the_process_are_nobodys_fault) {
    struct rlimit limit, low;
    int pair[2], next;

    open_pair(pair);
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    next = dup(STDERR_FILENO);
    close(next);
    low = (struct rlimit){(rlim_t)next + 1, limit.rlim_max};
    expect_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    send_ack(pair[0], 2); /* of which one fits */
    expect_outcome(pair[1], 2, WIRE_E_NO_ROOM);
    send_ack(pair[0], 2);
    expect_outcome(pair[1], 1, WIRE_E_FDS);
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close_pair(pair);
}

Test(wire, fds_with_garbage_are_closed) {
    int pair[2];

    open_pair(pair);
    send_raw(pair[0], "\xff\xff\xff", 3, 1);
    expect_outcome(pair[1], 1, WIRE_E_MALFORMED);
    close_pair(pair);
}

Test(wire, steal_takes_one_fd_only_if_exactly_one_came) {
    struct WirePacket packet;
    int pair[2];

    open_pair(pair);
    send_ack(pair[0], 0);
    expect_eq(wire_recv(pair[1], 2, &packet), 0);
    expect_eq(wire_packet_steal_fd(&packet), -1);
    wire_packet_deinit(&packet);
    send_ack(pair[0], 2);
    expect_eq(wire_recv(pair[1], 2, &packet), 0);
    expect_eq(wire_packet_steal_fd(&packet), -1);
    wire_packet_deinit(&packet);
    close_pair(pair);
}

/* ------------------------------------------------------------------------------------------ sizes and contents */

Test(wire, the_largest_packet_passes_and_one_byte_more_does_not) {
    static char text[WIRE_BYTES_MAX];
    Wasmpool__Error error = WASMPOOL__ERROR__INIT;
    WireMessage message = WIRE_MESSAGE(1, ERROR, error, &error);
    struct WirePacket packet;
    int pair[2];
    size_t n;

    open_pair(pair);
    memset(text, 'x', sizeof(text) - 1);
    error.message = text;
    n = wasmpool__packet__get_packed_size(&message) - WIRE_BYTES_MAX;
    text[sizeof(text) - 1 - n] = 0;
    expect_eq(wasmpool__packet__get_packed_size(&message), WIRE_BYTES_MAX);
    expect_eq(wire_send(pair[0], &message, NULL, 0), 0);
    expect_eq(wire_recv(pair[1], 0, &packet), 0);
    expect_str(packet.message->error->message, text);
    wire_packet_deinit(&packet);
    text[sizeof(text) - 1 - n] = 'x';
    expect_eq(wire_send(pair[0], &message, NULL, 0), WIRE_E_OVERSIZED);
    expect_outcome(pair[1], 0, WIRE_E_AGAIN); /* nothing was sent */
    close_pair(pair);
}

Test(wire, an_oversized_packet_is_refused_whole) {
    static uint8_t bytes[WIRE_BYTES_MAX + 1];
    size_t n = pack_ack(bytes);
    int pair[2];

    open_pair(pair);
    /* What fits is a message in itself: unknown fields may follow it. */
    for (; n < sizeof(bytes); n += 2)
        memcpy(bytes + n, "\xf8\x01", 2 - (n + 1 == sizeof(bytes)));
    send_raw(pair[0], bytes, sizeof(bytes), 1);
    expect_outcome(pair[1], 1, WIRE_E_OVERSIZED);
    send_ack(pair[0], 0); /* the rest was not left for the next one */
    expect_outcome(pair[1], 1, 0);
    close_pair(pair);
}

Test(wire, every_truncation_of_a_message_is_read_or_refused) {
    Wasmpool__Welcome welcome = WASMPOOL__WELCOME__INIT;
    Wasmpool__Limits limits = WASMPOOL__LIMITS__INIT;
    WireMessage message = WIRE_MESSAGE(300, WELCOME, welcome, &welcome);
    uint8_t bytes[512];
    struct Limits ours;
    size_t n, refused = 0;
    int pair[2];

    limits_init(&ours);
    wire_limits_put(&limits, &ours);
    welcome.limits = &limits;
    n = wasmpool__packet__pack(&message, bytes);
    open_pair(pair);
    for (size_t cut = 1; cut < n; cut++) {
        struct WirePacket packet;
        int r;

        send_raw(pair[0], bytes, cut, 0);
        r = wire_recv(pair[1], 0, &packet);
        cr_assert(!r || r == WIRE_E_MALFORMED, "%zu bytes of %zu: %d", cut, n, r);
        refused += r != 0;
        if (!r)
            wire_packet_deinit(&packet);
    }
    expect_eq(refused, n - 1 - 1); /* all but the one that ends behind the id */
    send_raw(pair[0], bytes, n, 0);
    expect_outcome(pair[1], 0, 0);
    close_pair(pair);
}

/* A newer minor version: unknown fields, and a body that we do not know, which is then to be answered by an Error. */
Test(wire, unknown_fields_and_bodies_are_tolerated) {
    static const uint8_t unknown_body[] = {0x08, 0x09, 0xa2, 0x06, 0x01, 0x00}; /* id 9, field 100 of 1 byte */
    uint8_t bytes[64];
    size_t n = pack_ack(bytes);
    struct WirePacket packet;
    int pair[2];

    open_pair(pair);
    memcpy(bytes + n, "\xa0\x06\x2a", 3); /* field 100, a number */
    send_raw(pair[0], bytes, n + 3, 0);
    expect_eq(wire_recv(pair[1], 0, &packet), 0);
    expect_eq(packet.message->body_case, WASMPOOL__PACKET__BODY_ACK);
    wire_packet_deinit(&packet);
    send_raw(pair[0], unknown_body, sizeof(unknown_body), 0);
    expect_eq(wire_recv(pair[1], 0, &packet), 0);
    expect_eq(packet.message->id, 9);
    expect_eq(packet.message->body_case, WASMPOOL__PACKET__BODY__NOT_SET);
    wire_packet_deinit(&packet);
    close_pair(pair);
}

Test(wire, no_single_byte_crashes) {
    int pair[2];

    open_pair(pair);
    for (int first = 0; first < 256; first++)
        for (int second = 0; second < 256; second += 5) {
            uint8_t bytes[2] = {(uint8_t)first, (uint8_t)second};
            struct WirePacket packet;
            int r;

            send_raw(pair[0], bytes, 2, 0);
            r = wire_recv(pair[1], 0, &packet);
            if (!r)
                wire_packet_deinit(&packet);
            cr_assert(!r || r == WIRE_E_MALFORMED, "%#x %#x: %d", first, second, r);
        }
    close_pair(pair);
}

/* ------------------------------------------------------------------------------------------------ our structs */

Test(wire, limits_survive_the_journey) {
    Wasmpool__Limits message = WASMPOOL__LIMITS__INIT, *unpacked;
    struct Limits limits, back;
    uint8_t bytes[512];
    size_t n;

    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        *(uint64_t *)((char *)&limits + LIMIT_INFOS[i].offset) = UINT64_MAX - i;
    wire_limits_put(&message, &limits);
    n = wasmpool__limits__pack(&message, bytes);
    unpacked = wasmpool__limits__unpack(NULL, n, bytes);
    memset(&back, 0, sizeof(back));
    wire_limits_get(&back, unpacked);
    cr_expect_arr_eq(&back, &limits, sizeof(limits), "some limit got lost");
    wasmpool__limits__free_unpacked(unpacked, NULL);
}

Test(wire, errors_survive_the_journey) {
    Wasmpool__Error message = WASMPOOL__ERROR__INIT;
    struct Error error, back;

    error_limit(&error, ERROR_LIMIT, "total_tables", 1, 2, 3, "exhausted");
    wire_error_put(&message, &error);
    memset(&back, 0xa5, sizeof(back));
    expect_eq(wire_error_get(&back, &message), ERROR_LIMIT);
    expect_str(back.message, error.message);
    expect_str(back.limit, "total_tables");
    expect_eq(back.bound, 1);
    expect_eq(back.use, 2);
    expect_eq(back.ask, 3);
    expect_eq(wire_error_get(NULL, &message), ERROR_LIMIT);
}

Test(wire, an_error_of_an_unknown_code_is_an_error_all_the_same) {
    static const uint32_t codes[] = {0, ERROR_CODE_MAX + 1, 4711, UINT32_MAX};
    static char text[4 * ERROR_MESSAGE_BYTES];
    Wasmpool__Error message = WASMPOOL__ERROR__INIT;
    struct Error error;

    memset(text, '%', sizeof(text) - 1); /* and neither its text nor its length is believed */
    message.message = message.limit = text;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        message.code = codes[i];
        expect_eq(wire_error_get(&error, &message), ERROR_REFUSED);
        expect_eq(error.code, ERROR_REFUSED);
        expect_eq(strlen(error.message), ERROR_MESSAGE_BYTES - 1);
        expect_eq(strlen(error.limit), ERROR_LIMIT_BYTES - 1);
    }
}

Test(wire, shapes_survive_the_journey_without_what_is_computed) {
    struct Shape shape = {.kind = KIND_TABLE,
                          .reservation = 1,
                          .guard = 2,
                          .guard_before = true,
                          .elements = 3,
                          .element_size = 4,
                          .count = 5,
                          .origin = 6,
                          .stride = 7,
                          .slot_bytes = 8,
                          .file_bytes = 9},
                 back;
    Wasmpool__OpenSlab message = WASMPOOL__OPEN_SLAB__INIT;

    wire_shape_put(&message, &shape);
    wire_shape_get(&back, &message);
    shape.origin = shape.stride = shape.slot_bytes = shape.file_bytes = 0;
    expect_eq(back.kind, shape.kind);
    expect_eq(back.reservation, shape.reservation);
    expect_eq(back.guard, shape.guard);
    expect_eq(back.guard_before, true);
    expect_eq(back.elements, shape.elements);
    expect_eq(back.element_size, shape.element_size);
    expect_eq(back.count, shape.count);
    expect_eq(back.origin + back.stride + back.slot_bytes + back.file_bytes, 0);
}

Test(wire, outcomes_have_phrases) {
    for (int outcome = WIRE_E_AGAIN; outcome <= WIRE_E_NO_ROOM; outcome++)
        cr_expect_str_neq(wire_outcome_phrase(outcome), "did nothing wrong", "outcome %d", outcome);
    expect_str(wire_outcome_phrase(-EMFILE), strerror(EMFILE));
}
