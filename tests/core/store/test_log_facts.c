/* What the indexes are told by an entry: facts in their order, and entries that tell nonsense. */
#include "log_fixture.h"

#include "domain/event.h"
#include "store/log_facts.h"

struct told {
	char text[400];
	size_t len;
};

static int tell(void *arg, const struct log_fact *fact)
{
	static const char *const names[] = {"event", "once", "release", "claim", "subject"};
	struct told *t = arg;
	char hex[9] = "";

	if (fact->kind == FACT_ONCE || fact->kind == FACT_SUBJECT)
		hex_encode(hex, fact->key.ptr, 4);
	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%s %.*s; ", names[fact->kind],
	    hex[0] != '\0' ? 8 : (int)fact->key.len, hex[0] != '\0' ? hex : fact->key.ptr);
	ck_assert_uint_eq(fact->position, 0);
	ck_assert_uint_eq(fact->type, TEST_EVENT);
	return 0;
}

START_TEST(draft_and_entry_tell_the_same)
{
	const struct test_event e = {.stream = "meeting/1", .once = "k", .claims = {"a:1", "b:\xe4\xbd\xa0"},
	    .releases = {"c:\"3\""}, .subjects = {"x", "y"}};
	struct arena arena = ARENA_INIT(1 << 20);
	struct told of_draft = {0}, of_entry = {0};
	struct event_draft d;

	draft_make(&d, &arena, &e);
	ck_assert_int_eq(facts_check_draft(&d, NULL), 0);
	envelope_patch(d.entry, d.time_at, FIXTURE_TIME_US, d.sequence_at, 0);
	ck_assert_int_eq(facts_of_draft(&d, 0, tell, &of_draft), 0);
	ck_assert_int_eq(facts_of_entry(slice_of(d.entry, d.entry_len), 0, TEST_EVENT, NULL, tell, &of_entry), 0);
	ck_assert_str_eq(of_draft.text, of_entry.text);
	ck_assert_ptr_nonnull(strstr(of_entry.text, "event meeting/1; once "));
	ck_assert_ptr_nonnull(strstr(of_entry.text, "release c:\"3\"; claim a:1; claim b:\xe4\xbd\xa0; subject "));
	/* A record that was moved is no longer what it says. */
	ck_assert_int_eq(facts_of_entry(slice_of(d.entry, d.entry_len), 1, TEST_EVENT, NULL, tell, &of_entry),
	    ERR_CORRUPT);
	arena_finish(&arena);
}
END_TEST

static uint16_t number_one_more(struct slice name)
{
	return slice_is(name, TEST_EVENT_NAME) ? TEST_EVENT + 1 : 0;
}

START_TEST(the_type_is_numbered_by_its_name)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_draft d;

	draft_make(&d, &arena, &(struct test_event){.stream = "a"});
	ck_assert_int_eq(facts_check_draft(&d, number_one_more), ERR_INVALID);
	d.type++;
	ck_assert_int_eq(facts_check_draft(&d, number_one_more), 0);
	arena_finish(&arena);
}
END_TEST

