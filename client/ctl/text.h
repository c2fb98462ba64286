/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef CLIENT_CTL_TEXT_H
#define CLIENT_CTL_TEXT_H

/* Values as people read them. Each function writes into `buffer` and returns it. */

#include <stddef.h>
#include <stdint.h>

#define TEXT_BYTES 128

/* What a process says of itself, fit for a terminal and for JSON: printable ASCII, everything else a question mark. */
const char *text_clean(char buffer[TEXT_BYTES], const char *text);

/* 0, 512 B, 64 KiB, 1.5 MiB */
const char *text_size(char buffer[TEXT_BYTES], uint64_t bytes);

/* 250 ms, 3.2 s, 5 min, 2 h, 3 d */
const char *text_duration(char buffer[TEXT_BYTES], uint64_t ms);

#endif
