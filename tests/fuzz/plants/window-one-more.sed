# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# file: client/input.c
# A window ends one byte behind what was read.
/^int input_fill/,/^}/s/input->window_end = input->window + n;/input->window_end = input->window + n + 1;/
