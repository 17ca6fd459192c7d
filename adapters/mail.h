/* What the parts of the mail adapter share: mail.c sends and starts, each other file has one kind of mail. */
#ifndef LULAB_ADAPTERS_MAIL_H
#define LULAB_ADAPTERS_MAIL_H

#include "adapters/mail_message.h"
#include "adapters/mail_outcome.h"
#include "adapters/mail_template.h"
#include "app/app.h"

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

/* ---- mail_notices.c: what people are told of their account ------------------------------------- */

effect_fn mail_welcome, mail_password_reset, mail_new_device;
effect_wanted_fn mail_has_person;

/* ---- mail_order.c, mail_requests.c: what somebody asks to have sent -------------------------------- */

effect_fn mail_message;
effect_wanted_fn mail_has_content;
extern const struct route mail_routes[];

#endif
