/*
 * What is to be done later, while every call that can fail does so once: tasks and their runs, effects and what was owed
 * before, summaries asked for, accounts by the hundred. And what of it is refused, and how that is said.
 */
#include "app/adapter.h"
#include "app/fact.h"
#include "app/tasks.h"
#include "core/app/request_walk.h"

/* With an adapter there are effects; it can do one thing, which comes to nothing. */
static int start_rig(struct app *app, void **ret_state)
{
	(void)app;
	(void)ret_state;
	return 0;
}

static void refuse(struct task_run *run)
{
	task_run_refused(run, "never", "It comes to \"nothing\".");
}

static void fail_inside(struct task_run *run)
{
	task_run_failed(run, ERR_IO, "A disk.");
}

static void fail_outside(struct task_run *run)
{
	task_run_failed(run, ERR_NETWORK, NULL);
}

/* There is room for fourteen events. */
static void ask_for_much(struct task_run *run)
{
	struct event_task_resumed data = {.task_id = run->fired->task_id};
	struct event_draft draft;
	struct fact fact;
	int n = 0, rc;

	fact_begin(&fact, run->app, "/tasks", run->cause, run->arena);
	rc = fact_draft(&fact, EVENT_TASK_RESUMED, &data, &draft);
	for (; rc == 0; n++)
		rc = task_run_result(run, &draft);
	if (rc == ERR_RANGE && n == 15 && !task_run_is_over(run))
		task_run_refused(run, "fourteen", NULL);
	else
		task_run_done(run, SLICE("{}"));
}

static const struct task_kind rig_kinds[] = {{.name = "useless", .summary = "Come to nothing", .run = refuse},
    {.name = "broken", .summary = "Fail", .run = fail_inside}, {.name = "offline", .summary = "Fail elsewhere", .run = fail_outside},
    {.name = "greedy", .summary = "Ask for more than there is room for", .run = ask_for_much}, {0}};
static const struct adapter rig = {.name = "rig", .start = start_rig, .task_kinds = rig_kinds};

#define NO_MEETING "c000000000000000000000000"

static const struct walk_request made[] = {
	MAKE(NULL, "POST /api/v1/tasks", "{'name':'Ta\\'sk','kind':'cleanupExpiredData','cron':'0 3 * * *','jobIdHint':'there'}",
	    201, "task=id"),
	MAKE(NULL, "POST /admin/orgs", "{'name':'Or\\'g','code':'org'}", 201, "org=id"),
	MAKE(NULL, "POST /admin/orgs/$org/departments", "{'name':'Top','code':'top'}", 201, "top=id"),
	MAKE(NULL, "POST /api/v1/users", "{'username':'somebody','displayName':'So\\'me'}", 201, "user=id"),
	MAKE(NULL, "POST /admin/orgs/$org/members", "{'userId':'$user','departmentIds':['$top']}", 201, "member=id"),
	MAKE(NULL, "POST /api/v1/users", "{'username':'clerk','displayName':'C','role':'ADMIN'}", 201, "clerkId=id"),
	MAKE(NULL, "POST /api/v1/users/$clerkId/tokens", NULL, 201, "clerk=accessToken"),
	MAKE("$clerk", "POST /api/v1/api-keys", "{'name':'k','scopes':['users:write']}", 201, "clerkKey=key"),
};

#define NEW_TASK MAKE(NULL, "POST /api/v1/tasks", \
	"{'name':'N\\'n','kind':'cleanupExpiredData','cron':'0 3 * * *','jobIdHint':'hint$n'}", 201, "new=id")
#define NEW_DEAD MAKE(NULL, "POST /tasks/once", "{'name':'useless','runAt':'2099-01-01T00:00:00Z'}", 201, "new=id"), \
	MAKE(NULL, "POST /tasks/$new/run", NULL, 202, "job=jobId"), \
	UNTIL(NULL, "GET /api/v1/effects/$job", "'state':'DEAD'")
#define ALL_GO ASK(NULL, "POST /api/v1/effects/resume", NULL, 200), \
	ASK(NULL, "POST /api/v1/effects/lanes/tasks/resume", NULL, 200)

