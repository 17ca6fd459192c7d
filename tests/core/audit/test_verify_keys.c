/*
 * From the key that an auditor was given to those that the log changed to: which records count, and that nothing leads
 * to a key but a note signed under one that is accepted already.
 */
#include "memory_log.h"

static struct memory_key first, second, third, witness;
static struct verify_options options;
static struct verify_summary summary;
static struct buf told;

static void on_finding(void *arg, const struct verify_finding *finding)
{
	(void)arg;
	buf_printf(&told, "%s\n", finding->text);
}

static bool stopped_after(void *arg)
{
	unsigned *left = arg;

	if (*left == 0)
		return true;
	--*left;
	return false;
}

static void setup(void)
{
	ck_assert_int_eq(crypto_init(), 0);
	memset(&memory_log, 0, sizeof(memory_log));
	memory_log.has_size = true;
	told = (struct buf)BUF_INIT(65536);
	ck_assert_ptr_nonnull(buf_reserve(&told, 1));
	memory_key_make(&first, MEMORY_ORIGIN, NOTE_ED25519, 1);
	memory_key_make(&second, MEMORY_ORIGIN, NOTE_ED25519, 2);
	memory_key_make(&third, MEMORY_ORIGIN, NOTE_ED25519, 3);
	memory_key_make(&witness, "witness.example.test/w1", NOTE_COSIGNATURE, 4);
	options = (struct verify_options){.keys = {first.key}, .n_log_keys = 1, .on_finding = on_finding, .threads = 1};
}

static void teardown(void)
{
	buf_finish(&told);
}

/* "{"vkey":"..."}" for the key. */
static void add(const char *type, const char *vkey)
{
	char data[400];

	snprintf(data, sizeof(data), "{\"vkey\":\"%s\"}", vkey);
	memory_log_add(type, data);
}

static int verify(void)
{
	return verify_log(&memory_source, &options, &summary);
}

/* Created under the first, changed to the second, that to the third; each change was signed under the key before. */
static void change_twice(void)
{
	add("log.created", first.vkey);
	add("log.key.added", second.vkey);
	memory_log_sign(2, &first);
	add("log.key.retired", first.vkey);
	add("log.key.added", third.vkey);
	memory_log_sign(4, &second);
	add("log.key.retired", second.vkey);
	memory_log_sign(5, &third);
}

START_TEST(the_last_key_is_reached_from_the_first)
{
	change_twice();
	ck_assert_int_eq(verify(), 0);
	ck_assert_msg(summary.n_evidence == 0 && summary.n_unknown == 0, "%s", told.ptr);
	ck_assert_uint_eq(summary.keys_reached, 2);
	/* Where the source does not say how many records there are, the newest note does. */
	memory_log.has_size = false;
	ck_assert_int_eq(verify(), 0);
	ck_assert_msg(summary.n_evidence == 0, "%s", told.ptr);
	ck_assert_uint_eq(summary.keys_reached, 2);
}
END_TEST

START_TEST(a_key_given_twice_is_one)
{
	change_twice();
	options.keys[1] = third.key;
	options.n_log_keys = 2;
	ck_assert_int_eq(verify(), 0);
	ck_assert_msg(summary.n_evidence == 0 && summary.n_unknown == 0, "%s", told.ptr);
	ck_assert_uint_eq(summary.keys_reached, 1);
}
END_TEST

START_TEST(without_a_note_of_the_key_before_there_is_no_way)
{
	add("log.created", first.vkey);
	add("log.key.added", second.vkey);
	memory_log_sign(1, &first); /* before the record of the change */
	memory_log_sign(2, &second);
	ck_assert_int_eq(verify(), 0);
	ck_assert_uint_ge(summary.n_evidence, 1);
	ck_assert_uint_eq(summary.keys_reached, 0);
	ck_assert_ptr_nonnull(strstr(told.ptr, "is not signed by a key given"));
}
END_TEST

static char foreign_vkey[220], cosigning_vkey[220];

static const struct {
	const char *says, *data; /* NULL: of the foreign key; "": of the witness's */
	const char *type;
} useless[] = {
	{"a key of another log", NULL, "log.key.added"},
	{"a key that cosigns", "", "log.key.added"},
	{"no key", "{}", "log.key.added"},
	{"a number", "{\"vkey\":1}", "log.key.added"},
	{"an empty text", "{\"vkey\":\"\"}", "log.key.added"},
	{"a text that is none", "{\"vkey\":\"key\"}", "log.key.added"},
	{"the end of a key there was not", "{\"vkey\":\"key\"}", "log.key.retired"},
	{"another record about the log", "{\"vkey\":\"key\"}", "log.other"},
};

