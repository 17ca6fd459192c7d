/*
 * A set-associative table: the hash of an address (with a secret, so that
 * nobody can aim at a set) chooses a set of eight entries; one mutex guards
 * every 64th set.
 */
#include "net/peers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define WAYS 8
#define LOCKS 64

struct peer {
	struct address who;
	bool used;
	uint16_t open;
	uint16_t n_new;        /* connections made in second new_at_s */
	uint32_t new_at_s;
	uint32_t seen_at_s;
	struct {
		uint32_t started_at_s;
		uint32_t count;
	} windows[PEERS_RATES];
};

struct peers {
	uint64_t secret[2];
	size_t n_sets;
	pthread_mutex_t locks[LOCKS]; /* lock i guards the sets whose number ends in i */
	struct peer entries[];
};

struct peers *peers_create(size_t n, const struct rng *rng)
{
	size_t n_sets = LOCKS;
	struct peers *p;

	while (n_sets * WAYS < n)
		n_sets *= 2;
	p = calloc(1, sizeof(*p) + n_sets * WAYS * sizeof(p->entries[0]));
	if (p == NULL)
		return NULL;
	p->n_sets = n_sets;
	rng_fill(rng, p->secret, sizeof(p->secret));
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&p->locks[i], NULL);
	return p;
}

void peers_destroy(struct peers *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&p->locks[i]);
	free(p);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static size_t set_of(const struct peers *p, const struct address *who)
{
	uint64_t half[2];

	memcpy(half, who->bytes, sizeof(half));
	return (size_t)mix(mix(half[0] ^ p->secret[0]) ^ half[1] ^ p->secret[1]) & (p->n_sets - 1);
}

/* Returns with the set's lock held, also when NULL: all eight are connected and none of them is `who`. */
static struct peer *find(struct peers *p, const struct address *who, uint32_t now_s, bool make,
    pthread_mutex_t **ret_lock)
{
	size_t set = set_of(p, who);
	struct peer *entries = &p->entries[set * WAYS], *place = NULL;

	*ret_lock = &p->locks[set % LOCKS];
	pthread_mutex_lock(*ret_lock);
	for (size_t i = 0; i < WAYS; i++) {
		struct peer *e = &entries[i];

		if (e->used && memcmp(&e->who, who, sizeof(*who)) == 0) {
			if (make)
				e->seen_at_s = now_s;
			return e;
		}
		if (e->open > 0 || (place != NULL && !place->used))
			continue;
		if (place == NULL || !e->used || e->seen_at_s < place->seen_at_s)
			place = e;
	}
	if (!make || place == NULL)
		return NULL;
	*place = (struct peer){.who = *who, .used = true, .seen_at_s = now_s};
	return place;
}

bool peers_connect(struct peers *p, const struct address *who, int64_t now_us, unsigned open_max,
    unsigned new_per_s_max)
{
	struct address group = address_group(who);
	uint32_t now_s = (uint32_t)(now_us / 1000000);
	pthread_mutex_t *lock;
	struct peer *e = find(p, &group, now_s, true, &lock);
	bool ok = true;

	if (e != NULL) {
		if (e->new_at_s != now_s) {
			e->new_at_s = now_s;
			e->n_new = 0;
		}
		ok = e->open < open_max && e->n_new < new_per_s_max;
		if (ok) {
			e->open++;
			e->n_new++;
		}
	}
	pthread_mutex_unlock(lock);
	return ok;
}

void peers_disconnect(struct peers *p, const struct address *who)
{
	struct address group = address_group(who);
	pthread_mutex_t *lock;
	struct peer *e = find(p, &group, 0, false, &lock);

	if (e != NULL && e->open > 0)
		e->open--;
	pthread_mutex_unlock(lock);
}

struct rate_state peers_take(struct peers *p, const struct address *who, unsigned rate, unsigned quota,
    unsigned window_s, int64_t now_us)
{
	struct rate_state state = {.quota = quota, .remaining = quota, .window_s = window_s, .reset_s = window_s};
	struct address group = address_group(who);
	uint32_t now_s = (uint32_t)(now_us / 1000000);
	pthread_mutex_t *lock;
	struct peer *e;

	assert(rate < PEERS_RATES && window_s > 0);
	e = find(p, &group, now_s, true, &lock);
	if (e != NULL) {
		uint32_t age_s = now_s - e->windows[rate].started_at_s;

		if (e->windows[rate].count == 0 || age_s >= window_s) {
			e->windows[rate].started_at_s = now_s;
			e->windows[rate].count = 0;
			age_s = 0;
		}
		state.exceeded = e->windows[rate].count >= quota;
		if (!state.exceeded)
			e->windows[rate].count++;
		state.remaining = quota - e->windows[rate].count;
		state.reset_s = window_s - age_s;
	}
	pthread_mutex_unlock(lock);
	return state;
}
