/* Where values come from, which source wins, and what is told of mistakes. */
#include "app/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "lib/no_memory.h"
#include "lib/temp_dir.h"

static char dir[TEMP_DIR_LEN];
static struct config_loaded c;

static void start(void)
{
	temp_dir_make(dir, "config");
}

static void stop(void)
{
	config_finish(&c);
	temp_dir_remove(dir);
}

/* dir/name, static until the next call but three. */
static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static const char *file(const char *name, const char *text)
{
	const char *path = in_dir(name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

static const struct config_origin *origin(const char *name)
{
	const struct config_setting *s = config_setting_find(slice_str(name));

	ck_assert_ptr_nonnull(s);
	return &c.origins[s - config_settings];
}

static const char *no_environment[] = {NULL};

START_TEST(defaults_stand_where_nothing_is_said)
{
	struct config_sources sources = {.environment = no_environment, .env_file = ""};

	ck_assert_int_eq(config_load(&c, &sources), 0);
	ck_assert(slice_is(c.values.data, "./data"));
	ck_assert_int_eq(c.values.port, 3000);
	ck_assert_int_eq(c.values.webhook_keep_raw_days, 30);
	ck_assert(c.values.tencent_meeting_token.len == 0);
	ck_assert_int_eq(origin("PORT")->kind, CONFIG_DEFAULT);
	ck_assert_str_eq(config_listen(&c.values, &c.arena), "127.0.0.1:3000");
}
END_TEST

START_TEST(flags_win_over_environment_over_credentials_over_file)
{
	char credentials[128], value_file[160];
	const char *environment[] = {credentials, "LULAB_LISTEN=1.1.1.1:1", "LULAB_LOOPS=3", value_file, "PATH=/bin", NULL};
	struct config_flag flags[] = {{"listen", "2.2.2.2:2"}, {"data", NULL}, {0}};
	struct config_sources sources = {.flags = flags, .environment = environment};

	sources.env_file = file("env", "LULAB_LISTEN=3.3.3.3:3\nLULAB_LOOPS=4\nTENCENT_MEETING_TOKEN=file\n"
	    "LULAB_QUERY_THREADS=5\nLULAB_ORIGIN=of-the-file\n");
	file("TENCENT_MEETING_TOKEN", "credential\n");
	snprintf(credentials, sizeof(credentials), "CREDENTIALS_DIRECTORY=%s", dir);
	snprintf(value_file, sizeof(value_file), "LULAB_ORIGIN_FILE=%s", file("origin", " log.example/x \n"));
	ck_assert_int_eq(config_load(&c, &sources), 0);
	ck_assert(slice_is(c.values.listen, "2.2.2.2:2"));
	ck_assert_str_eq(origin("LULAB_LISTEN")->place, "--listen");
	ck_assert_int_eq(c.values.loops, 3);
	ck_assert_int_eq(origin("LULAB_LOOPS")->kind, CONFIG_ENVIRONMENT);
	ck_assert(slice_is(c.values.tencent_meeting_token, "credential"));
	ck_assert_int_eq(origin("TENCENT_MEETING_TOKEN")->kind, CONFIG_CREDENTIAL);
	ck_assert_int_eq(c.values.query_threads, 5);
	ck_assert_int_eq(origin("LULAB_QUERY_THREADS")->kind, CONFIG_ENV_FILE);
	ck_assert_ptr_nonnull(strstr(origin("LULAB_QUERY_THREADS")->place, "env:4"));
	ck_assert(slice_is(c.values.origin, "log.example/x"));
	ck_assert(slice_is(c.values.data, "./data")); /* a flag without value is none */
}
END_TEST

START_TEST(the_file_may_be_written_as_people_write_it)
{
	struct config_sources sources = {.environment = no_environment};

	sources.env_file = file("env", "# a comment\n\n  export LULAB_DATA = \"/srv/a b\\\"c\" # why\n"
	    "LULAB_LOG_LEVEL='debug'\nLULAB_IDLE_TIMEOUT=20s # twenty\nCORS_ORIGINS= https://a , https://b\r\n"
	    "LULAB_DISK_RESERVE=2GiB\nCORS_CREDENTIALS=true\nLULAB_LISTEN=\n");
	ck_assert_int_eq(config_load(&c, &sources), 0);
	ck_assert(slice_is(c.values.data, "/srv/a b\"c"));
	ck_assert(slice_is(c.values.log_level, "debug"));
	ck_assert_int_eq(c.values.idle_timeout, 20000);
	ck_assert_uint_eq(c.values.cors_origins.n, 2);
	ck_assert(slice_is(c.values.cors_origins.items[1], "https://b"));
	ck_assert_int_eq(c.values.disk_reserve, INT64_C(2) << 30);
	ck_assert(c.values.cors_credentials);
	ck_assert_uint_eq(c.values.listen.len, 0);
}
END_TEST

START_TEST(quotes_and_comments_end_where_they_should)
{
	struct config_sources sources = {.environment = no_environment};

	sources.env_file = file("env", "LULAB_DATA='a\\b \"c\" # d'\nLULAB_ORIGIN=\"x\\ny\\\\z\"\nLULAB_LOG_LEVEL=debug\t# why\n"
	    "LULAB_LISTEN=# nowhere\nCORS_ORIGINS=https://a#b\n");
	ck_assert_int_eq(config_load(&c, &sources), 0);
	ck_assert(slice_is(c.values.data, "a\\b \"c\" # d"));
	ck_assert(slice_is(c.values.origin, "x\ny\\z"));
	ck_assert(slice_is(c.values.log_level, "debug"));
	ck_assert_uint_eq(c.values.listen.len, 0);
	ck_assert(slice_is(c.values.cors_origins.items[0], "https://a#b"));
	config_finish(&c);
	/* A quote that a backslash hides does not close. */
	sources.env_file = file("env", "LULAB_DATA=\"a\\\"\nLULAB_ORIGIN=\"\nLULAB_LISTEN=\"b\\\n");
	ck_assert_int_eq(config_load(&c, &sources), ERR_INVALID);
	ck_assert_uint_eq(c.problems.total, 3);
}
END_TEST

START_TEST(what_is_empty_is_not_said)
{
	const char *environment[] = {"CREDENTIALS_DIRECTORY=", "LULAB_ORIGIN_FILE=", "LULAB_LOOPS=", "nothing", NULL};
	struct config_sources nothing = {.env_file = ""}, sources = {.environment = environment, .env_file = ""};

	ck_assert_int_eq(config_load(&c, &nothing), 0);
	ck_assert(slice_is(c.values.data, "./data"));
	config_finish(&c);
	ck_assert_int_eq(config_load(&c, &sources), 0);
	ck_assert_int_eq(origin("LULAB_ORIGIN")->kind, CONFIG_DEFAULT);
	ck_assert_int_eq(origin("LULAB_LOOPS")->kind, CONFIG_DEFAULT);
}
END_TEST

/* It is read without being named when it is there. */
START_TEST(the_usual_file_is_that_of_the_working_directory)
{
	struct config_sources sources = {.environment = no_environment};

	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(config_load(&c, &sources), 0);
	config_finish(&c);
	file(".env", "LULAB_LOOPS=2\n");
	ck_assert_int_eq(config_load(&c, &sources), 0);
	ck_assert_int_eq(c.values.loops, 2);
	config_finish(&c);
	ck_assert_int_eq(unlink(".env"), 0);
	ck_assert_int_eq(symlink(".env", ".env"), 0);
	ck_assert_int_eq(config_load(&c, &sources), ERR_INVALID);
	ck_assert_str_eq(c.problems.items[0].path, ".env");
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_certificate_and_its_key_come_together)
{
	const char *environment[] = {"LULAB_TLS_KEY=/k.pem", NULL};
	struct config_sources sources = {.environment = environment, .env_file = ""};

	ck_assert_int_eq(config_load(&c, &sources), ERR_INVALID);
	ck_assert_str_eq(c.problems.items[0].path, "LULAB_TLS_CERT");
}
END_TEST

START_TEST(all_mistakes_are_told_at_once_and_none_tells_a_value)
{
	const char *environment[] = {"LULAB_LOOPS=many", "LULAB_TLS_CERT=/c.pem", "LULAB_LISTN=x", "LULAB_LISTEN=everywhere",
	    "TENCENT_MEETING_ENCODING_AES_KEY=tooshortsecret", "LULAB_ORIGIN_FILE=/nowhere/at/all", NULL};
	struct config_sources sources = {.environment = environment};
	static const char *const wrong[] = {"LULAB_ORIGIN", "LULAB_LOOPS", "LULAB_LOG_LEVEL", "PORT",
	    "TENCENT_MEETING_ENCODING_AES_KEY", "LULAB_TLS_KEY", "LULAB_LISTEN"};
	struct buf all = BUF_INIT(65536);

	sources.env_file = file("env", "PORT=99999\nLULAB_LOG_LEVEL=loud\nnonsense\nLULAB_DATA=\"open\nDATABASE_URL=postgres://x\n");
	ck_assert_int_eq(config_load(&c, &sources), ERR_INVALID);
	for (size_t i = 0; i < c.problems.n; i++)
		buf_printf(&all, "%s: %s\n", c.problems.items[i].path, c.problems.items[i].message);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(strstr(all.ptr, wrong[i]) != NULL, "%s is not told: %s", wrong[i], all.ptr);
	ck_assert_ptr_nonnull(strstr(all.ptr, "env:3")); /* nonsense */
	ck_assert_ptr_nonnull(strstr(all.ptr, "env:4")); /* the open quote */
	ck_assert_uint_eq(c.problems.total, 9);
	ck_assert_ptr_null(strstr(all.ptr, "tooshortsecret"));
	ck_assert_uint_eq(c.remarks.total, 2);
	ck_assert_str_eq(c.remarks.items[0].code, "unknown");
	ck_assert_str_eq(c.remarks.items[0].path, "LULAB_LISTN");
	ck_assert_str_eq(c.remarks.items[1].code, "unused");
	ck_assert_str_eq(c.remarks.items[1].path, "DATABASE_URL");
	buf_finish(&all);
}
END_TEST

START_TEST(a_file_that_was_named_must_be_there)
{
	struct config_sources sources = {.environment = no_environment, .env_file = "/nowhere/.env"};

	ck_assert_int_eq(config_load(&c, &sources), ERR_INVALID);
	ck_assert_uint_eq(c.problems.n, 1);
	ck_assert_str_eq(c.problems.items[0].code, "file");
}
END_TEST

START_TEST(a_credential_that_cannot_be_read_is_told)
{
	char credentials[128];
	const char *environment[] = {credentials, NULL};
	struct config_sources sources = {.environment = environment, .env_file = ""};

	snprintf(credentials, sizeof(credentials), "CREDENTIALS_DIRECTORY=%s", dir);
	ck_assert_int_eq(config_load(&c, &sources), 0); /* one that is not there is not meant */
	config_finish(&c);
	ck_assert_int_eq(symlink("TENCENT_MEETING_TOKEN", in_dir("TENCENT_MEETING_TOKEN")), 0);
	ck_assert_int_eq(config_load(&c, &sources), ERR_INVALID);
	ck_assert_str_eq(c.problems.items[0].path, in_dir("TENCENT_MEETING_TOKEN"));
}
END_TEST

/* Wherever memory ends: all settings as they were given, or none. A service must not start with another data directory. */
START_TEST(no_setting_is_lost_when_memory_ends)
{
	char credentials[128], file_value[160];
	const char *environment[] = {credentials, file_value, "LULAB_LISTEN=1.1.1.1:1", NULL};
	struct config_flag flags[] = {{"data", "/srv/data"}, {0}};
	struct config_sources sources = {.flags = flags, .environment = environment,
	    .env_file = file("env", "LULAB_QUERY_THREADS=\"3\"\n")};
	int rc = ERR_NOMEM, left;

	snprintf(credentials, sizeof(credentials), "CREDENTIALS_DIRECTORY=%s", dir);
	file("TENCENT_MEETING_TOKEN", "tokenFromCredential123");
	snprintf(file_value, sizeof(file_value), "TENCENT_MEETING_ENCODING_AES_KEY_FILE=%s",
	    file("aes", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"));
	for (int n = 0; rc != 0; n++) {
		config_finish(&c);
		no_memory_in = n;
		rc = config_load(&c, &sources);
		left = no_memory_in;
		no_memory_in = -1; /* Check allocates too */
		ck_assert_msg(rc == (left < 0 ? ERR_NOMEM : 0), "the %dth allocation from now: %s", n + 1, err_name(rc));
	}
	ck_assert(slice_is(c.values.data, "/srv/data"));
	ck_assert(slice_is(c.values.listen, "1.1.1.1:1"));
	ck_assert(slice_is(c.values.tencent_meeting_token, "tokenFromCredential123"));
	ck_assert_int_eq(c.values.query_threads, 3);
	ck_assert_uint_gt(c.values.tencent_meeting_encoding_aes_key.len, 0);
}
END_TEST

START_TEST(every_setting_has_what_its_users_need)
{
	for (size_t i = 0; i < config_settings_n; i++) {
		const struct config_setting *s = &config_settings[i];

		ck_assert_ptr_eq(config_setting_find(s->field->name), s);
		ck_assert_ptr_nonnull(s->section);
		ck_assert_ptr_nonnull(s->field->description);
	}
	ck_assert_ptr_null(config_setting_find(SLICE("LULAB_LISTN")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tc = tcase_create("config");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, defaults_stand_where_nothing_is_said);
	tcase_add_test(tc, flags_win_over_environment_over_credentials_over_file);
	tcase_add_test(tc, the_file_may_be_written_as_people_write_it);
	tcase_add_test(tc, quotes_and_comments_end_where_they_should);
	tcase_add_test(tc, what_is_empty_is_not_said);
	tcase_add_test(tc, the_usual_file_is_that_of_the_working_directory);
	tcase_add_test(tc, a_certificate_and_its_key_come_together);
	tcase_add_test(tc, all_mistakes_are_told_at_once_and_none_tells_a_value);
	tcase_add_test(tc, a_file_that_was_named_must_be_there);
	tcase_add_test(tc, a_credential_that_cannot_be_read_is_told);
	tcase_add_test(tc, no_setting_is_lost_when_memory_ends);
	tcase_add_test(tc, every_setting_has_what_its_users_need);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
