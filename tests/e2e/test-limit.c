/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Limits and quotas that are changed while the daemon runs, and who is shown to use what. */

#include "tests/e2e/ctl.h"

#include <stdio.h>
#include <sys/stat.h>

RIG_SUITE(limit);

#define sets(line, ...) sets_words(line, (const char *[]){__VA_ARGS__, NULL})

/* What it prints of the change is `line`. */
static void sets_words(const char *line, const char *const *words) {
    char *output, *errors;
    int status = ctl_words(&output, &errors, words);

    cr_assert(!status, "exit status %d: %s", status, errors);
    expect_str(output, line);
    free(output);
    free(errors);
}

#define refuses(part, ...) refuses_words(part, (const char *[]){__VA_ARGS__, NULL})

static void refuses_words(const char *part, const char *const *words) {
    char *output, *errors;

    expect_eq(ctl_words(&output, &errors, words), 1);
    expect_says(errors, part);
    expect_str(output, "");
    free(output);
    free(errors);
}

/* A limit that is in force; `id` is NULL where it is of all. -1: it is not said. */
static json_int_t in_force(const char *scope, const char *id, const char *name) {
    json_t *root = ctl_json("limit"), *object = json_object_get(root, scope), *value;
    json_int_t found;

    value = json_object_get(id ? json_object_get(object, id) : object, name);
    found = json_is_integer(value) ? json_integer_value(value) : -1;
    json_decref(root);
    return found;
}

/* The row of the connection that calls itself `command`, or NULL. */
static const json_t *find_client(const json_t *root, const char *command) {
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), i,
                       row) if (!strcmp(json_string_value(json_object_get(row, "command")), command)) return row;
    return NULL;
}

static json_int_t find_connection(const char *command) {
    json_t *root = ctl_json("clients");
    const json_t *row = find_client(root, command);
    json_int_t connection;

    cr_assert(row, "there is no connection of %s", command);
    connection = number(row, "connection");
    json_decref(root);
    return connection;
}

static void reload(void) {
    unsigned n = host_count_log(&rig.daemon, " reloaded ", NULL);

    kill(rig.daemon.pid, SIGHUP);
    cr_assert(host_await(host_count_log(&rig.daemon, " reloaded ", NULL) > n, RIG_AWAIT_MS), "it does not reload");
}

/* ------------------------------------------------------------------------------------------------ changes */

Test(limit, of_the_pool_is_in_force_at_once_until_a_reload) {
    const char *settings[] = {"log_level=info", "total_memories=2", NULL};
    struct wasmpool_instance *held[3], *more = NULL;
    struct wasmpool_error error;
    struct Worker worker;

    rig_open(settings);
    worker_open(&worker, rig.daemon.address);
    held[0] = worker_allocate(&worker);
    held[1] = worker_allocate(&worker);
    expect_eq(worker_try(&worker, &more, &error), WASMPOOL_E_LIMIT);
    sets("pool: total_memories: 2 -> 3\n", "limit", "total_memories=3");
    expect_eq(in_force("pool", NULL, "total_memories"), 3);
    held[2] = worker_allocate(&worker);
    expect_eq(worker_try(&worker, &more, &error), WASMPOOL_E_LIMIT);
    expect_eq(error.bound, 3);
    expect_eq(host_count_log(&rig.daemon, "limit-changed name=total_memories from=2 to=3", NULL), 1);
    reload();
    expect_eq(in_force("pool", NULL, "total_memories"), 2);
    expect_eq(host_count_log(&rig.daemon, "limit-changed name=total_memories from=3 to=2", NULL), 1);
    for (int i = 0; i < 3; i++)
        wasmpool_deallocate_module(&held[i]);
    worker_close(&worker);
    rig_expect_nothing_granted();
    rig_expect_sound();
    rig_close();
}

