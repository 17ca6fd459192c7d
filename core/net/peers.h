/*
 * What we remember about who talks to us: connections open, connections made
 * this second, requests in the current windows. One table for all loops, its
 * size fixed at the start, so that no crowd of addresses can grow it: a full
 * set forgets the address that was quiet longest.
 */
#ifndef LULAB_NET_PEERS_H
#define LULAB_NET_PEERS_H

#include "base/rng.h"
#include "net/address.h"

struct peers;

#define PEERS_RATES 2

/* n is rounded up to a power of two; NULL without memory. */
struct peers *peers_create(size_t n, const struct rng *rng);
void peers_destroy(struct peers *p);

/* Counts a new connection; false when the address has too many and it must be closed (nothing counted as open then). */
bool peers_connect(struct peers *p, const struct address *who, int64_t now_us, unsigned open_max,
    unsigned new_per_s_max);
void peers_disconnect(struct peers *p, const struct address *who);

struct rate_state {
	unsigned quota, remaining, window_s;
	unsigned reset_s; /* until the window ends, at least 1 */
	bool exceeded;
};

/*
 * Counts one request against window `rate` (0..PEERS_RATES-1) of that address. Any thread.
 *
 * Windows are fixed: the first request opens one, and when it ends the next request
 * opens another. So the worst an address can do is twice its quota within one
 * window's length, across a border; what the quota guards against is a flood, not
 * that. In return RateLimit's t is exact: after so many seconds the whole quota is
 * there again, which is what clients that wait for it expect (the draft leaves
 * the algorithm to the server), and an address costs two numbers a window.
 */
struct rate_state peers_take(struct peers *p, const struct address *who, unsigned rate, unsigned quota,
    unsigned window_s, int64_t now_us);

#endif
