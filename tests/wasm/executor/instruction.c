/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wasm/executor/instruction.h"

#include <stdlib.h>
#include <string.h>

#include "tests/wasm/executor/interpreter.h"

#define BLOCK_TYPE_EMPTY (-0x40)
#define LOCALS_MAX 50000
#define MULTI_MEMORY_BIT 0x40

struct Decoder {
    struct Reader reader;
    const struct wasmpool_module *module;
    struct Function *function;
    uint32_t *open; /* instruction numbers of blocks without their end */
    uint32_t n_open;
};

/* Arrays grow by doubling: whenever `used` is a power of two. */
static void *more(void *array, uint32_t used, size_t bytes) {
    void *larger;

    if (used & (used - 1))
        return array;
    larger = reallocarray(array, used ? 2 * (size_t)used : 1, bytes);
    if (!larger)
        abort();
    return larger;
}

static void decode_type(struct Decoder *decoder, uint32_t type_index, struct Instruction *instruction) {
    struct wasmpool_function_type type = {0};

    if (wasmpool_module_function_type(decoder->module, type_index, &type) != 0)
        decoder->reader.bad = true;
    instruction->n_parameters = type.n_parameters;
    instruction->n_results = type.n_results;
}

static void decode_block(struct Decoder *decoder, struct Instruction *instruction) {
    int64_t type = reader_signed(&decoder->reader, 33);

    if (type >= 0)
        decode_type(decoder, (uint32_t)type, instruction);
    else
        instruction->n_results = type != BLOCK_TYPE_EMPTY;
    decoder->open = more(decoder->open, decoder->n_open, sizeof(decoder->open[0]));
    decoder->open[decoder->n_open++] = decoder->function->n_instructions - 1;
}

static void decode_else(struct Decoder *decoder) {
    struct Function *function = decoder->function;

    if (decoder->n_open == 0)
        decoder->reader.bad = true;
    else
        function->instructions[decoder->open[decoder->n_open - 1]].other_way = function->n_instructions;
}

static void decode_end(struct Decoder *decoder) {
    struct Function *function = decoder->function;
    uint32_t end = function->n_instructions - 1;
    struct Instruction *block;

    if (decoder->n_open == 0)
        return; /* the function's own */
    block = &function->instructions[decoder->open[--decoder->n_open]];
    block->end = end;
    if (block->other_way == 0)
        block->other_way = end + 1;
    else
        function->instructions[block->other_way - 1].end = end;
}

static void decode_labels(struct Decoder *decoder, struct Instruction *instruction) {
    struct Function *function = decoder->function;

    instruction->other = reader_u32(&decoder->reader);
    instruction->index = function->n_labels;
    for (uint64_t i = 0; i <= instruction->other && !decoder->reader.bad; i++) {
        function->labels = more(function->labels, function->n_labels, sizeof(function->labels[0]));
        function->labels[function->n_labels++] = reader_u32(&decoder->reader);
    }
}

static void decode_call(struct Decoder *decoder, struct Instruction *instruction) {
    struct wasmpool_external_type type = {0};

    instruction->index = reader_u32(&decoder->reader);
    if (wasmpool_module_type(decoder->module, WASMPOOL_EXTERNAL_FUNCTION, instruction->index, &type) != 0)
        decoder->reader.bad = true;
    instruction->n_parameters = type.of.function.n_parameters;
    instruction->n_results = type.of.function.n_results;
}

static void decode_global(struct Decoder *decoder, struct Instruction *instruction) {
    struct wasmpool_external_type type = {0};

    instruction->index = reader_u32(&decoder->reader);
    if (wasmpool_module_type(decoder->module, WASMPOOL_EXTERNAL_GLOBAL, instruction->index, &type) != 0)
        decoder->reader.bad = true;
    switch (type.of.global.content) {
    case WASMPOOL_TYPE_I32:
    case WASMPOOL_TYPE_F32:
        instruction->constant = 4;
        break;
    case WASMPOOL_TYPE_V128:
        instruction->constant = 16;
        break;
    default:
        instruction->constant = 8;
    }
}

static void decode_access(struct Decoder *decoder, struct Instruction *instruction) {
    uint32_t flags = reader_u32(&decoder->reader);

    if (flags & MULTI_MEMORY_BIT)
        instruction->index = reader_u32(&decoder->reader);
    instruction->constant = reader_u32(&decoder->reader);
}

static uint64_t decode_bits(struct Decoder *decoder, unsigned bytes) {
    uint64_t bits = 0;

    for (unsigned i = 0; i < bytes; i++)
        bits |= (uint64_t)reader_byte(&decoder->reader) << (8 * i);
    return bits;
}

