/* The vectors and the exhaustive case of integrity.md section 22. */
#include "domain/merkle.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"

#define N_EXHAUSTIVE 70

static const char *const leaves_hex[] = {"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f"};

static const char *const roots_hex[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

/* A log's tiles in memory, kept as an array of hashes for each level. */
struct memory {
	struct merkle_hash *levels[MERKLE_LEVELS];
	uint64_t n[MERKLE_LEVELS], cap[MERKLE_LEVELS];
	unsigned n_puts;
	int fail; /* error of the next put, or 0 */
};

static tile_put put_tile;
static int put_tile(void *arg, unsigned level, uint64_t number, const struct merkle_hash *hashes, unsigned n)
{
	struct memory *m = arg;
	uint64_t first = number * MERKLE_TILE_WIDTH;

	if (m->fail != 0)
		return m->fail;
	m->n_puts++;
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(first, m->n[level]);
	if (first + n > m->cap[level]) {
		m->cap[level] = (first + MERKLE_TILE_WIDTH) * 2;
		m->levels[level] = realloc(m->levels[level], m->cap[level] * sizeof(struct merkle_hash));
		ck_assert_ptr_nonnull(m->levels[level]);
	}
	/* What a tile had before never changes. */
	if (m->n[level] > first)
		ck_assert_mem_eq(&m->levels[level][first], hashes, (m->n[level] - first) * MERKLE_HASH_LEN);
	memcpy(&m->levels[level][first], hashes, n * sizeof(struct merkle_hash));
	if (first + n > m->n[level])
		m->n[level] = first + n;
	return 0;
}

static int read_tile(void *arg, unsigned level, uint64_t number, unsigned first, unsigned n, struct merkle_hash *ret)
{
	struct memory *m = arg;
	uint64_t at = number * MERKLE_TILE_WIDTH + first;

	ck_assert_uint_lt(level, MERKLE_LEVELS);
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(first + n, MERKLE_TILE_WIDTH);
	if (at + n > m->n[level])
		return ERR_NOT_FOUND;
	memcpy(ret, &m->levels[level][at], n * sizeof(struct merkle_hash));
	return 0;
}

static void memory_finish(struct memory *m)
{
	for (unsigned i = 0; i < MERKLE_LEVELS; i++)
		free(m->levels[i]);
}

static struct merkle_hash hash_of_hex(const char *hex)
{
	struct merkle_hash h;

	ck_assert_int_eq(hex_decode(h.bytes, sizeof(h.bytes), slice_str(hex)), 0);
	return h;
}

static struct merkle_hash leaf_of(uint64_t i)
{
	struct merkle_hash h;
	char text[32];

	if (i < 8) {
		size_t len = strlen(leaves_hex[i]) / 2;

		ck_assert_int_eq(hex_decode(text, len, slice_str(leaves_hex[i])), 0);
		merkle_leaf(&h, slice_of(text, len));
	} else {
		snprintf(text, sizeof(text), "leaf %llu", (unsigned long long)i);
		merkle_leaf(&h, slice_str(text));
	}
	return h;
}

static void build(struct memory *m, uint64_t size)
{
	static struct merkle_builder b;

	ck_assert_int_eq(merkle_builder_load(&b, 0, NULL), 0);
	for (uint64_t i = 0; i < size; i++) {
		struct merkle_hash leaf = leaf_of(i);

		ck_assert_int_eq(merkle_builder_add(&b, &leaf, put_tile, m), 0);
	}
	ck_assert_int_eq(merkle_builder_flush(&b, put_tile, m), 0);
}

/* Section 3's definition, word for word. */
static struct merkle_hash mth(uint64_t start, uint64_t n)
{
	struct merkle_hash left, right, h;
	uint64_t k = 1;

	if (n == 0) {
		sha256(h.bytes, NULL, 0);
		return h;
	}
	if (n == 1)
		return leaf_of(start);
	while (k * 2 < n)
		k *= 2;
	left = mth(start, k);
	right = mth(start + k, n - k);
	merkle_node(&h, &left, &right);
	return h;
}

START_TEST(roots_are_those_of_the_table)
{
	struct memory m = {0};
	struct tile_reader tiles = {read_tile, &m};
	struct merkle_hash want = hash_of_hex(roots_hex[_i]), root, leaf;
	struct merkle_edge edge = {0};

	build(&m, (uint64_t)_i);
	ck_assert_int_eq(merkle_root(&root, (uint64_t)_i, &tiles), 0);
	ck_assert(merkle_hash_eq(&root, &want));
	for (int i = 0; i < _i; i++) {
		leaf = leaf_of((uint64_t)i);
		ck_assert_uint_eq(merkle_edge_add(&edge, &leaf, NULL), 1);
	}
	merkle_edge_root(&root, &edge);
	ck_assert(merkle_hash_eq(&root, &want));
	leaf = leaf_of(5);
	want = hash_of_hex("4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658");
	ck_assert(merkle_hash_eq(&leaf, &want));
	memory_finish(&m);
}
END_TEST

static const struct {
	bool consistency;
	uint64_t from, size;
	unsigned n;
	const char *hashes[4];
} proofs[] = {
    {false, 5, 8, 3, {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
	"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {false, 6, 7, 2, {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {true, 3, 8, 4, {"0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
	"07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {true, 6, 8, 3, {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
	"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {true, 4, 7, 1, {"837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e"}},
};

START_TEST(proofs_are_those_of_the_table)
{
	struct memory m = {0};
	struct tile_reader tiles = {read_tile, &m};
	struct merkle_proof proof;

	build(&m, 8);
	if (proofs[_i].consistency)
		ck_assert_int_eq(merkle_consistency_make(&proof, proofs[_i].from, proofs[_i].size, &tiles), 0);
	else
		ck_assert_int_eq(merkle_inclusion_make(&proof, proofs[_i].from, proofs[_i].size, &tiles), 0);
	ck_assert_uint_eq(proof.n, proofs[_i].n);
	for (unsigned i = 0; i < proof.n; i++) {
		struct merkle_hash want = hash_of_hex(proofs[_i].hashes[i]);

		ck_assert(merkle_hash_eq(&proof.hashes[i], &want));
	}
	memory_finish(&m);
}
END_TEST

/* The three ways section 4 wants refused: first hash altered, first dropped, one added. */
static struct merkle_proof spoiled(const struct merkle_proof *p, unsigned how)
{
	struct merkle_proof q = *p;

	if (how == 0) {
		q.hashes[0].bytes[0] ^= 1;
	} else if (how == 1) {
		q.n--;
		memmove(q.hashes, q.hashes + 1, q.n * sizeof(q.hashes[0]));
	} else {
		memset(q.hashes[q.n].bytes, 0x5a, MERKLE_HASH_LEN);
		q.n++;
	}
	return q;
}

START_TEST(every_proof_up_to_seventy_leaves_holds_and_no_spoiled_one_does)
{
	struct memory m = {0};
	struct tile_reader tiles = {read_tile, &m};
	struct merkle_hash roots[N_EXHAUSTIVE + 1];
	unsigned n_cases = 0;

	build(&m, N_EXHAUSTIVE);
	for (uint64_t size = 0; size <= N_EXHAUSTIVE; size++) {
		ck_assert_int_eq(merkle_root(&roots[size], size, &tiles), 0);
		struct merkle_hash want = mth(0, size);
		ck_assert(merkle_hash_eq(&roots[size], &want));
	}
	for (uint64_t size = 1; size <= N_EXHAUSTIVE; size++) {
		for (uint64_t i = 0; i < size; i++) {
			struct merkle_hash leaf = leaf_of(i);
			struct merkle_proof p;

			ck_assert_int_eq(merkle_inclusion_make(&p, i, size, &tiles), 0);
			ck_assert(merkle_inclusion_holds(&p, i, size, &leaf, &roots[size]));
			ck_assert(!merkle_inclusion_holds(&p, size, size, &leaf, &roots[size]));
			n_cases++;
			for (unsigned how = p.n == 0 ? 2 : 0; how < 3; how++) {
				struct merkle_proof q = spoiled(&p, how);

				ck_assert(!merkle_inclusion_holds(&q, i, size, &leaf, &roots[size]));
			}
		}
		for (uint64_t old = 0; old <= size; old++) {
			struct merkle_proof p;

			ck_assert_int_eq(merkle_consistency_make(&p, old, size, &tiles), 0);
			ck_assert(merkle_consistency_holds(&p, old, size, &roots[old], &roots[size]));
			n_cases++;
			for (unsigned how = p.n == 0 ? 2 : 0; how < 3; how++) {
				struct merkle_proof q = spoiled(&p, how);

				ck_assert(!merkle_consistency_holds(&q, old, size, &roots[old], &roots[size]));
			}
		}
	}
	ck_assert_uint_eq(n_cases, 5040);
	memory_finish(&m);
}
END_TEST

START_TEST(a_tree_of_three_tile_levels_agrees_with_its_edge)
{
	static const uint64_t sizes[] = {255, 256, 257, 511, 512, 65535, 65536, 65537, 70000};
	static struct merkle_builder b, again;
	struct memory m = {0};
	struct tile_reader tiles = {read_tile, &m};
	struct merkle_hash roots[9], root, leaf;
	struct merkle_proof p;
	unsigned at = 0;

	ck_assert_int_eq(merkle_builder_load(&b, 0, NULL), 0);
	for (uint64_t i = 0; i < 70000; i++) {
		leaf = leaf_of(i);
		ck_assert_int_eq(merkle_builder_add(&b, &leaf, put_tile, &m), 0);
		if (i % 1000 == 999)
			ck_assert_int_eq(merkle_builder_flush(&b, put_tile, &m), 0);
		if (i + 1 != sizes[at])
			continue;
		ck_assert_int_eq(merkle_builder_flush(&b, put_tile, &m), 0);
		ck_assert_int_eq(merkle_root(&roots[at], sizes[at], &tiles), 0);
		merkle_edge_root(&root, &b.edge);
		ck_assert(merkle_hash_eq(&root, &roots[at]));
		/* What a restart reads back goes on exactly as this one would. */
		ck_assert_int_eq(merkle_builder_load(&again, sizes[at], &tiles), 0);
		merkle_edge_root(&root, &again.edge);
		ck_assert(merkle_hash_eq(&root, &roots[at]));
		b = again;
		at++;
	}
	ck_assert_uint_eq(at, 9);
	ck_assert_uint_eq(m.n[0], 70000);
	ck_assert_uint_eq(m.n[1], 273);
	ck_assert_uint_eq(m.n[2], 1);
	ck_assert_uint_eq(merkle_tile_width(70000, 0, 273), 112);
	ck_assert_uint_eq(merkle_tile_width(70000, 0, 272), 256);
	ck_assert_uint_eq(merkle_tile_width(70000, 0, 274), 0);
	ck_assert_uint_eq(merkle_tile_width(70000, 1, 1), 17);
	ck_assert_uint_eq(merkle_tile_width(70000, 2, 0), 1);
	ck_assert_uint_eq(merkle_tile_width(70000, 3, 0), 0);
	for (uint64_t i = 0; i < 70000; i += 997) {
		leaf = leaf_of(i);
		ck_assert_int_eq(merkle_inclusion_make(&p, i, 70000, &tiles), 0);
		ck_assert(merkle_inclusion_holds(&p, i, 70000, &leaf, &roots[8]));
	}
	for (unsigned i = 0; i < 9; i++) {
		ck_assert_int_eq(merkle_consistency_make(&p, sizes[i], 70000, &tiles), 0);
		ck_assert(merkle_consistency_holds(&p, sizes[i], 70000, &roots[i], &roots[8]));
		p.n = 0;
		ck_assert(merkle_consistency_holds(&p, sizes[i], 70000, &roots[i], &roots[8]) == (i == 8));
	}
	memory_finish(&m);
}
END_TEST

START_TEST(missing_tiles_and_impossible_questions_are_errors)
{
	struct memory m = {0};
	struct tile_reader tiles = {read_tile, &m};
	static struct merkle_builder b;
	struct merkle_hash root, leaf = leaf_of(0);
	struct merkle_edge edge = {0};
	struct merkle_proof p;

	build(&m, 10);
	ck_assert_int_eq(merkle_root(&root, 11, &tiles), ERR_NOT_FOUND);
	ck_assert_int_eq(merkle_edge_load(&edge, 11, &tiles), ERR_NOT_FOUND);
	ck_assert_uint_eq(edge.size, 0);
	ck_assert_int_eq(merkle_builder_load(&b, 300, &tiles), ERR_NOT_FOUND);
	ck_assert_int_eq(merkle_inclusion_make(&p, 3, 12, &tiles), ERR_NOT_FOUND);
	ck_assert_int_eq(merkle_inclusion_make(&p, 10, 10, &tiles), ERR_RANGE);
	ck_assert_int_eq(merkle_inclusion_make(&p, 0, 0, &tiles), ERR_RANGE);
	ck_assert_int_eq(merkle_consistency_make(&p, 11, 10, &tiles), ERR_RANGE);
	ck_assert_int_eq(merkle_builder_load(&b, 10, &tiles), 0);
	ck_assert_int_eq(merkle_builder_add(&b, &leaf, put_tile, &m), 0);
	m.fail = ERR_IO;
	ck_assert_int_eq(merkle_builder_flush(&b, put_tile, &m), ERR_IO);
	ck_assert_int_eq(merkle_consistency_make(&p, 5, 12, &tiles), ERR_NOT_FOUND);
	ck_assert_int_eq(merkle_consistency_make(&p, 11, 12, &tiles), ERR_NOT_FOUND);
	ck_assert_uint_eq(merkle_tile_width(UINT64_MAX, 0, UINT64_MAX), 0);
	/* The tile that fills is put at once, and that can fail. */
	memset(&b, 0, sizeof(b));
	for (int i = 0; i < MERKLE_TILE_WIDTH - 1; i++)
		ck_assert_int_eq(merkle_builder_add(&b, &leaf, put_tile, &m), 0);
	ck_assert_int_eq(merkle_builder_add(&b, &leaf, put_tile, &m), ERR_IO);
	for (int i = 0; i < MERKLE_TILE_WIDTH; i++)
		merkle_edge_add(&edge, &leaf, NULL); /* who does not want to know what was gained */
	ck_assert_uint_eq(edge.size, MERKLE_TILE_WIDTH);
	/* Equal sizes need equal roots and no proof, an older tree is not a newer one's extension. */
	root = leaf_of(1);
	p.n = 0;
	ck_assert(merkle_consistency_holds(&p, 5, 5, &leaf, &leaf));
	ck_assert(!merkle_consistency_holds(&p, 5, 5, &leaf, &root));
	ck_assert(!merkle_consistency_holds(&p, 5, 4, &leaf, &root));
	p.n = 1;
	ck_assert(!merkle_consistency_holds(&p, 5, 5, &leaf, &leaf));
	/* A proof longer than any tree needs is refused unhashed. */
	memset(&p, 0, sizeof(p));
	p.n = MERKLE_PROOF_MAX + 1;
	ck_assert(!merkle_inclusion_holds(&p, 0, UINT64_MAX, &leaf, &leaf));
	ck_assert(!merkle_consistency_holds(&p, 1, UINT64_MAX, &leaf, &leaf));
	ck_assert(!merkle_inclusion_holds(&p, 0, 0, &leaf, &leaf));
	memory_finish(&m);
}
END_TEST

static const struct {
	int level;
	uint64_t number;
	unsigned width;
	const char *path;
} paths[] = {
    {0, 1234067, 256, "tile/0/x001/x234/067"},
    {0, 0, 256, "tile/0/000"},
    {1, 1, 17, "tile/1/001.p/17"},
    {MERKLE_LEVEL_ENTRIES, 999, 256, "tile/entries/999"},
    {MERKLE_LEVEL_ENTRIES, 1000, 1, "tile/entries/x001/000.p/1"},
    {7, UINT64_MAX >> 8, 255, "tile/7/x072/x057/x594/x037/x927/935.p/255"},
};

START_TEST(tiles_lie_where_the_specification_puts_them)
{
	char path[MERKLE_PATH_MAX];

	merkle_tile_path(path, paths[_i].level, paths[_i].number, paths[_i].width);
	ck_assert_str_eq(path, paths[_i].path);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("merkle");
	TCase *t = tcase_create("merkle");
	SRunner *r;
	int failed;

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, roots_are_those_of_the_table, 0, 9);
	tcase_add_loop_test(t, proofs_are_those_of_the_table, 0, sizeof(proofs) / sizeof(proofs[0]));
	tcase_add_test(t, every_proof_up_to_seventy_leaves_holds_and_no_spoiled_one_does);
	tcase_add_test(t, a_tree_of_three_tile_levels_agrees_with_its_edge);
	tcase_add_test(t, missing_tiles_and_impossible_questions_are_errors);
	tcase_add_loop_test(t, tiles_lie_where_the_specification_puts_them, 0, sizeof(paths) / sizeof(paths[0]));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
