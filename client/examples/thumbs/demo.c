/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* thumbs-demo [--kill worker|daemon] [--limit N] BIN GIFS: the demonstration of `make demo`. It makes images, runs
 * wasmpool-thumbs over them against a private wasmpoold, looks on with wasmpoolctl, runs the same without a daemon,
 * and checks what it saw. All that it writes lies in one directory, which is gone at the end, as are its processes. */

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/examples/thumbs/demo.h"

#define READY_MS_MAX 10000
/* Of one run, however slow the machine: then something hangs. */
#define RUN_MS_MAX 300000
/* An image's: only the one that loops for ever needs it. */
#define IMAGE_TIMEOUT "5000"
#define SAMPLE_PAUSE_MS 10

static volatile sig_atomic_t interrupted;

static void on_signal(int signal) {
    interrupted = signal;
}

bool demo_interrupted(void) {
    return interrupted;
}

bool demo_check(struct Demo *demo, bool ok, const char *format, ...) {
    va_list args;

    fputs(ok ? "ok     " : "FAILED ", stdout);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    demo->failed += !ok;
    return ok;
}

static const char *join(const char *dir, const char *name) {
    static char paths[4][DEMO_PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, DEMO_PATH_MAX, "%s/%s", dir, name);
    return path;
}

const char *demo_path(const struct Demo *demo, const char *name) {
    return join(demo->dir, name);
}

const char *demo_program(const struct Demo *demo, const char *name) {
    return join(demo->bin, name);
}

uint64_t demo_file_lines(const char *path) {
    FILE *file = fopen(path, "re");
    uint64_t lines = 0;
    int c;

    while (file && (c = getc(file)) != EOF)
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

bool demo_file_has(const char *path, const char *text) {
    FILE *file = fopen(path, "re");
    bool found = false;
    char *line = NULL;
    size_t size = 0;

    while (file && !found && getline(&line, &size, file) >= 0)
        found = strstr(line, text);
    free(line);
    if (file)
        fclose(file);
    return found;
}

static bool answers(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool connected;

    snprintf(address.sun_path, sizeof(address.sun_path), "%.*s", (int)sizeof(address.sun_path) - 1, path);
    connected = fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address));
    if (fd >= 0)
        close(fd);
    return connected;
}

bool demo_daemon_start(struct Demo *demo) {
    const char *argv[] = {demo_program(demo, "wasmpoold"), "--runtime-dir", demo->dir, NULL, NULL, NULL};
    char socket[DEMO_PATH_MAX], limit[64];
    int64_t deadline = process_now_ms() + READY_MS_MAX;

    snprintf(socket, sizeof(socket), "%s", demo_path(demo, "wasmpool.sock"));
    snprintf(limit, sizeof(limit), "total_memories=%u", demo->limit);
    if (demo->limit) {
        argv[3] = "--set";
        argv[4] = limit;
    }
    if (process_start(&demo->daemon, argv, &(struct ProcessFiles){.errors = demo_path(demo, "wasmpoold.log")}))
        return demo_check(demo, false, "wasmpoold starts");
    while (!answers(socket)) {
        if (process_ended(&demo->daemon) || process_now_ms() > deadline || interrupted)
            return demo_check(demo, false, "wasmpoold answers on its socket");
        process_pause_ms(5);
    }
    return true;
}

static bool start_thumbs(struct Demo *demo, const char *run, const char *address) {
    char out[64], audit[64], json[80], errors[64];
    const char *argv[] = {demo_program(demo, "wasmpool-thumbs"), "--workers", "4", "--address", address, "--timeout",
                          IMAGE_TIMEOUT, "--out", out, "--audit", audit, json, "--verify", "--hold", "images", NULL};

    /* All relative to the directory, in which we are. */
    snprintf(out, sizeof(out), "%s.out", run);
    snprintf(audit, sizeof(audit), "%s.audit", run);
    snprintf(json, sizeof(json), "--json=%s.json", run);
    snprintf(errors, sizeof(errors), "%s.log", run);
    return !process_start(&demo->thumbs, argv, &(struct ProcessFiles){.errors = errors, .input = true});
}

/* Until wasmpool-thumbs has reported: it then holds its workers, so that the last look sees each slab there is. */
static void watch_run(struct Demo *demo, const char *run, bool daemon) {
    int64_t deadline = process_now_ms() + RUN_MS_MAX;
    char json[64];

    snprintf(json, sizeof(json), "%s.json", run);
    while (!process_ended(&demo->thumbs) && access(demo_path(demo, json), F_OK) && !interrupted) {
        if (process_now_ms() > deadline) {
            demo_check(demo, false, "%s: wasmpool-thumbs ends in time", run);
            break;
        }
        if (daemon && watch_sample(&demo->watch, demo->limit ? 1 : DEMO_WORKERS))
            mishap_step(demo, run);
        process_pause_ms(SAMPLE_PAUSE_MS);
    }
    if (daemon && !interrupted) {
        watch_sample(&demo->watch, 0);
        mishap_settle(demo);
    }
    process_close_input(&demo->thumbs);
    process_wait(&demo->thumbs, READY_MS_MAX);
    process_stop(&demo->thumbs);
}

