/* tls.c and http_client.c: certificates made here, judged by libcurl and by openssl s_client. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "base/io.h"
#include "base/rng.h"
#include "core/net/http_rig.h"
#include "core/net/tls_pair.h"
#include "net/http_client.h"
#include "net/tls.h"
#include "lib/temp_dir.h"

static char dir[TEMP_DIR_LEN], cert_path[80], key_path[80];
static struct http_server *server;
static struct clock_manual hands;
static struct clock_manual still; /* by which no loop is ever late, however busy the machine is */
static char url[64];

static void hello(struct http_request *rq)
{
	http_respond_slice(rq, 200, HTTP_TEXT, rq->secure ? SLICE("secure\n") : SLICE("plain\n"));
}

static void echo(struct http_request *rq)
{
	http_respond_slice(rq, 200, "application/octet-stream", rq->body);
}

#define LARGE_LEN ((size_t)3 << 20)

static void large(struct http_request *rq)
{
	struct buf body = BUF_INIT(LARGE_LEN);
	char *to = buf_reserve(&body, LARGE_LEN);

	if (to != NULL) {
		for (size_t i = 0; i < LARGE_LEN; i++)
			to[i] = (char)('a' + i % 26);
		buf_commit(&body, LARGE_LEN);
	}
	http_respond(rq, 200, "application/octet-stream", &body);
}

static void elsewhere(struct http_request *rq)
{
	http_header(rq, "Location", SLICE("/hello"));
	http_respond(rq, 302, NULL, NULL);
}

