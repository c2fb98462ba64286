/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/fuzz/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* seeds DIRECTORY COUNT: the first generated modules, each in a file of its own, to begin with. */
int main(int argc, char *argv[]) {
    struct Bytes bytes = {0};
    char path[4096];

    if (argc != 3)
        return 2;
    for (uint32_t i = 0, n = (uint32_t)atoi(argv[2]); i < n; i++) {
        FILE *file;

        bytes.n = 0;
        sample_module(&bytes, i);
        snprintf(path, sizeof(path), "%s/sample-%" PRIu32 ".wasm", argv[1], i);
        file = fopen(path, "wb");
        if (!file || fwrite(bytes.at, 1, bytes.n, file) != bytes.n || fclose(file)) {
            perror(path);
            return 1;
        }
    }
    bytes_deinit(&bytes);
    return 0;
}
