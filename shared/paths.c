/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int paths_join(char *buffer, size_t bytes, const char *directory, const char *file) {
    size_t n_directory = strlen(directory), n_file = strlen(file);
    const char *slash = n_directory && directory[n_directory - 1] == '/' ? "" : "/";

    if (n_directory + strlen(slash) + n_file >= bytes)
        return -ENAMETOOLONG;
    snprintf(buffer, bytes, "%s%s%s", directory, slash, file);
    return 0;
}

int paths_runtime_dir(char *buffer, size_t bytes) {
    const char *base;

    if (!geteuid()) {
        if (sizeof(PATHS_SYSTEM_DIR) > bytes)
            return -ENAMETOOLONG;
        memcpy(buffer, PATHS_SYSTEM_DIR, sizeof(PATHS_SYSTEM_DIR));
        return 0;
    }
    base = secure_getenv("XDG_RUNTIME_DIR");
    if (!base || *base != '/')
        return -ENOENT;
    return paths_join(buffer, bytes, base, PATHS_USER_DIR);
}

int paths_default(char *buffer, size_t bytes, const char *file) {
    char directory[PATHS_SOCKET_BYTES];
    int r = paths_runtime_dir(directory, sizeof(directory));

    return r ? r : paths_join(buffer, bytes, directory, file);
}

int paths_find(char *buffer, size_t bytes, const char *file) {
    char own[PATHS_SOCKET_BYTES], system[PATHS_SOCKET_BYTES];
    int r = paths_default(own, sizeof(own), file);

    if (r && r != -ENOENT)
        return r;
    if (paths_join(system, sizeof(system), PATHS_SYSTEM_DIR, file))
        return -ENAMETOOLONG;
    if (r || (access(own, F_OK) && !access(system, F_OK)))
        memcpy(own, system, sizeof(own));
    if (strlen(own) >= bytes)
        return -ENAMETOOLONG;
    memcpy(buffer, own, strlen(own) + 1);
    return 0;
}
