/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_PSI_H
#define DAEMON_PSI_H

/* Pressure stall information: for how long tasks have waited for memory. Source: Documentation/accounting/psi.rst. */

#include <stdint.h>

#define PSI_MEMORY "/proc/pressure/memory"
#define PSI_WINDOW_US UINT64_C(2000000) /* the shortest that is for everyone, and not for CAP_SYS_RESOURCE alone */

/* An fd that polls POLLPRI when tasks have waited for `percent` of PSI_WINDOW_US, once in a window at most. Or a
 * negative errno: -ENOENT and -EOPNOTSUPP where the kernel has no PSI, -EPERM, -EACCES, -EROFS and -EINVAL where it may
 * not be asked for this. */
int psi_open_trigger(const char *path, uint64_t percent);

/* How long some task has waited for memory since boot, in microseconds. 0 or a negative errno. */
int psi_read(const char *path, uint64_t *totalp);

#endif