static const struct {
	const char *says, *data;
	int rc;
} bodies[] = {
    {"nothing to index", "{}", 0},
    {"a subject that cannot be looked up is passed over",
	"{\"subjects\":{\"raw\":{\"id\":\"00000000000000000000000000000001\"}}}", 0},
    {"subjects that are a list", "{\"subjects\":[]}", ERR_MALFORMED},
    {"a subject without id", "{\"subjects\":{\"a\":{\"ref\":\"AAAA\"}}}", ERR_MALFORMED},
    {"a short reference",
	"{\"subjects\":{\"a\":{\"id\":\"00000000000000000000000000000001\",\"ref\":\"AAAA\"}}}", ERR_MALFORMED},
    {"an id that is none",
	"{\"subjects\":{\"a\":{\"id\":\"1\",\"ref\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}}", ERR_MALFORMED},
    {"an id that is a number",
	"{\"subjects\":{\"a\":{\"id\":1,\"ref\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}}", ERR_MALFORMED},
    {"claims that are no list", "{\"claims\":{}}", ERR_MALFORMED},
    {"a claim that is no text", "{\"claims\":[1]}", ERR_MALFORMED},
    {"an empty claim", "{\"claims\":[\"\"]}", ERR_MALFORMED},
    {"releases that are no list", "{\"releases\":\"a\"}", ERR_MALFORMED},
    {"subjects that are numbers are passed over", "{\"subjects\":{\"a\":1}}", 0},
    {"a reference that is a number", "{\"subjects\":{\"a\":{\"id\":\"00000000000000000000000000000001\",\"ref\":1}}}",
	ERR_MALFORMED},
    {"other members tell nothing", "{\"claim\":[\"a\"],\"subject\":{}}", 0},
};

static int ignore(void *arg, const struct log_fact *fact)
{
	(void)arg, (void)fact;
	return 0;
}

START_TEST(bodies_that_tell_nonsense)
{
	struct envelope envelope = {
	    .id = SLICE("0123456789abcdef0123456789abcdef"),
	    .source = SLICE("/tests"),
	    .type = SLICE(TEST_EVENT_NAME),
	    .subject = SLICE("a"),
	    .actor = SLICE("system"),
	    .dataschema = SLICE(TEST_EVENT_NAME "/1"),
	    .data = slice_str(bodies[_i].data),
	};
	struct buf text = BUF_INIT(ENTRY_LEN_MAX);
	uint32_t time_at, sequence_at;
	int rc;

	ck_assert_int_eq(envelope_encode(&envelope, &text, &time_at, &sequence_at), 0);
	rc = facts_of_entry(buf_slice(&text), 0, TEST_EVENT, NULL, ignore, NULL);
	ck_assert_msg(rc == bodies[_i].rc, "%s: %s", bodies[_i].says, err_name(rc));
	buf_finish(&text);
}
END_TEST

/* ---- walks that end early ---------------------------------------------------------- */

static unsigned n_told, ends_at;

static int end_at(void *arg, const struct log_fact *fact)
{
	(void)arg, (void)fact;
	return n_told++ == ends_at ? ERR_CANCELLED : 0;
}

static const struct test_event all_there_is = {.stream = "meeting/1", .once = "k", .claims = {"a:1", "b:2"},
    .releases = {"c:3", "d:4"}, .subjects = {"x", "y"}};
#define N_FACTS 8 /* of it */

START_TEST(a_walk_ends_where_it_is_told_to)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_draft d;

	draft_make(&d, &arena, &all_there_is);
	envelope_patch(d.entry, d.time_at, FIXTURE_TIME_US, d.sequence_at, 0);
	for (ends_at = 0; ends_at <= N_FACTS; ends_at++) {
		int rc = ends_at < N_FACTS ? ERR_CANCELLED : 0;
		unsigned n = ends_at < N_FACTS ? ends_at + 1 : N_FACTS;

		n_told = 0;
		ck_assert_int_eq(facts_of_draft(&d, 0, end_at, NULL), rc);
		ck_assert_uint_eq(n_told, n);
		n_told = 0;
		ck_assert_int_eq(facts_of_entry(slice_of(d.entry, d.entry_len), 0, TEST_EVENT, NULL, end_at, NULL), rc);
		ck_assert_uint_eq(n_told, n);
	}
	arena_finish(&arena);
}
END_TEST

/* ---- drafts that are not what their entry says --------------------------------------- */

static struct slice other_names[65];
static struct subject_ref other_subjects[65];
static struct blob_draft other_blob;

