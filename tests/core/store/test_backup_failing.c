/*
 * A keyring's copy is made, read and restored while every call fails once: no copy and no keyring is there that is
 * not whole, and what was erased comes back with none.
 */
#include "store/keyring_backup.h"

#include "core/store/projection_fixture.h"
#include "lib/failing.h"
#include "lib/run.h"

#include "base/log.h"

enum { KEPT, ERASED_BEFORE, ERASED_AFTER, LOST, N_IDS }; /* before and after the copy was made; the last has its key since */

static struct projection_fixture f;
static char copy_path[96];
static struct id ids[N_IDS];
static uint8_t kept_key[KEYRING_KEY_LEN];
static struct keyring_backup good; /* what the copy holds */

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static struct keyring_options options(void)
{
	return (struct keyring_options){.dir = f.keys_dir, .root_key_path = f.root_path, .stock = 8, .keep_days = 30,
	    .clock = &f.clock.clock, .rng = &rng_system};
}

static void open_ring(void)
{
	struct keyring_options o = options();
	struct sealer_options seal = {.origin = FIXTURE_ORIGIN, .lookup = fixture_lookup, .lookup_arg = f.log, .rng = &rng_system};

	ck_assert_int_eq(keyring_open(&f.keyring, &o), 0);
	seal.keyring = f.keyring;
	ck_assert_int_eq(sealer_create(&f.sealer, &seal), 0);
}

static void close_ring(void)
{
	sealer_destroy(f.sealer);
	keyring_close(f.keyring);
	f.sealer = NULL;
	f.keyring = NULL;
}

static struct id give_person(const char *name)
{
	struct subject subject;
	char data[200];

	snprintf(data, sizeof(data), "{\"meeting_id\":\"m1\",\"operate_at_ms\":1000,\"operator\":{\"uuid\":\"%s\"}}", name);
	give(&f, "meeting.started", data);
	ck_assert_int_eq(sealer_subject(f.sealer, SLICE("tencent.user"), slice_str(name), &subject), 0);
	return subject.id;
}

static void ask_for_erasure(const struct id *id)
{
	struct event_privacy_erasure_requested data = {.ground = SLICE_INIT("asked for"), .requested_by = SLICE_INIT("li")};
	struct event_context ctx = {&rng_system, &f.clock.clock, NULL};
	struct event_meta meta = {.source = SLICE("/privacy"), .actor = SLICE("li"), .expect = EXPECT_ANY};
	struct arena a = ARENA_INIT(1u << 20);
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	char text[ID_TEXT_LEN + 1];

	id_format(text, id);
	data.subject_id = slice_str(text);
	ck_assert_int_eq(event_draft_make(&ctx, EVENT_PRIVACY_ERASURE_REQUESTED, &data, &meta, &a, &draft, NULL), 0);
	ck_assert_int_eq(eventlog_append_wait(f.log, &append), 0);
	arena_finish(&a);
}

static int copy(struct keyring_backup *ret)
{
	struct keyring_options o = options();

	return keyring_backup(&o, copy_path, ret);
}

static void setup(void)
{
	log_set_sink(quiet, NULL);
	fixture_init(&f);
	snprintf(copy_path, sizeof(copy_path), "%s/copy", f.dir);
	close_ring();
	open_ring(); /* by our clock */
	ids[KEPT] = give_person("kept");
	ids[ERASED_BEFORE] = give_person("before");
	ids[ERASED_AFTER] = give_person("after");
	ck_assert_int_eq(keyring_get(f.keyring, &ids[KEPT], kept_key), 0);
	ck_assert_int_eq(keyring_erase(f.keyring, &ids[ERASED_BEFORE], 1), 0);
	close_ring();
	ck_assert_int_eq(copy(&good), 0);
	open_ring();
	for (int i = 0; i < 40; i++) { /* more than the copy had in stock */
		char name[16];

		snprintf(name, sizeof(name), "late %d", i);
		ids[LOST] = give_person(name);
	}
	ask_for_erasure(&ids[ERASED_AFTER]);
	close_ring();
}

