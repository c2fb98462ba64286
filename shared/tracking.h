/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_TRACKING_H
#define SHARED_TRACKING_H

/* How a process learns which pages of its memories were written: see client/tracker.h. Its clients tell the daemon,
 * which tells people. */

#include <stdint.h>

/* The values are part of the wire protocol. */
enum TrackerWay {
    TRACKER_NONE = 0,  /* nothing can be told */
    TRACKER_SCAN = 1,  /* what was written, by looking */
    TRACKER_COUNT = 2, /* and by the count of faults, without looking, that nothing was */
    TRACKER_WAYS
};

#define TRACKING_WHY_BYTES 96 /* with its NUL */

/* The words of `wasmpoolctl clients` and `status`. */
static inline const char *tracker_way_name(uint32_t way) {
    static const char *const names[TRACKER_WAYS] = {"none", "scan", "count"};

    return way < TRACKER_WAYS ? names[way] : "unknown";
}

#endif