static const struct walk_case tasks[] = {
	{MADE_NOTHING, ASK_SAYS(NULL,
	    "GET /tasks?search=a%22sk&status=SCHEDULED&type=CRON&kind=cleanupExpiredData&orderBy=updatedAt&orderDir=asc", NULL, 200,
	    "'$task'")},
	{MADE_NOTHING, ASK_SAYS(NULL, "GET /tasks/$task", NULL, 200, "'id':'$task'")},
	{MADE_NOTHING, ASK_SAYS(NULL, "GET /tasks/health", NULL, 200, "'paused':false")},
	/* Whether one is ready it cannot say then. */
	{MADE_NOTHING, {NULL, "GET /api/v1/tasks/kinds", NULL, 200, NULL, NULL, true, "'kind':'generateReport'"}},
	{MADE_NOTHING, ASK_SAYS(NULL,
	    "GET /api/v1/tasks/next?cron=0%203%20*%20*%20*&timezone=Europe/Berlin&count=3&after=2027-01-01T00:00:00Z", NULL, 200,
	    "['2027-01-01T02:00:00.000Z','2027-01-02T02:00:00.000Z','2027-01-03T02:00:00.000Z']")},
	{MADE_NOTHING, ASK_SAYS(NULL, "GET /api/v1/tasks/next?cron=0%203%2029%202%20*&count=1&after=2027-01-01T00:00:00Z", NULL,
	    200, "['2028-02-28T19:00:00.000Z']")},
	{MADE_NOTHING, ASK_SAYS(NULL, "GET /api/v1/tasks/$task/runs?limit=1", NULL, 200, "'data':[")},
	{MADE_NOTHING, ASK(NULL, "POST /tasks/once",
	    "{'name':'cleanupExpiredData','delayMs':99999999,'missed':'SKIP','priority':'LOW','timeLimitMs':2000,"
	    "'maxAttempts':2,'missedMax':3}", 201)},
	{MADE_NOTHING, ASK(NULL, "POST /tasks/once", "{'name':'Re\\'port','runAt':'2099-01-31T00:00:00+08:00','payload':"
	    "{'originalName':'generateReport','report':'ATTENDANCE','days':2},'jobIdHint':'once$n'}", 201)},
	{MADE_NOTHING, ASK(NULL, "POST /tasks/cron",
	    "{'name':'x','kind':'generateReport','cron':'30 4 1 * *','timezone':'Europe/Berlin',"
	    "'payload':{'report':'SUMMARIES','periodType':'MONTHLY'}}", 201)},
	/* Asked for again: the one that has the hint. */
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/tasks",
	    "{'name':'Ta\\'sk','kind':'cleanupExpiredData','cron':'0 3 * * *','jobIdHint':'there'}", 200, "'$task'")},
	{{NEW_TASK}, ASK(NULL, "PATCH /tasks/$new", "{'name':'M','cron':'0 4 * * *','timezone':'UTC','missed':'ALL','status':'PAUSED',"
	    "'priority':'HIGH','timeLimitMs':3000,'maxAttempts':4,'missedMax':5}", 200)},
	{{NEW_TASK}, ASK(NULL, "PATCH /tasks/$new", "{'kind':'meetingSummary','payload':{'meetingId':'" NO_MEETING "'}}", 200)},
	{{NEW_TASK, ASK(NULL, "POST /tasks/$new/pause", NULL, 200)},
	    ASK_SAYS(NULL, "PATCH /tasks/$new", "{'status':'SCHEDULED'}", 200, "'status':'SCHEDULED'")},
	{{NEW_TASK}, ASK_SAYS(NULL, "POST /tasks/$new/pause", NULL, 200, "'status':'PAUSED'")},
	{{NEW_TASK, ASK(NULL, "POST /tasks/$new/pause", NULL, 200)},
	    ASK_SAYS(NULL, "POST /api/v1/tasks/$new/resume", NULL, 200, "'status':'SCHEDULED'")},
	/* What it is already it may be told to be. */
	{{NEW_TASK}, ASK_SAYS(NULL, "POST /tasks/$new/resume", NULL, 200, "'status':'SCHEDULED'")},
	{{NEW_TASK}, ASK_SAYS(NULL, "POST /tasks/$new/run", NULL, 202, "{'jobId':'")},
	{{NEW_TASK}, ASK_SAYS(NULL, "POST /api/v1/tasks/$new/run", NULL, 202, "{'data':{'jobId':'")},
	{{NEW_TASK}, ASK_SAYS(NULL, "DELETE /tasks/$new", NULL, 200, "{'ok':true}")},
	{{NEW_TASK}, ASK(NULL, "DELETE /api/v1/tasks/$new", NULL, 204)},
	{{ASK(NULL, "POST /tasks/resume", NULL, 200)}, ASK(NULL, "POST /tasks/pause", "{'reason':'We\\'ll see'}", 200)},
	{{ASK(NULL, "POST /tasks/pause", NULL, 200)}, ASK_SAYS(NULL, "GET /tasks/health", NULL, 200, "'paused':true")},
	{{NEW_TASK, ASK(NULL, "POST /tasks/pause", NULL, 200)}, ASK_SAYS(NULL, "POST /tasks/$new/run", NULL, 409, "'paused'")},
	{{ASK(NULL, "POST /tasks/pause", NULL, 200)}, ASK(NULL, "POST /tasks/resume", NULL, 200)},
	{MADE_NOTHING, ASK(NULL, "POST /tasks/resume", NULL, 200)},
};

