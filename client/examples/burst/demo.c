/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* burst-demo BIN: the demonstration of `make demo-burst`. A private wasmpoold has 200 memories for six workers. Each in
 * turn bursts to all 200, while the one before it, whose idle slots it needs, is stopped, and the others sleep. At the
 * end two want everything at once. wasmpoolctl shows how capacity moves, and what it shows is checked. All that is
 * written lies in one directory, which is gone at the end, as are the processes. */

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/examples/burst/watch.h"
#include "client/examples/burst/worker.h"
#include "client/examples/thumbs/demo-process.h"

#define WORKERS 6
#define READY_MS_MAX 10000
#define ANSWER_MS_MAX 30000
/* How long what was taken back may take to be punched, off the daemon's loop, and to be counted. */
#define SETTLE_MS_MAX 10000
#define FAIR_MS_MAX 10000
/* Looks in a row at which each of two has its half. */
#define FAIR_LOOKS 3
#define PATH_BYTES (PATH_MAX / 2)

struct Demo {
    char *bin; /* directory of the programs */
    char dir[64];
    char ctl[PATH_BYTES], errors[PATH_BYTES], log[PATH_BYTES], socket[108], address[128];
    struct Process daemon;
    struct Worker workers[WORKERS];
    struct Watch watch;
    int64_t began_ms;
    struct Sample shown;  /* the last one that was printed under this heading */
    uint32_t looks, most; /* most: memories or instances granted in one look */
    uint64_t resident_bytes_most;
    unsigned failed;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal) {
    interrupted = signal;
}

