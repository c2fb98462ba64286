/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* What each kind of command does. */

#include "tests/wasm/executor/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/wasm/executor/context.h"
#include "tests/wasm/executor/literal.h"
#include "tests/wasm/executor/oracle.h"

static const struct Result none, passed = {.verdict = VERDICT_PASSED}, failed = {.verdict = VERDICT_FAILED};
static const struct Result text_format = {VERDICT_SKIPPED, "modules in the text format"};
static const struct Result fault_in_body = {VERDICT_SKIPPED, "faults in bodies, which the library steps over, or none "
                                                             "with the proposals that it knows"};
static const struct Result not_interpreted = {VERDICT_SKIPPED, "instructions that are not interpreted"};

static struct Name name_of(const json_t *object, const char *key) {
    const json_t *text = json_object_get(object, key);

    return (struct Name){text ? json_string_value(text) : "", text ? json_string_length(text) : 0};
}

static uint8_t *read_module(const struct Script *script, const json_t *command, size_t *sizep) {
    char path[4096];

    snprintf(path, sizeof(path), "%s%s", script->directory, name_of(command, "filename").text);
    return script_read_file(path, sizep);
}

/* The instance that a command names, or the current one. */
static const struct Instance *instance_of(const struct Script *script, const json_t *object, const char *key) {
    struct Name name = name_of(object, key);

    return name.bytes ? store_bound(&script->store.modules, name) : script->store.current;
}

/* ------------------------------------------------------------------------------------------------ modules */

static void instantiate(struct Script *script, size_t i, const json_t *command, struct Outcome *outcome) {
    struct wasmpool_error error = {0};
    size_t size = 0;
    uint8_t *bytes;
    int r = -ENOENT;

    *outcome = (struct Outcome){0};
    if (!script->codes[i]) {
        bytes = read_module(script, command, &size);
        if (bytes)
            r = code_new(&script->codes[i], bytes, size, &error);
        free(bytes);
    }
    if (script->codes[i]) {
        store_instantiate(&script->store, script->codes[i], outcome);
        return;
    }
    script->store.current = NULL;
    outcome->result = r;
    snprintf(outcome->text, sizeof(outcome->text), "module_read: %s: %s", wasmpool_strerror(r), error.message);
}

static struct Result run_module(struct Script *script, size_t i, const json_t *command) {
    struct Name name = name_of(command, "name");
    struct Outcome outcome;

    instantiate(script, i, command, &outcome);
    if (name.bytes)
        store_bind(&script->store.modules, name, script->store.current);
    if (outcome.result == 0)
        return none;
    if (outcome.trap == TRAP_UNSUPPORTED)
        return not_interpreted;
    script_report(script, i, "got %s, expected an instance", outcome.text);
    return failed;
}

static struct Result run_register(struct Script *script, size_t i, const json_t *command) {
    const struct Instance *instance = instance_of(script, command, "name");

    if (!instance) {
        script_report(script, i, "got no instance to register");
        return failed;
    }
    store_bind(&script->store.registered, name_of(command, "as"), instance);
    return none;
}

/* Texts may have details behind them, on either side: "uninitialized element 2". */
static bool trap_matches(const char *expected, const char *trap) {
    size_t bytes = strlen(expected) < strlen(trap) ? strlen(expected) : strlen(trap);

    return bytes > 0 && !strncmp(expected, trap, bytes);
}

/* assert_unlinkable and assert_uninstantiable. What fails so is not the current module. */
static struct Result run_refused(struct Script *script, size_t i, const json_t *command, int expected) {
    struct Instance *current = script->store.current;
    const char *text = name_of(command, "text").text;
    struct Outcome outcome;

    instantiate(script, i, command, &outcome);
    script->store.current = current;
    if (outcome.trap == TRAP_UNSUPPORTED)
        return not_interpreted;
    if (outcome.result == expected && (!outcome.trap || trap_matches(text, outcome.trap)))
        return passed;
    script_report(script, i, "got %s, expected %s: %s", outcome.result ? outcome.text : "an instance",
                  wasmpool_strerror(expected), text);
    return failed;
}

/* assert_malformed and assert_invalid: about modules that no round changes. */
static struct Result run_misread(struct Script *script, size_t i, const json_t *command, int expected) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error = {0};
    struct Result result = passed;
    size_t size = 0;
    uint8_t *bytes;
    int r;

    if (script->round > 0)
        return none;
    if (strcmp(name_of(command, "module_type").text, "binary") != 0)
        return text_format;
    bytes = read_module(script, command, &size);
    r = bytes ? wasmpool_module_read(&module, bytes, size, &error) : -ENOENT;
    if (r == 0 && oracle_accepts_without_bodies(bytes, size)) {
        result = fault_in_body;
    } else if (r != expected) {
        script_report(script, i, "got %s: %s, expected %s: %s", r ? wasmpool_strerror(r) : "a module", error.message,
                      wasmpool_strerror(expected), name_of(command, "text").text);
        result = failed;
    }
    wasmpool_module_free(module);
    free(bytes);
    return result;
}

/* ------------------------------------------------------------------------------------------------ actions */

enum Ending { ENDING_RETURN, ENDING_TRAP, ENDING_UNSUPPORTED, ENDING_IMPOSSIBLE };

struct Action {
    const struct Instance *instance;
    uint32_t index;
    union Value *values; /* arguments, then results; the caller's to free */
    uint32_t n_results;
    char why[100]; /* it is impossible */
};

static enum Ending impossible(struct Action *action, const char *why) {
    snprintf(action->why, sizeof(action->why), "%s", why);
    return ENDING_IMPOSSIBLE;
}

static enum Ending get(struct Action *action) {
    const struct Instance *instance = action->instance;
    struct wasmpool_vmcontext *vmctx = wasmpool_instance_vmctx(instance->handle);

