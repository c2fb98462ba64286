/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_TEXT_H
#define DAEMON_TEXT_H

/* Small files in which the kernel says something, in one read. */

#include <stddef.h>

/* The file as a string, cut off where the buffer ends. 0 or a negative errno. */
int text_read(char *buffer, size_t bytes, const char *path);

#endif
