/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The checks that a run must pass: on wasmpool-thumbs' own report, on the audit of each sandbox's mappings, and on
 * the daemon's ledger. */

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "client/examples/thumbs/demo.h"

#define LEDGER_MS_MAX 10000
/* What make-images makes. */
#define IMAGES_MIN 100
#define REJECTED_MIN 8
#define TRAPPED 3
#define TIMED_OUT 1

static long long number(const json_t *json, const char *object, const char *name) {
    return json_integer_value(json_object_get(object ? json_object_get(json, object) : json, name));
}

struct Audit {
    uint64_t lines, outside; /* outside: of any memfd of wasmpool, or of any slab that the daemon listed */
    struct Numbers pids, inodes;
};

static bool lies_in_slab(const char *name, uint64_t inode, const struct Numbers *slabs) {
    return !strncmp(name, "/memfd:wasmpool", strlen("/memfd:wasmpool")) && (!slabs || numbers_have(slabs, inode));
}

static void audit_line(struct Audit *audit, const char *line, const struct Watch *watch) {
    uint64_t pid, memory_inode, table_inode;
    char memory[128], table[128];

    audit->lines++;
    if (sscanf(line, "%" SCNu64 " memory %*s %" SCNu64 " %127s table %*s %" SCNu64 " %127s", &pid, &memory_inode,
               memory, &table_inode, table) != 5 ||
        !lies_in_slab(memory, memory_inode, watch ? &watch->memory_inodes : NULL) ||
        !lies_in_slab(table, table_inode, watch ? &watch->table_inodes : NULL)) {
        if (!audit->outside++)
            printf("not in a slab: %s", line);
        return;
    }
    numbers_add(&audit->pids, pid);
    numbers_add(&audit->inodes, memory_inode);
    numbers_add(&audit->inodes, table_inode);
}

static void check_audit(struct Demo *demo, const char *run, bool daemon, uint64_t images) {
    struct Audit audit = {0};
    char name[64], *line = NULL;
    size_t size = 0;
    FILE *file;

    snprintf(name, sizeof(name), "%s.audit", run);
    file = fopen(demo_path(demo, name), "re");
    while (file && getline(&line, &size, file) >= 0)
        audit_line(&audit, line, daemon ? &demo->watch : NULL);
    free(line);
    if (file)
        fclose(file);
    demo_check(demo, audit.lines >= images && !audit.outside,
               "memory and table of all %" PRIu64 " sandboxes (%" PRIu32 " processes, %" PRIu32
               " slabs) lay in memfd:wasmpool mappings%s", audit.lines, audit.pids.count, audit.inodes.count,
               daemon ? " of slabs that the daemon listed" : "");
    free(audit.pids.at);
    free(audit.inodes.at);
}

static void check_counts(struct Demo *demo, const char *run, const json_t *report) {
    long long total = number(report, "images", "total"), done = number(report, "images", "done");
    long long rejected = number(report, "images", "rejected"), trapped = number(report, "images", "trapped");
    long long timed_out = number(report, "images", "timed_out"), differ = number(report, "verify", "differ");

    demo_check(demo, done >= IMAGES_MIN && rejected >= REJECTED_MIN && trapped == TRAPPED && timed_out == TIMED_OUT &&
                         done + rejected + trapped + timed_out == total,
               "%s: all %lld images handled: %lld done, %lld rejected, %lld trapped, %lld timed out", run, total, done,
               rejected, trapped, timed_out);
    demo_check(demo, differ == 0 && number(report, "verify", "same") == done + rejected,
               "%s: %lld differ (of %lld verified)", run, differ, number(report, "verify", "same") + differ);
}

static void check_limit(struct Demo *demo, const json_t *report) {
    const json_t *last = json_object_get(json_object_get(report, "refusals"), "last");
    const char *limit = json_string_value(json_object_get(last, "limit"));
    long long refused = number(report, "refusals", "limit");
    uint64_t held, most = 0;
    bool answers;

    if (!demo->limit)
        return;
    answers = watch_status(&demo->watch, &held, &most);
    demo_check(demo, answers && most && most <= demo->limit,
               "the daemon never granted more than %u memories (at most %" PRIu64 ")", demo->limit, most);
    if (demo->limit < DEMO_WORKERS)
        demo_check(demo, refused > 0 && limit && !strcmp(limit, "total_memories"),
                   "workers were refused by name (%s) and tried again: %lld times", limit ? limit : "-", refused);
}

static void check_watch(struct Demo *demo) {
    const struct Watch *watch = &demo->watch;

    printf("seen in %" PRIu32 " samples of wasmpoolctl list: %" PRIu32 " processes with busy slots (at most %" PRIu32
           " at once, %" PRIu32 " memories), %" PRIu32 " memory slabs, %" PRIu32 " table slabs\n", watch->samples,
           watch->busy_pids.count, watch->pids_most, watch->busy_most, watch->memory_inodes.count,
           watch->table_inodes.count);
    if (demo->limit && demo->limit < DEMO_WORKERS)
        printf("not checked: %d processes with busy slots; total_memories=%u does not allow for it\n", DEMO_WORKERS,
               demo->limit);
    else
        demo_check(demo, watch->busy_pids.count >= DEMO_WORKERS,
                   "at least %d processes were seen with busy slots (%" PRIu32 ")", DEMO_WORKERS,
                   watch->busy_pids.count);
}

void check_run(struct Demo *demo, const char *run, bool daemon) {
    json_t *report;
    char name[64];

    snprintf(name, sizeof(name), "%s.json", run);
    report = json_load_file(demo_path(demo, name), 0, NULL);
    demo_check(demo, report && process_succeeded(&demo->thumbs), "%s: wasmpool-thumbs ended well", run);
    if (!report)
        return;
    check_counts(demo, run, report);
    check_audit(demo, run, daemon, (uint64_t)number(report, "images", "total"));
    if (daemon) {
        check_watch(demo);
        check_limit(demo, report);
        mishap_check(demo, report);
    }
    json_decref(report);
}

void check_ledger(struct Demo *demo) {
    int64_t deadline = process_now_ms() + LEDGER_MS_MAX;
    uint64_t held = 0, most;
    bool answers;

    while ((answers = watch_status(&demo->watch, &held, &most)) && held && process_now_ms() < deadline &&
           !demo_interrupted())
        process_pause_ms(10);
    demo_check(demo, answers && !held, "the daemon's ledger ends with everything released (%" PRIu64 " slots held)",
               held);
}
