# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# file: client/binary.c
# The fifth byte of an integer is not its last one: the shift goes on.
/^uint64_t binary_leb/,/^}/s/if (left < 7) {/if (left < 4) {/
