/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/server.h"

#include "daemon/activation.h"
#include "daemon/admin.h"
#include "daemon/change.h"
#include "daemon/log.h"
#include "daemon/reclaim.h"
#include "daemon/session.h"
#include "daemon/want.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SERVER_STOP_MS 1000 /* how long answers may wait for room when the daemon ends */
#define SERVER_GROUP "wasmpool"

/* The first rescan for who waits, and the longest pause between two. */
#define SERVER_RESCAN_MS 5
#define SERVER_RESCAN_MAX_MS 80
/* Pages that are punched in a turn of the loop itself: some 10 us, less than it takes to wake a thread. */
#define SERVER_RECLAIM_FEW_BYTES (32 * UINT64_C(4096))
/* How late a punch may begin that nobody waits for; if there are so many, they begin at once. */
#define SERVER_RECLAIM_MS 1
#define SERVER_RECLAIMS_MAX 8
#define SERVER_RECLAIM_NICE 5 /* a quarter of a processor that somebody else keeps busy */
#define SERVER_SERVES_MAX 64 /* batches of grants in one turn of the loop */

/* -------------------------------------------------------------------------------------------------- reclaims */

struct ReclaimJob {
    uv_work_t work;
    struct Server *server;
    struct Reclaim *reclaims;
};

/* Punching makes room for the loop, and for clients, where they want the same processor. */
static void reclaim_yield(void) {
    static _Thread_local bool yields;

    if (!yields)
        setpriority(PRIO_PROCESS, (id_t)gettid(), SERVER_RECLAIM_NICE);
    yields = true;
}

static void reclaim_on_work(uv_work_t *work) {
    struct ReclaimJob *job = work->data;

    reclaim_yield();
    reclaim_run(job->reclaims);
}

static void server_resume_wants(struct Server *server) {
    struct Session *next;

    for (struct Session *session = server->session_list; session && server->n_deferred; session = next) {
        next = session->next;
        session_resume_want(session);
    }
}

static void reclaim_on_done(uv_work_t *work, int status) {
    struct ReclaimJob *job = work->data;

    (void)status;
    reclaim_finish(job->reclaims);
    server_resume_wants(job->server);
    free(job);
}

/* Punching takes time with the pages there are: it happens off the loop. */
static void server_reclaim(struct Server *server) {
    struct ReclaimJob *job = calloc(1, sizeof(*job));

    uv_timer_stop(&server->reclaim);
    if (!job)
        return; /* they stay on the list until the next turn */
    job->server = server;
    job->reclaims = reclaim_steal(&server->pool);
    job->work.data = job;
    if (uv_queue_work(&server->loop, &job->work, reclaim_on_work, reclaim_on_done)) {
        reclaim_on_work(&job->work);
        reclaim_on_done(&job->work, 0);
    }
}

static void server_reclaim_few(struct Server *server) {
    struct Reclaim *few = reclaim_steal_few(&server->pool, SERVER_RECLAIM_FEW_BYTES);

    if (!few)
        return;
    reclaim_run(few);
    reclaim_finish(few);
    server_resume_wants(server);
}

static void server_on_reclaim(uv_timer_t *timer) {
    struct Server *server = timer->data;

    if (server->pool.reclaims)
        server_reclaim(server);
}

/* What is more than a few pages not at once, unless somebody waits for it: whoever was answered just now, with what was
 * taken back, is not to share his processor with the punch. */
static void server_reclaim_soon(struct Server *server) {
    const struct Pool *pool = &server->pool;

    server_reclaim_few(server);
    if (!pool->reclaims)
        return;
    if (server->n_deferred || pool->wants || pool->n_reclaims >= SERVER_RECLAIMS_MAX)
        server_reclaim(server);
    else if (!uv_is_active((uv_handle_t *)&server->reclaim))
        uv_timer_start(&server->reclaim, server_on_reclaim, SERVER_RECLAIM_MS, 0);
}

/* -------------------------------------------------------------------------------------------------- wants */