START_TEST(a_record_that_names_no_key_of_the_log_leads_nowhere)
{
	struct memory_key foreign;
	const char *data = useless[_i].data;

	memory_key_make(&foreign, "other.example.test/events", NOTE_ED25519, 2);
	snprintf(foreign_vkey, sizeof(foreign_vkey), "{\"vkey\":\"%s\"}", foreign.vkey);
	snprintf(cosigning_vkey, sizeof(cosigning_vkey), "{\"vkey\":\"%s\"}", witness.vkey);
	add("log.created", first.vkey);
	memory_log_add(useless[_i].type, data == NULL ? foreign_vkey : data[0] == '\0' ? cosigning_vkey : data);
	memory_log_sign(2, &first);
	memory_log_add("a.b", "{}");
	memory_log_sign(3, &second);
	ck_assert_int_eq(verify(), 0);
	ck_assert_msg(summary.keys_reached == 0 && summary.n_evidence > 0, "%s", useless[_i].says);
}
END_TEST

START_TEST(a_note_of_another_log_by_a_key_given_is_no_note)
{
	struct buf note;

	add("log.created", first.vkey);
	note = memory_log_note("other.example.test/events", 1, &first);
	snprintf(memory_log.notes[0].text, sizeof(memory_log.notes[0].text), "%s", note.ptr);
	memory_log.notes[0].size = 1;
	memory_log.n_notes = 1;
	buf_finish(&note);
	ck_assert_int_eq(verify(), 0);
	ck_assert_uint_ge(summary.n_evidence, 1);
}
END_TEST

/* What cannot be read is not followed; the verdict says that it is unclear or that the signature is nobody's. */
START_TEST(what_cannot_be_read_leads_nowhere)
{
	change_twice();
	memory_log.entries_rc = ERR_IO;
	ck_assert_int_eq(verify(), 0);
	ck_assert(summary.keys_reached == 0 && summary.n_unknown + summary.n_evidence > 0);
	memory_log.entries_rc = 0;
	memory_log.note_rc = ERR_IO;
	ck_assert_int_eq(verify(), 0);
	ck_assert(summary.keys_reached == 0 && summary.n_unknown + summary.n_evidence > 0);
	memory_log.note_rc = 0;
	memory_log.newest_rc = ERR_IO;
	ck_assert_int_eq(verify(), 0);
	ck_assert(summary.keys_reached == 0 && summary.n_unknown > 0);
}
END_TEST

START_TEST(a_newest_note_that_is_none_is_told)
{
	add("log.created", first.vkey);
	memory_log_sign(1, &first);
	memory_log.has_size = false;
	snprintf(memory_log.notes[0].text, sizeof(memory_log.notes[0].text), "nonsense\n");
	options.old_checkpoint = SLICE("nonsense\n");
	ck_assert_int_eq(verify(), 0);
	ck_assert_uint_ge(summary.n_evidence, 1);
	ck_assert_ptr_nonnull(strstr(told.ptr, "the newest checkpoint is not a checkpoint"));
}
END_TEST

/* More keys than there is room for: those that fit are used. */
START_TEST(there_is_an_end_to_keys)
{
	struct memory_key one;

	add("log.created", first.vkey);
	for (unsigned i = 0; i < 80; i++) {
		memory_key_make(&one, MEMORY_ORIGIN, NOTE_ED25519, (uint8_t)(100 + i));
		add("log.key.added", one.vkey);
	}
	memory_log_sign(81, &first);
	memory_log_add("a.b", "{}");
	memory_log_sign(82, &third);
	ck_assert_int_eq(verify(), 0);
	ck_assert_uint_eq(summary.keys_reached, VERIFY_KEYS_MAX - 1);
	ck_assert_uint_ge(summary.n_evidence, 1); /* the newest is by none of them */
}
END_TEST

START_TEST(whoever_stops_it_gets_it_stopped)
{
	unsigned left;

	change_twice();
	options.stopped = stopped_after;
	options.arg = &left;
	for (unsigned n = 0; n < 2; n++) { /* while keys are looked for; while records are read */
		left = n;
		ck_assert_int_eq(verify(), ERR_CANCELLED);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verify_keys");
	TCase *t = tcase_create("keys");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_last_key_is_reached_from_the_first);
	tcase_add_test(t, a_key_given_twice_is_one);
	tcase_add_test(t, without_a_note_of_the_key_before_there_is_no_way);
	tcase_add_loop_test(t, a_record_that_names_no_key_of_the_log_leads_nowhere, 0, COUNT(useless));
	tcase_add_test(t, a_note_of_another_log_by_a_key_given_is_no_note);
	tcase_add_test(t, what_cannot_be_read_leads_nowhere);
	tcase_add_test(t, a_newest_note_that_is_none_is_told);
	tcase_add_test(t, there_is_an_end_to_keys);
	tcase_add_test(t, whoever_stops_it_gets_it_stopped);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
