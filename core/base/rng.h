/*
 * Randomness comes in through here and nowhere else, so that a run can be
 * repeated from a seed. The system source is cryptographically strong; the
 * seeded one is for tests only and says so in its name.
 */
#ifndef LULAB_BASE_RNG_H
#define LULAB_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	void (*fill)(void *arg, void *bytes, size_t len); /* any thread */
	void *arg;
};

extern const struct rng rng_system;

/* Deterministic: the n-th call gets the n-th ChaCha20 stream of the seed. Any thread, but threads race for n. */
struct rng_test {
	struct rng rng; /* pass &t->rng */
	uint64_t seed;
	_Atomic uint64_t counter;
};
void rng_test_init(struct rng_test *t, uint64_t seed);

static inline void rng_fill(const struct rng *r, void *bytes, size_t len)
{
	r->fill(r->arg, bytes, len);
}

/*
 * So many bytes at once that the kernel's would be felt: 32 drawn from r are the
 * key of a ChaCha20 stream. As strong as r, and with rng_test as repeatable.
 */
void rng_fill_many(const struct rng *r, void *bytes, size_t len);

/* Uniform in 0..bound-1, by rejection; bound > 0. */
uint64_t rng_below(const struct rng *r, uint64_t bound);

#endif
