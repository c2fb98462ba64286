# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# file: client/expression.c
# A constant expression may be of another type.
/^static void expression_check/,/^}/s/else if (stack->types\[0\] != type)/else if (!type)/
