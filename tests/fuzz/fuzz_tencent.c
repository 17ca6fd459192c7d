/*
 * Fuzz entry: bytes as the body of a webhook, and as the text inside. Whatever
 * the vendor says must become a record that reads back, or be told to be none
 * of ours; nothing may be read outside the bytes.
 */
#include "adapters/tencent_events.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "fuzz.h"

static int seal_in_clear(void *arg, const char *field, const char *subject, struct slice json, struct buf *out)
{
	(void)arg;
	(void)field;
	check(subject != NULL && json.len > 0);
	return buf_append(out, json);
}

static int open_in_clear(void *arg, const char *field, struct slice raw, struct arena *a, struct slice *ret)
{
	(void)arg;
	(void)field;
	*ret = arena_dup(a, raw);
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

static const struct seal_hooks in_clear = {.seal = seal_in_clear, .open = open_in_clear};

static void try_item(const struct tencent_envelope *e, size_t index, struct json_value item, struct arena *a)
{
	struct event_subject subject = {.id = SLICE("0123456789abcdef0123456789abcdef")};
	struct translated_seals seals = {.meeting = &subject, .people = {&subject, &subject, &subject},
	    .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")};
	struct event_context ctx = {&rng_system, &clock_system, &in_clear};
	struct event_meta meta = {.source = SLICE("/x"), .actor = SLICE("x"), .expect = EXPECT_ANY};
	struct translated fact = {0};
	struct slice kind, identity;
	struct event_draft draft;
	struct event event;
	int rc = tencent_translate(e, index, item, a, &fact);

	check(rc == 0 || rc == ERR_NOT_FOUND || rc == ERR_NOMEM);
	if (rc != 0)
		return;
	for (unsigned role = 0; role < TOLD_ROLES; role++)
		if (fact.people[role] != NULL &&
		    tencent_person_identity(fact.people[role], fact.meeting_id, a, &kind, &identity))
			check(kind.len > 0 && identity.len > 0);
	translated_seal(&fact, &seals);
	rc = event_draft_make(&ctx, (enum event_type)fact.type->id, fact.data, &meta, a, &draft, NULL);
	check(rc == 0 || rc == ERR_INVALID || rc == ERR_TOO_BIG || rc == ERR_NOMEM);
	if (rc == 0)
		check(event_decode(slice_of(draft.entry, draft.entry_len), ENVELOPE_ANY_POSITION, &in_clear, a, &event) == 0);
}

static void try_text(struct slice bytes, struct arena *a)
{
	struct tencent_envelope e;
	struct json_reader r;
	struct json_value item;
	const char *reason;
	size_t n = 0;

	if (tencent_parse(bytes, a, &e, &reason) != 0) {
		check(reason != NULL);
		return;
	}
	json_enter(&r, e.payload);
	while (json_next(&r, NULL, &item))
		try_item(&e, n++, item, a);
	check(n == e.n_items);
}

static void try_body(struct slice bytes, struct arena *a)
{
	struct tencent_keys keys = {0};
	struct slice data, plain;

	check(tencent_keys_add_aes(&keys, SLICE("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")) == 0);
	if (tencent_body_data(bytes, a, &data) == 0 && tencent_decrypt(&keys, data, a, &plain) == 0)
		try_text(plain, a);
	tencent_keys_finish(&keys);
}

void fuzz_one(struct slice input)
{
	struct arena a = ARENA_INIT(64 << 20);

	check(crypto_init() == 0);
	try_body(input, &a);
	try_text(input, &a);
	arena_finish(&a);
}
