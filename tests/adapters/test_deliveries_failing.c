/*
 * A delivery while every allocation on its way fails once: whatever was answered, the vendor repeats it until it reads
 * the acknowledgement, and then the log holds it exactly once.
 */
#include "adapters/tencent_wire.h"
#include "base/codec.h"
#include "core/app/app_rig.h"
#include "crypto/crypto.h"
#include "lib/failing.h"

extern const struct adapter adapter_lark, adapter_tencent_meeting;

static struct app_rig r;
static struct tencent_keys keys;
static unsigned n_deliveries;
static int vendor;
static uint64_t size_before;

static void setup(void)
{
	static const char *const settings[] = {"TENCENT_MEETING_TOKEN=aTokenOfTheVendor123",
	    "TENCENT_MEETING_ENCODING_AES_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "LARK_EVENT_ENCRYPT_KEY=anEncryptKey",
	    "LARK_EVENT_VERIFICATION_TOKEN=aToken", NULL};
	static const struct adapter *const with[] = {&adapter_lark, &adapter_tencent_meeting, NULL};

	app_rig_init(&r);
	app_rig_configure(&r, NULL, settings);
	app_rig_open(&r, with);
	ck_assert_int_eq(tencent_keys_add_token(&keys, SLICE("aTokenOfTheVendor123")), 0);
	ck_assert_int_eq(tencent_keys_add_aes(&keys, SLICE("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")), 0);
}

static void teardown(void)
{
	app_stop(&r.app);
	tencent_keys_finish(&keys);
	app_rig_finish(&r);
}

/* The newest delivery, as the vendor sends it: headers and body. */
static void tencent_request(struct buf *headers, struct buf *body)
{
	struct buf plain = BUF_INIT(4096);
	char timestamp[24], signature[TENCENT_SIGNATURE_LEN + 1];

	buf_printf(&plain, "{\"event\":\"meeting.started\",\"trace_id\":\"t%u\",\"payload\":[{\"operate_time\":1609313201465,"
	    "\"operator\":{\"uuid\":\"u1\"},\"meeting_info\":{\"meeting_id\":\"m1\",\"subject\":\"s\"}}]}", n_deliveries);
	snprintf(timestamp, sizeof(timestamp), "%lld", (long long)(clock_wall_us(&clock_system) / 1000000));
	ck_assert_int_eq(tencent_make_post(&keys, buf_slice(&plain), slice_str(timestamp), SLICE("1"), body, signature), 0);
	buf_printf(headers, "POST /webhooks/tencent HTTP/1.1\r\ntimestamp: %s\r\nnonce: 1\r\nsignature: %s\r\n", timestamp, signature);
	buf_finish(&plain);
}

static void lark_request(struct buf *headers, struct buf *body)
{
	const uint8_t iv[16] = {0};
	struct buf plain = BUF_INIT(4096), sealed = BUF_INIT(8192), base64 = BUF_INIT(16384);
	struct slice encrypt_key = SLICE("anEncryptKey");
	uint8_t key[SHA256_LEN], digest[SHA256_LEN];
	char timestamp[24], signature[2 * SHA256_LEN + 1];

	buf_printf(&plain, "{\"schema\":\"2.0\",\"header\":{\"event_id\":\"e%u\",\"event_type\":\"vc.meeting.leave_meeting_v1\","
	    "\"create_time\":\"1760000401004\",\"token\":\"aToken\",\"new\":1},\"event\":{\"operator\":{\"id\":{\"union_id\":\"u1\"},"
	    "\"user_type\":1},\"leave_user\":{\"id\":{\"union_id\":\"u2\"}},\"meeting\":{\"id\":\"m1\",\"topic\":\"\\u0073\"}}}", n_deliveries);
	sha256(key, &encrypt_key, 1);
	buf_append(&sealed, slice_of((const char *)iv, sizeof(iv)));
	ck_assert_int_eq(aes256_cbc_encrypt(&sealed, key, iv, buf_slice(&plain)), 0);
	ck_assert_int_eq(base64_encode(&base64, buf_slice(&sealed)), 0);
	buf_printf(body, "{\"encrypt\":\"%s\"}", base64.ptr);
	snprintf(timestamp, sizeof(timestamp), "%lld", (long long)(clock_wall_us(&clock_system) / 1000000));
	sha256(digest, (struct slice[]){slice_str(timestamp), SLICE("1"), encrypt_key, buf_slice(body)}, 4);
	hex_encode(signature, digest, sizeof(digest));
	buf_printf(headers, "POST /webhooks/lark HTTP/1.1\r\nX-Lark-Request-Timestamp: %s\r\nX-Lark-Request-Nonce: 1\r\n"
	    "X-Lark-Signature: %s\r\n", timestamp, signature);
	buf_finish(&plain);
	buf_finish(&sealed);
	buf_finish(&base64);
}

static void (*const requests[])(struct buf *, struct buf *) = {tencent_request, lark_request};

/* Sends it; 0: the connection was closed on it. */
static int deliver(void)
{
	struct buf headers = BUF_INIT(4096), body = BUF_INIT(32768), request = BUF_INIT(65536);
	struct client c = client_connect(http_server_port(r.app.server));
	int status = 0;

	requests[vendor](&headers, &body);
	buf_printf(&request, "%sHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    headers.ptr, body.len, body.ptr);
	client_send(&c, buf_slice(&request));
	while (client_read(&c))
		;
	if (c.in.len > 0)
		ck_assert_int_eq(sscanf(c.in.ptr, "HTTP/1.1 %d ", &status), 1);
	client_close(&c);
	buf_finish(&headers);
	buf_finish(&body);
	buf_finish(&request);
	return status;
}

static void another(void)
{
	n_deliveries++;
	size_before = eventlog_size(r.app.log);
}

static int act(void)
{
	int status;

	failing_pause();
	status = deliver();
	failing_go_on();
	return status == 200 ? 0 : ERR_NETWORK;
}

static void it_is_there_once(int rc, const char *what)
{
	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(deliver(), 200);
	ck_assert_msg(eventlog_size(r.app.log) == size_before + 1, "after %s failed the delivery is there %llu times", what,
	    (unsigned long long)(eventlog_size(r.app.log) - size_before));
}

START_TEST(a_delivery_is_kept_once_whatever_fails)
{
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_ARENAS, .before = another, .act = act,
	    .after = it_is_there_once, .runs_on = true, .depth = 6};

	vendor = _i;
	ck_assert_uint_ge(failing_walk(&walk), 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("deliveries_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_delivery_is_kept_once_whatever_fails, 0, COUNT(requests));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
