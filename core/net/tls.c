/*
 * OpenSSL behind the few verbs the server needs. A session holds its own
 * reference to the context it was made from, so a reload swaps the context
 * and leaves running connections alone. See tls.h.
 */
#include "net/tls.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/err.h"

#define TICKET_KEY_LIFE_US (INT64_C(24) * 3600 * 1000000)

struct ticket_key {
	unsigned char name[16], aes[32], hmac[32];
};

struct tls {
	char *cert_path, *key_path;
	const struct clock *clock;
	pthread_mutex_t lock; /* guards all below */
	SSL_CTX *ctx;
	int64_t expires_at;
	struct ticket_key keys[2]; /* the one that seals, the one before */
	int64_t keys_made_at_us;
};

struct tls_session {
	SSL *ssl;
	BIO *in, *out;
};

static int ex_index(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards index */
	static int index = -1;
	int result;

	pthread_mutex_lock(&lock);
	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	result = index;
	pthread_mutex_unlock(&lock);
	return result;
}

/* Called with the lock held. */
static bool turn_keys(struct tls *t)
{
	int64_t now_us = clock_monotonic_us(t->clock);
	struct ticket_key fresh;

	if (t->keys_made_at_us != 0 && now_us - t->keys_made_at_us < TICKET_KEY_LIFE_US)
		return true;
	if (RAND_priv_bytes((unsigned char *)&fresh, sizeof(fresh)) != 1)
		return false;
	/* Two days of silence: the older key must not come back to life. */
	t->keys[1] = t->keys_made_at_us != 0 && now_us - t->keys_made_at_us < 2 * TICKET_KEY_LIFE_US ? t->keys[0] : fresh;
	t->keys[0] = fresh;
	t->keys_made_at_us = now_us == 0 ? 1 : now_us;
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return true;
}

static bool use_key(const struct ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    bool seal)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->hmac, sizeof(key->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1 &&
	    EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv, seal) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 good, 2 good but make a new ticket, 0 unknown key, -1 failed. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    int seal)
{
	struct tls *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ex_index());
	struct ticket_key keys[2];
	int result = 0;
	bool ok;

	pthread_mutex_lock(&t->lock);
	ok = turn_keys(t);
	memcpy(keys, t->keys, sizeof(keys));
	pthread_mutex_unlock(&t->lock);
	if (!ok)
		return -1;
	if (seal) {
		memcpy(name, keys[0].name, sizeof(keys[0].name));
		result = RAND_bytes(iv, 16) == 1 && use_key(&keys[0], iv, cipher, mac, true) ? 1 : -1;
	} else {
		for (int i = 0; i < 2 && result == 0; i++)
			if (memcmp(name, keys[i].name, sizeof(keys[i].name)) == 0)
				result = use_key(&keys[i], iv, cipher, mac, false) ? i + 1 : -1;
	}
	OPENSSL_cleanse(keys, sizeof(keys));
	return result;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
    unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, 24 * 3600);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(ctx,
		"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
		"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305") == 1 &&
	    SSL_CTX_set_ciphersuites(ctx,
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1 &&
	    SSL_CTX_set1_sigalgs_list(ctx,
		"ed25519:ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA+SHA256:RSA+SHA384") == 1;
}

static int64_t not_after(SSL_CTX *ctx)
{
	X509 *cert = SSL_CTX_get0_certificate(ctx);
	int days = 0, seconds = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int64_t result = 0;

	if (cert != NULL && epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(cert)) == 1)
		result = (int64_t)days * 86400 + seconds;
	ASN1_TIME_free(epoch);
	return result;
}

