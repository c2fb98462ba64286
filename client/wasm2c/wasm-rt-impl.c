/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* The drop-in runtime, as one translation unit: a build that compiled wabt's file of this name compiles this one
 * instead, with -I naming this directory and the one of wasmpool.h, and links libwasmpool.
 *
 * Nothing of wabt's file is used: every object that it keeps for the process (jump buffer, unwind target, active
 * exception, table of function types, alternate stack) must here belong to a thread or be locked, and renaming cannot
 * turn a static of another file into a thread-local one. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "wasm-rt-impl.h"
#include "wasmpool-wasm2c.h"

#define RUNTIME(name) name

#include "granule.h"
#include "holding.c"
#include "scope.c"
#include "calls.c"
#include "functype.c"
#include "trap.c"
