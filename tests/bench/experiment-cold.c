/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/memfd.h"
#include "shared/shape.h"
#include "tests/bench/experiment.h"
#include "tests/support/peer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wasmpool.h>

/* An image that another process has made: what the first instance costs a process that has none yet, and what each of
 * the next. One process makes the image and stays. Then there are fresh ones of two kinds, in turn:
 *
 *   a worker   connected, its first slab mapped with a slot granted that nobody has touched, the module read; then 64
 *              times wasmpool_allocate_module + wasmpool_initialize, all kept. The first includes finding the image
 *   the floor  a memfd as large as a slab, and the image's bytes mapped and resident; then 64 times mmap of a slot's
 *              accessible part, mprotect, and memcpy of the image's 1 MiB into its fresh pages
 *
 * Asking for more slots is part of the instances that have to: the 5th, 9th, 17th, ... */

#define COLD_INSTANCES 64
#define COLD_OPENED 3 /* slots that are held when the first is made: then a fourth has been granted with the third */
#define COLD_NEXT 5   /* instances 1 to 3 are made in what was held, and 4 has to ask for more slots */
#define COLD_ROUNDS 25
#define COLD_TIMEOUT_MS 10000
#define COLD_MODULE "image1m"
#define COLD_IMAGE_BYTES (UINT64_C(1) << 20) /* at the memory's start */
#define COLD_MEMORY_BYTES (UINT64_C(2) << 20)

struct ColdBoard {
    const char *address;
    int image_fd; /* what the maker's memory begins with; the floor's image */
    atomic_bool made;
    double ns[COLD_INSTANCES]; /* of the process that ran last */
};

/* All rounds of one of the two. */
struct ColdTimes {
    struct Times first, next, last;
    struct Times growth; /* not a time: the last over the next, of one process */
};

/* ------------------------------------------------------------------------------------------------ workers */

struct ColdWorker {
    struct wasmpool *pool;
    struct wasmpool_module *module;
};

static void cold_check(int r, const char *what, const struct wasmpool_error *error) {
    host_demand(!r, "%s: %s", what, error->message[0] ? error->message : wasmpool_strerror(r));
}

static struct wasmpool_module *cold_read(const char *directory, const char *name) {
    struct wasmpool_error error = {0};
    struct wasmpool_module *module;
    char path[640];

    snprintf(path, sizeof(path), "%s/%s.wasm", directory, name);
    cold_check(wasmpool_module_read_file(&module, path, &error), path, &error);
    return module;
}

static void cold_open(struct ColdWorker *worker, const struct ColdBoard *board) {
    struct wasmpool_options options = {.address = board->address, .name = "cold"};
    struct wasmpool_error error = {0};

    cold_check(wasmpool_open(&worker->pool, &options, &error), "wasmpool_open", &error);
    worker->module = cold_read(experiment_modules, COLD_MODULE);
    cold_check(wasmpool_validate_module(worker->pool, worker->module, &error), COLD_MODULE, &error);
}

static struct wasmpool_instance *cold_make(const struct ColdWorker *worker, struct wasmpool_module *module) {
    struct wasmpool_request request = {.module = module};
    struct wasmpool_error error = {0};
    struct wasmpool_instance *instance;

    cold_check(wasmpool_allocate_module(worker->pool, &request, &instance, &error), "wasmpool_allocate_module", &error);
    cold_check(wasmpool_initialize(instance, WASMPOOL_IN_ORDER, &error), "wasmpool_initialize", &error);
    return instance;
}

/* Keep it, and write down what its memory begins with. */
static void cold_work_maker(void *argument) {
    struct ColdBoard *board = argument;
    struct ColdWorker worker;
    const uint8_t *base;

    cold_open(&worker, board);
    base = wasmpool_instance_memory(cold_make(&worker, worker.module), 0)->base;
    host_demand(pwrite(board->image_fd, base, COLD_IMAGE_BYTES, 0) == (ssize_t)COLD_IMAGE_BYTES, "pwrite: %s",
                strerror(errno));
    atomic_store(&board->made, true);
    for (;;)
        pause();
}