    action->n_results = 1;
    action->values = calloc(1, sizeof(action->values[0]));
    if (!action->values)
        abort();
    memcpy(action->values, context_global(vmctx, instance->code->offsets, action->index), sizeof(action->values[0]));
    return ENDING_RETURN;
}

static enum Ending invoke(struct Script *script, const json_t *arguments, struct Action *action) {
    const struct Instance *instance = action->instance;
    uint32_t number = instance->code->func_refs[action->index];
    struct wasmpool_vmcontext *vmctx = wasmpool_instance_vmctx(instance->handle);
    struct wasmpool_external_type type;
    const json_t *argument;
    size_t i;

    if (wasmpool_module_type(instance->code->module, WASMPOOL_EXTERNAL_FUNCTION, action->index, &type) != 0 ||
        type.of.function.n_parameters != json_array_size(arguments))
        return impossible(action, "another number of parameters");
    if (number == NOT_ESCAPED)
        return impossible(action, "an exported function without a VMFuncRef");
    action->n_results = type.of.function.n_results;
    action->values = calloc((size_t)type.of.function.n_parameters + action->n_results + 1, sizeof(action->values[0]));
    if (!action->values)
        abort();
    json_array_foreach(arguments, i, argument) {
        if (!strcmp(name_of(argument, "type").text, "v128"))
            return ENDING_UNSUPPORTED;
        if (!literal_value(argument, &action->values[i]))
            return impossible(action, "an argument that cannot be passed");
    }
    if (machine_call(&script->store.machine, context_func_ref(vmctx, instance->code->offsets, number), action->values,
                     type.of.function.n_parameters, action->n_results))
        return ENDING_RETURN;
    return script->store.machine.trap == TRAP_UNSUPPORTED ? ENDING_UNSUPPORTED : ENDING_TRAP;
}

static enum Ending act(struct Script *script, const json_t *command, struct Action *action) {
    const json_t *what = json_object_get(command, "action");
    bool is_get = !strcmp(name_of(what, "type").text, "get");
    struct wasmpool_extern item;

    *action = (struct Action){.instance = instance_of(script, what, "module")};
    if (!action->instance)
        return impossible(action, "no module");
    if (store_export(action->instance, name_of(what, "field"), &item) != 0 ||
        item.kind != (is_get ? WASMPOOL_EXTERNAL_GLOBAL : WASMPOOL_EXTERNAL_FUNCTION))
        return impossible(action, "no such export");
    action->index = item.index;
    return is_get ? get(action) : invoke(script, json_object_get(what, "args"), action);
}

static struct Result check_results(struct Script *script, size_t i, const json_t *expected,
                                   const struct Action *action) {
    const json_t *literal;
    char text[80], *json;
    size_t result;

    if (json_array_size(expected) != action->n_results) {
        script_report(script, i, "got %u results, expected %zu", action->n_results, json_array_size(expected));
        return failed;
    }
    json_array_foreach(expected, result, literal) {
        if (literal_matches(literal, &action->values[result]))
            continue;
        literal_print(literal, &action->values[result], text, sizeof(text));
        json = json_dumps(literal, JSON_COMPACT);
        script_report(script, i, "got %s as result %zu, expected %s", text, result, json);
        free(json);
        return failed;
    }
    return passed;
}

static struct Result judge(struct Script *script, size_t i, const json_t *command, enum Ending ending,
                           const struct Action *action) {
    const char *type = name_of(command, "type").text, *text = name_of(command, "text").text;
    bool is_return = !strcmp(type, "assert_return"), is_trap = !is_return && strcmp(type, "action") != 0;
    const char *trap = script->store.machine.trap;

    switch (ending) {
    case ENDING_UNSUPPORTED:
        return not_interpreted;
    case ENDING_IMPOSSIBLE:
        script_report(script, i, "got %s, expected something to act on", action->why);
        return failed;
    case ENDING_TRAP:
        if (is_trap && trap_matches(text, trap))
            return passed;
        script_report(script, i, "got trap: %s, expected %s%s", trap, is_trap ? "trap: " : "a return", text);
        return failed;
    case ENDING_RETURN:
        break;
    }
    if (is_return)
        return check_results(script, i, json_object_get(command, "expected"), action);
    if (!is_trap)
        return none;
    script_report(script, i, "got a return, expected trap: %s", text);
    return failed;
}

static struct Result run_action(struct Script *script, size_t i, const json_t *command) {
    struct Action action;
    enum Ending ending = act(script, command, &action);
    struct Result result = judge(script, i, command, ending, &action);

    free(action.values);
    return result;
}

struct Result command_run(struct Script *script, size_t i) {
    const json_t *command = json_array_get(script->commands, i);
    const char *type = name_of(command, "type").text;

    if (!strcmp(type, "module"))
        return run_module(script, i, command);
    if (!strcmp(type, "register"))
        return run_register(script, i, command);
    if (!strcmp(type, "assert_unlinkable"))
        return run_refused(script, i, command, WASMPOOL_E_LINK);
    if (!strcmp(type, "assert_uninstantiable"))
        return run_refused(script, i, command, WASMPOOL_E_TRAP);
    if (!strcmp(type, "assert_malformed"))
        return run_misread(script, i, command, WASMPOOL_E_MALFORMED);
    if (!strcmp(type, "assert_invalid"))
        return run_misread(script, i, command, WASMPOOL_E_INVALID);
    if (!strcmp(type, "action") || !strcmp(type, "assert_return") || !strcmp(type, "assert_trap") ||
        !strcmp(type, "assert_exhaustion"))
        return run_action(script, i, command);
    script_report(script, i, "got a command called %s, expected one that is known", type);
    return failed;
}
