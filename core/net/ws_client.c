/* See ws_client.h. */
#include "net/ws_client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <curl/curl.h>
#include <wslay/wslay.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/list.h"
#include "crypto/crypto.h"
#include "net/address.h"

#define TIMEOUT_MS 10000
#define ANSWER_MAX ((size_t)16 << 10)
#define KEY_LEN 16
#define ACCEPT_OF "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 1.3 */

struct message {
	struct list link;
	size_t len;
	char bytes[];
};

struct ws_client {
	struct ws_call call;
	CURL *curl;
	struct wslay_event_context *frames;
	struct buf head;       /* what came with the upgrade's answer, and after it */
	size_t head_taken;
	struct list messages;  /* whole ones that nobody has taken yet: at most what one read brought */
	struct message *given; /* to the last caller */
	bool may_read;         /* once in a turn, so that answers leave before more is read */
	bool idle;             /* there was nothing to read */
	bool plain;
	int rc;                /* why it ended, or 0 */
};

/* --- waiting ------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	return clock_monotonic_us(&clock_system) / 1000;
}

static bool stopped(const struct ws_client *w)
{
	struct pollfd p = {.fd = w->call.stop_fd, .events = POLLIN};

	return w->call.stop_fd >= 0 && poll(&p, 1, 0) == 1;
}

/* 0 once the socket is ready. */
static int wait_for(struct ws_client *w, short events, int64_t until_ms)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	int64_t left_ms = until_ms - now_ms();
	struct pollfd p[2];
	int n;

	curl_easy_getinfo(w->curl, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD)
		return ERR_NETWORK;
	if (left_ms <= 0)
		left_ms = 0;
	p[0] = (struct pollfd){.fd = fd, .events = events};
	p[1] = (struct pollfd){.fd = w->call.stop_fd, .events = POLLIN};
	n = poll(p, 2, left_ms > 3600000 ? 3600000 : (int)left_ms);
	if (p[1].revents != 0)
		return ERR_CANCELLED;
	return n > 0 ? 0 : ERR_TIMEOUT;
}

/* What is there now: 0 and *ret_len > 0, ERR_BUSY for nothing, ERR_NETWORK (the end too: a goodbye would have come before). */
static int read_some(struct ws_client *w, char *room, size_t len, size_t *ret_len)
{
	CURLcode code = curl_easy_recv(w->curl, room, len, ret_len);

	if (code == CURLE_AGAIN)
		return ERR_BUSY;
	return code == CURLE_OK && *ret_len > 0 ? 0 : ERR_NETWORK;
}

static int write_all(struct ws_client *w, struct slice bytes)
{
	int64_t until_ms = now_ms() + w->call.timeout_ms;
	int rc = 0;

	while (rc == 0 && bytes.len > 0) {
		size_t sent = 0;
		CURLcode code = curl_easy_send(w->curl, bytes.ptr, bytes.len, &sent);

		if (code == CURLE_AGAIN)
			rc = wait_for(w, POLLOUT, until_ms);
		else if (code != CURLE_OK)
			rc = ERR_NETWORK;
		else
			bytes = slice_of(bytes.ptr + sent, bytes.len - sent);
	}
	return rc;
}

/* --- connecting --------------------------------------------------------------------- */

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct ws_client *w = arg;
	struct address a = address_of_sockaddr(&to->addr);

	(void)purpose;
	if (w->plain && !address_is_loopback(&a)) {
		w->rc = ERR_DENIED;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t e)
{
	struct ws_client *w = arg;

	(void)a, (void)b, (void)c, (void)e;
	if (stopped(w))
		w->rc = ERR_CANCELLED;
	return w->rc != 0;
}

static int translate(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_URL_MALFORMAT:
		return ERR_INVALID;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return ERR_BAD_SIGNATURE;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	default:
		return ERR_NETWORK;
	}
}

/* Where to connect, and what to ask for there. */
struct place {
	char *url;                /* http:// or https:// */
	char *host, *port, *path; /* of curl: host as in the URL, port NULL when it is the usual one; path with its query */
};

static void place_finish(struct place *p)
{
	free(p->url);
	free(p->path);
	curl_free(p->host);
	curl_free(p->port);
	*p = (struct place){0};
}

