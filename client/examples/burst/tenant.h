/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef BURST_TENANT_H
#define BURST_TENANT_H

/* What a worker process does: instances, as many as it is told to hold. */

/* Do orders from the socket until its end. Returns the process's exit status. */
int tenant_run(int socket, const char *name, const char *address);

#endif