static void no_type(struct event_draft *d) { d->type = 0; }
static void no_entry(struct event_draft *d) { d->entry = NULL; }
static void no_bytes(struct event_draft *d) { d->entry_len = 1; }
static void too_many_bytes(struct event_draft *d) { d->entry_len = ENTRY_LEN_MAX + 1; }
static void no_stream(struct event_draft *d) { d->stream.len = 0; }
static void a_long_stream(struct event_draft *d) { d->stream.len = STREAM_LEN_MAX + 1; }
static void another_stream(struct event_draft *d) { d->stream = SLICE("meeting/2"); }
static void an_expectation_there_is_not(struct event_draft *d) { d->expect = EXPECT_ANY - 1; }
static void too_many_claims(struct event_draft *d) { d->claims = other_names; d->n_claims = 65; }
static void too_many_releases(struct event_draft *d) { d->releases = other_names; d->n_releases = 65; }
static void too_many_subjects(struct event_draft *d) { d->subjects = other_subjects; d->n_subjects = 65; }
static void a_claim_more(struct event_draft *d) { d->n_claims++; }
static void a_claim_less(struct event_draft *d) { d->n_claims--; }
static void another_claim(struct event_draft *d) { d->claims = other_names; }
static void a_release_more(struct event_draft *d) { d->n_releases++; }
static void a_release_less(struct event_draft *d) { d->n_releases--; }
static void a_subject_more(struct event_draft *d) { d->n_subjects++; }
static void a_subject_less(struct event_draft *d) { d->n_subjects--; }
static void another_subject(struct event_draft *d) { d->subjects = other_subjects; }
static void no_once_key(struct event_draft *d) { d->has_once = false; }
static void another_once_key(struct event_draft *d) { d->once[0] ^= 1; }
static void time_at_the_start(struct event_draft *d) { d->time_at = 3; }
static void time_elsewhere(struct event_draft *d) { d->time_at++; }
static void time_beyond_16_bits(struct event_draft *d) { d->time_at = UINT16_MAX + 1; }
static void time_behind_the_end(struct event_draft *d) { d->time_at = d->entry_len; }
static void sequence_elsewhere(struct event_draft *d) { d->sequence_at--; }
static void no_quote_behind_the_time(struct event_draft *d) { d->entry[d->time_at + ENTRY_TIME_LEN] = 'x'; }
static void an_entry_that_is_no_json(struct event_draft *d) { d->entry[d->entry_len - 1] = ']'; }
static void a_blob_it_does_not_name(struct event_draft *d) { d->blobs = &other_blob; d->n_blobs = 1; }
static void another_specversion(struct event_draft *d) { memcpy(memmem(d->entry, d->entry_len, "\"1.0\"", 5), "\"2.0\"", 5); }

#define CHANGE(name) {#name, name}

static const struct {
	const char *says;
	void (*change)(struct event_draft *d);
} changes[] = {
	CHANGE(no_type), CHANGE(no_entry), CHANGE(no_bytes), CHANGE(no_stream), CHANGE(a_long_stream), CHANGE(another_stream),
	CHANGE(an_expectation_there_is_not), CHANGE(too_many_claims), CHANGE(too_many_releases), CHANGE(too_many_subjects),
	CHANGE(a_claim_more), CHANGE(a_claim_less), CHANGE(another_claim), CHANGE(a_release_more), CHANGE(a_release_less),
	CHANGE(a_subject_more), CHANGE(a_subject_less), CHANGE(another_subject), CHANGE(no_once_key), CHANGE(another_once_key),
	CHANGE(time_at_the_start), CHANGE(time_elsewhere), CHANGE(time_beyond_16_bits), CHANGE(time_behind_the_end),
	CHANGE(sequence_elsewhere), CHANGE(no_quote_behind_the_time), CHANGE(an_entry_that_is_no_json),
	CHANGE(a_blob_it_does_not_name), CHANGE(another_specversion),
};

