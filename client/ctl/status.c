/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/ctl/status.h"

#include "client/ctl/text.h"
#include "shared/lease.h"
#include "shared/tracking.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

/* -------------------------------------------------------------------------------------------------- for people */

static void status_print_kinds(const Wasmpool__StatusReport *report) {
    printf("\n%-10s %10s %10s %10s %10s\n", "KIND", "BOUND", "GRANTED", "BUSY", "SLABS");
    for (size_t i = 0; i < report->n_kinds; i++) {
        const Wasmpool__KindUse *use = report->kinds[i];

        printf("%-10s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", kind_name(use->kind), use->bound,
               use->granted, use->busy, use->slabs);
    }
}

static void status_print_limits(const Wasmpool__StatusReport *report) {
    struct Limits limits;
    char buffer[TEXT_BYTES];

    if (!report->limits)
        return;
    wire_limits_get(&limits, report->limits);
    printf("\nLIMIT\n");
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        printf("%-28s %s\n", LIMIT_INFOS[i].name,
               limits_format(buffer, sizeof(buffer), &LIMIT_INFOS[i], limits_get(&limits, &LIMIT_INFOS[i])));
}

static void status_print_features(const Wasmpool__StatusReport *report) {
    char name[TEXT_BYTES], without[TEXT_BYTES];

    printf("\nKERNEL FEATURE\n");
    for (size_t i = 0; i < report->n_features; i++) {
        const Wasmpool__Feature *feature = report->features[i];

        if (feature->present)
            printf("%-28s yes\n", text_clean(name, feature->name));
        else
            printf("%-28s no: %s\n", text_clean(name, feature->name), text_clean(without, feature->without));
    }
}

static void status_print_trims(const Wasmpool__StatusReport *report) {
    char why[TEXT_BYTES], size[TEXT_BYTES];

    printf("trimmed     ");
    for (size_t i = 0; i < report->n_trims; i++) {
        const Wasmpool__TrimUse *trim = report->trims[i];

        printf("%s %s: %" PRIu64 " slots, %s", i ? ";" : "", text_clean(why, trim->why), trim->slots,
               text_size(size, trim->bytes));
    }
    printf("\n");
}

static void status_print_trackings(const Wasmpool__StatusReport *report) {
    char why[TEXT_BYTES];

    for (size_t i = 0; i < report->n_trackings; i++) {
        const Wasmpool__TrackingUse *use = report->trackings[i];

        if (use->tracking)
            printf("%-12s %s: %" PRIu64 " (%s)\n", i ? "" : "tracking", tracker_way_name(use->tracking->way),
                   use->connections, text_clean(why, use->tracking->why));
    }
}

static void status_print(const Wasmpool__StatusReport *report) {
    char buffer[TEXT_BYTES];

    printf("wasmpoold %s, pid %" PRIu32, text_clean(buffer, report->version), report->pid);
    printf(", up %s\n", text_duration(buffer, report->uptime_ms));
    printf("connections  %" PRIu64 " of %" PRIu64 " (%" PRIu64 " disconnected), of %" PRIu64 " users\n",
           report->connections, report->connections_max, report->disconnected, report->users);
    printf("resident     %s\n", text_size(buffer, report->resident_bytes));
    printf("images       %" PRIu64 ", %s", report->images, text_size(buffer, report->image_bytes));
    printf(" of %s\n", text_size(buffer, report->image_bytes_max));
    printf("since start  %" PRIu64 " connections accepted, %" PRIu64 " refusals, %" PRIu64 " cut off, %" PRIu64
           " slots granted, at most %" PRIu64 " memories at one time\n",
           report->accepted, report->refused, report->cut_off, report->grants, report->granted_most);
    status_print_trims(report);
    printf("cgroups      %" PRIu64 " of workers, and above; %" PRIu64 " limit memory\n", report->cgroups,
           report->cgroups_limited);
    status_print_trackings(report);
    status_print_kinds(report);
    status_print_limits(report);
    status_print_features(report);
}

/* -------------------------------------------------------------------------------------------------- for programs */

static json_t *status_limits_json(const Wasmpool__StatusReport *report) {
    json_t *object = json_object();
    struct Limits limits;

    if (!report->limits)
        return object;
    wire_limits_get(&limits, report->limits);
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        json_object_set_new(object, LIMIT_INFOS[i].name,
                            json_integer((json_int_t)limits_get(&limits, &LIMIT_INFOS[i])));
    return object;
}

