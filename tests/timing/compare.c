/*
 * Do our comparisons of secrets take the same way whatever the secret is? Run
 * by valgrind's memcheck, to which the secret side is declared undefined for
 * the time of the comparison: any branch taken on it, and any address made of
 * it, is then an error that memcheck counts.
 *
 *     valgrind -q compare                 every verifying path goes through crypto_equal(), and that does not leak
 *     valgrind -q compare --expect-leak   for the program with a leak planted: fails when none is found
 *
 * The linker puts __wrap_crypto_equal() before the real one (--wrap).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "adapters/tencent_wire.h"
#include "app/auth.h"
#include "base/io.h"
#include "crypto/crypto.h"

#define SKIPPED 77

bool __real_crypto_equal(struct slice a, struct slice b);
bool __wrap_crypto_equal(struct slice a, struct slice b);

static unsigned n_compared;

/* Which side is the secret one differs between the callers, so both are. */
bool __wrap_crypto_equal(struct slice a, struct slice b)
{
	bool same;

	n_compared++;
	VALGRIND_MAKE_MEM_UNDEFINED(a.ptr, a.len);
	VALGRIND_MAKE_MEM_UNDEFINED(b.ptr, b.len);
	same = __real_crypto_equal(a, b);
	VALGRIND_MAKE_MEM_DEFINED(a.ptr, a.len);
	VALGRIND_MAKE_MEM_DEFINED(b.ptr, b.len);
	VALGRIND_MAKE_MEM_DEFINED(&same, sizeof(same)); /* the answer may be told */
	return same;
}

static unsigned n_wrong;

static void check(const char *says, bool is, bool should_be, unsigned n_more)
{
	if (is != should_be || n_compared != n_more) {
		fprintf(stderr, "%s: %s after %u comparisons\n", says, is ? "true" : "false", n_compared);
		n_wrong++;
	}
	n_compared = 0;
}

/* Alike, and different in each of its bytes alone. */
static void compare_bytes(void)
{
	char one[41] = "0123456789abcdef0123456789abcdef01234567", other[41];

	memcpy(other, one, sizeof(one));
	check("equal", crypto_equal(slice_of(one, 40), slice_of(other, 40)), true, 1);
	for (size_t i = 0; i < 40; i++) {
		other[i] ^= 1;
		check("different", crypto_equal(slice_of(one, 40), slice_of(other, 40)), false, 1);
		other[i] ^= 1;
	}
	check("shorter", crypto_equal(slice_of(one, 39), slice_of(other, 40)), false, 1);
}

static void compare_signatures(void)
{
	char signature[TENCENT_SIGNATURE_LEN + 1];
	struct tencent_keys keys = {0};
	struct tencent_signed s = {SLICE("1795473555"), SLICE("42"), {0}, SLICE("AAAA")};

	if (tencent_keys_add_token(&keys, SLICE("aToken1234567890")) != 0)
		n_wrong++;
	tencent_sign(signature, SLICE("aToken1234567890"), s.timestamp, s.nonce, s.data);
	s.signature = slice_of(signature, TENCENT_SIGNATURE_LEN);
	check("a true signature", tencent_verify(&keys, &s), true, 1);
	for (size_t i = 0; i < TENCENT_SIGNATURE_LEN; i += 13) {
		signature[i] ^= 1;
		check("a false signature", tencent_verify(&keys, &s), false, 1);
		signature[i] ^= 1;
	}
	tencent_keys_finish(&keys);
}

static void compare_tokens(void)
{
	char dir[] = "/tmp/lulab-compare-XXXXXX", path[64], token[128] = {0};
	struct auth auth;
	size_t len;
	FILE *f;

	if (mkdtemp(dir) == NULL || auth_open(&auth, dir, &rng_system, NULL) != 0) {
		n_wrong++;
		return;
	}
	snprintf(path, sizeof(path), "%s/admin.token", dir);
	f = fopen(path, "r");
	len = f == NULL ? 0 : fread(token, 1, sizeof(token) - 1, f);
	if (f != NULL)
		fclose(f);
	while (len > 0 && token[len - 1] == '\n')
		len--;
	check("the token", auth_recognise(&auth, slice_of(token, len)) != NULL, true, 1);
	token[0] ^= 1;
	check("another token", auth_recognise(&auth, slice_of(token, len)) != NULL, false, 1);
	auth_close(&auth);
	tree_remove(dir);
}

int main(int argc, char **argv)
{
	bool expect_leak = argc > 1 && strcmp(argv[1], "--expect-leak") == 0;
	unsigned n_leaks;

	if (!RUNNING_ON_VALGRIND) {
		fprintf(stderr, "run it by valgrind\n");
		return SKIPPED;
	}
	if (crypto_init() != 0)
		return 2;
	n_leaks = (unsigned)VALGRIND_COUNT_ERRORS;
	compare_bytes();
	compare_signatures();
	compare_tokens();
	n_leaks = (unsigned)VALGRIND_COUNT_ERRORS - n_leaks;
	printf("%u wrong outcomes, %u ways that depend on a secret\n", n_wrong, n_leaks);
	return n_wrong == 0 && (n_leaks > 0) == expect_leak ? 0 : 1;
}
