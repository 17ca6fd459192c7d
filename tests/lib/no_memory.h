/*
 * Memory that runs out on demand, for a test that is linked with no_memory_dep:
 * the n-th allocation of our own libraries from here on fails, once.
 */
#ifndef LULAB_TESTS_NO_MEMORY_H
#define LULAB_TESTS_NO_MEMORY_H

/* Allocations until the one that fails: 0 is the next. Negative: none fails. Not for threads. */
extern int no_memory_in;

#endif
