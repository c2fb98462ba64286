/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/wabt/facts.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <wabt/binary-reader-ir.h>
#include <wabt/binary-reader.h>
#include <wabt/cast.h>
#include <wabt/ir.h>
#include <wabt/validator.h>

/* libwabt has no C interface: this is the least C++ that gets its facts out. */

using namespace wabt;

static uint8_t encoding(Type type) {
    return uint8_t(type & 0x7f);
}

static void add_expression(Facts *facts, uint32_t index, const ExprList &list) {
    const Expr *expr = list.size() == 1 ? &list.front() : nullptr;
    uint64_t kind = FACT_EXTENDED, value = 0;

    if (!expr) {
        kind = list.empty() ? 0 : FACT_EXTENDED;
    } else if (auto *constant = dyn_cast<ConstExpr>(expr)) {
        Type type = constant->const_.type();
        v128 bits = constant->const_.vec128();

        kind = FACT_VALUE;
        value = type == Type::I32 || type == Type::F32 ? bits.u32(0) : bits.u64(0);
        if (type == Type::V128)
            facts_add_bytes(facts, "v128", index, &bits, sizeof(bits));
    } else if (auto *global = dyn_cast<GlobalGetExpr>(expr)) {
        kind = FACT_GLOBAL, value = global->var.index();
    } else if (auto *function = dyn_cast<RefFuncExpr>(expr)) {
        kind = FACT_FUNCTION, value = function->var.index();
    } else if (isa<RefNullExpr>(expr)) {
        kind = FACT_NULL, value = 0;
    }
    facts_add(facts, "expression", index, kind);
    facts_add(facts, "expression's value", index, value);
}

static void add_limits(Facts *facts, uint32_t index, const Limits &limits) {
    facts_add(facts, "minimum", index, limits.initial);
    facts_add(facts, "has maximum", index, limits.has_max);
    facts_add(facts, "maximum", index, limits.has_max ? limits.max : 0);
    facts_add(facts, "shared", index, limits.is_shared);
}

static void add_signature(Facts *facts, uint32_t index, const FuncSignature &signature) {
    facts_add(facts, "parameters", index, signature.GetNumParams());
    for (Index i = 0; i < signature.GetNumParams(); i++)
        facts_add(facts, "parameter", i, encoding(signature.GetParamType(i)));
    facts_add(facts, "results", index, signature.GetNumResults());
    for (Index i = 0; i < signature.GetNumResults(); i++)
        facts_add(facts, "result", i, encoding(signature.GetResultType(i)));
}

static void add_counts(Facts *facts, const Module &module) {
    facts_add(facts, "types", 0, module.types.size());
    facts_add(facts, "imports", 0, module.imports.size());
    facts_add(facts, "imported functions", 0, module.num_func_imports);
    facts_add(facts, "imported tables", 0, module.num_table_imports);
    facts_add(facts, "imported memories", 0, module.num_memory_imports);
    facts_add(facts, "imported globals", 0, module.num_global_imports);
    facts_add(facts, "imported tags", 0, module.num_tag_imports);
    facts_add(facts, "functions", 0, module.funcs.size());
    facts_add(facts, "tables", 0, module.tables.size());
    facts_add(facts, "memories", 0, module.memories.size());
    facts_add(facts, "globals", 0, module.globals.size());
    facts_add(facts, "tags", 0, module.tags.size());
    facts_add(facts, "exports", 0, module.exports.size());
    facts_add(facts, "elements", 0, module.elem_segments.size());
    facts_add(facts, "data", 0, module.data_segments.size());
    facts_add(facts, "start", 0, module.starts.empty() ? UINT32_MAX : module.starts[0]->index());
}

static void add_spaces(Facts *facts, const Module &module) {
    for (Index i = 0; i < module.types.size(); i++)
        add_signature(facts, i, cast<FuncType>(module.types[i])->sig);
    for (Index i = 0; i < module.funcs.size(); i++)
        add_signature(facts, i, module.funcs[i]->decl.sig);
    for (Index i = 0; i < module.tables.size(); i++) {
        facts_add(facts, "element type", i, encoding(module.tables[i]->elem_type));
        add_limits(facts, i, module.tables[i]->elem_limits);
    }
    for (Index i = 0; i < module.memories.size(); i++)
        add_limits(facts, i, module.memories[i]->page_limits);
    for (Index i = 0; i < module.globals.size(); i++) {
        facts_add(facts, "global type", i, encoding(module.globals[i]->type));
        facts_add(facts, "mutable", i, module.globals[i]->mutable_);
        if (i >= module.num_global_imports)
            add_expression(facts, i, module.globals[i]->init_expr);
    }
    for (Index i = 0; i < module.tags.size(); i++)
        add_signature(facts, i, module.tags[i]->decl.sig);
}

