/*
 * Who belongs to an organisation (functional-spec 13.3). Somebody is invited and
 * accepts: until they do, what their account says of them is not shown to the
 * organisation, and only who may change memberships everywhere decides for them.
 * A membership gives rights while it is ACTIVE.
 */
#include "app/accounts.h"
#include "app/api.h"
#include "app/api_admin.h"
#include "app/roles.h"
#include "base/err.h"
#include "params.gen.h"
#include "requests.gen.h"

#define NOT_FOUND MEMBER_NOT_FOUND
#define EXISTS "User is already a member of this organization"
#define NUMBER_TAKEN "Employee number already exists"

/* ---- looking ------------------------------------------------------------------------------------ */

static bool find(struct action *c, const char *permission, struct json_value *ret, enum data_scope *ret_scope)
{
	return admin_find_member(c, permission, http_request_param(c->rq, "memberId"), ret, ret_scope);
}

static void run_list(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId");
	struct params_members q;
	enum data_scope scope;
	struct action_param of[10] = {{"caller", caller_id(c), 0}, {"org", org, 0}};

	if (!rights_in(c, "members:read", org, &scope) || !admin_org_exists(c, org) || !admin_params(c, &schema_params_members, &q))
		return;
	of[2] = (struct action_param){"scope", {0}, (int64_t)scope};
	of[3] = (struct action_param){"keyword", q.keyword.len > 0 ? q.keyword : SLICE(""), 0};
	of[4] = (struct action_param){"department", q.dept_id.len > 0 ? q.dept_id : SLICE(""), 0};
	of[5] = (struct action_param){"children", {0}, q.has_include_children && q.include_children};
	of[6] = (struct action_param){"type", q.type.len > 0 ? q.type : SLICE(""), 0};
	of[7] = (struct action_param){"status", q.status.len > 0 ? q.status : SLICE(""), 0};
	admin_page(c, "members_page", of, 8, q.page, q.has_limit ? q.limit : q.page_size);
}

static void put_member(struct json_writer *w, const char *name, struct json_value row, const char *column)
{
	struct json_value v;

	json_name(w, name);
	if (json_member(row, column, &v))
		json_put_raw(w, v.text);
	else
		json_put_null(w);
}

/* A member with what belongs to it. */
static void answer_member(struct action *c, int status, struct slice id, enum data_scope scope)
{
	struct json_value row, object, v;
	struct json_reader r;
	struct slice name;
	struct json_writer w;
	int rc = action_row(c, "member_by_id", (struct action_param[]){{"id", id, 0}}, 1, &row);

	if (rc != 0 || !json_member(row, "object", &object)) {
		action_fail_err(c, rc != 0 ? rc : ERR_MALFORMED);
		return;
	}
	w = action_answer(c, status);
	json_begin_object(&w);
	json_enter(&r, object);
	while (json_next(&r, &name, &v)) {
		json_name_slice(&w, name);
		json_put_raw(&w, v.text);
	}
	if (scope == SCOPE_ALL || !slice_is(row_text(c, row, "status"), "INVITED"))
		put_member(&w, "user", row, "account");
	else
		put_member(&w, "user", row, "none");
	put_member(&w, "primaryDept", row, "primaryDept");
	put_member(&w, "departments", row, "inDepartments");
	put_member(&w, "roles", row, "roles");
	json_end_object(&w);
}

static void run_get(struct action *c)
{
	struct json_value row;
	enum data_scope scope;

	if (find(c, "members:read", &row, &scope))
		answer_member(c, 200, http_request_param(c->rq, "memberId"), scope);
}

/* ---- what a membership may be ------------------------------------------------------------------------ */

/* A number within an organisation, as the log knows it. */
static struct slice number_digest(struct action *c, struct slice org, struct slice number)
{
	if (number.len == 0)
		return (struct slice){0};
	return account_digest(c, "employee",
	    slice_str(action_made(c, arena_printf(c->arena, "%.*s:%.*s", SLICE_ARG(org), SLICE_ARG(number)))));
}

