/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wabt/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void facts_reset(struct Facts *facts) {
    facts->is_valid = false;
    facts->reason[0] = '\0';
    facts->n = 0;
}

void facts_deinit(struct Facts *facts) {
    free(facts->at);
    *facts = (struct Facts){0};
}

void facts_add(struct Facts *facts, const char *what, uint32_t index, uint64_t value) {
    if (facts->n == facts->room) {
        facts->room = 2 * facts->room + 64;
        facts->at = realloc(facts->at, facts->room * sizeof(*facts->at));
        if (!facts->at)
            abort();
    }
    facts->at[facts->n++] = (struct Fact){.what = what, .index = index, .value = value};
}

void facts_add_bytes(struct Facts *facts, const char *what, uint32_t index, const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    facts_add(facts, what, index, hash ^ n);
}

bool facts_differ(const struct Facts *ours, const struct Facts *theirs, char *text, size_t bytes) {
    static const struct Fact none = {.what = "no more facts"};

    for (size_t i = 0; i < ours->n || i < theirs->n; i++) {
        const struct Fact *a = i < ours->n ? &ours->at[i] : &none, *b = i < theirs->n ? &theirs->at[i] : &none;

        if (!strcmp(a->what, b->what) && a->index == b->index && a->value == b->value)
            continue;
        snprintf(text, bytes, "%s %" PRIu32 " is %#" PRIx64 ", wabt: %s %" PRIu32 " is %#" PRIx64, a->what, a->index,
                 a->value, b->what, b->index, b->value);
        return true;
    }
    return false;
}
