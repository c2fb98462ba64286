/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_AUDIT_H
#define THUMBS_AUDIT_H

/* The kernel's word on where a sandbox lies: one line for each image,
 *
 *     PID memory ADDRESS INODE NAME table ADDRESS INODE NAME IMAGE
 *
 * with inode and name of the mapping as /proc/self/maps has them ("-" and 0 for an address that is not mapped). */

/* Appends a line to `fd`, which is open with O_APPEND: several workers write one file. A failure is survived; then
 * the line is missing, which whoever counts lines sees. */
void audit_append(int fd, const void *memory, const void *table, const char *image);

#endif