static void teardown(void)
{
	fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

/* ---- a copy ------------------------------------------------------------------------------------ */

static struct keyring_backup told;

static void without_copy(void)
{
	ck_assert_int_eq(tree_remove(copy_path), 0);
}

static int copy_and_read(void)
{
	struct keyring_backup read;
	int64_t made_at_ms;
	int rc = copy(&told);

	if (rc == 0)
		rc = keyring_backup_made_at(copy_path, &made_at_ms);
	if (rc == 0 && made_at_ms != told.made_at_ms)
		rc = ERR_CONFLICT;
	if (rc == 0)
		rc = keyring_backup_check(copy_path, f.root_path, &read);
	if (rc == 0 && (read.keys != told.keys || read.tombstones != 1))
		rc = ERR_CONFLICT;
	return rc;
}

static void the_copy_is_whole(int rc, const char *what)
{
	struct keyring_backup read;

	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	ck_assert_msg(rc != ERR_CONFLICT, "a copy is not what it is said to be, after %s failed", what);
	if (rc == 0 || file_exists(copy_path)) {
		ck_assert_msg(keyring_backup_check(copy_path, f.root_path, &read) == 0, "a broken copy, after %s failed", what);
		ck_assert_uint_ge(read.keys, good.keys);
		ck_assert_uint_eq(read.tombstones, 1);
	}
}

/* ---- and back ------------------------------------------------------------------------------------ */

static void without_ring(void)
{
	ck_assert_int_eq(tree_remove(f.keys_dir), 0);
}

static int restore(void)
{
	struct keyring_options o = options();

	return keyring_restore(&o, copy_path, f.log, &told);
}

static void the_ring_is_whole(int rc, const char *what)
{
	uint8_t key[KEYRING_KEY_LEN];

	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	if (!file_exists(f.keys_dir))
		ck_assert_int_eq(restore(), 0);
	open_ring();
	ck_assert_int_eq(keyring_get(f.keyring, &ids[KEPT], key), 0);
	ck_assert_mem_eq(key, kept_key, sizeof(key));
	for (int i = ERASED_BEFORE; i < N_IDS; i++)
		ck_assert_msg(keyring_get(f.keyring, &ids[i], key) == ERR_ERASED, "key %d is back after %s failed", i, what);
	close_ring();
	ck_assert_uint_eq(told.keys, good.keys);
	ck_assert_uint_eq(told.erased, 1);
	ck_assert_uint_ge(told.lost, 1);
}

static const struct {
	void (*before)(void);
	int (*act)(void);
	void (*after)(int rc, const char *what);
	unsigned n_min; /* calls */
} walks[] = {
	{without_copy, copy_and_read, the_copy_is_whole, 30},
	{without_ring, restore, the_ring_is_whole, 60},
};

START_TEST(every_call_fails_once)
{
	struct failing_walk walk = {.kinds = FAILING_ALL, .before = walks[_i].before, .act = walks[_i].act, .after = walks[_i].after,
	    .depth = 6};

	ck_assert_uint_ge(failing_walk(&walk), walks[_i].n_min);
}
END_TEST

/* ---- a copy that is none --------------------------------------------------------------------------- */

START_TEST(a_copy_that_was_altered_is_none)
{
	struct buf bytes = BUF_INIT(1u << 20), bad = BUF_INIT(1u << 20);
	struct keyring_backup read;

	ck_assert_int_eq(file_read(&bytes, copy_path), 0);
	without_ring();
	for (size_t i = 0; i < bytes.len; i += i < 128 ? 1 : 37) {
		bytes.ptr[i] ^= 1;
		ck_assert_int_eq(file_replace(copy_path, buf_slice(&bytes), 0600), 0);
		ck_assert_msg(keyring_backup_check(copy_path, f.root_path, &read) != 0, "byte %zu may be another", i);
		ck_assert_int_ne(restore(), 0);
		ck_assert(!file_exists(f.keys_dir));
		bytes.ptr[i] ^= 1;
	}
	for (size_t len = 0; len < bytes.len; len += len < 128 ? 1 : 37) {
		ck_assert_int_eq(file_replace(copy_path, slice_of(bytes.ptr, len), 0600), 0);
		ck_assert_msg(keyring_backup_check(copy_path, f.root_path, &read) != 0, "%zu bytes may do", len);
	}
	buf_append(&bad, buf_slice(&bytes));
	buf_append(&bad, buf_slice(&bytes));
	ck_assert_int_eq(file_replace(copy_path, buf_slice(&bad), 0600), 0);
	ck_assert_int_ne(keyring_backup_check(copy_path, f.root_path, &read), 0);
	ck_assert_int_eq(file_replace(copy_path, buf_slice(&bytes), 0600), 0);
	ck_assert_int_eq(restore(), 0);
	buf_finish(&bytes);
	buf_finish(&bad);
}
END_TEST

START_TEST(without_the_file_or_its_root_key_there_is_nothing)
{
	struct keyring_backup read;
	int64_t made_at_ms;

	ck_assert_int_eq(keyring_backup_check("/nowhere/at/all", f.root_path, &read), ERR_NOT_FOUND);
	ck_assert_int_eq(keyring_backup_made_at("/nowhere/at/all", &made_at_ms), ERR_NOT_FOUND);
	ck_assert_int_ne(keyring_backup_check(copy_path, "/nowhere/at/all", &read), 0);
	ck_assert_int_eq(keyring_backup_made_at(f.root_path, &made_at_ms), ERR_CORRUPT);
	ck_assert_int_eq(copy(&read), ERR_EXISTS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backup_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_call_fails_once, 0, (int)COUNT(walks));
	tcase_add_test(t, a_copy_that_was_altered_is_none);
	tcase_add_test(t, without_the_file_or_its_root_key_there_is_nothing);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
