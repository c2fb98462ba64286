# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# file: client/binary.c
# A size is believed, whatever is left.
/^void binary_append/,/^}/s/if (binary_ends_before(binary, n))/if (binary->result)/
