/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/config.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Load with these options, a runtime directory, and without the file of the machine that runs the test. */
#define load(config, error, ...)                                                                                       \
    load_arguments(config, error,                                                                                      \
                   (char *[]){"wasmpoold", "--config", "/dev/null", "--runtime-dir", "/r", __VA_ARGS__, NULL})

static int load_arguments(struct Config *config, struct Error *error, char **argv) {
    int argc = 0;

    while (argv[argc])
        argc++;
    *error = (struct Error){0};
    return config_load(config, argc, argv, error);
}

#define fails_with(r, error, text)                                                                                     \
    do {                                                                                                               \
        int r_ = (r);                                                                                                  \
        cr_expect_eq(r_, ERROR_INVALID, "it is %d", r_);                                                               \
        cr_expect(strstr((error)->message, text), "<%s> does not say <%s>", (error)->message, text);                   \
    } while (0)

/* A file with this text; free and unlink are drop_file's. */
static char *make_file(const char *text) {
    char *path = strdup("/tmp/wasmpool-config-XXXXXX");
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0, "mkstemp: %s", strerror(errno));
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void drop_file(char *path) {
    unlink(path);
    free(path);
}

static void file_fails_with(const char *text, const char *message) {
    struct Config config;
    struct Error error;
    char *path = make_file(text);

    fails_with(load(&config, &error, "--config", path), &error, message);
    cr_expect(strstr(error.message, path), "<%s> does not name the file", error.message);
    drop_file(path);
}

Test(config, has_the_limits_of_wasmtime_by_default) {
    struct Config config;
    struct Error error;

    cr_assert_eq(load(&config, &error, NULL), 0, "%s", error.message);
    cr_expect_eq(config.limits.total_memories, 1000, "%lu", config.limits.total_memories);
    cr_expect_eq(config.bounds.connections_max, 1024, "%lu", config.bounds.connections_max);
    cr_expect_eq(config.hello_deadline_ms, 5000, "%lu", config.hello_deadline_ms);
    cr_expect_str_eq(config.socket, "/r/wasmpool.sock", "%s", config.socket);
    cr_expect_str_eq(config.admin_socket, "/r/admin.sock", "%s", config.admin_socket);
    cr_expect_eq(config.action, CONFIG_RUN, "%d", (int)config.action);
}

Test(config, lets_later_sources_win) {
    struct Config config;
    struct Error error;
    char *path = make_file("; a comment\n[limits]\ntotal_memories = 1\ntotal_tables=2\ntotal_core_instances = 3\n"
                           "[daemon]\nhello_deadline_ms = 7\n");

    setenv("WASMPOOL_TOTAL_TABLES", "20", 1);
    setenv("WASMPOOL_TOTAL_CORE_INSTANCES", "30", 1);
    cr_assert_eq(load(&config, &error, "--set", "total_core_instances=300", "--config", path), 0, "%s", error.message);
    cr_expect_eq(config.limits.total_memories, 1, "the file's: %lu", config.limits.total_memories);
    cr_expect_eq(config.limits.total_tables, 20, "the environment's: %lu", config.limits.total_tables);
    cr_expect_eq(config.limits.total_core_instances, 300, "the option's: %lu", config.limits.total_core_instances);
    cr_expect_eq(config.hello_deadline_ms, 7, "the file's: %lu", config.hello_deadline_ms);
    drop_file(path);
}

Test(config, reads_sizes_with_units) {
    struct Config config;
    struct Error error;

    cr_assert_eq(load(&config, &error, "--set", "max_memory_size=64M", "--set", "memory_reservation=64M", "--set",
                      "resident_bytes_max=3G", "--set", "guard_before_linear_memory=no"),
                 0, "%s", error.message);
    cr_expect_eq(config.limits.max_memory_size, 64 * MIB, "%lu", config.limits.max_memory_size);
    cr_expect_eq(config.bounds.resident_bytes_max, 3 * GIB, "%lu", config.bounds.resident_bytes_max);
    cr_expect_eq(config.limits.guard_before_linear_memory, 0);
}

