/* See codes.h. */
#include "app/codes.h"

#include <assert.h>

#include "app/codes_private.h"
#include "base/err.h"
#include "base/log.h"

#define CODE_BOUND 1000000 /* ten to the CODE_DIGITS */
#define CODE_LEN_MIN 4     /* what could be one: functional-spec 3.2 */
#define SEALED_TEXT_MAX 256
#define ROUNDS_MAX 16
#define MINUTE_MS 60000LL
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define ALARM_PAUSE_MS (10 * MINUTE_MS)

static const struct {
	const char *request, *event; /* as requests and events call it */
	bool to_anybody;             /* goes out whether the target has an account or not */
} purposes[] = {
	[CODE_REGISTER] = {"register", "REGISTER", true},
	[CODE_LOGIN] = {"login", "LOGIN", false},
	[CODE_RESET_PASSWORD] = {"reset_password", "RESET_PASSWORD", false},
	[CODE_CHANGE_CONTACT] = {"change_contact", "CHANGE_CONTACT", true},
};

enum code_purpose code_purpose_of(struct slice name)
{
	size_t i = 0;

	while (!slice_is(name, purposes[i].request)) {
		i++;
		assert(i < sizeof(purposes) / sizeof(purposes[0]));
	}
	return (enum code_purpose)i;
}

/* ---- targets ------------------------------------------------------------------------- */

bool code_target_of(struct action *c, const struct account_names *names, bool is_phone, struct code_target *ret)
{
	*ret = (struct code_target){.is_phone = is_phone, .address = is_phone ? names->phone : names->email,
	    .key = is_phone ? names->phone_key : names->email_key};
	ret->digest = account_digest(c, is_phone ? "phone" : "email", ret->key);
	return ret->digest.ptr != NULL || action_fail_err(c, ERR_NOMEM);
}

bool code_target_read(struct action *c, struct slice target, struct slice country_code, struct code_target *ret)
{
	enum account_kind kind = account_kind_of(target);
	struct account_names names;
	struct slice none = {0};

	if (kind == ACCOUNT_USERNAME || !account_names_read(c, none, kind == ACCOUNT_EMAIL ? target : none, country_code,
	                                    kind == ACCOUNT_PHONE ? target : none, &names)) {
		if (c->err != 0)
			return false;
		return action_fail(c, 400, "invalid", "target: must be a mail address or a phone number.",
		    "目标必须是有效的邮箱或手机号");
	}
	return code_target_of(c, &names, kind == ACCOUNT_PHONE, ret);
}

/* ---- limits ---------------------------------------------------------------------------- */

static bool too_many(struct action *c, int64_t until_ms, int64_t now_ms, const char *zh)
{
	action_header(c, "Retry-After", arena_printf(c->arena, "%lld", (long long)((until_ms - now_ms + 999) / 1000)));
	return action_fail(c, 429, "too_many_codes", "Too many codes were asked for; wait and try again.", zh);
}

static void tell_operator(struct codes *codes, int64_t now_ms)
{
	int64_t last_ms = atomic_load(&codes->alarmed_at_ms);

	if (now_ms - last_ms < ALARM_PAUSE_MS || !atomic_compare_exchange_strong(&codes->alarmed_at_ms, &last_ms, now_ms))
		return;
	log_error("codes", "as many codes as LULAB_CODES_PER_DAY allows were asked for in 24 hours: none are sent; "
	    "is somebody running up costs?");
}

