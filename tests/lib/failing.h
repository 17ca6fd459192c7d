/*
 * Every call that can fail fails once: allocations and arenas of our own code, LMDB,
 * SQLite, files, threads and libuv, for a test that is linked with failing_dep.
 *
 * A walk runs what is tested once and notes from which places in the program
 * calls are made; a place is a stack, so that the same helper called by two
 * functions is two places. Then it runs it again for each place, the first
 * call from there failing, and lets the test judge what came of it. It
 * checks by itself that no descriptor stays open. Memory left behind is the
 * address sanitizer's to find. FAILING_TRACE=1 in the environment prints the
 * stack of each call that fails (addr2line tells the lines).
 */
#ifndef LULAB_TESTS_FAILING_H
#define LULAB_TESTS_FAILING_H

#include <stdbool.h>

#define FAILING_MEMORY 1u
#define FAILING_LMDB 2u
#define FAILING_SQLITE 4u
#define FAILING_FILES 8u
#define FAILING_THREADS 16u
#define FAILING_LOOPS 32u
#define FAILING_ARENAS 64u /* what comes of the room an arena has, which calls nobody */
#define FAILING_TLS 128u /* OpenSSL, for a test that is linked with failing_tls_dep, too */
#define FAILING_ALL 255u

struct failing_walk {
	unsigned kinds;       /* FAILING_* */
	void (*before)(void); /* makes what act() works on; may be NULL */
	int (*act)(void);     /* 0 or ERR_*; frees all it made itself */
	/* Nothing fails any more. `what` is the call that failed, NULL in the first run. May be NULL. */
	void (*after)(int rc, const char *what);
	bool goes_on;   /* places that an earlier walk of this process saw are left out */
	bool runs_on;   /* what is tested stays open from one act to the next, and may open more meanwhile */
	const char *const *threads; /* names of those whose calls count, closed by NULL; NULL: every thread's */
	unsigned lasts; /* calls of that thread that fail in a row, from there on; 0 = 1 */
	unsigned depth; /* functions that make a place, from the call outwards; 0 = 16, which is nearly all */
};

/* Gives how many calls were made to fail. */
unsigned failing_walk(const struct failing_walk *walk);

/* Between these, this thread's calls do not count: for what the test does itself. They do not nest. */
void failing_pause(void);
void failing_go_on(void);

/* For what stands in for a function: does this call of it fail? `caller` is where the function returns to. */
bool failing_call(unsigned kind, const char *name, const void *caller);

/*
 * Stands in for a function that the linker's --wrap leads here: what it gives when it fails, else the function itself.
 * Parameters and arguments are in parentheses.
 */
#define FAILING_CALL(kind, type, name, params, args, failure)                                      \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return failing_call(kind, #name, __builtin_return_address(0)) ? failure : __real_##name args; \
	}

#endif
