/*
 * What is known, between processes: numbers by keys of 64 well mixed bits, in
 * memory that is shared after a fork. Nothing is ever taken out; a memo that
 * is full learns nothing more. Any thread of any process; no locks.
 */
#ifndef LULAB_TESTS_POWER_MEMO_H
#define LULAB_TESTS_POWER_MEMO_H

#include <stdbool.h>
#include <stdint.h>

struct memo;

/* Room for that many keys, at least. Aborts when there is no memory; lives as long as the process. */
struct memo *memo_create(uint64_t keys);
/* A key that was there gets the new value. */
void memo_put(struct memo *m, uint64_t key, uint64_t value);
bool memo_get(const struct memo *m, uint64_t key, uint64_t *ret_value);
/* Puts the key, without a value; false when it was there. When the memo is full every key is new. */
bool memo_is_new(struct memo *m, uint64_t key);

#endif
