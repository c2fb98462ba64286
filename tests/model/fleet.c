/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Processes with some threads each take more instances than their daemon has, wait and release, while one of them and
 * then the daemon are killed and replaced. What is looked at here is that it goes on; the traces are for replay. */

#include "client/wasmpool.h"
#include "shared/clock.h"
#include "tests/stress/stress.h"
#include "tests/support/host.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define WORKERS 3
#define THREADS 3
#define PHASE_MS 500
#define PAUSE_NS 20000          /* after each cycle: a trace is not longer than it has to be */
#define PATIENT_NS 1000000000   /* longer than it takes until it is one's turn, */
#define HASTY_NS_MAX 1000000    /* and about as long */
#define HOLD_YIELDS_MAX 8

struct Worker {
    struct wasmpool *pool;
    struct wasmpool_module *module;
};

static struct Shared {
    _Atomic bool done;
    _Atomic unsigned n_taken, n_dirty, n_strange;
} *shared;
static struct PrivateDaemon private_daemon;

/* ------------------------------------------------------------------------------------------------ a worker */

static uint32_t draw(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static uint64_t draw_deadline(uint64_t *seed) {
    switch (draw(seed) % 4) {
    case 0:
        return 0;
    case 1:
        return clock_now_ns() + PATIENT_NS;
    default:
        return clock_now_ns() + draw(seed) % HASTY_NS_MAX;
    }
}

static void use(struct wasmpool_instance *instance, uint64_t *seed) {
    uint64_t *word = (uint64_t *)wasmpool_instance_memory(instance, 0)->base;

    shared->n_dirty += *word != 0;
    *word = *seed;
    for (uint32_t i = draw(seed) % HOLD_YIELDS_MAX; i; i--)
        sched_yield();
    shared->n_dirty += *word == 0;
    shared->n_taken++;
}

static void cycle(struct Worker *worker, uint64_t *seed) {
    struct wasmpool_request request = {.module = worker->module, .label = "fleet", .deadline_ns = draw_deadline(seed)};
    struct wasmpool_instance *instance = NULL;
    int r = wasmpool_allocate_module(worker->pool, &request, &instance, NULL);

    if (!r) {
        use(instance, seed);
        wasmpool_deallocate_module(&instance);
    }
    shared->n_strange += r && r != WASMPOOL_E_LIMIT && r != WASMPOOL_E_UNAVAILABLE;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static void *work(void *argument) {
    uint64_t seed = (uint64_t)(uintptr_t)&argument ^ clock_now_ns();

    while (!shared->done)
        cycle(argument, &seed);
    return NULL;
}

static void worker_run(void *argument) {
    static const struct wasmpool_memory_type memory = {.minimum = 1};
    struct wasmpool_module_description description = {.name = "fleet", .memories = &memory, .n_memories = 1};
    struct wasmpool_options options = {.address = private_daemon.address, .name = "fleet"};
    struct wasmpool_error error;
    struct Worker worker = {0};
    pthread_t threads[THREADS];

    (void)argument;
    if (wasmpool_open(&worker.pool, &options, &error) || wasmpool_module_describe(&worker.module, &description, &error))
        host_fail("%s", error.message);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, &worker);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    wasmpool_module_free(worker.module);
    wasmpool_close(worker.pool);
}

/* ------------------------------------------------------------------------------------------------ the fleet */

static _Noreturn void give_up(const char *message) {
    fprintf(stderr, "%s\n0 passed, 1 failed\n", message);
    _Exit(1);
}

/* Something was taken, for some time; the moment at which it ends is arbitrary. */
static void let_work(void) {
    unsigned before = shared->n_taken;

    nanosleep(&(struct timespec){.tv_nsec = PHASE_MS * NS_PER_MS}, NULL);
    check(host_await(shared->n_taken > before + WORKERS * THREADS, 10000), "it goes on");
}

static void run(const char *const *settings) {
    pid_t workers[WORKERS];

    for (int i = 0; i < WORKERS; i++)
        workers[i] = host_fork(worker_run, NULL);
    let_work();
    kill(workers[0], SIGKILL);
    check(host_join(workers[0]) == 128 + SIGKILL, "a worker is killed");
    workers[0] = host_fork(worker_run, NULL);
    let_work();
    private_daemon_kill(&private_daemon);
    private_daemon_restart(&private_daemon, settings);
    let_work();
    shared->done = true;
    for (int i = 0; i < WORKERS; i++)
        check(host_join(workers[i]) == 0, "a worker ends well");
}

int main(void) {
    static const char *const settings[] = {"--config=/dev/null", "log_level=warning", "total_memories=4",
                                           "total_core_instances=5", NULL};

    host_set_fail(give_up);
    shared = host_share(sizeof(*shared));
    private_daemon_start(&private_daemon, settings);
    run(settings);
    check(!shared->n_dirty, "a memory is zero when it comes, and is kept as long as it is held");
    check(!shared->n_strange, "a refusal is for want of slots, or of a daemon");
    check(private_daemon_stop(&private_daemon) == 0, "the daemon ends with status 0");
    printf("fleet: %u taken\n", shared->n_taken);
    return stress_end();
}
