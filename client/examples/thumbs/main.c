/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* wasmpool-thumbs: PNG thumbnails of untrusted images, each decoded in a WebAssembly sandbox of its own. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/examples/thumbs/supervisor.h"
#include "client/examples/thumbs/thumb.h"

#define EXIT_USAGE 2
/* More worker processes than anyone's machine has use for. */
#define WORKERS_MAX 1024
/* 4 bytes each, and decoders hold an image up to three times: within the guest's 1 GiB. */
#define PIXELS_MAX_MAX (64U << 20)
#define PIXELS_MAX_DEFAULT (16U << 20)
#define MS_MAX (24U * 3600 * 1000)

static const char usage[] =
    "usage: wasmpool-thumbs [OPTION]... PATH...\n"
    "Make PNG thumbnails of PNG, JPEG, GIF and BMP files, each in a fresh WebAssembly sandbox.\n"
    "A PATH may be a directory.\n"
    "\n"
    "  -w, --workers N       worker processes (default: 4)\n"
    "  -a, --address A       the pool: embedded: (each worker has its own), unix:PATH or unix: (wasmpoold's)\n"
    "                        (default: $WASMPOOL_ADDRESS, or embedded:)\n"
    "  -s, --size S          longer side of a thumbnail in pixels (default: 160, at most 4096)\n"
    "  -o, --out DIR         where thumbnails go; made if missing (default: thumbnails)\n"
    "      --verify          decode each image again natively and count thumbnails that differ\n"
    "                        (only for images that you trust)\n"
    "      --timeout MS      time for one image in its sandbox (default: 10000)\n"
    "      --patience MS     give up when no worker got a sandbox for so long (default: 30000)\n"
    "      --pixels-max N    reject images of more pixels before decoding them (default: 16777216)\n"
    "      --json[=FILE]     print the result as JSON in place of the table, or write it to FILE besides\n"
    "      --audit FILE      for each sandbox write the mappings that its memory and table lie in\n"
    "      --hold            at the end keep the workers until the standard input ends, for those who inspect\n"
    "  -q, --quiet           no progress, and no line for an image that is not done\n"
    "  -h, --help            print this\n"
    "  -V, --version         print the version\n"
    "\n"
    "Exit status: 0 when every image was handled (also by rejecting it), 1 on failures and differences,\n"
    "2 on wrong usage.\n";

enum { OPT_VERIFY = 256, OPT_TIMEOUT, OPT_PATIENCE, OPT_PIXELS_MAX, OPT_JSON, OPT_AUDIT, OPT_HOLD };

static const struct option options[] = {
    {"workers", required_argument, NULL, 'w'},
    {"address", required_argument, NULL, 'a'},
    {"size", required_argument, NULL, 's'},
    {"out", required_argument, NULL, 'o'},
    {"verify", no_argument, NULL, OPT_VERIFY},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {"pixels-max", required_argument, NULL, OPT_PIXELS_MAX},
    {"json", optional_argument, NULL, OPT_JSON},
    {"audit", required_argument, NULL, OPT_AUDIT},
    {"hold", no_argument, NULL, OPT_HOLD},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static _Noreturn void usage_error(const char *what, const char *value) {
    fprintf(stderr, "wasmpool-thumbs: %s%s%s\nTry 'wasmpool-thumbs --help'.\n", what, value ? ": " : "",
            value ? value : "");
    exit(EXIT_USAGE);
}

static uint32_t number(const char *option, const char *text, uint32_t max) {
    char what[128], *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || !value || value > max) {
        snprintf(what, sizeof(what), "--%s takes a number from 1 to %u", option, max);
        usage_error(what, text);
    }
    return (uint32_t)value;
}

