/*
 * What is told of oneself (functional-spec chapter 5), and what one signs in with.
 *
 * Another mail address or phone number needs the code that was sent there, and
 * ends the other log-ins (integrity.md 20): with an account's address goes the account.
 */
#include "app/accounts.h"
#include "app/api.h"
#include "app/codes.h"
#include "app/profile.h"
#include "base/err.h"
#include "requests.gen.h"

struct profile {
	struct action *c;
	struct id user;
	struct slice user_text;
	struct json_value row;
	uint64_t version; /* of the user's stream, at most that of the row */
};

static bool find_profile(struct profile *p)
{
	struct action *c = p->c;
	const struct principal *who = c->rq->principal;
	int rc;

	if (who->user_id[0] == '\0')
		return action_fail(c, 400, "invalid", "The operator's token belongs to no account.", "当前凭证不属于任何账户");
	p->user_text = slice_str(who->user_id);
	rc = id_parse(p->user_text, &p->user);
	if (rc == 0)
		rc = eventlog_stream_version(c->app->log, slice_str(action_made(c, arena_printf(c->arena, "user/%s",
		    who->user_id))), &p->version);
	if (rc == 0)
		rc = action_row(c, "profile_of_user", (struct action_param[]){{"id", p->user_text, 0}}, 1, &p->row);
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 400, "not_found", "There is no such account.", "用户不存在");
	return action_ok(c, rc);
}

/* ---- reading --------------------------------------------------------------------------- */

static void put_text(struct profile *p, struct json_writer *w, const char *name, const char *column)
{
	struct slice text = row_text(p->c, p->row, column);

	if (text.len == 0)
		return;
	json_name(w, name);
	json_put_string(w, text);
}

static void write_profile(struct profile *p)
{
	static const char *const told[] = {"avatar", "bio", "firstName", "lastName", "dateOfBirth", "gender", "address", "city",
	    "country", "zipCode", "website"};
	struct json_writer w = action_answer(p->c, 200);

	json_begin_object(&w);
	put_text(p, &w, "id", "id");
	put_text(p, &w, "username", "username");
	json_name(&w, "email");
	json_put_string(&w, row_text(p->c, p->row, "email"));
	put_text(p, &w, "countryCode", "countryCode");
	put_text(p, &w, "phone", "phone");
	json_name(&w, "emailVerified");
	json_put_bool(&w, row_bool(p->row, "emailVerified"));
	json_name(&w, "phoneVerified");
	json_put_bool(&w, row_bool(p->row, "phoneVerified"));
	put_text(p, &w, "lastLoginAt", "lastLoginAt");
	put_text(p, &w, "createdAt", "createdAt");
	json_name(&w, "profile");
	json_begin_object(&w);
	put_text(p, &w, "name", "displayName");
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		put_text(p, &w, told[i], told[i]);
	json_end_object(&w);
	json_end_object(&w);
}

static void run_show(struct action *c)
{
	struct profile p = {.c = c};

	if (find_profile(&p))
		write_profile(&p);
}

static void show_profile(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_show);
}

/* ---- changing ---------------------------------------------------------------------------- */

struct change {
	struct profile p;
	struct request_profile_change body;
	struct profile_change to;
	struct code_right email_code, phone_code;
};

/* S7 of the systems replaced: an address could be changed without showing that it is one's own. */
static bool check_code(struct change *h, bool is_phone, struct slice code, struct code_right *ret)
{
	struct action *c = h->p.c;
	struct code_target target;
	int rc;

	if ((is_phone ? h->to.names.phone_key : h->to.names.email_key).len == 0)
		return true;
	if (code.len == 0)
		return is_phone ? action_fail(c, 400, "code_needed",
		                      "phoneCode: another number needs the code of type change_contact that was sent to it.",
		                      "修改手机号需要验证码")
		                : action_fail(c, 400, "code_needed",
		                      "emailCode: another address needs the code of type change_contact that was sent to it.",
		                      "修改邮箱需要验证码");
	if (!code_target_of(c, &h->to.names, is_phone, &target))
		return false;
	rc = code_check(c, CODE_CHANGE_CONTACT, &target, (struct slice){0}, code, ret);
	if (rc == ERR_DENIED)
		return code_refuse(c, 400);
	return action_ok(c, rc);
}

