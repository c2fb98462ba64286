/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* wasmpoolctl: asks a running wasmpoold, and changes its limits. Exit status: 0, 1 when the daemon cannot be asked or
 * refuses, 2 for wrong usage. */

#include "client/channel.h"
#include "client/ctl/images.h"
#include "client/ctl/limit.h"
#include "client/ctl/list.h"
#include "client/ctl/status.h"
#include "client/ctl/usage.h"
#include "shared/limits.h"
#include "shared/paths.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define COMMAND_NAMES "status, list, users, clients, images or limit"
#define TIMEOUT_MS_DEFAULT 5000
#define TIMEOUT_MS_MAX (24 * 3600 * 1000)

struct Command {
    const char *name, *meaning;
    int (*show)(struct Channel *channel, bool json, struct wasmpool_error *error);
};

static const struct Command commands[] = {
    {"status", "how the daemon is: use, limits, and what the kernel can", status_show},
    {"list", "which process holds which slot", list_show},
    {"users", "what each user has, is due and may have", usage_show_users},
    {"clients", "the same for each connection", usage_show_clients},
    {"images", "the initial contents of memories that processes share", images_show},
    {"limit", "the limits and quotas in force; with NAME=VALUE...: change them", limit_show},
};
#define COMMANDS_N (sizeof(commands) / sizeof(commands[0]))

struct Options {
    const char *socket, *runtime_dir;
    const struct Command *command;
    struct LimitChanges changes;
    uint32_t timeout_ms;
    bool json;
};