static const struct walk_case effects[] = {
	{{ALL_GO, NEW_DEAD}, ASK_SAYS(NULL, "GET /api/v1/effects/$job", NULL, 200, "'DEAD'")},
	/* How many there are differs from time to time. */
	{{ALL_GO, NEW_DEAD}, {NULL, "GET /api/v1/effects?state=DEAD&limit=1", NULL, 200, NULL, NULL, true, "'DEAD'"}},
	{MADE_NOTHING, {NULL, "GET /api/v1/effects/lanes", NULL, 200, NULL, NULL, true, "'lane':'tasks'"}},
	{MADE_NOTHING, {NULL, "GET /api/v1/effects/running", NULL, 200, NULL, NULL, true, "'data':["}},
	{{ALL_GO, NEW_DEAD}, ASK_SAYS(NULL, "POST /api/v1/effects/$job/retry", NULL, 200, "'state':'WANTED'")},
	{{ALL_GO, NEW_DEAD}, ASK_SAYS(NULL, "POST /api/v1/effects/$job/drop", "{'reason':'No\\'t'}", 200, "'state':'DEAD'")},
	{{ALL_GO, NEW_DEAD, ASK(NULL, "POST /api/v1/effects/$job/drop", "{'reason':'x'}", 200)},
	    ASK(NULL, "POST /api/v1/effects/$job/drop", "{'reason':'x'}", 409)},
	{{ALL_GO, NEW_DEAD}, ASK_SAYS(NULL, "POST /api/v1/effects/retry",
	    "{'lane':'tasks','effect':'task.run','reason':'REFUSED','perMinute':1}", 200, "'count':")},
	{{ASK(NULL, "POST /api/v1/effects/lanes/tasks/pause", "{'reason':'x'}", 200), NEW_TASK,
	    MAKE(NULL, "POST /tasks/$new/run", NULL, 202, "job=jobId"), UNTIL(NULL, "GET /api/v1/effects/$job", "'state':'WANTED'")},
	    ASK_SAYS(NULL, "POST /api/v1/effects/$job/drop", "{'reason':'No\\'t'}", 200, "'state':'CANCELLED'")},
	{{ASK(NULL, "POST /api/v1/effects/lanes/tasks/pause", "{'reason':'x'}", 200), NEW_TASK,
	    MAKE(NULL, "POST /tasks/$new/run", NULL, 202, "job=jobId"), UNTIL(NULL, "GET /api/v1/effects/$job", "'state':'WANTED'")},
	    ASK_SAYS(NULL, "POST /api/v1/effects/$job/retry", NULL, 409, "'conflict'")},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/pause", "{'reason':'Al\\'l'}", 200, "'lane':'*','paused':true")},
	{{ASK(NULL, "POST /api/v1/effects/pause", "{'reason':'x'}", 200)}, {NULL, "GET /api/v1/effects/lanes", NULL, 200, NULL, NULL,
	    true, "'paused':true,'reason':'x'"}},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/resume", NULL, 200, "'lane':'*','paused':false")},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/lanes/tasks/pause", "{'reason':'x'}", 200, "'lane':'tasks','paused':true")},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/lanes/tasks/resume", NULL, 200, "'lane':'tasks','paused':false")},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/replays", "{'effect':'task.run','dryRun':true}", 200, "'dryRun':true")},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/replays",
	    "{'effect':'task.run','fromTime':'2020-01-01T00:00:00Z','toTime':'2099-01-01T00:00:00Z'}", 200, "'count':0")},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/replays", "{'effect':'task.run','from':1,'to':99999999}", 200, "'from':1,")},
};