static void parse_option(struct Settings *settings, int option) {
    switch (option) {
    case 'w':
        settings->workers = number("workers", optarg, WORKERS_MAX);
        break;
    case 'a':
        settings->address = optarg;
        break;
    case 's':
        settings->box = number("size", optarg, THUMB_BOX_MAX);
        break;
    case 'o':
        settings->out = optarg;
        break;
    case OPT_VERIFY:
        settings->verify = true;
        break;
    case OPT_TIMEOUT:
        settings->timeout_ms = number("timeout", optarg, MS_MAX);
        break;
    case OPT_PATIENCE:
        settings->patience_ms = number("patience", optarg, MS_MAX);
        break;
    case OPT_PIXELS_MAX:
        settings->pixels_max = number("pixels-max", optarg, PIXELS_MAX_MAX);
        break;
    case OPT_JSON:
        settings->json = optarg ? optarg : "-";
        break;
    case OPT_AUDIT:
        settings->audit = optarg;
        break;
    case OPT_HOLD:
        settings->hold = true;
        break;
    case 'q':
        settings->quiet = true;
        break;
    case 'h':
        fputs(usage, stdout);
        exit(EXIT_SUCCESS);
    case 'V':
        puts("wasmpool-thumbs " WASMPOOL_VERSION);
        exit(EXIT_SUCCESS);
    default: /* getopt has said what is wrong */
        fputs("Try 'wasmpool-thumbs --help'.\n", stderr);
        exit(EXIT_USAGE);
    }
}

static void parse(struct Settings *settings, int argc, char **argv) {
    int option;

    while ((option = getopt_long(argc, argv, "w:a:s:o:qhV", options, NULL)) >= 0)
        parse_option(settings, option);
    if (optind == argc)
        usage_error("no PATH given", NULL);
    if (strlen(settings->out) > PATH_MAX - NAME_MAX - 2)
        usage_error("--out is too long", NULL);
}

/* All images, or it exits: nothing has begun yet. */
static void find_images(struct Images *images, const struct Settings *settings, char **paths) {
    struct stat out;
    int r;

    if (mkdir(settings->out, 0777) && errno != EEXIST)
        usage_error(strerror(errno), settings->out);
    if (stat(settings->out, &out))
        usage_error(strerror(errno), settings->out);
    if (!S_ISDIR(out.st_mode))
        usage_error(strerror(ENOTDIR), settings->out);
    for (; *paths; paths++) {
        r = images_add(images, *paths, &out);
        if (r)
            usage_error(strerror(-r), *paths);
    }
    if (!images->count)
        usage_error("no png, jpg, jpeg, gif or bmp file there", NULL);
}

static int tell(struct Report *report, const struct Settings *settings) {
    int r;

    if (!settings->json || strcmp(settings->json, "-"))
        report_table(report, settings, stdout);
    if (!settings->json)
        return 0;
    r = report_json(report, settings);
    if (r)
        report_say(report, "cannot write %s: %s", settings->json, strerror(-r));
    return r;
}

static int run(const struct Settings *settings, struct Images *images, int *signalp) {
    struct Supervisor supervisor;
    struct Report report;
    int r, status;

    report_init(&report, images->count);
    r = supervisor_init(&supervisor, settings, images, &report);
    if (r) {
        report_say(&report, "cannot start: %s", strerror(-r));
        status = 1;
    } else {
        status = supervisor_run(&supervisor);
        if (tell(&report, settings) || report.differ || report.unverified || report.outcomes[OUTCOME_UNREADABLE])
            status = 1;
        if (settings->hold && !supervisor.signal && !supervisor.failed)
            supervisor_hold(&supervisor);
    }
    supervisor_deinit(&supervisor);
    report_deinit(&report);
    *signalp = supervisor.signal;
    return status;
}

int main(int argc, char **argv) {
    struct Settings settings = {.workers = 4,
                                .box = 160,
                                .pixels_max = PIXELS_MAX_DEFAULT,
                                .out = "thumbnails",
                                .timeout_ms = 10000,
                                .patience_ms = 30000};
    struct Images images = {0};
    int status, ended_by = 0;

    parse(&settings, argc, argv);
    find_images(&images, &settings, argv + optind);
    status = run(&settings, &images, &ended_by);
    images_deinit(&images);
    if (ended_by) {
        /* Die of it, so that the shell sees what happened. */
        sigset_t set;

        signal(ended_by, SIG_DFL);
        sigemptyset(&set);
        sigaddset(&set, ended_by);
        raise(ended_by);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    return status;
}