static const struct option options_known[] = {
    {"socket", required_argument, NULL, 's'},
    {"runtime-dir", required_argument, NULL, 'r'},
    {"timeout", required_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'},
    {"users", no_argument, NULL, 'U'},
    {"user", required_argument, NULL, 'u'},
    {"clients", no_argument, NULL, 'C'},
    {"client", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
};

static void help_print(void) {
    printf("usage: wasmpoolctl [option]... COMMAND\n"
           "       wasmpoolctl [option]... limit [--users | --user USER | --clients | --client CONNECTION] "
           "NAME=VALUE...\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS_N; i++)
        printf("  %-20s %s\n", commands[i].name, commands[i].meaning);
    printf("\nOptions:\n"
           "  --json               print JSON\n"
           "  --socket PATH        the administration socket (also WASMPOOL_ADMIN_SOCKET)\n"
           "  --runtime-dir DIR    the directory that " PATHS_ADMIN " lies in (also WASMPOOL_RUNTIME_DIR)\n"
           "  --timeout MS         how long to wait for an answer (%d)\n"
           "  --users              with limit: the quota of each user that has none of its own\n"
           "  --user USER          with limit: the quota of this one, a name or a uid\n"
           "  --clients            with limit: the quota of each connection that has none of its own\n"
           "  --client CONNECTION  with limit: the quota of this one, as long as it lasts\n"
           "  --help, --version\n\n"
           "Changes hold until wasmpoold reads its configuration again.\n",
           TIMEOUT_MS_DEFAULT);
}

static int usage_error(const char *format, const char *what) {
    fprintf(stderr, "wasmpoolctl: ");
    fprintf(stderr, format, what);
    fprintf(stderr, "\ntry: wasmpoolctl --help\n");
    return EXIT_USAGE;
}

static int options_set_timeout(struct Options *options, const char *text) {
    uint64_t ms;

    if (limits_parse_number(text, &ms) || !ms || ms > TIMEOUT_MS_MAX)
        return usage_error("--timeout: '%s' is not a number of milliseconds, like 5000", text);
    options->timeout_ms = (uint32_t)ms;
    return 0;
}

/* Whose limit is meant; `who` is the option's value, or NULL. */
static int options_set_scope(struct Options *options, Wasmpool__LimitScope scope, const char *who) {
    struct LimitChanges *changes = &options->changes;

    if (changes->scope != WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL)
        return usage_error("say one of %s", "--users, --user, --clients and --client");
    changes->scope = scope;
    if (scope == WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USER && limit_find_uid(who, &changes->id))
        return usage_error("there is no user '%s'", who);
    if (scope == WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENT && limits_parse_number(who, &changes->id))
        return usage_error("--client: '%s' is not the number of a connection; wasmpoolctl clients shows them", who);
    return 0;
}

/* What stands behind the command. */
static int options_set_changes(struct Options *options, int argc, char **argv) {
    struct LimitChanges *changes = &options->changes;

    changes->pairs = &argv[optind + 1];
    changes->n_pairs = (size_t)(argc - optind - 1);
    if (options->command->show != limit_show && changes->scope != WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL)
        return usage_error("%s go with limit", "--users, --user, --clients and --client");
    if (options->command->show != limit_show && changes->n_pairs)
        return usage_error("'%s' is too much: there is one command at a time", changes->pairs[0]);
    if (!changes->n_pairs && changes->scope != WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL)
        return usage_error("say what to set, like %s; without --users, --user, --clients and --client all is shown",
                           "memories_max=100");
    for (size_t i = 0; i < changes->n_pairs; i++)
        if (!strchr(changes->pairs[i], '=') || changes->pairs[i][0] == '=')
            return usage_error("'%s' is not NAME=VALUE, like total_memories=100", changes->pairs[i]);
    return 0;
}

static int options_set_command(struct Options *options, int argc, char **argv) {
    if (optind == argc)
        return usage_error("say what to do: %s", COMMAND_NAMES);
    for (size_t i = 0; i < COMMANDS_N; i++)
        if (!strcmp(argv[optind], commands[i].name))
            options->command = &commands[i];
    if (!options->command)
        return usage_error("there is no command '%s', only " COMMAND_NAMES, argv[optind]);
    return options_set_changes(options, argc, argv);
}

/* 0, EXIT_USAGE, or -1 when all is done already. */
static int options_parse(struct Options *options, int argc, char **argv) {
    int option, r = 0;

    opterr = 0;
    while (!r && (option = getopt_long(argc, argv, ":", options_known, NULL)) != -1) {
        switch (option) {
        case 's':
            options->socket = optarg;
            break;
        case 'r':
            options->runtime_dir = optarg;
            break;
        case 't':
            r = options_set_timeout(options, optarg);
            break;
        case 'j':
            options->json = true;
            break;
        case 'U':
            r = options_set_scope(options, WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USERS, NULL);
            break;
        case 'u':
            r = options_set_scope(options, WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_USER, optarg);
            break;
        case 'C':
            r = options_set_scope(options, WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENTS, NULL);
            break;
        case 'c':
            r = options_set_scope(options, WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_CLIENT, optarg);
            break;
        case 'h':
            help_print();
            return -1;
        case 'v':
            puts("wasmpoolctl " WASMPOOL_VERSION);
            return -1;
        case ':':
            return usage_error("option '%s' wants a value", argv[optind - 1]);
        default:
            return usage_error("option '%s' is not known", argv[optind - 1]);
        }
    }
    return r ? r : options_set_command(options, argc, argv);
}

static const char *variable(const char *name) {
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* What was said first wins: options before the environment, a socket before a directory. */
static int options_find_socket(const struct Options *options, char *path, size_t bytes) {
    const char *socket = options->socket, *runtime_dir = options->runtime_dir;
    int r;

    if (!socket && !runtime_dir)
        socket = variable("WASMPOOL_ADMIN_SOCKET");
    if (!runtime_dir)
        runtime_dir = variable("WASMPOOL_RUNTIME_DIR");
    if (socket)
        r = snprintf(path, bytes, "%s", socket) >= (int)bytes;
    else if (runtime_dir)
        r = paths_join(path, bytes, runtime_dir, PATHS_ADMIN);
    else
        r = paths_find(path, bytes, PATHS_ADMIN);
    return r ? usage_error("%s", "the socket's path is too long") : 0;
}

static int command_run(const struct Options *options, const char *path, struct wasmpool_error *error) {
    struct Patience patience = {.timeout_ms = options->timeout_ms};
    struct Channel *channel;
    struct WirePacket welcome;
    int r = channel_connect(&channel, path, &patience, error);

    if (r)
        return r;
    r = channel_hello(channel, "wasmpoolctl", 0, &welcome, error);
    if (!r) {
        wire_packet_deinit(&welcome);
        r = options->changes.n_pairs ? limit_set(channel, &options->changes, options->json, error)
                                     : options->command->show(channel, options->json, error);
    }
    channel_close(channel);
    return r;
}

static const char *hint(int r) {
    switch (r) {
    case WASMPOOL_E_UNAVAILABLE:
        return "is wasmpoold running? If its socket is elsewhere, say --socket PATH or --runtime-dir DIR";
    case WASMPOOL_E_REFUSED:
        return "only root and the user that wasmpoold runs as may ask it";
    case WASMPOOL_E_VERSION:
        return "wasmpoolctl and wasmpoold must be of the same major version of the protocol";
    default:
        return NULL;
    }
}

int main(int argc, char **argv) {
    struct Options options = {.timeout_ms = TIMEOUT_MS_DEFAULT,
                              .changes.scope = WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL};
    struct wasmpool_error error = {0};
    char path[PATHS_SOCKET_BYTES];
    int r = options_parse(&options, argc, argv);

    if (r)
        return r < 0 ? EXIT_SUCCESS : r;
    if (options_find_socket(&options, path, sizeof(path)))
        return EXIT_USAGE;
    r = command_run(&options, path, &error);
    if (r) {
        fprintf(stderr, "wasmpoolctl: %s\n", error.message);
        if (hint(r))
            fprintf(stderr, "%s\n", hint(r));
        return EXIT_FAILURE;
    }
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "wasmpoolctl: the output could not be written\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
