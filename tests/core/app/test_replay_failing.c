/*
 * Effects that are switched on late, and what came before them wanted after all: once each, whatever call fails meanwhile.
 * What is asked for in vain, and how that is said.
 */
#include "app/adapter.h"
#include "core/app/request_walk.h"

#define N_OLD 400u /* events from before the effect was switched on; each walk takes some */

static void run(struct effect_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		calls[i].outcome = EFFECT_DONE;
		calls[i].class = NULL;
	}
}

static const char *no_settings(void *state)
{
	(void)state;
	return "RIG_KEY is not set";
}

static int start_rig(struct app *app, void **ret_state)
{
	*ret_state = app;
	return 0;
}

static const struct effect_lane mails = {.name = "mail", .class = EFFECT_MAIL, .concurrency = 1, .base_ms = 1, .cap_ms = 2,
    .tries_max = 100, .age_max_ms = INT64_C(1) << 50};
static const struct effect_lane messages = {.name = "sms", .class = EFFECT_ONCE, .concurrency = 1, .base_ms = 1, .cap_ms = 2,
    .tries_max = 100, .age_max_ms = INT64_C(1) << 50};
static const struct effect mail_effects[] = {{.name = "mail.code", .lane = &mails, .run = run}, {0}};
static const struct effect message_effects[] = {{.name = "sms.code", .lane = &messages, .run = run, .off = no_settings}, {0}};
static const struct adapter rig = {.name = "rig", .start = start_rig, .effects = mail_effects},
    off = {.name = "off", .start = start_rig, .effects = message_effects};

static uint64_t first, n_asked;

static void want_old(unsigned i, const char *expires)
{
	char data[512];

	snprintf(data, sizeof(data), "{\"request_id\":\"%032u\",\"purpose\":\"LOGIN\",\"channel\":\"EMAIL\","
	    "\"target_digest\":\"%04uAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	    "\"address_digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"deliver\":true,\"expires_at_ms\":%s,"
	    "\"sealed_code\":\"x\"}", i, i, expires);
	if (i == 0)
		first = give(&walk.r.f, "verification.requested", data);
	else
		give(&walk.r.f, "verification.requested", data);
}

static void setup(void)
{
	static const char *const settings[] = {"LULAB_TRUSTED_PROXIES=127.0.0.1/32", NULL};
	static const struct adapter *const with[] = {&rig, &off, NULL};

	walk_open(NULL, settings, NULL, 0);
	for (unsigned i = 0; i < N_OLD; i++)
		want_old(i, "9999999999999");
	want_old(N_OLD, "1000");
	eventlog_wake(walk.r.app.log);
	app_stop(&walk.r.app);
	app_rig_open(&walk.r, with);
	n_asked = 0;
}

static uint64_t count(const char *type)
{
	return count_events(&walk.r.f, type);
}

/* The next of the old events. */
static void choose(void)
{
	char text[24];

	ck_assert_uint_lt(n_asked, N_OLD);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(first + n_asked++));
	walk_set("from", slice_str(text));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(first + n_asked));
	walk_set("to", slice_str(text));
}

static const struct walk_request replay = {.line = "POST /api/v1/effects/replays",
    .body = "{'effect':'mail.code','from':$from,'to':$to}", .status = 200};

static bool says(struct slice text, const char *what)
{
	return walk_says(&(struct walk_request){.says = what}, text);
}

static int ask_for_one(void)
{
	struct buf body = BUF_INIT(1u << 20);
	int status;

	failing_pause();
	status = walk_exchange(&replay, &body);
	ck_assert_msg(status == 0 || status >= 500 || status == 200, "%d: %s", status, body.ptr);
	if (status == 200 && body.len > 0 && body.ptr[body.len - 1] == '}') {
		ck_assert_msg(says(buf_slice(&body), "'found':1,'expired':0,'known':0,'count':1"), "%s", body.ptr);
		ck_assert_uint_eq(count("effect.replayed"), n_asked);
	}
	buf_finish(&body);
	failing_go_on();
	return 0;
}

static void it_is_wanted_once(int rc, const char *what)
{
	struct walk_request again = replay;

	(void)rc;
	again.says = "'found':1,'expired':0,'known':1,'count':0";
	walk_do(&again); /* asked until it says so */
	ck_assert_msg(count("effect.replayed") == n_asked, "%llu of %llu after %s failed", (unsigned long long)count("effect.replayed"),
	    (unsigned long long)n_asked, what == NULL ? "nothing" : what);
}

