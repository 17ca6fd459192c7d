/* See bench_webhook.h. */
#include "bench_webhook.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"
#include "crypto/crypto.h"

#define TEXT_MAX 8192
#define BLOCK_LEN 16
/* Whole cipher blocks that are also whole groups of base64. */
#define UNIT_LEN 48

static const char *const events[WEBHOOK_EVENTS_PER_MEETING] = {
    [WEBHOOK_CREATED] = "meeting.created",
    [WEBHOOK_STARTED] = "meeting.started",
    [WEBHOOK_HOST_JOINED] = "meeting.participant-joined",
    [WEBHOOK_GUEST_JOINED] = "meeting.participant-joined",
    [WEBHOOK_HOST_LEFT] = "meeting.participant-left",
    [WEBHOOK_RECORDED] = "recording.completed",
    [WEBHOOK_GUEST_LEFT] = "meeting.participant-left",
    [WEBHOOK_ENDED] = "meeting.end",
};

/* The front of one kind of event of one person's meetings: the same in every such webhook. */
struct front {
	struct buf plain;     /* all of it */
	struct buf base64;    /* of the cipher of the whole units */
	size_t n_whole;       /* bytes of plain in whole units */
	uint8_t chain[BLOCK_LEN];
};

struct webhook_maker {
	const struct clock *clock;
	uint64_t seed;
	int64_t start_ms;
	struct tencent_keys keys;
	struct front fronts[WEBHOOK_PEOPLE][WEBHOOK_EVENTS_PER_MEETING];
	struct buf tail, cipher, data;
};

const char *webhook_event(uint64_t i)
{
	return events[i % WEBHOOK_EVENTS_PER_MEETING];
}

unsigned webhook_host(uint64_t i)
{
	return (unsigned)(i / WEBHOOK_EVENTS_PER_MEETING % WEBHOOK_PEOPLE);
}

/* Each meeting is held by one person and joined by the next. */
static unsigned guest_of(unsigned host)
{
	return (host + 1) % WEBHOOK_PEOPLE;
}

unsigned webhook_guest(uint64_t i)
{
	return guest_of(webhook_host(i));
}

void webhook_title(char ret_text[WEBHOOK_TEXT_MAX], unsigned host)
{
	snprintf(ret_text, WEBHOOK_TEXT_MAX,
	    "\xe8\x99\x9a\xe6\x9e\x84\xe5\x91\xa8\xe4\xbc\x9a Weekly %u "
	    "\xe4\xba\xa7\xe5\x93\x81\xe8\xaf\x84\xe5\xae\xa1", host);
}

void webhook_name(char ret_text[WEBHOOK_TEXT_MAX], unsigned person)
{
	snprintf(ret_text, WEBHOOK_TEXT_MAX, "\xe6\xb5\x8b\xe8\xaf\x95\xe5\x91\x98%u", person);
}

int webhook_number(struct slice trace_id, uint64_t *ret_number)
{
	uint8_t bytes[16];
	int rc = hex_decode(bytes, sizeof(bytes), trace_id);

	if (rc != 0)
		return rc;
	memcpy(ret_number, bytes + 8, 8);
	*ret_number = __builtin_bswap64(*ret_number);
	return 0;
}

static void put_person(struct json_writer *w, unsigned person)
{
	char text[WEBHOOK_TEXT_MAX];

	json_begin_object(w);
	json_name(w, "userid");
	snprintf(text, sizeof(text), "bench_user_%u", person);
	json_put_str(w, text);
	json_name(w, "open_id");
	snprintf(text, sizeof(text), "BenchOpenId%08u", person);
	json_put_str(w, text);
	json_name(w, "uuid");
	snprintf(text, sizeof(text), "BenchUuid%08uAAAA", person);
	json_put_str(w, text);
	json_name(w, "user_name");
	webhook_name(text, person);
	json_put_str(w, text);
	json_name(w, "ms_open_id");
	snprintf(text, sizeof(text), "BenchMsOpenId%08u==", person);
	json_put_str(w, text);
	json_name(w, "instance_id");
	json_put_str(w, "5");
	json_end_object(w);
}

static void put_info(struct json_writer *w, unsigned host)
{
	char text[WEBHOOK_TEXT_MAX];

	json_name(w, "subject");
	webhook_title(text, host);
	json_put_str(w, text);
	json_name(w, "meeting_code");
	json_put_str(w, "100200300");
	json_name(w, "creator");
	put_person(w, host);
	json_name(w, "meeting_type");
	json_put_i64(w, 0);
	json_name(w, "start_time");
	json_put_i64(w, 1760000400);
	json_name(w, "end_time");
	json_put_i64(w, 1760004000);
	json_name(w, "meeting_create_mode");
	json_put_i64(w, 0);
	json_name(w, "meeting_create_from");
	json_put_i64(w, 1);
	json_name(w, "hosts");
	json_begin_array(w);
	for (unsigned i = 0; i < 4; i++)
		put_person(w, (host + i) % WEBHOOK_PEOPLE);
	json_end_array(w);
}

/* Up to and with `"meeting_id":"`, where the tail goes on. */
static int make_plain_front(struct buf *plain, unsigned kind, unsigned host)
{
	struct json_writer w = JSON_WRITER(plain);
	bool by_guest = kind == WEBHOOK_GUEST_JOINED || kind == WEBHOOK_GUEST_LEFT;

	*plain = (struct buf)BUF_INIT(TEXT_MAX);
	json_begin_object(&w);
	json_name(&w, "event");
	json_put_str(&w, events[kind]);
	json_name(&w, "payload");
	json_begin_array(&w);
	json_begin_object(&w);
	json_name(&w, "operator");
	put_person(&w, by_guest ? guest_of(host) : host);
	if (kind == WEBHOOK_RECORDED) {
		json_name(&w, "recording_files");
		json_put_raw(&w, SLICE("[{\"record_file_id\":\"" WEBHOOK_FILE_ID "\"}]"));
	}
	json_name(&w, "meeting_info");
	json_begin_object(&w);
	put_info(&w, host);
	json_name(&w, "meeting_id");
	return buf_append_str(plain, "\"");
}

