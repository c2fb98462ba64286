/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/mutant.h"
#include "tests/fuzz/sample.h"
#include "tests/wabt/difference.h"
#include "tests/wabt/rewrite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* compare FILE.wasm...: our reader against libwabt over these modules, over generated ones, and over mutants of both.
 * Verdicts and all facts must be the same, but for what the table of differences explains. Each base with its mutants
 * is one test. The last line is `N passed, N failed, 0 skipped`. */

enum {
    SAMPLES = 5000,
    MUTANTS = 100,      /* of each sample */
    MUTANTS_REAL = 200, /* of each file */
    REPORTS_MAX = 20,   /* that are printed */
    HEX_MAX = 600,      /* bytes of a module that are printed */
};

struct Compare {
    struct Facts ours, theirs;
    struct Bytes rewritten, mutant;
    uint64_t modules, valid, explained, unexplained;
    unsigned passed, failed;
};

static void report(struct Compare *compare, const char *name, uint32_t mutant, const char *what, const uint8_t *binary,
                   size_t size) {
    if (compare->unexplained++ >= REPORTS_MAX)
        return;
    printf("%s, mutant %" PRIu32 ": %s\n  ", name, mutant, what);
    for (size_t i = 0; i < size && i < HEX_MAX; i++)
        printf("%02x", binary[i]);
    printf(size > HEX_MAX ? "... (%zu bytes)\n" : "\n", size);
}

static bool compare_binary(struct Compare *compare, const char *name, uint32_t mutant, const uint8_t *binary,
                           size_t size) {
    struct Difference *difference;
    char text[600];

    compare->rewritten.n = 0;
    if (!rewrite_binary(&compare->rewritten, binary, size))
        bytes_put(&compare->rewritten, binary, size);
    facts_read_ours(&compare->ours, binary, size);
    facts_read_wabt(&compare->theirs, compare->rewritten.at, compare->rewritten.n);
    compare->modules++;
    compare->valid += compare->ours.is_valid && compare->theirs.is_valid;
    if (compare->ours.is_valid && compare->theirs.is_valid) {
        if (!facts_differ(&compare->ours, &compare->theirs, text, sizeof(text)))
            return true;
    } else if (compare->ours.is_valid == compare->theirs.is_valid) {
        return true;
    } else {
        const struct Dispute dispute = {&compare->ours, &compare->theirs, binary, size};

        difference = difference_find(&dispute);
        if (difference) {
            difference->seen++;
            compare->explained++;
            return true;
        }
        snprintf(text, sizeof(text), "we say: %s; wabt says: %s",
                 compare->ours.is_valid ? "valid" : compare->ours.reason,
                 compare->theirs.is_valid ? "valid" : compare->theirs.reason);
    }
    report(compare, name, mutant, text, binary, size);
    return false;
}

/* A module and its mutants: one test. Mutant 0 is the module itself. */
static void compare_base(struct Compare *compare, const char *name, uint64_t seed, uint32_t mutants,
                         const struct Bytes *base, bool is_valid) {
    bool is_fine = compare_binary(compare, name, 0, base->at, base->n);

    if (is_valid && !compare->ours.is_valid) {
        report(compare, name, 0, compare->ours.reason, base->at, base->n);
        is_fine = false;
    }
    for (uint32_t i = 1; i <= mutants; i++) {
        struct Random random = {.state = seed << 32 | i};
        size_t n;

        compare->mutant.n = 0;
        bytes_put(&compare->mutant, base->at, base->n);
        n = mutant_module(compare->mutant.at, base->n, compare->mutant.room, mutant_bytes, &random);
        is_fine = compare_binary(compare, name, i, compare->mutant.at, n) && is_fine;
    }
    compare->passed += is_fine;
    compare->failed += !is_fine;
}

static void compare_samples(struct Compare *compare) {
    struct Bytes base = {0};
    char name[40];

    for (uint32_t i = 0; i < SAMPLES; i++) {
        snprintf(name, sizeof(name), "sample %" PRIu32, i);
        base.n = 0;
        sample_module(&base, i);
        compare_base(compare, name, i, MUTANTS, &base, true);
    }
    bytes_deinit(&base);
}

static void compare_file(struct Compare *compare, const char *path) {
    const char *slash = strrchr(path, '/');
    struct Bytes base = {0};
    uint8_t buffer[4096];
    uint64_t seed = 0;
    FILE *file = fopen(path, "rb");
    size_t n;

    if (!file) {
        printf("%s: cannot be read\n", path);
        compare->failed++;
        return;
    }
    while ((n = fread(buffer, 1, sizeof(buffer), file)))
        bytes_put(&base, buffer, n);
    fclose(file);
    for (const char *at = slash ? slash + 1 : path; *at; at++)
        seed = seed * 31 + (uint8_t)*at;
    compare_base(compare, path, seed, MUTANTS_REAL, &base, false);
    bytes_deinit(&base);
}

static void print_differences(void) {
    for (size_t i = 0; i < n_differences; i++)
        printf("  %-22s %7" PRIu64 "  %s\n", differences[i].name, differences[i].seen, differences[i].why);
}

int main(int argc, char *argv[]) {
    struct Compare compare = {0};

    for (int i = 1; i < argc; i++)
        compare_file(&compare, argv[i]);
    compare_samples(&compare);
    printf("%d files, %d samples, with mutants %" PRIu64 " modules: %" PRIu64 " valid and equal in all facts, %" PRIu64
           " differ as explained, %" PRIu64 " differ\n",
           argc - 1, SAMPLES, compare.modules, compare.valid, compare.explained, compare.unexplained);
    print_differences();
    printf("%u passed, %u failed, 0 skipped\n", compare.passed, compare.failed);
    bytes_deinit(&compare.rewritten);
    bytes_deinit(&compare.mutant);
    facts_deinit(&compare.ours);
    facts_deinit(&compare.theirs);
    return compare.failed != 0;
}
