/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/mutant.h"
#include "tests/fuzz/target.h"

/* libFuzzer's side of the target: names and signatures are its own. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    target_run(data, size);
    return 0;
}

static size_t change(uint8_t *data, size_t size, size_t room, struct Random *random) {
    return random_one_in(random, 2) ? mutant_bytes(data, size, room, random) : LLVMFuzzerMutate(data, size, room);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
    struct Random random = {.state = seed};

    return mutant_module(data, size, room, change, &random);
}
