/*
 * A handshake, a ticket that is used again and a few bytes both ways over memory, while every call of ours and of
 * OpenSSL fails once: what arrives is what was sent, or it is said that it could not be.
 */
#include "net/tls.h"

#include <openssl/ssl.h>

#include "base/err.h"
#include "core/net/tls_pair.h"
#include "lib/failing.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

#define SAID "said by the client"
#define REPLY "answered by us"

static char dir[TEMP_DIR_LEN], cert_path[80], key_path[80];
static struct clock_manual hands;
static SSL_CTX *client_ctx;
static SSL_SESSION *ticket; /* the first the client was given */
static int version;

static void setup(void)
{
	temp_dir_make(dir, "tls_failing");
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	tls_pair_make(cert_path, key_path, "failing", 90);
	clock_manual_init(&hands, 1795477155000000);
}

static void teardown(void)
{
	temp_dir_remove(dir);
}

/* ---- the client, whose calls never fail -------------------------------------------------------- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	if (ticket != NULL)
		return 0;
	ticket = session;
	return 1; /* it is ours now */
}

static void client_init(void)
{
	client_ctx = SSL_CTX_new(TLS_client_method());
	ck_assert_ptr_nonnull(client_ctx);
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(client_ctx, version), 1);
	SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client_ctx, on_session);
}

static void client_finish(void)
{
	SSL_SESSION_free(ticket);
	ticket = NULL;
	SSL_CTX_free(client_ctx);
}

static SSL *client_new(void)
{
	SSL *ssl = SSL_new(client_ctx);

	ck_assert_ptr_nonnull(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	if (ticket != NULL) {
		/* A copy: the library holds a ticket for spent once a newer one has come. */
		SSL_SESSION *copy = SSL_SESSION_dup(ticket);

		SSL_set_session(ssl, copy);
		SSL_SESSION_free(copy);
	}
	return ssl;
}

/* ---- a connection -------------------------------------------------------------------------------- */

/* What the client has to send to us. */
static int carry_to_us(SSL *client, struct tls_session *s)
{
	char *bytes;
	long len;
	int rc;

	failing_pause();
	len = BIO_get_mem_data(SSL_get_wbio(client), &bytes);
	failing_go_on();
	rc = tls_session_feed(s, slice_of(bytes, (size_t)len));
	failing_pause();
	(void)BIO_reset(SSL_get_wbio(client));
	failing_go_on();
	return rc;
}

static int carry_to_client(struct tls_session *s, SSL *client)
{
	struct buf out = BUF_INIT(1u << 20);
	int rc = tls_session_take(s, &out);

	failing_pause();
	if (rc == 0 && out.len > 0)
		ck_assert_int_eq(BIO_write(SSL_get_rbio(client), out.ptr, (int)out.len), (int)out.len);
	failing_go_on();
	buf_finish(&out);
	return rc;
}

/* Bytes of the client as they come; ERR_*. */
static int hear(SSL *client, struct tls_session *s, char *ret, size_t size)
{
	int n = 0;

	failing_pause();
	for (int turns = 0; turns < 20 && n == 0; turns++) {
		int rc;

		if (SSL_do_handshake(client) == 1 && turns > 0 && SSL_pending(client) == 0 && tls_session_ready(s))
			(void)SSL_write(client, SAID, sizeof(SAID));
		failing_go_on();
		rc = carry_to_us(client, s);
		if (rc == 0)
			n = tls_session_read(s, ret, size);
		if (rc == 0 && n >= 0)
			rc = carry_to_client(s, client);
		failing_pause();
		n = rc != 0 ? rc : n;
	}
	failing_go_on();
	return n == 0 ? ERR_TIMEOUT : n;
}

static int converse(struct tls *t, bool *ret_resumed)
{
	struct tls_session *s = NULL;
	char heard[64];
	SSL *client;
	int rc = tls_session_create(&s, t), n = 0;

	failing_pause();
	client = client_new();
	failing_go_on();
	if (rc == 0)
		n = hear(client, s, heard, sizeof(heard));
	if (rc == 0)
		rc = n < 0 ? n : 0;
	failing_pause();
	if (rc == 0)
		ck_assert_msg(n >= (int)sizeof(SAID) && memcmp(heard, SAID, sizeof(SAID)) == 0, "%d bytes of something else", n);
	failing_go_on();
	if (rc == 0)
		rc = tls_session_write(s, SLICE(REPLY));
	if (rc == 0)
		rc = carry_to_client(s, client);
	failing_pause();
	if (rc == 0) {
		ck_assert_int_eq(SSL_read(client, heard, sizeof(heard)), (int)strlen(REPLY));
		ck_assert_int_eq(memcmp(heard, REPLY, strlen(REPLY)), 0);
	}
	*ret_resumed = SSL_session_reused(client) == 1;
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its ticket is forgotten */
	SSL_free(client);
	failing_go_on();
	tls_session_destroy(s);
	return rc;
}

static bool resumed, resumed_next_day;

/* A full handshake, one with its ticket, and one with it after the keys of tickets were turned. */
static int three_times(void)
{
	struct tls *t = NULL;
	bool first;
	int rc;

	failing_pause();
	client_init();
	failing_go_on();
	clock_manual_init(&hands, 1795477155000000);
	rc = tls_create(&t, cert_path, key_path, &hands.clock);
	if (rc == 0)
		rc = converse(t, &first);
	if (rc == 0)
		rc = converse(t, &resumed);
	clock_manual_advance(&hands, INT64_C(25) * 3600 * 1000000);
	if (rc == 0)
		rc = converse(t, &resumed_next_day);
	if (rc == 0)
		rc = tls_reload(t);
	if (rc == 0)
		rc = tls_expires_at(t) > 0 ? 0 : ERR_CORRUPT;
	tls_destroy(t);
	failing_pause();
	client_finish();
	failing_go_on();
	return rc;
}

static void as_it_should(int rc, const char *what)
{
	if (what != NULL)
		return;
	ck_assert_msg(rc == 0, "%s", err_name(rc));
	ck_assert_msg(resumed && resumed_next_day, "no ticket was used");
}

START_TEST(what_arrives_was_sent)
{
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_TLS, .act = three_times, .after = as_it_should};

	version = _i == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
	ck_assert_uint_ge(failing_walk(&walk), 30);
	as_it_should(three_times(), NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, what_arrives_was_sent, 0, 2);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