START_TEST(a_draft_tells_what_its_entry_tells)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_draft d;
	int rc;

	draft_make(&d, &arena, &all_there_is);
	ck_assert_int_eq(facts_check_draft(&d, NULL), 0);
	changes[_i].change(&d);
	rc = facts_check_draft(&d, NULL);
	ck_assert_msg(rc == ERR_INVALID, "%s: %s", changes[_i].says, err_name(rc));
	draft_make(&d, &arena, &all_there_is);
	too_many_bytes(&d);
	ck_assert_int_eq(facts_check_draft(&d, NULL), ERR_TOO_BIG);
	arena_finish(&arena);
}
END_TEST

/* ---- drafts made from structs are not read again: of every type, whatever it holds --------------- */

static struct rng_test dice;

/* The shortest that fits the pattern, or a text with all that JSON escapes. */
static struct slice any_text(const struct schema_field *f, struct arena *a)
{
	struct buf text = BUF_INIT(1 << 16);
	struct slice copy;

	if (f->n_choices > 0)
		return f->choices[rng_below(&dice.rng, f->n_choices)];
	if (f->format == FORMAT_DATE || f->format == FORMAT_DATE_OR_TIME)
		return SLICE("2026-11-23");
	if (f->format == FORMAT_DATE_TIME)
		return SLICE("2026-11-23T22:39:15Z");
	if (f->format == FORMAT_JSON)
		return SLICE("{ \"a\" : 1 }");
	for (size_t i = 0; f->pattern != NULL && i < f->pattern->n_runs; i++) {
		const struct schema_run *run = &f->pattern->runs[i];
		unsigned c = 33;

		while (c < 127 && (run->set[c / 32] >> c % 32 & 1) == 0)
			c++;
		for (uint32_t n = 0; n < run->min; n++)
			buf_append_char(&text, (char)c);
	}
	if (text.len == 0 && f->pattern == NULL && f->format == FORMAT_NONE && ((f->flags & FIELD_MAX) == 0 || f->max >= 8))
		buf_append(&text, SLICE("\"\\/\n\x7f\xe4\xbd\xa0\xff\x01"));
	while ((f->flags & FIELD_MIN) != 0 && (int64_t)utf8_length(buf_slice(&text)) < f->min)
		buf_append_char(&text, 'A');
	copy = arena_dup(a, buf_slice(&text));
	buf_finish(&text);
	return copy;
}

static void fill(const struct schema *s, char *data, unsigned share, struct arena *a);

static void fill_member(const struct schema_field *f, char *member, unsigned share, struct arena *a)
{
	struct { void *items; size_t n; } list = {.n = (f->flags & FIELD_MIN) != 0 && f->min > 2 ? (size_t)f->min : 2};

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TEXT:
		*(struct slice *)(void *)member = any_text(f, a);
		break;
	case SCHEMA_INT:
		*(int64_t *)(void *)member = (f->flags & FIELD_MIN) != 0 ? f->min : -7;
		break;
	case SCHEMA_REAL:
		*(double *)(void *)member = (f->flags & FIELD_MIN) != 0 ? f->real_min : 1e300;
		break;
	case SCHEMA_BOOL:
		*(bool *)member = true;
		break;
	case SCHEMA_JSON: /* with white space, which an entry may not have: it must not get there in clear */
		*(struct slice *)(void *)member = SLICE("{ \"more\": [ 1 ] }");
		break;
	case SCHEMA_OBJECT:
		fill(f->object, member, share, a);
		break;
	case SCHEMA_LIST:
		if ((f->flags & FIELD_MAX) != 0 && (int64_t)list.n > f->max)
			list.n = (size_t)f->max;
		list.items = arena_calloc(a, list.n + 1, f->item_size);
		for (size_t i = 0; i < list.n; i++)
			fill_member(f->item, (char *)list.items + i * f->item_size, share, a);
		memcpy(member, &list, sizeof(list));
		break;
	}
}