/* New departments are the organisation's, and within the caller's reach: else they could reach more through them. */
static bool check_departments(struct action *c, struct slice org, const struct slice *items, size_t n, enum data_scope scope)
{
	struct action_param of[] = {{"caller", caller_id(c), 0}, {"org", org, 0}, {"scope", {0}, (int64_t)scope},
	    {"departments", admin_json_texts(c, items, n), 0}};
	struct json_value rows, row;
	struct json_reader r;
	int rc;

	if (n == 0)
		return scope >= SCOPE_ORGANIZATION ||
		    action_fail(c, 403, "forbidden", "Your rights reach departments only; name one.", "没有权限");
	rc = action_rows(c, "departments_out_of_reach", of, 4, &rows);
	if (rc != 0)
		return action_fail_err(c, rc);
	json_enter(&r, rows);
	if (!json_next(&r, NULL, &row))
		return true;
	if (row_bool(row, "missing"))
		return admin_refuse(c, "foreign", "Department not found in this organization");
	return action_fail(c, 403, "forbidden", "This department is out of your reach.", "没有权限");
}

static bool among(const struct slice *items, size_t n, struct slice one)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(items[i], one))
			return true;
	return false;
}

/* Their roles may come to reach more by it: what these give, the caller must have for those departments. */
static bool check_growth(struct action *c, const struct event_member_changed *data, const struct slice *added, size_t n)
{
	struct json_value rows, row;
	struct json_reader r;
	enum data_scope needed;
	int rc = action_rows(c, "roles_of_member", (struct action_param[]){{"id", data->member_id, 0}}, 1, &rows);

	if (rc != 0)
		return action_fail_err(c, rc);
	if (!rights_reach(c, data->org_id, admin_json_texts(c, added, n), &needed))
		return false;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		if ((row_i64(row, "scope") < SCOPE_ORGANIZATION || admin_row_json(row, "rules").len > 2) &&
		    !rights_cover_reach(c, data->org_id, row, needed))
			return false;
	return true;
}

/* Those of `after` that are not in `before`. */
static bool check_added(struct action *c, const struct event_member_changed *data, const struct slice *before,
    size_t n_before, enum data_scope scope)
{
	struct slice *added = arena_calloc(c->arena, data->department_ids.n + 1, sizeof(*added));
	size_t n = 0;

	if (added == NULL)
		return action_fail_err(c, ERR_NOMEM);
	for (size_t i = 0; i < data->department_ids.n; i++)
		if (!among(before, n_before, data->department_ids.items[i]))
			added[n++] = data->department_ids.items[i];
	return n == 0 || (check_departments(c, data->org_id, added, n, scope) && check_growth(c, data, added, n));
}

/* Rights are given with the state: who makes somebody ACTIVE has to have what their roles give. */
static bool check_roles_of(struct action *c, struct slice org, struct slice member)
{
	struct json_value rows, row;
	struct json_reader r;
	int rc = action_rows(c, "roles_of_member", (struct action_param[]){{"id", member, 0}}, 1, &rows);

	if (rc != 0)
		return action_fail_err(c, rc);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		if (!rights_cover(c, org, admin_row_json(row, "permissions"), admin_row_json(row, "rules"),
		        (enum data_scope)row_i64(row, "scope")))
			return false;
	return true;
}

/* ---- adding --------------------------------------------------------------------------------------------- */

struct adding {
	struct slice user, display_name, employee_no, primary, company, title, type;
	const struct slice *departments;
	size_t n_departments;
};

