/*
 * An administrator changes what somebody goes by, or what is told of them
 * (functional-spec chapter 5).
 *
 * Nobody shows here that an address is theirs, so a new one counts as not
 * verified; and with it goes the account, so every log-in ends. One's own are
 * changed at one's profile, where a code is asked for (integrity.md 20).
 */
#include "app/api.h"
#include "app/profile.h"
#include "app/users.h"
#include "base/err.h"
#include "requests.gen.h"

#define CHANGE_EVENTS 2

static bool is_taken_away(struct slice in_body)
{
	return in_body.ptr != NULL && in_body.len == 0;
}

/* Names that are given back with none in their place. */
static void take_away(struct action *c, struct profile_change *h, const struct request_user_change *body)
{
	struct event_user_contact_changed *to = &h->contact;

	if (is_taken_away(body->username))
		to->old_username_claim = profile_text(c, h, "usernameClaim");
	if (is_taken_away(body->email)) {
		to->old_email = profile_text(c, h, "email");
		to->old_email_claim = profile_text(c, h, "emailClaim");
	}
	if (is_taken_away(body->phone)) {
		to->old_phone = profile_text(c, h, "phone");
		to->old_phone_claim = profile_text(c, h, "phoneClaim");
	}
}

static bool stays(struct action *c, const struct profile_change *h, struct slice claim, struct slice old_claim,
    const char *column)
{
	return claim.len > 0 || (old_claim.len == 0 && profile_text(c, h, column).len > 0);
}

static bool keeps_a_name(struct action *c, const struct profile_change *h)
{
	const struct event_user_contact_changed *to = &h->contact;

	return stays(c, h, to->username_claim, to->old_username_claim, "usernameClaim") ||
	    stays(c, h, to->email_claim, to->old_email_claim, "emailClaim") ||
	    stays(c, h, to->phone_claim, to->old_phone_claim, "phoneClaim") ||
	    action_fail(c, 400, "invalid", "An account needs a user name, a mail address or a phone number.",
	        "请提供用户名、邮箱或手机号");
}

static bool renames(const struct profile_change *h)
{
	return h->names.username.len > 0 || h->contact.old_username_claim.len > 0 || profile_changes_contact(h);
}

/* Else an administrator's log-in left open, or a key, were enough to carry their account away. */
static bool may_rename(struct action *c, const struct profile_change *h)
{
	const struct principal *who = c->rq->principal;

	return !profile_changes_contact(h) || !slice_is(h->user_text, who->user_id) ||
	    action_fail(c, 403, "forbidden", "Your own address and number change at your profile, with a code.",
	        "请在个人资料中修改自己的邮箱或手机号");
}

static void append_change(struct action *c, struct account *a, struct profile_change *h)
{
	struct action_events e = {.c = c};
	int rc = 0;

	if (profile_changes_contact(h))
		rc = sessions_end(&e, a->id, (struct slice){0}, "CONTACT", CHANGE_EVENTS);
	if (renames(h))
		action_event(&e, EVENT_USER_CONTACT_CHANGED, &h->contact, &a->subject, &a->meta);
	if (profile_tells_something(&h->told))
		action_event(&e, EVENT_USER_PROFILE_CHANGED, &h->told, &a->subject, renames(h) ? NULL : &a->meta);
	if (rc == 0)
		rc = e.n > 0 ? action_append(&e) : e.rc;
	if (rc == ERR_TAKEN)
		profile_taken(c, e.append.claim_taken);
	else if (rc == ERR_CONFLICT)
		account_conflict(c);
	else if (rc != 0)
		action_fail_err(c, rc);
	else
		account_answer(c, a->id);
}

static void run_change(struct action *c)
{
	struct request_user_change body;
	struct profile_change h = {0};
	struct account a;

	if (!action_read(c, &schema_request_user_change, &body))
		return;
	h.told = PROFILE_TOLD(body);
	if (!profile_told_check(c, &h.told) || !account_look(c, &a) || !account_is_there(c, &a))
		return;
	h.user_text = a.id;
	h.row = a.row;
	if (!profile_names_read(c, &h, body.username, body.email, body.country_code, body.phone))
		return;
	profile_change_make(c, &h, false);
	take_away(c, &h, &body);
	if (may_rename(c, &h) && keeps_a_name(c, &h))
		append_change(c, &a, &h);
}

/* A decision: what its owner may do must not grow between the look at it and the change. */
static void change_user(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_change);
}

const struct route api_user_change_routes[] = {
	{HTTP_PATCH, "/api/v1/users/{id}", change_user, "users:write", .flags = ROUTE_NO_ETAG,
	    .request = &schema_request_user_change, .answer = "User", .tag = "users",
	    .summary = "Change what somebody goes by or what is told of them; another address or number ends their log-ins"},
	{0},
};
