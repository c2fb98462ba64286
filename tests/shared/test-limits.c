/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/limits.h"
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static uint64_t limit_value(const struct Limits *limits, const char *name) {
    const struct LimitInfo *info = limits_find(name);

    cr_assert(info, "there is no limit called %s", name);
    return limits_get(limits, info);
}

/* Wasmtime's own, and the four that depart deliberately. */
Test(limits, defaults_are_wasmtimes_but_for_four) {
    static const struct {
        const char *name;
        uint64_t value;
    } defaults[] = {
        {"total_core_instances", 1000},
        {"total_memories", 1000},
        {"total_tables", 1000},
        {"max_memories_per_module", 1},
        {"max_tables_per_module", 1},
        {"max_memory_size", UINT64_C(1) << 32},
        {"table_elements", 20000},
        {"max_core_instance_size", 1 << 20},
        {"memory_reservation", UINT64_C(1) << 32},
        {"memory_guard_size", 32 << 20},
        {"guard_before_linear_memory", 1},
        {"decommit_batch_size", 1},
        {"linear_memory_keep_resident", 64 * GIB},
        {"table_keep_resident", 64 * GIB},
        {"max_unused_warm_slots", 1 << 20},
        {"pagemap_scan", LIMIT_AUTO_AUTO},
    };
    struct Limits limits;

    memset(&limits, 0xa5, sizeof(limits));
    limits_init(&limits);
    expect_eq(LIMIT_INFOS_N, sizeof(defaults) / sizeof(defaults[0]));
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        cr_expect_eq(limit_value(&limits, defaults[i].name), defaults[i].value, "%s is %" PRIu64 ", not %" PRIu64,
                     defaults[i].name, limit_value(&limits, defaults[i].name), defaults[i].value);
    expect_eq(limits_check(&limits, NULL), 0);
}

Test(limits, every_default_is_within_its_own_bounds_and_survives_being_written_and_read) {
    struct Limits limits;
    struct Error error;
    char buffer[32];

    limits_init(&limits);
    for (size_t i = 0; i < LIMIT_INFOS_N; i++) {
        const struct LimitInfo *info = &LIMIT_INFOS[i];
        const uint64_t values[] = {info->standard, info->least, info->most};

        for (int v = 0; v < 3; v++) {
            const char *text = limits_format(buffer, sizeof(buffer), info, values[v]);

            cr_assert_eq(limits_set(&limits, info->name, text, &error), 0, "%s=%s: %s", info->name, text,
                         error.message);
            cr_assert_eq(limits_get(&limits, info), values[v], "%s=%s became %" PRIu64 ", not %" PRIu64, info->name,
                         text, limits_get(&limits, info), values[v]);
        }
    }
}

Test(limits, set_changes_the_named_one_only) {
    struct Limits limits, before;

    limits_init(&limits);
    before = limits;
    expect_eq(limits_set(&limits, "total_tables", "7", NULL), 0);
    expect_eq(limits.total_tables, 7);
    limits.total_tables = before.total_tables;
    cr_expect_arr_eq(&limits, &before, sizeof(limits), "another limit has changed too");
}

Test(limits, numbers_are_read_with_suffixes_of_1024) {
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"1000", 0, 1000},
        {"0x10000", 0, 65536},
        {"1K", 0, 1024},
        {"64k", 0, 65536},
        {"3M", 0, 3 << 20},
        {"4G", 0, UINT64_C(4) << 30},
        {"4GiB", 0, UINT64_C(4) << 30},
        {"2T", 0, UINT64_C(2) << 40},
        {"18446744073709551615", 0, UINT64_MAX},
        {"16777215T", 0, UINT64_C(16777215) << 40},
        {"18446744073709551616", -ERANGE, 0},
        {"16777216T", -ERANGE, 0},
        {"99999999999999999999K", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1 K", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"1X", -EINVAL, 0},
        {"1KB", -EINVAL, 0},
        {"1Ki", -EINVAL, 0},
        {"1KiBs", -EINVAL, 0},
        {"1KK", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 4711;
        int r = limits_parse_number(cases[i].text, &value);

        cr_expect_eq(r, cases[i].result, "'%s': %d, not %d", cases[i].text, r, cases[i].result);
        cr_expect_eq(value, r ? 4711 : cases[i].value, "'%s' became %" PRIu64, cases[i].text, value);
    }
}

