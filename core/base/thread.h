/* What the scheduler and people with `top -H` should know of a thread of ours. */
#ifndef LULAB_BASE_THREAD_H
#define LULAB_BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Name of the calling thread, at most 15 bytes shown: "lulab-writer". */
void thread_name(const char *name);

/*
 * The calling thread yields to the others when processors are scarce, beside work somebody waits for (accept, append,
 * answer). By how much is a nice value, see setpriority(2):
 */
#define THREAD_MAY_LAG 2     /* for a moment, as rows do: two fifths of a processor beside one busy thread */
#define THREAD_AT_LEISURE 19 /* whatever is left: a hundredth or two */
void thread_yield_to_others(int nice);

/* So many milliseconds, or microseconds, from now, for pthread_cond_timedwait() on a condition that goes by CLOCK_MONOTONIC. */
struct timespec thread_deadline(unsigned ms);
struct timespec thread_deadline_us(uint64_t us);

/* The calling thread rests for so many milliseconds, or until somebody sets *stopping (NULL: nobody will). False: it is set. */
bool thread_pause(int64_t ms, const _Atomic bool *stopping);

#endif
