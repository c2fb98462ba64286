/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_NUMBER_H
#define DAEMON_NUMBER_H

/* A setting that is a number: its name, its default, its range, and where it lies in the struct that holds it. */

#include "shared/error.h"

#include <stddef.h>
#include <stdint.h>

struct NumberInfo {
    const char *name;
    uint64_t standard, least, most;
    const char *meaning;
    size_t offset; /* of a uint64_t */
};

/* NULL when there is none of that name. */
const struct NumberInfo *number_find(const struct NumberInfo *infos, size_t n, const char *name);

uint64_t number_get(const struct NumberInfo *info, const void *holder);
void number_put(const struct NumberInfo *info, void *holder, uint64_t number);

/* "65536", "64K", "4G". 0, or ERROR_INVALID with a message that names the setting, the value and the range. */
int number_parse(const struct NumberInfo *info, const char *value, uint64_t *numberp, struct Error *error);

#endif
