/* What the simulator's mail server got; see demo.h. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "demo.h"

#define CODE_DIGITS 6
#define INDENT "    "

/* Asks the simulator. The rows, in *result, which is to be finished in any case. False: *ret_rc says why, as demo_no_simulator() takes it. */
static bool ask_why(struct demo *d, struct http_client *client, struct http_result *result, struct json_reader *ret,
    int *ret_rc)
{
	struct buf url = BUF_INIT(DEMO_URL_MAX);
	struct http_call call = {.flags = CLIENT_LOOPBACK_ONLY};
	struct json_value rows;
	int rc = buf_printf(&url, "%s/acts?vendor=mail", d->control.ptr);
	bool good;

	call.url = url.ptr;
	if (rc == 0)
		rc = http_client_call(client, &call, result);
	good = rc == 0 && result->status == 200 &&
	    json_scan(buf_slice(&result->body), NULL, NULL) == 0 &&
	    json_member(json_root(buf_slice(&result->body)), "data", &rows);
	if (good)
		json_enter(ret, rows);
	buf_finish(&url);
	*ret_rc = rc;
	return good;
}

static bool ask(struct demo *d, struct http_client *client, struct http_result *result, struct json_reader *ret)
{
	int rc;

	return ask_why(d, client, result, ret, &rc);
}

enum exit_status demo_mail_begin(struct demo *d, struct http_client *client)
{
	enum exit_status status = STATUS_OK;
	struct http_result result = {0};
	struct json_reader r;
	struct json_value mail;
	int rc;

	d->mails_before = 0;
	if (!ask_why(d, client, &result, &r, &rc))
		status = demo_no_simulator(d, rc);
	else
		while (json_next(&r, NULL, &mail))
			d->mails_before++;
	http_result_finish(&result);
	return status;
}

/* ---- the code ---------------------------------------------------------------------------------- */

static bool is_to(struct json_value mail, const char *address, struct arena *a)
{
	struct json_value to, one;
	struct json_reader r;
	struct slice text;

	if (!json_member(mail, "to", &to))
		return false;
	json_enter(&r, to);
	while (json_next(&r, NULL, &one))
		if (json_string(one, a, &text) == 0 && slice_is(text, address))
			return true;
	return false;
}

/* So many digits, and none beside them. */
static bool find_code(struct slice text, char ret[CODE_DIGITS + 1])
{
	size_t n = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9') {
			n++;
			continue;
		}
		if (n == CODE_DIGITS) {
			memcpy(ret, text.ptr + i - n, n);
			ret[n] = '\0';
			return true;
		}
		n = 0;
	}
	return false;
}

bool demo_mail_code(struct demo *d, struct http_client *client, const char *address, char ret_code[7])
{
	struct http_result result = {0};
	struct arena arena = ARENA_INIT(DEMO_ANSWER_MAX);
	struct json_reader r;
	struct json_value mail;
	bool found = false;
	size_t n = 0;

	if (ask(d, client, &result, &r))
		while (json_next(&r, NULL, &mail))
			if (n++ >= d->mails_before && is_to(mail, address, &arena) &&
			    find_code(service_text(mail, "text", &arena), ret_code))
				found = true;
	arena_wipe(&arena);
	arena_finish(&arena);
	http_result_finish(&result);
	return found;
}

/* ---- all of them ---------------------------------------------------------------------------------- */

/* Line by line; nothing in it moves the cursor. */
static void print_text(struct slice text)
{
	bool begins = true;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (begins && c != '\n' && c != '\r')
			fputs(INDENT, stdout);
		if (c == '\n' || (c >= ' ' && c != 0x7f))
			putchar(c);
		begins = c == '\n' || (begins && c == '\r');
	}
	if (!begins)
		putchar('\n');
}

/* The one it goes to; the service sends each reader a mail to themselves. */
static struct slice reader_of(struct json_value mail, struct arena *a)
{
	struct slice text = SLICE("nobody");
	struct json_value to, one;
	struct json_reader r;

	if (json_member(mail, "to", &to)) {
		json_enter(&r, to);
		if (json_next(&r, NULL, &one))
			json_string(one, a, &text);
	}
	return text;
}

static void print_whole(struct json_value mail, struct arena *a)
{
	printf("\nThe last of them:\n\n" INDENT "From: %.*s\n" INDENT "To: %.*s\n" INDENT "Subject: %.*s\n\n",
	    SLICE_ARG(service_text(mail, "from", a)), SLICE_ARG(reader_of(mail, a)), SLICE_ARG(service_text(mail, "subject", a)));
	print_text(slice_trim(service_text(mail, "text", a)));
	putchar('\n');
}

void demo_mail_tell(struct demo *d, struct http_client *client)
{
	struct http_result result = {0};
	struct arena arena = ARENA_INIT(DEMO_ANSWER_MAX);
	struct json_value mail, last = {0};
	struct json_reader r;
	size_t n = 0;

	if (ask(d, client, &result, &r))
		while (json_next(&r, NULL, &mail)) {
			if (n++ < d->mails_before)
				continue;
			if (last.text.len == 0)
				printf("\nThe mail server got:\n\n");
			printf(INDENT "to %.*s: %.*s\n", SLICE_ARG(reader_of(mail, &arena)),
			    SLICE_ARG(service_text(mail, "subject", &arena)));
			last = mail;
		}
	if (last.text.len > 0)
		print_whole(last, &arena);
	arena_finish(&arena);
	http_result_finish(&result);
}
