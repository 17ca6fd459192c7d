/* See process.h. */
#include "process.h"

#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#endif

void process_prepare(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
#ifndef UNDER_SANITIZER /* its leak check has to look in */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	log_set_plain(isatty(STDERR_FILENO) != 0);
}
