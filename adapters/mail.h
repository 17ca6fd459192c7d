/* What the parts of the mail adapter share: mail.c sends and starts, each other file has one kind of mail. */
#ifndef LULAB_ADAPTERS_MAIL_H
#define LULAB_ADAPTERS_MAIL_H

#include "adapters/mail_message.h"
#include "adapters/mail_outcome.h"
#include "adapters/mail_template.h"
#include "app/app.h"
#include "app/tasks.h"

struct mail {
	struct app *app;
	const char *unready;
	struct smtp_server server;
	struct mail_address from;
	_Atomic bool checking; /* one looks at the server at a time */
};

extern const struct effect_lane mail_lane;

/* Writes the message and sends it to one address; the outcome is set. m->from is filled in. */
void mail_send(struct effect_call *call, struct mail_message *m, struct slice to);
/* The same with a template, to that address alone. */
void mail_send_template(struct effect_call *call, const struct mail_template *t, struct slice to,
    const struct mail_value *values);

/* ---- mail_people.c: whom ------------------------------------------------------------------------ */

/* Somebody with an account; email empty: none that is known. In the call's arena. */
struct mail_person {
	struct slice user_id, email, name;
	bool is_verified; /* they have shown that the address is theirs */
};
/* These give 0 also when there is nobody. As they stand now, which may be later than the cause. */
int mail_account(struct effect_call *call, struct slice user_id, struct mail_person *ret);
int mail_person_of_platform(struct effect_call *call, struct slice identity, struct mail_person *ret);
/* Who took part and has an account with an address, each once. ERR_RANGE: there are more; the first `max` are given. */
int mail_people_of_meeting(struct effect_call *call, struct slice meeting, struct mail_person *people, size_t max,
    size_t *ret_n);

/* ---- mail_notices.c: what people are told of their account ------------------------------------- */

/* "2026-01-01 08:00:00" of China's clocks; NULL without memory. */
const char *mail_china_time(struct arena *arena, int64_t unix_us);

effect_fn mail_welcome, mail_password_reset, mail_new_device;
effect_wanted_fn mail_has_person;

/* ---- mail_summary.c -------------------------------------------------------------------------------- */

effect_fn mail_summary, mail_personal_summary;
effect_wanted_fn mail_has_summary;
const char *mail_summary_off(void *state), *mail_personal_summary_off(void *state);

/* ---- mail_order.c, mail_requests.c: what somebody asks to have sent -------------------------------- */

effect_fn mail_message;
effect_wanted_fn mail_has_content;
extern const struct route mail_routes[];

/* ---- mail_task.c: mails as tasks ------------------------------------------------------------------- */

extern const struct task_kind mail_task_kinds[];

#endif
