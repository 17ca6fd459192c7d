/*
 * What is told of oneself (functional-spec chapter 5), and what one signs in with.
 *
 * Another mail address or phone number needs the code that was sent there, and
 * ends the other log-ins (integrity.md 20): with an account's address goes the account.
 */
#include "app/accounts.h"
#include "app/api.h"
#include "app/codes.h"
#include "base/err.h"
#include "requests.gen.h"

#define SIGNED_IN_LATELY_MS (12 * 3600 * 1000LL)

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
		rc = eventlog_stream_version(c->app->log, slice_str(arena_printf(c->arena, "user/%s", who->user_id)),
		    &p->version);
	if (rc == 0)
		rc = action_row(c, "profile_of_user", (struct action_param[]){{"id", p->user_text, 0}}, 1, &p->row);
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 400, "not_found", "There is no such account.", "用户不存在");
	return rc == 0 || action_fail_err(c, rc);
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
	struct account_names names; /* those that become others; the rest is empty */
	struct code_right email_code, phone_code;
	struct event_user_profile_changed told;
	struct event_user_contact_changed contact;
};

/* A picture or page that a browser may be sent to. */
static bool is_link(struct slice text)
{
	return text.len == 0 || slice_starts_with(text, SLICE("https://")) || slice_starts_with(text, SLICE("http://")) ||
	       (slice_starts_with(text, SLICE("/")) && !slice_starts_with(text, SLICE("//")));
}

