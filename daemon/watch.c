/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/watch.h"

#include "daemon/log.h"
#include "daemon/pressure.h"
#include "daemon/psi.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/trim.h"

#include <unistd.h>

static uint64_t watch_now_ms(void) {
    return uv_hrtime() / 1000000;
}

/* Once a second at most. */
static void watch_log_trims(struct Watch *watch, uint64_t now_ms) {
    static const char *const why[TRIM_WHY_N] = {[TRIM_IDLE] = "not used",
                                                [TRIM_BUDGET] = "resident_bytes_max",
                                                [TRIM_HOST] = "the host is short of memory",
                                                [TRIM_CGROUP] = "a worker's cgroup is short of memory"};

    if (now_ms - watch->logged_ms < WATCH_MS)
        return;
    watch->logged_ms = now_ms;
    for (unsigned i = 0; i < TRIM_WHY_N; i++) {
        struct TrimCount *logged = &watch->logged[i], now = watch->server->pool.counters.trims[i];

        if (now.slots != logged->slots)
            log_event(LOG_LEVEL_INFO, "trimmed", "slots=%lu bytes=%lu why=%s", now.slots - logged->slots,
                      now.bytes - logged->bytes, why[i]);
        *logged = now;
    }
}

/* -------------------------------------------------------------------------------------------------- host */

static void psi_on_event(uv_poll_t *poll, int status, int events) {
    struct Watch *watch = poll->data;
    uint64_t now_ms = watch_now_ms();

    (void)events;
    if (status < 0) {
        log_event(LOG_LEVEL_WARNING, "psi-lost", "why=%s, looking at it now and then", uv_strerror(status));
        watch->server->features.psi_trigger = false;
        return;
    }
    pressure_relieve_host(&watch->server->pool, now_ms);
    watch_log_trims(watch, now_ms);
}

static void watch_open_psi(struct Watch *watch) {
    struct Server *server = watch->server;
    uint64_t stalled_us;

    server->features.psi = !psi_read(PSI_MEMORY, &stalled_us);
    watch->psi_fd = psi_open_trigger(PSI_MEMORY, server->pool.bounds.stall_percent);
    if (watch->psi_fd < 0)
        return;
    if (uv_poll_init(&server->loop, &watch->psi, watch->psi_fd)) {
        close(watch->psi_fd);
        watch->psi_fd = -1;
        return;
    }
    server->features.psi_trigger = true;
    watch->psi.data = watch;
    uv_poll_start(&watch->psi, UV_PRIORITIZED, psi_on_event);
}

/* -------------------------------------------------------------------------------------------------- ticks */

/* Returns for how long that needs no other look. */
static uint64_t watch_memory(struct Watch *watch, uint64_t now_ms) {
    struct Server *server = watch->server;
    struct Pool *pool = &server->pool;
    uint64_t stalled_us;

    gauges_read_in_turn(&pool->gauges, now_ms);
    trim_idle(pool, now_ms);
    if (server->features.psi && !server->features.psi_trigger && !psi_read(PSI_MEMORY, &stalled_us))
        pressure_look_at_host(pool, stalled_us, now_ms);
    return pressure_look(pool, now_ms);
}

/* Those that do nothing are not touched: there may be thousands. */
static void watch_sessions(struct Watch *watch) {
    struct Server *server = watch->server;
    struct Session *next;

    if (!server->n_stalled && !server->pool.n_disconnected)
        return;
    for (struct Session *session = server->session_list; session; session = next) {
        next = session->next;
        session_tick(session);
    }
}

static struct WatchPulse watch_pulse(const struct Watch *watch) {
    const struct Server *server = watch->server;

    return (struct WatchPulse){.accepted = server->counters.accepted,
                               .grants = server->pool.counters.grants,
                               .n_clients = server->pool.n_clients,
                               .resident_bytes = server->pool.resident_bytes};
}

static bool watch_is_quiet(const struct Watch *watch) {
    const struct WatchPulse now = watch_pulse(watch), *then = &watch->pulse;
    const struct Server *server = watch->server;

    return now.accepted == then->accepted && now.grants == then->grants && now.n_clients == then->n_clients &&
           now.resident_bytes == then->resident_bytes && !server->n_stalled && !server->pool.n_disconnected &&
           !server->tenants.paused && !server->admins.paused;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Whoever does nothing costs next to nothing: the pauses grow, but no pages are to be given back late for that. */
static uint64_t watch_pause_ms(const struct Watch *watch, bool quiet, uint64_t pressure_ms) {
    const struct Pool *pool = &watch->server->pool;
    uint64_t ms = quiet ? least(2 * watch->tick_ms, WATCH_MAX_MS) : WATCH_MS;

    if (pool->bounds.idle_trim_ms && pool->resident_bytes)
        ms = least(ms, pool->bounds.idle_trim_ms > WATCH_MS ? pool->bounds.idle_trim_ms : WATCH_MS);
    return least(ms, pressure_ms);
}

static void watch_on_tick(uv_timer_t *timer);

static void watch_tick_in(struct Watch *watch, uint64_t ms) {
    watch->tick_ms = ms;
    uv_timer_start(&watch->tick, watch_on_tick, ms, 0);
}

static void watch_on_tick(uv_timer_t *timer) {
    struct Watch *watch = timer->data;
    uint64_t now_ms = watch_now_ms(), pressure_ms;
    bool quiet;

    server_resume_listeners(watch->server);
    watch_sessions(watch);
    pressure_ms = watch_memory(watch, now_ms);
    watch_log_trims(watch, now_ms);
    quiet = watch_is_quiet(watch);
    if (!quiet)
        server_tell_status(watch->server);
    watch->pulse = watch_pulse(watch);
    watch_tick_in(watch, watch_pause_ms(watch, quiet, pressure_ms));
}

/* An open slab has a gauge: its client can write to it, whether anything of it is granted or not. */
static bool watch_wants_tick(const struct Watch *watch) {
    const struct Server *server = watch->server;
    const struct Pool *pool = &server->pool;

    if (server->stopping)
        return false;
    return pool->gauges.n || pool->granted[KIND_INSTANCE] || pool->n_disconnected ||
           server->tenants.paused || server->admins.paused || server->n_stalled;
}

void watch_prepare(struct Watch *watch) {
    bool ticks = uv_is_active((uv_handle_t *)&watch->tick), wants = watch_wants_tick(watch);

    if (wants && (!ticks || (watch->tick_ms > WATCH_MS && !watch_is_quiet(watch))))
        watch_tick_in(watch, WATCH_MS);
    else if (!wants && ticks) {
        uv_timer_stop(&watch->tick);
        server_tell_status(watch->server);
    }
}

/* -------------------------------------------------------------------------------------------------- life */

void watch_open(struct Watch *watch, struct Server *server) {
    *watch = (struct Watch){.server = server};
    uv_timer_init(&server->loop, &watch->tick);
    watch->tick.data = watch;
    watch_open_psi(watch);
    server->features.cgroup_memory = *server->pool.cgroups.root;
}

static void psi_on_closed(uv_handle_t *handle) {
    struct Watch *watch = handle->data;

    close(watch->psi_fd);
    watch->psi_fd = -1;
}

void watch_close(struct Watch *watch) {
    uv_close((uv_handle_t *)&watch->tick, NULL);
    if (watch->psi_fd >= 0)
        uv_close((uv_handle_t *)&watch->psi, psi_on_closed);
}
