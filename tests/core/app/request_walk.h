/*
 * Requests to the service in the process of the test, one after another, while every call that can fail on their way
 * fails once. An answer is the right one, or says that the server could not; afterwards it is right again.
 *
 * Requests are written down as text. ' stands for " in bodies and in what answers say; $name stands for what an earlier
 * answer was asked to keep under that name, $n for a number of this group of requests that no other has, $p for the same in
 * eight digits, $code for the newest one-time code.
 */
#ifndef LULAB_TESTS_REQUEST_WALK_H
#define LULAB_TESTS_REQUEST_WALK_H

#include <ctype.h>
#include <pthread.h>

#include "core/app/app_rig.h"
#include "lib/failing.h"

#define WALK_VARS_MAX 32
#define WALK_BEFORE_MAX 6
#define WALK_UNTIL_MAX 200000 /* times that something is asked until it is so */

struct walk_request {
	const char *as;   /* a token; NULL: the operator's, "": none */
	const char *line; /* "GET /path" */
	const char *body; /* NULL: none */
	int status;
	const char *keep;  /* "name=member of the answer", or NULL */
	const char *field; /* one more field of the head, with its end, or NULL */
	bool varies;       /* only the status of the answer can be compared */
	const char *says;  /* the right answer holds this text, or NULL; it is asked again until it does when it makes something */
};

#define ASK(as, line, body, status) {as, line, body, status, NULL, NULL, false, NULL}
#define ASK_WITH(as, line, body, status, field) {as, line, body, status, NULL, field, false, NULL}
#define ASK_SAYS(as, line, body, status, says) {as, line, body, status, NULL, NULL, false, says}
#define MAKE(as, line, body, status, keep) {as, line, body, status, keep, NULL, false, NULL}
#define UNTIL(as, line, says) {as, line, NULL, 200, NULL, NULL, false, says}
#define MADE_NOTHING {{NULL, NULL, NULL, 0, NULL, NULL, false, NULL}} /* made before */

/* A request, and those that make what it works on, which are closed by a line of NULL. */
struct walk_case {
	struct walk_request before[WALK_BEFORE_MAX];
	struct walk_request asked;
};

static struct request_walk {
	struct app_rig r;
	struct {
		char name[16], value[512];
	} vars[WALK_VARS_MAX];
	unsigned n_vars, number, address;
	const struct walk_case *now;
	bool judging; /* nothing fails: the answer must be right */
	struct buf good; /* what is the right one, as walk_shape() has it */
	pthread_mutex_t lock;
	char code[16]; /* of the newest line that told one; `lock` guards it */
} walk;

/* ---- names ------------------------------------------------------------------------------------ */

static void walk_set(const char *name, struct slice value)
{
	unsigned i = 0;

	while (i < walk.n_vars && strcmp(walk.vars[i].name, name) != 0)
		i++;
	ck_assert_uint_lt(i, WALK_VARS_MAX);
	ck_assert_uint_lt(value.len, sizeof(walk.vars[i].value));
	walk.n_vars += i == walk.n_vars;
	snprintf(walk.vars[i].name, sizeof(walk.vars[i].name), "%s", name);
	snprintf(walk.vars[i].value, sizeof(walk.vars[i].value), "%.*s", SLICE_ARG(value));
}

static const char *walk_value(struct slice name)
{
	for (unsigned i = 0; i < walk.n_vars; i++)
		if (slice_is(name, walk.vars[i].name))
			return walk.vars[i].value;
	ck_abort_msg("nothing is called $%.*s", SLICE_ARG(name));
	return NULL;
}

/* Appends the text with its names replaced. */
static void walk_expand(struct buf *out, const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "$");

		buf_append(out, slice_of(text, len));
		text += len;
		if (*text == '\0')
			return;
		for (len = 1; isalpha((unsigned char)text[len]); len++)
			;
		buf_append_str(out, walk_value(slice_of(text + 1, len - 1)));
		text += len;
	}
}

/* That member of the answer, wherever it stands. */
static struct slice walk_member(struct slice answer, const char *name)
{
	char key[64];
	const char *at, *end;

	snprintf(key, sizeof(key), "\"%s\":\"", name);
	at = memmem(answer.ptr, answer.len, key, strlen(key));
	ck_assert_msg(at != NULL, "no %s in %.*s", name, SLICE_ARG(answer));
	at += strlen(key);
	end = memchr(at, '"', answer.len - (size_t)(at - answer.ptr));
	ck_assert_ptr_nonnull(end);
	return slice_of(at, (size_t)(end - at));
}

static void walk_on_log(void *arg, struct slice line)
{
	static const char said[] = "this code would have been sent", key[] = "\"code\":\"";
	const char *at;

	(void)arg;
	if (memmem(line.ptr, line.len, said, sizeof(said) - 1) == NULL)
		return;
	at = memmem(line.ptr, line.len, key, sizeof(key) - 1);
	if (at == NULL)
		return;
	pthread_mutex_lock(&walk.lock);
	snprintf(walk.code, sizeof(walk.code), "%.6s", at + sizeof(key) - 1);
	pthread_mutex_unlock(&walk.lock);
}