static bool is_date(struct slice text)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint64_t year, month, day;

	if (text.len == 0)
		return true;
	if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-' || slice_to_u64(slice_of(text.ptr, 4), &year) != 0 ||
	    slice_to_u64(slice_of(text.ptr + 5, 2), &month) != 0 || slice_to_u64(slice_of(text.ptr + 8, 2), &day) != 0 ||
	    month < 1 || month > 12 || day < 1 || day > (uint64_t)days[month - 1])
		return false;
	return month != 2 || day < 29 || (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

static bool is_gender(struct slice text)
{
	return text.len == 0 || slice_is(text, "MALE") || slice_is(text, "FEMALE") || slice_is(text, "OTHER") ||
	       slice_is(text, "PREFER_NOT_TO_SAY");
}

static bool check_told(struct change *h)
{
	struct action *c = h->p.c;

	if (!is_link(h->body.avatar))
		return action_fail(c, 400, "invalid", "avatar: must be an http(s) address.", "头像地址格式不正确");
	if (!is_link(h->body.website))
		return action_fail(c, 400, "invalid", "website: must be an http(s) address.", "网址格式不正确");
	if (!is_date(h->body.date_of_birth))
		return action_fail(c, 400, "invalid", "dateOfBirth: must be a date, as 1990-12-31.", "出生日期格式不正确");
	if (!is_gender(h->body.gender))
		return action_fail(c, 400, "invalid", "gender: must be MALE, FEMALE, OTHER or PREFER_NOT_TO_SAY.", "性别取值不正确");
	return true;
}

/* Which of the names become others. Naming the one there is changes nothing, however it is written. */
static bool read_names(struct change *h)
{
	struct action *c = h->p.c;
	struct slice none = {0}, country_code = h->body.country_code;
	struct account_names *n = &h->names;

	if (country_code.len == 0)
		country_code = row_text(c, h->p.row, "countryCode");
	if (!account_names_read(c, h->body.username, h->body.email, country_code, h->body.phone, n))
		return false;
	if (n->username_key.len > 0 && slice_eq(n->username, row_text(c, h->p.row, "username")))
		n->username = n->username_key = none;
	if (n->email_key.len > 0 &&
	    slice_eq(account_digest(c, "email", n->email_key), row_text(c, h->p.row, "emailClaim")))
		n->email = n->email_key = none;
	if (n->phone_key.len > 0 &&
	    slice_eq(account_digest(c, "phone", n->phone_key), row_text(c, h->p.row, "phoneClaim")))
		n->phone = n->phone_key = n->country_code = none;
	return true;
}

/* One's own spelling of the user name is no other name: it is claimed already. */
static struct slice new_claim(struct change *h, const char *kind, struct slice key, const char *column)
{
	struct slice claim = key.len == 0 ? key : account_digest(h->p.c, kind, key);

	return claim.len > 0 && slice_eq(claim, row_text(h->p.c, h->p.row, column)) ? (struct slice){0} : claim;
}

static struct slice old_text(struct change *h, const char *column)
{
	struct slice old = row_text(h->p.c, h->p.row, column);

	return old.len == 0 ? (struct slice){0} : old;
}

static struct slice old_claim(struct change *h, struct slice claim, const char *column)
{
	return claim.len == 0 ? (struct slice){0} : old_text(h, column);
}

static bool is_contact_change(const struct change *h)
{
	return h->names.email_key.len > 0 || h->names.phone_key.len > 0;
}

static void make_events(struct change *h)
{
	struct event_user_contact_changed *contact = &h->contact;
	struct event_user_profile_changed *told = &h->told;
	struct slice name = h->body.display_name.ptr != NULL ? h->body.display_name : h->body.name;

	*contact = (struct event_user_contact_changed){.user_id = h->p.user_text, .username = h->names.username,
	    .email = h->names.email, .phone = h->names.phone, .country_code = h->names.country_code,
	    .username_claim = new_claim(h, "username", h->names.username_key, "usernameClaim"),
	    .email_claim = new_claim(h, "email", h->names.email_key, "emailClaim"),
	    .phone_claim = new_claim(h, "phone", h->names.phone_key, "phoneClaim"), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = h->p.user_text}}};
	if (contact->email_claim.len > 0)
		contact->old_email = old_text(h, "email");
	if (contact->phone_claim.len > 0)
		contact->old_phone = old_text(h, "phone");
	contact->old_username_claim = old_claim(h, contact->username_claim, "usernameClaim");
	contact->old_email_claim = old_claim(h, contact->email_claim, "emailClaim");
	contact->old_phone_claim = old_claim(h, contact->phone_claim, "phoneClaim");
	contact->has_email_verified = contact->email_verified = h->names.email_key.len > 0;
	contact->has_phone_verified = contact->phone_verified = h->names.phone_key.len > 0;
	*told = (struct event_user_profile_changed){.user_id = h->p.user_text, .display_name = name,
	    .avatar = h->body.avatar, .bio = h->body.bio, .first_name = h->body.first_name, .last_name = h->body.last_name,
	    .date_of_birth = h->body.date_of_birth, .gender = h->body.gender, .address = h->body.address, .city = h->body.city,
	    .country = h->body.country, .zip_code = h->body.zip_code, .website = h->body.website, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = h->p.user_text}}};
}

static bool tells_something(const struct event_user_profile_changed *t)
{
	return t->display_name.ptr != NULL || t->avatar.ptr != NULL || t->bio.ptr != NULL || t->first_name.ptr != NULL ||
	       t->last_name.ptr != NULL || t->date_of_birth.ptr != NULL || t->gender.ptr != NULL || t->address.ptr != NULL ||
	       t->city.ptr != NULL || t->country.ptr != NULL || t->zip_code.ptr != NULL || t->website.ptr != NULL;
}

/* With an address goes the account: a log-in of long ago, or a key, is not enough (integrity.md 20, ASVS 7.5.1). */
static bool signed_in_lately(struct change *h)
{
	struct action *c = h->p.c;
	const struct principal *who = c->rq->principal;
	struct action_param of[] = {{"id", slice_str(who->session_id), 0}, {"user", h->p.user_text, 0}};
	struct json_value row;
	int rc;

	if (who->session_id[0] == '\0')
		return action_fail(c, 403, "forbidden", "Only who is signed in changes what they sign in with.", "请先登录");
	rc = action_row(c, "session_opened", of, 2, &row);
	if (rc != 0)
		return action_fail_err(c, rc);
	return clock_wall_ms(c->app->clock) - row_i64(row, "openedAt") < SIGNED_IN_LATELY_MS ||
	       action_fail(c, 403, "sign_in_again", "Sign in again: this log-in is too old to change what one signs in with.",
	           "登录已超过12小时，请重新登录后再修改");
}

