/* hash.c, cipher.c, sign.c against published vectors and against OpenSSL. */
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <pthread.h>

#include <cjson/cJSON.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/rng.h"
#include "crypto/crypto.h"
#include "lib/run.h"
#include "lib/no_memory.h"

/* Bytes of a hex text, spaces allowed between them; in fixed memory, for one test at a time. */
/* The linker puts this before the real one. */
static bool sodium_fails;
int __real_sodium_init(void);
int __wrap_sodium_init(void);

int __wrap_sodium_init(void)
{
	return sodium_fails ? -1 : __real_sodium_init();
}

static struct slice from_hex(char *memory, const char *text)
{
	size_t len = 0;

	for (; *text != '\0'; text += 2) {
		while (*text == ' ')
			text++;
		ck_assert_int_eq(hex_decode(memory + len++, 1, slice_of(text, 2)), 0);
	}
	return slice_of(memory, len);
}

static void expect_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	char memory[2048];

	ck_assert_uint_lt(len, 1000);
	hex_encode(memory, bytes, len);
	ck_assert_str_eq(memory, hex);
}

/* FIPS 180-4 examples; RFC 6234 section 8.5. */
static const struct {
	const char *text;
	unsigned repeat;
	const char *sha1, *sha256;
} hashes[] = {
    {"abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d",
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	"84983e441c3bd26ebaae4aa1f95129e5e54670f1",
	"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
	"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {"0123456701234567012345670123456701234567012345670123456701234567", 10,
	"dea356a2cddd90c7a7ecedc5ebb563934f460452",
	"594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5"},
};

START_TEST(sha_vectors)
{
	struct slice *parts = calloc(hashes[_i].repeat, sizeof(*parts));
	struct sha256_stream *stream = NULL;
	uint8_t hash[SHA256_LEN];

	for (unsigned i = 0; i < hashes[_i].repeat; i++)
		parts[i] = slice_str(hashes[_i].text);
	sha1(hash, parts, hashes[_i].repeat);
	expect_hex(hash, SHA1_LEN, hashes[_i].sha1);
	sha256(hash, parts, hashes[_i].repeat);
	expect_hex(hash, SHA256_LEN, hashes[_i].sha256);
	ck_assert_int_eq(sha256_stream_create(&stream), 0);
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < hashes[_i].repeat; i++)
			sha256_stream_update(stream, parts[i]);
		sha256_stream_finish(stream, hash);
		expect_hex(hash, SHA256_LEN, hashes[_i].sha256);
	}
	sha256_stream_destroy(stream);
	sha256_stream_destroy(NULL);
	free(parts);
}
END_TEST

/* RFC 4231 (the fifth, truncated, by its first 16 bytes). */
static const struct {
	const char *key, *text, *mac;
} hmacs[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
	"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
	"dddddddddddddd",
	"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
	"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	"cdcdcdcdcdcdcd",
	"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
	"546573742057697468205472756e636174696f6e", "a3b6167473100ee06e0c796c2955552b"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368"
	"204b6579204669727374",
	"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
};

/* RFC 1321, A.5. */
START_TEST(md5_vectors)
{
	static const struct { const char *text, *hex; } vectors[] = {
		{"", "d41d8cd98f00b204e9800998ecf8427e"}, {"a", "0cc175b9c0f1b6a831c399e269772661"},
		{"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
	};
	uint8_t digest[MD5_LEN];
	char hex[2 * MD5_LEN + 1];

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct slice text = slice_str(vectors[i].text), parts[] = {slice_of(text.ptr, text.len / 2),
		    slice_of(text.ptr + text.len / 2, text.len - text.len / 2)};

		md5(digest, parts, 2);
		hex_encode(hex, digest, sizeof(digest));
		ck_assert_str_eq(hex, vectors[i].hex);
	}
}
END_TEST

