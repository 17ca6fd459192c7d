/*
 * What administrators ask for while every call that can fail does so once: organisations and their parts, roles,
 * accounts, keys. Nothing that changes is half known when it is told: a text there was no memory for is no empty text.
 */
#include "core/app/request_walk.h"

/* Texts with escapes take room where others are borrowed. */
static const struct walk_request made[] = {
	MAKE(NULL, "POST /admin/orgs", "{'name':'Or\\'g','code':'org','description':'o\\nd'}", 201, "org=id"),
	MAKE(NULL, "POST /admin/orgs", "{'name':'Other','code':'other'}", 201, "other=id"),
	MAKE(NULL, "POST /admin/orgs/$org/departments", "{'name':'To\\'p','code':'top','description':'t\\nd'}", 201,
	    "top=id"),
	MAKE(NULL, "POST /admin/orgs/$org/departments", "{'name':'Lo\\'w','code':'low','parentId':'$top'}", 201, "low=id"),
	MAKE(NULL, "POST /admin/data-permission-rules", "{'code':'rule','name':'Ru\\'le','resource':'meetings',"
	    "'condition':'{\\'scope\\':\\'DEPARTMENT\\'}'}", 201, "rule=id"),
	MAKE(NULL, "POST /admin/permissions", "{'code':'lab:read','resource':'lab','action':'read','name':'La\\'b'}",
	    201, "perm=id"),
	MAKE(NULL, "POST /admin/roles",
	    "{'orgId':'$org','name':'Ro\\'le','code':'chief','description':'r\\nd','dataScope':'DEPARTMENT',"
	    "'permissionIds':['departments:read','departments:write','members:read','members:write','roles:read','lab:read']}", 201,
	    "chief=id"),
	MAKE(NULL, "POST /api/v1/users", "{'username':'boss','displayName':'Bo\\'ss'}", 201, "boss=id"),
	MAKE(NULL, "POST /api/v1/users/$boss/tokens", NULL, 201, "bossToken=accessToken"),
	MAKE(NULL, "POST /admin/orgs/$org/members",
	    "{'userId':'$boss','departmentIds':['$top'],'roleIds':['$chief'],'title':'T\\'t'}", 201,
	    "bossMember=id"),
	ASK(NULL, "PATCH /admin/members/$bossMember/status", "{'status':'ACTIVE'}", 200),
};

#define NEW_USER MAKE(NULL, "POST /api/v1/users", "{'username':'user$n','displayName':'U\\'u'}", 201, "user=id")
#define NEW_MEMBER NEW_USER, MAKE(NULL, "POST /admin/orgs/$org/members", "{'userId':'$user','orgDisplayName':'M\\'m'," \
	"'employeeNo':'e$n','departmentIds':['$low']}", 201, "member=id")
#define NEW_DEPARTMENT MAKE(NULL, "POST /admin/orgs/$org/departments", "{'name':'D\\'d','code':'d$n','description':'d\\nd'," \
	"'parentId':'$top','leaderUserId':'$boss'}", 201, "dept=id")
#define NEW_ORG MAKE(NULL, "POST /admin/orgs", \
	"{'name':'O\\'o','code':'o$n','description':'o\\nd','parentId':'$org'}", 201, "new=id")
#define NEW_ROLE MAKE(NULL, "POST /admin/roles", "{'orgId':'$other','name':'R\\'r','code':'r$n','permissionIds':['orgs:read']," \
	"'dataRuleIds':['$rule']}", 201, "role=id")
#define NEW_PERMISSION MAKE(NULL, "POST /admin/permissions", "{'code':'p$n:read','resource':'p$n','action':'read','name':'P\\'p'}", \
	201, "new=id")
#define NEW_RULE MAKE(NULL, "POST /admin/data-permission-rules", "{'code':'x$n','name':'X\\'x','resource':'meetings'," \
	"'condition':'{\\'scope\\':\\'OWN\\'}'}", 201, "new=id")
#define NEW_KEY MAKE("$bossToken", "POST /api/v1/api-keys", "{'name':'k$n','scopes':['meetings:read'],'allowedIps':['10.0.0.0/8']}", \
	201, "key=id")