START_TEST(what_came_before_is_wanted_once_whatever_fails)
{
	static const char *const threads[] = {"http loop", "lulab-command", "lulab-decide", "lulab-long", "query", NULL};
	struct failing_walk of = {.kinds = FAILING_ALL, .before = choose, .act = ask_for_one, .after = it_is_wanted_once,
	    .runs_on = true, .threads = threads, .depth = 3};
	unsigned n = failing_walk(&of);

	ck_assert_msg(n >= 60, "only %u calls failed", n);
	while (count("effect.done") < n_asked)
		ck_assert_int_ne(eventlog_wait(walk.r.f.log, eventlog_size(walk.r.f.log), 50), ERR_CANCELLED);
	ck_assert_uint_eq(count("effect.attempted"), n_asked);
}
END_TEST

#define REPLAY(body, status, says) {MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/replays", body, status, says)}

static const struct walk_case asked[] = {
	/* Of what is not wanted any more is told how many there are. */
	REPLAY("{'effect':'mail.code','dryRun':true}", 200, "'found':401,'expired':1,'known':0,'count':400"),
	REPLAY("{'effect':'mail.code','fromTime':'2020-01-01T00:00:00Z','toTime':'2099-01-01T00:00:00Z','dryRun':true}", 200,
	    "'found':401,"),
	REPLAY("{'effect':'mail.code','toTime':'2020-01-01T00:00:00Z','dryRun':true}", 200, "'to':0,'dryRun':true,'found':0,"),
	REPLAY("{'effect':'mail.code','from':99999999,'dryRun':true}", 200, "'found':0,"),
	REPLAY("{'effect':'sms.code','dryRun':true}", 409, "RIG_KEY is not set"),
	REPLAY("{'effect':'fax.code'}", 404, "no effect of this name"),
	REPLAY("{'effect':'mail.code','from':281474976710657}", 400, "from: is in no log"),
	REPLAY("{'effect':'mail.code','to':281474976710657}", 400, "to: is in no log"),
	REPLAY("{'effect':'mail.code','to':1,'toTime':'2020-01-01T00:00:00Z'}", 400, "toTime: and a position"),
};

START_TEST(what_is_asked_for_is_counted_or_refused)
{
	walk_answers(asked, COUNT(asked));
	ck_assert_uint_eq(count("effect.replayed"), 0);
}
END_TEST

/* One at a time; and none once the service stops. */
START_TEST(a_replay_waits_for_its_time)
{
	const struct walk_request all = ASK_SAYS(NULL, "POST /api/v1/effects/replays", "{'effect':'mail.code'}", 409, "under way"),
	    stopped = ASK(NULL, "POST /api/v1/effects/replays", "{'effect':'mail.code'}", 503),
	    fine = ASK_SAYS(NULL, "POST /api/v1/effects/replays", "{'effect':'mail.code'}", 200, "'count':400");
	struct buf body = BUF_INIT(1u << 20);

	atomic_store(&walk.r.app.replaying, true);
	ck_assert_int_eq(walk_exchange(&all, &body), all.status);
	ck_assert(walk_says(&all, buf_slice(&body)));
	atomic_store(&walk.r.app.replaying, false);
	atomic_store(&walk.r.app.stopping, true);
	buf_clear(&body);
	ck_assert_int_eq(walk_exchange(&stopped, &body), stopped.status);
	ck_assert_uint_eq(count("effect.replayed"), 0);
	atomic_store(&walk.r.app.stopping, false);
	buf_clear(&body);
	ck_assert_int_eq(walk_exchange(&fine, &body), fine.status);
	ck_assert_msg(walk_says(&fine, buf_slice(&body)), "%s", body.ptr);
	ck_assert_uint_eq(count("effect.replayed"), N_OLD);
	buf_finish(&body);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replay_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, walk_close);
	tcase_add_test(t, what_is_asked_for_is_counted_or_refused);
	tcase_add_test(t, a_replay_waits_for_its_time);
	tcase_add_test(t, what_came_before_is_wanted_once_whatever_fails);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