Test(limit, of_a_user_bounds_its_connections_together_until_a_reload) {
    const char *settings[] = {"log_level=info", "user.memories_max=5", NULL};
    struct wasmpool_instance *held, *more = NULL;
    struct wasmpool_error error;
    struct Worker one, other;
    char uid[16], line[80];

    snprintf(uid, sizeof(uid), "%u", getuid());
    snprintf(line, sizeof(line), "user %s: memories_max: 5 -> 1\n", uid);
    rig_open(settings);
    worker_open(&one, rig.daemon.address);
    worker_open(&other, rig.daemon.address);
    sets(line, "limit", "--user", uid, "memories_max=1");
    expect_eq(in_force("user", uid, "memories_max"), 1);
    expect_eq(in_force("user", uid, "weight"), -1);
    expect_eq(in_force("users", NULL, "memories_max"), 5);
    held = worker_allocate(&one);
    expect_eq(worker_try(&other, &more, &error), WASMPOOL_E_LIMIT);
    expect_eq(error.bound, 1);
    expect_says(error.message, "memories_max");
    reload();
    expect_eq(in_force("user", uid, "memories_max"), -1);
    expect_eq(host_count_log(&rig.daemon, "quota-changed of=user", "name=memories_max from=1 to=5"), 1);
    more = worker_allocate(&other);
    wasmpool_deallocate_module(&more);
    wasmpool_deallocate_module(&held);
    worker_close(&one);
    worker_close(&other);
    rig_expect_nothing_granted();
    rig_expect_sound();
    rig_close();
}

Test(limit, of_one_connection_leaves_the_others_alone_whatever_changes_for_all) {
    struct wasmpool_instance *held, *more = NULL, *free_of_it[2];
    struct wasmpool_options options = {.address = rig.daemon.address, .name = "bounded"};
    struct wasmpool_error error;
    struct Worker bounded, other;
    char connection[24], line[80];

    rig_open(NULL);
    worker_open(&other, rig.daemon.address);
    worker_open(&bounded, rig.daemon.address);
    wasmpool_close(bounded.pool);
    expect_eq(wasmpool_open(&bounded.pool, &options, NULL), 0);
    snprintf(connection, sizeof(connection), "%lld", (long long)find_connection("bounded"));
    snprintf(line, sizeof(line), "client %s: memories_max: 0 -> 1\n", connection);
    sets(line, "limit", "--client", connection, "memories_max=1");
    sets("users: memories_max: 0 -> 50\n", "limit", "--users", "memories_max=50");
    sets("clients: memories_max: 0 -> 40\nclients: fds_max: 0 -> 30\n", "limit", "--clients", "memories_max=40",
         "fds_max=30");
    expect_eq(in_force("client", connection, "memories_max"), 1);
    held = worker_allocate(&bounded);
    expect_eq(worker_try(&bounded, &more, &error), WASMPOOL_E_LIMIT);
    expect_eq(error.bound, 1);
    for (int i = 0; i < 2; i++)
        free_of_it[i] = worker_allocate(&other);
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_module(&free_of_it[i]);
    wasmpool_deallocate_module(&held);
    worker_close(&bounded);
    worker_close(&other);
    rig_expect_nothing_granted();
    rig_expect_sound();
    rig_close();
}