static int take_apart(CURLU *parts, struct place *p)
{
	char *user = NULL, *path = NULL, *query = NULL;
	int rc = ERR_INVALID;

	if (curl_url_set(parts, CURLUPART_URL, p->url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
	    curl_url_get(parts, CURLUPART_HOST, &p->host, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK) {
		(void)curl_url_get(parts, CURLUPART_PORT, &p->port, 0);
		(void)curl_url_get(parts, CURLUPART_QUERY, &query, 0);
		rc = asprintf(&p->path, "%s%s%s", path, query == NULL ? "" : "?", query == NULL ? "" : query) < 0 ? ERR_NOMEM : 0;
		if (rc != 0)
			p->path = NULL;
	}
	curl_free(user);
	curl_free(path);
	curl_free(query);
	return rc;
}

/* To curl it is http or https. */
static int place_find(struct ws_client *w, struct slice url, struct place *ret)
{
	bool secure = slice_starts_with(url, SLICE("wss://"));
	CURLU *parts;
	int rc;

	if (!secure && !slice_starts_with(url, SLICE("ws://")))
		return ERR_DENIED;
	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] <= ' ' || url.ptr[i] > '~')
			return ERR_INVALID;
	w->plain = !secure;
	if (asprintf(&ret->url, "http%s", url.ptr + 2) < 0) { /* wss:// -> https:// */
		ret->url = NULL;
		return ERR_NOMEM;
	}
	parts = curl_url();
	rc = parts == NULL ? ERR_NOMEM : take_apart(parts, ret);
	curl_url_cleanup(parts);
	return rc;
}

static int connect_to(struct ws_client *w, const struct place *p, struct http_result *answer)
{
	CURL *curl = w->curl;
	CURLcode code;

	curl_easy_setopt(curl, CURLOPT_URL, p->url);
	curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* no ALPN for another */
	if (w->call.ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, w->call.ca_file);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)w->call.timeout_ms);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, w);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, w);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->message);
	code = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	if (w->rc == ERR_DENIED)
		snprintf(answer->message, sizeof(answer->message), "without TLS only loopback addresses are allowed");
	return w->rc != 0 ? w->rc : translate(code);
}

/* --- the upgrade ---------------------------------------------------------------------- */

static int ask(struct ws_client *w, const struct place *p, const char *key)
{
	struct buf request = BUF_INIT(ANSWER_MAX);
	int rc;

	buf_printf(&request, "GET %s HTTP/1.1\r\nHost: %s%s%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
	    p->path, p->host, p->port == NULL ? "" : ":", p->port == NULL ? "" : p->port, key);
	rc = request.rc == 0 ? write_all(w, buf_slice(&request)) : request.rc == ERR_TOO_BIG ? ERR_INVALID : request.rc;
	buf_wipe(&request); /* the path may hold a ticket */
	return rc;
}

/* All up to the empty line; what follows it are frames already. */
static int read_head(struct ws_client *w, struct slice *ret_head)
{
	int64_t until_ms = now_ms() + w->call.timeout_ms;
	char *room, *end;
	size_t len;
	int rc;

	for (;;) {
		room = buf_reserve(&w->head, 1024);
		if (room == NULL)
			return w->head.rc == ERR_TOO_BIG ? ERR_UNAVAILABLE : w->head.rc;
		rc = read_some(w, room, 1024, &len);
		if (rc == ERR_BUSY)
			rc = wait_for(w, POLLIN, until_ms);
		else if (rc == 0)
			buf_commit(&w->head, len);
		if (rc != 0)
			return rc;
		end = w->head.len == 0 ? NULL : memmem(w->head.ptr, w->head.len, "\r\n\r\n", 4);
		if (end == NULL)
			continue;
		w->head_taken = (size_t)(end - w->head.ptr) + 4;
		*ret_head = slice_of(w->head.ptr, w->head_taken);
		return 0;
	}
}

static int status_of(struct slice line)
{
	struct slice version, rest, status, reason;
	int64_t n;

	if (!slice_cut(line, ' ', &version, &rest) || !slice_starts_with(version, SLICE("HTTP/1.")))
		return 0;
	slice_cut(slice_trim(rest), ' ', &status, &reason);
	return slice_to_i64(status, &n) == 0 && n >= 100 && n <= 599 ? (int)n : 0;
}