Test(config, names_the_line_of_a_file_and_what_would_be_right) {
    file_fails_with("[limits]\n\ntotal_memorys = 1\n", ":3: there is no setting called 'total_memorys'");
    file_fails_with("[limits]\ntotal_memories = many\n", ":2: total_memories: 'many' is not a number");
    file_fails_with("[limits]\nconnections_max = 1\n", ":2: connections_max belongs in section [daemon]");
    file_fails_with("[daemon]\ntotal_memories = 1\n", ":2: total_memories belongs in section [limits]");
    file_fails_with("[other]\ntotal_memories = 1\n", ":2: there is no section [other]");
    file_fails_with("total_memories = 1\n", ":1: total_memories stands before any section");
    file_fails_with("[limits]\nnonsense\n", ":2: expected NAME = VALUE");
    file_fails_with("[daemon]\nlog_level = loud\n", ":2: log_level: 'loud' is not error, warning");
    file_fails_with("[limits]\nnonsense\ntotal_memorys = 1\n", ":2: expected");
    file_fails_with("[limits]\ntotal_memorys = 1\nnonsense\n", ":2: there is no setting");
}

Test(config, refuses_a_line_too_long_instead_of_reading_it_as_two) {
    char text[600] = "[daemon]\nruntime_dir = ";

    memset(text + strlen(text), 'x', 400);
    file_fails_with(text, ":2: the line is longer than");
}

Test(config, refuses_a_file_that_was_named_and_cannot_be_read) {
    struct Config config;
    struct Error error;

    fails_with(load(&config, &error, "--config", "/nowhere/x.conf"), &error, "/nowhere/x.conf: No such file");
    fails_with(load(&config, &error, "--config", "/tmp"), &error, "/tmp");
}

/* ------------------------------------------------------------------------------------------------ quotas */

Test(config, reads_quotas_of_all_and_of_single_users) {
    struct Config config;
    struct Error error;
    char *path = make_file("[user 1000]\nweight = 3\n[user]\nmemories_max = 10\nresident_bytes_max = 1G\n"
                           "[client]\nfds_max = 20\n[user root]\ntables_max = 7\n");

    cr_assert_eq(load(&config, &error, "--config", path), 0, "%s", error.message);
    expect_eq(quotas_find(&config.quotas, 1000)->weight, 3);
    expect_eq(quotas_find(&config.quotas, 1000)->slots_max[KIND_MEMORY], 10);
    expect_eq(quotas_find(&config.quotas, 1001)->weight, 1);
    expect_eq(quotas_find(&config.quotas, 1001)->resident_bytes_max, GIB);
    expect_eq(quotas_find(&config.quotas, 0)->slots_max[KIND_TABLE], 7);
    expect_eq(config.quotas.client.fds_max, 20);
    expect_eq(config.bounds.resident_bytes_max, 0);
    config_deinit(&config);
    drop_file(path);
}

Test(config, lets_later_sources_win_for_quotas_too) {
    struct Config config;
    struct Error error;
    char *path = make_file("[user]\nmemories_max = 1\ntables_max = 1\nweight = 2\n[client]\nfds_max = 1\n");

    setenv("WASMPOOL_USER_TABLES_MAX", "20", 1);
    setenv("WASMPOOL_USER_WEIGHT", "20", 1);
    setenv("WASMPOOL_CLIENT_FDS_MAX", "30", 1);
    cr_assert_eq(load(&config, &error, "--config", path, "--set", "user.weight=200", "--set", "user.1000.weight=300",
                      "--set", "user.root.weight=400", "--set", "client.memories_max=5"),
                 0, "%s", error.message);
    expect_eq(config.quotas.user.slots_max[KIND_MEMORY], 1);
    expect_eq(config.quotas.user.slots_max[KIND_TABLE], 20);
    expect_eq(config.quotas.user.weight, 200);
    expect_eq(config.quotas.client.fds_max, 30);
    expect_eq(config.quotas.client.slots_max[KIND_MEMORY], 5);
    expect_eq(quotas_find(&config.quotas, 1000)->weight, 300);
    expect_eq(quotas_find(&config.quotas, 0)->weight, 400);
    config_deinit(&config);
    drop_file(path);
}