int tls_reload(struct tls *t)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int rc = ERR_CONFIG;

	if (ctx == NULL)
		return ERR_NOMEM;
	if (!set_rules(ctx) || SSL_CTX_use_certificate_chain_file(ctx, t->cert_path) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, t->key_path, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		goto out;
	if (SSL_CTX_set_ex_data(ctx, ex_index(), t) != 1 || SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1)
		goto out;
	rc = 0;
	pthread_mutex_lock(&t->lock);
	t->expires_at = not_after(ctx);
	SSL_CTX *old = t->ctx;
	t->ctx = ctx;
	ctx = old; /* freed below; sessions hold on to it as long as they need it */
	pthread_mutex_unlock(&t->lock);
out:
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

int tls_create(struct tls **ret, const char *cert_path, const char *key_path, const struct clock *clock)
{
	struct tls *t = calloc(1, sizeof(*t));
	int rc = ERR_NOMEM;

	if (t == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->clock = clock;
	t->cert_path = strdup(cert_path);
	t->key_path = strdup(key_path);
	if (t->cert_path == NULL || t->key_path == NULL)
		goto out;
	rc = tls_reload(t);
	if (rc != 0)
		goto out;
	*ret = t;
	t = NULL;
out:
	tls_destroy(t);
	return rc;
}

void tls_destroy(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	free(t->cert_path);
	free(t->key_path);
	pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t->keys, sizeof(t->keys));
	free(t);
}

int64_t tls_expires_at(struct tls *t)
{
	int64_t at;

	pthread_mutex_lock(&t->lock);
	at = t->expires_at;
	pthread_mutex_unlock(&t->lock);
	return at;
}

int tls_session_create(struct tls_session **ret, struct tls *t)
{
	struct tls_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	pthread_mutex_lock(&t->lock);
	s->ssl = SSL_new(t->ctx);
	pthread_mutex_unlock(&t->lock);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	if (s->ssl == NULL || s->in == NULL || s->out == NULL) {
		BIO_free(s->in);
		BIO_free(s->out);
		SSL_free(s->ssl);
		free(s);
		ERR_clear_error();
		return ERR_NOMEM;
	}
	BIO_set_mem_eof_return(s->in, -1);
	BIO_set_mem_eof_return(s->out, -1);
	SSL_set_bio(s->ssl, s->in, s->out); /* owns both now */
	SSL_set_accept_state(s->ssl);
	*ret = s;
	return 0;
}

void tls_session_destroy(struct tls_session *s)
{
	if (s == NULL)
		return;
	SSL_free(s->ssl);
	free(s);
}

int tls_session_feed(struct tls_session *s, struct slice cipher)
{
	while (cipher.len > 0) {
		int n = BIO_write(s->in, cipher.ptr, cipher.len > 65536 ? 65536 : (int)cipher.len);

		if (n <= 0)
			return ERR_NOMEM;
		cipher.ptr += n;
		cipher.len -= (size_t)n;
	}
	return 0;
}

static int outcome(struct tls_session *s, int n)
{
	int error = SSL_get_error(s->ssl, n);

	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	return error == SSL_ERROR_ZERO_RETURN ? ERR_END : ERR_NETWORK;
}

int tls_session_read(struct tls_session *s, char *ret_bytes, size_t len)
{
	int n = SSL_read(s->ssl, ret_bytes, (int)len);

	return n > 0 ? n : outcome(s, n);
}

bool tls_session_ready(const struct tls_session *s)
{
	return SSL_is_init_finished(s->ssl) == 1;
}

int tls_session_write(struct tls_session *s, struct slice plain)
{
	while (plain.len > 0) {
		int n = SSL_write(s->ssl, plain.ptr, plain.len > 1 << 20 ? 1 << 20 : (int)plain.len);

		if (n <= 0) {
			ERR_clear_error();
			return ERR_NETWORK;
		}
		plain.ptr += n;
		plain.len -= (size_t)n;
	}
	return 0;
}

int tls_session_take(struct tls_session *s, struct buf *out)
{
	char *bytes;
	long len = BIO_get_mem_data(s->out, &bytes);

	if (len > 0) {
		buf_append(out, slice_of(bytes, (size_t)len));
		(void)BIO_reset(s->out);
	}
	return out->rc;
}

void tls_session_bye(struct tls_session *s)
{
	SSL_shutdown(s->ssl);
	ERR_clear_error();
}
