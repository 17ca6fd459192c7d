/*
 * Mails over SMTP, by the vectors: a server that says what a vector tells it to and keeps what it heard, on a thread of its
 * own; and what its answers mean for an effect.
 */
#include <check.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/codec.h"
#include "lib/vectors.h"
#include "mail_message.h"
#include "mail_outcome.h"

static struct arena arena = ARENA_INIT(64 << 20);
static const _Atomic bool go_on = false;

/* ---- the server --------------------------------------------------------------------------- */

#define REPLIES_MAX 16
#define LINES_MAX 64

struct peer {
	int fd;
	unsigned port;
	pthread_t thread;
	struct slice replies[REPLIES_MAX]; /* the greeting, then one for each line of the client; then it closes */
	size_t n_replies;
	/* The thread's until it was joined: */
	struct slice lines[LINES_MAX];
	size_t n_lines;
	struct buf data; /* what came between 354 and the dot, as it came */
	struct arena arena;
};

/* A line with its end; empty at the end of the connection. */
static struct slice hear(struct peer *p, FILE *from)
{
	char line[8192];

	if (fgets(line, sizeof(line), from) == NULL)
		return SLICE("");
	return arena_dup(&p->arena, slice_str(line));
}

static bool say(int fd, struct slice text)
{
	return write(fd, text.ptr, text.len) == (ssize_t)text.len;
}

static void *serve(void *arg)
{
	struct peer *p = arg;
	int fd = accept(p->fd, NULL, NULL);
	FILE *from = fdopen(fd, "r");
	bool in_data = false;
	size_t next = 1;

	say(fd, p->replies[0]);
	for (struct slice line; next < p->n_replies && (line = hear(p, from)).len > 0;) {
		if (in_data)
			buf_append(&p->data, line);
		else if (p->n_lines < LINES_MAX)
			p->lines[p->n_lines++] = slice_trim(line);
		if (in_data && !slice_is(line, ".\r\n"))
			continue;
		in_data = !in_data && slice_starts_with(p->replies[next], SLICE("354"));
		say(fd, p->replies[next++]);
	}
	fclose(from);
	return NULL;
}

