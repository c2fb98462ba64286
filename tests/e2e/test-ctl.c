/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* wasmpoolctl, as people and programs call it. */

#include "client/pool.h"
#include "tests/e2e/ctl.h"

RIG_SUITE(ctl);

static const char *text(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);

    cr_assert(json_is_string(value), "there is no text '%s'", name);
    return json_string_value(value);
}

/* How the worker says that it learns of writes. */
static void expect_tracking(const json_t *root, struct wasmpool *pool) {
    const struct Tracker *tracker = pool_tracker(pool);
    const char *way = tracker_way_name(tracker ? tracker->way : TRACKER_NONE);
    const json_t *trackings = json_object_get(root, "tracking");

    expect_eq(json_object_size(trackings), 1);
    expect_eq(number(json_object_get(trackings, way), "connections"), 1);
    expect_str(text(json_object_get(trackings, way), "why"), pool->tracker.why);
}

Test(ctl, status_in_json_is_what_the_daemon_is) {
    struct wasmpool_instance *held[3];
    struct Worker worker;
    json_t *root, *memory;

    rig_open(NULL);
    worker_open(&worker, rig.daemon.address);
    for (int i = 0; i < 3; i++)
        instance_fill(held[i] = worker_allocate(&worker), 1);
    root = ctl_json("status");
    memory = json_object_get(json_object_get(root, "kinds"), "memory");
    expect_eq(number(root, "pid"), rig.daemon.pid);
    expect_eq(number(root, "connections"), 2);
    expect_eq(number(root, "disconnected"), 0);
    expect_eq(number(root, "users"), 1);
    expect_eq(number(root, "resident_bytes"), 3 * 65536);
    expect_eq(json_object_size(json_object_get(root, "trims")), 4);
    expect_eq(number(json_object_get(json_object_get(root, "trims"), "cgroup"), "slots"), 0);
    expect_eq(number(memory, "bound"), 1000);
    expect_eq(number(memory, "busy"), 3);
    expect_eq(number(memory, "granted"), rig_status().granted[KIND_MEMORY]);
    expect_eq(number(memory, "slabs"), 1);
    expect_eq(number(json_object_get(root, "limits"), "total_memories"), 1000);
    expect_eq(json_is_true(json_object_get(root, "features")), false);
    cr_assert(json_object_size(json_object_get(root, "features")) >= 4);
    expect_tracking(root, worker.pool);
    json_decref(root);
    for (int i = 0; i < 3; i++)
        wasmpool_deallocate_module(&held[i]);
    worker_close(&worker);
    rig_close();
}

static const json_t *find_row(const json_t *rows, const char *kind, const char *state) {
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
        if (!strcmp(text(row, "kind"), kind) && !strcmp(text(row, "state"), state))
            return row;
    cr_assert_fail("no %s is %s", kind, state);
    return NULL;
}

Test(ctl, list_in_json_names_who_holds_what) {
    struct wasmpool_instance *held[3];
    struct wasmpool_request request;
    struct Worker worker;
    const json_t *row;
    json_t *root;

    rig_open(NULL);
    worker_open(&worker, rig.daemon.address);
    request = (struct wasmpool_request){.module = worker.module, .label = "evil\n\x1b[2J\x9b"};
    for (int i = 0; i < 3; i++)
        expect_eq(wasmpool_allocate_module(worker.pool, &request, &held[i], NULL), 0);
    instance_fill(held[0], 1);
    wasmpool_deallocate_module(&held[2]);
    root = ctl_json("list");
    row = find_row(json_object_get(root, "rows"), "memory", "busy");
    expect_eq(number(row, "pid"), getpid());
    expect_eq(number(row, "uid"), getuid());
    expect_str(text(row, "command"), "fleet");
    expect_str(text(row, "label"), "evil??[2J?");
    expect_eq(number(row, "pages"), 16);
    expect_eq(json_is_false(json_object_get(row, "disconnected")), true);
    cr_assert(number(row, "inode") > 0 && number(row, "connection") > 0);
    row = find_row(json_object_get(root, "rows"), "memory", "idle");
    expect_str(text(row, "label"), "");
    row = find_row(json_object_get(root, "rows"), "instance", "busy");
    expect_eq(number(row, "inode"), 0);
    json_decref(root);
    wasmpool_deallocate_module(&held[0]);
    wasmpool_deallocate_module(&held[1]);
    worker_close(&worker);
    root = ctl_json("list");
    expect_eq(json_array_size(json_object_get(root, "rows")), 0);
    json_decref(root);
    rig_close();
}

static void expect_printable(const char *output) {
    for (const char *c = output; *c; c++)
        cr_assert(*c == '\n' || (*c >= 0x20 && *c < 0x7f), "byte %#x reaches the terminal", (unsigned char)*c);
}

