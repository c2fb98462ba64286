/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Descriptors that are neither a connection's nor a slab's: standard streams, loop, signals, listeners and their locks,
 * the reserve, administration, and memfds on their way out. */
#define CONFIG_FDS_OWN 48
#define CONFIG_FDS_PER_CONNECTION 3 /* socket, pidfd, lease table */

struct ConfigNumber {
    const char *name;
    uint64_t standard, least, most;
    const char *meaning;
    size_t offset;
};

struct ConfigText {
    const char *name, *meaning;
    size_t offset;
};

static const struct ConfigNumber config_numbers[] = {
#define CONFIG_NUMBER(name, field, standard, least, most, meaning)                                                     \
    {#name, standard, least, most, meaning, offsetof(struct Config, field)},
    CONFIG_NUMBERS(CONFIG_NUMBER)
#undef CONFIG_NUMBER
};
#define CONFIG_NUMBERS_N (sizeof(config_numbers) / sizeof(config_numbers[0]))

static const struct ConfigText config_texts[] = {
#define CONFIG_TEXT(name, meaning) {#name, meaning, offsetof(struct Config, name)},
    CONFIG_TEXTS(CONFIG_TEXT)
#undef CONFIG_TEXT
};
#define CONFIG_TEXTS_N (sizeof(config_texts) / sizeof(config_texts[0]))

static uint64_t *number_at(const struct Config *config, const struct ConfigNumber *number) {
    return (uint64_t *)((char *)config + number->offset);
}

static char *text_at(const struct Config *config, const struct ConfigText *text) {
    return (char *)config + text->offset;
}

void config_init(struct Config *config) {
    *config = (struct Config){.level = LOG_LEVEL_INFO, .log_level = "info"};
    limits_init(&config->limits);
    for (size_t i = 0; i < CONFIG_NUMBERS_N; i++)
        *number_at(config, &config_numbers[i]) = config_numbers[i].standard;
}

/* -------------------------------------------------------------------------------------------------- settings */

static int number_set(struct Config *config, const struct ConfigNumber *number, const char *value,
                      struct Error *error) {
    uint64_t parsed;

    if (limits_parse_number(value, &parsed))
        return error_set(error, ERROR_INVALID, "%s: '%s' is not a number, like 65536, 64K or 4G", number->name, value);
    if (parsed < number->least || parsed > number->most)
        return error_set(error, ERROR_INVALID, "%s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, number->name,
                         parsed, number->least, number->most);
    *number_at(config, number) = parsed;
    return 0;
}

static int text_set(struct Config *config, const struct ConfigText *text, const char *value, struct Error *error) {
    if (strlen(value) >= CONFIG_TEXT_BYTES)
        return error_set(error, ERROR_INVALID, "%s: longer than %d bytes", text->name, CONFIG_TEXT_BYTES - 1);
    strcpy(text_at(config, text), value);
    if (!strcmp(text->name, "log_level") && log_level_parse(value, &config->level))
        return error_set(error, ERROR_INVALID, "log_level: '%s' is not error, warning, notice, info or debug", value);
    return 0;
}

static int config_check_section(const char *section, const char *right, const char *name, struct Error *error) {
    if (!section || !strcmp(section, right))
        return 0;
    return error_set(error, ERROR_INVALID, "%s belongs in section [%s], not in [%s]", name, right, section);
}

int config_set(struct Config *config, const char *section, const char *name, const char *value, struct Error *error) {
    int r;

    if (section && strcmp(section, "limits") && strcmp(section, "daemon"))
        return error_set(error, ERROR_INVALID, "there is no section [%s], only [limits] and [daemon]", section);
    if (limits_find(name)) {
        r = config_check_section(section, "limits", name, error);
        return r ? r : limits_set(&config->limits, name, value, error);
    }
    for (size_t i = 0; i < CONFIG_NUMBERS_N; i++)
        if (!strcmp(config_numbers[i].name, name)) {
            r = config_check_section(section, "daemon", name, error);
            return r ? r : number_set(config, &config_numbers[i], value, error);
        }
    for (size_t i = 0; i < CONFIG_TEXTS_N; i++)
        if (!strcmp(config_texts[i].name, name)) {
            r = config_check_section(section, "daemon", name, error);
            return r ? r : text_set(config, &config_texts[i], value, error);
        }
    return error_set(error, ERROR_INVALID, "there is no setting called '%s'; wasmpoold --help lists them", name);
}

/* -------------------------------------------------------------------------------------------------- file */

struct ConfigFile {
    struct Config *config;
    FILE *stream;
    int line;       /* the one that was read last */
    int error_line; /* 0: no error yet */
    struct Error error;
};

static char *file_read_line(char *buffer, int bytes, void *data) {
    struct ConfigFile *file = data;
    char *line = fgets(buffer, bytes, file->stream);

    if (!line)
        return NULL;
    file->line++;
    /* What is left of a line too long would be taken for the next one. */
    if (!strchr(line, '\n') && !feof(file->stream) && !file->error_line) {
        file->error_line = file->line;
        error_set(&file->error, ERROR_INVALID, "the line is longer than %d bytes", bytes - 2);
    }
    return line;
}

static int file_on_setting(void *data, const char *section, const char *name, const char *value) {
    struct ConfigFile *file = data;

    if (file->error_line)
        return 1;
    if (!*section)
        error_set(&file->error, ERROR_INVALID, "%s stands before any section; begin with [limits] or [daemon]", name);
    else if (!config_set(file->config, section, name, value, &file->error))
        return 1;
    file->error_line = file->line;
    return 1;
}

int config_read_file(struct Config *config, const char *path, struct Error *error) {
    struct ConfigFile file = {.config = config, .stream = fopen(path, "re")};
    int syntax_line;

    if (!file.stream)
        return error_set(error, ERROR_INVALID, "%s: %s", path, strerror(errno));
    ini_allow_multiline = false;
    syntax_line = ini_parse_stream(file_read_line, &file, file_on_setting, &file);
    if (ferror(file.stream)) {
        fclose(file.stream);
        return error_set(error, ERROR_INVALID, "%s: cannot be read", path);
    }
    fclose(file.stream);
    if (file.error_line && (syntax_line <= 0 || file.error_line <= syntax_line))
        return error_set(error, ERROR_INVALID, "%s:%d: %s", path, file.error_line, file.error.message);
    if (syntax_line)
        return error_set(error, ERROR_INVALID, "%s:%d: expected NAME = VALUE, [section] or a comment", path,
                         syntax_line);
    return 0;
}

/* -------------------------------------------------------------------------------------------------- environment */

static int config_read_variable(struct Config *config, const char *name, struct Error *error) {
    char variable[64] = "WASMPOOL_";
    size_t n = strlen(variable);
    struct Error inner;
    const char *value;

    for (const char *c = name; *c && n < sizeof(variable) - 1; c++)
        variable[n++] = (char)toupper((unsigned char)*c);
    variable[n] = '\0';
    value = getenv(variable);
    if (!value || !config_set(config, NULL, name, value, &inner))
        return 0;
    return error_set(error, ERROR_INVALID, "environment variable %s: %s", variable, inner.message);
}

static int config_read_environment(struct Config *config, struct Error *error) {
    int r = 0;

    for (size_t i = 0; !r && i < LIMIT_INFOS_N; i++)
        r = config_read_variable(config, LIMIT_INFOS[i].name, error);
    for (size_t i = 0; !r && i < CONFIG_NUMBERS_N; i++)
        r = config_read_variable(config, config_numbers[i].name, error);
    for (size_t i = 0; !r && i < CONFIG_TEXTS_N; i++)
        r = config_read_variable(config, config_texts[i].name, error);
    return r;
}

/* -------------------------------------------------------------------------------------------------- options */

enum { OPTION_SET = 1000, OPTION_CHECK, OPTION_CONFIG, OPTION_HELP, OPTION_VERSION, OPTION_TEXT };

static const struct option config_options[] = {
    {"set", required_argument, NULL, OPTION_SET},
    {"runtime-dir", required_argument, NULL, OPTION_TEXT},
    {"socket", required_argument, NULL, OPTION_TEXT},
    {"admin-socket", required_argument, NULL, OPTION_TEXT},
    {"group", required_argument, NULL, OPTION_TEXT},
    {"log-level", required_argument, NULL, OPTION_TEXT},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

/* --log-level is the setting log_level. */
static int option_text(struct Config *config, const char *option, const char *value, struct Error *error) {
    char name[32];
    struct Error inner;

    snprintf(name, sizeof(name), "%s", option);
    for (char *c = name; *c; c++)
        if (*c == '-')
            *c = '_';
    if (!config_set(config, "daemon", name, value, &inner))
        return 0;
    return error_set(error, ERROR_INVALID, "option --%s: %s", option, inner.message);
}

static int option_set(struct Config *config, const char *pair, struct Error *error) {
    char name[64];
    struct Error inner;
    const char *equals = strchr(pair, '=');

    if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof(name))
        return error_set(error, ERROR_INVALID, "option --set: '%s' is not NAME=VALUE, like total_memories=100", pair);
    memcpy(name, pair, (size_t)(equals - pair));
    name[equals - pair] = '\0';
    if (!config_set(config, NULL, name, equals + 1, &inner))
        return 0;
    return error_set(error, ERROR_INVALID, "option --set: %s", inner.message);
}

/* Settings are applied in a second pass only, since the file, which they override, is named among the options too. */
static int config_read_options(struct Config *config, int argc, char **argv, bool apply, struct Error *error) {
    int option, which, r = 0;

    optind = 0;
    opterr = 0;
    while (!r && (option = getopt_long(argc, argv, ":", config_options, &which)) != -1) {
        if (option == '?')
            r = error_set(error, ERROR_INVALID, "option '%s' is not known; wasmpoold --help lists them",
                          argv[optind - 1]);
        else if (option == ':')
            r = error_set(error, ERROR_INVALID, "option '%s' wants a value", argv[optind - 1]);
        else if (option == OPTION_SET && apply)
            r = option_set(config, optarg, error);
        else if (option == OPTION_TEXT && apply)
            r = option_text(config, config_options[which].name, optarg, error);
        else if (option == OPTION_CONFIG)
            config->file = optarg;
        else if (option == OPTION_CHECK && config->action == CONFIG_RUN)
            config->action = CONFIG_CHECK;
        else if (option == OPTION_HELP)
            config->action = CONFIG_HELP;
        else if (option == OPTION_VERSION)
            config->action = CONFIG_VERSION;
    }
    if (!r && optind < argc)
        r = error_set(error, ERROR_INVALID, "'%s' is not an option; wasmpoold takes options only", argv[optind]);
    return r;
}

/* -------------------------------------------------------------------------------------------------- all of it */

static int config_finish_path(const struct Config *config, char *path, const char *name, const char *file,
                              struct Error *error) {
    int r = 0;

    if (!*path)
        r = paths_join(path, CONFIG_TEXT_BYTES, config->runtime_dir, file);
    if (r || strlen(path) >= PATHS_SOCKET_BYTES)
        return error_set(error, ERROR_INVALID, "%s: a socket's path has at most %zu bytes, this one is longer: %s",
                         name, PATHS_SOCKET_BYTES - 1, *path ? path : config->runtime_dir);
    return 0;
}

static int config_finish(struct Config *config, struct Error *error) {
    int r;

    if (!*config->runtime_dir && (!*config->socket || !*config->admin_socket) &&
        paths_runtime_dir(config->runtime_dir, sizeof(config->runtime_dir)))
        return error_set(error, ERROR_INVALID,
                         "nowhere to put the sockets: XDG_RUNTIME_DIR is not set; say --runtime-dir DIR");
    r = config_finish_path(config, config->socket, "socket", PATHS_TENANTS, error);
    if (!r)
        r = config_finish_path(config, config->admin_socket, "admin_socket", PATHS_ADMIN, error);
    if (!r && !strcmp(config->socket, config->admin_socket))
        r = error_set(error, ERROR_INVALID, "socket and admin_socket are the same path: %s", config->socket);
    return r ? r : limits_check(&config->limits, error);
}

int config_load(struct Config *config, int argc, char **argv, struct Error *error) {
    int r;

    config_init(config);
    r = config_read_options(config, argc, argv, false, error);
    if (r || config->action == CONFIG_HELP || config->action == CONFIG_VERSION)
        return r;
    if (config->file)
        r = config_read_file(config, config->file, error);
    else if (!access(CONFIG_FILE_DEFAULT, F_OK))
        r = config_read_file(config, CONFIG_FILE_DEFAULT, error);
    if (!r)
        r = config_read_environment(config, error);
    if (!r)
        r = config_read_options(config, argc, argv, true, error);
    return r ? r : config_finish(config, error);
}

static bool lower(uint64_t *value, uint64_t most) {
    if (*value <= most)
        return false;
    *value = most;
    return true;
}

bool config_fit_fds(struct Config *config, uint64_t fds_max) {
    uint64_t room = fds_max > CONFIG_FDS_OWN ? fds_max - CONFIG_FDS_OWN : 0;
    uint64_t connections_most = room / (2 * CONFIG_FDS_PER_CONNECTION); /* half of it for slabs */
    uint64_t slabs_most;
    bool lowered;

    lowered = lower(&config->bounds.connections_max, connections_most ? connections_most : 1);
    slabs_most = room - config->bounds.connections_max * CONFIG_FDS_PER_CONNECTION;
    if (room < config->bounds.connections_max * CONFIG_FDS_PER_CONNECTION + 1)
        slabs_most = 1;
    if (!config->bounds.slabs_max)
        config->bounds.slabs_max = slabs_most;
    if (!config->bounds.connections_per_user_max)
        config->bounds.connections_per_user_max = (config->bounds.connections_max + 1) / 2;
    return lower(&config->bounds.slabs_max, slabs_most) || lowered;
}

/* -------------------------------------------------------------------------------------------------- printing */

void config_print(const struct Config *config, FILE *stream) {
    char buffer[32];

    fprintf(stream, "[daemon]\n");
    for (size_t i = 0; i < CONFIG_TEXTS_N; i++)
        if (*text_at(config, &config_texts[i]))
            fprintf(stream, "%s = %s\n", config_texts[i].name, text_at(config, &config_texts[i]));
    for (size_t i = 0; i < CONFIG_NUMBERS_N; i++)
        fprintf(stream, "%s = %" PRIu64 "\n", config_numbers[i].name, *number_at(config, &config_numbers[i]));
    fprintf(stream, "\n[limits]\n");
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        fprintf(stream, "%s = %s\n", LIMIT_INFOS[i].name,
                limits_format(buffer, sizeof(buffer), &LIMIT_INFOS[i], limits_get(&config->limits, &LIMIT_INFOS[i])));
}

void config_print_help(FILE *stream) {
    char buffer[32];

    fprintf(stream, "usage: wasmpoold [option]...\n\n"
                    "Serves the memory of WebAssembly sandboxes to the processes that run them.\n\n"
                    "  --runtime-dir DIR     where the sockets are made\n"
                    "  --socket PATH         the tenants' socket\n"
                    "  --admin-socket PATH   the administration socket\n"
                    "  --group GROUP         who may connect to the tenants' socket\n"
                    "  --log-level LEVEL     error, warning, notice, info or debug\n"
                    "  --config FILE         instead of " CONFIG_FILE_DEFAULT "\n"
                    "  --set NAME=VALUE      any setting below; may be repeated\n"
                    "  --check               print the configuration in force and exit\n"
                    "  --version, --help\n\n"
                    "Each setting can stand in the file, in the environment as WASMPOOL_ and its name in upper case,\n"
                    "and behind --set; later ones win.\n\nSection [limits]:\n");
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        fprintf(stream, "  %-28s  %-8s %s\n", LIMIT_INFOS[i].name,
                limits_format(buffer, sizeof(buffer), &LIMIT_INFOS[i], LIMIT_INFOS[i].standard),
                LIMIT_INFOS[i].meaning);
    fprintf(stream, "\nSection [daemon]:\n");
    for (size_t i = 0; i < CONFIG_NUMBERS_N; i++)
        fprintf(stream, "  %-28s  %-8" PRIu64 " %s\n", config_numbers[i].name, config_numbers[i].standard,
                config_numbers[i].meaning);
    for (size_t i = 0; i < CONFIG_TEXTS_N; i++)
        fprintf(stream, "  %-28s  %-8s %s\n", config_texts[i].name, "", config_texts[i].meaning);
}
