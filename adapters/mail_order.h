/*
 * A mail as somebody asked for it (schemas/requests/mail_send.json): who reads it, what is attached. Each who gets it
 * is an effect of its own, so that one address that is refused neither stops the others nor makes them
 * get it twice.
 */
#ifndef LULAB_ADAPTERS_MAIL_ORDER_H
#define LULAB_ADAPTERS_MAIL_ORDER_H

#include "adapters/mail.h"
#include "app/fact.h"
#include "requests.gen.h"

#define MAIL_READERS_MAX 50
#define MAIL_ORDER_MAX ((size_t)10 << 20) /* of its JSON */
#define MAIL_MESSAGE_EFFECT "mail.message"
#define MAIL_CONTENT_FIELD "content" /* of mail.requested: the JSON, sealed */

/* Addresses as they go into headers, and each once as it goes into RCPT TO: so many effects there are. */
struct mail_readers {
	struct mail_address to[MAIL_READERS_MAX], cc[MAIL_READERS_MAX];
	size_t n_to, n_cc;
	struct slice envelope[MAIL_READERS_MAX];
	size_t n;
	const char *wrong; /* the member that holds no address, and where in it */
	size_t wrong_at;
};
/* Borrows. ERR_INVALID: a text that is no address. ERR_RANGE: too many. */
int mail_readers_read(const struct request_mail_send *asked, struct mail_readers *ret);

/* Opened, in the arena. ERR_INVALID: one that could not be sent, *ret_wrong which. ERR_TOO_BIG: all together. ERR_NOMEM. */
int mail_attachments_read(const struct request_mail_send *asked, struct arena *arena, struct mail_attachment **ret,
    size_t *ret_wrong);

/*
 * mail.requested, of a fact that has begun; what it is made of lies in the fact's arena. user_id: whose key seals it; empty:
 * one for the first address. send_at_ms 0: at once. request_digest: of an Idempotency-Key's request, or {NULL,0}. Errors of sealing and event_draft_make().
 */
int mail_order_draft(struct fact *f, const struct request_mail_send *asked, const struct mail_readers *readers,
    struct slice user_id, int64_t send_at_ms, struct slice request_digest, struct slice *ret_mail_id, struct event_draft *ret);

#endif