#define CHANGE_EVENTS 4 /* contact, profile, and a code used for each of address and number */

/* ERR_CONFLICT: the account changed, or a code was tried or used, meanwhile. Else it is answered, unless all went well. */
static int append_change(struct change *h, bool *ret_done)
{
	struct action *c = h->p.c;
	const struct principal *who = c->rq->principal;
	struct action_events e = {.c = c};
	struct event_meta meta = action_meta(c);
	int rc = 0;

	if (profile_changes_contact(&h->to) && !session_is_recent(c)) /* with an address goes the account */
		return 0;
	if (!check_code(h, false, h->body.email_code, &h->email_code) ||
	    !check_code(h, true, h->body.phone_code, &h->phone_code))
		return 0;
	meta.expect = (int64_t)h->p.version; /* what is given back must be what is held */
	if (profile_changes_contact(&h->to))
		rc = sessions_end(&e, h->p.user_text, slice_str(who->session_id), "CONTACT", CHANGE_EVENTS);
	if (h->to.names.username.len > 0 || profile_changes_contact(&h->to))
		action_event(&e, EVENT_USER_CONTACT_CHANGED, &h->to.contact, &h->p.user, &meta);
	if (profile_tells_something(&h->to.told))
		action_event(&e, EVENT_USER_PROFILE_CHANGED, &h->to.told, &h->p.user, NULL);
	if (h->to.names.email_key.len > 0)
		code_use(&e, &h->email_code, h->p.user_text);
	if (h->to.names.phone_key.len > 0)
		code_use(&e, &h->phone_code, h->p.user_text);
	if (rc == 0 && e.n > 0)
		rc = action_append(&e);
	if (rc == ERR_CONFLICT)
		return rc;
	if (rc == ERR_TAKEN)
		profile_taken(c, e.append.claim_taken);
	else if (rc != 0 || e.rc != 0)
		action_fail_err(c, rc != 0 ? rc : e.rc);
	else
		*ret_done = true;
	return 0;
}

static int change_once(struct change *h, bool *ret_done)
{
	struct action *c = h->p.c;

	*ret_done = false;
	if (!find_profile(&h->p))
		return 0;
	h->to.user_text = h->p.user_text;
	h->to.row = h->p.row;
	if (!profile_names_read(c, &h->to, h->body.username, h->body.email, h->body.country_code, h->body.phone))
		return 0;
	profile_change_make(c, &h->to, true);
	return append_change(h, ret_done);
}

static void run_change(struct action *c)
{
	struct change h = {.p = {.c = c}};
	bool done = false;

	if (!action_read(c, &schema_request_profile_change, &h.body))
		return;
	h.to.told = PROFILE_TOLD(h.body);
	if (h.to.told.display_name.ptr == NULL)
		h.to.told.display_name = h.body.name;
	if (!profile_told_check(c, &h.to.told))
		return;
	while (change_once(&h, &done) == ERR_CONFLICT) {
	}
	if (!done)
		return;
	if (profile_changes_contact(&h.to))
		code_used(c);
	if (find_profile(&h.p))
		write_profile(&h.p);
}

static void change_profile(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_change);
}

#define PROFILE_ROUTES(path) \
	{HTTP_GET, path, show_profile, .flags = ROUTE_NO_ETAG, .answer = "object", .tag = "profile", \
	    .summary = "What is told of oneself"}, \
	{HTTP_PUT, path, change_profile, .flags = ROUTE_NO_ETAG, .request = &schema_request_profile_change, \
	    .answer = "object", .tag = "profile", .summary = "Change it; another address or number needs a code"}

const struct route api_profile_routes[] = {
	PROFILE_ROUTES("/api/user/profile"),
	PROFILE_ROUTES("/api/v1/user/profile"),
	{0},
};