/* What runs come to. */
#define RUN(payload) MAKE(NULL, "POST /tasks/once", "{'runAt':'2099-01-01T00:00:00Z','maxAttempts':1," payload "}", 201, "new=id"), \
	MAKE(NULL, "POST /tasks/$new/run", NULL, 202, "job=jobId")
#define DEAD_OF(payload, class) {{ALL_GO, RUN(payload), UNTIL(NULL, "GET /api/v1/effects/$job", "'state':'DEAD'")}, \
	ASK_SAYS(NULL, "GET /api/v1/effects/$job", NULL, 200, "'class':'" class "'")}
#define REPORT(what) "'name':'generateReport','payload':{'report':" what "}"

static const struct walk_case runs[] = {
	DEAD_OF("'name':'broken'", "failed"), DEAD_OF("'name':'offline'", "connect"), DEAD_OF("'name':'greedy'", "fourteen"),
	DEAD_OF("'name':'broken','priority':'LOW'", "failed"),
	DEAD_OF("'name':'meetingSummary','payload':{'meetingId':'" NO_MEETING "'}", "unready"),
	DEAD_OF("'name':'personalMeetingSummary','payload':{'periodType':'DAILY'}", "unready"),
	DEAD_OF(REPORT("'SUMMARIES'"), "unready"),
	DEAD_OF(REPORT("'ATTENDANCE','from':'2027-01-02T00:00:00Z','to':'2027-01-01T00:00:00Z'"), "payload"),
	DEAD_OF(REPORT("'ATTENDANCE','from':'2027-01-01T00:00:00Z','days':2"), "payload"),
	DEAD_OF(REPORT("'ATTENDANCE','to':'2027-01-01T00:00:00Z','days':2"), "payload"),
	DEAD_OF(REPORT("'ATTENDANCE','from':'1960-01-01T00:00:00Z','to':'1970-01-01T00:00:00Z'"), "payload"),
	{{ALL_GO, RUN(REPORT("'ATTENDANCE','from':'2026-01-01T00:00:00Z','to':'2027-01-01T00:00:00Z'")),
	    UNTIL(NULL, "GET /api/v1/tasks/$new/runs", "'state':'DONE'")},
	    ASK_SAYS(NULL, "GET /api/v1/tasks/$new/runs", NULL, 200, "'meetings'")},
	{{ALL_GO, RUN(REPORT("'ATTENDANCE'")), UNTIL(NULL, "GET /api/v1/tasks/$new/runs", "'state':'DONE'")},
	    ASK_SAYS(NULL, "GET /tasks/$new", NULL, 200, "'lastRunStatus':'DONE'")},
	{{ALL_GO, RUN("'name':'cleanupExpiredData','priority':'LOW'"),
	    UNTIL(NULL, "GET /api/v1/tasks/$new/runs", "'state':'DONE'")},
	    ASK_SAYS(NULL, "GET /api/v1/tasks/$new/runs", NULL, 200, "'deliveries'")},
};

/* What is refused, and how. */
#define BAD(line, body, says) {MADE_NOTHING, ASK_SAYS(NULL, line, body, 400, says)}
#define GONE(line, body) {MADE_NOTHING, ASK(NULL, line, body, 404)}
#define NOBODY "0123456789abcdef0123456789abcdef"
#define CRON "'kind':'cleanupExpiredData','cron':"

