/*
 * Fuzz entry: bytes as the body of a webhook of Feishu, and as the text inside. Whatever the vendor says must
 * become a record that reads back, or be told to be none of ours; its token is in no record; and what a repeat must say
 * again has its members in order, however they were written.
 */
#include "adapters/lark_events.h"
#include "base/codec.h"
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

static void check_sorted(struct json_value v, struct arena *a)
{
	struct json_reader r;
	struct json_value m;
	struct slice name, last = {0};

	if (v.type != JSON_OBJECT && v.type != JSON_ARRAY)
		return;
	json_enter(&r, v);
	while (json_next(&r, &name, &m)) {
		if (v.type == JSON_OBJECT) {
			check(json_string(json_value_of_name(name), a, &name) == 0);
			check(last.ptr == NULL || slice_cmp(last, name) < 0);
			last = name;
		}
		check_sorted(m, a);
	}
}

static void try_told(const struct lark_received *r, struct arena *a)
{
	struct slice told;
	struct json_value root;

	check(lark_told(r, a, &told) == 0 && told.len > r->event_type.len);
	told = slice_of(told.ptr + r->event_type.len, told.len - r->event_type.len);
	check(json_index(told, &(struct json_limits){32, 2000000, 1000, 32, true}, a, &root, NULL) == 0);
	check_sorted(root, a);
}

static void try_event(const struct lark_received *r, struct arena *a)
{
	struct event_subject subject = {.id = SLICE("0123456789abcdef0123456789abcdef")};
	struct translated_seals seals = {.meeting = &subject, .people = {&subject, &subject, &subject},
	    .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")};
	struct event_context ctx = {&rng_system, &clock_system, &in_clear};
	struct event_meta meta = {.source = SLICE("/x"), .actor = SLICE("x"), .expect = EXPECT_ANY};
	struct translated translated = {0};
	struct slice kind, identity;
	struct event_draft draft;
	struct event event;
	int rc = lark_translate(r, a, &translated);

	check(rc == 0 || rc == ERR_NOT_FOUND);
	if (rc != 0)
		return;
	for (unsigned role = 0; role < TOLD_ROLES; role++)
		if (translated.people[role] != NULL &&
		    lark_person_identity(translated.people[role], translated.meeting_id, a, &kind, &identity))
			check(kind.len > 0 && identity.len > 0);
	translated_seal(&translated, &seals);
	rc = event_draft_make(&ctx, (enum event_type)translated.type->id, translated.data, &meta, a, &draft, NULL);
	check(rc == 0 || rc == ERR_INVALID || rc == ERR_TOO_BIG);
	if (rc == 0)
		check(event_decode(slice_of(draft.entry, draft.entry_len), ENVELOPE_ANY_POSITION, &in_clear, a, &event) == 0);
}

static void try_text(struct slice bytes, struct arena *a)
{
	struct lark_received r = {0};
	int rc = lark_event_parse(bytes, a, &r);

	check(rc == 0 || rc == ERR_MALFORMED || rc == ERR_TOO_BIG || rc == ERR_INVALID);
	if (rc != 0 || !utf8_valid(bytes))
		return;
	check(r.token.len == 0 || inside(r.token, bytes));
	try_told(&r, a);
	try_event(&r, a);
}

static void try_body(struct slice bytes, struct arena *a)
{
	const struct lark_secrets encrypted = {.encrypt_key = SLICE("key"), .verification_token = SLICE("token")};
	const struct lark_secrets plain = {.verification_token = SLICE("token")};
	struct lark_headers none = {0};
	struct lark_received r = {0};

	check(lark_receive(&encrypted, &none, bytes, a, &r) != 0 || r.is_challenge);
	if (lark_receive(&plain, &none, bytes, a, &r) == 0 && r.is_challenge)
		check(r.challenge.len > 0);
}

void fuzz_one(struct slice input)
{
	struct arena a = ARENA_INIT(64 << 20);

	check(crypto_init() == 0);
	try_body(input, &a);
	try_text(input, &a);
	arena_finish(&a);
}
