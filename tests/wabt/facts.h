/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WABT_FACTS_H
#define TESTS_WABT_FACTS_H

/* What a reader says of a module: whether it is one, and if so a list of facts. Two readers agree when their lists are
 * equal, item by item. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct Fact {
    const char *what; /* static */
    uint32_t index;
    uint64_t value;
};

struct Facts {
    bool is_valid;
    char reason[256]; /* why it is not */
    struct Fact *at;
    size_t n, room;
};

/* Bits of the fact "expression": what a constant expression is, above its value. */
#define FACT_VALUE 1
#define FACT_GLOBAL 2
#define FACT_FUNCTION 3
#define FACT_NULL 4
#define FACT_EXTENDED 5

void facts_reset(struct Facts *facts);
void facts_deinit(struct Facts *facts);
void facts_add(struct Facts *facts, const char *what, uint32_t index, uint64_t value);

/* A sequence of bytes, such as a name: its size and a hash. */
void facts_add_bytes(struct Facts *facts, const char *what, uint32_t index, const void *bytes, size_t n);

/* Write the first difference, if there is one. */
bool facts_differ(const struct Facts *ours, const struct Facts *theirs, char *text, size_t bytes);

/* What libwabt says. */
void facts_read_wabt(struct Facts *facts, const void *bytes, size_t n);

/* What client/reader.c says. */
void facts_read_ours(struct Facts *facts, const void *bytes, size_t n);

#ifdef __cplusplus
}
#endif

#endif