static void server_wake_clients(struct Server *server) {
    for (struct Client *client = server->pool.clients; client && server->pool.n_woken; client = client->next)
        if (client->woken) {
            client->woken = false;
            server->pool.n_woken--;
            lease_wake(client->table);
        }
}

static void server_on_rescan(uv_timer_t *timer) {
    struct Server *server = timer->data;

    server->pool.now_ms = uv_now(&server->loop);
    want_serve(&server->pool, true);
    server->rescan_ms = 2 * server->rescan_ms < SERVER_RESCAN_MAX_MS ? 2 * server->rescan_ms : SERVER_RESCAN_MAX_MS;
    uv_timer_start(timer, server_on_rescan, server->rescan_ms, 0);
}

/* A want that is new or was met for a part is looked after soon again, one that waits in vain less and less often. */
static void server_serve(struct Server *server) {
    struct Pool *pool = &server->pool;
    uint64_t grants = pool->counters.grants, waits = pool->counters.waits;

    for (int i = 0; pool->wants && !pool->served && i < SERVER_SERVES_MAX; i++)
        want_serve(pool, false);
    server_wake_clients(server);
    if (!pool->wants) {
        uv_timer_stop(&server->rescan);
        server->n_waits = pool->counters.waits;
        return;
    }
    if (grants == pool->counters.grants && server->n_waits == waits && uv_is_active((uv_handle_t *)&server->rescan))
        return;
    server->n_waits = waits;
    server->rescan_ms = SERVER_RESCAN_MS;
    uv_timer_start(&server->rescan, server_on_rescan, server->rescan_ms, 0);
}

/* -------------------------------------------------------------------------------------------------- turns */

void server_tell_status(struct Server *server) {
    const struct Pool *pool = &server->pool;
    char status[sizeof(server->notify.status)];

    snprintf(status, sizeof(status), "%" PRIu64 " clients; %" PRIu64 " memories, %" PRIu64 " tables, %" PRIu64
             " instances granted%s", pool->n_clients, pool->granted[KIND_MEMORY], pool->granted[KIND_TABLE],
             pool->granted[KIND_INSTANCE], server->reload_failed ? "; reload failed, see the log" : "");
    notify_status(&server->notify, status);
}

void server_resume_listeners(struct Server *server) {
    if (server->stopping)
        return;
    listener_resume(&server->tenants);
    listener_resume(&server->admins);
}

uint64_t server_count_refused(const struct Server *server) {
    return server->counters.refused + server->tenants.n_refused + server->admins.n_refused;
}

/* Before the loop sleeps: whatever the callbacks did, this is what follows from it. */
static void server_on_prepare(uv_prepare_t *prepare) {
    struct Server *server = prepare->data;

    watch_prepare(&server->watch);
    if (server->stopping)
        return;
    server->pool.now_ms = uv_now(&server->loop);
    server_serve(server);
    server_reclaim_soon(server);
}

/* -------------------------------------------------------------------------------------------------- connections */

static void server_turn_away(struct Server *server, const struct Listener *listener, int socket,
                             const struct Error *error) {
    server->counters.refused++;
    log_event(LOG_LEVEL_WARNING, "connection-refused", "path=%s why=%s", listener->path, error->message);
    link_turn_away(socket, error);
}

static void server_on_tenant(struct Listener *listener, int socket) {
    struct Server *server = listener->data;
    struct Error error = {0};

    if (session_new(server, socket, &error))
        server_turn_away(server, listener, socket, &error);
    else
        server->counters.accepted++;
}

static void server_on_admin(struct Listener *listener, int socket) {
    struct Server *server = listener->data;
    struct Error error = {0};

    if (admin_new(server, socket, &error))
        server_turn_away(server, listener, socket, &error);
    else
        server->counters.accepted++;
}

/* -------------------------------------------------------------------------------------------------- end */

static void server_stop_sessions(struct Server *server, bool now) {
    struct Session *next;

    for (struct Session *session = server->session_list; session; session = next) {
        next = session->next;
        session_stop(session, now);
    }
}

static void server_on_stop_deadline(uv_timer_t *timer) {
    struct Server *server = timer->data;

    server_stop_sessions(server, true);
}