static const struct walk_case refused[] = {
	BAD("POST /api/v1/tasks", "{'name':'x','kind':'cleanupExpiredData'}", "runAt: says when"),
	BAD("POST /api/v1/tasks", "{'name':'x','kind':'cleanupExpiredData','delayMs':1,'timezone':'UTC'}", "timezone: is for"),
	BAD("POST /api/v1/tasks", "{'name':'x'," CRON "'0 3 * * *','runAt':'2099-01-01T00:00:00Z'}", "runAt: is for"),
	BAD("POST /api/v1/tasks", "{'name':'x'," CRON "'0 3 * * *','delayMs':1}", "delayMs: is for"),
	BAD("POST /api/v1/tasks", "{'name':'x'," CRON "'0 3 31 2 *'}", "cron: names a day that never comes"),
	BAD("POST /api/v1/tasks", "{'name':'x'," CRON "'0 25 * * *'}", "cron: the hour"),
	BAD("POST /api/v1/tasks", "{'name':'x'," CRON "'often'}", "cron: "),
	BAD("POST /api/v1/tasks", "{'name':'x'," CRON "'0 3 * * *','timezone':'Mars/Base'}", "timezone: is no IANA"),
	BAD("POST /tasks/once", "{'name':'x','kind':'cleanupExpiredData','delayMs':1,'runAt':'2099-01-01T00:00:00Z'}", "exclude"),
	BAD("POST /tasks/once", "{'name':'x','kind':'cleanupExpiredData','runAt':'2099-02-30T00:00:00Z'}", "/runAt"),
	BAD("POST /tasks/once", "{'name':'x','delayMs':1}", "kind: "),
	BAD("POST /tasks/once", "{'name':'x','delayMs':1,'kind':'x'}", "kind: "),
	BAD("POST /tasks/once", "{'name':'x','delayMs':1,'payload':{'originalName':'x'}}", "kind: "),
	BAD("POST /tasks/once", "{'name':'cleanupExpiredData','delayMs':1,'payload':{'a':1}}", "payload: must be empty"),
	BAD("POST /tasks/once", "{'name':'cleanupExpiredData','delayMs':1,'payload':{'originalName':1,'a':1}}", "payload: must be"),
	BAD("POST /tasks/once", "{'name':'meetingSummary','delayMs':1,'payload':{'meetingId':'none'}}", "/payload/meetingId"),
	BAD("POST /tasks/once", "{'name':'meetingSummary','delayMs':1}", "payload"),
	BAD("POST /tasks/once", "{'delayMs':1}", "name"),
	BAD("POST /tasks/cron", "{'name':'x'}", "cron"),
	BAD("PATCH /tasks/$task", "{'runAt':'2099-01-01T00:00:00Z'}", "runAt: is for"),
	BAD("PATCH /tasks/$task", "{'kind':'x'}", "kind: "),
	BAD("PATCH /tasks/$task", "{'cron':'0 3 31 2 *'}", "cron: names"),
	BAD("PATCH /tasks/$task", "{'status':'GONE'}", "/status"),
	BAD("GET /api/v1/tasks/next?cron=often", NULL, "cron: "),
	BAD("GET /api/v1/tasks/next?cron=0%203%20*%20*%20*&after=soon", NULL, "after"),
	BAD("GET /api/v1/tasks/next", NULL, "cron"),
	BAD("GET /tasks?status=GONE", NULL, "status"),
	BAD("POST /tasks/pause", "{'reason':1}", "/reason"),
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/tasks", "{'name':'other'," CRON "'0 3 * * *','jobIdHint':'there'}", 409,
	    "jobIdHint: another")},
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/tasks", "{'name':'Ta\\'sk'," CRON "'0 4 * * *','jobIdHint':'there'}", 409,
	    "jobIdHint: another")},
	GONE("GET /tasks/" NOBODY, NULL), GONE("PATCH /tasks/" NOBODY, "{}"), GONE("POST /tasks/" NOBODY "/run", NULL),
	GONE("POST /tasks/" NOBODY "/pause", NULL), GONE("DELETE /tasks/" NOBODY, NULL), GONE("GET /tasks/x", NULL),

	GONE("GET /api/v1/effects/" NOBODY, NULL), GONE("POST /api/v1/effects/" NOBODY "/retry", NULL),
	GONE("POST /api/v1/effects/" NOBODY "/drop", "{'reason':'x'}"), GONE("POST /api/v1/effects/lanes/x/resume", NULL),
	GONE("POST /api/v1/effects/lanes/x/pause", "{'reason':'x'}"), GONE("POST /api/v1/effects/replays", "{'effect':'x'}"),
	BAD("POST /api/v1/effects/lanes/tasks/pause", "{}", "reason"), BAD("POST /api/v1/effects/retry", "{'perMinute':0}", "/perMinute"),
	BAD("POST /api/v1/effects/" NOBODY "/drop", "{}", "reason"), BAD("POST /api/v1/effects/replays", "{}", "effect"),
	BAD("POST /api/v1/effects/replays", "{'effect':'task.run','from':1,'fromTime':'2020-01-01T00:00:00Z'}", "fromTime: and"),
	BAD("POST /api/v1/effects/replays", "{'effect':'task.run','toTime':'2020-02-30T00:00:00Z'}", "/toTime"),
	BAD("POST /api/v1/effects/replays", "{'effect':'task.run','from':281474976710657}", "from: is in no log"),
	BAD("POST /api/v1/effects/replays", "{'effect':'task.run','from':2,'to':1}", "to: is before"),
	{MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/effects/retry", "{'lane':'nowhere'}", 200, "'count':0")},
};