/* integrity.md 20. The n-th newest being younger than a span means that there were n in it. */
static bool within_limits(struct action *c, struct json_value sent, int64_t now_ms)
{
	static const struct {
		const char *of;
		int64_t span_ms;
		const char *zh;
	} limits[] = {
		{"tenthAt", DAY_MS, "发送过于频繁，请明天再试"},
		{"fifthAt", HOUR_MS, "发送过于频繁，请1小时后再试"},
		{"lastAt", MINUTE_MS, "发送过于频繁，请1分钟后再试"},
		{"ofAddressAt", DAY_MS, "发送过于频繁，请明天再试"},
		{"ofAllAt", DAY_MS, "发送过于频繁，请明天再试"},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		int64_t until_ms = row_i64(sent, limits[i].of) + limits[i].span_ms;

		if (row_i64(sent, limits[i].of) == 0 || until_ms <= now_ms)
			continue;
		if (strcmp(limits[i].of, "ofAllAt") == 0)
			tell_operator(c->app->codes, now_ms);
		return too_many(c, until_ms, now_ms, limits[i].zh);
	}
	return true;
}

/* ---- asking for one ------------------------------------------------------------------------ */

struct asking {
	struct action *c;
	enum code_purpose purpose;
	const struct code_target *target;
	const struct caller *caller;
	char code[CODE_DIGITS + 1];
	struct id id;
	struct event_verification_requested data;
};

static bool find_account(struct asking *a)
{
	struct json_value account;
	int rc = action_row(a->c, "account_by_claim", (struct action_param[]){{"claim", a->target->digest, 0}}, 1, &account);

	a->data.deliver = purposes[a->purpose].to_anybody;
	if (rc == ERR_NOT_FOUND)
		return true;
	if (rc != 0)
		return action_fail_err(a->c, rc);
	a->data.user_id = row_text(a->c, account, "id");
	if (row_bool(account, "active") && !row_bool(account, "deleted"))
		a->data.deliver = true;
	return true;
}

static int seal_code(struct asking *a)
{
	struct action *c = a->c;
	struct buf sealed = BUF_INIT(SEALED_TEXT_MAX), text = BUF_INIT(SEALED_TEXT_MAX);
	uint64_t n = rng_below(c->app->rng, CODE_BOUND);
	int rc;

	for (size_t i = CODE_DIGITS; i > 0; n /= 10)
		a->code[--i] = (char)('0' + n % 10);
	rc = seal_field(c->app->sealer, &a->id, a->data.request_id, SLICE(CODE_SEALED_FIELD),
	    slice_of(a->code, CODE_DIGITS), &sealed);
	if (rc == 0)
		rc = base64url_encode(&text, buf_slice(&sealed));
	if (rc == 0) {
		a->data.sealed_code = arena_dup(c->arena, buf_slice(&text));
		rc = a->data.sealed_code.ptr == NULL ? ERR_NOMEM : 0;
	}
	buf_finish(&sealed);
	buf_finish(&text);
	return rc;
}

/* The first that the client names; what is not English is read as Chinese. */
static struct slice language_of(const struct action *c)
{
	struct slice accept;

	if (http_request_field(c->rq, "accept-language", &accept) && accept.len >= 2 && slice_same_nocase(accept.ptr, "en", 2))
		return SLICE("en");
	return SLICE("zh-CN");
}

static int make_request(struct asking *a, int64_t now_ms)
{
	struct action *c = a->c;
	char *id_text = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	int rc = id_text == NULL ? ERR_NOMEM : keyring_take(c->app->keyring, KEY_CODE, &a->id);

	if (rc != 0)
		return rc;
	id_format(id_text, &a->id);
	a->data.request_id = slice_of(id_text, ID_TEXT_LEN);
	a->data.purpose = slice_str(purposes[a->purpose].event);
	a->data.channel = a->target->is_phone ? SLICE("SMS") : SLICE("EMAIL");
	a->data.target_digest = a->target->digest;
	a->data.address_digest = a->caller->address_digest;
	a->data.expires_at_ms = now_ms + CODE_LIFE_S * 1000;
	a->data.target = a->target->address;
	a->data.ip = c->rq->address;
	a->data.user_agent = a->caller->user_agent;
	a->data.language = language_of(c);
	a->data.has_subjects = a->data.subjects.has_person = true;
	a->data.subjects.person.id = a->data.request_id;
	return seal_code(a);
}

