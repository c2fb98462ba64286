/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wabt/difference.h"
#include "tests/fuzz/bytes.h"

#include <stdio.h>
#include <string.h>

enum { HEADER = 8, SECTION_DATA = 11 };

static bool has_global_get(const struct Dispute *dispute) {
    for (size_t i = 0; i < dispute->ours->n; i++) {
        const struct Fact *fact = &dispute->ours->at[i];

        if (!strcmp(fact->what, "expression") && fact->value == FACT_GLOBAL)
            return true;
    }
    return false;
}

static bool has_no_data_section(const struct Dispute *dispute) {
    struct Section section;

    for (size_t at = HEADER; section_at(dispute->binary, dispute->size, at, &section); at = section.end) {
        if (section.id == SECTION_DATA)
            return false;
    }
    return true;
}

/* The offset in our reason. */
static size_t fault_offset(const struct Dispute *dispute) {
    size_t offset;

    return sscanf(dispute->ours->reason, "at offset %zx", &offset) == 1 ? offset : SIZE_MAX;
}

static bool is_at_end_of_section(const struct Dispute *dispute) {
    size_t offset = fault_offset(dispute);
    struct Section section;

    for (size_t at = HEADER; section_at(dispute->binary, dispute->size, at, &section); at = section.end) {
        if (section.end == offset)
            return true;
    }
    return false;
}

static bool is_continued(const struct Dispute *dispute) {
    size_t offset = fault_offset(dispute);

    return offset < dispute->size && dispute->binary[offset] & 0x80;
}

/* As many as we say, and so many that the binary can really have them. */
static bool is_beyond_a_limit(const struct Dispute *dispute) {
    const char *limit = strstr(dispute->ours->reason, " exceeds the limit module_"), *number = limit;
    unsigned long long ask, bound;

    while (number && number > dispute->ours->reason && number[-1] >= '0' && number[-1] <= '9')
        number--;
    return number && sscanf(number, "%llu exceeds the limit %*s of %llu", &ask, &bound) == 2 && ask > bound &&
           ask < dispute->size;
}

/* Sections are those of the WebAssembly 2.0 specification. In all but the first row it is wabt that is lenient. */
struct Difference differences[] = {
    {
        .name = "item-global-get",
        .theirs = "expected ref.null or ref.func in passive element segment",
        .applies = has_global_get,
        .why = "wabt refuses; an item is any constant expression of its type (3.4.5), so also global.get",
    },
    {
        .name = "data-announced",
        .ours = "data count and data section have inconsistent lengths",
        .applies = has_no_data_section,
        .why = "we refuse: a data section that is missing has no segments, whatever was announced (5.5.16)",
    },
    {
        .name = "data-announced-limit",
        .ours = "exceeds the limit module_data_segments",
        .applies = has_no_data_section,
        .why = "the same, and what was announced exceeds a limit already",
    },
    {
        .name = "data-announced-all",
        .ours = "4294967295 exceeds the limit module_data_segments",
        .why = "we refuse: more than there are; in wabt this number means that none was announced",
    },
    {
        .name = "data-flags",
        .ours = "malformed data segment flags",
        .why = "we refuse: 0, 1 and 2 are all there are (5.5.14); wabt takes those of element segments",
    },
    {
        .name = "global-without-end",
        .ours = "global: unexpected end",
        .applies = is_at_end_of_section,
        .why = "we refuse: an expression ends with 0x0b (5.4.9), also the last one of a section",
    },
    {
        .name = "empty-expression",
        .ours = "the constant expression gives 0 values",
        .why = "we refuse: an offset is of type i32 (3.4.5, 3.4.6), and no instruction gives no value",
    },
    {
        .name = "type-of-many-bytes",
        .ours = "malformed value type",
        .applies = is_continued,
        .why = "we refuse: a value type is one byte (5.3.1 to 5.3.4); wabt takes longer signed integers too",
    },
    {
        .name = "reference-type-0x6b",
        .ours = "reference type 0x6b needs the gc proposal",
        .why = "we refuse: funcref and externref are all there are (5.3.3); wabt uses this byte for itself",
    },
    {
        .name = "beyond-a-limit",
        .ours = "exceeds the limit module_",
        .applies = is_beyond_a_limit,
        .why = "we refuse: Wasmtime's parser bounds what a module may have, wabt does not",
    },
};

const size_t n_differences = sizeof(differences) / sizeof(differences[0]);

static bool matches(const struct Facts *facts, const char *reason) {
    return reason ? !facts->is_valid && strstr(facts->reason, reason) : facts->is_valid;
}

struct Difference *difference_find(const struct Dispute *dispute) {
    for (size_t i = 0; i < n_differences; i++) {
        struct Difference *difference = &differences[i];

        if (matches(dispute->ours, difference->ours) && matches(dispute->theirs, difference->theirs) &&
            (!difference->applies || difference->applies(dispute)))
            return difference;
    }
    return NULL;
}