/* One more event; false: the answer is set. */
static bool add_member(struct action_events *e, struct slice org, const struct adding *a, enum data_scope scope,
    struct slice *ret_id)
{
	struct action *c = e->c;
	struct slice *departments = arena_calloc(c->arena, a->n_departments + 1, sizeof(*departments));
	size_t n = 0;
	struct event_member_added data = {.org_id = org, .user_id = a->user, .status = SLICE("INVITED"),
	    .type = a->type.len > 0 ? a->type : SLICE("INTERNAL"), .org_display_name = a->display_name,
	    .employee_no = a->employee_no, .external_company = a->company, .title = a->title,
	    .primary_department_id = a->primary, .employee_claim = number_digest(c, org, a->employee_no),
	    .joined_at_ms = clock_wall_ms(c->app->clock), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = a->user}}};
	struct json_value row;
	struct id person;
	int rc;

	if (departments == NULL)
		return action_fail_err(c, ERR_NOMEM);
	for (size_t i = 0; i < a->n_departments; i++)
		if (!among(departments, n, a->departments[i]))
			departments[n++] = a->departments[i];
	if (a->primary.len > 0 && !among(departments, n, a->primary))
		departments[n++] = a->primary;
	if (!check_departments(c, org, departments, n, scope))
		return false;
	rc = id_parse(a->user, &person);
	if (rc == 0)
		rc = action_row(c, "account_exists", (struct action_param[]){{"id", a->user, 0}}, 1, &row);
	if (rc == ERR_NOT_FOUND || rc == ERR_MALFORMED || rc == ERR_INVALID || (rc == 0 && !row_bool(row, "usable")))
		return admin_missing(c, "User not found");
	if (rc != 0)
		return action_fail_err(c, rc);
	*ret_id = admin_new_id(c);
	if (ret_id->len == 0)
		return false;
	data.member_id = *ret_id;
	data.department_ids.items = departments;
	data.department_ids.n = n;
	action_event(e, EVENT_MEMBER_ADDED, &data, &person, NULL);
	return true;
}

/* Which of the two names of a member was in use. */
static bool answer_taken(struct action_events *e)
{
	return admin_taken(e->c, slice_starts_with(e->append.claim_taken, SLICE("employee:")) ? NUMBER_TAKEN : EXISTS);
}

static bool append_member(struct action_events *e)
{
	int rc = action_append(e);

	if (rc == ERR_TAKEN)
		return answer_taken(e);
	return action_ok(e->c, rc);
}

static void run_add(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId"), id;
	struct request_member_add body;
	struct action_events e = {.c = c};
	enum data_scope scope;
	struct adding a;

	if (!rights_in(c, "members:write", org, &scope) || !admin_org_exists(c, org) ||
	    !action_read(c, &schema_request_member_add, &body))
		return;
	a = (struct adding){.user = body.user_id, .type = body.type, .departments = body.department_ids.items,
	    .n_departments = body.department_ids.n,
	    .display_name = admin_text(c, "", body.org_display_name, (struct slice){0}),
	    .employee_no = admin_text(c, "", body.employee_no, (struct slice){0}),
	    .primary = admin_text(c, "", body.primary_dept_id, (struct slice){0}),
	    .company = admin_text(c, "", body.external_company, (struct slice){0}),
	    .title = admin_text(c, "", body.title, (struct slice){0})};
	if (!add_member(&e, org, &a, scope, &id))
		return;
	if (body.role_ids.n > 0 && !rights_in(c, "roles:grant", org, NULL))
		return;
	for (size_t i = 0; i < body.role_ids.n; i++)
		if (!role_bind(&e, org, body.role_ids.items[i], id, body.user_id, NULL))
			return;
	if (append_member(&e))
		answer_member(c, 201, id, scope);
}

static void put_failure(struct json_writer *w, struct slice user, const char *reason)
{
	json_begin_object(w);
	json_name(w, "userId");
	json_put_string(w, user);
	json_name(w, "reason");
	json_put_str(w, reason);
	json_end_object(w);
}