/* Immediates that are indices, of which there may be none. */
static unsigned indices_of(uint16_t opcode) {
    switch (opcode) {
    case 0x0c: /* br, br_if */
    case 0x0d:
    case 0x20: /* locals */
    case 0x21:
    case 0x22:
    case 0x25: /* table.get, table.set */
    case 0x26:
    case 0x3f: /* memory.size, memory.grow */
    case 0x40:
    case OP_REF_NULL:
    case OP_REF_FUNC:
        return 1;
    case OP_MEMORY_INIT:
    case OP_MEMORY_COPY:
    case OP_TABLE_INIT:
    case OP_TABLE_COPY:
        return 2;
    default:
        return opcode >= OP_MEMORY_INIT; /* data.drop, memory.fill, elem.drop, table.grow, size, fill */
    }
}

static void decode_immediates(struct Decoder *decoder, struct Instruction *instruction) {
    struct Reader *reader = &decoder->reader;
    unsigned n_indices = indices_of(instruction->opcode);

    if (n_indices > 0)
        instruction->index = reader_u32(reader);
    if (n_indices > 1)
        instruction->other = reader_u32(reader);
    if (instruction->opcode >= OP_I32_LOAD && instruction->opcode <= OP_I64_STORE32)
        decode_access(decoder, instruction);
    switch (instruction->opcode) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF:
        return decode_block(decoder, instruction);
    case OP_ELSE:
        return decode_else(decoder);
    case OP_END:
        return decode_end(decoder);
    case OP_BR_TABLE:
        return decode_labels(decoder, instruction);
    case OP_CALL:
        return decode_call(decoder, instruction);
    case OP_CALL_INDIRECT:
        instruction->index = reader_u32(reader);
        instruction->other = reader_u32(reader);
        return decode_type(decoder, instruction->index, instruction);
    case OP_SELECT_TYPED:
        return reader_skip(reader, reader_u32(reader));
    case OP_GLOBAL_GET:
    case OP_GLOBAL_SET:
        return decode_global(decoder, instruction);
    case OP_I32_CONST:
        instruction->constant = (uint32_t)reader_signed(reader, 32);
        return;
    case OP_I64_CONST:
        instruction->constant = (uint64_t)reader_signed(reader, 64);
        return;
    case OP_F32_CONST:
        instruction->constant = decode_bits(decoder, 4);
        return;
    case OP_F64_CONST:
        instruction->constant = decode_bits(decoder, 8);
        return;
    }
}

static void decode_locals(struct Decoder *decoder) {
    struct Reader *reader = &decoder->reader;

    for (uint32_t groups = reader_u32(reader); groups > 0 && !reader->bad; groups--) {
        uint32_t count = reader_u32(reader);

        reader_byte(reader);
        if (count > LOCALS_MAX - decoder->function->n_locals)
            reader->bad = true;
        else
            decoder->function->n_locals += count;
    }
}

/* One instruction. It ends the decoding when its immediates are not known: nothing behind it can be found. */
static bool decode_one(struct Decoder *decoder) {
    struct Function *function = decoder->function;
    uint32_t opcode = reader_byte(&decoder->reader);
    struct Instruction *instruction;

    if (opcode == OP_PREFIX)
        opcode = OPCODE_FC + reader_u32(&decoder->reader);
    if (decoder->reader.bad)
        return false;
    function->instructions = more(function->instructions, function->n_instructions, sizeof(*instruction));
    instruction = &function->instructions[function->n_instructions++];
    *instruction = (struct Instruction){.opcode = (uint16_t)opcode, .run = interpreter_handler(opcode)};
    if (!instruction->run) {
        function->unsupported = opcode;
        return false;
    }
    decode_immediates(decoder, instruction);
    function->height += 1 + instruction->n_parameters + instruction->n_results;
    return !decoder->reader.bad;
}

bool instruction_decode(struct Function *function, const struct wasmpool_module *module, const struct Body *body) {
    struct Decoder decoder = {
        .reader = {body->bytes, body->bytes + body->size, false}, .module = module, .function = function};

    decode_locals(&decoder);
    while (decoder.reader.at < decoder.reader.end && decode_one(&decoder))
        ;
    free(decoder.open);
    if (function->unsupported)
        return true;
    return !decoder.reader.bad && decoder.n_open == 0 && function->n_instructions > 0 &&
           function->instructions[function->n_instructions - 1].opcode == OP_END;
}

void instruction_free(struct Function *function) {
    free(function->instructions);
    free(function->labels);
    *function = (struct Function){0};
}
