/* A consistent copy of the whole log, while it is written. */
#include "store/eventlog_private.h"

#include "store/log_format.h"

/* One read transaction as long as the copy takes: the file grows meanwhile by what is written, never less. */
int eventlog_copy(struct eventlog *log, const char *dir)
{
	return mdb_err(mdb_env_copy(log->env.env, dir));
}
