/*
 * Text codings of bytes: hex, base64 (RFC 4648 sections 4 and 5), percent
 * (RFC 3986), and UTF-8 checks (RFC 3629). Decoders are strict: they refuse
 * what an encoder would not have written, except where said.
 */
#ifndef LULAB_BASE_CODEC_H
#define LULAB_BASE_CODEC_H

#include "buf.h"

/* 2*len lower-case digits and a NUL. */
void hex_encode(char *ret_text, const void *bytes, size_t len);
/* Exactly len bytes from 2*len digits of either case. ERR_MALFORMED. */
int hex_decode(void *ret_bytes, size_t len, struct slice text);

/* Encoded sizes, without the NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
#define BASE64URL_LEN(n) (((n)*4 + 2) / 3)
#define BASE64URL_DECODED_LEN(n) ((n) / 4 * 3 + (n) % 4 * 3 / 4) /* of n characters without padding */

/* Standard alphabet with padding; appends to b. */
int base64_encode(struct buf *b, struct slice bytes);
/* URL alphabet, no padding. */
int base64url_encode(struct buf *b, struct slice bytes);
/* Into fixed memory that holds the encoded size + 1; NUL-terminated. */
void base64_encode_to(char *ret_text, const void *bytes, size_t len);
void base64url_encode_to(char *ret_text, const void *bytes, size_t len);

/*
 * Standard alphabet, padding required and unused bits zero; appends to b.
 * BASE64_LENIENT accepts missing padding and non-zero unused bits (the
 * 43-character Tencent EncodingAESKey; vendor-protocols 0.11).
 */
#define BASE64_LENIENT 1u
int base64_decode(struct buf *b, struct slice text, unsigned flags);
int base64url_decode(struct buf *b, struct slice text);
/* Exactly len bytes. ERR_MALFORMED. */
int base64_decode_to(void *ret_bytes, size_t len, struct slice text, unsigned flags);
int base64url_decode_to(void *ret_bytes, size_t len, struct slice text);

/* Text as it may stand between and within quotes of HTML and XML: & < > " ' become references. */
int markup_escape(struct buf *b, struct slice text);

/* Everything but RFC 3986 unreserved characters becomes %XX (upper case). */
int percent_encode(struct buf *b, struct slice bytes);
/* %XX decoded, '+' kept as it is. PERCENT_FORM: '+' is a space. ERR_MALFORMED on a broken escape or %00. */
#define PERCENT_FORM 1u
int percent_decode(struct buf *b, struct slice text, unsigned flags);

/* Well-formed UTF-8: no surrogates, no overlong forms, at most U+10FFFF. */
bool utf8_valid(struct slice text);
/* Bytes of the well-formed character at the front; 0 when there is none. */
size_t utf8_sequence(const char *text, size_t len);
/* Code points in well-formed text. */
size_t utf8_length(struct slice text);

#endif