static void walk_take_code(void)
{
	pthread_mutex_lock(&walk.lock);
	if (walk.code[0] != '\0')
		walk_set("code", slice_str(walk.code));
	pthread_mutex_unlock(&walk.lock);
}

/* ---- a request ---------------------------------------------------------------------------------- */

/* The whole answer, until the server closes. Gives its status; 0: none came, or it was cut within the head. */
static int walk_exchange(const struct walk_request *q, struct buf *ret_body)
{
	struct client c = client_connect(http_server_port(walk.r.app.server));
	struct buf text = BUF_INIT(1u << 20), body = BUF_INIT(1u << 20);
	const char *split = strchr(q->line, ' ');
	const char *end;
	struct answer a;
	int status = 0;

	if (q->body != NULL)
		walk_expand(&body, q->body);
	for (size_t i = 0; i < body.len; i++)
		if (body.ptr[i] == '\'')
			body.ptr[i] = '"';
	buf_append(&text, slice_of(q->line, (size_t)(split - q->line) + 1));
	walk_expand(&text, split + 1);
	/* Every request comes from an address of its own, so that no limit of an address is reached. */
	walk.address++;
	buf_printf(&text, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 10.%u.%u.1\r\n",
	    walk.address / 256 % 256,
	    walk.address % 256);
	if (q->as == NULL || q->as[0] != '\0') {
		buf_append_str(&text, "Authorization: Bearer ");
		walk_expand(&text, q->as == NULL ? walk.r.token : q->as);
		buf_append_str(&text, "\r\n");
	}
	if (q->field != NULL)
		buf_append_str(&text, q->field);
	if (q->body != NULL)
		buf_printf(&text, "%sContent-Length: %zu\r\n",
		    q->field != NULL && strstr(q->field,
		    "Content-Type") != NULL ? "" : "Content-Type: application/json\r\n", body.len);
	buf_append_str(&text, "\r\n");
	buf_append(&text, buf_slice(&body));
	ck_assert_int_eq(text.rc, 0);
	client_send(&c, buf_slice(&text));
	while (client_read(&c))
		;
	end = c.in.len == 0 ? NULL : memmem(c.in.ptr, c.in.len, "\r\n\r\n", 4);
	if (end != NULL) {
		a = client_head(&c);
		status = a.status;
		buf_append(ret_body, buf_slice(&c.in));
		answer_finish(&a);
	}
	buf_finish(&text);
	buf_finish(&body);
	client_close(&c);
	return status;
}

static bool walk_says(const struct walk_request *q, struct slice body)
{
	struct buf text = BUF_INIT(4096);
	bool says;

	if (q->says == NULL)
		return true;
	walk_expand(&text, q->says);
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\'')
			text.ptr[i] = '"';
	says = body.len > 0 && memmem(body.ptr, body.len, text.ptr, text.len) != NULL;
	buf_finish(&text);
	return says;
}

/* A request that must succeed; what it is to keep is kept. */
static void walk_do(const struct walk_request *q)
{
	struct buf body = BUF_INIT(1u << 20);
	int status = walk_exchange(q, &body);
	char name[16];

	for (int i = 0; q->says != NULL && (status != q->status || !walk_says(q, buf_slice(&body))); i++) {
		ck_assert_msg(i < WALK_UNTIL_MAX, "%s never says %s: %s", q->line, q->says, body.ptr);
		buf_clear(&body);
		status = walk_exchange(q, &body);
	}
	ck_assert_msg(status == q->status, "%s gives %d instead of %d: %s", q->line, status, q->status,
	    body.ptr == NULL ? "" : body.ptr);
	if (q->keep != NULL) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(q->keep, "="), q->keep);
		walk_set(name, walk_member(buf_slice(&body), strchr(q->keep, '=') + 1));
	}
	walk_take_code();
	buf_finish(&body);
}

/* Does a value follow that is made by chance? last4 is "#" here already. */
static bool walk_by_chance(struct slice before)
{
	static const char *const members[] = {"\"prefix\":\"", "\"key\":\"", "\"#\":\""};

	for (size_t i = 0; i < COUNT(members); i++) {
		size_t len = strlen(members[i]);

		if (before.len >= len && memcmp(before.ptr + before.len - len, members[i], len) == 0)
			return true;
	}
	return false;
}

/* A body without what is never twice the same: ids, times, tokens and numbers. */
static struct buf walk_shape(struct slice body)
{
	struct buf out = BUF_INIT(1u << 20);
	size_t i = 0;

	while (i < body.len) {
		size_t from = i;
		bool differs = walk_by_chance(buf_slice(&out));

		for (; i < body.len && (isalnum((unsigned char)body.ptr[i]) || body.ptr[i] == '_' || body.ptr[i] == '-'); i++)
			differs = differs || isdigit((unsigned char)body.ptr[i]);
		if (i == from)
			buf_append(&out, slice_of(body.ptr + i++, 1));
		else if (differs || i - from > 40)
			buf_append_str(&out, "#");
		else
			buf_append(&out, slice_of(body.ptr + from, i - from));
	}
	return out;
}

