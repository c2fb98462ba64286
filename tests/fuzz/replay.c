/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/mutant.h"
#include "tests/fuzz/sample.h"
#include "tests/fuzz/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* replay: the fuzzer's target without the fuzzer, over generated modules and their mutants, always the same ones.
 * replay FILE...: over files, such as those that the fuzzer kept or found. The last line is `N passed, ...`. */

enum { SAMPLES = 1000, MUTANTS = 40 };

/* In a block of its own size, so that a sanitizer sees the end of it. */
static bool run(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    bool is_module;

    if (!copy)
        abort();
    memcpy(copy, bytes, size);
    is_module = target_run(copy, size);
    free(copy);
    return is_module;
}

static int replay_file(const char *path) {
    struct Bytes bytes = {0};
    uint8_t buffer[4096];
    FILE *file = fopen(path, "rb");
    size_t n;

    if (!file) {
        perror(path);
        return 1;
    }
    while ((n = fread(buffer, 1, sizeof(buffer), file)))
        bytes_put(&bytes, buffer, n);
    fclose(file);
    run(bytes.at, bytes.n);
    bytes_deinit(&bytes);
    return 0;
}

static int replay_samples(void) {
    struct Bytes base = {0}, mutant = {0};
    unsigned failed = 0;
    uint64_t modules = 0;

    for (uint32_t i = 0; i < SAMPLES; i++) {
        base.n = 0;
        sample_module(&base, i);
        if (!run(base.at, base.n)) {
            printf("sample %" PRIu32 " is refused\n", i);
            failed++;
        }
        for (uint32_t j = 1; j <= MUTANTS; j++) {
            struct Random random = {.state = (uint64_t)i << 32 | j};

            mutant.n = 0;
            bytes_put(&mutant, base.at, base.n);
            modules += run(mutant.at, mutant_module(mutant.at, base.n, mutant.room, mutant_bytes, &random));
        }
    }
    printf("%d mutants, of which %" PRIu64 " are modules\n", SAMPLES * MUTANTS, modules);
    printf("%u passed, %u failed, 0 skipped\n", SAMPLES - failed, failed);
    bytes_deinit(&base);
    bytes_deinit(&mutant);
    return failed != 0;
}

int main(int argc, char *argv[]) {
    int failed = 0;

    if (argc == 1)
        return replay_samples();
    for (int i = 1; i < argc; i++)
        failed += replay_file(argv[i]);
    printf("%d passed, %d failed, 0 skipped\n", argc - 1 - failed, failed);
    return failed != 0;
}