/* When the last handle is closed, the loop ends. */
static void server_stop(struct Server *server) {
    server->stopping = true;
    listener_close(&server->tenants);
    listener_close(&server->admins);
    while (server->admin_list)
        admin_stop(server->admin_list);
    server_stop_sessions(server, false);
    for (size_t i = 0; i < sizeof(server->signals) / sizeof(server->signals[0]); i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    watch_close(&server->watch);
    uv_close((uv_handle_t *)&server->rescan, NULL);
    uv_close((uv_handle_t *)&server->reclaim, NULL);
    uv_close((uv_handle_t *)&server->prepare, NULL);
    uv_timer_start(&server->stop_deadline, server_on_stop_deadline, SERVER_STOP_MS, 0);
    uv_unref((uv_handle_t *)&server->stop_deadline);
}

static void server_on_end_signal(uv_signal_t *handle, int number) {
    struct Server *server = handle->data;

    if (server->stopping)
        return;
    log_event(LOG_LEVEL_INFO, "stopping", "signal=%s clients=%lu memories=%lu",
              number == SIGTERM ? "SIGTERM" : "SIGINT", server->pool.n_clients, server->pool.granted[KIND_MEMORY]);
    notify_stopping(&server->notify);
    server_stop(server);
}

/* -------------------------------------------------------------------------------------------------- reload */

/* New limits count for new grants; nothing is taken back. */
static void server_reload(struct Server *server) {
    struct Config config;
    struct Error error;

    server->reload_failed = config_load(&config, server->argc, server->argv, &error);
    if (server->reload_failed) {
        log_event(LOG_LEVEL_ERROR, "reload-failed", "why=%s", error.message);
        return;
    }
    if (strcmp(server->config.socket, config.socket) || strcmp(server->config.admin_socket, config.admin_socket) ||
        strcmp(server->config.group, config.group))
        log_event(LOG_LEVEL_WARNING, "restart-needed", "why=%s", "socket, admin_socket or group changed, ignoring");
    change_reload(server, &config);
    log_set_level(config.level);
    log_event(LOG_LEVEL_INFO, "reloaded", "memories=%lu", config.limits.total_memories);
}

/* The manager waits for the end of each reload, of a failed one too. */
static void server_on_reload_signal(uv_signal_t *handle, int number) {
    struct Server *server = handle->data;

    (void)number;
    notify_reloading(&server->notify);
    server_reload(server);
    server_tell_status(server);
    notify_ready(&server->notify);
}

/* -------------------------------------------------------------------------------------------------- start */

static uint64_t server_raise_fds(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit))
            limit.rlim_cur = before;
    }
    return limit.rlim_cur;
}

/* Who may connect beside root and the daemon's own user. A group that was named must exist. */
static int server_find_group(const struct Config *config, gid_t *groupp, struct Error *error) {
    const char *name = *config->group ? config->group : SERVER_GROUP;
    struct group *group = NULL;

    if (*config->group || !geteuid())
        group = getgrnam(name);
    if (!group && *config->group)
        return error_set(error, ERROR_INVALID, "there is no group called '%s': make it, or name another", name);
    *groupp = group ? group->gr_gid : (gid_t)-1;
    return 0;
}

/* A socket that was given is where it is, whatever the configuration says. */
static int server_open_listener(struct Server *server, struct Listener *listener, struct ListenerOptions *options,
                                struct ActivationSocket *given, struct Error *error) {
    options->data = server;
    options->given_fd = activation_steal(given);
    if (options->given_fd >= 0)
        options->path = given->path;
    return listener_open(listener, &server->loop, options, error);
}

static int server_listen(struct Server *server, struct Activation *activation, struct Error *error) {
    struct ListenerOptions tenants = {.path = server->config.socket, .mode = 0660, .accepted = server_on_tenant};
    struct ListenerOptions admins = {
        .path = server->config.admin_socket, .mode = 0600, .group = (gid_t)-1, .accepted = server_on_admin};
    int r = server_find_group(&server->config, &tenants.group, error);

    if (!r)
        r = server_open_listener(server, &server->tenants, &tenants, &activation->tenants, error);
    if (!r)
        r = server_open_listener(server, &server->admins, &admins, &activation->admin, error);
    if (r)
        listener_close(&server->tenants);
    return r;
}

