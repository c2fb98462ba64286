/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/burst/tenant.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/examples/burst/worker.h"
#include "client/wasmpool.h"

/* How long a burst waits for its next instance. Far more than it takes: who gets none is not served. */
#define BURST_WAIT_NS UINT64_C(10000000000)
/* A burst that takes a moment can be looked at. */
#define BURST_STEP 8
#define BURST_STEP_NS 4000000
/* Greed waits for one more for as long as this, and gives back the one that it has held for longest. */
#define GREED_WAIT_NS UINT64_C(2000000)

struct Tenant {
    int socket;
    struct wasmpool *pool;
    struct wasmpool_module *module;
    /* A ring: the one that was allocated first is at `first`. */
    struct wasmpool_instance *instances[BURST_INSTANCES_MAX];
    uint32_t first, held;
    struct Answer answer;
};

static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void tenant_fail(struct Tenant *tenant, int result, const struct wasmpool_error *error) {
    if (tenant->answer.result)
        return;
    tenant->answer.result = result;
    snprintf(tenant->answer.message, sizeof(tenant->answer.message), "%s", error->message);
}

static void tenant_open(struct Tenant *tenant, const char *name, const char *address) {
    static const struct wasmpool_memory_type memory = {.minimum = BURST_WASM_PAGES};
    struct wasmpool_module_description description = {.name = "burst", .memories = &memory, .n_memories = 1};
    struct wasmpool_options options = {.address = address, .name = name};
    struct wasmpool_error error;
    int r = wasmpool_open(&tenant->pool, &options, &error);

    if (!r)
        r = wasmpool_module_describe(&tenant->module, &description, &error);
    if (!r)
        r = wasmpool_validate_module(tenant->pool, tenant->module, &error);
    if (r)
        tenant_fail(tenant, r, &error);
}

/* One page in each wasm page: what a small program touches of its stack, its heap and its globals. */
static void instance_touch(struct Tenant *tenant, struct wasmpool_instance *instance) {
    uint8_t *base = wasmpool_instance_memory(instance, 0)->base;

    for (uint32_t i = 0; i < BURST_TOUCHED_PAGES; i++) {
        uint8_t *page = base + i * (size_t)65536;

        tenant->answer.dirty += *page != 0;
        memset(page, 0xa5, 64);
    }
}

static int tenant_add(struct Tenant *tenant, uint64_t wait_ns, struct wasmpool_error *error) {
    struct wasmpool_request request = {.module = tenant->module, .deadline_ns = now_ns() + wait_ns};
    uint32_t at = (tenant->first + tenant->held) % BURST_INSTANCES_MAX;
    int r = wasmpool_allocate_module(tenant->pool, &request, &tenant->instances[at], error);

    if (r)
        return r;
    instance_touch(tenant, tenant->instances[at]);
    tenant->held++;
    return 0;
}

static void tenant_drop(struct Tenant *tenant) {
    if (!tenant->held)
        return;
    wasmpool_deallocate_module(&tenant->instances[tenant->first]);
    tenant->first = (tenant->first + 1) % BURST_INSTANCES_MAX;
    tenant->held--;
}

static void tenant_burst(struct Tenant *tenant, uint32_t instances) {
    struct wasmpool_error error;
    int r = 0;

    while (tenant->held < instances && !(r = tenant_add(tenant, BURST_WAIT_NS, &error)))
        if (tenant->held % BURST_STEP == 0)
            nanosleep(&(struct timespec){.tv_nsec = BURST_STEP_NS}, NULL);
    if (r)
        tenant_fail(tenant, r, &error);
}

static bool tenant_has_order(const struct Tenant *tenant) {
    return poll(&(struct pollfd){.fd = tenant->socket, .events = POLLIN}, 1, 0) != 0;
}

static void tenant_be_greedy(struct Tenant *tenant, uint32_t instances) {
    struct wasmpool_error error;

    for (;;) {
        int r = tenant->held < instances ? tenant_add(tenant, GREED_WAIT_NS, &error) : 0;

        if (r && r != WASMPOOL_E_LIMIT) {
            tenant_fail(tenant, r, &error);
            return;
        }
        if (tenant_has_order(tenant))
            return;
        if (r || tenant->held == instances)
            tenant_drop(tenant);
    }
}

static bool tenant_answer(struct Tenant *tenant, uint64_t began_ns) {
    tenant->answer.held = tenant->held;
    tenant->answer.us = (uint32_t)((now_ns() - began_ns) / 1000);
    return send(tenant->socket, &tenant->answer, sizeof(tenant->answer), MSG_NOSIGNAL) == sizeof(tenant->answer);
}

int tenant_run(int socket, const char *name, const char *address) {
    static struct Tenant tenant;
    struct Order order;

    tenant.socket = socket;
    while (recv(socket, &order, sizeof(order), 0) == sizeof(order)) {
        uint64_t began_ns = now_ns();

        tenant.answer = (struct Answer){0};
        if (order.instances > BURST_INSTANCES_MAX)
            return 1;
        if (order.kind == ORDER_OPEN)
            tenant_open(&tenant, name, address);
        if (order.kind == ORDER_BURST)
            tenant_burst(&tenant, order.instances);
        if (order.kind == ORDER_GREED)
            tenant_be_greedy(&tenant, order.instances);
        while (order.kind == ORDER_RELEASE && tenant.held)
            tenant_drop(&tenant);
        if (!tenant_answer(&tenant, began_ns))
            return 1;
    }
    while (tenant.held)
        tenant_drop(&tenant);
    wasmpool_module_free(tenant.module);
    wasmpool_close(tenant.pool);
    return 0;
}
