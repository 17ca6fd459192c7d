/*
 * What people do about their own accounts while every call that can fail does so once: codes, log-ins, sessions,
 * profile, passwords, erasure.
 */
#include "core/app/request_walk.h"

#define PASSWORD "correct horse battery"

static const struct walk_request made[] = {
	MAKE(NULL, "POST /api/v1/users",
	    "{'username':'somebody','displayName':'So\\'me','email':'some@example.com','password':'" PASSWORD "'}",
	    201, "some=id"),
	MAKE(NULL, "POST /api/v1/users/$some/tokens", NULL, 201, "access=accessToken"),
};

#define SEND(kind, target) ASK("", "POST /api/auth/otp/send", "{'target':'" target "','type':'" kind "'}", 200)
#define NEW_USER MAKE(NULL, "POST /api/v1/users", \
	"{'username':'user$n','email':'user$n@example.com','displayName':'U\\'u'}", 201, "user=id")
#define NEW_SESSION MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "refresh=refreshToken")
#define NEW_ACCESS MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "own=accessToken")
#define REFRESHED ASK("", "POST /api/auth/refresh-token", "{'refreshToken':'$refresh'}", 200)

static const struct walk_case codes[] = {
	{MADE_NOTHING, SEND("register", "new$n@example.com")},
	{{SEND("register", "try$n@example.com")},
	    ASK("", "POST /api/auth/otp/verify", "{'target':'try$n@example.com','code':'$code','type':'register'}", 200)},
	{{SEND("register", "try$n@example.com")},
	    ASK("", "POST /api/auth/otp/verify", "{'target':'try$n@example.com','code':'0000','type':'register'}", 200)},
	{{SEND("register", "reg$n@example.com")}, ASK("", "POST /api/auth/register",
	    "{'type':'email_code','email':'reg$n@example.com','code':'$code','username':'reg$n','deviceId':'d'}", 201)},
	{{SEND("register", "139$p")}, ASK("", "POST /api/auth/register",
	    "{'type':'phone_code','phone':'139$p','code':'$code'}", 201)},
	{{SEND("register", "reg$n@example.com")},
	    ASK("", "POST /api/auth/register", "{'type':'email_code','email':'reg$n@example.com','code':'0000'}", 400)},
};

static const struct walk_case logins[] = {
	{{NEW_USER, SEND("login", "user$n@example.com")},
	    ASK_WITH("", "POST /api/auth/login",
	    "{'type':'email_code','email':'user$n@example.com','code':'$code','clientType':'web'}", 200,
	    "Origin: http://x\r\n")},
	{MADE_NOTHING, ASK("", "POST /api/auth/login",
	    "{'type':'email_code','email':'nobody$n@example.com','code':'123456'}", 401)},
	{{NEW_USER, NEW_SESSION}, ASK("", "POST /api/auth/refresh-token",
	    "{'refreshToken':'$refresh','deviceInfo':'x'}", 200)},
	/* The answer was lost and is asked for again: the same token. */
	{{NEW_USER, NEW_SESSION, REFRESHED}, REFRESHED},
	/* Used by somebody else: the log-in ends. */
	{{NEW_USER, NEW_SESSION, REFRESHED},
	    ASK("", "POST /api/auth/refresh-token", "{'refreshToken':'$refresh','deviceId':'other'}", 401)},
	{MADE_NOTHING, ASK("", "POST /api/auth/refresh-token", "{'refreshToken':'nonsense'}", 401)},
	{{NEW_USER, NEW_ACCESS}, ASK("$own", "POST /api/auth/logout", "{}", 200)},
	{{NEW_USER, NEW_SESSION, NEW_ACCESS}, ASK("$own", "POST /api/auth/logout",
	    "{'refreshToken':'$refresh','revokeAllDevices':true}", 200)},
	{{NEW_USER, NEW_ACCESS}, ASK("$own", "GET /api/auth/me", NULL, 200)},
	{{NEW_USER, NEW_ACCESS}, ASK("$own", "GET /api/auth/permissions", NULL, 200)},
	{{NEW_USER, NEW_ACCESS}, ASK("$own", "GET /api/auth/sessions", NULL, 200)},
	{{NEW_USER, NEW_SESSION, MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "own=accessToken"),
	    MAKE("$own", "GET /api/auth/sessions", NULL, 200, "session=id")}, ASK("$own",
	    "DELETE /api/auth/sessions/$session", NULL, 204)},
	{MADE_NOTHING, ASK("$access", "GET /api/v1/auth/logins", NULL, 200)},
	{MADE_NOTHING, ASK("$access", "GET /api/v1/auth/platform-identities", NULL, 200)},
	{MADE_NOTHING, ASK("nonsense", "GET /api/auth/me", NULL, 401)},
};

static const struct walk_case profiles[] = {
	{MADE_NOTHING, ASK("$access", "GET /api/user/profile", NULL, 200)},
	{{NEW_USER, NEW_ACCESS}, ASK("$own", "PUT /api/user/profile",
	    "{'displayName':'N\\'n','bio':'b','username':'named$n',"
	    "'dateOfBirth':'2000-02-29','gender':'FEMALE','avatar':'https://x.example/a'}", 200)},
	{{NEW_USER, NEW_ACCESS, SEND("change_contact", "moved$n@example.com")},
	    ASK("$own", "PUT /api/user/profile", "{'email':'moved$n@example.com','emailCode':'$code'}", 200)},
	{{NEW_USER, NEW_ACCESS}, ASK("$own", "PUT /api/user/profile",
	    "{'email':'moved$n@example.com','emailCode':'0000'}", 400)},
	{{MAKE(NULL, "POST /api/v1/users",
	    "{'username':'gone$n','email':'gone$n@example.com','displayName':'G\\'g'}", 201, "user=id"),
	    ASK(NULL, "POST /api/v1/users/$user/tokens", NULL, 201)}, {NULL, "DELETE /api/v1/users/$user?erase=true",
	    NULL, 200, NULL, NULL, true, NULL}},
};

/* Hashing a password takes its time: few places are left for these. */
static const struct walk_case passwords[] = {
	{MADE_NOTHING, ASK("", "POST /api/auth/login",
	    "{'type':'username_password','username':'somebody','password':'" PASSWORD "'}", 200)},
	{{NEW_USER}, ASK("", "POST /api/auth/login",
	    "{'type':'username_password','username':'user$n','password':'wrong'}", 401)},
	{{NEW_USER, SEND("reset_password", "user$n@example.com")}, ASK("", "POST /api/auth/reset-password",
	    "{'target':'user$n@example.com','code':'$code','newPassword':'another good one'}", 200)},
};

#define KINDS (FAILING_MEMORY | FAILING_ARENAS)
#define DEPTH 5

static void setup(void)
{
	static const char *const settings[] = {"LULAB_ENV=development", "LULAB_TRUSTED_PROXIES=127.0.0.1/32", NULL};

	walk_open(NULL, settings, made, COUNT(made));
}

/* In one process, so that what is costly comes when most places were seen. */
START_TEST(an_account_is_right_or_it_is_said_that_it_could_not_be)
{
	unsigned n = walk_cases(codes, COUNT(codes), KINDS, DEPTH);

	n += walk_cases(logins, COUNT(logins), KINDS, DEPTH);
	n += walk_cases(profiles, COUNT(profiles), KINDS, DEPTH);
	n += walk_cases(passwords, COUNT(passwords), KINDS, DEPTH);
	ck_assert_uint_ge(n, 250);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("people_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, walk_close);
	tcase_add_test(t, an_account_is_right_or_it_is_said_that_it_could_not_be);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