static const struct route routes[] = {
	{.method = HTTP_GET, .path = "/hello", .handler = hello, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/echo", .handler = echo, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/large", .handler = large, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/elsewhere", .handler = elsewhere, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{0},
};
static const struct route *const tables[] = {routes, NULL};

static void start(void)
{
	struct http_options options = {.listen = "127.0.0.1:0", .loops = 2, .routes = tables, .clock = &hands.clock,
	    .lag_clock = &still.clock, .tls_cert = cert_path, .tls_key = key_path};

	temp_dir_make(dir, "tls");
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	tls_pair_make(cert_path, key_path, "first", 90);
	clock_manual_init(&hands, 1795477155000000);
	clock_manual_init(&still, 1);
	ck_assert_int_eq(http_server_start(&server, &options, NULL), 0);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u", http_server_port(server));
}

static void stop(void)
{
	http_server_close(server);
	server = NULL;
	temp_dir_remove(dir);
}

static int call(const char *path, const struct http_call *how, struct http_result *ret)
{
	struct http_call c = how != NULL ? *how : (struct http_call){.ca_file = cert_path};
	struct http_client *client;
	char whole[128];
	int rc;

	snprintf(whole, sizeof(whole), "%s%s", url, path);
	c.url = whole;
	ck_assert_int_eq(http_client_create(&client), 0);
	rc = http_client_call(client, &c, ret);
	http_client_destroy(client);
	return rc;
}

START_TEST(libcurl_trusts_and_is_answered)
{
	struct http_result r;
	struct slice value;

	start();
	ck_assert_int_eq(call("/hello", NULL, &r), 0);
	ck_assert_int_eq(r.status, 200);
	ck_assert_slice_eq(buf_slice(&r.body), SLICE("secure\n"));
	ck_assert(http_result_header(&r, "strict-transport-security", &value));
	ck_assert_slice_eq(value, SLICE("max-age=31536000"));
	ck_assert(!http_result_header(&r, "server", &value));
	http_result_finish(&r);
	ck_assert_int_eq(call("/large", NULL, &r), 0);
	ck_assert_uint_eq(r.body.len, LARGE_LEN);
	for (size_t i = 0; i < LARGE_LEN; i += 4099)
		ck_assert_int_eq(r.body.ptr[i], 'a' + (int)(i % 26));
	http_result_finish(&r);
	stop();
}
END_TEST

START_TEST(a_large_body_goes_in_and_out)
{
	struct buf body = BUF_INIT(1 << 20);
	struct http_result r;

	start();
	for (int i = 0; body.len < 200000; i++)
		buf_printf(&body, "%d,", i);
	ck_assert_int_eq(call("/echo", &(struct http_call){.ca_file = cert_path, .body = buf_slice(&body)}, &r), 0);
	ck_assert_int_eq(r.status, 200);
	ck_assert(slice_eq(buf_slice(&r.body), buf_slice(&body)));
	http_result_finish(&r);
	buf_finish(&body);
	stop();
}
END_TEST

START_TEST(a_client_refuses_what_it_cannot_trust)
{
	struct http_result r;

	start();
	ck_assert_int_eq(call("/hello", &(struct http_call){0}, &r), ERR_BAD_SIGNATURE);
	http_result_finish(&r);
	snprintf(url, sizeof(url), "https://localhost.localdomain:1");
	ck_assert_int_ne(call("/hello", &(struct http_call){.timeout_ms = 2000}, &r), 0);
	http_result_finish(&r);
	stop();
}
END_TEST

static int refuse_bytes(void *arg, struct slice bytes)
{
	(void)arg;
	return bytes.len > 0 ? -1 : 0;
}

START_TEST(a_client_keeps_its_own_rules)
{
	const char *const bad_headers[] = {"X: a\r\nY: b", NULL};
	struct http_result r;
	struct slice value;

	start();
	/* A redirect is an answer, not an order. */
	ck_assert_int_eq(call("/elsewhere", NULL, &r), 0);
	ck_assert_int_eq(r.status, 302);
	ck_assert(http_result_header(&r, "location", &value));
	ck_assert_slice_eq(value, SLICE("/hello"));
	http_result_finish(&r);
	ck_assert_int_eq(call("/large", &(struct http_call){.ca_file = cert_path, .answer_max = 1000}, &r), ERR_TOO_BIG);
	http_result_finish(&r);
	ck_assert_int_eq(call("/hello", &(struct http_call){.ca_file = cert_path, .on_bytes = refuse_bytes}, &r), ERR_CANCELLED);
	http_result_finish(&r);
	ck_assert_int_eq(call("/hello", &(struct http_call){.ca_file = cert_path, .headers = bad_headers}, &r), ERR_INVALID);
	http_result_finish(&r);
	ck_assert_int_eq(call("/hello\r\nX: y", NULL, &r), ERR_INVALID);
	http_result_finish(&r);
	ck_assert_int_eq(call("/hello", &(struct http_call){.method = "HEAD", .ca_file = cert_path}, &r), 0);
	ck_assert_int_eq(r.status, 200);
	ck_assert_uint_eq(r.body.len, 0);
	http_result_finish(&r);
	/* Plain HTTP is for this machine; other schemes are for nobody. An address of TEST-NET-1 is never asked. */
	snprintf(url, sizeof(url), "http://192.0.2.1:9");
	ck_assert_int_eq(call("/", &(struct http_call){.timeout_ms = 2000}, &r), ERR_DENIED);
	http_result_finish(&r);
	snprintf(url, sizeof(url), "https://192.0.2.1:9");
	ck_assert_int_eq(call("/", &(struct http_call){.flags = CLIENT_LOOPBACK_ONLY, .timeout_ms = 2000}, &r), ERR_DENIED);
	http_result_finish(&r);
	snprintf(url, sizeof(url), "file:///etc/passwd");
	ck_assert_int_eq(call("", NULL, &r), ERR_DENIED);
	http_result_finish(&r);
	stop();
}
END_TEST

START_TEST(a_new_certificate_serves_new_connections)
{
	struct http_result r;
	int64_t before;

	start();
	before = http_server_tls_expires_at(server);
	ck_assert_int_gt(before, 0);
	tls_pair_make(cert_path, key_path, "second", 10);
	ck_assert_int_eq(call("/hello", NULL, &r), ERR_BAD_SIGNATURE); /* the file is new, the server is not */
	http_result_finish(&r);
	ck_assert_int_eq(http_server_reload_tls(server), 0);
	ck_assert_int_eq(call("/hello", NULL, &r), 0);
	http_result_finish(&r);
	ck_assert(before - http_server_tls_expires_at(server) >= 79 * 86400);
	/* A broken file changes nothing. */
	ck_assert_int_eq(file_replace(key_path, SLICE("rubbish"), 0600), 0);
	ck_assert_int_eq(http_server_reload_tls(server), ERR_CONFIG);
	ck_assert_int_eq(call("/hello", NULL, &r), 0);
	http_result_finish(&r);
	stop();
}
END_TEST

/* What `openssl s_client ARGS` says, both streams; its exit status is 0 when the handshake was done. */
static int s_client(const char *args, struct buf *said)
{
	char command[512], piece[4096];
	FILE *pipe;
	size_t n;

	snprintf(command, sizeof(command),
	    "printf 'GET /hello HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | "
	    "timeout 20 openssl s_client -quiet -no_ign_eof -ign_eof -connect 127.0.0.1:%u %s 2>&1",
	    http_server_port(server), args);
	buf_clear(said);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	while ((n = fread(piece, 1, sizeof(piece), pipe)) > 0)
		buf_append(said, slice_of(piece, n));
	buf_append(said, SLICE("\n"));
	return pclose(pipe);
}

static const struct {
	const char *says, *args;
	bool done;
} handshakes[] = {
	{"1.3", "-tls1_3", true},
	{"1.2", "-tls1_2", true},
	{"1.1 is too old", "-tls1_1 -cipher ALL:@SECLEVEL=0", false},
	{"1.2 with X25519", "-tls1_2 -curves X25519:P-256", true},
	{"1.3 with P-256", "-tls1_3 -curves P-256", true},
	{"another curve", "-tls1_3 -curves P-521", false},
	{"CBC", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", false},
	{"SHA-1", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", false},
	{"ChaCha20", "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", true},
	{"AES-GCM", "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", true},
	{"http/1.1 among others", "-alpn h2,http/1.1", true},
	{"only h2", "-alpn h2", false},
};

START_TEST(only_modern_handshakes)
{
	struct buf said = BUF_INIT(1 << 20);

	start();
	s_client(handshakes[_i].args, &said);
	ck_assert_msg((strstr(said.ptr, "HTTP/1.1 200 OK") != NULL) == handshakes[_i].done, "%s: %s", handshakes[_i].says, said.ptr);
	buf_finish(&said);
	stop();
}
END_TEST

START_TEST(a_handshake_has_its_time)
{
	struct client c;
	struct http_stats s;

	start();
	c = client_connect(http_server_port(server));
	client_say(&c, "\x16\x03\x01\x02");
	do
		http_server_stats(server, &s);
	while (s.bytes_in < 4);
	/* Armed when accepted, by the clock as it stood. */
	clock_manual_advance(&hands, 5000000);
	http_server_tick(server);
	ck_assert(client_at_end(&c));
	client_close(&c);
	/* Plain HTTP on this port is no handshake at all. */
	c = client_connect(http_server_port(server));
	client_say(&c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	while (client_read(&c))
		;
	ck_assert(c.in.len == 0 || memcmp(c.in.ptr, "HTTP", 4) != 0);
	client_close(&c);
	stop();
}
END_TEST

/* Tickets: a session resumes today and tomorrow, and not the day after. */

static SSL_SESSION *given;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(given);
	given = session;
	return 1;
}

static bool resumes(SSL_CTX *ctx, SSL_SESSION *session)
{
	static const char get[] = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct client c = client_connect(http_server_port(server));
	SSL *ssl = SSL_new(ctx);
	char bytes[4096];
	bool resumed;

	SSL_set_fd(ssl, c.fd);
	if (session != NULL) {
		/* A copy: the library holds a ticket for spent once a newer one has come. */
		SSL_SESSION *copy = SSL_SESSION_dup(session);

		SSL_set_session(ssl, copy);
		SSL_SESSION_free(copy);
	}
	ck_assert_int_eq(SSL_connect(ssl), 1);
	ck_assert_int_gt(SSL_write(ssl, get, sizeof(get) - 1), 0);
	while (SSL_read(ssl, bytes, sizeof(bytes)) > 0)
		;
	resumed = SSL_session_reused(ssl) == 1;
	SSL_shutdown(ssl);
	SSL_free(ssl);
	client_close(&c);
	return resumed;
}

START_TEST(tickets_age)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *first;

	start();
	SSL_CTX_set_max_proto_version(ctx, _i == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	ck_assert(!resumes(ctx, NULL));
	first = given;
	given = NULL;
	ck_assert_ptr_nonnull(first);
	ck_assert(resumes(ctx, first));
	clock_manual_advance(&hands, INT64_C(25) * 3600 * 1000000);
	ck_assert(resumes(ctx, first)); /* by the key before; and turns the keys */
	clock_manual_advance(&hands, INT64_C(25) * 3600 * 1000000);
	ck_assert(!resumes(ctx, first));
	SSL_SESSION_free(first);
	SSL_SESSION_free(given);
	given = NULL;
	SSL_CTX_free(ctx);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls");
	TCase *tc = tcase_create("tls");

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, libcurl_trusts_and_is_answered);
	tcase_add_test(tc, a_large_body_goes_in_and_out);
	tcase_add_test(tc, a_client_refuses_what_it_cannot_trust);
	tcase_add_test(tc, a_client_keeps_its_own_rules);
	tcase_add_test(tc, a_new_certificate_serves_new_connections);
	tcase_add_loop_test(tc, only_modern_handshakes, 0, (int)COUNT(handshakes));
	tcase_add_test(tc, a_handshake_has_its_time);
	tcase_add_loop_test(tc, tickets_age, 0, 2);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