/* In the form that http_result_header() reads. */
static int parse_head(struct slice head, struct http_result *answer)
{
	struct slice line, name, value;

	slice_cut(head, '\n', &line, &head);
	answer->status = status_of(slice_trim(line));
	while (head.len > 0) {
		slice_cut(head, '\n', &line, &head);
		if (!slice_cut(slice_trim(line), ':', &name, &value))
			continue;
		for (size_t i = 0; i < name.len; i++)
			buf_append_char(&answer->headers, name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i]);
		buf_printf(&answer->headers, ": %.*s\r\n", SLICE_ARG(slice_trim(value)));
	}
	return answer->headers.rc;
}

static bool is_upgraded(const struct http_result *answer, const char *key)
{
	struct slice parts[] = {slice_str(key), SLICE(ACCEPT_OF)}, upgrade, accept;
	char expected[BASE64_LEN(SHA1_LEN) + 1];
	uint8_t digest[SHA1_LEN];

	sha1(digest, parts, 2);
	base64_encode_to(expected, digest, sizeof(digest));
	return answer->status == 101 && http_result_header(answer, "upgrade", &upgrade) &&
	    slice_eq_nocase(upgrade, SLICE("websocket")) && http_result_header(answer, "sec-websocket-accept", &accept) &&
	    slice_is(accept, expected);
}

static int upgrade(struct ws_client *w, const struct place *p, struct http_result *answer)
{
	char key[BASE64_LEN(KEY_LEN) + 1];
	uint8_t random[KEY_LEN];
	struct slice head;
	int rc;

	rng_fill(w->call.rng, random, sizeof(random));
	base64_encode_to(key, random, sizeof(random));
	rc = ask(w, p, key);
	if (rc == 0)
		rc = read_head(w, &head);
	if (rc == 0)
		rc = parse_head(head, answer);
	if (rc == 0 && !is_upgraded(answer, key)) {
		snprintf(answer->message, sizeof(answer->message), "it answered %d, and no WebSocket", answer->status);
		rc = ERR_UNAVAILABLE;
	}
	return rc;
}

/* --- frames ----------------------------------------------------------------------------- */

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *room, size_t len, int flags, void *arg)
{
	struct ws_client *w = arg;
	size_t waiting = w->head.len - w->head_taken, got = 0;
	int rc = ERR_BUSY;

	(void)flags;
	if (w->may_read) {
		w->may_read = false;
		if (waiting > 0) {
			got = waiting < len ? waiting : len;
			memcpy(room, w->head.ptr + w->head_taken, got);
			w->head_taken += got;
			rc = 0;
		} else {
			rc = read_some(w, (char *)room, len, &got);
			w->idle = rc == ERR_BUSY;
		}
	}
	if (rc == 0)
		return (ssize_t)got;
	if (rc == ERR_NETWORK)
		w->rc = rc;
	wslay_event_set_error(frames, rc == ERR_BUSY ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *bytes, size_t len, int flags, void *arg)
{
	struct ws_client *w = arg;
	int rc = write_all(w, slice_of((const char *)bytes, len));

	(void)flags;
	if (rc == 0)
		return (ssize_t)len;
	w->rc = rc;
	wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static int on_mask(wslay_event_context_ptr frames, uint8_t *room, size_t len, void *arg)
{
	struct ws_client *w = arg;

	(void)frames;
	rng_fill(w->call.rng, room, len);
	return 0;
}

static void on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
	struct ws_client *w = arg;
	struct message *message;

	(void)frames;
	if (wslay_is_ctrl_frame(m->opcode) || w->rc != 0)
		return;
	message = malloc(sizeof(*message) + m->msg_length);
	if (message == NULL) {
		w->rc = ERR_NOMEM;
		return;
	}
	message->len = m->msg_length;
	if (m->msg_length > 0)
		memcpy(message->bytes, m->msg, m->msg_length);
	list_append(&w->messages, &message->link);
}

static int begin_frames(struct ws_client *w)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv, .send_callback = on_send, .genmask_callback = on_mask, .on_msg_recv_callback = on_message};

	if (wslay_event_context_client_init(&w->frames, &callbacks, w) != 0)
		return ERR_NOMEM;
	wslay_event_config_set_max_recv_msg_length(w->frames, w->call.message_max);
	return 0;
}

/* Whatever waits to leave: answers to pings, goodbyes, messages of ours. */
static int flush(struct ws_client *w)
{
	while (w->rc == 0 && wslay_event_want_write(w->frames))
		if (wslay_event_send(w->frames) != 0 && w->rc == 0)
			w->rc = ERR_NETWORK;
	return w->rc;
}