static const struct walk_case people[] = {
	{MADE_NOTHING, ASK_SAYS(NULL, "PUT /admin/members/$member/permissions/orgs:read", "{'granted':true}", 200, "'orgs:read'")},
	{MADE_NOTHING, ASK_SAYS(NULL, "PUT /admin/members/$member/permissions/orgs:read", "{'granted':false}", 200, "'orgs:read'")},
	{MADE_NOTHING, ASK_SAYS(NULL, "GET /admin/members/$member/permissions?limit=5", NULL, 200, "'orgs:read'")},
	{{ASK(NULL, "PUT /admin/members/$member/permissions/orgs:read", "{'granted':true}", 200)},
	    ASK(NULL, "DELETE /admin/members/$member/permissions/orgs:read", NULL, 204)},
	GONE("DELETE /admin/members/$member/permissions/orgs:read", NULL),
	GONE("PUT /admin/members/$member/permissions/no:such", "{'granted':true}"),
	GONE("PUT /admin/members/" NOBODY "/permissions/orgs:read", "{'granted':true}"),
	GONE("GET /admin/members/" NOBODY "/permissions", NULL),
	BAD("PUT /admin/members/$member/permissions/orgs:read", "{}", "granted"),
	BAD("GET /admin/members/$member/permissions?limit=x", NULL, "limit"),

	{{MAKE(NULL, "POST /api/v1/users", "{'username':'u$n','email':'u$n@example.com','displayName':'U'}", 201, "new=id")},
	    ASK_SAYS(NULL, "PATCH /api/v1/users/$new", "{'username':'','displayName':'V\\'v','city':'C\\'c'}", 200, "V\\'v")},
	{{MAKE(NULL, "POST /api/v1/users", "{'username':'u$n','email':'u$n@example.com','displayName':'U'}", 201, "new=id")},
	    ASK(NULL, "PATCH /api/v1/users/$new", "{'email':'','countryCode':'+86','phone':'139$p'}", 200)},
	{{MAKE(NULL, "POST /api/v1/users", "{'username':'u$n','phone':'139$p','displayName':'U'}", 201, "new=id")},
	    ASK(NULL, "PATCH /api/v1/users/$new", "{'phone':''}", 200)},
	{{MAKE(NULL, "POST /api/v1/users", "{'username':'u$n','displayName':'U'}", 201, "new=id")},
	    ASK_SAYS(NULL, "PATCH /api/v1/users/$new", "{'username':''}", 400, "needs a user name")},
	{{MAKE(NULL, "POST /api/v1/users", "{'username':'u$n','displayName':'U'}", 201, "new=id")},
	    ASK(NULL, "PATCH /api/v1/users/$new", "{}", 200)},
	{{MAKE(NULL, "POST /api/v1/users", "{'username':'u$n','displayName':'U'}", 201, "new=id")},
	    ASK(NULL, "PATCH /api/v1/users/$new", "{'username':'somebody'}", 409)},
	BAD("PATCH /api/v1/users/$user", "{'email':'none'}", "email"), BAD("PATCH /api/v1/users/$user", "{'dateOfBirth':'1'}", "dateOfBirth"),
	GONE("PATCH /api/v1/users/" NOBODY, "{'displayName':'x'}"),
};