static void peer_start(struct peer *p, const char *const *replies)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	*p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .data = BUF_INIT(1 << 20),
	    .arena = ARENA_INIT(1 << 20)};
	for (; replies[p->n_replies] != NULL; p->n_replies++)
		p->replies[p->n_replies] = slice_str(replies[p->n_replies]);
	ck_assert_int_eq(bind(p->fd, (struct sockaddr *)&at, len), 0);
	ck_assert_int_eq(listen(p->fd, 1), 0);
	ck_assert_int_eq(getsockname(p->fd, (struct sockaddr *)&at, &len), 0);
	p->port = ntohs(at.sin_port);
	ck_assert_int_eq(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void peer_stop(struct peer *p)
{
	pthread_join(p->thread, NULL);
	close(p->fd);
}

static void peer_finish(struct peer *p)
{
	buf_finish(&p->data);
	arena_finish(&p->arena);
}

/* One mail to a server that says this; what became of it. */
static struct effect_call send_to(struct peer *p, const char *const *replies, struct slice user, struct slice pass, const char *to,
    struct slice message)
{
	struct smtp_server server = {.host = "127.0.0.1", .user = user.ptr, .password = pass.ptr};
	struct effect_call call = {0};
	struct smtp_answer answer;
	int rc;

	peer_start(p, replies);
	server.port = p->port;
	rc = smtp_send(&server, SLICE("no-reply@example.invalid"), slice_str(to), message, &go_on, &answer);
	peer_stop(p);
	mail_outcome(&call, rc, &answer);
	return call;
}

static struct effect_call send_plainly(const char *const *replies, const char *to)
{
	struct slice nobody = {0};
	struct effect_call call;
	struct peer p;

	call = send_to(&p, replies, nobody, nobody, to, SLICE("Subject: x\r\n\r\nx\r\n"));
	peer_finish(&p);
	return call;
}

/* ---- vectors ---------------------------------------------------------------------------------- */

static struct slice t(struct json_value v, const char *path)
{
	return text_at(&arena, v, path);
}

static const char *z(struct json_value v, const char *path)
{
	return arena_printf(&arena, "%.*s", SLICE_ARG(t(v, path)));
}

static bool is_kind(struct json_value v, const char *kind)
{
	return slice_is(t(v, "kind"), kind);
}

/* The i-th text of the recorded dialogue. */
static struct slice turn(struct json_value v, size_t i)
{
	struct json_value turns, one;
	struct json_reader r;

	ck_assert(value_at(&arena, v, "expect.dialog", &turns));
	json_enter(&r, turns);
	for (size_t n = 0; json_next(&r, NULL, &one); n++)
		if (n == i)
			return t(one, "text");
	ck_abort_msg("the dialogue ends at %zu", i);
	return SLICE("");
}

/* Lines that begin with a doubled dot as they were. */
static struct slice unstuffed(struct slice data)
{
	struct buf out = BUF_INIT(1 << 20);
	struct slice line, kept;

	while (data.len > 0 && !slice_is(data, ".\r\n")) {
		slice_cut(data, '\n', &line, &data);
		buf_append(&out, slice_starts_with(line, SLICE("..")) ? slice_of(line.ptr + 1, line.len - 1) : line);
		buf_append_char(&out, '\n');
	}
	kept = arena_dup(&arena, buf_slice(&out));
	buf_finish(&out);
	return kept;
}

/* The recording has two recipients in one dialogue; here each has its own. */
static void check_dialog(struct json_value v)
{
	struct slice data = turn(v, 7);
	const char *replies[] = {turn(v, 0).ptr, turn(v, 2).ptr, turn(v, 4).ptr, "250 Accepted\r\n", "250 Accepted\r\n",
	    "354 End data with <CR><LF>.<CR><LF>\r\n", turn(v, 8).ptr, "221 Bye\r\n", NULL};
	struct effect_call call;
	struct peer p;

	call = send_to(&p, replies, slice_str(z(v, "input.user")), slice_str(z(v, "input.pass")), "a@example.invalid",
	    unstuffed(data));
	ck_assert_int_eq(call.outcome, EFFECT_DONE);
	ck_assert_int_eq(call.status, 250);
	ck_assert_uint_ge(p.n_lines, 5);
	ck_assert(slice_starts_with(p.lines[0], SLICE("EHLO ")));
	ck_slice_eq(p.lines[1], slice_trim(turn(v, 3)), t(v, "id"));
	ck_slice_eq(p.lines[2], SLICE("MAIL FROM:<no-reply@example.invalid>"), t(v, "id"));
	ck_slice_eq(p.lines[3], SLICE("RCPT TO:<a@example.invalid>"), t(v, "id"));
	ck_slice_eq(p.lines[4], SLICE("DATA"), t(v, "id"));
	ck_slice_eq(buf_slice(&p.data), data, t(v, "id"));
	peer_finish(&p);
}

/* The line with which a command of the client is refused; the others are taken. */
static struct effect_call refused_at(const char *command, const char *line)
{
	static const struct {
		const char *command, *reply;
	} usual[] = {{"", "220 fake\r\n"}, {"EHLO", "250-mx\r\n250 AUTH PLAIN\r\n"}, {"AUTH PLAIN", "235 ok\r\n"},
	    {"MAIL FROM", "250 ok\r\n"}, {"RCPT TO", "250 ok\r\n"}, {"DATA", "354 go\r\n"}, {".", "250 queued\r\n"}};
	const char *replies[REPLIES_MAX] = {NULL};
	struct effect_call call;
	struct peer p;

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		replies[i] = strcmp(usual[i].command, command) == 0 ? line : usual[i].reply;
	call = send_to(&p, replies, SLICE("u"), SLICE("p"), "a@example.invalid", SLICE("Subject: x\r\n\r\nx\r\n"));
	peer_finish(&p);
	return call;
}

static void check_reject(struct json_value v)
{
	struct slice id = t(v, "id");
	struct effect_call call;
	const char *line;
	int64_t code;

	if (slice_is(id, "partial-recipients")) {
		static const char *const takes[] = {"220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "250 queued as FAKE1\r\n", NULL};
		static const char *const refuses[] = {"220 x\r\n", "250 x\r\n", "250 x\r\n", "550 5.1.1 unknown\r\n", NULL};

		ck_assert_int_eq(send_plainly(takes, "a@example.invalid").outcome, EFFECT_DONE);
		ck_assert_int_eq(send_plainly(refuses, "b@example.invalid").outcome, EFFECT_FAILED);
		return;
	}
	line = arena_printf(&arena, "%.*s no\r\n", SLICE_ARG(t(v, "input.server_reply_code")));
	call = refused_at(z(v, "expect.command"), line);
	ck_assert_int_eq(slice_to_i64(t(v, "expect.response_code"), &code), 0);
	ck_assert_msg(call.status == code, "%.*s: %d", SLICE_ARG(id), (int)call.status);
	if (slice_is(t(v, "expect.why"), "permanent: credentials"))
		ck_assert_int_eq(call.outcome, EFFECT_STOP);
	else if (slice_is(t(v, "expect.why"), "permanent: mailbox"))
		ck_assert_int_eq(call.outcome, EFFECT_FAILED);
	else if (slice_is(t(v, "expect.permanent"), "true"))
		ck_assert_int_eq(call.outcome, EFFECT_REFUSED);
	else
		ck_assert_int_eq(call.outcome, EFFECT_RETRY);
	ck_assert_int_eq(call.host_failed, slice_is(t(v, "expect.why"), "temporary: reconnect"));
}

/* What it said to sign in, an initial response counting as a line of its own. */
static size_t sign_in(const char *offered, const char *const *answers, struct json_value v, struct peer *p, struct slice ret[8])
{
	const char *replies[REPLIES_MAX] = {"220 x\r\n", arena_printf(&arena, "250-x\r\n250 AUTH %s\r\n", offered)};
	size_t n = 2, said = 0;

	for (; answers[n - 2] != NULL; n++)
		replies[n] = answers[n - 2];
	send_to(p, replies, slice_str(z(v, "input.user")), slice_str(z(v, "input.pass")), "a@example.invalid", SLICE("x\r\n"));
	for (size_t i = 1; i < p->n_lines; i++) {
		if (slice_starts_with(p->lines[i], SLICE("AUTH LOGIN ")) || slice_starts_with(p->lines[i], SLICE("AUTH CRAM-MD5 "))) {
			slice_cut(slice_of(p->lines[i].ptr + 5, p->lines[i].len - 5), ' ', &ret[said], &ret[said + 1]);
			ret[said] = slice_of(p->lines[i].ptr, ret[said].len + 5);
			said += 2;
		} else if (said < 8) {
			ret[said++] = p->lines[i];
		}
	}
	return said;
}

static void check_auth(struct json_value v)
{
	static const char *const plain[] = {"535 no\r\n", NULL}, *const login[] = {"334 UGFzc3dvcmQ6\r\n", "535 no\r\n", NULL};
	struct slice said[8], id = t(v, "id");
	struct json_value list, one;
	struct json_reader r;
	struct peer p;
	size_t n = 0;

	if (slice_is(t(v, "input.mechanism"), "CRAM-MD5")) {
		const char *cram[] = {arena_printf(&arena, "334 %s\r\n", z(v, "input.challenge_base64")), "535 no\r\n", NULL};

		ck_assert_uint_ge(sign_in("CRAM-MD5", cram, v, &p, said), 2);
		ck_slice_eq(said[0], SLICE("AUTH CRAM-MD5"), id);
		ck_slice_eq(said[1], t(v, "expect.reply"), id);
		peer_finish(&p);
		return;
	}
	ck_assert_uint_ge(sign_in("PLAIN", plain, v, &p, said), 1);
	ck_slice_eq(said[0], t(v, "expect.plain"), id);
	peer_finish(&p);
	ck_assert_uint_ge(sign_in("LOGIN", login, v, &p, said), 3);
	ck_assert(value_at(&arena, v, "expect.login", &list));
	json_enter(&r, list);
	for (struct slice text; json_next(&r, NULL, &one); n++) {
		ck_assert_int_eq(json_string(one, &arena, &text), 0);
		ck_slice_eq(said[n], text, id);
	}
	ck_assert_uint_eq(n, 3);
	peer_finish(&p);
}

/* The line in answer to the end of the mail, where it decides most. */
static void check_class(struct json_value v)
{
	const char *line = arena_printf(&arena, "%s\r\n", z(v, "input.line"));
	struct slice class = t(v, "expect.class"), id = t(v, "id");
	struct effect_call call = refused_at(slice_is(class, "intermediate") ? "DATA" : ".", line);

	if (slice_is(class, "ok") || slice_is(class, "intermediate"))
		ck_assert_msg(call.outcome == EFFECT_DONE, "%.*s", SLICE_ARG(id));
	else if (slice_is(class, "temporary") || slice_is(class, "temporary-close"))
		ck_assert_msg(call.outcome == EFFECT_RETRY, "%.*s", SLICE_ARG(id));
	else if (slice_is(class, "permanent"))
		ck_assert_msg(call.outcome == EFFECT_REFUSED || call.outcome == EFFECT_STOP, "%.*s", SLICE_ARG(id));
	else /* no answer that could be read: it may have been taken */
		ck_assert_msg(slice_is(class, "protocol-error") && call.outcome == EFFECT_IS_UNKNOWN, "%.*s", SLICE_ARG(id));
	ck_assert_int_eq(call.host_failed && call.outcome == EFFECT_RETRY, slice_is(class, "temporary-close"));
}

/* As greeting or in answer to EHLO: each of its lines is taken for a part of one reply, and what it offers is seen. */
static void check_parse(struct json_value v)
{
	const char *wire = z(v, "input.wire");
	bool is_greeting = slice_is(t(v, "expect.code"), "220"), offers_tls = strstr(wire, "STARTTLS") != NULL;
	const char *replies[REPLIES_MAX] = {is_greeting ? wire : "220 x\r\n", is_greeting ? "250 x\r\n" : wire};
	static const char *const rest[] = {"250 x\r\n", "250 x\r\n", "354 x\r\n", "250 x\r\n"};
	size_t n = 2;
	struct slice nobody = {0};
	struct effect_call call;
	struct peer p;

	if (offers_tls)
		replies[n++] = "454 4.7.0 TLS not available\r\n";
	for (size_t i = 0; i < 4; i++)
		replies[n++] = rest[i];
	call = send_to(&p, replies, nobody, nobody, "a@example.invalid", SLICE("x\r\n"));
	ck_assert_msg(call.outcome == EFFECT_DONE, "%.*s: %d", SLICE_ARG(t(v, "id")), (int)call.outcome);
	if (offers_tls)
		ck_slice_eq(p.lines[1], SLICE("STARTTLS"), t(v, "id"));
	ck_assert(slice_starts_with(p.lines[1 + offers_tls], SLICE("MAIL FROM:<no-reply@example.invalid>")));
	peer_finish(&p);
}

/* The words of a header, joined as a reader does. */
static struct slice decoded(struct slice header)
{
	struct buf out = BUF_INIT(65536);
	struct slice line, kept;

	while (header.len > 0) {
		slice_cut(header, '\n', &line, &header);
		line = slice_trim(line);
		ck_assert_uint_le(line.len, 75);
		if (slice_starts_with(line, SLICE("=?UTF-8?B?")))
			ck_assert_int_eq(base64_decode(&out, slice_of(line.ptr + 10, line.len - 12), 0), 0);
		else
			buf_append(&out, line);
	}
	kept = arena_dup(&arena, buf_slice(&out));
	buf_finish(&out);
	return kept;
}

static void check_header(struct json_value v)
{
	struct slice subject = t(v, "input.subject");
	struct buf out = BUF_INIT(65536);

	mail_put_words(&out, subject);
	for (size_t i = 0; i < out.len; i++)
		ck_assert((unsigned char)out.ptr[i] < 0x80);
	ck_slice_eq(decoded(buf_slice(&out)), subject, t(v, "id"));
	buf_finish(&out);
}

START_TEST(vectors)
{
	static const struct {
		const char *kind;
		void (*check)(struct json_value v);
	} kinds[] = {{"dialog", check_dialog}, {"reject", check_reject}, {"auth-encoding", check_auth}, {"reply-class", check_class},
	    {"reply-parse", check_parse}, {"header", check_header}};
	struct vectors v;
	size_t n = 0;

	vectors_open(&v, &arena, "smtp.json");
	while (vectors_next(&v))
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (is_kind(v.one, kinds[i].kind)) {
				kinds[i].check(v.one);
				n++;
			}
	ck_assert_uint_eq(n, v.seen); /* none of a kind that is not known here */
	vectors_close(&v, 27);
}
END_TEST

/* ---- beside them -------------------------------------------------------------------------------- */

START_TEST(a_look_sends_nothing)
{
	static const char *const replies[] = {"220 x\r\n", "250 x\r\n", "250 x\r\n", "221 x\r\n", NULL};
	struct smtp_server server = {.host = "127.0.0.1"};
	struct smtp_answer answer;
	struct peer p;

	peer_start(&p, replies);
	server.port = p.port;
	ck_assert_int_eq(smtp_check(&server, SLICE("no-reply@example.invalid"), &go_on, &answer), 0);
	peer_stop(&p);
	ck_assert(slice_is(p.lines[1], "NOOP"));
	peer_finish(&p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_smtp");
	TCase *tc = tcase_create("smtp");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, vectors);
	tcase_add_test(tc, a_look_sends_nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	arena_finish(&arena);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
