/* See merkle.h. */
#include "domain/merkle.h"

#include <assert.h>
#include <stdio.h>

#include "base/err.h"
#include "crypto/crypto.h"

_Static_assert(MERKLE_HASH_LEN == SHA256_LEN, "one hash function");

bool merkle_hash_eq(const struct merkle_hash *a, const struct merkle_hash *b)
{
	return memcmp(a->bytes, b->bytes, MERKLE_HASH_LEN) == 0;
}

void merkle_leaf(struct merkle_hash *ret, struct slice record)
{
	sha256(ret->bytes, (struct slice[]){SLICE("\x00"), record}, 2);
}

void merkle_node(struct merkle_hash *ret, const struct merkle_hash *left, const struct merkle_hash *right)
{
	char bytes[1 + 2 * MERKLE_HASH_LEN];
	struct slice text = {bytes, sizeof(bytes)};

	bytes[0] = 0x01;
	memcpy(bytes + 1, left->bytes, MERKLE_HASH_LEN);
	memcpy(bytes + 1 + MERKLE_HASH_LEN, right->bytes, MERKLE_HASH_LEN);
	sha256(ret->bytes, &text, 1);
}

unsigned merkle_tile_width(uint64_t size, unsigned level, uint64_t number)
{
	uint64_t hashes, before;

	assert(level < MERKLE_LEVELS);
	hashes = size >> (8 * level);
	if (number >= UINT64_MAX / MERKLE_TILE_WIDTH)
		return 0;
	before = number * MERKLE_TILE_WIDTH;
	if (hashes <= before)
		return 0;
	return hashes - before < MERKLE_TILE_WIDTH ? (unsigned)(hashes - before) : MERKLE_TILE_WIDTH;
}

void merkle_tile_path(char ret_path[MERKLE_PATH_MAX], int level, uint64_t number, unsigned width)
{
	char name[8 * 4 + 1], head[16] = "entries", tail[8] = "";
	size_t at = sizeof(name) - 1;

	assert(level >= MERKLE_LEVEL_ENTRIES && level < MERKLE_LEVELS);
	assert(width >= 1 && width <= MERKLE_TILE_WIDTH);
	/* Groups of three digits from the right; all but the last are marked with x. */
	name[at] = '\0';
	for (bool last = true; last || number > 0; last = false) {
		char group[5];

		snprintf(group, sizeof(group), "%03u", (unsigned)(number % 1000));
		number /= 1000;
		if (!last)
			name[--at] = '/';
		at -= 3;
		memcpy(name + at, group, 3);
		if (!last)
			name[--at] = 'x';
	}
	if (level >= 0)
		snprintf(head, sizeof(head), "%d", level);
	if (width < MERKLE_TILE_WIDTH)
		snprintf(tail, sizeof(tail), ".p/%u", width);
	snprintf(ret_path, MERKLE_PATH_MAX, "tile/%s/%s%s", head, name + at, tail);
}

/* Root of the complete subtree over 2^height leaves from `start`, which is a multiple of that. */
static int subtree(struct merkle_hash *ret, uint64_t start, unsigned height, const struct tile_reader *tiles)
{
	unsigned level = height / 8, n = 1u << (height % 8);
	struct merkle_place place = merkle_place(start, level);
	struct merkle_hash hashes[MERKLE_TILE_WIDTH / 2];
	int rc;

	assert(height < 64 && start % (UINT64_C(1) << height) == 0);
	rc = tiles->read(tiles->arg, level, place.number, place.at, n, hashes);
	if (rc != 0)
		return rc;
	for (; n > 1; n /= 2)
		for (unsigned i = 0; i < n / 2; i++)
			merkle_node(&hashes[i], &hashes[2 * i], &hashes[2 * i + 1]);
	*ret = hashes[0];
	return 0;
}

/*
 * MTH(D[start:start+n]), n > 0, where start is a multiple of the smallest power of
 * two not below n: one complete subtree for each bit of n, folded from the right.
 */
static int range_root(struct merkle_hash *ret, uint64_t start, uint64_t n, const struct tile_reader *tiles)
{
	struct merkle_hash root, left;
	bool first = true;

	assert(n > 0);
	for (unsigned height = 0; height < 64; height++) {
		uint64_t bit = UINT64_C(1) << height;
		int rc;

		if ((n & bit) == 0)
			continue;
		/* The wider subtrees, the bits above this one, lie to its left. */
		rc = subtree(&left, start + (n & ~(bit | (bit - 1))), height, tiles);
		if (rc != 0)
			return rc;
		if (first)
			root = left;
		else
			merkle_node(&root, &left, &root);
		first = false;
	}
	*ret = root;
	return 0;
}

