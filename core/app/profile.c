/* See profile.h. */
#include "app/profile.h"

/* ---- what is told ------------------------------------------------------------------------ */

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

bool profile_told_check(struct action *c, const struct event_user_profile_changed *told)
{
	if (!is_link(told->avatar))
		return action_fail(c, 400, "invalid", "avatar: must be an http(s) address.", "头像地址格式不正确");
	if (!is_link(told->website))
		return action_fail(c, 400, "invalid", "website: must be an http(s) address.", "网址格式不正确");
	if (!is_date(told->date_of_birth))
		return action_fail(c, 400, "invalid", "dateOfBirth: must be a date, as 1990-12-31.", "出生日期格式不正确");
	if (!is_gender(told->gender))
		return action_fail(c, 400, "invalid", "gender: must be MALE, FEMALE, OTHER or PREFER_NOT_TO_SAY.", "性别取值不正确");
	return true;
}

bool profile_tells_something(const struct event_user_profile_changed *t)
{
	return t->display_name.ptr != NULL || t->avatar.ptr != NULL || t->bio.ptr != NULL || t->first_name.ptr != NULL ||
	       t->last_name.ptr != NULL || t->date_of_birth.ptr != NULL || t->gender.ptr != NULL || t->address.ptr != NULL ||
	       t->city.ptr != NULL || t->country.ptr != NULL || t->zip_code.ptr != NULL || t->website.ptr != NULL;
}

/* ---- names --------------------------------------------------------------------------------- */

struct slice profile_text(struct action *c, const struct profile_change *h, const char *column)
{
	struct slice text = row_text(c, h->row, column);

	return text.len == 0 ? (struct slice){0} : text;
}

bool profile_names_read(struct action *c, struct profile_change *h, struct slice username, struct slice email,
    struct slice country_code, struct slice phone)
{
	struct slice none = {0};
	struct account_names *n = &h->names;

	if (country_code.len == 0)
		country_code = row_text(c, h->row, "countryCode");
	if (!account_names_read(c, username, email, country_code, phone, n))
		return false;
	if (n->username_key.len > 0 && slice_eq(n->username, row_text(c, h->row, "username")))
		n->username = n->username_key = none;
	if (n->email_key.len > 0 && slice_eq(account_digest(c, "email", n->email_key), row_text(c, h->row, "emailClaim")))
		n->email = n->email_key = none;
	if (n->phone_key.len > 0 && slice_eq(account_digest(c, "phone", n->phone_key), row_text(c, h->row, "phoneClaim")))
		n->phone = n->phone_key = n->country_code = none;
	return true;
}

/* One's own spelling of the user name is no other name: it is claimed already. */
static struct slice new_claim(struct action *c, const struct profile_change *h, const char *kind, struct slice key,
    const char *column)
{
	struct slice claim = key.len == 0 ? key : account_digest(c, kind, key);

	return claim.len > 0 && slice_eq(claim, row_text(c, h->row, column)) ? (struct slice){0} : claim;
}

static struct slice old_text(struct action *c, const struct profile_change *h, struct slice claim, const char *column)
{
	return claim.len == 0 ? (struct slice){0} : profile_text(c, h, column);
}

bool profile_changes_contact(const struct profile_change *h)
{
	const struct event_user_contact_changed *to = &h->contact;

	return to->email_claim.len > 0 || to->old_email_claim.len > 0 || to->phone_claim.len > 0 || to->old_phone_claim.len > 0;
}

void profile_change_make(struct action *c, struct profile_change *h, bool verified)
{
	struct event_user_contact_changed *contact = &h->contact;

	*contact = (struct event_user_contact_changed){.user_id = h->user_text, .username = h->names.username,
	    .email = h->names.email, .phone = h->names.phone, .country_code = h->names.country_code,
	    .username_claim = new_claim(c, h, "username", h->names.username_key, "usernameClaim"),
	    .email_claim = new_claim(c, h, "email", h->names.email_key, "emailClaim"),
	    .phone_claim = new_claim(c, h, "phone", h->names.phone_key, "phoneClaim"), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = h->user_text}}};
	contact->old_email = old_text(c, h, contact->email_claim, "email");
	contact->old_phone = old_text(c, h, contact->phone_claim, "phone");
	contact->old_username_claim = old_text(c, h, contact->username_claim, "usernameClaim");
	contact->old_email_claim = old_text(c, h, contact->email_claim, "emailClaim");
	contact->old_phone_claim = old_text(c, h, contact->phone_claim, "phoneClaim");
	contact->has_email_verified = h->names.email_key.len > 0;
	contact->has_phone_verified = h->names.phone_key.len > 0;
	contact->email_verified = verified && contact->has_email_verified;
	contact->phone_verified = verified && contact->has_phone_verified;
	h->told.user_id = h->user_text;
	h->told.has_subjects = true;
	h->told.subjects.has_person = true;
	h->told.subjects.person.id = h->user_text;
}

bool profile_taken(struct action *c, struct slice claim)
{
	if (slice_starts_with(claim, SLICE("username:")))
		return action_fail(c, 409, "taken", "username: belongs to another account.", "用户名已被使用");
	if (slice_starts_with(claim, SLICE("email:")))
		return action_fail(c, 409, "taken", "email: belongs to another account.", "邮箱已被使用");
	return action_fail(c, 409, "taken", "phone: belongs to another account.", "手机号已被使用");
}