static void add_names(Facts *facts, const Module &module) {
    for (Index i = 0; i < module.imports.size(); i++) {
        const Import &import = *module.imports[i];

        facts_add_bytes(facts, "import's module", i, import.module_name.data(), import.module_name.size());
        facts_add_bytes(facts, "import's name", i, import.field_name.data(), import.field_name.size());
        facts_add(facts, "import's kind", i, uint64_t(import.kind()));
    }
    for (Index i = 0; i < module.exports.size(); i++) {
        const Export &item = *module.exports[i];

        facts_add_bytes(facts, "export's name", i, item.name.data(), item.name.size());
        facts_add(facts, "export's kind", i, uint64_t(item.kind));
        facts_add(facts, "export's index", i, item.var.index());
    }
}

static void add_segments(Facts *facts, const Module &module) {
    for (Index i = 0; i < module.elem_segments.size(); i++) {
        const ElemSegment &segment = *module.elem_segments[i];

        facts_add(facts, "element's mode", i, uint64_t(segment.kind));
        facts_add(facts, "element's type", i, encoding(segment.elem_type));
        if (segment.kind == SegmentKind::Active) {
            facts_add(facts, "element's table", i, segment.table_var.index());
            add_expression(facts, i, segment.offset);
        }
        facts_add(facts, "items", i, segment.elem_exprs.size());
        for (Index j = 0; j < segment.elem_exprs.size(); j++)
            add_expression(facts, j, segment.elem_exprs[j]);
    }
    for (Index i = 0; i < module.data_segments.size(); i++) {
        const DataSegment &segment = *module.data_segments[i];

        facts_add(facts, "data's mode", i, uint64_t(segment.kind));
        if (segment.kind == SegmentKind::Active) {
            facts_add(facts, "data's memory", i, segment.memory_var.index());
            add_expression(facts, i, segment.offset);
        }
        facts_add_bytes(facts, "data's bytes", i, segment.data.data(), segment.data.size());
    }
}

/* Of the leak sanitizer, if it is there. */
extern "C" void __lsan_disable() __attribute__((weak));
extern "C" void __lsan_enable() __attribute__((weak));

static jmp_buf gave_up;
static bool is_reading;
static const char *assertion_failed;

/* Debian's libwabt is built with its assertions, and some of them fail on what is just invalid. That is a refusal too;
 * what it had allocated is lost. */
extern "C" void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function) noexcept {
    if (is_reading) {
        assertion_failed = assertion;
        longjmp(gave_up, 1);
    }
    fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, assertion);
    abort();
}

static void read_module(Facts *facts, const void *bytes, size_t n) {
    Features features;
    Errors errors;
    Module module;

    features.enable_exceptions();
    features.enable_threads();
    features.enable_multi_memory();
    features.enable_extended_const();
    /* Some errors are recorded, and reading goes on and succeeds. */
    facts->is_valid = Succeeded(ReadBinaryIr("", bytes, n, ReadBinaryOptions(features, nullptr, false, true, true),
                                             &errors, &module)) &&
                      Succeeded(ValidateModule(&module, &errors, ValidateOptions(features))) && errors.empty();
    if (!facts->is_valid) {
        snprintf(facts->reason, sizeof(facts->reason), "%s", errors.empty() ? "" : errors[0].message.c_str());
        return;
    }
    add_counts(facts, module);
    add_spaces(facts, module);
    add_names(facts, module);
    add_segments(facts, module);
}

extern "C" void facts_read_wabt(Facts *facts, const void *bytes, size_t n) {
    facts_reset(facts);
    if (__lsan_disable)
        __lsan_disable();
    is_reading = true;
    if (setjmp(gave_up)) {
        facts->is_valid = false;
        snprintf(facts->reason, sizeof(facts->reason), "assertion failed: %s", assertion_failed);
    } else {
        read_module(facts, bytes, n);
    }
    is_reading = false;
    if (__lsan_enable)
        __lsan_enable();
}
