/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_DEMO_H
#define THUMBS_DEMO_H

/* The demonstration: its state, its checks, and the mishaps that it can arrange. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/examples/thumbs/demo-process.h"
#include "client/examples/thumbs/demo-watch.h"

enum Mishap { MISHAP_NONE, MISHAP_WORKER, MISHAP_DAEMON };

#define DEMO_WORKERS 4
#define DEMO_PATH_MAX (PATH_MAX / 2)

struct Demo {
    char *bin;       /* directory of the programs */
    char *gifs;      /* directory of the committed GIFs */
    enum Mishap mishap;
    unsigned limit;   /* total_memories of the daemon; 0: its default */
    char dir[64];     /* everything that is written lies here */
    struct Process daemon, thumbs;
    struct Watch watch;
    unsigned failed;
    /* The mishap, once it has happened. */
    bool happened;
    pid_t victim;
};

/* Prints "ok ..." or "FAILED ...", and counts. */
bool demo_check(struct Demo *demo, bool ok, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* DIR/name. Static, and good until the fourth call after. */
const char *demo_path(const struct Demo *demo, const char *name);
const char *demo_program(const struct Demo *demo, const char *name);

/* Was the demonstration interrupted? */
bool demo_interrupted(void);

/* Starts the private daemon and waits until it answers. False, and a failed check, when it does not. */
bool demo_daemon_start(struct Demo *demo);

/* Lets the mishap happen if its moment has come; called after each look at a run, whose files are called `run`. */
void mishap_step(struct Demo *demo, const char *run);

/* Called while wasmpool-thumbs holds its workers: what must be true although they live. */
void mishap_settle(struct Demo *demo);

/* Checks what it left. `report` is the run's. */
struct json_t;
void mishap_check(struct Demo *demo, struct json_t *report);

/* The lines of a file, and whether one of them holds `text`. */
uint64_t demo_file_lines(const char *path);
bool demo_file_has(const char *path, const char *text);

/* The checks of a finished run. `daemon`: it ran against the daemon, so that each mapping must be one of its slabs. */
void check_run(struct Demo *demo, const char *run, bool daemon);
void check_ledger(struct Demo *demo);

#endif