/* What may be absent is there in so many of 4 cases. */
static void fill(const struct schema *s, char *data, unsigned share, struct arena *a)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		const struct schema_field *f = &s->fields[i];

		if ((f->flags & FIELD_REQUIRED) == 0 && rng_below(&dice.rng, 4) >= share)
			continue;
		fill_member(f, data + f->offset, share, a);
		if (f->has_offset != 0)
			*(bool *)(data + f->has_offset) = true;
	}
}

static int seal_as_it_is(void *arg, const char *field, const char *subject, struct slice plain, struct buf *out)
{
	(void)arg, (void)field, (void)subject;
	return buf_append(out, plain);
}

/* References that are found, and not one and the same: what else a text may be would be no reference. */
static void name_subjects(const struct schema *s, char *data)
{
	const struct schema_field *all = schema_field_find(s, SLICE("subjects"));
	static const char *const refs[] = {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

	for (size_t i = 0; all != NULL && i < all->object->n_fields; i++) {
		const struct schema_field *one = &all->object->fields[i], *ref = schema_field_find(one->object, SLICE("ref"));
		struct slice *text = ref == NULL ? NULL : (struct slice *)(void *)(data + all->offset + one->offset + ref->offset);

		if (text != NULL && text->ptr != NULL)
			*text = slice_str(refs[rng_below(&dice.rng, 2)]);
	}
}

/* False: without those members there is no such event. */
static bool make_any(const struct event_type_info *type, unsigned share, struct arena *a, struct event_draft *ret)
{
	struct seal_hooks hooks = {.seal = seal_as_it_is};
	struct event_context ctx = {&dice.rng, &clock_system, &hooks};
	struct event_meta meta = {.source = SLICE("/test"), .actor = SLICE("test"), .expect = EXPECT_ANY,
	    .has_once = rng_below(&dice.rng, 2) == 0, .once = {1, 2, 3}};
	struct problems problems = PROBLEMS_INIT(a);
	char *data = arena_alloc(a, type->schema->size);
	int rc;

	fill(type->schema, data, share, a);
	name_subjects(type->schema, data);
	rc = event_draft_make(&ctx, (enum event_type)type->id, data, &meta, a, ret, &problems);
	ck_assert_msg(rc == 0 || (rc == ERR_INVALID && share < 4), "%s: %s %s", type->name, err_name(rc),
	    problems.n == 0 ? "" : problems.items[0].path);
	return rc == 0;
}

START_TEST(what_is_made_of_a_struct_tells_the_same_as_its_draft)
{
	unsigned n_made = 0, n_subjects = 0, n_claims = 0;

	rng_test_init(&dice, 1);
	for (size_t i = 0; i < event_types_n * 40; i++) {
		struct arena arena = ARENA_INIT(8 << 20);
		struct event_draft d;

		if (make_any(&event_types[i / 40], (unsigned)(i % 40 % 5), &arena, &d)) {
			ck_assert(d.is_made);
			d.is_made = false;
			ck_assert_msg(facts_check_draft(&d, event_type_number) == 0, "%.*s", (int)d.entry_len, d.entry);
			n_made++;
			n_subjects += d.n_subjects > 1;
			n_claims += d.n_claims > 0 && d.n_releases > 0;
		}
		arena_finish(&arena);
	}
	ck_assert_uint_gt(n_made, event_types_n * 20);
	ck_assert_uint_gt(n_subjects, 100);
	ck_assert_uint_gt(n_claims, 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_facts");
	TCase *t = tcase_create("facts");
	SRunner *runner;
	int failed;

	if (crypto_init() != 0)
		return 1;
	tcase_add_test(t, draft_and_entry_tell_the_same);
	tcase_add_test(t, the_type_is_numbered_by_its_name);
	tcase_add_loop_test(t, bodies_that_tell_nonsense, 0, sizeof(bodies) / sizeof(bodies[0]));
	tcase_add_test(t, a_walk_ends_where_it_is_told_to);
	tcase_add_loop_test(t, a_draft_tells_what_its_entry_tells, 0, sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(t, what_is_made_of_a_struct_tells_the_same_as_its_draft);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
