/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_E2E_CTL_H
#define TESTS_E2E_CTL_H

/* wasmpoolctl against the rig's daemon, and what it prints for machines. */

#include "tests/e2e/fleet.h"

#include <jansson.h>
#include <stdlib.h>

#define CTL_WORDS_MAX 10

/* Run it with words up to NULL. Returns its exit status; the texts are the caller's. */
#define ctl(outputp, errorsp, ...) ctl_words(outputp, errorsp, (const char *[]){__VA_ARGS__, NULL})

static inline int ctl_words(char **outputp, char **errorsp, const char *const *words) {
    const char *arguments[CTL_WORDS_MAX] = {"wasmpoolctl", "--runtime-dir", rig.daemon.directory};

    for (int i = 3; *words && i < CTL_WORDS_MAX - 1; i++)
        arguments[i] = *words++;
    return host_run(arguments, 0, outputp, errorsp);
}

static inline json_t *ctl_json(const char *command) {
    json_error_t error;
    char *output, *errors;
    json_t *root;

    expect_eq(ctl(&output, &errors, command, "--json"), 0);
    expect_str(errors, "");
    root = json_loads(output, 0, &error);
    cr_assert(root, "line %d: %s, in:\n%s", error.line, error.text, output);
    free(output);
    free(errors);
    return root;
}

static inline json_int_t number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);

    cr_assert(json_is_integer(value), "there is no number '%s'", name);
    return json_integer_value(value);
}

#endif