static int make_front(struct webhook_maker *m, unsigned kind, unsigned host)
{
	struct front *f = &m->fronts[host][kind];
	const uint8_t *key = m->keys.aes[0];
	struct buf cipher = BUF_INIT(TEXT_MAX);
	int rc = make_plain_front(&f->plain, kind, host);

	f->n_whole = f->plain.len / UNIT_LEN * UNIT_LEN;
	if (rc == 0)
		rc = aes256_cbc_encrypt(&cipher, key, key, slice_of(f->plain.ptr, f->n_whole));
	if (rc == 0) {
		f->base64.max = TEXT_MAX;
		memcpy(f->chain, cipher.ptr + f->n_whole - BLOCK_LEN, BLOCK_LEN);
		rc = base64_encode(&f->base64, slice_of(cipher.ptr, f->n_whole));
	}
	buf_finish(&cipher);
	return rc;
}

int webhook_maker_create(struct webhook_maker **ret, uint64_t seed, const struct clock *clock)
{
	struct webhook_maker *m = calloc(1, sizeof(*m));
	int rc = 0;

	if (m == NULL)
		return ERR_NOMEM;
	m->clock = clock;
	m->seed = seed;
	m->start_ms = clock_wall_ms(clock);
	m->tail.max = m->cipher.max = m->data.max = TEXT_MAX;
	rc = tencent_keys_add_token(&m->keys, SLICE(WEBHOOK_TOKEN));
	if (rc == 0)
		rc = tencent_keys_add_aes(&m->keys, SLICE(WEBHOOK_AES_KEY));
	for (unsigned i = 0; rc == 0 && i < WEBHOOK_PEOPLE * WEBHOOK_EVENTS_PER_MEETING; i++)
		rc = make_front(m, i % WEBHOOK_EVENTS_PER_MEETING, i / WEBHOOK_EVENTS_PER_MEETING);
	if (rc != 0) {
		webhook_maker_destroy(m);
		return rc;
	}
	*ret = m;
	return 0;
}

void webhook_maker_destroy(struct webhook_maker *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; i < WEBHOOK_PEOPLE * WEBHOOK_EVENTS_PER_MEETING; i++) {
		struct front *f = &m->fronts[i / WEBHOOK_EVENTS_PER_MEETING][i % WEBHOOK_EVENTS_PER_MEETING];

		buf_finish(&f->plain);
		buf_finish(&f->base64);
	}
	buf_finish(&m->tail);
	buf_finish(&m->cipher);
	buf_finish(&m->data);
	tencent_keys_finish(&m->keys);
	free(m);
}

const struct tencent_keys *webhook_maker_keys(const struct webhook_maker *m)
{
	return &m->keys;
}

static const struct front *front_of(const struct webhook_maker *m, uint64_t i)
{
	return &m->fronts[webhook_host(i)][i % WEBHOOK_EVENTS_PER_MEETING];
}

/* The time by the number and not by the clock: whoever is sent it again is told the same. */
static int put_tail(const struct webhook_maker *m, uint64_t i, struct buf *out)
{
	return buf_printf(out,
	    "%" PRIu64 "\"},\"operate_time\":%" PRId64 "}],\"trace_id\":\"%016" PRIx64 "%016" PRIx64 "\"}",
	    m->seed * UINT64_C(100000000) + i / WEBHOOK_EVENTS_PER_MEETING,
	    m->start_ms + (int64_t)(i / WEBHOOKS_PER_MS), m->seed, i);
}

int webhook_make_plain(struct webhook_maker *m, uint64_t i, struct buf *plain)
{
	buf_append(plain, buf_slice(&front_of(m, i)->plain));
	return put_tail(m, i, plain);
}

int webhook_make(struct webhook_maker *m, uint64_t i, struct buf *request)
{
	const struct front *f = front_of(m, i);
	char timestamp[24], nonce[24], signature[TENCENT_SIGNATURE_LEN + 1];
	int rc;

	buf_clear(&m->tail);
	buf_clear(&m->cipher);
	buf_clear(&m->data);
	buf_append(&m->tail, slice_of(f->plain.ptr + f->n_whole, f->plain.len - f->n_whole));
	put_tail(m, i, &m->tail);
	rc = aes256_cbc_encrypt(&m->cipher, m->keys.aes[0], f->chain, buf_slice(&m->tail));
	if (rc != 0)
		return rc;
	buf_append(&m->data, buf_slice(&f->base64));
	rc = base64_encode(&m->data, buf_slice(&m->cipher));
	if (rc != 0)
		return rc;
	snprintf(timestamp, sizeof(timestamp), "%" PRId64, clock_wall_ms(m->clock));
	snprintf(nonce, sizeof(nonce), "%" PRIu64, 10000000 + i);
	tencent_sign(signature, SLICE(WEBHOOK_TOKEN), slice_str(timestamp), slice_str(nonce),
	    buf_slice(&m->data));
	buf_printf(request,
	    "POST " WEBHOOK_PATH " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	    "timestamp: %s\r\nnonce: %s\r\nsignature: %s\r\nContent-Length: %zu\r\n\r\n{\"data\":\"",
	    timestamp, nonce, signature, m->data.len + sizeof("{\"data\":\"\"}") - 1);
	buf_append(request, buf_slice(&m->data));
	return buf_append_str(request, "\"}");
}
