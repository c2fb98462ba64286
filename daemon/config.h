/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

/* What the daemon was told: defaults, then the file, then the environment, then options; later ones win. */

#include "daemon/log.h"
#include "daemon/pool.h"
#include "shared/error.h"
#include "shared/limits.h"
#include "shared/paths.h"

#include <stdio.h>

#define CONFIG_FILE_DEFAULT "/etc/wasmpool/wasmpoold.conf"
#define CONFIG_TEXT_BYTES 256
#define CONFIG_FDS_LEAST 52 /* the daemon's own, and a connection with one slab; libuv aborts where there are none */

/* Numbers of section [daemon]. X(name, field of struct Config, default, least, most, meaning) */
#define CONFIG_NUMBERS(X)                                                                                              \
    X(connections_max, bounds.connections_max, 1024, 1, 1 << 20,                                                       \
      "clients at one time; three file descriptors each")                                                              \
    X(connections_per_user_max, bounds.connections_per_user_max, 0, 0, 1 << 20,                                        \
      "the same for one uid; 0: half of connections_max")                                                              \
    X(slabs_per_client_max, bounds.slabs_per_client_max, LEASE_SLABS_MAX, 1, LEASE_SLABS_MAX, "slabs of one client")   \
    X(slabs_max, bounds.slabs_max, 0, 0, 1 << 24,                                                                      \
      "slabs over all clients, a file descriptor each; 0: what RLIMIT_NOFILE leaves")                                  \
    X(images_max, bounds.images_max, 1024, 0, 1 << 16,                                                                 \
      "images of modules over all clients, a file descriptor each")                                                    \
    X(image_bytes_max, bounds.image_bytes_max, UINT64_C(1) << 30, 0, UINT64_C(1) << 62,                                \
      "bytes of their files, holes included; 0: images are not shared")                                                \
    X(resident_bytes_max, bounds.resident_bytes_max, 0, 0, UINT64_MAX,                                                 \
      "bytes of all slabs above which nothing new is granted; 0: no bound")                                            \
    X(budget_high_percent, bounds.budget_high_percent, 90, 1, 100,                                                     \
      "of resident_bytes_max, and of a cgroup's limit: above it idle memory is given back,")                           \
    X(budget_low_percent, bounds.budget_low_percent, 80, 0, 100, "down to this much of it")                            \
    X(idle_trim_ms, bounds.idle_trim_ms, 60000, 0, UINT32_MAX,                                                         \
      "idle slots that were not used for so long give their pages back; 0: never")                                     \
    X(warm_share_percent, bounds.warm_share_percent, 50, 1, 100,                                                       \
      "idle warm bytes of a worker's cgroup at most, of its memory.max or memory.high")                                \
    X(stall_percent, bounds.stall_percent, 10, 1, 100,                                                                 \
      "of the time that tasks may wait for memory: beyond it half of idle memory is given back")                       \
    X(hello_deadline_ms, hello_deadline_ms, 5000, 1, 3600000, "how long a connection may take to say hello")

/* Texts of section [daemon]. X(name, meaning) */
#define CONFIG_TEXTS(X)                                                                                                \
    X(runtime_dir, "directory of the sockets; /run/wasmpool for root, else $XDG_RUNTIME_DIR/wasmpool")                 \
    X(socket, "path of the tenants' socket; wasmpool.sock in runtime_dir")                                             \
    X(admin_socket, "path of the administration socket; admin.sock in runtime_dir")                                    \
    X(group, "group that may connect to the tenants' socket; for root wasmpool, if there is such a group")             \
    X(log_level, "what is logged: error, warning, notice, info or debug; info")

enum ConfigAction { CONFIG_RUN, CONFIG_CHECK, CONFIG_HELP, CONFIG_VERSION };

struct Config {
    struct Limits limits;
    struct PoolBounds bounds;
    struct Quotas quotas;
    uint64_t hello_deadline_ms;
    char runtime_dir[CONFIG_TEXT_BYTES];
    char socket[CONFIG_TEXT_BYTES], admin_socket[CONFIG_TEXT_BYTES]; /* never empty after config_load */
    char group[CONFIG_TEXT_BYTES];     /* empty: not said */
    char log_level[CONFIG_TEXT_BYTES]; /* its name */
    enum LogLevel level;               /* the same, parsed */
    const char *file;                  /* what --config said, in argv; NULL: nothing */
    enum ConfigAction action;
};

extern const struct NumberInfo CONFIG_NUMBER_INFOS[]; /* in struct Config */
extern const size_t CONFIG_NUMBER_INFOS_N;

/* The defaults; paths are empty. */
void config_init(struct Config *config);
/* The quotas are all there is to free: whoever steals them needs no deinit. */
void config_deinit(struct Config *config);

/* Everything, in order. 0, or ERROR_INVALID with a message that names the file and line, the variable or the option,
 * and what would be right (and nothing is left to deinit). After CONFIG_HELP and CONFIG_VERSION nothing but `action`
 * counts. */
int config_load(struct Config *config, int argc, char **argv, struct Error *error);

/* One setting. `section` is "limits", "daemon", "user", "client" or "user NAME", where NAME may be a number; or NULL
 * where there are no sections: then a quota's name is "user.weight", "client.fds_max" or "user.NAME.weight". 0, or
 * ERROR_INVALID, or what quotas_set returns. */
int config_set(struct Config *config, const char *section, const char *name, const char *value, struct Error *error);

/* Read a file. 0 or ERROR_INVALID. */
int config_read_file(struct Config *config, const char *path, struct Error *error);

/* What must hold between settings. 0 or ERROR_INVALID. */
int config_check(const struct Config *config, struct Error *error);

/* Make connections, images and slabs fit into `fds_max` file descriptors, and derive slabs_max where it is 0. Returns
 * true when something that was configured had to be lowered. */
bool config_fit_fds(struct Config *config, uint64_t fds_max);

/* In the form of the file. */
void config_print(const struct Config *config, FILE *stream);
void config_print_help(FILE *stream);

#endif
