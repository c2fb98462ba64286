/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/quota.h"

#include <stddef.h>

void quota_init(struct Quota *quota) {
    *quota = (struct Quota){.weight = 1};
}

void quotas_init(struct Quotas *quotas) {
    *quotas = (struct Quotas){0};
    quota_init(&quotas->user);
    quota_init(&quotas->client);
}

void quotas_deinit(struct Quotas *quotas) {
    quotas->overrides = NULL;
}

const struct Quota *quotas_find(const struct Quotas *quotas, uid_t uid) {
    for (const struct QuotaOverride *override = quotas->overrides; override; override = override->next)
        if (override->uid == uid)
            return &override->quota;
    return &quotas->user;
}