#define CSV "Content-Type: text/csv\r\n"
#define UPLOAD(text) {NULL, "POST /api/v1/users/imports", text, 202, "import=id", CSV, false, "'total':"} /* until no other runs */
#define ENDED UNTIL(NULL, "GET /api/v1/users/imports/$import", "'state':'DONE'")

static const struct walk_case imports[] = {
	{{UPLOAD("username,email,displayName\nq$n,q$n@example.com,'Q'\nsomebody,,\n,none,\nx\n"), ENDED},
	    ASK_SAYS(NULL, "GET /api/v1/users/imports/$import", NULL, 200, "'status':'CREATED'")},
	/* By an account, which may give no more than it has, and by a key. */
	{{{"$clerk", "POST /api/v1/users/imports", "username,role\nc$n,SUPER_ADMIN\nd$n,AUDITOR\n", 202, "import=id", CSV, false, "'total':"},
	    ENDED}, ASK_SAYS(NULL, "GET /api/v1/users/imports/$import", NULL, 200, "'code':'forbidden'")},
	{{{"$clerkKey", "POST /api/v1/users/imports", "username,role\ne$n,\nf$n,AUDITOR\n", 202, "import=id", CSV, false,
	    "'total':"}, ENDED}, ASK_SAYS(NULL, "GET /api/v1/users/imports/$import", NULL, 200, "'created':1,'failed':1")},
	{{UPLOAD("username,email,displayName\nq$n,q$n@example.com,'Q'\nsomebody,,\n,none,\nx\n"), ENDED},
	    ASK_SAYS(NULL, "GET /api/v1/users/imports/$import?from=3&limit=1", NULL, 200, "'row':4")},
	{MADE_NOTHING, ASK_SAYS(NULL, "GET /api/v1/users/imports/$import?from=1&limit=1", NULL, 200, "'code':'taken'")},
	{MADE_NOTHING, ASK_SAYS(NULL, "GET /api/v1/users/imports?limit=1", NULL, 200, "'data':[")},
	{MADE_NOTHING, ASK_WITH(NULL, "POST /api/v1/users/imports", "", 400, CSV)},
	{MADE_NOTHING, ASK_WITH(NULL, "POST /api/v1/users/imports", "username,shoeSize\na,43\n", 400, CSV)},
	{MADE_NOTHING, ASK_WITH(NULL, "POST /api/v1/users/imports", "username,username\na,b\n", 400, CSV)},
	{MADE_NOTHING, ASK_WITH(NULL, "POST /api/v1/users/imports", "username\n", 400, CSV)},
	{MADE_NOTHING, ASK_WITH(NULL, "POST /api/v1/users/imports", "username\n'a\n", 400, CSV)},
	{MADE_NOTHING, ASK(NULL, "POST /api/v1/users/imports", "{}", 415)},
	GONE("GET /api/v1/users/imports/" NOBODY, NULL),
	{MADE_NOTHING, ASK(NULL, "GET /api/v1/users/imports/$import?limit=x", NULL, 400)},
};

/* What is wrong with a file, and with a row, and how that is said. */
#define BAD_FILE(text, says) {MADE_NOTHING, {NULL, "POST /api/v1/users/imports", text, 400, NULL, CSV, false, says}}
#define ROW(number, says) {MADE_NOTHING, ASK_SAYS(NULL, "GET /api/v1/users/imports/$import?from=" number "&limit=1", NULL, 200, says)}
#define BCRYPT "$2b$12$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyza"
#define ARGON2 "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG1RdescudvJC"

