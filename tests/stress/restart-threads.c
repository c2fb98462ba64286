/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Threads of one process allocate and give back while the daemon is killed and started again under them. Memories must
 * be zero when they come and keep what was written; a refusal must be that the daemon is not there; and in the end all
 * of them work on a fresh connection, with nothing left of the old ones. */

#include "client/wasmpool.h"
#include "tests/support/leak.h"
#include "tests/support/peer.h"
#include "tests/stress/stress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS 4
#define RESTARTS 8
#define HELD_MORE 8 /* by each thread, after each restart: demand that no earlier grant meets */
#define HELD_MAX (HELD_MORE * (RESTARTS + 1))
#define SLABS_MAX 12 /* of one connection: 64 memories or 256 instances each, and some granted and not needed */

static struct wasmpool *pool;
static struct wasmpool_module *module;
static _Atomic unsigned unavailable;
static _Atomic unsigned appetite = HELD_MORE;
static _Atomic bool settled; /* the last daemon is there to stay */

static void memory_fill(struct wasmpool_instance *instance, uint64_t value) {
    struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);

    for (uint64_t at = 0; at < memory->current_length; at += 4096)
        *(uint64_t *)(memory->base + at) = value;
}

static bool memory_is(struct wasmpool_instance *instance, uint64_t value) {
    const struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);

    for (uint64_t at = 0; at < memory->current_length; at += 4096)
        if (*(const uint64_t *)(memory->base + at) != value)
            return false;
    return true;
}

static bool take(struct wasmpool_instance **instancep, uint64_t value) {
    struct wasmpool_request request = {.module = module, .label = "stress"};
    struct wasmpool_error error;
    int r = wasmpool_allocate_module(pool, &request, instancep, &error);

    if (r) {
        unavailable++;
        if (r != WASMPOOL_E_UNAVAILABLE)
            fprintf(stderr, "refused: %s\n", error.message);
        check(r == WASMPOOL_E_UNAVAILABLE, "a refusal means that the daemon is not there");
        host_nap();
        return false;
    }
    check(memory_is(*instancep, 0), "a fresh memory is zero");
    memory_fill(*instancep, value);
    return true;
}

/* More or less of them at a time, so that there is demand now and then. */
static void *work(void *argument) {
    uint64_t thread = (uint64_t)(uintptr_t)argument;
    struct wasmpool_instance *held[HELD_MAX] = {NULL};
    unsigned round = 0, rounds_settled = 0;

    while (rounds_settled < 20) {
        unsigned n = round++ % 2 ? appetite : 1;

        rounds_settled += settled;
        for (unsigned i = 0; i < n; i++)
            if (!take(&held[i], thread << 32 | i | 1 << 16)) {
                check(!held[i], "a refused request yields nothing");
                break;
            }
        for (unsigned i = 0; i < n && held[i]; i++) {
            check(memory_is(held[i], thread << 32 | i | 1 << 16), "a memory keeps what was written");
            wasmpool_deallocate_module(&held[i]);
        }
    }
    return NULL;
}

static _Noreturn void give_up(const char *message) {
    fprintf(stderr, "%s\n0 passed, 1 failed\n", message);
    _Exit(1);
}

static void open_all(const struct PrivateDaemon *daemon) {
    static const struct wasmpool_memory_type memory = {.minimum = 2};
    struct wasmpool_module_description description = {.name = "restart", .memories = &memory, .n_memories = 1};
    struct wasmpool_options options = {.address = daemon->address, .name = "restart"};
    struct wasmpool_error error;

    if (wasmpool_open(&pool, &options, &error) || wasmpool_module_describe(&module, &description, &error))
        give_up(error.message);
}

/* The moment is arbitrary; nothing depends on it. */
static void let_work(unsigned ms) {
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

/* With everything granted in use, somebody must be asked: who was there before is gone. */
static void ask_for_more(struct wasmpool_metrics *metrics) {
    struct wasmpool_instance *held[THREADS * HELD_MAX * 2];
    unsigned n = 0;

    for (; wasmpool_metrics(pool, metrics), metrics->connections < 2 && n < THREADS * HELD_MAX * 2; n++)
        if (!take(&held[n], 1))
            break;
    while (n)
        wasmpool_deallocate_module(&held[--n]);
    wasmpool_metrics(pool, metrics);
}

static void check_end(const struct PrivateDaemon *daemon) {
    struct wasmpool_metrics metrics;
    struct PeerStatus status;

    ask_for_more(&metrics);
    check(!metrics.memories && !metrics.core_instances, "everything was given back");
    check(metrics.slabs <= SLABS_MAX, "old slabs are drained");
    check(metrics.connections >= 2, "there were fresh connections");
    peer_status(daemon->admin, &status);
    check(!status.busy[KIND_MEMORY] && !status.busy[KIND_INSTANCE], "the daemon sees nothing busy");
    wasmpool_module_free(module);
    wasmpool_close(pool);
    check(host_await((peer_status(daemon->admin, &status), !status.granted[KIND_MEMORY] && !status.connections), 5000),
          "the daemon has everything back");
}

int main(void) {
    static const char *const settings[] = {"--config=/dev/null", "log_level=notice", NULL};
    struct PrivateDaemon daemon;
    pthread_t threads[THREADS];
    struct LeakMark before;
    char report[4096];

    host_set_fail(give_up);
    leak_mark_init(&before);
    private_daemon_start(&daemon, settings);
    open_all(&daemon);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (unsigned i = 0; i < RESTARTS; i++) {
        let_work(30 + 7 * i);
        private_daemon_kill(&daemon);
        let_work(5 * i);
        private_daemon_restart(&daemon, settings);
        appetite += HELD_MORE;
    }
    settled = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_end(&daemon);
    check(private_daemon_stop(&daemon) == 0, "the daemon ends with status 0");
    check(leak_compare(&before, report, sizeof(report)) == 0, report);
    leak_mark_deinit(&before);
    fprintf(stderr, "unavailable %u times\n", unavailable);
    return stress_end();
}
