/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/work.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Floors: what nothing built of these steps can be faster than, on this machine, at this moment. */

/* ------------------------------------------------------------------------------------------------ zeroing */

struct ZeroState {
    uint8_t *base;
    size_t bytes;
    struct WorkTouch touch;
};

static void *zero_open(const struct WorkOptions *options) {
    struct ZeroState *state = work_allocate(sizeof(*state));
    struct WorkOptions own = *options;

    state->bytes = work_module_bytes(options->module);
    own.stride = 0; /* it may be meant for another memory, of the work that this one is compared with */
    if (options->module->wasm_pages)
        state->touch = work_touch_of(&own, state->bytes);
    if (!state->bytes)
        work_fail(options->module->name, "has no bytes to be zeroed");
    /* Small pages, as a slab's are. */
    state->base = mmap(NULL, state->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (state->base == MAP_FAILED)
        work_fail("mmap", strerror(errno));
    madvise(state->base, state->bytes, MADV_NOHUGEPAGE);
    return state;
}

static void zero_run(void *opaque, uint64_t cycles) {
    struct ZeroState *state = opaque;

    for (uint64_t i = 0; i < cycles; i++) {
        work_touch(state->base, state->touch);
        memset(state->base, 0, state->bytes);
        /* Without it all but the last memset could be left out. */
        __asm__ volatile("" : : "r"(state->base) : "memory");
    }
}

static void zero_close(void *opaque) {
    struct ZeroState *state = opaque;

    munmap(state->base, state->bytes);
    free(state);
}

const struct Work WORK_ZERO = {
    .name = "zero",
    .meaning = "zero as many resident bytes as the module's memory or table has",
    .open = zero_open,
    .run = zero_run,
    .close = zero_close,
};

/* ------------------------------------------------------------------------------------------------ instructions */

static void *word_open(const struct WorkOptions *options) {
    (void)options;
    return work_allocate(sizeof(_Atomic uint64_t));
}

static void cas_run(void *opaque, uint64_t cycles) {
    _Atomic uint64_t *word = opaque;

    for (uint64_t i = 0; i < cycles; i++) {
        uint64_t from = atomic_load_explicit(word, memory_order_relaxed);

        atomic_compare_exchange_strong(word, &from, from + 1);
    }
}

static void clock_run(void *opaque, uint64_t cycles) {
    struct timespec now;

    (void)opaque;
    for (uint64_t i = 0; i < cycles; i++)
        clock_gettime(CLOCK_MONOTONIC, &now);
}

/* Of dependent multiplications: nothing but this processor's own. */
static void arithmetic_run(void *opaque, uint64_t cycles) {
    uint64_t *number = opaque, value = *number;

    for (uint64_t i = 0; i < cycles * 16; i++)
        value = value * 6364136223846793005 + i;
    *number = value;
}

const struct Work WORK_CAS = {
    .name = "cas",
    .meaning = "one uncontended compare-and-swap",
    .open = word_open,
    .run = cas_run,
    .close = free,
};

const struct Work WORK_CLOCK = {
    .name = "clock",
    .meaning = "one clock_gettime(CLOCK_MONOTONIC)",
    .open = word_open,
    .run = clock_run,
    .close = free,
};

const struct Work WORK_ARITHMETIC = {
    .name = "arithmetic",
    .meaning = "16 multiplications, one after the other",
    .open = word_open,
    .run = arithmetic_run,
    .close = free,
};

/* ------------------------------------------------------------------------------------------------ round trip */

#define ROUNDTRIP_BYTES 64 /* of the order of a Want and its answer */

struct RoundtripState {
    int fd;
    pid_t peer;
};

static _Noreturn void roundtrip_answer(int fd, unsigned cpu) {
    char packet[ROUNDTRIP_BYTES];
    ssize_t n;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    work_pin(cpu);
    while ((n = recv(fd, packet, sizeof(packet), 0)) > 0)
        if (send(fd, packet, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    _exit(0);
}

static void *roundtrip_open(unsigned cpu) {
    struct RoundtripState *state = work_allocate(sizeof(*state));
    int fds[2];

    if (work_pin(0) <= cpu)
        work_fail("round trip", "there is no second processor");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
        work_fail("socketpair", strerror(errno));
    state->peer = fork();
    if (state->peer < 0)
        work_fail("fork", strerror(errno));
    if (!state->peer) {
        close(fds[0]);
        roundtrip_answer(fds[1], cpu);
    }
    close(fds[1]);
    state->fd = fds[0];
    return state;
}

static void *roundtrip_open_near(const struct WorkOptions *options) {
    (void)options;
    return roundtrip_open(0);
}

static void *roundtrip_open_far(const struct WorkOptions *options) {
    (void)options;
    return roundtrip_open(1);
}

static void roundtrip_run(void *opaque, uint64_t cycles) {
    struct RoundtripState *state = opaque;
    char packet[ROUNDTRIP_BYTES] = {0};

    for (uint64_t i = 0; i < cycles; i++)
        if (send(state->fd, packet, sizeof(packet), MSG_NOSIGNAL) != sizeof(packet) ||
            recv(state->fd, packet, sizeof(packet), 0) != sizeof(packet))
            work_fail("round trip", strerror(errno));
}

static void roundtrip_close(void *opaque) {
    struct RoundtripState *state = opaque;

    close(state->fd);
    waitpid(state->peer, NULL, 0);
    free(state);
}

const struct Work WORK_ROUNDTRIP_NEAR = {
    .name = "roundtrip-near",
    .meaning = "64 bytes to another process on the same processor and back, SOCK_SEQPACKET",
    .waits = true,
    .open = roundtrip_open_near,
    .run = roundtrip_run,
    .close = roundtrip_close,
};

const struct Work WORK_ROUNDTRIP_FAR = {
    .name = "roundtrip-far",
    .meaning = "the same to another processor",
    .waits = true,
    .open = roundtrip_open_far,
    .run = roundtrip_run,
    .close = roundtrip_close,
};
