/* See seal.h. */
#include "store/seal.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "domain/schema.h"

#define PAD_TO 32
#define PLAIN_MAX (64u << 20)
#define AAD_MAX 640
#define HEADER_LEN (1 + ID_LEN + XCHACHA_NONCE_LEN)

/* What was given out lately, until the log's index knows it: four-way sets. */
#define RECENT_SETS 16384
#define RECENT_WAYS 4

struct recent {
	struct subject subject;
	uint32_t used; /* by the count of uses; 0: empty */
};

struct sealer {
	struct keyring *keyring;
	const struct rng *rng;
	subject_lookup *lookup;
	void *lookup_arg;
	char *origin;
	uint8_t secret[KEYRING_KEY_LEN]; /* of refs and fingerprints */
	/* Held while a ref gets its first subject id, so that it gets one. */
	pthread_mutex_t assign;
	pthread_mutex_t lock; /* guards what is below; taken after `assign` */
	struct recent (*recent)[RECENT_WAYS];
	uint32_t uses;
};

int sealer_create(struct sealer **ret, const struct sealer_options *options)
{
	struct sealer *s = calloc(1, sizeof(*s));
	int rc = ERR_NOMEM;

	if (s == NULL)
		return ERR_NOMEM;
	s->keyring = options->keyring;
	s->rng = options->rng;
	s->lookup = options->lookup;
	s->lookup_arg = options->lookup_arg;
	pthread_mutex_init(&s->assign, NULL);
	pthread_mutex_init(&s->lock, NULL);
	s->origin = strdup(options->origin);
	s->recent = calloc(RECENT_SETS, sizeof(*s->recent));
	if (s->origin != NULL && s->recent != NULL)
		rc = keyring_secret(s->keyring, "lookup", s->secret);
	if (rc != 0) {
		sealer_destroy(s);
		return rc;
	}
	*ret = s;
	return 0;
}

int sealer_create_opener(struct sealer **ret, const struct sealer *of, const char *origin)
{
	struct sealer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	s->keyring = of->keyring;
	s->rng = of->rng;
	pthread_mutex_init(&s->assign, NULL);
	pthread_mutex_init(&s->lock, NULL);
	s->origin = strdup(origin);
	if (s->origin == NULL) {
		sealer_destroy(s);
		return ERR_NOMEM;
	}
	*ret = s;
	return 0;
}

void sealer_destroy(struct sealer *s)
{
	if (s == NULL)
		return;
	crypto_wipe(s->secret, sizeof(s->secret));
	pthread_mutex_destroy(&s->assign);
	pthread_mutex_destroy(&s->lock);
	free(s->recent);
	free(s->origin);
	free(s);
}

/* ---- subjects ---------------------------------------------------------------- */

static bool recent_find(struct sealer *s, const uint8_t ref[SEAL_REF_LEN], struct id *ret_id)
{
	struct recent *set = s->recent[(ref[0] | ref[1] << 8) % RECENT_SETS];
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < RECENT_WAYS && !found; i++) {
		if (set[i].used == 0 || memcmp(set[i].subject.ref, ref, SEAL_REF_LEN) != 0)
			continue;
		set[i].used = ++s->uses;
		*ret_id = set[i].subject.id;
		found = true;
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

static void recent_put(struct sealer *s, const struct subject *subject)
{
	struct recent *set = s->recent[(subject->ref[0] | subject->ref[1] << 8) % RECENT_SETS], *at = set;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < RECENT_WAYS; i++) {
		if (set[i].used != 0 && memcmp(set[i].subject.ref, subject->ref, SEAL_REF_LEN) == 0) {
			at = &set[i];
			break;
		}
		if (set[i].used < at->used)
			at = &set[i];
	}
	at->subject = *subject;
	at->used = ++s->uses;
	pthread_mutex_unlock(&s->lock);
}

/* Not among the recent ones: the log's index, else a new key. Under `assign`. */
static int assign(struct sealer *s, struct subject *subject)
{
	int rc = ERR_NOT_FOUND;

	if (s->lookup != NULL)
		rc = s->lookup(s->lookup_arg, subject->ref, &subject->id);
	if (rc == 0 && keyring_is_erased(s->keyring, &subject->id))
		rc = ERR_NOT_FOUND;
	if (rc == ERR_NOT_FOUND)
		rc = keyring_take(s->keyring, KEY_SUBJECT, &subject->id);
	if (rc == 0)
		recent_put(s, subject);
	return rc;
}

