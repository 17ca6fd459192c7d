/*
 * One mail over SMTP, by libcurl: blocking, a connection of its own. The answer
 * says how far it came, which is what decides whether the mail may be sent again.
 */
#ifndef LULAB_MAIL_SMTP_H
#define LULAB_MAIL_SMTP_H

#include <stdatomic.h>

#include "base/slice.h"

struct smtp_server {
	const char *host;
	unsigned port;
	bool tls;            /* from the first byte; else STARTTLS, which must be there unless the host is this machine */
	const char *user, *password; /* user NULL: nobody signs in */
	const char *ca_file; /* NULL: the system's */
};

/* The last thing that was said to the server. */
enum smtp_phase {
	SMTP_CONNECTING, /* nothing: name, connection, TLS */
	SMTP_GREETING,   /* EHLO, STARTTLS */
	SMTP_AUTH,
	SMTP_FROM,
	SMTP_TO,
	SMTP_DATA,       /* the message is on its way, its end is not */
	SMTP_END,        /* all was given to the connection: no answer means that nobody knows */
};

struct smtp_answer {
	enum smtp_phase phase;
	int code;            /* of the last reply; 0 = none to what was said last */
	int detail;          /* the middle digit of its enhanced code: 1 address, 7 policy, ...; -1 = it has none */
	bool certificate;    /* it was the server's certificate that was refused */
	bool no_tls;         /* the server offers no STARTTLS */
};

/* 0: accepted. ERR_NETWORK, ERR_TIMEOUT, ERR_DENIED (a reply of 4xx or 5xx, a certificate), ERR_CANCELLED (stopping), ERR_NOMEM. */
int smtp_send(const struct smtp_server *server, struct slice from, struct slice to, struct slice message,
    const _Atomic bool *stopping, struct smtp_answer *ret);

/* Whether it lets us in, with nothing sent: everything up to AUTH, and a NOOP. As smtp_send(), in at most 8 s. */
int smtp_check(const struct smtp_server *server, struct slice from, const _Atomic bool *stopping, struct smtp_answer *ret);

#endif