/* S7 of the systems replaced: an address could be changed without showing that it is one's own. */
static bool check_code(struct change *h, bool is_phone, struct slice code, struct code_right *ret)
{
	struct action *c = h->p.c;
	struct code_target target;
	int rc;

	if ((is_phone ? h->names.phone_key : h->names.email_key).len == 0)
		return true;
	if (code.len == 0)
		return is_phone ? action_fail(c, 400, "code_needed",
		                      "phoneCode: another number needs the code of type change_contact that was sent to it.",
		                      "修改手机号需要验证码")
		                : action_fail(c, 400, "code_needed",
		                      "emailCode: another address needs the code of type change_contact that was sent to it.",
		                      "修改邮箱需要验证码");
	if (!code_target_of(c, &h->names, is_phone, &target))
		return false;
	rc = code_check(c, CODE_CHANGE_CONTACT, &target, (struct slice){0}, code, ret);
	if (rc == ERR_DENIED)
		return code_refuse(c, 400);
	return rc == 0 || action_fail_err(c, rc);
}

static bool answer_taken(struct action *c, struct slice claim)
{
	if (slice_starts_with(claim, SLICE("username:")))
		return action_fail(c, 409, "taken", "username: belongs to another account.", "用户名已被使用");
	if (slice_starts_with(claim, SLICE("email:")))
		return action_fail(c, 409, "taken", "email: belongs to another account.", "邮箱已被使用");
	return action_fail(c, 409, "taken", "phone: belongs to another account.", "手机号已被使用");
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

	if (is_contact_change(h) && !signed_in_lately(h))
		return 0;
	if (!check_code(h, false, h->body.email_code, &h->email_code) ||
	    !check_code(h, true, h->body.phone_code, &h->phone_code))
		return 0;
	meta.expect = (int64_t)h->p.version; /* what is given back must be what is held */
	if (is_contact_change(h))
		rc = sessions_end(&e, h->p.user_text, slice_str(who->session_id), "CONTACT", CHANGE_EVENTS);
	if (h->names.username.len > 0 || is_contact_change(h))
		action_event(&e, EVENT_USER_CONTACT_CHANGED, &h->contact, &h->p.user, &meta);
	if (tells_something(&h->told))
		action_event(&e, EVENT_USER_PROFILE_CHANGED, &h->told, &h->p.user, NULL);
	if (h->names.email_key.len > 0)
		code_use(&e, &h->email_code, h->p.user_text);
	if (h->names.phone_key.len > 0)
		code_use(&e, &h->phone_code, h->p.user_text);
	if (rc == 0 && e.n > 0)
		rc = action_append(&e);
	if (rc == ERR_CONFLICT)
		return rc;
	if (rc == ERR_TAKEN)
		answer_taken(c, e.append.claim_taken);
	else if (rc != 0 || e.rc != 0)
		action_fail_err(c, rc != 0 ? rc : e.rc);
	else
		*ret_done = true;
	return 0;
}

static int change_once(struct change *h, bool *ret_done)
{
	*ret_done = false;
	if (!find_profile(&h->p) || !read_names(h))
		return 0;
	make_events(h);
	return append_change(h, ret_done);
}

static void run_change(struct action *c)
{
	struct change h = {.p = {.c = c}};
	bool done = false;

	if (!action_read(c, &schema_request_profile_change, &h.body) || !check_told(&h))
		return;
	while (change_once(&h, &done) == ERR_CONFLICT) {
	}
	if (!done)
		return;
	if (is_contact_change(&h))
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