Test(limit, that_is_wrong_is_refused_with_what_would_be_right) {
    char *output, *errors;

    rig_open(NULL);
    refuses("total_memories: 'lots' is not a number", "limit", "total_memories=lots");
    refuses("is not between 0 and 1048576", "limit", "total_memories=2M");
    refuses("max_memory_size is told to clients when they connect", "limit", "max_memory_size=1M");
    refuses("has no limit called 'nonsense'", "limit", "nonsense=1");
    refuses("weight: 0 is not between 1 and 1000", "limit", "--users", "weight=0");
    refuses("4294967295 is no uid", "limit", "--user", "4294967295", "weight=1");
    refuses("weight is a quota of users", "limit", "--clients", "weight=2");
    refuses("there is no connection 4711", "limit", "--client", "4711", "fds_max=2");
    refuses("is more than RLIMIT_NOFILE allows for", "limit", "connections_max=1M");
    /* Up to the first that is refused. */
    expect_eq(ctl(&output, &errors, "limit", "total_tables=7", "total_memories=", "total_core_instances=7"), 1);
    expect_str(output, "pool: total_tables: 1000 -> 7\n");
    expect_says(errors, "total_memories: '' is not a number");
    expect_eq(in_force("pool", NULL, "total_core_instances"), 1000);
    free(output);
    free(errors);
    rig_expect_sound();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ shown */

Test(limit, table_shows_settings_as_one_would_write_them) {
    const char *settings[] = {"resident_bytes_max=8G", "user.54321.weight=3", "client.fds_max=20", NULL};
    char *output;
    json_t *root, *changes;

    rig_open(settings);
    expect_eq(ctl(&output, NULL, "limit"), 0);
    expect_says(output, "\npool             memory_guard_size            32M\n");
    expect_says(output, "\npool             pagemap_scan                 auto\n");
    expect_says(output, "\npool             resident_bytes_max           8G\n");
    expect_says(output, "\nuser 54321       weight                       3\n");
    expect_says(output, "\nclients          fds_max                      20\n");
    free(output);
    expect_eq(ctl(&output, NULL, "--json", "limit", "resident_bytes_max=9G"), 0);
    root = json_loads(output, 0, NULL);
    changes = json_object_get(root, "changes");
    expect_eq(json_array_size(changes), 1);
    expect_eq(number(json_array_get(changes, 0), "from"), INT64_C(8) << 30);
    expect_eq(number(json_array_get(changes, 0), "to"), INT64_C(9) << 30);
    json_decref(root);
    free(output);
    rig_close();
}

Test(limit, list_goes_over_many_pages) {
    char path[] = "/tmp/wasmpool-conf-XXXXXX", option[64];
    const char *settings[] = {option, NULL};
    int fd = mkstemp(path);
    FILE *stream = fdopen(fd, "w");
    json_t *root;

    cr_assert(stream);
    for (int i = 0; i < 600; i++)
        fprintf(stream, "[user %d]\nweight = %d\nfds_max = 70\n", 100000 + i, 1 + i);
    fclose(stream);
    snprintf(option, sizeof(option), "--config=%s", path);
    rig_open(settings);
    unlink(path);
    root = ctl_json("limit");
    expect_eq(json_object_size(json_object_get(root, "user")), 600);
    for (int i = 0; i < 600; i++) {
        char uid[16];

        snprintf(uid, sizeof(uid), "%d", 100000 + i);
        expect_eq(number(json_object_get(json_object_get(root, "user"), uid), "weight"), 1 + i);
        expect_eq(number(json_object_get(json_object_get(root, "user"), uid), "fds_max"), 70);
    }
    expect_eq(json_object_size(json_object_get(root, "clients")), 6);
    json_decref(root);
    rig_close();
}

Test(limit, usage_is_what_users_and_clients_have) {
    const char *settings[] = {"user.memories_max=50", "client.fds_max=9", NULL};
    struct wasmpool_instance *held[3];
    const json_t *row, *memory;
    struct Worker worker;
    json_t *root;
    char *output;

    rig_open(settings);
    worker_open(&worker, rig.daemon.address);
    for (int i = 0; i < 3; i++)
        instance_fill(held[i] = worker_allocate(&worker), 1);
    wasmpool_deallocate_module(&held[2]);
    root = ctl_json("clients");
    expect_eq(json_array_size(json_object_get(root, "rows")), 2);
    row = find_client(root, "fleet");
    memory = json_object_get(json_object_get(row, "kinds"), "memory");
    expect_eq(number(row, "pid"), getpid());
    expect_eq(number(row, "uid"), getuid());
    expect_eq(number(row, "resident_bytes"), 3 * 65536);
    expect_eq(number(row, "fds"), 4); /* one slab of memories; instances have none */
    expect_eq(number(row, "fds_max"), 9);
    expect_eq(number(row, "waiting"), 0);
    expect_eq(number(memory, "busy"), 2);
    expect_eq(number(memory, "granted"), rig_status().granted[KIND_MEMORY]);
    expect_eq(number(memory, "max"), 0);
    json_decref(root);
    root = ctl_json("users");
    expect_eq(json_array_size(json_object_get(root, "rows")), 1);
    row = json_array_get(json_object_get(root, "rows"), 0);
    memory = json_object_get(json_object_get(row, "kinds"), "memory");
    expect_eq(number(row, "uid"), getuid());
    expect_eq(number(row, "weight"), 1);
    expect_eq(number(row, "connections"), 2);
    expect_eq(number(row, "resident_bytes"), 3 * 65536);
    expect_eq(number(memory, "granted"), rig_status().granted[KIND_MEMORY]);
    expect_eq(number(memory, "max"), 50);
    json_decref(root);
    expect_eq(ctl(&output, NULL, "clients"), 0);
    expect_says(output, " fleet ");
    expect_says(output, " 4/9 ");
    expect_says(output, " 192 KiB/- ");
    free(output);
    expect_eq(ctl(&output, NULL, "users"), 0);
    expect_says(output, "/50 ");
    expect_says(output, " 2/- ");
    free(output);
    for (int i = 0; i < 2; i++)
        wasmpool_deallocate_module(&held[i]);
    worker_close(&worker);
    rig_expect_sound();
    rig_close();
}

#define MANY 230 /* more than two pages */

/* One process may be many users: who it is, is read when it connects. */
static void open_many(struct Peer *peers, uid_t first) {
    for (unsigned i = 0; i < MANY; i++) {
        host_demand(!first || !seteuid(first + i * 7 % MANY), "seteuid");
        peer_open(&peers[i], rig.daemon.socket);
        host_demand(!first || !seteuid(0), "seteuid back");
    }
}

static void close_many(struct Peer *peers) {
    for (unsigned i = 0; i < MANY; i++)
        peer_goodbye(&peers[i]);
}

Test(limit, clients_go_over_many_pages) {
    struct Peer *peers = calloc(MANY, sizeof(*peers));
    json_t *root, *row;
    json_int_t last = 0;
    size_t i;

    rig_open(NULL);
    open_many(peers, 0);
    root = ctl_json("clients");
    expect_eq(json_array_size(json_object_get(root, "rows")), MANY + 1);
    json_array_foreach(json_object_get(root, "rows"), i, row) {
        cr_assert(number(row, "connection") > last);
        last = number(row, "connection");
    }
    json_decref(root);
    close_many(peers);
    free(peers);
    rig_expect_sound();
    rig_close();
}

Test(limit, users_go_over_many_pages) {
    struct Peer *peers;
    json_t *root, *row;
    size_t i;

    if (getuid()) {
        cr_skip_test("only root can play several users");
        return;
    }
    peers = calloc(MANY, sizeof(*peers));
    rig_open(NULL);
    chmod(rig.daemon.directory, 0755);
    chmod(rig.daemon.socket, 0666);
    open_many(peers, 200000);
    root = ctl_json("users");
    expect_eq(json_array_size(json_object_get(root, "rows")), MANY + 1);
    json_array_foreach(json_object_get(root, "rows"), i, row) expect_eq(number(row, "uid"), i ? 200000 + i - 1 : 0);
    json_decref(root);
    close_many(peers);
    free(peers);
    rig_expect_sound();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ pipelined */

static void admin_open(struct Peer *admin) {
    Wasmpool__Hello hello = WASMPOOL__HELLO__INIT;
    WireMessage message = WIRE_MESSAGE(1, HELLO, hello, &hello);
    struct WirePacket packet;

    hello.major = WIRE_MAJOR;
    hello.name = (char *)"admin";
    peer_connect(admin, rig.daemon.admin);
    expect_eq(peer_send(admin, &message), 0);
    expect_eq(peer_receive(admin, &packet), 0);
    wire_packet_deinit(&packet);
}

/* 1000 and 2000 in turn. As wire_send. */
static int admin_ask(struct Peer *admin, unsigned i) {
    Wasmpool__SetLimit asked = WASMPOOL__SET_LIMIT__INIT;
    WireMessage message = WIRE_MESSAGE(2 + i, SET_LIMIT, set_limit, &asked);

    asked.scope = WASMPOOL__LIMIT_SCOPE__LIMIT_SCOPE_POOL;
    asked.name = (char *)"idle_trim_ms";
    asked.value = (char *)(i % 2 ? "2000" : "1000");
    return wire_send(admin->socket, &message, NULL, 0);
}

static void admin_expect(struct Peer *admin, unsigned i) {
    struct WirePacket packet;

    expect_eq(peer_receive(admin, &packet), 0);
    expect_eq(packet.message->id, 2 + i);
    expect_eq(packet.message->body_case, WASMPOOL__PACKET__BODY_LIMIT_SET);
    expect_eq(packet.message->limit_set->from, i % 2 ? 1000 : i ? 2000 : 60000);
    expect_eq(packet.message->limit_set->to, i % 2 ? 2000 : 1000);
    wire_packet_deinit(&packet);
}

/* Answers that nobody reads fill the socket, until the daemon takes no more requests: the one that it could not answer
 * has changed something once, and says what that was before. */
Test(limit, that_waits_for_room_is_changed_once) {
    struct Peer admin;
    unsigned n = 0;

    rig_open(NULL);
    admin_open(&admin);
    while (host_await(!admin_ask(&admin, n), 200))
        n++;
    cr_assert(n > 100, "%u requests fill the socket", n);
    expect_eq(rig_status().connections, 1); /* others are served meanwhile */
    for (unsigned i = 0; i < n; i++)
        admin_expect(&admin, i);
    peer_close(&admin);
    rig_expect_sound();
    rig_close();
}