/* One by one: what can be done is done, the rest is told. An error of ours ends it. */
static void run_batch(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId"), id;
	struct request_member_batch body;
	enum data_scope scope;
	struct buf failures = BUF_INIT(256 * 1024);
	struct json_writer w = JSON_WRITER(&failures);
	size_t n_failed = 0;

	if (!rights_in(c, "members:write", org, &scope) || !admin_org_exists(c, org) ||
	    !action_read(c, &schema_request_member_batch, &body))
		return;
	json_begin_array(&w);
	for (size_t i = 0; i < body.members.n; i++) {
		struct action_events e = {.c = c};
		struct adding a = {.user = body.members.items[i].user_id,
		    .display_name = admin_text(c, "", body.members.items[i].org_display_name, (struct slice){0}),
		    .employee_no = admin_text(c, "", body.members.items[i].employee_no, (struct slice){0}),
		    .primary = admin_text(c, "", body.members.items[i].primary_dept_id, (struct slice){0}),
		    .title = admin_text(c, "", body.members.items[i].title, (struct slice){0})};

		if (add_member(&e, org, &a, scope, &id) && append_member(&e))
			continue;
		if (c->err != 0) {
			buf_finish(&failures);
			return;
		}
		put_failure(&w, a.user, c->said.en);
		n_failed++;
	}
	json_end_array(&w);
	if (failures.rc != 0) {
		action_fail_err(c, failures.rc);
		buf_finish(&failures);
		return;
	}
	w = action_answer(c, 201);
	json_begin_object(&w);
	json_name(&w, "successCount");
	json_put_u64(&w, body.members.n - n_failed);
	json_name(&w, "failureCount");
	json_put_u64(&w, n_failed);
	json_name(&w, "failures");
	json_put_raw(&w, buf_slice(&failures));
	json_end_object(&w);
	buf_finish(&failures);
}

/* ---- changing --------------------------------------------------------------------------------------------- */

/* From what it is: every event of a change tells all of it. False: the error is set. */
static bool as_it_is(struct action *c, struct json_value row, struct event_member_changed *ret)
{
	struct json_value departments = json_root(admin_row_json(row, "departments"));
	struct slice *items;
	size_t n;

	if (!admin_texts(c, departments, &items, &n))
		return false;
	*ret = (struct event_member_changed){.member_id = row_text(c, row, "id"), .org_id = row_text(c, row, "org"),
	    .user_id = row_text(c, row, "user"), .type = row_text(c, row, "type"), .status = row_text(c, row, "status"),
	    .org_display_name = row_text(c, row, "displayName"), .employee_no = row_text(c, row, "employeeNo"),
	    .external_company = row_text(c, row, "externalCompany"), .title = row_text(c, row, "title"),
	    .primary_department_id = row_text(c, row, "primaryDepartment"), .joined_at_ms = row_i64(row, "joinedAt"),
	    .has_subjects = true};
	ret->department_ids.items = items;
	ret->department_ids.n = n;
	ret->subjects.has_person = true;
	ret->subjects.person.id = ret->user_id;
	return true;
}

/* False: the answer is set. */
static bool append_change(struct action *c, struct event_member_changed *data)
{
	struct action_events e = {.c = c};
	struct id person;

	if (id_parse(data->user_id, &person) != 0)
		return action_fail_err(c, ERR_MALFORMED);
	data->org_display_name = admin_text(c, "", data->org_display_name, (struct slice){0});
	data->employee_no = admin_text(c, "", data->employee_no, (struct slice){0});
	data->external_company = admin_text(c, "", data->external_company, (struct slice){0});
	data->title = admin_text(c, "", data->title, (struct slice){0});
	data->primary_department_id = admin_text(c, "", data->primary_department_id, (struct slice){0});
	action_event(&e, EVENT_MEMBER_CHANGED, data, &person, NULL);
	return append_member(&e);
}

static bool set_departments(struct action *c, struct event_member_changed *data, const struct slice *items, size_t n,
    struct slice primary, enum data_scope scope)
{
	const struct slice *before = data->department_ids.items;
	size_t n_before = data->department_ids.n, n_after = 0;
	struct slice *after = arena_calloc(c->arena, n + 2, sizeof(*after));

	if (after == NULL)
		return action_fail_err(c, ERR_NOMEM);
	for (size_t i = 0; i < n; i++)
		if (!among(after, n_after, items[i]))
			after[n_after++] = items[i];
	if (primary.len > 0 && !among(after, n_after, primary))
		after[n_after++] = primary;
	data->department_ids.items = after;
	data->department_ids.n = n_after;
	data->primary_department_id = primary;
	return check_added(c, data, before, n_before, scope);
}