static json_t *status_kinds_json(const Wasmpool__StatusReport *report) {
    json_t *object = json_object();

    for (size_t i = 0; i < report->n_kinds; i++) {
        const Wasmpool__KindUse *use = report->kinds[i];

        json_object_set_new(object, kind_name(use->kind),
                            json_pack("{sI sI sI sI}", "bound", (json_int_t)use->bound, "granted",
                                      (json_int_t)use->granted, "busy", (json_int_t)use->busy, "slabs",
                                      (json_int_t)use->slabs));
    }
    return object;
}

static json_t *status_features_json(const Wasmpool__StatusReport *report) {
    json_t *object = json_object();
    char name[TEXT_BYTES], without[TEXT_BYTES];

    for (size_t i = 0; i < report->n_features; i++) {
        const Wasmpool__Feature *feature = report->features[i];

        json_object_set_new(object, text_clean(name, feature->name),
                            json_pack("{sb ss}", "present", (int)feature->present, "without",
                                      text_clean(without, feature->without)));
    }
    return object;
}

static json_t *status_trims_json(const Wasmpool__StatusReport *report) {
    json_t *object = json_object();
    char why[TEXT_BYTES];

    for (size_t i = 0; i < report->n_trims; i++) {
        const Wasmpool__TrimUse *trim = report->trims[i];

        json_object_set_new(object, text_clean(why, trim->why),
                            json_pack("{sI sI}", "slots", (json_int_t)trim->slots, "bytes", (json_int_t)trim->bytes));
    }
    return object;
}

static json_t *status_trackings_json(const Wasmpool__StatusReport *report) {
    json_t *object = json_object();
    char why[TEXT_BYTES];

    for (size_t i = 0; i < report->n_trackings; i++) {
        const Wasmpool__TrackingUse *use = report->trackings[i];

        if (use->tracking)
            json_object_set_new(object, tracker_way_name(use->tracking->way),
                                json_pack("{sI ss}", "connections", (json_int_t)use->connections, "why",
                                          text_clean(why, use->tracking->why)));
    }
    return object;
}

static int status_print_json(const Wasmpool__StatusReport *report, struct wasmpool_error *error) {
    char version[TEXT_BYTES];
    json_t *root = json_pack("{ss sI sI sI sI sI sI sI sI sI sI sI sI so so so so so sI sI sI sI sI}", "version",
                             text_clean(version, report->version), "pid", (json_int_t)report->pid, "uptime_ms",
                             (json_int_t)report->uptime_ms, "connections", (json_int_t)report->connections,
                             "connections_max", (json_int_t)report->connections_max, "disconnected",
                             (json_int_t)report->disconnected, "users", (json_int_t)report->users, "resident_bytes",
                             (json_int_t)report->resident_bytes, "accepted", (json_int_t)report->accepted, "refused",
                             (json_int_t)report->refused, "cut_off", (json_int_t)report->cut_off, "grants",
                             (json_int_t)report->grants, "granted_most", (json_int_t)report->granted_most, "kinds",
                             status_kinds_json(report), "limits", status_limits_json(report), "features",
                             status_features_json(report), "trims", status_trims_json(report), "tracking",
                             status_trackings_json(report), "cgroups",
                             (json_int_t)report->cgroups, "cgroups_limited", (json_int_t)report->cgroups_limited,
                             "images", (json_int_t)report->images, "image_bytes", (json_int_t)report->image_bytes,
                             "image_bytes_max", (json_int_t)report->image_bytes_max);

    if (!root)
        return failure_errno(error, -ENOMEM, "the report");
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
    return 0;
}

int status_show(struct Channel *channel, bool json, struct wasmpool_error *error) {
    Wasmpool__Status status = WASMPOOL__STATUS__INIT;
    WireMessage request = WIRE_MESSAGE(0, STATUS, status, &status);
    struct WirePacket answer;
    int r = channel_call(channel, &request, 0, &answer, error);

    if (r)
        return r;
    if (answer.message->body_case != WASMPOOL__PACKET__BODY_STATUS_REPORT)
        r = channel_reject(channel, "does not report its status", error);
    else if (json)
        r = status_print_json(answer.message->status_report, error);
    else
        status_print(answer.message->status_report);
    wire_packet_deinit(&answer);
    return r;
}