Test(config, names_what_is_wrong_with_a_quota) {
    struct Config config;
    struct Error error;

    file_fails_with("[user]\nweight = 0\n", ":2: weight: 0 is not between 1 and 1000");
    file_fails_with("[client]\nweight = 1\n", ":2: weight is a quota of users");
    file_fails_with("[user]\ntotal_memories = 1\n", ":2: there is no quota called 'total_memories'");
    file_fails_with("[user no-such-user]\nweight = 1\n", ":2: there is no user called 'no-such-user'");
    file_fails_with("[user 4294967295]\nweight = 1\n", ":2: 4294967295 is no uid");
    file_fails_with("[user 99999999999999999999]\nweight = 1\n", "99999999999999999999 is no uid");
    file_fails_with("[user ]\nweight = 1\n", ":2: there is no user called ''");
    file_fails_with("[users]\nweight = 1\n", ":2: there is no section [users]");
    file_fails_with("[limits]\nweight = 1\n", ":2: weight is a quota");
    file_fails_with("[user xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]\nweight = 1\n",
                    ":2: there is no section");
    fails_with(load(&config, &error, "--set", "weight=1"), &error, "behind --set as user.weight");
    fails_with(load(&config, &error, "--set", "user.5.weight=x"), &error, "weight: 'x' is not a number");
    fails_with(load(&config, &error, "--set", "client.7.fds_max=1"), &error, "there is no section [client 7]");
    fails_with(load(&config, &error, "--set", ".weight=1"), &error, "there is no section []");
    setenv("WASMPOOL_CLIENT_FDS_MAX", "-1", 1);
    fails_with(load(&config, &error, NULL), &error, "environment variable WASMPOOL_CLIENT_FDS_MAX: fds_max: '-1'");
}

Test(config, of_the_budget_does_not_trim_upwards) {
    struct Config config;
    struct Error error;

    fails_with(load(&config, &error, "--set", "budget_low_percent=91"), &error,
               "budget_low_percent of 91 exceeds the budget_high_percent of 90");
    fails_with(load(&config, &error, "--set", "warm_share_percent=101"), &error, "101 is not between 1 and 100");
    cr_assert_eq(load(&config, &error, "--set", "idle_trim_ms=0"), 0, "%s", error.message);
    expect_eq(config.bounds.idle_trim_ms, 0);
    expect_eq(config.bounds.warm_share_percent, 50);
}

/* ------------------------------------------------------------------------------------------------ the rest */

Test(config, names_the_variable) {
    struct Config config;
    struct Error error;

    setenv("WASMPOOL_TOTAL_TABLES", "-1", 1);
    fails_with(load(&config, &error, NULL), &error, "environment variable WASMPOOL_TOTAL_TABLES: total_tables: '-1'");
}

Test(config, names_the_option) {
    struct Config config;
    struct Error error;

    fails_with(load(&config, &error, "--set", "x=1"), &error, "option --set: there is no setting called 'x'");
    fails_with(load(&config, &error, "--set", "x"), &error, "option --set: 'x' is not NAME=VALUE");
    fails_with(load(&config, &error, "--set"), &error, "option '--set' wants a value");
    fails_with(load(&config, &error, "--bogus"), &error, "option '--bogus' is not known");
    fails_with(load(&config, &error, "word"), &error, "'word' is not an option");
    fails_with(load(&config, &error, "--log-level", "loud"), &error, "option --log-level: log_level: 'loud'");
    fails_with(load(&config, &error, "--set", "connections_max=0"), &error, "0 is not between 1 and");
}

Test(config, refuses_limits_that_contradict_each_other) {
    struct Config config;
    struct Error error;

    fails_with(load(&config, &error, "--set", "memory_reservation=1M"), &error, "memory_reservation");
}

Test(config, refuses_sockets_that_cannot_be_bound) {
    struct Config config;
    struct Error error;
    char path[200];

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    fails_with(load(&config, &error, "--socket", path), &error, "at most 107 bytes");
    fails_with(load(&config, &error, "--runtime-dir", path), &error, "at most 107 bytes");
    fails_with(load(&config, &error, "--socket", "/a", "--admin-socket", "/a"), &error, "the same path: /a");
}

Test(config, help_and_version_need_nothing_else_to_be_right) {
    struct Config config;
    struct Error error;

    cr_expect_eq(load(&config, &error, "--config", "/nowhere", "--help"), 0, "%s", error.message);
    cr_expect_eq(config.action, CONFIG_HELP, "%d", (int)config.action);
    cr_expect_eq(load(&config, &error, "--version"), 0, "%s", error.message);
    cr_expect_eq(config.action, CONFIG_VERSION, "%d", (int)config.action);
}