static void run_update(struct action *c)
{
	struct request_member_update body;
	struct event_member_changed data;
	struct json_value row;
	enum data_scope scope;
	struct slice number;
	int64_t joined_us;

	if (!find(c, "members:write", &row, &scope) || !action_read(c, &schema_request_member_update, &body) ||
	    !as_it_is(c, row, &data))
		return;
	number = admin_text(c, "employeeNo", body.employee_no, data.employee_no);
	if (!slice_eq(number, data.employee_no)) {
		data.employee_claim = number_digest(c, data.org_id, number);
		data.employee_released = row_text(c, row, "employeeClaim");
		data.employee_no = number;
	}
	data.type = body.type.len > 0 ? body.type : data.type;
	data.org_display_name = admin_text(c, "orgDisplayName", body.org_display_name, data.org_display_name);
	data.external_company = admin_text(c, "externalCompany", body.external_company, data.external_company);
	data.title = admin_text(c, "title", body.title, data.title);
	if (body.joined_at.len > 0) {
		if (time_parse_us(body.joined_at, &joined_us) != 0) {
			action_fail(c, 400, "invalid", "joinedAt is no instant.", "请求参数错误: joinedAt");
			return;
		}
		data.joined_at_ms = joined_us / 1000;
	}
	if (set_departments(c, &data, data.department_ids.items, data.department_ids.n,
	        admin_text(c, "primaryDeptId", body.primary_dept_id, data.primary_department_id), scope) &&
	    append_change(c, &data))
		answer_member(c, 200, data.member_id, scope);
}

static void run_status(struct action *c)
{
	struct request_member_status body;
	struct event_member_changed data;
	struct json_value row;
	enum data_scope scope;

	if (!find(c, "members:write", &row, &scope) || !action_read(c, &schema_request_member_status, &body) ||
	    !as_it_is(c, row, &data))
		return;
	if (slice_is(body.status, "ACTIVE") && slice_is(data.status, "INVITED") && scope != SCOPE_ALL) {
		action_fail(c, 403, "forbidden", "They have to accept the invitation themselves.", "需要本人接受邀请");
		return;
	}
	if (slice_is(body.status, "INVITED") && !slice_is(data.status, "INVITED") && !slice_is(data.status, "LEFT")) {
		admin_refuse(c, "state", "Only who has left can be invited again");
		return;
	}
	if (slice_is(data.status, "LEFT") && slice_is(body.status, "ACTIVE") && scope != SCOPE_ALL) {
		action_fail(c, 403, "forbidden", "They have left; invite them again.", "需要重新邀请");
		return;
	}
	if (slice_is(body.status, "ACTIVE") && !check_roles_of(c, data.org_id, data.member_id))
		return;
	data.status = body.status;
	if (append_change(c, &data))
		answer_member(c, 200, data.member_id, scope);
}

static void run_departments(struct action *c)
{
	struct request_member_departments body;
	struct event_member_changed data;
	struct json_value row;
	enum data_scope scope;
	struct slice *items, primary;
	size_t n = 0;

	if (!find(c, "members:write", &row, &scope) || !action_read(c, &schema_request_member_departments, &body) ||
	    !as_it_is(c, row, &data))
		return;
	items = arena_calloc(c->arena, body.department_ids.n + data.department_ids.n + 1, sizeof(*items));
	if (items == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	for (size_t i = 0; i < data.department_ids.n && body.has_append && body.append; i++)
		items[n++] = data.department_ids.items[i];
	for (size_t i = 0; i < body.department_ids.n; i++)
		items[n++] = body.department_ids.items[i];
	primary = admin_text(c, "primaryDeptId", body.primary_dept_id, data.primary_department_id);
	if (body.primary_dept_id.len == 0 && !among(items, n, primary))
		primary = (struct slice){0}; /* not theirs any more */
	if (set_departments(c, &data, items, n, primary, scope) && append_change(c, &data))
		answer_member(c, 200, data.member_id, scope);
}

static void run_remove(struct action *c)
{
	struct event_member_removed data = {0};
	struct action_events e = {.c = c};
	struct json_value row;
	enum data_scope scope;

	if (!find(c, "members:write", &row, &scope))
		return;
	data.member_id = row_text(c, row, "id");
	data.org_id = row_text(c, row, "org");
	data.user_id = row_text(c, row, "user");
	data.employee_released = row_text(c, row, "employeeClaim");
	action_event(&e, EVENT_MEMBER_REMOVED, &data, NULL, NULL);
	if (append_member(&e))
		c->status = 204;
}

/* ---- one's own ------------------------------------------------------------------------------------------------ */

/* The caller's own membership, whatever they may do there. Another's does not exist for them. */
static bool find_own(struct action *c, struct event_member_changed *ret)
{
	struct slice id = http_request_param(c->rq, "memberId");
	struct json_value row;
	int rc = action_row(c, "member_by_id", (struct action_param[]){{"id", id, 0}}, 1, &row);

	if (rc == ERR_NOT_FOUND || (rc == 0 && (row_bool(row, "deleted") || caller_id(c).len == 0 ||
	                                           !slice_eq(row_text(c, row, "user"), caller_id(c)))))
		return admin_missing(c, NOT_FOUND);
	if (rc != 0)
		return action_fail_err(c, rc);
	return as_it_is(c, row, ret);
}

static void change_own(struct action *c, const char *from, const char *to)
{
	struct event_member_changed data;

	if (!find_own(c, &data))
		return;
	if (from != NULL ? !slice_is(data.status, from) : slice_is(data.status, to)) {
		admin_refuse(c, "state", from != NULL ? "There is no open invitation" : "The membership has ended already");
		return;
	}
	data.status = slice_str(to);
	if (append_change(c, &data))
		answer_member(c, 200, data.member_id, SCOPE_OWN);
}

static void run_accept(struct action *c)
{
	change_own(c, "INVITED", "ACTIVE");
}

static void run_leave(struct action *c)
{
	change_own(c, NULL, "LEFT");
}

/* ---- routes ----------------------------------------------------------------------------------------------------- */

static void list(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_list);
}