static const struct walk_case files[] = {
	BAD_FILE("", "The first line names the columns"),
	BAD_FILE("username,shoeSize\na,43\n", "Column 2 of the first line"),
	BAD_FILE("username,username\na,b\n", "The column username is there twice."),
	BAD_FILE("username, password\na,b\n", "Passwords are not written into files"),
	BAD_FILE("username\n", "no rows behind the first line"),
	BAD_FILE("username\n'a\n", "The quotes of the record at line 2"),
	BAD_FILE("'username\n", "The quotes of the record at line 1"),
	{{MAKE(NULL, "POST /api/v1/users", "{'username':'there$n','email':'there$n@example.com','countryCode':'+86','phone':'138$p',"
	    "'legacyId':'old$n'}", 201, "there=id"),
	    UPLOAD("username,email,countryCode,phone,displayName,role,legacyId,passwordHash\n"
	    "first$n,,,,F,MEMBER,,\n" /* row 1 */
	    "second$n,there$n@example.com,,,,,,\n"
	    "third$n,,+86,138$p,,,,\n"
	    "fourth$n,,,,,,old$n,\n"
	    "fifth$n,,,\n" /* row 5 */
	    "sixth$n,,,,\xff,,,\n"
	    "seventh$n,,,,,,,plain\n"
	    "eighth$n,,,,,,,$bcrypt\n"
	    "ninth$n,,,,,,,'$argon'\n"
	    "tenth$n,,,,,KING,,\n" /* row 10 */
	    "there$n,,,,,,,\n"), ENDED},
	    ASK_SAYS(NULL, "GET /api/v1/users/imports/$import", NULL, 200, "'created':3,'failed':8")},
	ROW("1", "'row':2,'line':3,'status':'FAILED','code':'taken','field':'email'"),
	ROW("2", "'row':3,'line':4,'status':'FAILED','code':'taken','field':'phone'"),
	ROW("3", "'row':4,'line':5,'status':'FAILED','code':'taken','field':'legacyId'"),
	ROW("4", "'row':5,'line':6,'status':'FAILED','code':'invalid'"),
	ROW("5", "'row':6,'line':7,'status':'FAILED','code':'invalid','field':'displayName'"),
	ROW("6", "'row':7,'line':8,'status':'FAILED','code':'invalid','field':'passwordHash'"),
	ROW("9", "'row':10,'line':11,'status':'FAILED','code':'invalid','field':'role'"),
	ROW("10", "'row':11,'line':12,'status':'FAILED','code':'taken','field':'username'"),
};

#define KINDS (FAILING_MEMORY | FAILING_ARENAS | FAILING_SQLITE)
#define DEPTH 5

static void setup(void)
{
	static const char *const settings[] = {"LULAB_TRUSTED_PROXIES=127.0.0.1/32", NULL};
	static const struct adapter *const with[] = {&rig, NULL};

	walk_open(with, settings, made, COUNT(made));
}

START_TEST(what_is_asked_for_is_done_or_it_is_said_that_it_could_not_be)
{
	unsigned n = walk_cases(tasks, COUNT(tasks), KINDS, DEPTH);

	n += walk_cases(effects, COUNT(effects), KINDS, DEPTH);
	n += walk_cases(people, COUNT(people), KINDS, DEPTH);
	n += walk_cases(imports, COUNT(imports), KINDS, DEPTH);
	ck_assert_uint_ge(n, 150);
}
END_TEST

START_TEST(what_cannot_be_is_refused_in_words)
{
	walk_answers(refused, COUNT(refused));
}
END_TEST

START_TEST(what_is_wrong_with_a_file_is_said)
{
	walk_set("bcrypt", SLICE(BCRYPT));
	walk_set("argon", SLICE(ARGON2));
	walk_answers(files, COUNT(files));
}
END_TEST

START_TEST(runs_end_and_say_how)
{
	walk_answers(runs, COUNT(runs));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("work_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, walk_close);
	tcase_add_test(t, what_cannot_be_is_refused_in_words);
	tcase_add_test(t, what_is_wrong_with_a_file_is_said);
	tcase_add_test(t, runs_end_and_say_how);
	tcase_add_test(t, what_is_asked_for_is_done_or_it_is_said_that_it_could_not_be);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