int merkle_root(struct merkle_hash *ret, uint64_t size, const struct tile_reader *tiles)
{
	if (size == 0) {
		sha256(ret->bytes, NULL, 0);
		return 0;
	}
	return range_root(ret, 0, size, tiles);
}

int merkle_edge_load(struct merkle_edge *ret_edge, uint64_t size, const struct tile_reader *tiles)
{
	struct merkle_edge edge = {.size = size};

	for (unsigned height = 0; height < 64; height++) {
		uint64_t bit = UINT64_C(1) << height;
		int rc;

		if ((size & bit) == 0)
			continue;
		rc = subtree(&edge.peaks[height], size & ~(bit | (bit - 1)), height, tiles);
		if (rc != 0)
			return rc;
	}
	*ret_edge = edge;
	return 0;
}

unsigned merkle_edge_add(struct merkle_edge *edge, const struct merkle_hash *leaf,
    struct merkle_hash ret_gained[MERKLE_LEVELS])
{
	struct merkle_hash hash = *leaf;
	unsigned height = 0, gained = 1;

	assert(edge->size < UINT64_MAX);
	if (ret_gained != NULL)
		ret_gained[0] = hash;
	for (; (edge->size >> height & 1) != 0; height++) {
		merkle_node(&hash, &edge->peaks[height], &hash);
		if ((height + 1) % 8 != 0)
			continue;
		assert((height + 1) / 8 < MERKLE_LEVELS); /* more leaves than an index counts */
		if (ret_gained != NULL)
			ret_gained[(height + 1) / 8] = hash;
		gained++;
	}
	edge->peaks[height] = hash;
	edge->size++;
	return gained;
}

void merkle_edge_root(struct merkle_hash *ret, const struct merkle_edge *edge)
{
	struct merkle_hash root;
	bool first = true;

	if (edge->size == 0) {
		sha256(ret->bytes, NULL, 0);
		return;
	}
	for (unsigned height = 0; height < 64; height++) {
		if ((edge->size >> height & 1) == 0)
			continue;
		if (first)
			root = edge->peaks[height];
		else
			merkle_node(&root, &edge->peaks[height], &root);
		first = false;
	}
	*ret = root;
}

int merkle_builder_load(struct merkle_builder *b, uint64_t size, const struct tile_reader *tiles)
{
	*b = (struct merkle_builder){0};
	if (size == 0)
		return 0;
	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		struct merkle_place next = merkle_place(size, level);
		int rc;

		if (next.at == 0)
			continue;
		rc = tiles->read(tiles->arg, level, next.number, 0, next.at, b->tails[level]);
		if (rc != 0)
			return rc;
	}
	return merkle_edge_load(&b->edge, size, tiles);
}

int merkle_builder_add(struct merkle_builder *b, const struct merkle_hash *leaf, tile_put *put, void *arg)
{
	struct merkle_hash gained[MERKLE_LEVELS];
	uint64_t index = b->edge.size;
	unsigned n = merkle_edge_add(&b->edge, leaf, gained);

	for (unsigned level = 0; level < n; level++) {
		struct merkle_place place = merkle_place(index, level);
		int rc;

		b->tails[level][place.at] = gained[level];
		b->changed |= (uint8_t)(1u << level);
		if (place.at + 1 < MERKLE_TILE_WIDTH)
			continue;
		rc = put(arg, level, place.number, b->tails[level], MERKLE_TILE_WIDTH);
		if (rc != 0)
			return rc;
		b->changed &= (uint8_t)~(1u << level);
	}
	return 0;
}

int merkle_builder_flush(struct merkle_builder *b, tile_put *put, void *arg)
{
	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		struct merkle_place next = merkle_place(b->edge.size, level);
		int rc;

		if ((b->changed >> level & 1) == 0)
			continue;
		assert(next.at > 0); /* a full tile was put when it filled */
		rc = put(arg, level, next.number, b->tails[level], next.at);
		if (rc != 0)
			return rc;
	}
	b->changed = 0;
	return 0;
}