static void get(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_get);
}

static void add(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_add);
}

static void add_batch(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_batch);
}

static void update(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_update);
}

static void set_status(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_status);
}

static void departments(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_departments);
}

static void remove_member(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_remove);
}

static void accept_invitation(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_accept);
}

static void leave(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_leave);
}

#define READ "members:read", ROUTE_SCOPED
#define WRITE "members:write", ROUTE_SCOPED
#define TAG .tag = "members"

const struct route api_members_routes[] = {
	ADMIN_ROUTES(HTTP_POST, "/orgs/{orgId}/members", add, WRITE, .request = &schema_request_member_add, .answer = "object",
	    .success = "201", TAG, .summary = "Invite somebody"),
	ADMIN_ROUTES(HTTP_GET, "/orgs/{orgId}/members", list, READ, .params = &schema_params_members, .answer = "object", TAG,
	    .summary = "Members of an organisation"),
	ADMIN_ROUTES(HTTP_POST, "/orgs/{orgId}/members/batch", add_batch, WRITE, .request = &schema_request_member_batch,
	    .answer = "object", .success = "201", TAG, .summary = "Invite several"),
	ADMIN_ROUTES(HTTP_GET, "/members/{memberId}", get, READ, .answer = "object", TAG, .summary = "One member"),
	ADMIN_ROUTES(HTTP_PUT, "/members/{memberId}", update, WRITE, .request = &schema_request_member_update,
	    .answer = "object", TAG, .summary = "Change a membership"),
	ADMIN_ROUTES(HTTP_DELETE, "/members/{memberId}", remove_member, WRITE, .success = "204", TAG,
	    .summary = "End a membership"),
	ADMIN_ROUTES(HTTP_PATCH, "/members/{memberId}/status", set_status, WRITE, .request = &schema_request_member_status,
	    .answer = "object", TAG, .summary = "Set the state of a membership"),
	ADMIN_ROUTES(HTTP_PATCH, "/members/{memberId}/departments", departments, WRITE,
	    .request = &schema_request_member_departments, .answer = "object", TAG, .summary = "Set a member's departments"),
	ADMIN_ROUTES(HTTP_POST, "/members/{memberId}/accept", accept_invitation, NULL, 0, .answer = "object", TAG,
	    .summary = "Accept one's own invitation"),
	ADMIN_ROUTES(HTTP_POST, "/members/{memberId}/leave", leave, NULL, 0, .answer = "object", TAG,
	    .summary = "Leave an organisation"),
	{0},
};
