/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/wasmpool.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>

#define N_REGIONS 15
#define LINE_BYTES 1024

static const char *const names[N_REGIONS] = {
    "static vmctx data",    "imported memories",
    "defined memories",     "owned memories",
    "imported functions",   "imported tables",
    "imported globals",     "imported tags",
    "defined tables",       "defined globals",
    "defined tags",         "module functions",
    "startup funcref",      "runtime data base pointers",
    "runtime data lengths",
};

static struct wasmpool_vmoffsets layout(struct wasmpool_vmoffsets_fields fields) {
    struct wasmpool_vmoffsets offsets;
    struct wasmpool_error error;
    int r = wasmpool_vmoffsets_init(&offsets, &fields, &error);

    cr_assert(!r, "a layout is refused: %s", error.message);
    return offsets;
}

static void expect_regions(const struct wasmpool_vmoffsets *offsets) {
    uint64_t sum = 0;
    const char *name;
    uint32_t bytes;

    for (uint32_t i = 0; i < N_REGIONS; i++) {
        expect_eq(wasmpool_vmoffsets_region(offsets, i, &name, &bytes), 0);
        expect_str(name, names[i]);
        sum += bytes;
    }
    expect_eq(sum, offsets->size);
    expect_eq(wasmpool_vmoffsets_region(offsets, N_REGIONS, &name, &bytes), -ENOENT);
    expect_eq(wasmpool_vmoffsets_region(offsets, UINT32_MAX, &name, &bytes), -ENOENT);
}

static uint32_t region(const struct wasmpool_vmoffsets *offsets, const char *wanted) {
    const char *name = "";
    uint32_t bytes = 0;

    for (uint32_t i = 0; strcmp(name, wanted); i++)
        cr_assert_eq(wasmpool_vmoffsets_region(offsets, i, &name, &bytes), 0, "there is no region '%s'", wanted);
    return bytes;
}

/* ---- what Wasmtime computes: vmoffsets.csv, vmoffsets-4.csv, or fresh rows of vmoffsets.sh */

