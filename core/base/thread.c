/* See thread.h. */
#include "base/thread.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_MAX_LEN 15
#define NICE_BACKGROUND 19 /* 1.5 % of a processor beside one busy thread, all of an idle one */

void thread_name(const char *name)
{
	char shown[NAME_MAX_LEN + 1];

	snprintf(shown, sizeof(shown), "%s", name);
	pthread_setname_np(pthread_self(), shown);
}

void thread_yield_to_others(void)
{
	/* On Linux a nice value belongs to a thread. Where it cannot be set, all are equal, which is no error. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE_BACKGROUND);
}

struct timespec thread_deadline(unsigned ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}
