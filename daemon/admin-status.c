/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/admin-status.h"

#include "daemon/client.h"
#include "daemon/slab.h"

#include <string.h>
#include <unistd.h>

#define ADMIN_FEATURES_MAX 16

static void status_fill_kind(Wasmpool__KindUse *use, const struct Pool *pool, enum Kind kind) {
    wasmpool__kind_use__init(use);
    use->kind = (Wasmpool__Kind)kind;
    use->bound = pool_total(pool, kind);
    use->granted = pool->granted[kind];
    use->slabs = pool->slabs[kind];
    for (const struct Client *client = pool->clients; client; client = client->next)
        if (client->granted[kind])
            use->busy += client_count_busy(client, kind);
}

static uint64_t status_count_limited(const struct Cgroups *cgroups) {
    uint64_t n = 0;

    for (const struct Cgroup *cgroup = cgroups->all; cgroup; cgroup = cgroup->next)
        n += cgroup->limit_bytes != UINT64_MAX;
    return n;
}

static void status_fill_pool(Wasmpool__StatusReport *report, const struct Pool *pool) {
    report->connections = pool->n_clients;
    report->connections_max = pool->bounds.connections_max;
    report->disconnected = pool->n_disconnected;
    report->users = pool->n_users;
    report->resident_bytes = pool->resident_bytes;
    report->grants = pool->counters.grants;
    report->granted_most = pool->counters.granted_most[KIND_MEMORY];
    report->images = pool->images.n;
    report->image_bytes = pool->images.bytes;
    report->image_bytes_max = pool->bounds.image_bytes_max;
    report->cgroups = pool->cgroups.n;
    report->cgroups_limited = status_count_limited(&pool->cgroups);
}

static size_t status_fill_features(Wasmpool__Feature *bodies, Wasmpool__Feature **features,
                                   const struct Features *found) {
    size_t n = 0;

    for (; n < FEATURE_INFOS_N && n < ADMIN_FEATURES_MAX; n++) {
        wasmpool__feature__init(&bodies[n]);
        bodies[n].name = (char *)FEATURE_INFOS[n].name;
        bodies[n].present = features_get(found, &FEATURE_INFOS[n]);
        bodies[n].without = (char *)FEATURE_INFOS[n].without;
        features[n] = &bodies[n];
    }
    return n;
}

static size_t status_fill_trims(Wasmpool__TrimUse *bodies, Wasmpool__TrimUse **trims, const struct Pool *pool) {
    static const char *const why[TRIM_WHY_N] = {
        [TRIM_IDLE] = "idle", [TRIM_BUDGET] = "budget", [TRIM_HOST] = "host", [TRIM_CGROUP] = "cgroup"};

    for (size_t i = 0; i < TRIM_WHY_N; i++) {
        wasmpool__trim_use__init(&bodies[i]);
        bodies[i].why = (char *)why[i];
        bodies[i].slots = pool->counters.trims[i].slots;
        bodies[i].bytes = pool->counters.trims[i].bytes;
        trims[i] = &bodies[i];
    }
    return TRIM_WHY_N;
}

struct StatusTracking {
    Wasmpool__TrackingUse use;
    Wasmpool__Tracking tracking;
};

#define STATUS_TRACKINGS_MAX (TRACKER_WAYS + 1) /* and those that are unknown */

/* One client's text is not said to be another's reason. */
static void status_add_tracking(struct StatusTracking *body, const struct ClientTracking *tracking) {
    if (!body->use.connections++)
        body->tracking.why = (char *)tracking->why;
    else if (strcmp(body->tracking.why, tracking->why))
        body->tracking.why = (char *)"for several reasons, see clients";
}

/* By way, of all connections that said one. */
static size_t status_fill_trackings(struct StatusTracking *bodies, Wasmpool__TrackingUse **uses,
                                    const struct Pool *pool) {
    size_t n = 0;

    for (uint32_t way = 0; way < STATUS_TRACKINGS_MAX; way++) {
        struct StatusTracking *body = &bodies[n];

        wasmpool__tracking_use__init(&body->use);
        wasmpool__tracking__init(&body->tracking);
        for (const struct Client *client = pool->clients; client; client = client->next)
            if (client->tracking.said &&
                (client->tracking.way < TRACKER_WAYS ? client->tracking.way : TRACKER_WAYS) == way)
                status_add_tracking(body, &client->tracking);
        body->tracking.way = way;
        body->use.tracking = &body->tracking;
        uses[n] = &body->use;
        n += body->use.connections != 0;
    }
    return n;
}

bool admin_status(struct Admin *admin, const WireMessage *request) {
    static const enum Kind kinds[] = {KIND_MEMORY, KIND_TABLE, KIND_INSTANCE};
    struct Server *server = admin->server;
    Wasmpool__StatusReport report = WASMPOOL__STATUS_REPORT__INIT;
    WireMessage message = WIRE_MESSAGE(request->id, STATUS_REPORT, status_report, &report);
    Wasmpool__Limits limits = WASMPOOL__LIMITS__INIT;
    Wasmpool__KindUse uses[3], *use_pointers[3];
    Wasmpool__Feature features[ADMIN_FEATURES_MAX], *feature_pointers[ADMIN_FEATURES_MAX];
    Wasmpool__TrimUse trims[TRIM_WHY_N], *trim_pointers[TRIM_WHY_N];
    struct StatusTracking trackings[STATUS_TRACKINGS_MAX];
    Wasmpool__TrackingUse *tracking_pointers[STATUS_TRACKINGS_MAX];

    pool_measure(&server->pool);
    status_fill_pool(&report, &server->pool);
    report.version = (char *)WASMPOOL_VERSION;
    report.pid = (uint32_t)getpid();
    report.uptime_ms = (uv_hrtime() - server->started_ns) / 1000000;
    wire_limits_put(&limits, &server->pool.limits);
    report.limits = &limits;
    for (size_t i = 0; i < 3; i++) {
        status_fill_kind(&uses[i], &server->pool, kinds[i]);
        use_pointers[i] = &uses[i];
    }
    report.kinds = use_pointers;
    report.n_kinds = 3;
    report.accepted = server->counters.accepted;
    report.refused = server_count_refused(server);
    report.cut_off = server->counters.cut_off;
    report.n_features = status_fill_features(features, feature_pointers, &server->features);
    report.features = feature_pointers;
    report.n_trims = status_fill_trims(trims, trim_pointers, &server->pool);
    report.trims = trim_pointers;
    report.n_trackings = status_fill_trackings(trackings, tracking_pointers, &server->pool);
    report.trackings = tracking_pointers;
    return admin_send(admin, &message);
}