Test(limits, bools_and_autos_have_words) {
    static const struct {
        const char *name, *text;
        uint64_t value;
    } cases[] = {
        {"guard_before_linear_memory", "false", 0}, {"guard_before_linear_memory", "true", 1},
        {"guard_before_linear_memory", "no", 0},    {"guard_before_linear_memory", "yes", 1},
        {"guard_before_linear_memory", "off", 0},   {"guard_before_linear_memory", "on", 1},
        {"guard_before_linear_memory", "0", 0},     {"guard_before_linear_memory", "1", 1},
        {"pagemap_scan", "auto", LIMIT_AUTO_AUTO},  {"pagemap_scan", "yes", LIMIT_AUTO_YES},
        {"pagemap_scan", "no", LIMIT_AUTO_NO},
    };
    struct Limits limits;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&limits, 0xa5, sizeof(limits));
        expect_eq(limits_set(&limits, cases[i].name, cases[i].text, NULL), 0);
        cr_expect_eq(limit_value(&limits, cases[i].name), cases[i].value, "%s=%s became %" PRIu64, cases[i].name,
                     cases[i].text, limit_value(&limits, cases[i].name));
    }
}

Test(limits, what_is_wrong_is_refused_by_name_and_changes_nothing) {
    static const struct {
        const char *name, *text, *says;
    } cases[] = {
        {"total_memorys", "1", "there is no limit called 'total_memorys'"},
        {"total_memories", "many", "total_memories: 'many' is not a number"},
        {"total_memories", "", "total_memories: '' is not a number"},
        {"total_memories", "1048577", "total_memories: 1048577 is not between 0 and 1048576"},
        {"max_memory_size", "5G", "is not between 0 and 4294967296"},
        {"max_memory_size", "big", "like 65536, 64K, 32M or 4G"},
        {"memory_reservation", "4K", "memory_reservation: 4096 is not between 65536 and"},
        {"guard_before_linear_memory", "maybe", "is not true or false"},
        {"guard_before_linear_memory", "2", "2 is not between 0 and 1"},
        {"pagemap_scan", "true", "is not auto, yes or no"},
        {"pagemap_scan", "1", "is not auto, yes or no"},
    };
    struct Limits limits, before;
    struct Error error;

    limits_init(&limits);
    before = limits;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_eq(limits_set(&limits, cases[i].name, cases[i].text, &error), ERROR_INVALID);
        expect_eq(error.code, ERROR_INVALID);
        expect_says(error.message, cases[i].says);
        cr_expect_arr_eq(&limits, &before, sizeof(limits), "%s=%s has changed something", cases[i].name, cases[i].text);
    }
}

Test(limits, check_compares_memory_size_and_reservation) {
    struct Limits limits;
    struct Error error;

    limits_init(&limits);
    limits.memory_reservation = limits.max_memory_size;
    expect_eq(limits_check(&limits, &error), 0);
    limits.memory_reservation -= (uint64_t)sysconf(_SC_PAGESIZE);
    expect_eq(limits_check(&limits, &error), ERROR_INVALID);
    expect_says(error.message,
                "max_memory_size of 4294967296 bytes exceeds the memory_reservation of 4294963200 bytes");
}

Test(limits, check_demands_whole_pages) {
    struct Limits limits;
    struct Error error;

    limits_init(&limits);
    limits.memory_reservation = (UINT64_C(4) << 30) + 1;
    expect_eq(limits_check(&limits, &error), ERROR_INVALID);
    expect_says(error.message, "multiples of the page size");
    limits.memory_reservation--;
    limits.memory_guard_size = 100;
    expect_eq(limits_check(&limits, &error), ERROR_INVALID);
    expect_says(error.message, "multiples of the page size");
    limits.memory_guard_size = 0;
    expect_eq(limits_check(&limits, &error), 0);
}
