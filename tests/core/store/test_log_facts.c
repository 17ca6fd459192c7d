/* What the indexes are told by an entry: facts in their order, and entries that tell nonsense. */
#include "log_fixture.h"

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
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
