/* See process.h. */
#include "process.h"

#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sanitizer.h"

void process_prepare(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	if (!UNDER_SANITIZER) /* its leak check has to look in */
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	log_set_plain(isatty(STDERR_FILENO) != 0);
}
