/* See mail_smtp.h. */
#include "mail_smtp.h"

#include <stdio.h>

#include <curl/curl.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/address.h"

#define CONNECT_MS 5000L
#define TOTAL_MS 60000L
#define CHECK_MS 8000L
#define STOP_MS 5000 /* that a stop waits for an answer to what was sent whole */

struct dialogue {
	struct slice message;
	size_t sent;
	const _Atomic bool *stopping;
	struct smtp_answer *answer;
	int64_t stop_us; /* when the stop was seen; 0 = not yet */
	bool over; /* QUIT was said: what is answered to it is of no interest */
};

static enum smtp_phase phase_of(struct slice command)
{
	static const struct {
		const char *verb;
		enum smtp_phase phase;
	} verbs[] = {{"MAIL", SMTP_FROM}, {"RCPT", SMTP_TO}, {"DATA", SMTP_DATA}, {"AUTH", SMTP_AUTH}};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (slice_starts_with(command, slice_str(verbs[i].verb)))
			return verbs[i].phase;
	return SMTP_GREETING;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "550 5.1.1 ..." or "550-5.1.1 ..." */
static void note_reply(struct smtp_answer *a, struct slice line)
{
	if (line.len < 3 || !is_digit(line.ptr[0]) || !is_digit(line.ptr[1]) || !is_digit(line.ptr[2]))
		return;
	a->code = (line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 + (line.ptr[2] - '0');
	a->detail = line.len > 6 && line.ptr[5] == '.' && is_digit(line.ptr[4]) && is_digit(line.ptr[6]) ? line.ptr[6] - '0' : -1;
}

/* What is said is looked at for its verb alone: it holds a password, addresses and the mail. */
static int on_debug(CURL *curl, curl_infotype type, char *bytes, size_t len, void *arg)
{
	struct dialogue *d = arg;
	struct slice text = slice_of(bytes, len);

	(void)curl;
	d->over = d->over || (type == CURLINFO_HEADER_OUT && slice_starts_with(text, SLICE("QUIT")));
	if (d->over)
		return 0;
	if (type == CURLINFO_HEADER_OUT) {
		enum smtp_phase phase = phase_of(text);

		/* After AUTH come lines without a verb. */
		if (d->answer->phase == SMTP_END || (phase == SMTP_GREETING && d->answer->phase >= SMTP_AUTH))
			return 0;
		d->answer->phase = phase;
		d->answer->code = 0;
	} else if (type == CURLINFO_HEADER_IN) {
		note_reply(d->answer, text);
	}
	return 0;
}

static size_t on_read(char *room, size_t size, size_t n, void *arg)
{
	struct dialogue *d = arg;
	size_t len = size * n, left = d->message.len - d->sent;

	if (left == 0) { /* libcurl sends the final dot now */
		d->answer->phase = SMTP_END;
		d->answer->code = 0;
		return 0;
	}
	len = len < left ? len : left;
	memcpy(room, d->message.ptr + d->sent, len);
	d->sent += len;
	return len;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t e)
{
	struct dialogue *d = arg;

	(void)a, (void)b, (void)c, (void)e;
	if (!atomic_load(d->stopping))
		return 0;
	if (d->stop_us == 0)
		d->stop_us = clock_monotonic_us(&clock_system);
	/* Once all is sent its answer is worth waiting for. */
	return d->answer->phase != SMTP_END || clock_monotonic_us(&clock_system) - d->stop_us > STOP_MS * 1000;
}

static bool is_this_machine(const char *host)
{
	struct address a;

	return strcmp(host, "localhost") == 0 || (address_parse(slice_str(host), &a) == 0 && address_is_loopback(&a));
}

static int rc_of(CURLcode code, struct dialogue *d)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return ERR_CANCELLED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		d->answer->certificate = true;
		return ERR_DENIED;
	case CURLE_LOGIN_DENIED: /* whatever was said last: there may be several ways to sign in */
		d->answer->phase = SMTP_AUTH;
		d->answer->code = d->answer->code < 500 ? 535 : d->answer->code;
		return ERR_DENIED;
	case CURLE_USE_SSL_FAILED:
		d->answer->no_tls = true;
		return ERR_DENIED;
	default:
		return d->answer->code >= 400 ? ERR_DENIED : ERR_NETWORK;
	}
}

static void set_up(CURL *curl, const struct smtp_server *s, struct dialogue *d)
{
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TOTAL_MS);
	curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, TOTAL_MS / 1000);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(is_this_machine(s->host) ? CURLUSESSL_TRY : CURLUSESSL_ALL));
	if (s->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, s->ca_file);
	if (s->user != NULL) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, s->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, s->password);
	}
	curl_easy_setopt(curl, CURLOPT_SASL_IR, 1L);
	curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_debug);
	curl_easy_setopt(curl, CURLOPT_DEBUGDATA, d);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, d);
}

/* smtp://[::1]:587/example.org: the last part is what we call ourselves in EHLO. */
static const char *url_of(const struct smtp_server *s, struct slice from, struct arena *arena)
{
	bool is_v6 = strchr(s->host, ':') != NULL;
	struct slice local, domain = {0};

	slice_cut(from, '@', &local, &domain);
	return arena_printf(arena, "%s://%s%s%s:%u/%.*s", s->tls ? "smtps" : "smtp", is_v6 ? "[" : "", s->host,
	    is_v6 ? "]" : "", s->port, SLICE_ARG(domain));
}

int smtp_send(const struct smtp_server *server, struct slice from, struct slice to, struct slice message,
    const _Atomic bool *stopping, struct smtp_answer *ret)
{
	struct dialogue d = {.message = message, .stopping = stopping, .answer = ret};
	struct arena arena = ARENA_INIT(8192);
	const char *url = url_of(server, from, &arena), *sender = arena_printf(&arena, "%.*s", SLICE_ARG(from)),
	           *receiver = arena_printf(&arena, "%.*s", SLICE_ARG(to));
	struct curl_slist *receivers = receiver == NULL ? NULL : curl_slist_append(NULL, receiver);
	CURL *curl = curl_easy_init();
	int rc = ERR_NOMEM;

	*ret = (struct smtp_answer){.detail = -1};
	if (url != NULL && sender != NULL && receivers != NULL && curl != NULL) {
		set_up(curl, server, &d);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(curl, CURLOPT_READDATA, &d);
		curl_easy_setopt(curl, CURLOPT_MAIL_FROM, sender);
		curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, receivers);
		rc = rc_of(curl_easy_perform(curl), &d);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(receivers);
	arena_finish(&arena);
	return rc;
}

static size_t ignore(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes, (void)arg;
	return size * n;
}

int smtp_check(const struct smtp_server *server, struct slice from, const _Atomic bool *stopping, struct smtp_answer *ret)
{
	struct dialogue d = {.stopping = stopping, .answer = ret};
	struct arena arena = ARENA_INIT(8192);
	const char *url = url_of(server, from, &arena);
	CURL *curl = curl_easy_init();
	int rc = ERR_NOMEM;

	*ret = (struct smtp_answer){.detail = -1};
	if (url != NULL && curl != NULL) {
		set_up(curl, server, &d);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, CHECK_MS);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "NOOP");
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
		rc = rc_of(curl_easy_perform(curl), &d);
	}
	curl_easy_cleanup(curl);
	arena_finish(&arena);
	return rc;
}
