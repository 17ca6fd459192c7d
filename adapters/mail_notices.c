/* What people are told of their account by mail: that they have one, that its password was reset, that somebody new signed in. */
#include "adapters/mail.h"

#include "base/clock.h"

#define CHINA_US (8 * INT64_C(3600000000))

const char *mail_china_time(struct arena *arena, int64_t unix_us)
{
	char text[TIME_TEXT_LEN + 1];

	time_format_us(text, unix_us + CHINA_US);
	return arena_printf(arena, "%.10s %.8s", text, text + 11);
}

static const struct mail_template *template_of(const struct mail *mail, const char *name)
{
	return mail_template_find(name, mail->app->config->mail_language);
}

/* ---- whom ------------------------------------------------------------------------------------ */

/* Sends it to who the account belongs to; values[0] is their name. */
static void tell(struct effect_call *call, const char *template, struct slice user_id, struct mail_value *values)
{
	struct mail_person person;
	int rc = mail_account(call, user_id, &person);

	if (rc != 0) {
		mail_outcome_set(call, EFFECT_RETRY, "account", "The account cannot be read at the moment.");
	} else if (person.email.len == 0) {
		mail_outcome_set(call, EFFECT_FAILED, "no_address", "The account has no mail address.");
	} else {
		values[0].value = person.name.len > 0 ? person.name : person.email;
		mail_send_template(call, template_of(call->state, template), person.email, values);
	}
}

/* ---- what -------------------------------------------------------------------------------------- */

bool mail_has_person(const struct effect_call *call)
{
	return ((const struct event_user_registered *)call->cause->data)->email.ptr != NULL;
}

void mail_welcome(struct effect_call *calls, size_t n)
{
	const struct event_user_registered *who = calls->cause->data;
	struct slice name = who->display_name.len > 0 ? who->display_name : who->username.len > 0 ? who->username : who->email;

	(void)n;
	mail_send_template(calls, template_of(calls->state, "welcome"), who->email,
	    (struct mail_value[]){{.name = "name", .value = name}, {0}});
}

void mail_password_reset(struct effect_call *calls, size_t n)
{
	const struct event_user_password_set *what = calls->cause->data;

	(void)n;
	tell(calls, "password_reset", what->user_id, (struct mail_value[]){{.name = "name"},
	    {.name = "time", .value = slice_str(mail_china_time(calls->arena, calls->cause_us))}, {0}});
}

void mail_new_device(struct effect_call *calls, size_t n)
{
	const struct event_login_unusual *what = calls->cause->data;
	struct slice device = what->device_info.len > 0 ? what->device_info : what->user_agent, none = SLICE("-");

	(void)n;
	tell(calls, "new_device", what->user_id, (struct mail_value[]){{.name = "name"},
	    {.name = "time", .value = slice_str(mail_china_time(calls->arena, calls->cause_us))},
	    {.name = "ip", .value = what->ip.len > 0 ? what->ip : none},
	    {.name = "device", .value = device.len > 0 ? device : none}, {0}});
}