Test(ctl, tables_are_for_terminals) {
    static const char *const columns[] = {"PID",  "UID",   "COMMAND",  "SLAB", "SLOT", "KIND",
                                          "STATE", "PAGES", "RESIDENT", "AGE",  "LABEL"};
    struct wasmpool_options options = {.address = rig.daemon.address, .name = "\x1b]0;evil\a"};
    struct wasmpool_request request;
    struct wasmpool_instance *held;
    struct Worker worker;
    char *output;

    rig_open(NULL);
    worker_open(&worker, rig.daemon.address);
    wasmpool_close(worker.pool);
    expect_eq(wasmpool_open(&worker.pool, &options, NULL), 0);
    request = (struct wasmpool_request){.module = worker.module, .label = "\x1b[31mred\r\n"};
    expect_eq(wasmpool_allocate_module(worker.pool, &request, &held, NULL), 0);
    expect_eq(ctl(&output, NULL, "list", NULL), 0);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        expect_says(output, columns[i]);
    expect_says(output, "?[31mred??");
    expect_says(output, "?]0;evil?");
    expect_says(output, "memory");
    expect_says(output, "instance");
    expect_says(output, "busy");
    expect_printable(output);
    free(output);
    expect_eq(ctl(&output, NULL, "status", NULL), 0);
    expect_says(output, "total_memories");
    expect_says(output, "connections  2 of 1024");
    expect_printable(output);
    free(output);
    wasmpool_deallocate_module(&held);
    worker_close(&worker);
    rig_close();
}

/* More rows than a page holds, of which each is seen once. */
Test(ctl, list_goes_over_many_pages) {
    const char *settings[] = {"total_core_instances=2000", NULL};
    struct Shape shape = peer_shape(KIND_INSTANCE, 4096);
    struct PeerSlab slab;
    struct Error error;
    uint32_t granted;
    struct Peer peer;
    json_t *root, *row;
    size_t i;

    rig_open(settings);
    peer_open(&peer, rig.daemon.socket);
    peer_open_slab(&peer, &shape, 16, &slab);
    for (granted = slab.granted; granted < 2000;) {
        uint32_t n = peer_want(&peer, &slab, 2000, &error);

        cr_assert(n, "%s", error.message);
        granted += n;
    }
    expect_eq(granted, 2000);
    root = ctl_json("list");
    expect_eq(json_array_size(json_object_get(root, "rows")), 2000);
    json_array_foreach(json_object_get(root, "rows"), i, row)
        expect_eq(number(row, "slot"), i);
    json_decref(root);
    peer_goodbye(&peer);
    rig_expect_sound();
    rig_close();
}

/* ------------------------------------------------------------------------------------------------ exit status */

struct Usage {
    const char *arguments[CTL_WORDS_MAX];
    int status;
    const char *says; /* on stderr; NULL: on stdout something */
};

static const struct Usage usages[] = {
    {{"wasmpoolctl"}, 2, "status, list, users, clients, images or limit"},
    {{"wasmpoolctl", "limit", "total_memories"}, 2, "is not NAME=VALUE"},
    {{"wasmpoolctl", "limit", "=1"}, 2, "is not NAME=VALUE"},
    {{"wasmpoolctl", "limit", "--user", "no-such-user", "weight=1"}, 2, "no-such-user"},
    {{"wasmpoolctl", "limit", "--client", "x", "fds_max=1"}, 2, "is not the number of a connection"},
    {{"wasmpoolctl", "limit", "--users"}, 2, "say what to set"},
    {{"wasmpoolctl", "limit", "--users", "--clients", "fds_max=1"}, 2, "say one of"},
    {{"wasmpoolctl", "status", "--users"}, 2, "go with limit"},
    {{"wasmpoolctl", "frobnicate"}, 2, "frobnicate"},
    {{"wasmpoolctl", "status", "list"}, 2, "list"},
    {{"wasmpoolctl", "--frobnicate", "status"}, 2, "--frobnicate"},
    {{"wasmpoolctl", "status", "--socket"}, 2, "--socket"},
    {{"wasmpoolctl", "--timeout", "soon", "status"}, 2, "soon"},
    {{"wasmpoolctl", "--socket", "/nowhere/admin.sock", "status"}, 1, "/nowhere/admin.sock"},
    {{"wasmpoolctl", "--socket", "/nowhere/admin.sock", "list", "--json"}, 1, "is wasmpoold running?"},
    {{"wasmpoolctl", "--help"}, 0, NULL},
    {{"wasmpoolctl", "--version"}, 0, NULL},
};

Test(ctl, exit_status_tells_wrong_usage_from_failure) {
    host_set_fail(rig_die);
    for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
        char *output, *errors;

        expect_eq(host_run(usages[i].arguments, 0, &output, &errors), usages[i].status);
        if (usages[i].says) {
            expect_says(errors, usages[i].says);
            expect_str(output, "");
        } else {
            expect_says(output, "wasmpoolctl");
            expect_str(errors, "");
        }
        free(output);
        free(errors);
    }
}

Test(ctl, of_a_tenants_socket_is_told_so) {
    const char *arguments[] = {"wasmpoolctl", "--socket", rig.daemon.socket, "status", NULL};
    char *output, *errors;

    rig_open(NULL);
    expect_eq(host_run(arguments, 0, &output, &errors), 1);
    cr_assert(*errors && !*output, "it says '%s' and '%s'", errors, output);
    free(output);
    free(errors);
    rig_expect_sound();
    rig_close();
}