/* What libwslay has told the other side, as one of our errors. */
static int reason_of(uint16_t status)
{
	return status == WSLAY_CODE_MESSAGE_TOO_BIG ? ERR_TOO_BIG : ERR_MALFORMED;
}

static int turn(struct ws_client *w)
{
	int rc;

	w->may_read = true;
	rc = wslay_event_recv(w->frames);
	if (rc == WSLAY_ERR_NOMEM)
		w->rc = ERR_NOMEM;
	if (rc != 0 && w->rc == 0) /* reading itself did not fail: it cannot be read as frames */
		w->rc = ERR_MALFORMED;
	if (flush(w) == 0 && wslay_event_get_close_received(w->frames))
		w->rc = ERR_END;
	else if (w->rc == 0 && !wslay_event_get_read_enabled(w->frames))
		w->rc = reason_of(wslay_event_get_status_code_sent(w->frames));
	return w->rc;
}

static bool take(struct ws_client *w, struct slice *ret)
{
	free(w->given);
	w->given = NULL;
	if (list_empty(&w->messages))
		return false;
	w->given = container_of(w->messages.next, struct message, link);
	list_remove(&w->given->link);
	*ret = slice_of(w->given->bytes, w->given->len);
	return true;
}

int ws_receive(struct ws_client *w, unsigned timeout_ms, struct slice *ret_message)
{
	int64_t until_ms = now_ms() + timeout_ms;

	for (;;) {
		int rc;

		if (take(w, ret_message))
			return 0;
		if (w->rc != 0)
			return w->rc;
		if (stopped(w))
			return ERR_CANCELLED;
		w->idle = false;
		(void)turn(w);
		if (!list_empty(&w->messages) || w->rc != 0)
			continue;
		if (now_ms() >= until_ms)
			return ERR_TIMEOUT;
		if (!w->idle)
			continue; /* what came is half of a message, or no message; TLS may hold more */
		rc = wait_for(w, POLLIN, until_ms);
		if (rc == ERR_NETWORK)
			w->rc = rc;
		if (rc != 0)
			return rc;
	}
}

int ws_send(struct ws_client *w, struct slice message)
{
	struct wslay_event_msg m = {.opcode = WSLAY_BINARY_FRAME, .msg = (const uint8_t *)message.ptr, .msg_length = message.len};

	if (w->rc == 0 && wslay_event_queue_msg(w->frames, &m) != 0)
		w->rc = ERR_NETWORK;
	return flush(w);
}

/* --- open and close ----------------------------------------------------------------------- */

int ws_open(struct ws_client **ret, const struct ws_call *call, struct http_result *answer)
{
	struct ws_client *w = calloc(1, sizeof(*w));
	struct place place = {0};
	int rc = ERR_NOMEM;

	*answer = (struct http_result){.body = BUF_INIT(ANSWER_MAX), .headers = BUF_INIT(ANSWER_MAX)};
	if (w == NULL)
		return rc;
	w->call = *call;
	if (w->call.timeout_ms == 0)
		w->call.timeout_ms = TIMEOUT_MS;
	w->head = (struct buf)BUF_INIT(ANSWER_MAX);
	list_init(&w->messages);
	w->curl = curl_easy_init();
	if (w->curl != NULL)
		rc = place_find(w, slice_str(call->url), &place);
	if (rc == 0)
		rc = connect_to(w, &place, answer);
	if (rc == 0)
		rc = upgrade(w, &place, answer);
	if (rc == 0)
		rc = begin_frames(w);
	place_finish(&place);
	if (rc != 0) {
		w->rc = rc; /* nobody to say goodbye to */
		ws_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

void ws_close(struct ws_client *w)
{
	struct slice message;

	if (w == NULL)
		return;
	if (w->rc == 0 && w->frames != NULL) {
		/* The stop that may have brought us here does not keep the goodbye from leaving; a full socket does. */
		w->call.stop_fd = -1;
		w->call.timeout_ms = 0;
		if (wslay_event_queue_close(w->frames, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0) == 0)
			(void)flush(w);
	}
	while (take(w, &message))
		;
	if (w->frames != NULL)
		wslay_event_context_free(w->frames);
	curl_easy_cleanup(w->curl);
	buf_finish(&w->head);
	free(w);
}
