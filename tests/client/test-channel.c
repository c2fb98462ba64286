/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/channel.h"
#include "shared/clock.h"
#include "tests/support/fake.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS 200

static const struct Patience PATIENCE = {.timeout_ms = TIMEOUT_MS};

struct Rig {
    struct FakeDaemon fake;
    struct Patience patience;
    struct Channel *channel;
    struct wasmpool_error error;
};

static const char *rig_path(const struct Rig *rig) {
    return rig->fake.address + strlen("unix:");
}

static void rig_connect(struct Rig *rig) {
    rig->patience = PATIENCE;
    cr_assert_eq(channel_connect(&rig->channel, rig_path(rig), &rig->patience, &rig->error), 0, "%s", rig->error.message);
}

static void rig_open(struct Rig *rig) {
    struct WirePacket welcome;

    *rig = (struct Rig){0};
    fake_daemon_open(&rig->fake);
    rig_connect(rig);
    cr_assert_eq(channel_hello(rig->channel, "channel", 1, &welcome, &rig->error), 0, "%s", rig->error.message);
    expect_eq(welcome.n_fds, 1);
    wire_packet_deinit(&welcome);
}

static void rig_close(struct Rig *rig) {
    channel_close(rig->channel);
    fake_daemon_close(&rig->fake);
}

/* Ask for an instance slab; answers to that carry no fd. */
static int rig_call(struct Rig *rig) {
    Wasmpool__OpenSlab open_slab = WASMPOOL__OPEN_SLAB__INIT;
    WireMessage request = WIRE_MESSAGE(0, OPEN_SLAB, open_slab, &open_slab);
    struct WirePacket answer;
    int r;

    open_slab.kind = WASMPOOL__KIND__KIND_INSTANCE;
    open_slab.count = 1;
    memset(&rig->error, 0, sizeof(rig->error));
    r = channel_call(rig->channel, &request, 0, &answer, &rig->error);
    if (!r) {
        expect_eq(answer.message->id, request.id);
        expect_eq(answer.message->body_case, WASMPOOL__PACKET__BODY_SLAB_OPENED);
        wire_packet_deinit(&answer);
    }
    return r;
}

static int64_t now_ms(void) {
    return (int64_t)(clock_now_ns() / NS_PER_MS);
}

Test(channel, close_of_nothing_is_fine) {
    cr_expect_null(channel_close(NULL));
}

Test(channel, connect_tells_who_is_absent_and_who_may_not) {
    struct Channel *channel = NULL;
    struct wasmpool_error error;
    char long_path[200];
    struct Rig rig;

    rig_open(&rig);
    expect_eq(channel_connect(&channel, "/nonexistent/x", &PATIENCE, &error), WASMPOOL_E_UNAVAILABLE);
    expect_says(error.message, "no daemon listens at /nonexistent/x");
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = 0;
    expect_eq(channel_connect(&channel, long_path, &PATIENCE, &error), WASMPOOL_E_INVALID);
    expect_says(error.message, "longer than 107 bytes");
    cr_assert_eq(chmod(rig.fake.directory, 0755), 0);
    cr_assert_eq(chmod(rig_path(&rig), 0), 0);
    if (!geteuid()) /* who may connect everywhere */
        cr_assert_eq(seteuid(65534), 0);
    expect_eq(channel_connect(&channel, rig_path(&rig), &PATIENCE, &error), WASMPOOL_E_REFUSED);
    expect_says(error.message, "no permission to connect to");
    if (!getuid())
        cr_assert_eq(seteuid(0), 0);
    cr_expect_null(channel);
    rig_close(&rig);
}

/* A listener that nobody accepts from, and whose queue is full. */
Test(channel, connect_does_not_wait_for_ever) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/wasmpool-channel-XXXXXX";
    struct Channel *waiting[8] = {0};
    struct wasmpool_error error;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), n = 0, r = 0;
    int64_t start_ms = 0;

    cr_assert_not_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/x", directory);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listener, 0), 0);
    while (n < 8 && !r) {
        start_ms = now_ms();
        r = channel_connect(&waiting[n], address.sun_path, &PATIENCE, &error);
        n += !r;
    }
    expect_eq(r, WASMPOOL_E_UNAVAILABLE);
    cr_expect_geq(now_ms() - start_ms, TIMEOUT_MS);
    expect_says(error.message, "does not accept connections in time");
    while (n--)
        channel_close(waiting[n]);
    close(listener);
    unlink(address.sun_path);
    rmdir(directory);
}

Test(channel, calls_are_answered_by_id) {
    struct Rig rig;

    rig_open(&rig);
    for (int i = 0; i < 10; i++)
        expect_eq(rig_call(&rig), 0);
    cr_expect(!channel_has_ended(rig.channel));
    rig_close(&rig);
}

Test(channel, a_refusal_is_an_answer_and_not_the_end) {
    struct Rig rig;

    rig_open(&rig);
    error_limit(&rig.fake.error, ERROR_LIMIT, "total_core_instances", 7, 6, 2, "exhausted");
    rig.fake.at_open_slab = FAKE_REFUSE;
    expect_eq(rig_call(&rig), WASMPOOL_E_LIMIT);
    expect_eq(rig.error.code, WASMPOOL_E_LIMIT);
    expect_str(rig.error.limit, "total_core_instances");
    expect_eq(rig.error.bound, 7);
    expect_eq(rig.error.use, 6);
    expect_eq(rig.error.ask, 2);
    cr_expect(!channel_has_ended(rig.channel));
    rig.fake.at_open_slab = FAKE_HONEST;
    expect_eq(rig_call(&rig), 0);
    rig_close(&rig);
}