START_TEST(a_hash_is_put_away_and_gone_on_with)
{
	char bytes[64 * 5 + 7] = "";
	struct slice whole = slice_of(bytes, sizeof(bytes));
	uint8_t expected[SHA256_LEN], digest[SHA256_LEN], state[SHA256_STATE_LEN];
	struct sha256_stream *s, *other;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 31);
	sha256(expected, &whole, 1);
	for (size_t at = 0; at <= 64 * 5; at += 64) {
		ck_assert_int_eq(sha256_stream_create(&s), 0);
		ck_assert_int_eq(sha256_stream_create(&other), 0);
		sha256_stream_update(s, slice_of(bytes, at));
		sha256_stream_save(s, state);
		sha256_stream_update(other, SLICE("what was there before is of no account"));
		ck_assert_int_eq(sha256_stream_restore(other, state), 0);
		sha256_stream_update(other, slice_of(bytes + at, sizeof(bytes) - at));
		sha256_stream_finish(other, digest);
		ck_assert_mem_eq(digest, expected, sizeof(digest));
		sha256_stream_destroy(s);
		sha256_stream_destroy(other);
	}
	ck_assert_int_eq(sha256_stream_create(&s), 0);
	state[SHA256_STATE_LEN - 1] = 1; /* no whole blocks */
	ck_assert_int_eq(sha256_stream_restore(s, state), ERR_MALFORMED);
	memset(state + 32, 0xff, 8);
	state[SHA256_STATE_LEN - 1] = 0xc0; /* whole ones, of more bits than can be counted */
	ck_assert_int_eq(sha256_stream_restore(s, state), ERR_MALFORMED);
	sha256_stream_destroy(s);
}
END_TEST

START_TEST(hmac_vectors)
{
	char key[200], text[200];
	struct slice whole = from_hex(text, hmacs[_i].text);
	struct slice parts[] = {slice_of(whole.ptr, 3), {0}, slice_of(whole.ptr + 3, whole.len - 3)};
	uint8_t mac[SHA256_LEN];

	hmac_sha256(mac, from_hex(key, hmacs[_i].key), parts, COUNT(parts));
	expect_hex(mac, strlen(hmacs[_i].mac) / 2, hmacs[_i].mac);
}
END_TEST

