/*
 * TLS 1.2 and 1.3 for the listener, by OpenSSL over memory buffers: ciphertext
 * goes in, plaintext comes out, and the other way round; no socket here.
 *
 * Only ECDHE with AES-GCM or ChaCha20-Poly1305, X25519 and P-256, no
 * renegotiation, no compression; ALPN is http/1.1. A session ticket can be
 * used for a day or two: the key changes daily and the one before still opens.
 */
#ifndef LULAB_NET_TLS_H
#define LULAB_NET_TLS_H

#include "base/buf.h"
#include "base/clock.h"

struct tls;         /* certificate and settings; one per server, any thread */
struct tls_session; /* one connection; its loop's thread */

/* ERR_CONFIG: unreadable, no key pair, or a key too weak for the library's level. */
int tls_create(struct tls **ret, const char *cert_path, const char *key_path, const struct clock *clock);
void tls_destroy(struct tls *t);
/* Read both files again; on ERR_CONFIG the old pair stays in force. */
int tls_reload(struct tls *t);
/* Seconds since 1970. */
int64_t tls_expires_at(struct tls *t);

int tls_session_create(struct tls_session **ret, struct tls *t);
void tls_session_destroy(struct tls_session *s);
/* Ciphertext from the socket. ERR_NOMEM. */
int tls_session_feed(struct tls_session *s, struct slice cipher);
/*
 * Plaintext out of what was fed; drives the handshake too. > 0 bytes; 0 more
 * ciphertext is needed; ERR_END the peer closed; ERR_NETWORK protocol error.
 */
int tls_session_read(struct tls_session *s, char *ret_bytes, size_t len);
/* Is the handshake done? */
bool tls_session_ready(const struct tls_session *s);
/* Encrypts all of it. ERR_NETWORK. */
int tls_session_write(struct tls_session *s, struct slice plain);
/* Appends ciphertext that waits to be sent, from whatever caused it. */
int tls_session_take(struct tls_session *s, struct buf *out);
/* Says goodbye (close_notify); tls_session_take() then has it. */
void tls_session_bye(struct tls_session *s);

#endif