static const struct {
    const char *name;
    size_t member;
} columns[] = {
#define COLUMN(NAME, MEMBER)                                                                                           \
    { NAME, offsetof(struct wasmpool_vmoffsets, MEMBER) }
    COLUMN("ptr", fields.pointer_size),
    COLUMN("imported_functions", fields.imported_functions),
    COLUMN("imported_tables", fields.imported_tables),
    COLUMN("imported_memories", fields.imported_memories),
    COLUMN("imported_globals", fields.imported_globals),
    COLUMN("imported_tags", fields.imported_tags),
    COLUMN("defined_tables", fields.defined_tables),
    COLUMN("defined_memories", fields.defined_memories),
    COLUMN("owned_memories", fields.owned_memories),
    COLUMN("defined_globals", fields.defined_globals),
    COLUMN("defined_tags", fields.defined_tags),
    COLUMN("escaped_funcs", fields.escaped_functions),
    COLUMN("runtime_data", fields.runtime_data),
    COLUMN("has_startup", fields.has_startup),
    COLUMN("o_imported_memories", imported_memories),
    COLUMN("o_memories", memories),
    COLUMN("o_owned_memories", owned_memories),
    COLUMN("o_imported_functions", imported_functions),
    COLUMN("o_imported_tables", imported_tables),
    COLUMN("o_imported_globals", imported_globals),
    COLUMN("o_imported_tags", imported_tags),
    COLUMN("o_tables", tables),
    COLUMN("o_globals", globals),
    COLUMN("o_tags", tags),
    COLUMN("o_func_refs", func_refs),
    COLUMN("size", size),
    COLUMN("o_startup_func_ref", startup_func_ref),
    COLUMN("o_runtime_data_bases", runtime_data_bases),
    COLUMN("o_runtime_data_lengths", runtime_data_lengths),
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define N_FIELDS 14
#define N_COLUMNS_MIN 26 /* the last three are not in every file */

/* How many columns the header has; it must name them as above. */
static size_t read_header(char *line) {
    size_t n = 0;

    for (char *rest = line, *name; (name = strsep(&rest, ",\n")) && *name; n++) {
        cr_assert_lt(n, N_COLUMNS, "a column too many: %s", name);
        expect_str(name, columns[n].name);
    }
    cr_assert_geq(n, N_COLUMNS_MIN, "%zu columns are too few", n);
    return n;
}

static void read_row(const char *line, size_t n_columns, uint32_t values[static N_COLUMNS]) {
    const char *at = line;

    for (size_t i = 0; i < n_columns; i++) {
        char *end;

        errno = 0;
        values[i] = (uint32_t)strtoul(at, &end, 10);
        cr_assert(!errno && end > at && *end == (i + 1 < n_columns ? ',' : '\n'), "column %zu of this: %s", i, line);
        at = end + 1;
    }
}

static void expect_row(const uint32_t values[static N_COLUMNS], size_t n_columns, const char *line) {
    struct wasmpool_vmoffsets offsets = layout((struct wasmpool_vmoffsets_fields){
        .pointer_size = (uint8_t)values[0],
        .imported_functions = values[1],
        .imported_tables = values[2],
        .imported_memories = values[3],
        .imported_globals = values[4],
        .imported_tags = values[5],
        .defined_tables = values[6],
        .defined_memories = values[7],
        .owned_memories = values[8],
        .defined_globals = values[9],
        .defined_tags = values[10],
        .escaped_functions = values[11],
        .runtime_data = values[12],
        .has_startup = values[13],
    });

    for (size_t i = N_FIELDS; i < n_columns; i++) {
        uint32_t ours;

        memcpy(&ours, (const char *)&offsets + columns[i].member, sizeof(ours));
        cr_assert(ours == values[i], "%s is %" PRIu32 ", not %" PRIu32 ", with %s", columns[i].name, ours, values[i],
                  line);
    }
    expect_regions(&offsets);
}

static size_t expect_file(const char *path) {
    FILE *file = fopen(path, "re");
    uint32_t values[N_COLUMNS];
    size_t rows = 0, n_columns;
    char line[LINE_BYTES];

    cr_assert_not_null(file, "%s: %s", path, strerror(errno));
    cr_assert_not_null(fgets(line, sizeof(line), file), "%s is empty", path);
    n_columns = read_header(line);
    for (; fgets(line, sizeof(line), file); rows++) {
        read_row(line, n_columns, values);
        expect_row(values, n_columns, line);
    }
    fclose(file);
    return rows;
}

Test(vmoffsets, are_those_that_wasmtime_computes) {
    expect_eq(expect_file("tests/client/vmoffsets.csv"), 400);
}

Test(vmoffsets, for_pointers_of_4_bytes_are_those_that_wasmtime_computes) {
    expect_eq(expect_file("tests/client/vmoffsets-4.csv"), 100);
}

/* Another file instead, for vmoffsets.sh. */
Test(vmoffsets, of_a_given_file_are_those_that_wasmtime_computes) {
    const char *path = getenv("WASMPOOL_VMOFFSETS_CSV");

    cr_assert_gt(expect_file(path ? path : "tests/client/vmoffsets-4.csv"), 0, "it has no rows");
}

/* ---- by hand */

Test(vmoffsets, of_a_memory_and_a_table_take_96_bytes) {
    struct wasmpool_vmoffsets offsets = layout((struct wasmpool_vmoffsets_fields){
        .pointer_size = 8, .defined_memories = 1, .owned_memories = 1, .defined_tables = 1});

    expect_eq(offsets.store_context, 8);
    expect_eq(offsets.builtin_functions, 16);
    expect_eq(offsets.epoch_pointer, 24);
    expect_eq(offsets.gc_heap_data, 32);
    expect_eq(offsets.type_ids, 40);
    expect_eq(offsets.memories, 48);
    expect_eq(offsets.owned_memories, 56);
    expect_eq(offsets.tables, 72);
    expect_eq(offsets.globals, 96);
    expect_eq(offsets.size, 96);
    expect_eq(offsets.fields.defined_tables, 1);
    expect_eq(region(&offsets, "static vmctx data"), 48);
    expect_eq(region(&offsets, "defined memories"), 8);
    expect_eq(region(&offsets, "owned memories"), 16);
    expect_eq(region(&offsets, "defined tables"), 24);
}

Test(vmoffsets, of_nothing_are_the_fixed_part) {
    struct wasmpool_vmoffsets offsets = layout((struct wasmpool_vmoffsets_fields){.pointer_size = 8});

    expect_eq(offsets.size, 48);
    expect_eq(region(&offsets, "static vmctx data"), 48);
    expect_regions(&offsets);
    offsets = layout((struct wasmpool_vmoffsets_fields){.pointer_size = 4});
    expect_eq(offsets.store_context, 4);
    expect_eq(offsets.type_ids, 20);
    expect_eq(offsets.imported_memories, 24);
    expect_eq(offsets.size, 32); /* the globals, were there any, are aligned to 16 */
    expect_eq(offsets.globals, 32);
}

Test(vmoffsets, padding_counts_with_the_region_that_it_follows) {
    struct wasmpool_vmoffsets offsets = layout((struct wasmpool_vmoffsets_fields){.pointer_size = 8,
                                                                                  .imported_tables = 1,
                                                                                  .defined_globals = 2,
                                                                                  .defined_tags = 3,
                                                                                  .escaped_functions = 1,
                                                                                  .runtime_data = 3,
                                                                                  .has_startup = true});

    expect_eq(offsets.tables, 72);
    expect_eq(offsets.globals, 80);
    expect_eq(offsets.func_refs, 128);
    expect_eq(offsets.startup_func_ref, 160);
    expect_eq(offsets.runtime_data_bases, 192);
    expect_eq(offsets.runtime_data_lengths, 216);
    expect_eq(offsets.size, 228);
    expect_eq(region(&offsets, "imported tables"), 24);
    expect_eq(region(&offsets, "defined tables"), 8);
    expect_eq(region(&offsets, "defined globals"), 2 * 16);
    expect_eq(region(&offsets, "defined tags"), 3 * 4 + 4);
    expect_eq(region(&offsets, "module functions"), 32);
    expect_eq(region(&offsets, "startup funcref"), 32);
    expect_eq(region(&offsets, "runtime data base pointers"), 3 * 8);
    expect_eq(region(&offsets, "runtime data lengths"), 3 * 4);
}

/* What is at the offsets are arrays of the public structs. */
Test(vmoffsets, leave_room_for_the_structs_of_this_host) {
    struct wasmpool_vmoffsets offsets = layout((struct wasmpool_vmoffsets_fields){.pointer_size = sizeof(void *),
                                                                                  .imported_functions = 1,
                                                                                  .imported_tables = 1,
                                                                                  .imported_memories = 1,
                                                                                  .imported_globals = 1,
                                                                                  .imported_tags = 1,
                                                                                  .defined_tables = 1,
                                                                                  .defined_memories = 1,
                                                                                  .owned_memories = 1,
                                                                                  .defined_globals = 1,
                                                                                  .defined_tags = 1});

    expect_eq(offsets.store_context, offsetof(struct wasmpool_vmcontext, store_context));
    expect_eq(offsets.builtin_functions, offsetof(struct wasmpool_vmcontext, builtin_functions));
    expect_eq(offsets.epoch_pointer, offsetof(struct wasmpool_vmcontext, epoch_pointer));
    expect_eq(offsets.gc_heap_data, offsetof(struct wasmpool_vmcontext, gc_heap_data));
    expect_eq(offsets.type_ids, offsetof(struct wasmpool_vmcontext, type_ids));
    expect_eq(offsets.imported_memories, sizeof(struct wasmpool_vmcontext));
    expect_eq(offsets.memories - offsets.imported_memories, sizeof(struct wasmpool_memory_import));
    expect_eq(offsets.owned_memories - offsets.memories, sizeof(struct wasmpool_memory_definition *));
    expect_eq(offsets.imported_functions - offsets.owned_memories, sizeof(struct wasmpool_memory_definition));
    expect_eq(offsets.imported_tables - offsets.imported_functions, sizeof(struct wasmpool_func_ref));
    expect_eq(offsets.imported_globals - offsets.imported_tables, sizeof(struct wasmpool_table_import));
    expect_eq(offsets.imported_tags - offsets.imported_globals, sizeof(struct wasmpool_global_import));
    expect_eq(offsets.tables - offsets.imported_tags, sizeof(struct wasmpool_tag_import));
    /* Behind them, and behind the one tag, is padding. */
    expect_eq(offsets.globals - offsets.tables,
              (sizeof(struct wasmpool_table_definition) + offsets.tables % 16 + 15) / 16 * 16 - offsets.tables % 16);
    expect_eq(offsets.tags - offsets.globals, sizeof(union wasmpool_global_definition));
    expect_eq(offsets.func_refs - offsets.tags, 8);
    expect_eq(sizeof(struct wasmpool_tag_definition), 4);
}

/* ---- refusals */

/* The message names what is wrong, and nothing is written. */
static void expect_refused(struct wasmpool_vmoffsets_fields fields, const char *says) {
    struct wasmpool_vmoffsets offsets, before;
    struct wasmpool_error error = {0};

    memset(&before, 0xa5, sizeof(before));
    memcpy(&offsets, &before, sizeof(offsets));
    cr_assert_eq(wasmpool_vmoffsets_init(&offsets, &fields, &error), WASMPOOL_E_INVALID, "not refused for its %s",
                 says);
    expect_eq(error.code, WASMPOOL_E_INVALID);
    expect_says(error.message, says);
    cr_assert(!memcmp(&offsets, &before, sizeof(offsets)), "it has written to what it refuses");
    expect_eq(wasmpool_vmoffsets_init(&offsets, &fields, NULL), WASMPOOL_E_INVALID);
}

Test(vmoffsets, with_other_pointers_are_refused) {
    for (int size = 0; size < 256; size++)
        if (size != 4 && size != 8)
            expect_refused((struct wasmpool_vmoffsets_fields){.pointer_size = (uint8_t)size}, "pointers");
}

Test(vmoffsets, with_more_owned_than_defined_memories_are_refused) {
    struct wasmpool_vmoffsets_fields fields = {.pointer_size = 8, .defined_memories = 2, .owned_memories = 3};

    expect_refused(fields, "owned memories");
    fields.owned_memories = 2;
    layout(fields);
    fields.owned_memories = 0;
    layout(fields);
}

/* Each product is a multiple of 2^32: who does not look adds nothing. */
Test(vmoffsets, whose_products_overflow_are_refused) {
#define REFUSED(NAME, ...) expect_refused((struct wasmpool_vmoffsets_fields){.pointer_size = 8, __VA_ARGS__}, NAME)
    REFUSED("imported memories:", .imported_memories = 1 << 29);
    REFUSED("defined memories:", .defined_memories = 1 << 29);
    REFUSED("owned memories:", .defined_memories = 1 << 28, .owned_memories = 1 << 28);
    REFUSED("imported functions:", .imported_functions = 1 << 27);
    REFUSED("imported tables:", .imported_tables = 1 << 29);
    REFUSED("imported globals:", .imported_globals = 1 << 29);
    REFUSED("imported tags:", .imported_tags = 1 << 29);
    REFUSED("defined tables:", .defined_tables = 1 << 28);
    REFUSED("defined globals:", .defined_globals = 1 << 28);
    REFUSED("defined tags:", .defined_tags = 1 << 30);
    REFUSED("module functions:", .escaped_functions = 1 << 27);
    REFUSED("runtime data base pointers:", .runtime_data = 1 << 29);
}

/* So many imported memories end 16 bytes below 2^32. */
#define NEARLY_ALL 178956968u

Test(vmoffsets, whose_sums_overflow_are_refused) {
    expect_eq(layout((struct wasmpool_vmoffsets_fields){.pointer_size = 8, .imported_memories = NEARLY_ALL}).size,
              0xfffffff0u);
    REFUSED("imported memories:", .imported_memories = NEARLY_ALL + 1);
    REFUSED("defined memories:", .imported_memories = NEARLY_ALL, .defined_memories = 2);
    REFUSED("owned memories:", .imported_memories = NEARLY_ALL, .defined_memories = 1, .owned_memories = 1);
    REFUSED("imported functions:", .imported_memories = NEARLY_ALL, .imported_functions = 1);
    REFUSED("imported tables:", .imported_memories = NEARLY_ALL, .imported_tables = 1);
    REFUSED("imported globals:", .imported_memories = NEARLY_ALL, .imported_globals = 1);
    REFUSED("imported tags:", .imported_memories = NEARLY_ALL, .imported_tags = 1);
    REFUSED("defined tables:", .imported_memories = NEARLY_ALL, .defined_tables = 1);
    REFUSED("defined globals:", .imported_memories = NEARLY_ALL, .defined_globals = 1);
    REFUSED("defined tags:", .imported_memories = NEARLY_ALL, .defined_tags = 4);
    REFUSED("module functions:", .imported_memories = NEARLY_ALL, .escaped_functions = 1);
    REFUSED("startup funcref:", .imported_memories = NEARLY_ALL, .has_startup = true);
    REFUSED("runtime data base pointers:", .imported_memories = NEARLY_ALL, .runtime_data = 2);
    REFUSED("runtime data lengths:", .imported_memories = NEARLY_ALL - 1, .runtime_data = 3);
}

/* Even of an array that has no elements. */
Test(vmoffsets, whose_alignment_overflows_are_refused) {
    REFUSED("defined globals:", .imported_memories = NEARLY_ALL, .defined_memories = 1);
    REFUSED("module functions:", .imported_memories = NEARLY_ALL, .defined_tags = 3);
}

Test(vmoffsets, may_be_as_large_as_32_bits_allow) {
    struct wasmpool_vmoffsets_fields fields = {
        .pointer_size = 4, .imported_memories = 2 * NEARLY_ALL + 2, .defined_tags = 3};
    struct wasmpool_vmoffsets offsets = layout(fields);

    expect_eq(offsets.size, 0xfffffffcu);
    expect_regions(&offsets);
    fields.defined_tags = 4;
    expect_refused(fields, "defined tags:");
}