static const uint8_t *cold_map_image(const struct ColdBoard *board) {
    void *image = mmap(NULL, COLD_IMAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_POPULATE, board->image_fd, 0);

    host_demand(image != MAP_FAILED, "mmap: %s", strerror(errno));
    return image;
}

/* What the worker holds while it makes its first instance. The memories have no bytes: no page of the slab exists. */
struct ColdOpened {
    struct wasmpool_module *empty;
    struct wasmpool_instance *permits[COLD_OPENED];
    struct wasmpool_memory memories[COLD_OPENED];
};

static void cold_open_slabs(const struct ColdWorker *worker, struct ColdOpened *opened) {
    struct wasmpool_memory_type none = {.minimum = 0};
    struct wasmpool_error error = {0};

    opened->empty = cold_read(experiment_modules, "empty");
    for (unsigned i = 0; i < COLD_OPENED; i++) {
        opened->permits[i] = cold_make(worker, opened->empty);
        cold_check(wasmpool_allocate_memory(worker->pool, &none, "opened", &opened->memories[i], &error),
                   "wasmpool_allocate_memory", &error);
    }
}

static void cold_release_opened(const struct ColdWorker *worker, struct ColdOpened *opened) {
    for (unsigned i = 0; i < COLD_OPENED; i++) {
        wasmpool_deallocate_module(&opened->permits[i]);
        wasmpool_deallocate_memory(worker->pool, &opened->memories[i]);
    }
    wasmpool_module_free(opened->empty);
}

/* Nothing that was measured was measured in vain: the daemon's image is what the memory has. */
static void cold_look(const struct ColdWorker *worker, struct wasmpool_instance *instance, const uint8_t *image) {
    const struct wasmpool_memory *memory = wasmpool_instance_memory(instance, 0);
    struct wasmpool_metrics metrics;

    wasmpool_metrics(worker->pool, &metrics);
    host_demand(metrics.shared_images == 1 && !metrics.private_images, "the image was not found with the daemon");
    host_demand(memory->current_length == COLD_MEMORY_BYTES && !memcmp(memory->base, image, COLD_IMAGE_BYTES),
                "an instance's memory is not what its module says");
}

static void cold_work(void *argument) {
    struct wasmpool_instance *instances[COLD_INSTANCES];
    struct ColdBoard *board = argument;
    struct ColdOpened opened;
    struct ColdWorker worker;

    cold_open(&worker, board);
    cold_open_slabs(&worker, &opened);
    for (unsigned i = 0; i < COLD_INSTANCES; i++) {
        uint64_t start_ns = experiment_now_ns();

        instances[i] = cold_make(&worker, worker.module);
        board->ns[i] = (double)(experiment_now_ns() - start_ns);
        if (!i)
            cold_release_opened(&worker, &opened); /* so that all lie in one slab */
    }
    for (unsigned i = 0; i < COLD_INSTANCES; i++) {
        cold_look(&worker, instances[i], cold_map_image(board));
        wasmpool_deallocate_module(&instances[i]);
    }
    wasmpool_module_free(worker.module);
    wasmpool_close(worker.pool);
}

/* ------------------------------------------------------------------------------------------------ floor */

static void cold_work_floor(void *argument) {
    struct Shape shape = {
        .kind = KIND_MEMORY,
        .count = COLD_INSTANCES,
        .reservation = UINT64_C(4) << 30,
        .guard = UINT64_C(32) << 20,
        .guard_before = true,
    };
    struct ColdBoard *board = argument;
    const uint8_t *image = cold_map_image(board);
    int fd;

    host_demand(!shape_finish(&shape, NULL) && !memfd_new("floor", shape.file_bytes, &fd), "memfd: %s",
                strerror(errno));
    for (unsigned i = 0; i < COLD_INSTANCES; i++) {
        uint64_t start_ns = experiment_now_ns();
        void *slot = mmap(NULL, COLD_MEMORY_BYTES, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd,
                          (off_t)shape_slot_offset(&shape, i));

        host_demand(slot != MAP_FAILED && !mprotect(slot, COLD_MEMORY_BYTES, PROT_READ | PROT_WRITE), "a slot: %s",
                    strerror(errno));
        memcpy(slot, image, COLD_IMAGE_BYTES);
        board->ns[i] = (double)(experiment_now_ns() - start_ns);
    }
}