static bool check(struct Demo *demo, bool ok, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool check(struct Demo *demo, bool ok, const char *format, ...) {
    va_list args;

    if (interrupted)
        return ok; /* what fails now fails because of that */
    fputs(ok ? "ok     " : "FAILED ", stdout);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    demo->failed += !ok;
    return ok;
}

/* ------------------------------------------------------------------------------------------------ looking */

static uint64_t bytes_of(uint64_t instances) {
    return instances * BURST_TOUCHED_PAGES * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void print_head(struct Demo *demo, const char *what) {
    printf("\n== %s\n  granted/busy  ", what);
    for (unsigned i = 0; i < WORKERS; i++)
        printf("  worker %u", i);
    printf("     all  resident\n");
    demo->shown = (struct Sample){.granted = {UINT32_MAX}};
}

/* Unless nothing has moved. */
static void print_sample(struct Demo *demo, const struct Sample *sample) {
    char cell[24];

    if (!memcmp(demo->shown.granted, sample->granted, sizeof(sample->granted)) &&
        !memcmp(demo->shown.busy, sample->busy, sizeof(sample->busy)))
        return;
    demo->shown = *sample;
    printf("  %9" PRId64 " ms  ", process_now_ms() - demo->began_ms);
    for (unsigned i = 0; i < WORKERS; i++) {
        snprintf(cell, sizeof(cell), "%" PRIu32 "/%" PRIu32 "%s", sample->granted[i], sample->busy[i],
                 demo->workers[i].stopped ? "*" : "");
        printf("%10s", sample->granted[i] || demo->workers[i].stopped ? cell : "-");
    }
    printf("%8" PRIu32 "  %4.1f MiB\n", sample->memories, (double)sample->resident_bytes / (1 << 20));
    fflush(stdout);
}

static bool look(struct Demo *demo, struct Sample *samplep) {
    if (!watch_look(&demo->watch, samplep))
        return false;
    demo->looks++;
    demo->most = samplep->memories > demo->most ? samplep->memories : demo->most;
    demo->most = samplep->instances > demo->most ? samplep->instances : demo->most;
    demo->most = samplep->most > demo->most ? samplep->most : demo->most;
    if (samplep->resident_bytes > demo->resident_bytes_most)
        demo->resident_bytes_most = samplep->resident_bytes;
    print_sample(demo, samplep);
    return true;
}

/* Look until what is resident is what `instances` touched: what was taken back is punched off the daemon's loop. */
static bool look_settled(struct Demo *demo, uint32_t instances, struct Sample *samplep) {
    int64_t deadline = process_now_ms() + SETTLE_MS_MAX;

    while (watch_look(&demo->watch, samplep) && samplep->resident_bytes != bytes_of(instances) && !interrupted &&
           process_now_ms() < deadline)
        process_pause_ms(20);
    return look(demo, samplep);
}

/* ------------------------------------------------------------------------------------------------ orders */

/* Look on until the answer is there. */
static bool await(struct Demo *demo, unsigned number, struct Answer *answerp, bool looking) {
    int64_t deadline = process_now_ms() + ANSWER_MS_MAX;
    struct Sample sample;

    while (!interrupted && process_now_ms() < deadline) {
        int r = worker_answer(&demo->workers[number], answerp, 15);

        if (r)
            return r > 0 || check(demo, false, "worker %u answers: %s", number, strerror(-r));
        if (looking)
            look(demo, &sample);
    }
    return interrupted ? false : check(demo, false, "worker %u answers in time", number);
}

static bool obey(struct Demo *demo, unsigned number, enum OrderKind kind, uint32_t instances, struct Answer *answerp) {
    return worker_order(&demo->workers[number], kind, instances) && await(demo, number, answerp, kind == ORDER_BURST);
}

static bool start_workers(struct Demo *demo) {
    struct Answer answer;

    for (unsigned i = 0; i < WORKERS; i++) {
        int r = worker_start(&demo->workers[i], i, demo->address);

        if (r)
            return check(demo, false, "worker %u starts: %s", i, strerror(-r));
        demo->watch.pids[i] = demo->workers[i].pid;
        demo->watch.n_pids = i + 1;
        if (!obey(demo, i, ORDER_OPEN, 0, &answer))
            return false;
        if (answer.result)
            return check(demo, false, "worker %u connects: %s", i, answer.message);
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ one bursts */

/* How long each was on a processor, 0 where that is not known. */
struct Ran {
    uint64_t ns[WORKERS];
};

static void ran_note(const struct Demo *demo, struct Ran *ran) {
    for (unsigned i = 0; i < WORKERS; i++)
        if (!worker_ran_ns(&demo->workers[i], &ran->ns[i]))
            ran->ns[i] = 0;
}

static bool others_ran(const struct Ran *before, const struct Ran *after, unsigned burster) {
    for (unsigned i = 0; i < WORKERS; i++)
        if (i != burster && before->ns[i] != after->ns[i])
            return true;
    return false;
}

/* `stopped` is who holds the slots; `burster` itself: nobody is stopped. */
static void burst(struct Demo *demo, unsigned burster, unsigned stopped) {
    struct Sample before, after;
    struct Answer answer;
    struct Ran ran_before, ran_after;
    bool was_stopped = true;
    char head[80];

    snprintf(head, sizeof(head), "worker %u bursts%s", burster, stopped == burster ? "" : " (* is stopped)");
    print_head(demo, head);
    if (stopped != burster && !check(demo, worker_stop(&demo->workers[stopped]), "worker %u is stopped", stopped))
        return;
    if (!check(demo, look(demo, &before), "wasmpoolctl answers"))
        return;
    ran_note(demo, &ran_before);
    if (!obey(demo, burster, ORDER_BURST, BURST_INSTANCES_MAX, &answer))
        return;
    if (stopped != burster)
        was_stopped = worker_is_stopped(&demo->workers[stopped]);
    ran_note(demo, &ran_after);
    if (!look_settled(demo, BURST_INSTANCES_MAX, &after))
        return;
    check(demo, !answer.result && answer.held == BURST_INSTANCES_MAX,
          "worker %u has %" PRIu32 " instances, after %" PRIu32 " ms%s%s", burster, answer.held, answer.us / 1000,
          answer.result ? ": " : "", answer.message);
    check(demo, !answer.dirty, "all of their pages were empty (%" PRIu32 " were not)", answer.dirty);
    check(demo, after.granted[burster] == BURST_INSTANCES_MAX && after.listed == BURST_INSTANCES_MAX,
          "worker %u is listed with %" PRIu32 " of %" PRIu32 " memories", burster, after.granted[burster],
          after.listed);
    check(demo, after.resident_bytes == bytes_of(answer.held),
          "%" PRIu64 " bytes are resident: what it touched, %" PRIu64, after.resident_bytes, bytes_of(answer.held));
    if (stopped != burster) {
        check(demo, was_stopped && before.granted[stopped] == BURST_INSTANCES_MAX && !after.granted[stopped],
              "worker %u had %" PRIu32 " memories and has %" PRIu32 ", and was stopped all the time", stopped,
              before.granted[stopped], after.granted[stopped]);
        check(demo, worker_continue(&demo->workers[stopped]), "worker %u goes on", stopped);
    }
    if (ran_before.ns[burster])
        check(demo, !others_ran(&ran_before, &ran_after, burster), "nobody else ran for as much as a nanosecond");
    else
        printf("not checked: whether others ran; the kernel has no schedstat\n");
    check(demo, obey(demo, burster, ORDER_RELEASE, 0, &answer) && !answer.held, "worker %u gave all back", burster);
}

/* ------------------------------------------------------------------------------------------------ two at once */

static bool is_half(uint32_t n) {
    return n >= BURST_INSTANCES_MAX / 2 - 1 && n <= BURST_INSTANCES_MAX / 2 + 1;
}

/* Look until both have had their half for some looks in a row. */
static bool look_fair(struct Demo *demo, unsigned one, unsigned other) {
    int64_t deadline = process_now_ms() + FAIR_MS_MAX;
    struct Sample sample;
    unsigned fair = 0;

    while (fair < FAIR_LOOKS && !interrupted && process_now_ms() < deadline && look(demo, &sample)) {
        fair = is_half(sample.granted[one]) && is_half(sample.granted[other]) ? fair + 1 : 0;
        process_pause_ms(50);
    }
    return fair == FAIR_LOOKS;
}

/* One has everything, and gives one back for each that it gets, as a busy server does; then another wants everything
 * too. */
static void burst_both(struct Demo *demo, unsigned one, unsigned other) {
    struct Answer answers[2];
    struct Sample sample;
    uint32_t held;
    char head[80];

    snprintf(head, sizeof(head), "workers %u and %u want everything", one, other);
    print_head(demo, head);
    if (!obey(demo, one, ORDER_BURST, BURST_INSTANCES_MAX, &answers[0]) ||
        !worker_order(&demo->workers[one], ORDER_GREED, BURST_INSTANCES_MAX) ||
        !worker_order(&demo->workers[other], ORDER_GREED, BURST_INSTANCES_MAX))
        return;
    check(demo, look_fair(demo, one, other), "workers %u and %u have half of the %d memories each", one, other,
          BURST_INSTANCES_MAX);
    /* Anything ends greed: each then holds what it has. */
    if (!worker_order(&demo->workers[one], ORDER_BURST, 0) || !worker_order(&demo->workers[other], ORDER_BURST, 0))
        return;
    for (int i = 0; i < 4; i++)
        if (!await(demo, i % 2 ? other : one, &answers[i % 2], false) || answers[i % 2].result) {
            check(demo, false, "worker %u goes on: %s", i % 2 ? other : one, answers[i % 2].message);
            return;
        }
    held = answers[0].held + answers[1].held;
    if (!look_settled(demo, held, &sample))
        return;
    check(demo, sample.busy[one] == answers[0].held && sample.busy[other] == answers[1].held,
          "they hold %" PRIu32 " and %" PRIu32 " instances, and are listed with %" PRIu32 " and %" PRIu32
          " busy memories",
          answers[0].held, answers[1].held, sample.busy[one], sample.busy[other]);
    check(demo, sample.resident_bytes >= bytes_of(held) && sample.resident_bytes <= bytes_of(sample.memories),
          "%" PRIu64 " bytes are resident: what is in use, %" PRIu64 ", or kept warm", sample.resident_bytes,
          bytes_of(held));
}

/* ------------------------------------------------------------------------------------------------ all of it */

static bool answers(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool connected;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    connected = fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address));
    if (fd >= 0)
        close(fd);
    return connected;
}

static bool start_daemon(struct Demo *demo) {
    static char memories[32], instances[32];
    char program[PATH_BYTES];
    const char *argv[] = {program, "--runtime-dir", demo->dir, "--set", memories, "--set", instances, NULL};
    int64_t deadline = process_now_ms() + READY_MS_MAX;

    snprintf(program, sizeof(program), "%s/wasmpoold", demo->bin);
    snprintf(memories, sizeof(memories), "total_memories=%d", BURST_INSTANCES_MAX);
    snprintf(instances, sizeof(instances), "total_core_instances=%d", BURST_INSTANCES_MAX);
    if (process_start(&demo->daemon, argv, &(struct ProcessFiles){.errors = demo->log}))
        return check(demo, false, "wasmpoold starts");
    while (!answers(demo->socket)) {
        if (process_ended(&demo->daemon) || process_now_ms() > deadline || interrupted)
            return check(demo, false, "wasmpoold answers on its socket");
        process_pause_ms(5);
    }
    return true;
}

static void check_whole(struct Demo *demo) {
    printf("\n== all in all\n");
    check(demo, demo->most == BURST_INSTANCES_MAX,
          "never more than %d memories or instances were granted, in %" PRIu32
          " looks and by the daemon's own count: %" PRIu32,
          BURST_INSTANCES_MAX, demo->looks, demo->most);
    check(demo, demo->resident_bytes_most <= bytes_of(BURST_INSTANCES_MAX) * 5 / 4,
          "at most %.1f MiB were resident; one burst takes %.1f MiB, %d pools of their own would keep %.1f MiB",
          (double)demo->resident_bytes_most / (1 << 20), (double)bytes_of(BURST_INSTANCES_MAX) / (1 << 20), WORKERS,
          (double)bytes_of(BURST_INSTANCES_MAX) * WORKERS / (1 << 20));
}

static void check_ends(struct Demo *demo) {
    int64_t deadline = process_now_ms() + SETTLE_MS_MAX;
    struct Sample sample = {0};
    bool left = true;

    for (unsigned i = 0; i < WORKERS; i++)
        left &= worker_leave(&demo->workers[i]);
    check(demo, left, "all workers ended well");
    while (watch_look(&demo->watch, &sample) && (sample.memories || sample.instances || sample.resident_bytes) &&
           process_now_ms() < deadline && !interrupted)
        process_pause_ms(10);
    check(demo, !sample.memories && !sample.instances && !sample.resident_bytes,
          "nothing is granted any more and nothing is resident (%" PRIu32 " memories, %" PRIu64 " bytes)",
          sample.memories, sample.resident_bytes);
    process_stop(&demo->daemon);
    check(demo, process_succeeded(&demo->daemon), "wasmpoold ended well");
}

static void demonstrate(struct Demo *demo) {
    if (!start_daemon(demo) || !start_workers(demo))
        return;
    printf("one wasmpoold with %d memories; %d workers, which take instances of %d wasm pages and touch %d pages of "
           "each\n",
           BURST_INSTANCES_MAX, WORKERS, BURST_WASM_PAGES, BURST_TOUCHED_PAGES);
    for (unsigned i = 0; i <= WORKERS && !interrupted && !demo->failed; i++)
        burst(demo, i % WORKERS, i ? i - 1 : 0);
    if (!interrupted && !demo->failed)
        burst_both(demo, 2, 4);
    if (interrupted || demo->failed)
        return;
    check_whole(demo);
    check_ends(demo);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

static void print_log(const char *path) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;

    printf("the daemon's log:\n");
    while (file && getline(&line, &size, file) >= 0)
        printf("  %s", line);
    free(line);
    if (file)
        fclose(file);
}

static void handle_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static bool prepare(struct Demo *demo, const char *bin) {
    demo->bin = realpath(bin, NULL);
    if (!demo->bin || !mkdtemp(demo->dir)) {
        fprintf(stderr, "burst-demo: %s: %s\n", demo->bin ? demo->dir : bin, strerror(errno));
        free(demo->bin);
        return false;
    }
    demo->began_ms = process_now_ms();
    snprintf(demo->ctl, sizeof(demo->ctl), "%s/wasmpoolctl", demo->bin);
    snprintf(demo->errors, sizeof(demo->errors), "%s/wasmpoolctl.log", demo->dir);
    snprintf(demo->log, sizeof(demo->log), "%s/wasmpoold.log", demo->dir);
    snprintf(demo->socket, sizeof(demo->socket), "%s/wasmpool.sock", demo->dir);
    snprintf(demo->address, sizeof(demo->address), "unix:%s", demo->socket);
    demo->watch = (struct Watch){.ctl = demo->ctl, .runtime_dir = demo->dir, .errors = demo->errors};
    return true;
}

int main(int argc, char **argv) {
    static struct Demo demo = {.dir = "/tmp/wasmpool-burst-XXXXXX"};

    if (argc != 2) {
        fputs("usage: burst-demo BIN\n", stderr);
        return 2;
    }
    handle_signals();
    if (!prepare(&demo, argv[1]))
        return 1;
    demonstrate(&demo);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_end(&demo.workers[i]);
    process_stop(&demo.daemon);
    if (demo.failed && !interrupted)
        print_log(demo.log);
    free(demo.bin);
    if (nftw(demo.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS))
        check(&demo, false, "%s is removed", demo.dir);
    printf("\ndemo-burst: %s\n", interrupted ? "interrupted" : demo.failed ? "FAILED" : "all checks passed");
    return demo.failed || interrupted;
}