static void server_start_handles(struct Server *server) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], numbers[i] == SIGHUP ? server_on_reload_signal : server_on_end_signal,
                        numbers[i]);
    }
    uv_timer_init(&server->loop, &server->rescan);
    uv_timer_init(&server->loop, &server->reclaim);
    uv_timer_init(&server->loop, &server->stop_deadline);
    uv_prepare_init(&server->loop, &server->prepare);
    server->rescan.data = server->reclaim.data = server->stop_deadline.data = server;
    server->prepare.data = server;
    uv_prepare_start(&server->prepare, server_on_prepare);
}

/* The bounds that the descriptors allow for. */
static struct PoolBounds server_fit_fds(const struct Server *server) {
    struct Config fitted = server->config;

    if (config_fit_fds(&fitted, server->fds_max))
        log_event(LOG_LEVEL_WARNING, "bounds-lowered",
                  "fds_max=%lu connections_max=%lu configured=%lu slabs_max=%lu why=%s", server->fds_max,
                  fitted.bounds.connections_max, server->config.bounds.connections_max, fitted.bounds.slabs_max,
                  "RLIMIT_NOFILE does not allow for more");
    return fitted.bounds;
}

int server_open(struct Server *server, struct Config *config, int argc, char **argv, struct Error *error) {
    struct Activation activation;
    struct PoolBounds bounds;
    int r;

    *server = (struct Server){.config = *config, .argc = argc, .argv = argv, .started_ns = uv_hrtime()};
    quotas_init(&server->config.quotas); /* which are the pool's, below */
    server->fds_max = server_raise_fds();
    if (server->fds_max < CONFIG_FDS_LEAST)
        return error_limit(error, ERROR_HOST, "RLIMIT_NOFILE", server->fds_max, 0, CONFIG_FDS_LEAST,
                           "too few file descriptors to serve anyone");
    bounds = server_fit_fds(server);
    features_probe(&server->features);
    r = uv_loop_init(&server->loop);
    if (r)
        return error_set(error, r, "cannot make an event loop: %s", uv_strerror(r));
    r = activation_init(&activation, error);
    if (!r)
        r = server_listen(server, &activation, error);
    activation_deinit(&activation);
    if (r) {
        uv_run(&server->loop, UV_RUN_DEFAULT); /* a listener may be closing */
        uv_loop_close(&server->loop);
        return r;
    }
    server_start_handles(server);
    pool_init(&server->pool, &server->config.limits, &bounds);
    server->pool.quotas = quotas_steal(&config->quotas);
    cgroups_init(&server->pool.cgroups, "/proc/self/mounts");
    watch_open(&server->watch, server);
    return 0;
}

void server_run(struct Server *server) {
    int r;

    log_event(LOG_LEVEL_INFO, "ready", "version=%s pid=%d socket=%s admin_socket=%s connections_max=%lu slabs_max=%lu",
              WASMPOOL_VERSION, (int)getpid(), server->tenants.path, server->admins.path,
              server->pool.bounds.connections_max, server->pool.bounds.slabs_max);
    notify_open(&server->notify);
    server_tell_status(server);
    notify_ready(&server->notify);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&server->stop_deadline, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    notify_close(&server->notify);
    images_deinit(&server->pool);
    /* Not run before: what processes still use is closed, not punched. */
    reclaim_finish(reclaim_steal(&server->pool));
    pool_deinit(&server->pool);
    r = uv_loop_close(&server->loop);
    if (r)
        log_event(LOG_LEVEL_ERROR, "loop-not-closed", "why=%s", uv_strerror(r));
    log_event(LOG_LEVEL_INFO, "stopped", "accepted=%lu refused=%lu cut_off=%lu", server->counters.accepted,
              server_count_refused(server), server->counters.cut_off);
}
