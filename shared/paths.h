/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef SHARED_PATHS_H
#define SHARED_PATHS_H

/* Where the daemon's sockets lie when nobody says otherwise: the one place that daemon, library and tools ask. */

#include <stddef.h>
#include <sys/un.h>

#define PATHS_SYSTEM_DIR "/run/wasmpool"
#define PATHS_USER_DIR "wasmpool" /* beneath $XDG_RUNTIME_DIR */
#define PATHS_TENANTS "wasmpool.sock"
#define PATHS_ADMIN "admin.sock"

/* A socket's path with its NUL: what fits in an address. */
#define PATHS_SOCKET_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* All return 0, or -ENAMETOOLONG when it does not fit `bytes`; *buffer is written on success only. */

/* DIRECTORY/FILE. */
int paths_join(char *buffer, size_t bytes, const char *directory, const char *file);

/* The directory where a daemon of this user puts its sockets: /run/wasmpool for root, else $XDG_RUNTIME_DIR/wasmpool.
 * -ENOENT when the user is not root and that variable is not set, or not an absolute path. */
int paths_runtime_dir(char *buffer, size_t bytes);

/* The path of FILE (PATHS_TENANTS, PATHS_ADMIN) in that directory. Errors as above. */
int paths_default(char *buffer, size_t bytes, const char *file);

/* For whoever connects: the same; but /run/wasmpool/FILE when the user has no daemon of its own, that is, when
 * nothing is at its default path. */
int paths_find(char *buffer, size_t bytes, const char *file);

#endif
