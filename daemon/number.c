/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/number.h"

#include "shared/limits.h"

#include <inttypes.h>
#include <string.h>

const struct NumberInfo *number_find(const struct NumberInfo *infos, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(infos[i].name, name))
            return &infos[i];
    return NULL;
}

uint64_t number_get(const struct NumberInfo *info, const void *holder) {
    return *(const uint64_t *)((const char *)holder + info->offset);
}

void number_put(const struct NumberInfo *info, void *holder, uint64_t number) {
    *(uint64_t *)((char *)holder + info->offset) = number;
}

int number_parse(const struct NumberInfo *info, const char *value, uint64_t *numberp, struct Error *error) {
    uint64_t number;

    if (limits_parse_number(value, &number))
        return error_set(error, ERROR_INVALID,
                         "%s: '%.64s' is not a number between %" PRIu64 " and %" PRIu64 ", like 65536, 64K or 4G",
                         info->name, value, info->least, info->most);
    if (number < info->least || number > info->most)
        return error_set(error, ERROR_INVALID, "%s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, info->name,
                         number, info->least, info->most);
    *numberp = number;
    return 0;
}
