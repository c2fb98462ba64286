/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/figures.h"
#include "tests/bench/picture.h"
#include "tests/bench/report.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bench: measure, print, and end with status 1 when something that must hold does not. The daemon's address comes from
 * with-daemon, in BENCH_ADDRESS. */

#define REPETITIONS 15
#define CAPACITY_REPETITIONS 5
#define PEERS_REPETITIONS 7
#define RESET_SHARE 2 /* of what has many rows there are so many times fewer repetitions */
#define GAIN_REPETITIONS_LEAST 7 /* where the machine is busy, wait for them: */
#define GAIN_ATTEMPTS_MOST 75    /* half a second each */

struct Bench {
    const char *program, *modules; /* bench-cycle; where the binaries lie */
    const char *json, *picture, *table;
    const char *no_wasmtime; /* why it is not there; NULL: it is, or was not asked for */
    unsigned repetitions;
    bool cycles, moves, versus, whole; /* which parts */
    bool beside;                       /* Wasmtime can be measured */
    struct Series series;
    struct Instances instances;
    struct Reset reset;
    struct Steady steady;
    struct Peers peers;
    struct Reading reading;
    struct Capacity capacity;
    struct Gallery gallery;
    struct Figures figures;
};

static bool one_processor(void) {
    cpu_set_t set;

    return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) < 2;
}

/* Returns whether it is one of those that thumbnails need. */
static bool set_gallery_option(struct Gallery *gallery, int option, const char *value) {
    switch (option) {
    case 't':
        gallery->programs[GALLERY_DAEMON] = value;
        return true;
    case 's':
        gallery->programs[GALLERY_STOCK] = value;
        return true;
    case 'i':
        gallery->make_images = value;
        return true;
    case 'g':
        gallery->gifs = value;
        return true;
    case 'f':
        gallery->fault_share = value;
        return true;
    default:
        return false;
    }
}

static void set_option(struct Bench *bench, int option, const char *value) {
    int n;

    switch (option) {
    case 'c':
        bench->program = value;
        break;
    case 'm':
        bench->modules = value;
        break;
    case 'C':
        bench->capacity.program = value;
        break;
    case 'w':
        bench->peers.wasmtime = value;
        break;
    case 'W':
        bench->no_wasmtime = *value ? value : NULL;
        break;
    case 'o':
        bench->cycles = !strcmp(value, "cycles");
        bench->versus = !strcmp(value, "peers");
        bench->moves = !strcmp(value, "capacity");
        bench->whole = !strcmp(value, "thumbs");
        break;
    case 'j':
        bench->json = value;
        break;
    case 'p':
        bench->picture = value;
        break;
    case 'b':
        bench->table = value;
        break;
    case 'r':
        n = atoi(value);
        bench->repetitions = n < 1 ? 1 : n > SAMPLE_MAX ? SAMPLE_MAX : (unsigned)n;
        break;
    default:
        if (!set_gallery_option(&bench->gallery, option, value))
            exit(2);
    }
}

/* What each part wants to know of it. */
static void hand_out(struct Bench *bench) {
    const char *address = getenv("BENCH_ADDRESS"), *daemon = getenv("BENCH_DAEMON_PID");
    bool one = one_processor();

    bench->series.program = bench->instances.program = bench->reset.program = bench->steady.program =
        bench->peers.program = bench->reading.program = bench->capacity.cycle = bench->gallery.cycle = bench->program;
    bench->series.address = bench->instances.address = bench->reset.address = bench->steady.address =
        bench->peers.address = bench->capacity.address = bench->gallery.address = address;
    bench->instances.modules = bench->reset.modules = bench->steady.modules = bench->peers.modules =
        bench->reading.modules = bench->capacity.modules = bench->modules;
    bench->series.one_processor = bench->steady.one_processor = bench->peers.one_processor =
        bench->capacity.one_processor = one;
    bench->peers.daemon = daemon ? atoi(daemon) : 0;
    bench->versus = bench->versus && bench->peers.wasmtime;
    bench->beside = bench->versus && !bench->no_wasmtime;
}

static bool is_complete(const struct Bench *bench) {
    const struct Gallery *gallery = &bench->gallery;

    return bench->program && bench->series.address && bench->modules && bench->capacity.program &&
           gallery->programs[GALLERY_DAEMON] && gallery->programs[GALLERY_STOCK] && gallery->make_images &&
           gallery->gifs && gallery->fault_share && (bench->cycles || bench->moves || bench->versus || bench->whole);
}

