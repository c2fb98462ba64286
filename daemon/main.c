/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* wasmpoold: see daemon/server.h. Exit status: 0, 1 when it cannot serve, 2 for a wrong configuration. */

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

static struct Server server;

static int main_check(struct Config *config) {
    config_print(config, stdout);
    config_deinit(config);
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int main_serve(struct Config *config, int argc, char **argv) {
    struct Error error = {0};

    log_init();
    log_set_level(config->level);
    signal(SIGPIPE, SIG_IGN);
#ifndef __SANITIZE_ADDRESS__ /* whose leak check looks at the process through ptrace */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    if (server_open(&server, config, argc, argv, &error)) {
        log_event(LOG_LEVEL_ERROR, "cannot-serve", "why=%s", error.message);
        config_deinit(config);
        return EXIT_FAILURE;
    }
    server_run(&server);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct Config config;
    struct Error error;

    if (config_load(&config, argc, argv, &error)) {
        fprintf(stderr, "wasmpoold: %s\n", error.message);
        return 2;
    }
    switch (config.action) {
    case CONFIG_HELP:
        config_print_help(stdout);
        return EXIT_SUCCESS;
    case CONFIG_VERSION:
        puts("wasmpoold " WASMPOOL_VERSION);
        return EXIT_SUCCESS;
    case CONFIG_CHECK:
        return main_check(&config);
    default:
        return main_serve(&config, argc, argv);
    }
}
