/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/ctl/text.h"

#include <inttypes.h>
#include <stdio.h>

const char *text_clean(char buffer[TEXT_BYTES], const char *text) {
    size_t n = 0;

    for (; text && text[n] && n < TEXT_BYTES - 1; n++)
        buffer[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
    buffer[n] = '\0';
    return buffer;
}

const char *text_size(char buffer[TEXT_BYTES], uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    uint64_t tenths;
    unsigned unit = 0;

    if (!bytes)
        return "0";
    while (unit < 5 && bytes >> 10 * (unit + 1))
        unit++;
    /* In two parts, so that nothing overflows. */
    tenths = bytes >> 10 * unit;
    bytes -= tenths << 10 * unit;
    tenths = tenths * 10 + (bytes >> (unit ? 10 * (unit - 1) : 0)) * 10 / 1024;
    if (tenths % 10)
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, units[unit]);
    else
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 " %s", tenths / 10, units[unit]);
    return buffer;
}

const char *text_duration(char buffer[TEXT_BYTES], uint64_t ms) {
    if (ms < 1000)
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 " ms", ms);
    else if (ms < 60 * 1000)
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    else if (ms < 60 * 60 * 1000)
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 " min", ms / (60 * 1000));
    else if (ms < 48 * 60 * 60 * 1000)
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 " h", ms / (60 * 60 * 1000));
    else
        snprintf(buffer, TEXT_BYTES, "%" PRIu64 " d", ms / (24 * 60 * 60 * 1000));
    return buffer;
}
