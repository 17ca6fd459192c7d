/*
 * Programs of this machine, run for what they say: with arguments and nothing
 * of a shell, without our environment, files or memory, and under limits. Blocking; any thread.
 */
#ifndef LULAB_BASE_CHILD_H
#define LULAB_BASE_CHILD_H

#include <stdbool.h>

#include "buf.h"

struct child_limits {
	unsigned time_ms;     /* then it is killed */
	size_t memory_bytes;  /* of address space */
};

/*
 * argv[0] is a path, or a name that is looked for in PATH; closed by NULL. What it writes to its standard output is appended to
 * out, up to the buffer's ceiling; the rest goes nowhere. 0: it ended with status 0.
 * ERR_NOT_FOUND: there is no such program. ERR_TIMEOUT, ERR_TOO_BIG; ERR_CANCELLED: *stopping became true;
 * ERR_INVALID: it ended otherwise. ERR_IO, ERR_NOMEM: it could not be run. stopping may be NULL.
 */
int child_run(const char *const *argv, const struct child_limits *limits, const _Atomic bool *stopping, struct buf *out);
/* Is there a program of that name in PATH? */
bool child_exists(const char *name);

#endif