/* Under the address's `asking`. */
static bool ask(struct asking *a)
{
	struct action *c = a->c;
	struct action_param of[] = {{"target", a->target->digest, 0}, {"address", a->caller->address_digest, 0},
	    {"most", {0}, c->app->config->codes_per_day}};
	int64_t now_ms = clock_wall_ms(c->app->clock);
	struct action_events e = {.c = c};
	struct event_meta meta = action_meta(c);
	struct json_value sent;
	const char *after;
	int rc = action_row(c, "codes_sent", of, 3, &sent);

	if (rc != 0)
		return action_fail_err(c, rc);
	if (!within_limits(c, sent, now_ms) || !find_account(a))
		return false;
	rc = make_request(a, now_ms);
	if (rc != 0)
		return action_fail_err(c, rc);
	/* One follows the newest of the target, whoever else appends to the log. */
	after = arena_printf(c->arena, "%.*s:%.*s", SLICE_ARG(a->target->digest), SLICE_ARG(row_text(c, sent, "newest")));
	if (after == NULL)
		return action_fail_err(c, ERR_NOMEM);
	meta.has_once = true;
	event_once_key(meta.once, SLICE("code-after"), slice_str(after));
	action_event(&e, EVENT_VERIFICATION_REQUESTED, &a->data, &a->id, &meta);
	rc = action_append(&e);
	if (rc != 0)
		return action_fail_err(c, rc);
	return !e.append.duplicate || too_many(c, now_ms + MINUTE_MS, now_ms, "发送过于频繁，请1分钟后再试");
}

/* Stands in for mail and SMS on a developer's machine that has none. */
static void print_for_developer(const struct asking *a)
{
	const struct config *config = a->c->app->config;
	bool goes_out = (a->target->is_phone ? config->alibaba_cloud_access_key_id : config->smtp_host).len > 0;
	const char *to = arena_printf(a->c->arena, "%.*s", SLICE_ARG(a->target->key));

	if (slice_is(a->c->app->config->env, "development") && a->data.deliver && !goes_out && to != NULL)
		log_info("codes", "LULAB_ENV=development: this code would have been sent", "to", to, "purpose",
		    purposes[a->purpose].request, "code", a->code);
}

static pthread_mutex_t *asking_of(struct action *c, const struct caller *caller)
{
	const char *digest = caller->address_digest.ptr; /* base64url of a keyed digest: even enough */

	return &c->app->codes->asking[((unsigned char)digest[0] ^ (unsigned char)digest[1] << 3) % CODES_STRIPES];
}

bool code_request(struct action *c, enum code_purpose purpose, const struct code_target *target,
    const struct caller *caller, struct slice *ret_request_id)
{
	struct asking a = {.c = c, .purpose = purpose, .target = target, .caller = caller};
	pthread_mutex_t *asking = asking_of(c, caller);
	bool done;

	pthread_mutex_lock(asking);
	done = ask(&a);
	pthread_mutex_unlock(asking);
	if (done) {
		print_for_developer(&a);
		codes_over(c->app->codes); /* the one before it, if any */
		*ret_request_id = a.data.request_id;
	}
	crypto_wipe(a.code, sizeof(a.code));
	return done;
}

/* ---- trying one ---------------------------------------------------------------------------- */

int code_unseal(struct app *app, struct slice request_id, struct slice sealed_code, struct buf *out)
{
	struct buf sealed = BUF_INIT(SEALED_TEXT_MAX);
	int rc = base64url_decode(&sealed, sealed_code);

	if (rc == 0)
		rc = seal_open_to(app->sealer, request_id, SLICE(CODE_SEALED_FIELD), buf_slice(&sealed), out);
	buf_finish(&sealed);
	return rc;
}

