/* What a mail server's answer, or its silence, means for the effect that sent a mail (vendor-protocols.md 5). */
#ifndef LULAB_MAIL_OUTCOME_H
#define LULAB_MAIL_OUTCOME_H

#include "mail_smtp.h"
#include "store/effect.h"

/* rc and the answer of smtp_send(). Sets outcome, class, message, status and host_failed. */
void mail_outcome(struct effect_call *call, int rc, const struct smtp_answer *a);

/* An outcome without a server's answer; class and message are static. */
void mail_outcome_set(struct effect_call *call, enum effect_outcome outcome, const char *class, const char *message);

#endif