static void parse(struct Bench *bench, int argc, char **argv) {
    static const struct option options[] = {
        {"cycle", required_argument, NULL, 'c'},
        {"modules", required_argument, NULL, 'm'},
        {"capacity", required_argument, NULL, 'C'},
        {"wasmtime", required_argument, NULL, 'w'},
        {"wasmtime-skipped", required_argument, NULL, 'W'},
        {"only", required_argument, NULL, 'o'},
        {"json", required_argument, NULL, 'j'},
        {"picture", required_argument, NULL, 'p'},
        {"table", required_argument, NULL, 'b'},
        {"repetitions", required_argument, NULL, 'r'},
        {"thumbs", required_argument, NULL, 't'},
        {"thumbs-stock", required_argument, NULL, 's'},
        {"thumbs-images", required_argument, NULL, 'i'},
        {"gifs", required_argument, NULL, 'g'},
        {"fault-share", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        set_option(bench, option, optarg);
    hand_out(bench);
    if (!is_complete(bench)) {
        fprintf(stderr, "usage: with-daemon DAEMON -- bench --cycle BENCH-CYCLE --modules DIRECTORY "
                        "--capacity BENCH-CAPACITY --thumbs WASMPOOL-THUMBS --thumbs-stock BENCH-THUMBS-STOCK "
                        "--thumbs-images THUMBS-IMAGES --gifs DIRECTORY --fault-share FAULT-SHARE.SH "
                        "[--wasmtime BENCH-WASMTIME [--wasmtime-skipped REASON]] "
                        "[--only cycles|peers|capacity|thumbs] [--json FILE] [--picture FILE] [--table FILE] "
                        "[--repetitions N]\n");
        exit(2);
    }
}

static int repeat(struct Bench *bench) {
    unsigned attempts = 0, enough;
    int r = 0;

    for (unsigned i = 0; i < bench->repetitions && !r; i++) {
        r = series_repeat(&bench->series, i);
        if (!r)
            r = instances_repeat(&bench->instances, i);
        if (!r && i % RESET_SHARE == 0)
            r = reset_repeat(&bench->reset, i / RESET_SHARE);
        if (!r && i % RESET_SHARE == 0)
            r = steady_repeat(&bench->steady, i / RESET_SHARE);
        if (!r)
            r = reading_repeat(&bench->reading);
        if (!r && !bench->series.one_processor)
            r = series_repeat_gain(&bench->series);
    }
    enough = bench->repetitions < GAIN_REPETITIONS_LEAST ? bench->repetitions : GAIN_REPETITIONS_LEAST;
    while (!r && !bench->series.one_processor && bench->series.gain_ratio.n < enough && attempts++ < GAIN_ATTEMPTS_MOST)
        r = series_repeat_gain(&bench->series);
    return r;
}

static unsigned at_most(const struct Bench *bench, unsigned repetitions) {
    return bench->repetitions < repetitions ? bench->repetitions : repetitions;
}

static int measure_cycles(struct Bench *bench) {
    int r = repeat(bench);

    if (r)
        return r;
    figures_add_timed(&bench->figures, &bench->series);
    figures_add_reset(&bench->figures, &bench->reset);
    figures_add_steady(&bench->figures, &bench->steady);
    figures_add_reading(&bench->figures, &bench->reading);
    figures_add_counted(&bench->figures, &bench->series);
    return 0;
}

static int measure(struct Bench *bench) {
    int r = bench->cycles ? measure_cycles(bench) : 0;

    if (r)
        return r;
    if (bench->no_wasmtime)
        figures_add(&bench->figures, FIGURE_SKIPPED, 0, 0, "beside Wasmtime: %s", bench->no_wasmtime);
    if (bench->beside) {
        r = peers_repeat(&bench->peers, at_most(bench, PEERS_REPETITIONS));
        if (r)
            return r;
        figures_add_peers(&bench->figures, &bench->peers);
    }
    if (bench->moves) {
        capacity_repeat(&bench->capacity, at_most(bench, CAPACITY_REPETITIONS));
        figures_add_capacity(&bench->figures, &bench->capacity);
    }
    if (bench->whole) {
        r = gallery_repeat(&bench->gallery, bench->repetitions);
        if (r)
            return r;
        figures_add_gallery(&bench->figures, &bench->gallery);
    }
    return 0;
}

static int say_unwritten(int r, const char *path) {
    if (r)
        fprintf(stderr, "bench: %s: %s\n", path, strerror(-r));
    return r;
}

static int write_files(const struct Bench *bench, const struct Report *report) {
    int r = bench->json ? say_unwritten(report_json(report, bench->json), bench->json) : 0;

    if (!r && bench->picture && bench->beside)
        r = say_unwritten(picture_write(&bench->peers, bench->picture), bench->picture);
    if (!r && bench->table && bench->beside)
        r = say_unwritten(picture_write_table(&bench->peers, bench->table), bench->table);
    return r;
}

int main(int argc, char **argv) {
    static struct Bench bench = {
        .repetitions = REPETITIONS, .cycles = true, .moves = true, .versus = true, .whole = true};
    struct Report report = {
        .series = &bench.series,
        .instances = &bench.instances,
        .reset = &bench.reset,
        .steady = &bench.steady,
        .peers = &bench.peers,
        .reading = &bench.reading,
        .capacity = &bench.capacity,
        .gallery = &bench.gallery,
        .figures = &bench.figures,
    };
    int r, missed = 0;

    parse(&bench, argc, argv);
    r = measure(&bench);
    if (r) {
        fprintf(stderr, "bench: a measurement failed: %s\n", strerror(-r));
        return 2;
    }
    report.cycles = bench.cycles;
    report.moves = bench.moves;
    report.versus = bench.beside;
    report.whole = bench.whole;
    report_text(&report);
    if (write_files(&bench, &report))
        return 2;
    for (unsigned i = 0; i < bench.figures.n; i++)
        missed += bench.figures.at[i].outcome == FIGURE_MISSED || bench.figures.at[i].outcome == FIGURE_FAILED;
    return missed ? 1 : 0;
}
