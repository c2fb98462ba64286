# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# file: client/binary.c
# What follows in a UTF-8 sequence may be anything.
/^static unsigned utf8_sequence/,/^}/s/if ((at\[i\] \& 0xc0) != 0x80)/if (!at[i])/