/* The largest power of two smaller than n; n >= 2. */
static uint64_t split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static int push_range(struct merkle_proof *p, uint64_t start, uint64_t n, const struct tile_reader *tiles)
{
	assert(p->n < MERKLE_PROOF_MAX + 1);
	return range_root(&p->hashes[p->n++], start, n, tiles);
}

/* Both makers walk down from the root, but a proof lists its hashes from the leaf up. */
static void reverse(struct merkle_proof *p)
{
	for (unsigned i = 0; i < p->n / 2; i++) {
		struct merkle_hash h = p->hashes[i];

		p->hashes[i] = p->hashes[p->n - 1 - i];
		p->hashes[p->n - 1 - i] = h;
	}
}

int merkle_inclusion_make(struct merkle_proof *ret, uint64_t index, uint64_t size, const struct tile_reader *tiles)
{
	uint64_t start = 0, n = size;
	int rc = 0;

	ret->n = 0;
	if (index >= size)
		return ERR_RANGE;
	while (n > 1 && rc == 0) {
		uint64_t k = split(n);

		if (index - start < k) {
			rc = push_range(ret, start + k, n - k, tiles);
			n = k;
		} else {
			rc = push_range(ret, start, k, tiles);
			start += k;
			n -= k;
		}
	}
	reverse(ret);
	return rc;
}

int merkle_consistency_make(struct merkle_proof *ret, uint64_t old_size, uint64_t size, const struct tile_reader *tiles)
{
	uint64_t start = 0, n = size, m = old_size;
	bool whole = true; /* the old tree is all that lies left of here: its root is known */
	int rc = 0;

	ret->n = 0;
	if (old_size > size)
		return ERR_RANGE;
	if (old_size == 0)
		return 0;
	while (m < n && rc == 0) {
		uint64_t k = split(n);

		if (m <= k) {
			rc = push_range(ret, start + k, n - k, tiles);
			n = k;
		} else {
			rc = push_range(ret, start, k, tiles);
			whole = false;
			start += k;
			m -= k;
			n -= k;
		}
	}
	if (rc == 0 && !whole)
		rc = push_range(ret, start, m, tiles);
	reverse(ret);
	return rc;
}

/* fn and sn up to where fn is a right child again. It is none of the leftmost: it is odd, or equal to sn, which is not 0. */
static void skip_left(uint64_t *fn, uint64_t *sn)
{
	assert(*fn != 0);
	while ((*fn & 1) == 0) {
		*fn >>= 1;
		*sn >>= 1;
	}
}

bool merkle_inclusion_holds(const struct merkle_proof *proof, uint64_t index, uint64_t size,
    const struct merkle_hash *leaf, const struct merkle_hash *root)
{
	struct merkle_hash r = *leaf;
	uint64_t fn = index, sn = size - 1;

	if (index >= size || proof->n > MERKLE_PROOF_MAX)
		return false;
	for (unsigned i = 0; i < proof->n; i++) {
		const struct merkle_hash *p = &proof->hashes[i];

		if (sn == 0)
			return false;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(&r, p, &r);
			skip_left(&fn, &sn);
		} else {
			merkle_node(&r, &r, p);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_hash_eq(&r, root);
}

bool merkle_consistency_holds(const struct merkle_proof *proof, uint64_t old_size, uint64_t size,
    const struct merkle_hash *old_root, const struct merkle_hash *root)
{
	struct merkle_hash fr, sr;
	uint64_t fn = old_size - 1, sn = size - 1;
	unsigned i = 0;

	if (old_size > size || proof->n > MERKLE_PROOF_MAX)
		return false;
	if (old_size == size)
		return proof->n == 0 && merkle_hash_eq(old_root, root);
	if (old_size == 0)
		return proof->n == 0;
	if (proof->n == 0)
		return false;
	/* The root of a complete old tree is itself a node of the new one, so the proof leaves it out. */
	fr = sr = (old_size & (old_size - 1)) == 0 ? *old_root : proof->hashes[i++];
	while ((fn & 1) != 0) {
		fn >>= 1;
		sn >>= 1;
	}
	for (; i < proof->n; i++) {
		const struct merkle_hash *c = &proof->hashes[i];

		if (sn == 0)
			return false;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(&fr, c, &fr);
			merkle_node(&sr, c, &sr);
			skip_left(&fn, &sn);
		} else {
			merkle_node(&sr, &sr, c);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_hash_eq(&fr, old_root) && merkle_hash_eq(&sr, root);
}
