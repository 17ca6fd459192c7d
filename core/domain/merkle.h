/*
 * The Merkle tree over the log's records: RFC 6962 / RFC 9162 hashing with
 * SHA-256, its tiles, and the two proofs (integrity.md sections 3 and 4).
 *
 *     leaf   SHA-256(0x00 || record)
 *     node   SHA-256(0x01 || left || right)
 *
 * A tile at level l, number n, holds up to 256 hashes; hash j of it is the
 * root over the leaves [(n*256+j)*256^l, (n*256+j+1)*256^l). Level 0 is the
 * leaf hashes. Only complete subtrees are in tiles, so a hash once written
 * never changes and a shorter tree's tile is a prefix of a longer one's.
 *
 * Pure functions; any thread. crypto_init() first.
 */
#ifndef LULAB_DOMAIN_MERKLE_H
#define LULAB_DOMAIN_MERKLE_H

#include "base/slice.h"

#define MERKLE_HASH_LEN 32
#define MERKLE_TILE_WIDTH 256
#define MERKLE_LEVELS 8    /* 256^8 leaves is more than an index can count */
#define MERKLE_PROOF_MAX 63 /* hashes; a longer proof is refused before any hashing */

struct merkle_hash {
	uint8_t bytes[MERKLE_HASH_LEN];
};
_Static_assert(sizeof(struct merkle_hash) == MERKLE_HASH_LEN, "tiles are arrays of these");

bool merkle_hash_eq(const struct merkle_hash *a, const struct merkle_hash *b);

void merkle_leaf(struct merkle_hash *ret, struct slice record);
void merkle_node(struct merkle_hash *ret, const struct merkle_hash *left, const struct merkle_hash *right);

/* Where proofs and roots get their hashes from: the store, an export, memory. */
struct tile_reader {
	/*
	 * Hashes first .. first+n-1 of a tile, copied to ret; n >= 1 and
	 * first+n <= 256. Only hashes that the tree in question has are asked
	 * for; ERR_NOT_FOUND when one of them is missing all the same.
	 */
	int (*read)(void *arg, unsigned level, uint64_t number, unsigned first, unsigned n,
	    struct merkle_hash *ret_hashes);
	void *arg;
};

/* How many hashes that tile has in a tree of that size: 0 (none), 1..255 (partial) or 256 (full). */
unsigned merkle_tile_width(uint64_t size, unsigned level, uint64_t number);

/*
 * Path of a tile in an export: "tile/0/x001/x234/067", "tile/1/000.p/17".
 * level MERKLE_LEVEL_ENTRIES gives "tile/entries/...". width 1..256.
 */
#define MERKLE_LEVEL_ENTRIES (-1)
#define MERKLE_PATH_MAX 64
void merkle_tile_path(char ret_path[MERKLE_PATH_MAX], int level, uint64_t number, unsigned width);

/*
 * The right edge: for every bit set in the size, the root of one complete
 * subtree, the widest leftmost. All a writer needs to go on from there.
 */
struct merkle_edge {
	uint64_t size;
	struct merkle_hash peaks[64]; /* [h] covers 2^h leaves; meaningful where bit h of size is set */
};

/* An empty tree is a zeroed edge. This one reads it back; on failure *ret_edge is left as it was. */
int merkle_edge_load(struct merkle_edge *ret_edge, uint64_t size, const struct tile_reader *tiles);

/*
 * One more leaf. Gives the number of tile levels that gained a hash by it, at
 * least 1: ret_gained[l] is then the new hash of level l, and its place is
 * merkle_place(index, l), index being the leaf's. ret_gained may be NULL.
 */
unsigned merkle_edge_add(struct merkle_edge *edge, const struct merkle_hash *leaf,
    struct merkle_hash ret_gained[MERKLE_LEVELS]);

struct merkle_place {
	uint64_t number; /* tile */
	unsigned at;     /* hash in it */
};
static inline struct merkle_place merkle_place(uint64_t index, unsigned level)
{
	uint64_t i = index >> (8 * level);

	return (struct merkle_place){i / MERKLE_TILE_WIDTH, (unsigned)(i % MERKLE_TILE_WIDTH)};
}

/* Root of the edge's tree; SHA-256("") when it is empty. */
void merkle_edge_root(struct merkle_hash *ret, const struct merkle_edge *edge);

/*
 * The builder is an edge together with the unfinished tile of every level: what
 * the one writer keeps in memory. Tiles go out through `put` when they fill
 * and, unfinished ones that changed, at merkle_builder_flush(); call that
 * inside every commit. A failed put leaves the builder useless: load it anew.
 */
typedef int tile_put(void *arg, unsigned level, uint64_t number, const struct merkle_hash *hashes, unsigned n);

struct merkle_builder {
	struct merkle_edge edge;
	uint8_t changed; /* bit per level: the tail has hashes that were not put */
	struct merkle_hash tails[MERKLE_LEVELS][MERKLE_TILE_WIDTH];
};

/* size 0 needs no tiles (NULL). Any failure leaves *b unspecified. */
int merkle_builder_load(struct merkle_builder *b, uint64_t size, const struct tile_reader *tiles);
int merkle_builder_add(struct merkle_builder *b, const struct merkle_hash *leaf, tile_put *put, void *arg);
int merkle_builder_flush(struct merkle_builder *b, tile_put *put, void *arg);

/* Root of the tree of that size. Errors are the reader's. */
int merkle_root(struct merkle_hash *ret, uint64_t size, const struct tile_reader *tiles);

struct merkle_proof {
	unsigned n;
	struct merkle_hash hashes[MERKLE_PROOF_MAX + 1]; /* one spare, so that a parser can tell "too long" */
};

/* That leaf `index` is in the tree of `size`. ERR_RANGE when index >= size; else the reader's errors. */
int merkle_inclusion_make(struct merkle_proof *ret, uint64_t index, uint64_t size, const struct tile_reader *tiles);
bool merkle_inclusion_holds(const struct merkle_proof *proof, uint64_t index, uint64_t size,
    const struct merkle_hash *leaf, const struct merkle_hash *root);

/* That the tree of `size` begins with the tree of `old_size`. ERR_RANGE when old_size > size. Empty for 0 and for equal sizes. */
int merkle_consistency_make(struct merkle_proof *ret, uint64_t old_size, uint64_t size, const struct tile_reader *tiles);
bool merkle_consistency_holds(const struct merkle_proof *proof, uint64_t old_size, uint64_t size,
    const struct merkle_hash *old_root, const struct merkle_hash *root);

#endif
