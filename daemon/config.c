/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Descriptors that are neither a connection's nor a slab's nor an image's: standard streams, loop, signals, listeners
 * and their locks, the reserve, administration, and memfds on their way out. */
#define CONFIG_FDS_OWN 48
#define CONFIG_IMAGES_PART 8 /* of the rest, images may take one of so many */
#define CONFIG_FDS_PER_CONNECTION 3 /* socket, pidfd, lease table */

#define CONFIG_SECTION_BYTES 50 /* of inih, which cuts off the rest without a word */
#define CONFIG_NAME_BYTES 80    /* behind --set: "user.", a name as long as a section's, and a quota's */

struct ConfigText {
    const char *name, *meaning;
    size_t offset;
};

const struct NumberInfo CONFIG_NUMBER_INFOS[] = {
#define CONFIG_NUMBER(name, field, standard, least, most, meaning)                                                     \
    {#name, standard, least, most, meaning, offsetof(struct Config, field)},
    CONFIG_NUMBERS(CONFIG_NUMBER)
#undef CONFIG_NUMBER
};
const size_t CONFIG_NUMBER_INFOS_N = sizeof(CONFIG_NUMBER_INFOS) / sizeof(CONFIG_NUMBER_INFOS[0]);

static const struct ConfigText config_texts[] = {
#define CONFIG_TEXT(name, meaning) {#name, meaning, offsetof(struct Config, name)},
    CONFIG_TEXTS(CONFIG_TEXT)
#undef CONFIG_TEXT
};
#define CONFIG_TEXTS_N (sizeof(config_texts) / sizeof(config_texts[0]))

static char *text_at(const struct Config *config, const struct ConfigText *text) {
    return (char *)config + text->offset;
}

void config_init(struct Config *config) {
    *config = (struct Config){.level = LOG_LEVEL_INFO, .log_level = "info"};
    limits_init(&config->limits);
    quotas_init(&config->quotas);
    for (size_t i = 0; i < CONFIG_NUMBER_INFOS_N; i++)
        number_put(&CONFIG_NUMBER_INFOS[i], config, CONFIG_NUMBER_INFOS[i].standard);
}

void config_deinit(struct Config *config) {
    quotas_deinit(&config->quotas);
}

/* -------------------------------------------------------------------------------------------------- settings */

static int number_set(struct Config *config, const struct NumberInfo *info, const char *value, struct Error *error) {
    uint64_t number;
    int r = number_parse(info, value, &number, error);

    if (!r)
        number_put(info, config, number);
    return r;
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

/* A uid, or the name of one. */
static int config_find_uid(const char *who, uint64_t *uidp, struct Error *error) {
    const struct passwd *user;

    if (*who && !who[strspn(who, "0123456789")])
        return limits_parse_number(who, uidp) ? error_set(error, ERROR_INVALID, "%s is no uid", who) : 0;
    errno = 0;
    user = getpwnam(who);
    if (!user)
        return error_set(error, ERROR_INVALID, "there is no user called '%s'%s%s", who, errno ? ": " : "",
                         errno ? strerror(errno) : "");
    *uidp = user->pw_uid;
    return 0;
}

static bool section_is_of_quotas(const char *section) {
    return !strcmp(section, "user") || !strncmp(section, "user ", 5) || !strcmp(section, "client");
}

static int config_set_quota(struct Config *config, const char *section, const char *name, const char *value,
                            struct Error *error) {
    enum QuotaScope scope = *section == 'u' ? QUOTA_USERS : QUOTA_CLIENTS;
    const char *who = strchr(section, ' ');
    uint64_t uid = 0;
    int r = 0;

    if (who) {
        scope = QUOTA_USER;
        r = config_find_uid(who + strspn(who, " "), &uid, error);
    }
    return r ? r : quotas_set(&config->quotas, scope, uid, name, value, error);
}

/* Where there are no sections: "user.1000.weight" is weight of [user 1000]. A user's name may have dots too. */
static int config_set_dotted(struct Config *config, const char *name, const char *value, struct Error *error) {
    const char *dot = strrchr(name, '.');
    char section[CONFIG_SECTION_BYTES], *gap;

    if ((size_t)(dot - name) >= sizeof(section))
        return error_set(error, ERROR_INVALID, "there is no section of so long a name: %s", name);
    memcpy(section, name, (size_t)(dot - name));
    section[dot - name] = '\0';
    gap = strchr(section, '.');
    if (gap)
        *gap = ' ';
    return config_set(config, section, dot + 1, value, error);
}

static bool section_is_known(const char *section) {
    return !strcmp(section, "limits") || !strcmp(section, "daemon") || section_is_of_quotas(section);
}

int config_set(struct Config *config, const char *section, const char *name, const char *value, struct Error *error) {
    const struct NumberInfo *number = number_find(CONFIG_NUMBER_INFOS, CONFIG_NUMBER_INFOS_N, name);
    int r;

    if (!section && strchr(name, '.'))
        return config_set_dotted(config, name, value, error);
    if (section && (!section_is_known(section) || strlen(section) >= CONFIG_SECTION_BYTES - 1))
        return error_set(error, ERROR_INVALID,
                         "there is no section [%s], only [limits], [daemon], [user], [user NAME] and [client]",
                         section);
    if (section && section_is_of_quotas(section))
        return config_set_quota(config, section, name, value, error);
    if (limits_find(name)) {
        r = config_check_section(section, "limits", name, error);
        return r ? r : limits_set(&config->limits, name, value, error);
    }
    if (number) {
        r = config_check_section(section, "daemon", name, error);
        return r ? r : number_set(config, number, value, error);
    }
    for (size_t i = 0; i < CONFIG_TEXTS_N; i++)
        if (!strcmp(config_texts[i].name, name)) {
            r = config_check_section(section, "daemon", name, error);
            return r ? r : text_set(config, &config_texts[i], value, error);
        }
    if (number_find(QUOTA_INFOS, QUOTA_INFOS_N, name))
        return error_set(error, ERROR_INVALID,
                         "%s is a quota: it belongs in section [user], [user NAME] or [client], or behind --set as "
                         "user.%s",
                         name, name);
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
        error_set(&file->error, ERROR_INVALID,
                  "%s stands before any section; begin with one, like [limits] or [daemon]", name);
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

/* user.weight is WASMPOOL_USER_WEIGHT. */
static int config_read_variable(struct Config *config, const char *prefix, const char *name, struct Error *error) {
    char setting[64], variable[80];
    struct Error inner;
    const char *value;

    snprintf(setting, sizeof(setting), "%s%s", prefix, name);
    snprintf(variable, sizeof(variable), "WASMPOOL_%s", setting);
    for (char *c = variable; *c; c++)
        *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
    value = getenv(variable);
    if (!value || !config_set(config, NULL, setting, value, &inner))
        return 0;
    return error_set(error, ERROR_INVALID, "environment variable %s: %s", variable, inner.message);
}

static int config_read_environment(struct Config *config, struct Error *error) {
    int r = 0;

    for (size_t i = 0; !r && i < LIMIT_INFOS_N; i++)
        r = config_read_variable(config, "", LIMIT_INFOS[i].name, error);
    for (size_t i = 0; !r && i < CONFIG_NUMBER_INFOS_N; i++)
        r = config_read_variable(config, "", CONFIG_NUMBER_INFOS[i].name, error);
    for (size_t i = 0; !r && i < CONFIG_TEXTS_N; i++)
        r = config_read_variable(config, "", config_texts[i].name, error);
    for (size_t i = 0; !r && i < QUOTA_INFOS_N; i++) {
        r = config_read_variable(config, "user.", QUOTA_INFOS[i].name, error);
        if (!r && quota_is_of_clients(&QUOTA_INFOS[i]))
            r = config_read_variable(config, "client.", QUOTA_INFOS[i].name, error);
    }
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
    char name[CONFIG_NAME_BYTES];
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

int config_check(const struct Config *config, struct Error *error) {
    const struct PoolBounds *bounds = &config->bounds;

    if (bounds->budget_low_percent > bounds->budget_high_percent)
        return error_set(error, ERROR_INVALID,
                         "budget_low_percent of %" PRIu64 " exceeds the budget_high_percent of %" PRIu64,
                         bounds->budget_low_percent, bounds->budget_high_percent);
    return limits_check(&config->limits, error);
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
    return r ? r : config_check(config, error);
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
    if (!r)
        r = config_finish(config, error);
    if (r)
        config_deinit(config);
    return r;
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
    uint64_t slabs_most, others;
    bool lowered;

    lowered = lower(&config->bounds.connections_max, connections_most ? connections_most : 1);
    lowered = lower(&config->bounds.images_max, room / CONFIG_IMAGES_PART) || lowered;
    others = config->bounds.connections_max * CONFIG_FDS_PER_CONNECTION + config->bounds.images_max;
    slabs_most = room > others ? room - others : 1;
    if (!config->bounds.slabs_max)
        config->bounds.slabs_max = slabs_most;
    if (!config->bounds.connections_per_user_max)
        config->bounds.connections_per_user_max = (config->bounds.connections_max + 1) / 2;
    return lower(&config->bounds.slabs_max, slabs_most) || lowered;
}

/* -------------------------------------------------------------------------------------------------- printing */

/* Of an override only what is its own. */
static void print_quota(const struct Config *config, enum QuotaScope scope, uint64_t id, FILE *stream) {
    const struct Quota *quota = quotas_at(&config->quotas, scope, id);

    for (size_t i = 0; i < QUOTA_INFOS_N; i++) {
        bool says = scope == QUOTA_USERS || (scope == QUOTA_CLIENTS && quota_is_of_clients(&QUOTA_INFOS[i])) ||
                    (scope == QUOTA_USER && quotas_overrides(&config->quotas, scope, id, &QUOTA_INFOS[i]));

        if (says)
            fprintf(stream, "%s = %" PRIu64 "\n", QUOTA_INFOS[i].name, number_get(&QUOTA_INFOS[i], quota));
    }
}

void config_print(const struct Config *config, FILE *stream) {
    char buffer[32];

    fprintf(stream, "[daemon]\n");
    for (size_t i = 0; i < CONFIG_TEXTS_N; i++)
        if (*text_at(config, &config_texts[i]))
            fprintf(stream, "%s = %s\n", config_texts[i].name, text_at(config, &config_texts[i]));
    for (size_t i = 0; i < CONFIG_NUMBER_INFOS_N; i++)
        fprintf(stream, "%s = %" PRIu64 "\n", CONFIG_NUMBER_INFOS[i].name, number_get(&CONFIG_NUMBER_INFOS[i], config));
    fprintf(stream, "\n[limits]\n");
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        fprintf(stream, "%s = %s\n", LIMIT_INFOS[i].name,
                limits_format(buffer, sizeof(buffer), &LIMIT_INFOS[i], limits_get(&config->limits, &LIMIT_INFOS[i])));
    fprintf(stream, "\n[user]\n");
    print_quota(config, QUOTA_USERS, 0, stream);
    fprintf(stream, "\n[client]\n");
    print_quota(config, QUOTA_CLIENTS, 0, stream);
    for (const struct QuotaOverride *override = config->quotas.user_overrides; override; override = override->next) {
        fprintf(stream, "\n[user %" PRIu64 "]\n", override->id);
        print_quota(config, QUOTA_USER, override->id, stream);
    }
}

static void print_number_help(const struct NumberInfo *info, const char *note, FILE *stream) {
    fprintf(stream, "  %-28s  %-8" PRIu64 " %s%s\n", info->name, info->standard, info->meaning, note);
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
    for (size_t i = 0; i < CONFIG_NUMBER_INFOS_N; i++)
        print_number_help(&CONFIG_NUMBER_INFOS[i], "", stream);
    for (size_t i = 0; i < CONFIG_TEXTS_N; i++)
        fprintf(stream, "  %-28s  %-8s %s\n", config_texts[i].name, "", config_texts[i].meaning);
    fprintf(stream,
            "\nQuotas, where 0 is no bound but the pool's. Sections [user], for each uid, and [client], for each\n"
            "connection; [user NAME] for one uid. Behind --set: user.weight, client.fds_max, user.NAME.weight.\n");
    for (size_t i = 0; i < QUOTA_INFOS_N; i++)
        print_number_help(&QUOTA_INFOS[i], quota_is_of_clients(&QUOTA_INFOS[i]) ? "" : " (users only)", stream);
}