/* ---- the walk --------------------------------------------------------------------------------------- */

static void walk_before(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", ++walk.number);
	walk_set("n", slice_str(text));
	snprintf(text, sizeof(text), "%08u", walk.number);
	walk_set("p", slice_str(text));
	for (const struct walk_request *q = walk.now->before; q < walk.now->before + WALK_BEFORE_MAX && q->line != NULL; q++)
		walk_do(q);
}

/* A failure while the body is on its way cuts it: what came must be the beginning of the right one. An error may have lost
 * some of its words. */
static bool walk_is_good(struct slice shape)
{
	if (walk.judging)
		return slice_eq(shape, buf_slice(&walk.good));
	return shape.len == 0 || (shape.len <= walk.good.len && memcmp(shape.ptr, walk.good.ptr, shape.len) == 0) ||
	    (walk.now->asked.status >= 400 && slice_starts_with(shape, SLICE("{\"type\":\"about:blank\"")));
}

static int walk_act(void)
{
	const struct walk_request *q = &walk.now->asked;
	struct buf body = BUF_INIT(1u << 20), shape;
	int status;

	failing_pause();
	status = walk_exchange(q, &body);
	shape = walk_shape(buf_slice(&body));
	if (walk.judging) {
		ck_assert_msg(status == q->status, "%s %s gives %d: %s", q->line, q->body == NULL ? "" : q->body, status,
		    body.ptr == NULL ? "" : body.ptr);
		ck_assert_msg(walk_says(q, buf_slice(&body)), "%s %s does not say %s: %s", q->line, q->body == NULL ? "" : q->body,
		    q->says, body.ptr == NULL ? "" : body.ptr);
		if (walk.good.max == 0) {
			walk.good = shape;
			shape = (struct buf){0};
		}
	}
	if (shape.max != 0 && status == q->status)
		ck_assert_msg(q->varies || walk_is_good(buf_slice(&shape)), "%s %s: %.1500s\n instead of\n%.1500s", q->line,
		    q->body == NULL ? "" : q->body, shape.ptr == NULL ? "" : shape.ptr,
		    walk.good.ptr == NULL ? "" : walk.good.ptr);
	else
		ck_assert_msg(walk.judging || status == 0 || status >= 500, "%s %s gives %d: %s", q->line,
		    q->body == NULL ? "" : q->body, status, body.ptr == NULL ? "" : body.ptr);
	buf_finish(&shape);
	buf_finish(&body);
	failing_go_on();
	return 0;
}

/* Nothing fails: the answer is the one of the first time. */
static void walk_judge(const struct walk_case *now)
{
	walk.now = now;
	walk.judging = true;
	walk_before();
	walk_act();
	walk.judging = false;
}

static void walk_forget(void)
{
	buf_finish(&walk.good);
	walk.good = (struct buf){0};
}

/* Every case, with every call that fails from a place no case before had. Gives how many failed. */
static inline unsigned walk_cases(const struct walk_case *cases, size_t n_cases, unsigned kinds, unsigned depth)
{
	/* Not the log's writer and the read models, which try again and have tests of their own. */
	static const char *const threads[] = {"http loop", "lulab-command", "lulab-hash", "lulab-decide", "lulab-long", "query", NULL};
	struct failing_walk of = {.kinds = kinds, .before = walk_before, .act = walk_act, .runs_on = true, .goes_on = true,
	    .threads = threads, .depth = depth};
	unsigned n = 0;

	for (size_t i = 0; i < n_cases; i++) {
		walk_judge(&cases[i]);
		n += failing_walk(&of);
		walk_judge(&cases[i]);
		walk_forget();
	}
	for (size_t i = 0; i < n_cases; i++) {
		walk_judge(&cases[i]);
		walk_forget();
	}
	return n;
}

/* Nothing fails: each case has its answer, twice. */
static inline void walk_answers(const struct walk_case *cases, size_t n_cases)
{
	for (size_t i = 0; i < n_cases; i++) {
		walk_judge(&cases[i]);
		walk_judge(&cases[i]);
		walk_forget();
	}
}

/* A service with these adapters (NULL: none) and settings, both closed by NULL, and with what `made` makes. */
static void walk_open(const struct adapter *const *with, const char *const *settings, const struct walk_request *made,
    size_t n_made)
{
	walk.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	app_rig_init(&walk.r);
	log_set_sink(walk_on_log, NULL);
	app_rig_configure(&walk.r, NULL, settings);
	app_rig_open(&walk.r, with);
	walk_set("n", SLICE("0"));
	for (size_t i = 0; i < n_made; i++)
		walk_do(&made[i]);
}

static void walk_close(void)
{
	app_stop(&walk.r.app);
	app_rig_finish(&walk.r);
}

#endif
