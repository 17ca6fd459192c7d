/* See thread.h. */
#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_MAX_LEN 15
#define PAUSE_STEP_MS 20 /* as late as that it is seen that a pause is to end */

void thread_name(const char *name)
{
	char shown[NAME_MAX_LEN + 1];

	snprintf(shown, sizeof(shown), "%s", name);
	pthread_setname_np(pthread_self(), shown);
}

void thread_yield_to_others(int nice)
{
	/* On Linux a nice value belongs to a thread. Where it cannot be set, all are equal, which is no error. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
}

struct timespec thread_deadline_us(uint64_t us)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(us / 1000000);
	at.tv_nsec += (long)(us % 1000000) * 1000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

struct timespec thread_deadline(unsigned ms)
{
	return thread_deadline_us((uint64_t)ms * 1000);
}

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool thread_pause(int64_t ms, const _Atomic bool *stopping)
{
	const int64_t step_ns = PAUSE_STEP_MS * INT64_C(1000000), until_ns = monotonic_ns() + ms * 1000000;
	int64_t left_ns = ms * 1000000;

	while (left_ns > 0 && (stopping == NULL || !atomic_load(stopping))) {
		nanosleep(&(struct timespec){.tv_nsec = left_ns < step_ns ? left_ns : step_ns}, NULL);
		left_ns = until_ns - monotonic_ns();
	}
	return stopping == NULL || !atomic_load(stopping);
}