static void make_ref(const struct sealer *s, struct slice kind, struct slice identity, uint8_t ret[SEAL_REF_LEN])
{
	hmac_sha256(ret, slice_of(s->secret, sizeof(s->secret)),
	    (struct slice[]){SLICE("subject/v1\0"), kind, SLICE("\0"), identity}, 4);
}

int sealer_find_subject(struct sealer *s, struct slice kind, struct slice identity, struct subject *ret)
{
	make_ref(s, kind, identity, ret->ref);
	return s->lookup == NULL ? ERR_NOT_FOUND : s->lookup(s->lookup_arg, ret->ref, &ret->id);
}

int sealer_subject(struct sealer *s, struct slice kind, struct slice identity, struct subject *ret)
{
	struct subject subject;
	int rc = 0;

	assert(s->recent != NULL);
	make_ref(s, kind, identity, subject.ref);
	if (!recent_find(s, subject.ref, &subject.id) || keyring_is_erased(s->keyring, &subject.id)) {
		pthread_mutex_lock(&s->assign);
		/* Somebody else may have been quicker. */
		if (!recent_find(s, subject.ref, &subject.id) || keyring_is_erased(s->keyring, &subject.id))
			rc = assign(s, &subject);
		pthread_mutex_unlock(&s->assign);
	}
	if (rc == 0)
		*ret = subject;
	return rc;
}

int sealer_delivery(struct sealer *s, struct id *ret_id)
{
	return keyring_take(s->keyring, KEY_DELIVERY, ret_id);
}

void sealer_fingerprint(struct sealer *s, struct slice text, uint8_t ret[SHA256_LEN])
{
	hmac_sha256(ret, slice_of(s->secret, sizeof(s->secret)), (struct slice[]){SLICE("fingerprint/v1\0"), text}, 2);
}

/* ---- fields --------------------------------------------------------------------- */

static int additional_data(struct buf *out, const struct sealer *s, struct slice event_id, struct slice field)
{
	buf_append(out, SLICE("field/v1\0"));
	buf_append(out, slice_str(s->origin));
	buf_append_char(out, '\0');
	buf_append(out, event_id);
	buf_append_char(out, '\0');
	return buf_append(out, field);
}

int seal_field(struct sealer *s, const struct id *subject, struct slice event_id, struct slice field,
    struct slice plain, struct buf *out)
{
	size_t padded_len = (plain.len / PAD_TO + 1) * PAD_TO, sealed_len = SEALED_LEN(plain.len);
	char aad_bytes[AAD_MAX + 1];
	struct buf aad = BUF_OVER(aad_bytes);
	uint8_t key[KEYRING_KEY_LEN], *at, *padded;
	int rc;

	if (plain.len > PLAIN_MAX)
		return ERR_TOO_BIG;
	rc = keyring_get(s->keyring, subject, key);
	if (rc != 0)
		return rc;
	at = (uint8_t *)buf_reserve(out, sealed_len);
	rc = at == NULL ? out->rc : additional_data(&aad, s, event_id, field);
	if (rc == 0) {
		/* Padded where it is going to lie, and sealed in place. */
		padded = at + HEADER_LEN;
		if (plain.len > 0)
			memcpy(padded, plain.ptr, plain.len);
		padded[plain.len] = 0x80;
		memset(padded + plain.len + 1, 0, padded_len - plain.len - 1);
		at[0] = 0x01;
		memcpy(at + 1, subject->bytes, ID_LEN);
		rng_fill(s->rng, at + 1 + ID_LEN, XCHACHA_NONCE_LEN);
		xchacha_seal(padded, slice_of(padded, padded_len), buf_slice(&aad), at + 1 + ID_LEN, key);
		buf_commit(out, sealed_len);
	}
	crypto_wipe(key, sizeof(key));
	return rc;
}

static int key_of(struct sealer *s, struct seal_memo *memo, const struct id *subject, uint8_t ret[KEYRING_KEY_LEN])
{
	unsigned n = memo == NULL ? 0 : memo->n < SEAL_MEMO_KEYS ? memo->n : SEAL_MEMO_KEYS;
	int rc;

	for (unsigned i = 0; i < n; i++) {
		if (memcmp(memo->subjects[i].bytes, subject->bytes, ID_LEN) != 0)
			continue;
		memcpy(ret, memo->keys[i], KEYRING_KEY_LEN);
		return 0;
	}
	rc = keyring_get(s->keyring, subject, ret);
	if (rc == 0 && memo != NULL) {
		memo->subjects[memo->n % SEAL_MEMO_KEYS] = *subject;
		memcpy(memo->keys[memo->n++ % SEAL_MEMO_KEYS], ret, KEYRING_KEY_LEN);
	}
	return rc;
}