static const struct walk_case organisations[] = {
	{MADE_NOTHING, ASK(NULL, "GET /admin/orgs?page=1&pageSize=2&keyword=o", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /api/v1/orgs/$org/stats", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "POST /admin/orgs", "{'name':'O','code':'new$n','parentId':'$org'}", 201)},
	{{NEW_ORG}, ASK(NULL, "PUT /admin/orgs/$new", "{'name':'N\\'n','code':'changed$n','parentId':'$other'}", 200)},
	{{NEW_ORG}, ASK(NULL, "PATCH /admin/orgs/$new/status", "{'active':false}", 200)},
	{{NEW_ORG}, ASK(NULL, "DELETE /admin/orgs/$new", NULL, 204)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/orgs/$org/departments?parentId=$top&level=2", NULL, 200)},
	{MADE_NOTHING, ASK("$bossToken", "GET /api/v1/orgs/$org/departments/tree", NULL, 200)},
	{MADE_NOTHING, ASK("$bossToken", "GET /admin/departments/$low", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/departments/$low/ancestors", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/departments/$top/children", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/departments/$top/members?includeChildren=true", NULL, 200)},
	{MADE_NOTHING, ASK("$bossToken", "POST /admin/orgs/$org/departments",
	    "{'name':'n','code':'c$n','description':'x','parentId':'$low','leaderUserId':'$boss'}", 201)},
	{{NEW_DEPARTMENT}, ASK(NULL, "PUT /admin/departments/$dept",
	    "{'name':'z','code':'z$n','parentId':'$low','sortOrder':3,"
	    "'active':true,'leaderUserId':'$boss'}", 200)},
	{{NEW_DEPARTMENT}, ASK(NULL, "PATCH /admin/departments/$dept/move", "{'parentId':'$low','sortOrder':1}", 200)},
	{{NEW_DEPARTMENT}, ASK(NULL, "PATCH /admin/departments/$dept/status", "{'active':false}", 200)},
	{{NEW_DEPARTMENT}, ASK(NULL, "DELETE /admin/departments/$dept", NULL, 204)},
};

static const struct walk_case members[] = {
	{MADE_NOTHING, ASK(NULL, "GET /admin/orgs/$org/members?deptId=$top&includeChildren=true&status=ACTIVE", NULL, 200)},
	{MADE_NOTHING, ASK("$bossToken", "GET /admin/members/$bossMember", NULL, 200)},
	{{NEW_USER}, ASK(NULL, "POST /admin/orgs/$org/members",
	    "{'userId':'$user','employeeNo':'y$n','departmentIds':['$low'],"
	    "'primaryDeptId':'$top','roleIds':['$chief']}", 201)},
	{{NEW_USER}, ASK("$bossToken", "POST /admin/orgs/$org/members", "{'userId':'$user','departmentIds':['$low']}", 201)},
	{{NEW_USER}, ASK(NULL, "POST /admin/orgs/$org/members/batch",
	    "{'members':[{'userId':'$user'},{'userId':'nobody','title':'x'}]}",
	    201)},
	{{NEW_MEMBER}, ASK(NULL, "PUT /admin/members/$member",
	    "{'type':'EXTERNAL','employeeNo':'z$n','title':'b','primaryDeptId':'$low',"
	    "'joinedAt':'2026-01-02T03:04:05Z'}", 200)},
	{{NEW_MEMBER}, ASK("$bossToken", "PATCH /admin/members/$member/status", "{'status':'SUSPENDED'}", 200)},
	{{NEW_MEMBER}, ASK(NULL, "PATCH /admin/members/$member/departments",
	    "{'departmentIds':['$top'],'append':true}", 200)},
	{{NEW_MEMBER, MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "userToken=accessToken")},
	    ASK("$userToken", "POST /admin/members/$member/accept", NULL, 200)},
	{{NEW_MEMBER, MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "userToken=accessToken")},
	    ASK("$userToken", "POST /admin/members/$member/leave", NULL, 200)},
	{{NEW_MEMBER}, ASK(NULL, "DELETE /admin/members/$member", NULL, 204)},
};

static const struct walk_case roles[] = {
	{MADE_NOTHING, ASK(NULL, "GET /admin/roles?orgId=$org&active=true", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/roles/code/chief", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/roles/$chief", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "POST /admin/roles",
	    "{'orgId':'$other','name':'N','code':'n$n','permissionIds':['$perm','orgs:read'],"
	    "'dataRuleIds':['$rule']}", 201)},
	{{NEW_ROLE}, ASK(NULL, "PUT /admin/roles/$role", "{'name':'a','description':'b','permissionIds':['lab:read'],"
	    "'dataRuleIds':['$rule'],'dataScope':'OWN','active':true}", 200)},
	{{NEW_ROLE}, ASK(NULL, "PUT /admin/roles/orgs/$other/roles/$role/permissions",
	    "{'permissionKeys':['lab:read']}", 200)},
	{{NEW_ROLE}, ASK(NULL, "DELETE /admin/roles/$role", NULL, 204)},
	{{NEW_MEMBER}, ASK(NULL, "POST /admin/roles/orgs/$org/role-bindings",
	    "{'roleId':'$chief','membershipId':'$member'}", 201)},
	{{NEW_MEMBER, MAKE(NULL, "POST /admin/roles/orgs/$org/role-bindings",
	    "{'roleId':'$chief','membershipId':'$member'}", 201,
	    "binding=id")}, ASK(NULL, "DELETE /admin/roles/orgs/$org/role-bindings/$binding", NULL, 204)},
	{{NEW_USER}, ASK(NULL, "POST /admin/roles/AUDITOR/users", "{'userId':'$user'}", 204)},
	{{NEW_USER, ASK(NULL, "POST /admin/roles/AUDITOR/users", "{'userId':'$user'}", 204)},
	    ASK(NULL, "DELETE /admin/roles/AUDITOR/users/$user", NULL, 204)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/permissions?resource=lab&active=true", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/permissions/tree", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/permissions/code/lab:read", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "POST /admin/permissions",
	    "{'code':'q$n:read','resource':'q$n','action':'read','name':'q','parentId':'$perm'}",
	    201)},
	{{NEW_PERMISSION}, ASK(NULL, "PUT /admin/permissions/$new",
	    "{'name':'r','description':'s','type':'MENU','parentId':'$perm',"
	    "'level':2,'sortOrder':3,'active':false}", 200)},
	{{NEW_PERMISSION}, ASK(NULL, "DELETE /admin/permissions/$new", NULL, 204)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/data-permission-rules?resource=meetings&active=true", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /admin/data-permission-rules/code/rule", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "POST /admin/data-permission-rules", "{'code':'y$n','name':'Y','resource':'meetings',"
	    "'condition':'{\\'scope\\':\\'OWN\\'}'}", 201)},
	{{NEW_RULE}, ASK(NULL, "PUT /admin/data-permission-rules/$new", "{'name':'a','description':'b','resource':'orgs',"
	    "'condition':'{\\'scope\\':\\'ORGANIZATION\\'}','active':false}", 200)},
	{{NEW_RULE}, ASK(NULL, "DELETE /admin/data-permission-rules/$new", NULL, 204)},
};

static const struct walk_case accounts[] = {
	{MADE_NOTHING, ASK(NULL, "GET /api/v1/users?limit=1", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /api/v1/users/$boss", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "POST /api/v1/users/find", "{'name':'boss'}", 200)},
	{MADE_NOTHING, ASK(NULL, "POST /api/v1/users",
	    "{'username':'new$n','email':'n$n@example.com','phone':'139','displayName':'N',"
	    "'role':'AUDITOR'}", 400)},
	{MADE_NOTHING, ASK(NULL, "POST /api/v1/users",
	    "{'username':'new$n','email':'N$n@example.com','displayName':'N','legacyId':'old$n',"
	    "'role':'AUDITOR'}", 201)},
	{{NEW_USER}, ASK(NULL, "PATCH /api/v1/users/$user",
	    "{'username':'other$n','email':'o$n@example.com','displayName':'O'}", 200)},
	{{NEW_USER}, ASK(NULL, "POST /api/v1/users/$user/disable", "{'reason':'why'}", 200)},
	{{NEW_USER, ASK(NULL, "POST /api/v1/users/$user/disable", "{'reason':'why'}", 200)},
	    ASK(NULL, "POST /api/v1/users/$user/enable", NULL, 200)},
	{{NEW_USER, ASK(NULL, "POST /api/v1/users/$user/tokens", NULL, 201)},
	    ASK(NULL, "DELETE /api/v1/users/$user", NULL, 204)},
	{{NEW_USER, ASK(NULL, "DELETE /api/v1/users/$user", NULL, 204)},
	    ASK(NULL, "POST /api/v1/users/$user/restore", NULL, 200)},
	{{NEW_USER}, ASK(NULL, "POST /api/v1/users/$user/tokens", NULL, 201)},
	{{NEW_USER}, ASK(NULL, "PUT /api/v1/users/$user/password", "{'password':'correct horse battery'}", 204)},
	{MADE_NOTHING, ASK(NULL, "GET /api/v1/logins?limit=1", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /api/v1/platform-identities", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "GET /api/v1/users/$boss/platform-identities", NULL, 200)},
};

static const struct walk_case keys[] = {
	{MADE_NOTHING, ASK("$bossToken", "POST /api/v1/api-keys",
	    "{'name':'k$n','scopes':['meetings:read'],'allowedIps':['10.0.0.0/8'],"
	    "'rateLimit':5}", 201)},
	{MADE_NOTHING, ASK("$bossToken", "GET /api/v1/api-keys?limit=1", NULL, 200)},
	{{NEW_KEY}, ASK("$bossToken", "GET /api/v1/api-keys/$key", NULL, 200)},
	{{NEW_KEY}, ASK("$bossToken", "PATCH /api/v1/api-keys/$key",
	    "{'name':'l$n','scopes':['meetings:read'],'allowedIps':null,'rateLimit':7}",
	    200)},
	{{NEW_KEY}, ASK("$bossToken", "POST /api/v1/api-keys/$key/rotate", NULL, 201)},
	{{NEW_KEY}, ASK("$bossToken", "POST /api/v1/api-keys/$key/revoke", NULL, 204)},
	{{MAKE("$bossToken", "POST /api/v1/api-keys",
	    "{'name':'k$n','scopes':['meetings:read'],'allowedIps':['10.0.0.0/8']}", 201, "secret=key")},
	    ASK("$secret", "GET /api/v1/me", NULL, 200)},
};

/* What is given, and what is refused, and how. A few of each: of keys nobody has more than a hundred. */
#define REFUSED(as, line, body, status, says) {MADE_NOTHING, ASK_SAYS(as, line, body, status, says)}
#define KEY "POST /api/v1/api-keys"
#define ONE_KEY "PATCH /api/v1/api-keys/$key"
#define NEW_SECRET(more) MAKE("$bossToken", KEY, "{'name':'k$n','scopes':['meetings:read']" more "}", 201, "secret=key")
#define NOBODY "0123456789abcdef0123456789abcdef"

static const struct walk_case refused[] = {
	/* Of an organisation: what its owner may there. */
	{{MAKE("$bossToken", "POST /api/v1/api-keys", "{'name':'k$n','orgId':'$org','scopes':['members:read','lab:read']}", 201,
	    "secret=key")}, ASK_SAYS("$secret", "GET /api/v1/me", NULL, 200, "'lab:read'")},
	{{MAKE("$bossToken", "POST /api/v1/api-keys", "{'name':'k$n','orgId':'$org','scopes':['members:read']}", 201, "secret=key")},
	    ASK("$secret", "GET /admin/orgs/$org/members", NULL, 200)},
	/* By the operator, for somebody. */
	{MADE_NOTHING, ASK(NULL, "POST /api/v1/api-keys", "{'name':'k$n','userId':'$boss','orgId':'$org','scopes':['members:read'],"
	    "'expiresAt':'$soon'}", 201)},
	{{NEW_KEY}, ASK(NULL, "PATCH /api/v1/api-keys/$key", "{'scopes':[],'expiresAt':'$soon'}", 200)},
	{{NEW_KEY}, ASK("$bossToken", "PATCH /api/v1/api-keys/$key", "{'name':'only'}", 200)},
	REFUSED(NULL, KEY, "{'name':'k','scopes':[]}", 400, "say userId"),
	REFUSED(NULL, KEY, "{'name':'k','userId':'" NOBODY "'}", 404, "There is no such account"),
	REFUSED("$bossToken", KEY, "{'name':'k','userId':'" NOBODY "'}", 403, "A key for somebody else"),
	REFUSED("$bossToken", KEY, "{'scopes':[]}", 400, "/name"),
	REFUSED("$bossToken", KEY, "{'name':'k','orgId':'$org'}", 400, "'/scopes'"),
	REFUSED("$bossToken", KEY, "{'name':'k','scopes':['users:write','orgs:write']}", 403, "do not: users:write, orgs:write"),
	REFUSED("$bossToken", KEY, "{'name':'k','orgId':'$other','scopes':['members:read']}", 403, "do not: members:read"),
	REFUSED(NULL, KEY, "{'name':'k','userId':'$boss','scopes':['users:write']}", 403, "do not: users:write"),
	REFUSED("$bossToken", KEY, "{'name':'k','expiresAt':'2020-01-01T00:00:00Z'}", 400, "expired already"),
	REFUSED("$bossToken", KEY, "{'name':'k','expiresAt':'2099-01-01T00:00:00Z'}", 400, "a year at most"),
	REFUSED("$bossToken", KEY, "{'name':'k','expiresAt':'2027-02-30T00:00:00Z'}", 400, "/expiresAt"),
	REFUSED("$bossToken", KEY, "{'name':'k','allowedIps':['10.0.0.0/8','none']}", 400, "'/allowedIps/1'"),
	REFUSED("$bossToken", KEY, "{'name':'k','allowedIps':['10.0.0.0/8,11.0.0.0/8']}", 400, "'/allowedIps/0'"),
	{{NEW_KEY}, ASK_SAYS("$bossToken", ONE_KEY, "{'expiresAt':'2020-01-01T00:00:00Z'}", 400, "expired already")},
	{{NEW_KEY}, ASK_SAYS("$bossToken", ONE_KEY, "{'allowedIps':['none']}", 400, "'/allowedIps/0'")},
	{{NEW_KEY}, ASK_SAYS("$bossToken", ONE_KEY, "{'scopes':['users:write']}", 403, "do not: users:write")},
	{{NEW_KEY}, ASK_SAYS("$bossToken", ONE_KEY, "{'rateLimit':0}", 400, "/rateLimit")},
	{{NEW_KEY, ASK("$bossToken", "POST /api/v1/api-keys/$key/revoke", NULL, 204)},
	    ASK_SAYS("$bossToken", ONE_KEY, "{'name':'l'}", 400, "'revoked'")},
	{{NEW_KEY, ASK("$bossToken", "POST /api/v1/api-keys/$key/revoke", NULL, 204)},
	    ASK("$bossToken", "POST /api/v1/api-keys/$key/revoke", NULL, 204)},
	REFUSED("$bossToken", "GET /api/v1/api-keys?userId=" NOBODY, NULL, 403, "The keys of others"),
	REFUSED(NULL, "GET /api/v1/api-keys?userId=$boss&orgId=$org&status=ACTIVE&pageSize=2", NULL, 200, "'data':["),
	REFUSED(NULL, "GET /api/v1/api-keys?limit=1", NULL, 200, "'data':["),
	REFUSED(NULL, "GET /api/v1/api-keys/" NOBODY, NULL, 404, "not_found"),
	/* What it is that a key is refused for. */
	{{NEW_SECRET(",'rateLimit':1"), ASK("$secret", "GET /api/v1/me", NULL, 200)},
	    ASK_SAYS("$secret", "GET /api/v1/me", NULL, 429, "1 times a minute")},
	{{NEW_SECRET(",'allowedIps':['192.0.2.0/24']")}, ASK_SAYS("$secret", "GET /api/v1/me", NULL, 403, "address")},
	{{NEW_KEY, NEW_SECRET("")}, ASK_SAYS("$secret", "GET /admin/orgs/$org/members", NULL, 403, "members:read")},
	{{MAKE("$bossToken", "POST /api/v1/api-keys", "{'name':'k$n','orgId':'$org','scopes':['members:read']}", 201, "secret=key")},
	    ASK("$secret", "GET /admin/orgs/$other/members", NULL, 403)},
	{{MAKE("$bossToken", "POST /api/v1/api-keys", "{'name':'k$n','orgId':'$org','scopes':['members:read']}", 201, "secret=key")},
	    ASK("$secret", "GET /api/v1/meetings", NULL, 403)},

	{{NEW_MEMBER, ASK(NULL, "PATCH /admin/members/$member/status", "{'status':'ACTIVE'}", 200)},
	    ASK_SAYS(NULL, "PATCH /admin/members/$member/status", "{'status':'INVITED'}", 400, "can be invited again")},
	{{NEW_MEMBER}, ASK(NULL, "PUT /admin/members/$member", "{'joinedAt':'2026-02-30T00:00:00Z'}", 400)},
	{{NEW_MEMBER, MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "own=accessToken"),
	    ASK("$own", "POST /admin/members/$member/accept", NULL, 200), ASK("$own", "POST /admin/members/$member/leave", NULL, 200)},
	    ASK_SAYS("$bossToken", "PATCH /admin/members/$member/status", "{'status':'ACTIVE'}", 403, "invite them again")},
	{{NEW_MEMBER, MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "own=accessToken"),
	    ASK("$own", "POST /admin/members/$member/accept", NULL, 200)},
	    ASK_SAYS("$own", "POST /admin/members/$member/accept", NULL, 400, "no open invitation")},
	{{NEW_MEMBER, MAKE(NULL, "POST /api/v1/users/$user/tokens", NULL, 201, "own=accessToken"),
	    ASK("$own", "POST /admin/members/$member/leave", NULL, 200)},
	    ASK_SAYS("$own", "POST /admin/members/$member/leave", NULL, 400, "has ended already")},
	{{NEW_MEMBER}, ASK("$bossToken", "POST /admin/members/$member/accept", NULL, 404)},
	{{NEW_USER}, ASK("$bossToken", "POST /admin/orgs/$org/members", "{'userId':'$user','departmentIds':['$low'],'roleIds':['$chief']}",
	    403)},
};

#define KINDS (FAILING_MEMORY | FAILING_ARENAS | FAILING_SQLITE)
#define DEPTH 5

static void setup(void)
{
	static const char *const settings[] = {"LULAB_TRUSTED_PROXIES=127.0.0.1/32", NULL};

	char soon[TIME_TEXT_MS_LEN + 1];

	walk_open(NULL, settings, made, COUNT(made));
	time_format_ms(soon, clock_wall_ms(&clock_system) + INT64_C(86400000));
	walk_set("soon", slice_of(soon, TIME_TEXT_MS_LEN));
}

START_TEST(an_answer_is_right_or_says_that_it_could_not)
{
	unsigned n = walk_cases(organisations, COUNT(organisations), KINDS, DEPTH);

	n += walk_cases(members, COUNT(members), KINDS, DEPTH);
	n += walk_cases(roles, COUNT(roles), KINDS, DEPTH);
	n += walk_cases(accounts, COUNT(accounts), KINDS, DEPTH);
	n += walk_cases(keys, COUNT(keys), KINDS, DEPTH);
	ck_assert_uint_ge(n, 500);
}
END_TEST

START_TEST(what_may_not_be_is_refused_in_words)
{
	walk_answers(refused, COUNT(refused));
}
END_TEST

/* Its prefix is shown to many; of the secret each character counts, and no answer tells how near one was. */
START_TEST(who_has_a_part_of_a_key_has_nothing)
{
	static const struct walk_request make = MAKE("$bossToken", KEY, "{'name':'k','scopes':[]}", 201, "secret=key"),
	    good = ASK("$secret", "GET /api/v1/me", NULL, 200), bad = ASK_SAYS("$wrong", "GET /api/v1/me", NULL, 401, "'unauthorized'");
	struct slice whole;
	char wrong[128];

	walk_do(&make);
	whole = slice_str(walk_value(SLICE("secret")));
	for (size_t i = 0; i < whole.len; i += 4) {
		snprintf(wrong, sizeof(wrong), "%.*s", SLICE_ARG(whole));
		wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
		walk_set("wrong", slice_str(wrong));
		walk_do(&bad);
		walk_set("wrong", slice_of(whole.ptr, i));
		if (i > 0)
			walk_do(&bad);
	}
	walk_do(&good);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("admin_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, walk_close);
	tcase_add_test(t, what_may_not_be_is_refused_in_words);
	tcase_add_test(t, who_has_a_part_of_a_key_has_nothing);
	tcase_add_test(t, an_answer_is_right_or_says_that_it_could_not);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