Test(config, help_names_every_limit) {
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);

    config_print_help(stream);
    fclose(stream);
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        cr_expect(strstr(text, LIMIT_INFOS[i].name), "%s is missing", LIMIT_INFOS[i].name);
    cr_expect(strstr(text, "slabs_per_client_max"));
    for (size_t i = 0; i < QUOTA_INFOS_N; i++)
        cr_expect(strstr(text, QUOTA_INFOS[i].name), "%s is missing", QUOTA_INFOS[i].name);
    free(text);
}

Test(config, what_is_printed_can_be_read_back) {
    struct Config config, again;
    struct Error error;
    char *text = NULL, *path;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);

    cr_assert_eq(load(&config, &error, "--set", "total_memories=7", "--set", "memory_guard_size=12K", "--set",
                      "pagemap_scan=no", "--set", "slabs_max=9", "--group", "daemon", "--set", "user.fds_max=70",
                      "--set", "user.1000.weight=3", "--set", "user.1000.fds_max=80", "--set", "client.tables_max=5"),
                 0, "%s", error.message);
    config_print(&config, stream);
    fclose(stream);
    path = make_file(text);
    config_init(&again);
    cr_expect_eq(config_read_file(&again, path, &error), 0, "%s", error.message);
    cr_expect_arr_eq(&again.limits, &config.limits, sizeof(config.limits), "%s", text);
    cr_expect_arr_eq(&again.bounds, &config.bounds, sizeof(config.bounds), "%s", text);
    cr_expect_arr_eq(&again.quotas.user, &config.quotas.user, sizeof(config.quotas.user), "%s", text);
    cr_expect_arr_eq(&again.quotas.client, &config.quotas.client, sizeof(config.quotas.client), "%s", text);
    cr_assert(again.quotas.user_overrides, "%s", text);
    expect_eq(again.quotas.user_overrides->names, config.quotas.user_overrides->names);
    expect_eq(quotas_find(&again.quotas, 1000)->fds_max, 80);
    cr_expect_str_eq(again.group, "daemon", "%s", again.group);
    cr_expect_str_eq(again.socket, config.socket, "%s", again.socket);
    config_deinit(&config);
    config_deinit(&again);
    drop_file(path);
    free(text);
}

static void fits(uint64_t connections, uint64_t images, uint64_t slabs, uint64_t fds, uint64_t connections_fit,
                 uint64_t images_fit, uint64_t slabs_fit, bool lowered) {
    struct Config config;
    bool r;

    config_init(&config);
    config.bounds.connections_max = connections;
    config.bounds.images_max = images;
    config.bounds.slabs_max = slabs;
    r = config_fit_fds(&config, fds);
    cr_expect_eq(r, lowered, "%lu fds: %d", fds, r);
    cr_expect_eq(config.bounds.connections_max, connections_fit, "%lu fds: %lu connections, not %lu", fds,
                 config.bounds.connections_max, connections_fit);
    cr_expect_eq(config.bounds.images_max, images_fit, "%lu fds: %lu images, not %lu", fds, config.bounds.images_max,
                 images_fit);
    cr_expect_eq(config.bounds.slabs_max, slabs_fit, "%lu fds: %lu slabs, not %lu", fds, config.bounds.slabs_max,
                 slabs_fit);
}

Test(config, fits_connections_images_and_slabs_into_the_descriptors_there_are) {
    fits(1024, 1000, 0, 20048, 1024, 1000, 20000 - 3 * 1024 - 1000, false);
    fits(1024, 1000, 100, 20048, 1024, 1000, 100, false);
    fits(1024, 2501, 100, 20048, 1024, 2500, 100, true); /* an eighth for images */
    fits(1024, 0, 0, 648, 100, 0, 300, true);            /* half for connections, of three each */
    fits(1024, 1024, 0, 648, 100, 75, 225, true);
    fits(10, 20, 1000, 648, 10, 20, 550, true);
    fits(1024, 1024, 0, 48, 1, 0, 1, true);
    fits(1024, 1024, 0, 0, 1, 0, 1, true);
}
