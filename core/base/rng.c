/* Randomness from the kernel, and a stream from a seed for tests. */
#include "base/rng.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <sodium.h>

/*
 * Ids and nonces are asked for a few bytes at a time, several for each event;
 * one system call each would be felt. So every thread draws a block from the
 * kernel and hands it out once. A forked child must not repeat its parent's
 * bytes: the fork moves the generation, which empties every block.
 */
#define BLOCK_LEN 1024
#define DIRECT_LEN 256

struct block {
	uint8_t bytes[BLOCK_LEN];
	size_t left;
	unsigned generation;
};

static _Thread_local struct block block;
static atomic_uint generation = 1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_fork(void)
{
	atomic_fetch_add(&generation, 1);
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, on_fork);
}

static void kernel_fill(uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = getrandom(bytes, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* Without randomness every key and id would be a guess. */
		if (n <= 0)
			abort();
		bytes += n;
		len -= (size_t)n;
	}
}

static void system_fill(void *arg, void *bytes, size_t len)
{
	unsigned now;

	(void)arg;
	if (len > DIRECT_LEN) {
		kernel_fill(bytes, len);
		return;
	}
	pthread_once(&once, watch_forks);
	now = atomic_load_explicit(&generation, memory_order_relaxed);
	if (block.left < len || block.generation != now) {
		kernel_fill(block.bytes, sizeof(block.bytes));
		block.left = sizeof(block.bytes);
		block.generation = now;
	}
	block.left -= len;
	memcpy(bytes, block.bytes + block.left, len);
	/* Given bytes do not stay behind: some become keys. */
	memset(block.bytes + block.left, 0, len);
}

const struct rng rng_system = {.fill = system_fill};

static void test_fill(void *arg, void *bytes, size_t len)
{
	struct rng_test *t = arg;
	uint64_t counter = atomic_fetch_add(&t->counter, 1);
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	uint8_t key[crypto_stream_chacha20_KEYBYTES] = {0};

	for (int i = 0; i < 8; i++) {
		nonce[i] = (uint8_t)(counter >> (8 * i));
		key[i] = (uint8_t)(t->seed >> (8 * i));
	}
	crypto_stream_chacha20(bytes, len, nonce, key);
}

void rng_test_init(struct rng_test *t, uint64_t seed)
{
	t->rng = (struct rng){.fill = test_fill, .arg = t};
	t->seed = seed;
	atomic_init(&t->counter, 0);
}

void rng_fill_many(const struct rng *r, void *bytes, size_t len)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	uint8_t key[crypto_stream_chacha20_KEYBYTES];

	rng_fill(r, key, sizeof(key));
	crypto_stream_chacha20(bytes, len, nonce, key);
	sodium_memzero(key, sizeof(key));
}

uint64_t rng_below(const struct rng *r, uint64_t bound)
{
	uint64_t value, limit;

	assert(bound > 0);
	/* The largest multiple of bound that fits, so that every remainder is as likely. */
	limit = UINT64_MAX - UINT64_MAX % bound;
	do
		rng_fill(r, &value, sizeof(value));
	while (value >= limit);
	return value % bound;
}