/* ------------------------------------------------------------------------------------------------ rounds */

/* What the daemon has when the maker alone is connected. */
struct ColdRest {
    const char *admin;
    uint64_t resident_bytes;
};

/* Who was measured last is gone, and so are his pages: taking them away is not to share a processor with the next. */
static bool cold_is_quiet(const struct ColdRest *rest) {
    struct PeerStatus status;

    peer_status(rest->admin, &status);
    return status.connections == 1 && status.resident_bytes <= rest->resident_bytes;
}

static void cold_run_one(struct ColdBoard *board, const struct ColdRest *rest, bool is_floor, struct ColdTimes *times) {
    const double *ns = board->ns;

    host_demand(host_await(cold_is_quiet(rest), COLD_TIMEOUT_MS), "the daemon does not come to rest");
    host_demand(!host_join(host_fork(is_floor ? cold_work_floor : cold_work, board)), "a process has failed");
    times = &times[is_floor];
    times->first.ns[times->first.n++] = ns[0];
    times->next.ns[times->next.n++] = ns[COLD_NEXT];
    times->last.ns[times->last.n++] = ns[COLD_INSTANCES - 1];
    times->growth.ns[times->growth.n++] = ns[COLD_INSTANCES - 1] / ns[COLD_NEXT];
}

/* That the last is no dearer than one before it has a tolerance, the floor's own spread: most of the floor's processes
 * have a dearer last slot, too. By quartiles: some were interrupted. */
static double cold_most_growth(struct ColdTimes *floor) {
    double spread = times_quantile(&floor->growth, 0.75) - times_quantile(&floor->growth, 0.25);

    return times_quantile(&floor->growth, 0.5) + 1.5 * spread;
}

static void cold_print(struct ColdTimes *worker, struct ColdTimes *floor) {
    double first_ns = times_quantile(&worker->first, 0.5), floor_ns = times_quantile(&floor->first, 0.5);

    experiment_print("cold-first", first_ns, floor_ns, 1.5 * floor_ns);
    experiment_print("cold-first-p95", times_quantile(&worker->first, 0.95), times_quantile(&floor->first, 0.95), NAN);
    experiment_print("cold-next", times_quantile(&worker->next, 0.5), times_quantile(&floor->next, 0.5), NAN);
    experiment_print("cold-last", times_quantile(&worker->last, 0.5), times_quantile(&floor->last, 0.5), first_ns);
    experiment_print("cold-growth", times_quantile(&worker->growth, 0.5), times_quantile(&floor->growth, 0.5),
                     cold_most_growth(floor));
}

static void cold_run_rounds(struct ColdBoard *board, const char *admin, struct ColdTimes times[static 2]) {
    struct ColdRest rest = {.admin = admin};
    struct PeerStatus status;

    peer_status(admin, &status);
    rest.resident_bytes = status.resident_bytes;
    for (unsigned i = 0; i < COLD_ROUNDS; i++) {
        cold_run_one(board, &rest, i % 2, times);
        cold_run_one(board, &rest, !(i % 2), times);
    }
}

static void cold_run(void) {
    struct ColdBoard *board = host_share(sizeof(*board));
    static struct ColdTimes times[2];
    struct PrivateDaemon daemon;
    pid_t maker;

    host_demand(experiment_modules, "needs to know where the binaries lie");
    host_demand(!memfd_new("image", COLD_IMAGE_BYTES, &board->image_fd), "memfd: %s", strerror(errno));
    private_daemon_start(&daemon, NULL);
    board->address = daemon.address;
    maker = host_fork(cold_work_maker, board);
    host_demand(host_await(atomic_load(&board->made), COLD_TIMEOUT_MS), "the image is not made in time");
    cold_run_rounds(board, daemon.admin, times);
    kill(maker, SIGKILL);
    host_join(maker);
    private_daemon_stop(&daemon);
    host_unshare(board, sizeof(*board));
    cold_print(&times[0], &times[1]);
}

const struct Experiment EXPERIMENT_COLD = {
    .name = "cold",
    .meaning = "first instances of an image that another process has made",
    .seconds_max = 60,
    .run = cold_run,
};
