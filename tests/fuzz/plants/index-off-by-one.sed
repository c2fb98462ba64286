# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# file: client/section.c
# An index may be one more than there is.
/^uint32_t section_index/,/^}/s/index >= n)/index > n)/
