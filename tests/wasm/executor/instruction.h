/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_WASM_EXECUTOR_INSTRUCTION_H
#define TESTS_WASM_EXECUTOR_INSTRUCTION_H

/* A function's body, decoded: instructions of equal size whose branches know where they lead. Bodies are taken to be
 * valid, as wast2json has made sure. Source: WebAssembly 2.0, 5.4 Instructions. */

#include "tests/wasm/executor/body.h"
#include "wasmpool.h"

/* Opcodes behind the prefix 0xfc follow those of one byte. */
#define OPCODE_FC 0x100
#define OPCODES (OPCODE_FC + 18)

enum {
    OP_BLOCK = 0x02,
    OP_LOOP = 0x03,
    OP_IF = 0x04,
    OP_ELSE = 0x05,
    OP_END = 0x0b,
    OP_BR_TABLE = 0x0e,
    OP_CALL = 0x10,
    OP_CALL_INDIRECT = 0x11,
    OP_SELECT_TYPED = 0x1c,
    OP_GLOBAL_GET = 0x23,
    OP_GLOBAL_SET = 0x24,
    OP_I32_LOAD = 0x28,
    OP_I64_STORE32 = 0x3e,
    OP_I32_CONST = 0x41,
    OP_I64_CONST = 0x42,
    OP_F32_CONST = 0x43,
    OP_F64_CONST = 0x44,
    OP_REF_NULL = 0xd0,
    OP_REF_FUNC = 0xd2,
    OP_PREFIX = 0xfc,
    OP_MEMORY_INIT = OPCODE_FC + 8,
    OP_MEMORY_COPY = OPCODE_FC + 10,
    OP_TABLE_INIT = OPCODE_FC + 12,
    OP_TABLE_COPY = OPCODE_FC + 14,
};

struct Frame;
struct Instruction;

/* Executes one instruction. false: it trapped, and the machine knows why. */
typedef bool Handler(struct Frame *frame, const struct Instruction *instruction);

struct Instruction {
    Handler *run;
    uint16_t opcode;
    uint32_t index;          /* first immediate: of a local, label, function, memory, ...; br_table: its first label */
    uint32_t other;          /* second one: a table, a source; br_table: how many labels before the default */
    uint32_t end, other_way; /* blocks: instruction number of the end; if: of what follows else, or of the end */
    uint32_t n_parameters, n_results; /* of blocks and calls */
    uint64_t constant;                /* bits of a constant; a memory access's offset; bytes of a global's type */
};

/* A decoded function. */
struct Function {
    struct Code *code; /* of its module */
    struct Instruction *instructions;
    uint32_t n_instructions;
    uint32_t *labels; /* of all br_table */
    uint32_t n_labels;
    uint32_t n_parameters, n_results, n_locals; /* n_locals: without parameters */
    uint32_t height;                            /* bound of what it can have on the stack beside its locals */
    uint32_t unsupported;                       /* an opcode that is not interpreted: cannot be called; or 0 */
};

/* Decode a body of a function whose type is known already. false: not a body. `function` must be freed in any case. */
bool instruction_decode(struct Function *function, const struct wasmpool_module *module, const struct Body *body);
void instruction_free(struct Function *function);

#endif
