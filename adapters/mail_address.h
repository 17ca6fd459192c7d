/*
 * Mail addresses, as they are read from settings and requests and written into headers
 * (RFC 5322 3.4, RFC 2047). Pure.
 */
#ifndef LULAB_MAIL_ADDRESS_H
#define LULAB_MAIL_ADDRESS_H

#include "base/buf.h"

/* A name (may be empty) and an address. */
struct mail_address {
	struct slice name, address;
};

/* "a@b.c" or "Name <a@b.c>", borrowed. ERR_INVALID: it could not be written as it is. */
int mail_address_parse(struct slice text, struct mail_address *ret);

/* "To: a@b.c, =?UTF-8?B?...?= <d@e.f>", folded, with its line end. Nothing when there are none. */
void mail_put_addresses(struct buf *out, const char *header, const struct mail_address *all, size_t n);

/* Any text as it may stand in a header: as it is when it is short ASCII, else as encoded words on lines of their own. */
void mail_put_words(struct buf *out, struct slice text);

#endif