START_TEST(hmac_with_an_empty_key)
{
	uint8_t mac[SHA256_LEN];

	hmac_sha256(mac, (struct slice){0}, NULL, 0);
	expect_hex(mac, sizeof(mac),
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(blake2b_vectors)
{
	uint8_t hash[64], key[64], text[3] = {0, 1, 2};
	struct slice abc[] = {SLICE_INIT("a"), SLICE_INIT(""), SLICE_INIT("bc")};
	struct slice message = slice_of(text, 3);

	/* RFC 7693 appendix A. */
	blake2b(hash, 64, (struct slice){0}, abc, 3);
	expect_hex(hash, 64,
	    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
	    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
	/* The keyed test file of the BLAKE2 authors: key 00..3f, input 000102. */
	for (int i = 0; i < 64; i++)
		key[i] = (uint8_t)i;
	blake2b(hash, 64, slice_of(key, 64), &message, 1);
	expect_hex(hash, 64,
	    "33d0825dddf7ada99b0e7e307104ad07ca9cfd9692214f1561356315e784f3e5"
	    "a17e364ae9dbb14cb2036df932b77f4b292761365fb328de7afdc6d8998f5fc1");
	/* 256 bits, as python3 hashlib gives them. */
	blake2b(hash, 32, (struct slice){0}, abc, 3);
	expect_hex(hash, 32, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
	blake2b(hash, 1, (struct slice){0}, abc, 3);
	expect_hex(hash, 1, "6b");
}
END_TEST

START_TEST(siphash_vectors)
{
	uint8_t hash[SIPHASH_LEN], key[SIPHASH_KEY_LEN], text[15];

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	for (uint8_t i = 0; i < sizeof(text); i++)
		text[i] = i;
	/* The vectors of its authors: key 00..0f, texts 00.. of every length. */
	siphash(hash, key, (struct slice){0});
	expect_hex(hash, sizeof(hash), "a3817f04ba25a8e66df67214c7550293");
	siphash(hash, key, slice_of(text, 1));
	expect_hex(hash, sizeof(hash), "da87c1d86b99af44347659119b22fc45");
	siphash(hash, key, slice_of(text, 15));
	expect_hex(hash, sizeof(hash), "5493e99933b0a8117e08ec0f97cfc3d9");
}
END_TEST

static void openssl_cbc(uint8_t *out, size_t *out_len, const uint8_t *key, const uint8_t *iv,
    struct slice plain)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n, last;

	ck_assert_int_eq(EVP_EncryptInit_ex2(c, EVP_aes_256_cbc(), key, iv, NULL), 1);
	ck_assert_int_eq(EVP_EncryptUpdate(c, out, &n, (const uint8_t *)plain.ptr, (int)plain.len), 1);
	ck_assert_int_eq(EVP_EncryptFinal_ex(c, out + n, &last), 1);
	*out_len = (size_t)(n + last);
	EVP_CIPHER_CTX_free(c);
}

START_TEST(aes_agrees_with_openssl)
{
	uint8_t key[32], iv[16], plain[100], theirs[120];
	struct rng_test rng;

	rng_test_init(&rng, 11);
	for (size_t len = 0; len <= sizeof(plain); len++) {
		struct buf cipher = BUF_INIT(200), back = BUF_INIT(200);
		size_t theirs_len;

		rng_fill(&rng.rng, key, sizeof(key));
		rng_fill(&rng.rng, iv, sizeof(iv));
		rng_fill(&rng.rng, plain, len);
		openssl_cbc(theirs, &theirs_len, key, iv, slice_of(plain, len));
		ck_assert_int_eq(aes256_cbc_encrypt(&cipher, key, iv, slice_of(plain, len)), 0);
		ck_assert(slice_eq(buf_slice(&cipher), slice_of(theirs, theirs_len)));
		buf_append_str(&back, "kept");
		ck_assert_int_eq(aes256_cbc_decrypt(&back, key, iv, buf_slice(&cipher)), 0);
		ck_assert(slice_eq(slice_of(back.ptr + 4, back.len - 4), slice_of(plain, len)));
		buf_finish(&cipher);
		buf_finish(&back);
	}
}
END_TEST

/* Every last byte, and for each good one every earlier pad byte spoiled. */
START_TEST(aes_padding_is_checked_whole)
{
	uint8_t key[32] = {1}, iv[16] = {2}, block[16];

	for (unsigned pad = 0; pad < 256; pad++) {
		for (unsigned spoiled = 1; spoiled <= 16; spoiled++) {
			struct buf cipher = BUF_INIT(100), back = BUF_INIT(100);
			/* Spoiling what lies before the padding, or the last byte not at all. */
			bool ok = pad >= 1 && pad <= 16 && (spoiled == 1 || spoiled > pad);

			memset(block, 0xee, sizeof(block));
			for (unsigned i = 1; i <= 16 && (i <= pad || i == 1); i++)
				block[16 - i] = (uint8_t)pad;
			if (spoiled > 1)
				block[16 - spoiled] ^= 0x40;
			/* Our own padding makes a second block, which is cut off. */
			ck_assert_int_eq(aes256_cbc_encrypt(&cipher, key, iv, slice_of(block, 16)), 0);
			ck_assert_int_eq(
			    aes256_cbc_decrypt(&back, key, iv, slice_of(cipher.ptr, 16)),
			    ok ? 0 : ERR_MALFORMED);
			ck_assert_uint_eq(back.len, ok ? 16 - pad : 0);
			buf_finish(&cipher);
			buf_finish(&back);
		}
	}
}
END_TEST

START_TEST(aes_refuses_lengths_and_ceilings)
{
	uint8_t key[32] = {0}, iv[16] = {0};
	struct buf b = BUF_INIT(15);

	ck_assert_int_eq(aes256_cbc_decrypt(&b, key, iv, (struct slice){0}), ERR_MALFORMED);
	ck_assert_int_eq(aes256_cbc_decrypt(&b, key, iv, SLICE("123456789012345")), ERR_MALFORMED);
	ck_assert_int_eq(aes256_cbc_decrypt(&b, key, iv, SLICE("12345678901234567")), ERR_MALFORMED);
	ck_assert_int_eq(b.rc, 0);
	ck_assert_int_eq(aes256_cbc_decrypt(&b, key, iv, SLICE("1234567890123456")), ERR_TOO_BIG);
	buf_clear(&b);
	ck_assert_int_eq(aes256_cbc_encrypt(&b, key, iv, SLICE("")), ERR_TOO_BIG);
	buf_clear(&b);
	ck_assert_int_eq(aes256_cbc_encrypt(&b, key, iv, slice_of("", SIZE_MAX)), ERR_TOO_BIG);
	buf_finish(&b);
}
END_TEST

/* The vendor's own vectors, as far as AES goes. */
START_TEST(tencent_aes_vectors)
{
	struct buf text = BUF_INIT(1 << 20);
	const cJSON *one;
	cJSON *tree = NULL;
	int n = 0;

	ck_assert_int_eq(file_read(&text, SHARED_VECTORS "/tencent-webhook-aes.json"), 0);
	ck_assert_int_eq(json_tree(buf_slice(&text), NULL, &tree, NULL), 0);
	cJSON_ArrayForEach(one, cJSON_GetObjectItem(tree, "cases"))
	{
		const cJSON *input = cJSON_GetObjectItem(one, "input");
		const cJSON *expect = cJSON_GetObjectItem(one, "expect");
		const cJSON *plain = cJSON_GetObjectItem(expect, "plaintext_utf8");
		const char *data = cJSON_GetObjectItem(input, "data")->valuestring;
		const char *key_text = cJSON_GetObjectItem(input, "encoding_aes_key")->valuestring;
		struct buf cipher = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
		uint8_t key[32];
		int rc = base64_decode_to(key, sizeof(key), slice_str(key_text), BASE64_LENIENT);

		if (rc == 0)
			rc = base64_decode(&cipher, slice_str(data), 0);
		if (rc == 0)
			rc = aes256_cbc_decrypt(&back, key, key, buf_slice(&cipher));
		if (cJSON_IsTrue(cJSON_GetObjectItem(expect, "ok"))) {
			ck_assert_int_eq(rc, 0);
			if (plain != NULL && cJSON_IsString(plain))
				ck_assert_slice_eq(buf_slice(&back), slice_str(plain->valuestring));
			n++;
		} else if (strcmp(cJSON_GetObjectItem(one, "kind")->valuestring, "decrypt-fails") == 0) {
			ck_assert_int_ne(rc, 0);
			n++;
		}
		buf_finish(&cipher);
		buf_finish(&back);
	}
	ck_assert_int_ge(n, 10);
	cJSON_Delete(tree);
	buf_finish(&text);
}
END_TEST

/* Signature vectors: SHA-1 over the sorted strings. */
START_TEST(tencent_signature_vectors)
{
	struct buf text = BUF_INIT(1 << 20);
	const cJSON *one;
	cJSON *tree = NULL;
	int n = 0;

	ck_assert_int_eq(file_read(&text, SHARED_VECTORS "/tencent-webhook-signature.json"), 0);
	ck_assert_int_eq(json_tree(buf_slice(&text), NULL, &tree, NULL), 0);
	cJSON_ArrayForEach(one, cJSON_GetObjectItem(tree, "cases"))
	{
		const cJSON *sorted =
		    cJSON_GetObjectItem(cJSON_GetObjectItem(one, "expect"), "sorted");
		const cJSON *signature =
		    cJSON_GetObjectItem(cJSON_GetObjectItem(one, "input"), "signature");
		struct slice parts[4];
		uint8_t hash[SHA1_LEN];

		if (strcmp(cJSON_GetObjectItem(one, "kind")->valuestring, "valid") != 0 ||
		    cJSON_GetArraySize(sorted) != 4)
			continue;
		for (int i = 0; i < 4; i++)
			parts[i] = slice_str(cJSON_GetArrayItem(sorted, i)->valuestring);
		sha1(hash, parts, 4);
		expect_hex(hash, sizeof(hash), signature->valuestring);
		n++;
	}
	ck_assert_int_ge(n, 4);
	cJSON_Delete(tree);
	buf_finish(&text);
}
END_TEST

/* RFC 8032 section 7.1, tests 1 to 3 and SHA(abc). */
static const struct {
	const char *seed, *public_key, *text, *signature;
} ed25519[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
	"46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
	"d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
	"6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
	"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feeb"
	"bd454d4423643ce80e2a9ac94fa54ca49f",
	"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0"
	"303dca179c138ac17ad9bef1177331a704"},
};

START_TEST(ed25519_vectors)
{
	char seed[40], text[200], expected[70];
	struct slice message = from_hex(text, ed25519[_i].text);
	uint8_t public_key[32], secret[64], signature[64];

	from_hex(expected, ed25519[_i].signature);
	ed25519_from_seed(public_key, secret, (uint8_t *)from_hex(seed, ed25519[_i].seed).ptr);
	expect_hex(public_key, 32, ed25519[_i].public_key);
	ed25519_sign(signature, message, secret);
	ck_assert_int_eq(memcmp(signature, expected, 64), 0);
	ck_assert(ed25519_verify(signature, message, public_key));
	for (int bit = 0; bit < 512; bit += 37) {
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!ed25519_verify(signature, message, public_key));
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert(!ed25519_verify(signature, SLICE("something else"), public_key));
}
END_TEST

/* draft-irtf-cfrg-xchacha-03, A.3.1. */
START_TEST(xchacha_vector)
{
	static const char plain[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				    "only one tip for the future, sunscreen would be it.";
	char key[40], nonce[30], aad[20], cipher[200];
	struct slice expected = from_hex(cipher,
	    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
	    "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
	    "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
	    "21f9664c97637da9768812f615c68b13b52e"
	    "c0875924c1c7987947deafd8780acf49");
	const uint8_t *k = (uint8_t *)from_hex(key,
	    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f").ptr;
	const uint8_t *n =
	    (uint8_t *)from_hex(nonce, "404142434445464748494a4b4c4d4e4f5051525354555657").ptr;
	struct slice a = from_hex(aad, "50515253c0c1c2c3c4c5c6c7");
	uint8_t sealed[200], opened[200];

	xchacha_seal(sealed, SLICE(plain), a, n, k);
	ck_assert(slice_eq(slice_of(sealed, sizeof(plain) - 1 + XCHACHA_TAG_LEN), expected));
	ck_assert_int_eq(xchacha_open(opened, expected, a, n, k), 0);
	ck_assert_int_eq(memcmp(opened, plain, sizeof(plain) - 1), 0);

	memset(opened, 0xff, sizeof(opened));
	ck_assert_int_eq(xchacha_open(opened, expected, SLICE("other"), n, k), ERR_BAD_KEY);
	for (size_t i = 0; i < sizeof(plain) - 1; i++)
		ck_assert_uint_eq(opened[i], 0);
	cipher[0] ^= 1;
	ck_assert_int_eq(xchacha_open(opened, expected, a, n, k), ERR_BAD_KEY);
	ck_assert_int_eq(xchacha_open(opened, slice_of(cipher, 15), a, n, k), ERR_BAD_KEY);
}
END_TEST

START_TEST(compare_and_wipe)
{
	char bytes[] = "secret";

	ck_assert(crypto_equal(SLICE("abc"), SLICE("abc")));
	ck_assert(!crypto_equal(SLICE("abc"), SLICE("abd")));
	ck_assert(!crypto_equal(SLICE("abc"), SLICE("ab")));
	ck_assert(crypto_equal((struct slice){0}, SLICE("")));
	crypto_wipe(bytes, 3);
	ck_assert_int_eq(memcmp(bytes, "\0\0\0ret", 6), 0);
	crypto_wipe(NULL, 0);
}
END_TEST

static void *hash_much(void *arg)
{
	struct slice abc = SLICE_INIT("abc");
	uint8_t hash[SHA256_LEN];

	(void)arg;
	for (int i = 0; i < 2000; i++) {
		sha256(hash, &abc, 1);
		ck_assert_uint_eq(hash[0], 0xba);
		sha1(hash, &abc, 1);
		ck_assert_uint_eq(hash[0], 0xa9);
	}
	return NULL;
}

START_TEST(threads_hash_apart)
{
	pthread_t threads[4];

	for (size_t i = 0; i < COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hash_much, NULL), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(a_stream_that_finds_no_memory_is_none)
{
	struct sha256_stream *s = NULL;

	no_memory_in = 0;
	ck_assert_int_eq(sha256_stream_create(&s), ERR_NOMEM);
	ck_assert_ptr_null(s);
	sha256_stream_destroy(NULL);
}
END_TEST

/* Before anything else has set it up, in a process of its own. */
static bool refuses_without_sodium(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		sodium_fails = true;
		exit(crypto_init() == ERR_UNAVAILABLE ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

int main(void)
{
	Suite *s = suite_create("crypto");
	TCase *t = tcase_create("crypto");

	if (!refuses_without_sodium() || crypto_init() != 0 || crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, sha_vectors, 0, COUNT(hashes));
	tcase_add_loop_test(t, hmac_vectors, 0, COUNT(hmacs));
	tcase_add_test(t, md5_vectors);
	tcase_add_test(t, a_hash_is_put_away_and_gone_on_with);
	tcase_add_test(t, hmac_with_an_empty_key);
	tcase_add_test(t, blake2b_vectors);
	tcase_add_test(t, siphash_vectors);
	tcase_add_test(t, aes_agrees_with_openssl);
	tcase_add_test(t, aes_padding_is_checked_whole);
	tcase_add_test(t, aes_refuses_lengths_and_ceilings);
	tcase_add_test(t, tencent_aes_vectors);
	tcase_add_test(t, tencent_signature_vectors);
	tcase_add_loop_test(t, ed25519_vectors, 0, COUNT(ed25519));
	tcase_add_test(t, xchacha_vector);
	tcase_add_test(t, compare_and_wipe);
	tcase_add_test(t, threads_hash_apart);
	tcase_add_test(t, a_stream_that_finds_no_memory_is_none);
	suite_add_tcase(s, t);
	return run_suite(s);
}
