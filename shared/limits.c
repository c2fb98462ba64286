/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/limits.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct LimitInfo LIMIT_INFOS[] = {
#define LIMITS_INFO(name, unit, standard, least, most, meaning)                                                        \
    {#name, unit, standard, least, most, meaning, offsetof(struct Limits, name)},
    LIMITS(LIMITS_INFO)
#undef LIMITS_INFO
};
const size_t LIMIT_INFOS_N = sizeof(LIMIT_INFOS) / sizeof(LIMIT_INFOS[0]);

static uint64_t *limits_at(const struct Limits *limits, const struct LimitInfo *info) {
    return (uint64_t *)((char *)limits + info->offset);
}

void limits_init(struct Limits *limits) {
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        *limits_at(limits, &LIMIT_INFOS[i]) = LIMIT_INFOS[i].standard;
}

const struct LimitInfo *limits_find(const char *name) {
    for (size_t i = 0; i < LIMIT_INFOS_N; i++)
        if (!strcmp(LIMIT_INFOS[i].name, name))
            return &LIMIT_INFOS[i];
    return NULL;
}

uint64_t limits_get(const struct Limits *limits, const struct LimitInfo *info) {
    return *limits_at(limits, info);
}

int limits_parse_number(const char *text, uint64_t *valuep) {
    static const char suffixes[] = "KMGT";
    unsigned long long number;
    uint64_t value;
    unsigned shift = 0;
    char *end;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    errno = 0;
    number = strtoull(text, &end, 0);
    if (errno)
        return -ERANGE;
    if (*end) {
        const char *suffix = strchr(suffixes, toupper((unsigned char)*end));

        if (!suffix)
            return -EINVAL;
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        end++;
        if (!strcmp(end, "iB"))
            end += 2;
        if (*end)
            return -EINVAL;
    }
    if (__builtin_mul_overflow((uint64_t)number, UINT64_C(1) << shift, &value))
        return -ERANGE;
    *valuep = value;
    return 0;
}

static int limit_parse(const struct LimitInfo *info, const char *value, uint64_t *numberp) {
    static const char *const bools[] = {"false", "true", "no", "yes", "off", "on"};
    static const char *const autos[] = {"auto", "yes", "no"};

    if (info->unit == LIMIT_BOOL)
        for (size_t i = 0; i < 6; i++)
            if (!strcmp(value, bools[i])) {
                *numberp = i % 2;
                return 0;
            }
    if (info->unit == LIMIT_AUTO) {
        for (size_t i = 0; i < 3; i++)
            if (!strcmp(value, autos[i])) {
                *numberp = i;
                return 0;
            }
        return -EINVAL;
    }
    return limits_parse_number(value, numberp);
}

int limits_set(struct Limits *limits, const char *name, const char *value, struct Error *error) {
    static const char *const forms[] = {
        [LIMIT_COUNT] = "a number",
        [LIMIT_BYTES] = "a number of bytes, like 65536, 64K, 32M or 4G",
        [LIMIT_BOOL] = "true or false",
        [LIMIT_AUTO] = "auto, yes or no",
    };
    const struct LimitInfo *info = limits_find(name);
    uint64_t number;

    if (!info)
        return error_set(error, ERROR_INVALID, "there is no limit called '%s'", name);
    if (limit_parse(info, value, &number))
        return error_set(error, ERROR_INVALID, "%s: '%s' is not %s", name, value, forms[info->unit]);
    if (number < info->least || number > info->most)
        return error_set(error, ERROR_INVALID, "%s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, name, number,
                         info->least, info->most);
    *limits_at(limits, info) = number;
    return 0;
}

/* The largest unit that says the number exactly. */
static const char *limits_format_size(char *buffer, size_t bytes, uint64_t value) {
    static const char suffixes[] = "\0KMGT";
    unsigned unit = 0;

    while (value && !(value % 1024) && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(buffer, bytes, "%" PRIu64 "%.1s", value, &suffixes[unit]);
    return buffer;
}

const char *limits_format(char *buffer, size_t bytes, const struct LimitInfo *info, uint64_t value) {
    static const char *const autos[] = {"auto", "yes", "no"};

    if (info->unit == LIMIT_BOOL)
        return value ? "true" : "false";
    if (info->unit == LIMIT_AUTO)
        return value < 3 ? autos[value] : "auto";
    if (info->unit == LIMIT_BYTES)
        return limits_format_size(buffer, bytes, value);
    snprintf(buffer, bytes, "%" PRIu64, value);
    return buffer;
}

int limits_check(const struct Limits *limits, struct Error *error) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    if (limits->max_memory_size > limits->memory_reservation)
        return error_set(error, ERROR_INVALID,
                         "max_memory_size of %" PRIu64 " bytes exceeds the memory_reservation of %" PRIu64 " bytes",
                         limits->max_memory_size, limits->memory_reservation);
    if (limits->memory_reservation % page || limits->memory_guard_size % page)
        return error_set(error, ERROR_INVALID,
                         "memory_reservation and memory_guard_size must be multiples of the page size, %" PRIu64, page);
    return 0;
}