Test(channel, what_breaks_the_protocol_is_the_end) {
    static const struct {
        int mischief;
        const char *says;
    } cases[] = {{FAKE_GARBAGE, "sent a packet that is no message"},
                 {FAKE_OVERSIZED, "sent a packet larger than 32768 bytes"},
                 {FAKE_FD_UNASKED, "sent file descriptors that do not belong there"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct Rig rig;

        rig_open(&rig);
        rig.fake.at_open_slab = cases[i].mischief;
        expect_eq(rig_call(&rig), WASMPOOL_E_PROTOCOL);
        expect_says(rig.error.message, cases[i].says);
        expect_says(rig.error.message, rig.fake.directory);
        cr_expect(channel_has_ended(rig.channel));
        rig.fake.at_open_slab = FAKE_HONEST;
        expect_eq(rig_call(&rig), WASMPOOL_E_UNAVAILABLE);
        expect_says(rig.error.message, "has gone");
        rig_close(&rig);
    }
}

Test(channel, silence_lasts_as_long_as_the_timeout_and_is_not_the_end) {
    int64_t start_ms, took_ms;
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_SILENT;
    start_ms = now_ms();
    expect_eq(rig_call(&rig), WASMPOOL_E_UNAVAILABLE);
    took_ms = now_ms() - start_ms;
    cr_expect(took_ms >= TIMEOUT_MS && took_ms < 20 * TIMEOUT_MS, "it took %" PRId64 " ms, not %d", took_ms,
              TIMEOUT_MS);
    expect_says(rig.error.message, "does not answer in time");
    cr_expect(!channel_has_ended(rig.channel));
    rig.fake.at_open_slab = FAKE_HONEST;
    cr_assert(fake_daemon_send_late(&rig.fake));
    expect_eq(rig_call(&rig), 0); /* to its own answer, not to the late one */
    rig_close(&rig);
}

Test(channel, silence_is_not_borne_beyond_a_deadline) {
    int64_t start_ms, took_ms;
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_SILENT;
    start_ms = now_ms();
    rig.patience = (struct Patience){.timeout_ms = 600000, .deadline_ns = clock_now_ns() + TIMEOUT_MS * NS_PER_MS};
    expect_eq(rig_call(&rig), WASMPOOL_E_UNAVAILABLE);
    took_ms = now_ms() - start_ms;
    cr_expect(took_ms >= TIMEOUT_MS && took_ms < 300000, "it took %" PRId64 " ms, not %d", took_ms, TIMEOUT_MS);
    expect_says(rig.error.message, "does not answer in time");
    rig_close(&rig);
}

/* The late answer's slab is closed: nobody would use it. */
Test(channel, a_late_answer_is_given_back) {
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_SILENT;
    expect_eq(rig_call(&rig), WASMPOOL_E_UNAVAILABLE);
    rig.fake.at_open_slab = FAKE_HONEST;
    cr_assert(fake_daemon_send_late(&rig.fake));
    expect_eq(fake_daemon_see(&rig.fake).close_slabs, 0);
    expect_eq(rig_call(&rig), 0);
    cr_assert(FAKE_WAIT(&rig.fake, close_slabs, 1));
    expect_eq(rig.fake.seen.last_closed, 1);
    rig_close(&rig);
}

Test(channel, an_answer_that_never_comes_keeps_the_next_call_waiting_no_longer_than_its_timeout) {
    int64_t start_ms, took_ms;
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_SILENT;
    expect_eq(rig_call(&rig), WASMPOOL_E_UNAVAILABLE);
    rig.fake.at_open_slab = FAKE_HONEST;
    for (int i = 0; i < 2; i++) {
        start_ms = now_ms();
        expect_eq(rig_call(&rig), WASMPOOL_E_UNAVAILABLE);
        took_ms = now_ms() - start_ms;
        cr_expect(took_ms >= TIMEOUT_MS && took_ms < 20 * TIMEOUT_MS, "it took %" PRId64 " ms", took_ms);
    }
    rig_close(&rig);
}

Test(channel, end_of_file_is_the_end) {
    struct Rig rig;

    rig_open(&rig);
    rig.fake.at_open_slab = FAKE_HANG_UP;
    expect_eq(rig_call(&rig), WASMPOOL_E_UNAVAILABLE);
    expect_says(rig.error.message, "has gone");
    cr_expect(channel_has_ended(rig.channel));
    rig_close(&rig);
}

Test(channel, death_shows_when_something_is_told) {
    Wasmpool__Kick kick = WASMPOOL__KICK__INIT;
    WireMessage message = WIRE_MESSAGE(5, KICK, kick, &kick);
    struct Rig rig;

    rig_open(&rig);
    expect_eq(channel_tell(rig.channel, &message), 0);
    cr_assert(FAKE_WAIT(&rig.fake, kicks, 1));
    fake_daemon_die(&rig.fake);
    expect_eq(channel_tell(rig.channel, &message), WASMPOOL_E_UNAVAILABLE);
    cr_expect(channel_has_ended(rig.channel));
    rig_close(&rig);
}

/* Said before anything was asked, and before the connection is closed: it must not get lost. */
Test(channel, a_refused_connection_says_why) {
    struct wasmpool_error error = {0};
    struct WirePacket welcome;

    for (int i = 0; i < 50; i++) {
        struct Rig rig = {0};

        fake_daemon_open(&rig.fake);
        rig.fake.at_connect = FAKE_REFUSE;
        error_limit(&rig.fake.error, ERROR_LIMIT, "connections_max", 3, 3, 1, "too many connections");
        rig_connect(&rig);
        expect_eq(channel_hello(rig.channel, NULL, 1, &welcome, &error), WASMPOOL_E_LIMIT);
        expect_str(error.limit, "connections_max");
        expect_eq(error.bound, 3);
        cr_expect(channel_has_ended(rig.channel));
        rig_close(&rig);
    }
}