/* Opens into ret, which has room for the padded value. */
static int open_into(struct sealer *s, struct seal_memo *memo, struct slice event_id, struct slice field,
    struct slice sealed, char *ret, size_t *ret_len)
{
	const uint8_t *bytes = (const uint8_t *)sealed.ptr;
	char aad_bytes[AAD_MAX + 1];
	struct buf aad = BUF_OVER(aad_bytes);
	uint8_t key[KEYRING_KEY_LEN];
	struct id subject;
	size_t n;
	int rc;

	memcpy(subject.bytes, bytes + 1, ID_LEN);
	rc = additional_data(&aad, s, event_id, field);
	if (rc == 0)
		rc = key_of(s, memo, &subject, key);
	if (rc == 0) {
		rc = xchacha_open((uint8_t *)ret, slice_of(bytes + HEADER_LEN, sealed.len - HEADER_LEN),
		    buf_slice(&aad), bytes + 1 + ID_LEN, key);
		/* The key passed its check value, so it is the data that is not what was sealed. */
		rc = rc == 0 ? 0 : ERR_CORRUPT;
		crypto_wipe(key, sizeof(key));
	}
	if (rc != 0)
		return rc;
	n = sealed.len - HEADER_LEN - XCHACHA_TAG_LEN;
	while (n > 0 && ret[n - 1] == 0)
		n--;
	if (n == 0 || (uint8_t)ret[n - 1] != 0x80)
		return ERR_CORRUPT;
	*ret_len = n - 1;
	return 0;
}

static int check_shape(struct slice sealed)
{
	if (sealed.len < SEALED_LEN(0) || (sealed.len - SEALED_LEN(0)) % PAD_TO != 0 || sealed.ptr[0] != 0x01)
		return ERR_MALFORMED;
	return 0;
}

static int open_in(struct sealer *s, struct seal_memo *memo, struct slice event_id, struct slice field,
    struct slice sealed, struct arena *a, struct slice *ret_plain)
{
	size_t len;
	char *at;
	int rc;

	rc = check_shape(sealed);
	if (rc != 0)
		return rc;
	at = arena_alloc(a, sealed.len - HEADER_LEN - XCHACHA_TAG_LEN);
	if (at == NULL)
		return ERR_NOMEM;
	rc = open_into(s, memo, event_id, field, sealed, at, &len);
	if (rc == 0)
		*ret_plain = slice_of(at, len);
	return rc;
}

int seal_open(struct sealer *s, struct slice event_id, struct slice field, struct slice sealed, struct arena *a,
    struct slice *ret_plain)
{
	return open_in(s, NULL, event_id, field, sealed, a, ret_plain);
}

int seal_open_to(struct sealer *s, struct slice event_id, struct slice field, struct slice sealed, struct buf *out)
{
	size_t len;
	char *at;
	int rc;

	rc = check_shape(sealed);
	if (rc != 0)
		return rc;
	at = buf_reserve(out, sealed.len - HEADER_LEN - XCHACHA_TAG_LEN);
	if (at == NULL)
		return out->rc;
	rc = open_into(s, NULL, event_id, field, sealed, at, &len);
	if (rc == 0)
		buf_commit(out, len);
	return rc;
}

/* ---- the codec's hooks ------------------------------------------------------------ */

static int on_seal(void *arg, const char *field_name, const char *subject_name, struct slice plain_json,
    struct buf *out_raw)
{
	const struct seal_scope *scope = arg;

	for (size_t i = 0; i < scope->n_subjects; i++)
		if (strcmp(scope->subjects[i].name, subject_name) == 0)
			return seal_field(scope->sealer, &scope->subjects[i].id, scope->event_id, slice_str(field_name),
			    plain_json, out_raw);
	return ERR_INVALID;
}

static int on_open(void *arg, const char *field_name, struct slice sealed_raw, struct arena *arena,
    struct slice *ret_json)
{
	const struct seal_scope *scope = arg;

	return open_in(scope->sealer, scope->memo, scope->event_id, slice_str(field_name), sealed_raw, arena, ret_json);
}

void seal_scope_hooks(struct seal_hooks *ret, const struct seal_scope *scope)
{
	*ret = (struct seal_hooks){.seal = on_seal, .open = on_open, .arg = (void *)(uintptr_t)scope};
}