static void print_file(const char *title, const char *path) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;

    printf("%s:\n", title);
    while (file && getline(&line, &size, file) >= 0)
        printf("  %s", line);
    free(line);
    if (file)
        fclose(file);
}

static void run(struct Demo *demo, const char *name, const char *address, bool daemon) {
    char errors[64];

    printf("\n== %s: %d workers, %s\n", name, DEMO_WORKERS, address);
    if (!demo_check(demo, start_thumbs(demo, name, address), "%s: wasmpool-thumbs starts", name))
        return;
    watch_run(demo, name, daemon);
    if (interrupted)
        return;
    check_run(demo, name, daemon);
    if (daemon)
        check_ledger(demo);
    if (!daemon && !demo->failed)
        return; /* it said the same of the same images */
    snprintf(errors, sizeof(errors), "%s.log", name);
    print_file("what wasmpool-thumbs said meanwhile", demo_path(demo, errors));
}

static bool make_images(struct Demo *demo) {
    const char *argv[] = {demo_program(demo, "thumbs-images"), "images", demo->gifs, NULL};
    char *said = process_capture(argv, NULL);

    printf("== images: %s", said ? said : "none\n");
    free(said);
    return demo_check(demo, said, "images are made");
}

static void demonstrate(struct Demo *demo) {
    char address[DEMO_PATH_MAX];

    if (!make_images(demo) || interrupted || !demo_daemon_start(demo))
        return;
    snprintf(address, sizeof(address), "unix:%s", demo_path(demo, "wasmpool.sock"));
    run(demo, "daemon", address, true);
    process_stop(&demo->daemon);
    if (interrupted)
        return;
    demo_check(demo, process_succeeded(&demo->daemon), "wasmpoold ended well");
    if (demo->mishap || demo->limit)
        printf("\nnot run: the embedded allocator; KILL and LIMIT are about the daemon\n");
    else
        run(demo, "embedded", "embedded:", false);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

/* Absolute, since we are about to leave for another directory. */
static char *absolute(const char *path) {
    char *real = realpath(path, NULL);

    if (!real) {
        fprintf(stderr, "thumbs-demo: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    return real;
}

static void parse(struct Demo *demo, int argc, char **argv) {
    static const struct option options[] = {
        {"kill", required_argument, NULL, 'k'}, {"limit", required_argument, NULL, 'l'}, {0}};
    static const char usage[] = "usage: thumbs-demo [--kill worker|daemon] [--limit N] BIN GIFS\n";
    int option;
    bool ok = true;

    while (ok && (option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option == 'k' && !strcmp(optarg, "worker"))
            demo->mishap = MISHAP_WORKER;
        else if (option == 'k' && !strcmp(optarg, "daemon"))
            demo->mishap = MISHAP_DAEMON;
        else if (option == 'l')
            ok = (demo->limit = (unsigned)strtoul(optarg, NULL, 10)) > 0;
        else
            ok = false;
    }
    if (!ok || argc - optind != 2) {
        fputs(usage, stderr);
        exit(2);
    }
    demo->bin = absolute(argv[optind]);
    demo->gifs = absolute(argv[optind + 1]);
}

static void handle_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

int main(int argc, char **argv) {
    struct Demo demo = {.dir = "/tmp/wasmpool-demo-XXXXXX"};
    char ctl[DEMO_PATH_MAX], errors[DEMO_PATH_MAX];

    parse(&demo, argc, argv);
    handle_signals();
    if (!mkdtemp(demo.dir) || chdir(demo.dir)) {
        perror(demo.dir);
        return 1;
    }
    snprintf(ctl, sizeof(ctl), "%s", demo_program(&demo, "wasmpoolctl"));
    snprintf(errors, sizeof(errors), "%s", demo_path(&demo, "wasmpoolctl.log"));
    demo.watch = (struct Watch){.ctl = ctl, .runtime_dir = demo.dir, .errors = errors};
    demonstrate(&demo);
    process_stop(&demo.thumbs);
    process_stop(&demo.daemon);
    if (demo.failed && !interrupted)
        print_file("the daemon's log", demo_path(&demo, "wasmpoold.log"));
    watch_deinit(&demo.watch);
    free(demo.bin);
    free(demo.gifs);
    if (chdir("/") || nftw(demo.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS))
        demo_check(&demo, false, "%s is removed", demo.dir);
    printf("\ndemo: %s\n", interrupted ? "interrupted" : demo.failed ? "FAILED" : "all checks passed");
    return demo.failed || interrupted;
}
