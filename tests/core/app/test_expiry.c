/* What is good for a while is that, and no longer: access and refresh tokens, API keys, one-time codes. The service's clock is set. */
#include <stdatomic.h>

#include "core/app/request_walk.h"

#define MINUTES INT64_C(60000000)
#define HOURS (60 * MINUTES)
#define DAYS (24 * HOURS)

static _Atomic int64_t ahead_us; /* of the system's */

static int64_t wall(void *arg)
{
	(void)arg;
	return clock_wall_us(&clock_system) + atomic_load(&ahead_us);
}

static int64_t monotonic(void *arg)
{
	(void)arg;
	return clock_monotonic_us(&clock_system);
}

static void pass(int64_t us)
{
	atomic_fetch_add(&ahead_us, us);
}

static void setup(void)
{
	static const struct clock clock = {wall, monotonic, NULL};
	static const char *const settings[] = {"LULAB_ENV=development", "LULAB_TRUSTED_PROXIES=127.0.0.1/32", NULL};
	static const struct walk_request made[] = {
		MAKE(NULL, "POST /api/v1/users", "{'username':'somebody','displayName':'S','role':'AUDITOR'}", 201, "user=id"),
	};

	atomic_store(&ahead_us, 0);
	app_rig_clock = &clock;
	walk_open(NULL, settings, made, COUNT(made));
}

static void ask_so(struct walk_request q)
{
	walk_do(&q);
}

#define SIGN_IN ask_so((struct walk_request)MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "access=accessToken")); \
	ask_so((struct walk_request)MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "refresh=refreshToken"))
#define ME(token, status, says) ask_so((struct walk_request)ASK_SAYS(token, "GET /api/v1/me", NULL, status, says))
#define REFRESH(token) ask_so((struct walk_request)MAKE("", "POST /api/auth/refresh-token", "{'refreshToken':'$" token "'}", 200, \
	token "=refreshToken"))
#define NO_REFRESH(token) ask_so((struct walk_request)ASK_SAYS("", "POST /api/auth/refresh-token", "{'refreshToken':'$" token "'}", \
	401, "'invalid_token'"))

START_TEST(an_access_token_is_good_for_ten_minutes)
{
	SIGN_IN;
	ME("$access", 200, "'userId':'$user'");
	pass(9 * MINUTES);
	ME("$access", 200, "'userId':'$user'");
	pass(3 * MINUTES); /* clocks may differ by one */
	ME("$access", 401, "This access token has expired");
}
END_TEST

START_TEST(a_log_in_nobody_uses_ends_after_a_week)
{
	SIGN_IN;
	pass(7 * DAYS - MINUTES);
	REFRESH("refresh");
	pass(7 * DAYS + MINUTES);
	NO_REFRESH("refresh");
}
END_TEST

START_TEST(a_log_in_ends_after_thirty_days)
{
	SIGN_IN;
	for (int i = 0; i < 4; i++) {
		pass(6 * DAYS);
		REFRESH("refresh");
	}
	pass(6 * DAYS - HOURS);
	REFRESH("refresh");
	pass(2 * HOURS);
	NO_REFRESH("refresh");
}
END_TEST

/* For who lost the answer; later somebody else has a copy, and the log-in ends for all. */
START_TEST(a_refresh_token_is_good_twice_for_ten_seconds)
{
	SIGN_IN;
	walk_set("first", slice_str(walk_value(SLICE("refresh"))));
	REFRESH("refresh");
	ask_so((struct walk_request)ASK_SAYS("", "POST /api/auth/refresh-token", "{'refreshToken':'$first'}", 200,
	    "'refreshToken':'$refresh'"));
	pass(11 * 1000000);
	NO_REFRESH("first");
	NO_REFRESH("refresh");
	ck_assert_uint_eq(count_events(&walk.r.f, "session.reused"), 1);
}
END_TEST

START_TEST(whose_account_is_closed_gets_no_new_token)
{
	static const struct walk_request closed[] = {ASK(NULL, "POST /api/v1/users/$user/disable", "{'reason':'x'}", 200),
	    ASK(NULL, "DELETE /api/v1/users/$user", NULL, 204)};

	SIGN_IN;
	walk_do(&closed[_i]);
	NO_REFRESH("refresh");
	ask_so((struct walk_request)ASK("$access", "GET /api/v1/me", NULL, 401));
}
END_TEST

START_TEST(an_api_key_ends_when_it_says)
{
	char soon[TIME_TEXT_MS_LEN + 1];

	SIGN_IN;
	time_format_ms(soon, (clock_wall_us(&clock_system) + 2 * HOURS) / 1000);
	walk_set("soon", slice_str(soon));
	ask_so((struct walk_request)MAKE("$access", "POST /api/v1/api-keys",
	    "{'name':'k','scopes':['events:read'],'expiresAt':'$soon'}", 201, "key=key"));
	ask_so((struct walk_request)ASK("$key", "GET /api/v1/events", NULL, 200));
	pass(HOURS);
	ask_so((struct walk_request)ASK("$key", "GET /api/v1/events", NULL, 200));
	pass(HOURS + MINUTES);
	ask_so((struct walk_request)ASK_SAYS("$key", "GET /api/v1/events", NULL, 401, "This API key has expired"));
}
END_TEST

START_TEST(a_code_is_good_for_five_minutes)
{
	walk_set("p", SLICE("a"));
	ask_so((struct walk_request)ASK("", "POST /api/auth/otp/send", "{'target':'one@example.com','type':'register'}", 200));
	pass(4 * MINUTES);
	ask_so((struct walk_request)ASK("", "POST /api/auth/register", "{'type':'email_code','email':'one@example.com','code':'$code'}", 201));
	ask_so((struct walk_request)ASK("", "POST /api/auth/otp/send", "{'target':'two@example.com','type':'register'}", 200));
	pass(6 * MINUTES);
	ask_so((struct walk_request)ASK("", "POST /api/auth/register", "{'type':'email_code','email':'two@example.com','code':'$code'}", 400));
	ck_assert_uint_eq(count_events(&walk.r.f, "verification.used"), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("expiry");
	TCase *t = tcase_create("expiry");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, walk_close);
	tcase_add_test(t, an_access_token_is_good_for_ten_minutes);
	tcase_add_test(t, a_log_in_nobody_uses_ends_after_a_week);
	tcase_add_test(t, a_log_in_ends_after_thirty_days);
	tcase_add_test(t, a_refresh_token_is_good_twice_for_ten_seconds);
	tcase_add_loop_test(t, whose_account_is_closed_gets_no_new_token, 0, 2);
	tcase_add_test(t, an_api_key_ends_when_it_says);
	tcase_add_test(t, a_code_is_good_for_five_minutes);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
