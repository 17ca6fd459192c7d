/* The blocking client over one libcurl easy handle; see http_client.h. */
#include "net/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/err.h"
#include "net/address.h"

#define ANSWER_MAX ((size_t)8 << 20)
#define HEADERS_MAX ((size_t)64 << 10)
#define TIMEOUT_MS 30000

struct http_client {
	CURL *curl;
};

/* One call under way. */
struct transfer {
	const struct http_call *call;
	struct http_result *result;
	CURL *curl;
	bool loopback_only, public_only;
	bool head_told;
	uint64_t read; /* of a body that comes piece by piece */
	int rc; /* why we ended it ourselves, or 0 */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode init_rc;

static void init_curl(void)
{
	init_rc = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_client_create(struct http_client **ret)
{
	struct http_client *c;

	pthread_once(&once, init_curl);
	if (init_rc != CURLE_OK)
		return ERR_UNAVAILABLE;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ERR_NOMEM;
	c->curl = curl_easy_init();
	if (c->curl == NULL) {
		free(c);
		return ERR_NOMEM;
	}
	*ret = c;
	return 0;
}

void http_client_destroy(struct http_client *c)
{
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
	free(c);
}

/* The first piece of the body, or the end, means that the head is whole. */
static int tell_head(struct transfer *t)
{
	long status = 0;

	if (t->call->on_head == NULL || t->head_told)
		return 0;
	t->head_told = true;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	t->result->status = (int)status;
	if (t->call->on_head(t->call->arg, t->result) != 0)
		t->rc = ERR_CANCELLED;
	return t->rc;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct slice piece = slice_of(bytes, size * n);

	if (tell_head(t) != 0)
		return 0;
	if (t->call->on_bytes != NULL) {
		if (t->call->on_bytes(t->call->arg, piece) != 0)
			t->rc = ERR_CANCELLED;
	} else {
		t->rc = buf_append(&t->result->body, piece);
	}
	return t->rc == 0 ? piece.len : 0;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct slice line = slice_of(bytes, size * n), name, value;

	if (slice_starts_with(line, SLICE("HTTP/"))) {
		buf_clear(&t->result->headers); /* an interim answer came before this one */
		return line.len;
	}
	if (!slice_cut(line, ':', &name, &value))
		return line.len;
	for (size_t i = 0; i < name.len; i++)
		buf_append_char(&t->result->headers,
		    name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i]);
	buf_append(&t->result->headers, SLICE(": "));
	buf_append(&t->result->headers, slice_trim(value));
	t->rc = buf_append(&t->result->headers, SLICE("\r\n"));
	return t->rc == 0 ? line.len : 0;
}

static size_t on_wanted(char *room, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	uint64_t left = t->call->body_len - t->read;
	size_t most = left < size * n ? (size_t)left : size * n;
	int64_t got = most == 0 ? 0 : t->call->on_read(t->call->arg, room, most);

	if (got < 0 || (uint64_t)got > most || (got == 0 && most > 0)) {
		t->rc = got < 0 ? (int)got : ERR_INVALID;
		return CURL_READFUNC_ABORT;
	}
	t->read += (uint64_t)got;
	return (size_t)got;
}

static int on_progress(void *arg, curl_off_t dl_total, curl_off_t dl_now, curl_off_t ul_total, curl_off_t ul_now)
{
	struct transfer *t = arg;

	(void)dl_total;
	(void)dl_now;
	(void)ul_total;
	(void)ul_now;
	if (!atomic_load(t->call->stopping))
		return 0;
	t->rc = ERR_CANCELLED;
	return 1;
}

static bool may_reach(const struct transfer *t, const struct address *a)
{
	if (t->loopback_only && !address_is_loopback(a))
		return false;
	return !t->public_only || address_is_public(a) || (t->call->also != NULL && address_ranges_hold(t->call->also, a));
}

/* The address is judged where it is used, after the name was resolved. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;
	struct address a = address_of_sockaddr(&to->addr);

	(void)purpose;
	if (!may_reach(t, &a)) {
		t->rc = ERR_DENIED;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* And once more before anything is said there: a connection that was kept is not opened, and an earlier call may have been
 * allowed more. */
static int on_connected(void *arg, char *primary_ip, char *local_ip, int primary_port, int local_port)
{
	struct transfer *t = arg;
	struct address a;

	(void)local_ip;
	(void)primary_port;
	(void)local_port;
	if (address_parse(slice_str(primary_ip), &a) == 0 && may_reach(t, &a)) {
		t->rc = 0; /* another address of the same name was refused */
		return CURL_PREREQFUNC_OK;
	}
	t->rc = ERR_DENIED;
	return CURL_PREREQFUNC_ABORT;
}

static bool has_line_end(const char *text)
{
	return strpbrk(text, "\r\n") != NULL;
}

static int translate(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_URL_MALFORMAT:
		return ERR_INVALID;
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_DENIED;
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

static int build_headers(const struct http_call *call, struct curl_slist **ret)
{
	/* curl's own habits: it would wait a second for a 100 and call every body a form. */
	static const char *const quiet[] = {"Expect:", "Content-Type:", NULL};
	const char *const *lists[] = {quiet, call->headers};
	bool typed = false;

	for (const char *const *h = call->headers; h != NULL && *h != NULL; h++) {
		if (has_line_end(*h))
			return ERR_INVALID;
		if (slice_eq_nocase(slice_of(*h, strcspn(*h, ":")), SLICE("content-type")))
			typed = true;
	}
	for (size_t i = 0; i < 2; i++) {
		for (const char *const *h = lists[i]; h != NULL && *h != NULL; h++) {
			struct curl_slist *more;

			if (typed && h == &quiet[1])
				continue;
			more = curl_slist_append(*ret, *h);
			if (more == NULL)
				return ERR_NOMEM;
			*ret = more;
		}
	}
	return 0;
}

static void set_options(CURL *curl, struct transfer *t, struct curl_slist *headers)
{
	const struct http_call *call = t->call;

	curl_easy_setopt(curl, CURLOPT_URL, call->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, (call->flags & CLIENT_FRESH) != 0 ? 1L : 0L);
	if (call->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, call->ca_file);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(call->timeout_ms != 0 ? call->timeout_ms : TIMEOUT_MS));
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_ms);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)call->slow_bytes_per_s);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)call->slow_s);
	if (call->stopping != NULL) {
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	}
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->result->message);
	if (call->on_read != NULL) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_wanted);
		curl_easy_setopt(curl, CURLOPT_READDATA, t);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_len);
	} else if (call->has_body || call->body.len > 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.len > 0 ? call->body.ptr : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
	}
	if (call->method != NULL && strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (call->method != NULL)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

int http_client_call(struct http_client *c, const struct http_call *call, struct http_result *ret)
{
	struct transfer t = {.call = call, .result = ret, .curl = c->curl,
	    .public_only = (call->flags & CLIENT_PUBLIC_ONLY) != 0};
	bool secure = slice_starts_with(slice_str(call->url), SLICE("https://"));
	struct curl_slist *headers = NULL;
	curl_off_t took_us = 0;
	CURLcode code;
	long status = 0, request_size = 0;
	int rc;

	*ret = (struct http_result){.body = BUF_INIT(call->answer_max != 0 ? call->answer_max : ANSWER_MAX),
	    .headers = BUF_INIT(HEADERS_MAX)};
	if (has_line_end(call->url) || (call->method != NULL && has_line_end(call->method)))
		return ERR_INVALID;
	if (call->body_len > INT64_MAX)
		return ERR_TOO_BIG;
	t.loopback_only = (call->flags & CLIENT_LOOPBACK_ONLY) != 0 || (!secure && (call->flags & CLIENT_PLAIN) == 0);
	rc = build_headers(call, &headers);
	if (rc == 0) {
		curl_easy_reset(c->curl);
		set_options(c->curl, &t, headers);
		code = curl_easy_perform(c->curl);
		rc = t.rc != 0 ? t.rc : translate(code);
		if (rc == 0)
			rc = tell_head(&t);
		curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(c->curl, CURLINFO_TOTAL_TIME_T, &took_us);
		curl_easy_getinfo(c->curl, CURLINFO_REQUEST_SIZE, &request_size);
		ret->status = (int)status;
		ret->sent = request_size > 0;
		ret->duration_us = took_us;
		if (rc == ERR_DENIED && t.rc != 0)
			snprintf(ret->message, sizeof(ret->message), "only %s addresses are allowed here",
			    t.loopback_only ? "loopback" : "public");
		curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
		curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	}
	curl_slist_free_all(headers);
	return rc;
}

void http_result_finish(struct http_result *r)
{
	buf_finish(&r->body);
	buf_finish(&r->headers);
}

bool http_result_header(const struct http_result *r, const char *name, struct slice *ret_value)
{
	struct slice line, rest = buf_slice(&r->headers), head, value;

	*ret_value = (struct slice){0};
	while (rest.len > 0) {
		slice_cut(rest, '\n', &line, &rest);
		if (slice_cut(line, ':', &head, &value) && slice_is(head, name)) {
			*ret_value = slice_trim(value);
			return true;
		}
	}
	return false;
}

static bool part_of(CURLU *u, CURLUPart what, char **ret)
{
	return curl_url_get(u, what, ret, 0) == CURLUE_OK;
}

int http_url_host(const char *url, char ret[HTTP_URL_HOST_MAX])
{
	CURLU *u = curl_url();
	char *scheme = NULL, *user = NULL, *host = NULL;
	int rc = u == NULL ? ERR_NOMEM : ERR_INVALID;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && part_of(u, CURLUPART_SCHEME, &scheme) &&
	    (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) && !part_of(u, CURLUPART_USER, &user) &&
	    part_of(u, CURLUPART_HOST, &host)) {
		struct slice text = slice_str(host);

		if (text.len > 2 && text.ptr[0] == '[')
			text = slice_of(text.ptr + 1, text.len - 2);
		if (text.len > 0 && text.len < HTTP_URL_HOST_MAX) {
			for (size_t i = 0; i < text.len; i++)
				ret[i] = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] | 0x20) : text.ptr[i];
			ret[text.len] = '\0';
			rc = 0;
		}
	}
	curl_free(scheme);
	curl_free(user);
	curl_free(host);
	curl_url_cleanup(u);
	return rc;
}