/* Whether it is that code. What cannot be opened (any more) is nobody's code. */
static int compare(struct action *c, struct slice request_id, struct slice sealed_text, struct slice code,
    bool *ret_is_right)
{
	struct buf plain = BUF_INIT(SEALED_TEXT_MAX);
	int rc = code_unseal(c->app, request_id, sealed_text, &plain);

	*ret_is_right = rc == 0 && crypto_equal(buf_slice(&plain), code);
	buf_wipe(&plain);
	return rc == ERR_ERASED || rc == ERR_NOT_FOUND || rc == ERR_CORRUPT || rc == ERR_MALFORMED ? ERR_DENIED : rc;
}

static int count_wrong_try(struct action *c, enum code_purpose purpose, struct slice request_id, uint64_t version)
{
	struct slice address_digest = account_digest(c, "address", c->rq->address);
	struct event_verification_failed data = {.request_id = request_id, .purpose = slice_str(purposes[purpose].event),
	    .address_digest = address_digest};
	struct action_events e = {.c = c, .rc = address_digest.ptr == NULL ? ERR_NOMEM : 0};
	struct event_meta meta = action_meta(c);

	meta.expect = (int64_t)version;
	action_event(&e, EVENT_VERIFICATION_FAILED, &data, NULL, &meta);
	return action_append(&e);
}

/* One try against what is there now: ERR_CONFLICT when it is not there any more. */
static int try_once(struct action *c, enum code_purpose purpose, const struct code_target *target,
    struct slice request_id, struct slice code, struct code_right *ret)
{
	struct action_param of[] = {{"target", target->digest, 0}, {"purpose", slice_str(purposes[purpose].event), 0}};
	struct json_value row;
	struct slice id;
	uint64_t version;
	bool is_right;
	int rc = action_row(c, "code_open", of, 2, &row);

	if (rc != 0)
		return rc == ERR_NOT_FOUND ? ERR_DENIED : rc;
	id = row_text(c, row, "id");
	version = (uint64_t)row_i64(row, "version");
	/* Of another request nothing is told, so nothing is counted. */
	if (row_i64(row, "expiresAt") <= clock_wall_ms(c->app->clock) || (request_id.len > 0 && !slice_eq(id, request_id)))
		return ERR_DENIED;
	rc = compare(c, id, row_text(c, row, "sealedCode"), code, &is_right);
	if (rc != 0)
		return rc;
	if (is_right) {
		*ret = (struct code_right){.request_id = id, .purpose = purpose, .version = version};
		return 0;
	}
	rc = count_wrong_try(c, purpose, id, version);
	return rc == 0 ? ERR_DENIED : rc;
}

int code_check(struct action *c, enum code_purpose purpose, const struct code_target *target, struct slice request_id,
    struct slice code, struct code_right *ret)
{
	int rc = ERR_CONFLICT;

	/* Each round somebody else's try was counted: there cannot be many. */
	for (int i = 0; rc == ERR_CONFLICT && i < ROUNDS_MAX; i++)
		rc = try_once(c, purpose, target, request_id, slice_trim(code), ret);
	return rc == ERR_CONFLICT ? ERR_BUSY : rc;
}

void code_use(struct action_events *e, const struct code_right *right, struct slice user_id)
{
	struct event_verification_used data = {.request_id = right->request_id,
	    .purpose = slice_str(purposes[right->purpose].event)};
	struct event_meta meta = action_meta(e->c);

	if (user_id.len > 0)
		data.user_id = user_id;
	meta.expect = (int64_t)right->version;
	action_event(e, EVENT_VERIFICATION_USED, &data, NULL, &meta);
}

void code_used(struct action *c)
{
	codes_over(c->app->codes);
}

bool code_refuse(struct action *c, int status)
{
	return action_fail(c, status, "invalid_code", "This code is not right, or not good any more.", "验证码无效或已过期");
}

bool code_text_check(struct action *c, struct slice code)
{
	return slice_trim(code).len >= CODE_LEN_MIN ||
	    action_fail(c, 400, "invalid", "code: has at least 4 characters.", "验证码至少4位");
}
