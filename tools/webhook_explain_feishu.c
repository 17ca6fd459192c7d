/*
 * The steps of the server for a webhook of Feishu, each a function that notes its result. Guesses are made by doing: a
 * cause is only named when the request fits it. See webhook_explain.h, adapters/lark.c.
 */
#include "base/err.h"
#include "lark_events.h"
#include "lark_wire.h"
#include "tencent_wire.h"
#include "webhook_explain.h"
#include "wire_json.h"

#define AHEAD_S_MAX 300

struct work {
	const struct webhook_request *request;
	const struct webhook_secrets *secrets;
	struct lark_headers headers;
	struct slice key;             /* the Encrypt Key that fits, or the newest; empty: there is none */
	struct lark_received received;
	bool is_encrypted, is_open;   /* the body; received is filled in */
	int64_t now_ms;
	struct arena *a;
	struct explanation *out;
	int rc; /* ERR_NOMEM */
};

static bool note(struct work *w, const char *name, enum step_result result, const char *detail, const char *cause)
{
	if (detail == NULL)
		w->rc = ERR_NOMEM;
	w->out->steps[w->out->n_steps++] = (struct explain_step){name, result, detail, cause};
	return result != STEP_FAILED && w->rc == 0;
}

static bool failed(struct work *w, int http_status, const char *name, const char *detail, const char *cause)
{
	w->out->http_status = http_status;
	return note(w, name, STEP_FAILED, detail, cause);
}

/* ---- settings --------------------------------------------------------------------- */

static bool settings(struct work *w)
{
	const struct webhook_secrets *s = w->secrets;

	w->key = s->aes_key;
	if (s->token.len == 0 && s->aes_key.len == 0)
		return failed(w, 503, "settings", "neither LARK_EVENT_ENCRYPT_KEY nor LARK_EVENT_VERIFICATION_TOKEN is set",
		    "set them to what the application's page shows under Events and Callbacks, Encryption Strategy, or give "
		    "--aes-key and --token");
	if (s->aes_key.len == 0)
		return note(w, "settings", STEP_OK, "a token, no Encrypt Key: webhooks come plain and unsigned", NULL);
	if (s->token.len == 0)
		return note(w, "settings", STEP_DOUBTFUL, "an Encrypt Key, no Verification Token",
		    "the token is not compared: set LARK_EVENT_VERIFICATION_TOKEN as well");
	return note(w, "settings", STEP_OK, "a Verification Token and an Encrypt Key", NULL);
}

/* ---- the body ---------------------------------------------------------------------- */

static bool body(struct work *w)
{
	struct slice text = w->request->body;
	struct json_value root, encrypted;
	int rc = wire_json_root(text, JSON_OBJECT, w->a, &root);
	bool wants_key = w->key.len > 0;

	if (rc == ERR_NOMEM) {
		w->rc = rc;
		return false;
	}
	if (rc != 0)
		return failed(w, wants_key ? 401 : 400, "body", text.len == 0 ? "the body is empty" : "the body is no JSON object",
		    "the body was cut, compressed or re-encoded on the way; save it byte for byte");
	w->is_encrypted = wire_member(root, "encrypt", JSON_STRING, &encrypted);
	if (w->is_encrypted && !wants_key)
		return failed(w, 400, "body", "it is encrypted, and there is no Encrypt Key",
		    "set LARK_EVENT_ENCRYPT_KEY to the Encrypt Key on the application's page");
	if (!w->is_encrypted && wants_key)
		return failed(w, 401, "body", "it is not encrypted, and there is an Encrypt Key",
		    "set the Encrypt Key on the application's page too, or unset LARK_EVENT_ENCRYPT_KEY; or this is not a request "
		    "of Feishu");
	return note(w, "body", STEP_OK, arena_printf(w->a, "%zu bytes of %s JSON", text.len, w->is_encrypted ? "encrypted" : "plain"),
	    NULL);
}

/* With whatever key opens it; the token is not looked at here. */
static void open_it(struct work *w)
{
	struct slice keys[] = {w->secrets->aes_key, w->secrets->aes_key_old}, plain = w->request->body;
	struct json_value root;

	for (size_t i = 0; i < 2 && !w->is_open; i++) {
		if (w->is_encrypted && (keys[i].len == 0 || wire_json_root(w->request->body, JSON_OBJECT, w->a, &root) != 0 ||
		    lark_decrypt(keys[i], wire_text(root, "encrypt", w->a), w->a, &plain) != 0 ||
		    wire_json_root(plain, JSON_OBJECT, w->a, &root) != 0))
			continue;
		w->is_open = true;
		w->key = w->is_encrypted ? keys[i] : w->key;
		if (lark_event_parse(plain, w->a, &w->received) == ERR_MALFORMED)
			w->is_open = false;
	}
}

/* ---- the signature ------------------------------------------------------------------- */

static bool signs(const struct work *w, struct slice key, struct slice text)
{
	return key.len > 0 && lark_verify(key, &w->headers, text);
}

static bool is_signed(struct work *w)
{
	struct slice keys[] = {w->secrets->aes_key, w->secrets->aes_key_old};

	for (size_t i = 0; i < 2; i++) {
		if (signs(w, keys[i], w->request->body)) {
			w->key = keys[i];
			return true;
		}
	}
	return false;
}

static const char *signature_cause(struct work *w)
{
	struct slice key = w->secrets->aes_key, bare = slice_trim(key), text = slice_trim(w->request->body);

	if (bare.len != key.len && signs(w, bare, w->request->body))
		return "LARK_EVENT_ENCRYPT_KEY has white space around it: remove it";
	if (bare.len > 2 && (bare.ptr[0] == '"' || bare.ptr[0] == '\'') &&
	    signs(w, slice_of(bare.ptr + 1, bare.len - 2), w->request->body))
		return "LARK_EVENT_ENCRYPT_KEY has quotes around it: remove them";
	if (signs(w, w->secrets->token, w->request->body))
		return "LARK_EVENT_ENCRYPT_KEY and LARK_EVENT_VERIFICATION_TOKEN are swapped";
	if (text.len != w->request->body.len && signs(w, key, text))
		return "white space was added around the body, on the way or when it was saved: it is signed byte for byte";
	if (w->secrets->token.len > 0 && lark_card_verify(w->secrets->token, &w->headers, w->request->body))
		return "it is signed as callbacks of old cards are, with the Verification Token: no event";
	if (w->is_open)
		return "the body opens with our Encrypt Key, so that is right: the body was written anew on the way (order, white "
		       "space, escapes), or a header was changed";
	return "the Encrypt Key fits neither the signature nor the content: LARK_EVENT_ENCRYPT_KEY is not the key of this "
	       "application, or was changed there";
}

static bool headers(struct work *w)
{
	const struct webhook_request *r = w->request;
	const struct {
		const char *name;
		struct slice value;
	} all[] = {{"X-Lark-Request-Timestamp", r->timestamp}, {"X-Lark-Request-Nonce", r->nonce}, {"X-Lark-Signature", r->signature}};

	for (size_t i = 0; i < 3; i++)
		if (all[i].value.len == 0)
			return failed(w, 401, "headers", arena_printf(w->a, "the header %s is missing or empty", all[i].name),
			    "a proxy on the way drops headers it does not know, or this is not a request of Feishu");
	return note(w, "headers", STEP_OK, "time stamp, nonce and signature are there", NULL);
}

static bool signature(struct work *w)
{
	struct slice theirs = w->headers.signature;

	if (w->key.len == 0)
		return note(w, "signature", STEP_OK, "without an Encrypt Key nothing is signed", NULL);
	if (w->is_open && w->received.is_challenge)
		return note(w, "signature", STEP_OK, "a challenge needs none: that it is encrypted protects it", NULL);
	if (!headers(w))
		return false;
	if (is_signed(w))
		return note(w, "signature", STEP_OK, "made with our Encrypt Key over this body", NULL);
	if (theirs.len != LARK_SIGNATURE_LEN)
		return failed(w, 401, "signature", arena_printf(w->a, "%zu characters instead of 64", theirs.len),
		    theirs.len == 40 ? signature_cause(w) : "the header was cut, or is not a SHA-256 signature of Feishu");
	return failed(w, 401, "signature", "does not match", signature_cause(w));
}

/* ---- content --------------------------------------------------------------------------- */

static bool decryption(struct work *w)
{
	if (w->is_open)
		return !w->is_encrypted || note(w, "decryption", STEP_OK, arena_printf(w->a, "%zu bytes of text", w->received.plain.len),
		    NULL);
	return failed(w, 400, "decryption", "the content does not open to a JSON object",
	    "it was changed before it was signed, or LARK_EVENT_ENCRYPT_KEY is not the key of this application");
}

static struct slice token_of(struct work *w)
{
	struct json_value header;

	if (!w->received.is_challenge && wire_member(w->received.root, "header", JSON_OBJECT, &header))
		return wire_text(header, "token", w->a);
	return wire_text(w->received.root, "token", w->a);
}

static bool token(struct work *w)
{
	struct slice theirs = token_of(w);

	if (w->secrets->token.len == 0)
		return note(w, "token", STEP_OK, "not compared: none is set", NULL);
	if (crypto_equal(theirs, w->secrets->token))
		return note(w, "token", STEP_OK, "the Verification Token is ours", NULL);
	if (w->secrets->token_old.len > 0 && crypto_equal(theirs, w->secrets->token_old))
		return note(w, "token", STEP_OK, "the Verification Token is the one we had before", NULL);
	if (slice_eq(slice_trim(w->secrets->token), theirs))
		return failed(w, 401, "token", "differs", "LARK_EVENT_VERIFICATION_TOKEN has white space around it: remove it");
	return failed(w, 401, "token", theirs.len == 0 ? "there is none" : "differs",
	    "LARK_EVENT_VERIFICATION_TOKEN is not the token of this application, or was changed there");
}

static bool age(struct work *w)
{
	int64_t signed_ms, age_s;

	if (w->key.len == 0 || w->received.is_challenge)
		return true; /* no time is signed */
	if (w->secrets->max_age_s == 0)
		return note(w, "age", STEP_OK, "any age is taken", NULL);
	if (tencent_time_ms(w->headers.timestamp, &signed_ms) != 0)
		return failed(w, 401, "age", "the time stamp is no number", "the header was rewritten on the way");
	age_s = (w->now_ms - signed_ms) / 1000;
	if (age_s < -AHEAD_S_MAX)
		return failed(w, 401, "age", arena_printf(w->a, "signed %lld s in the future", (long long)-age_s),
		    "one of the clocks is wrong, most likely this machine's: compare `date -u`");
	if (age_s > w->secrets->max_age_s)
		return note(w, "age", STEP_DOUBTFUL,
		    arena_printf(w->a, "signed %lld s ago; %lld s are allowed", (long long)age_s, (long long)w->secrets->max_age_s),
		    "fine if it was saved long ago; refused with 401 if it arrived like this: a clock is wrong, or "
		    "LARK_WEBHOOK_MAX_AGE is too short");
	return note(w, "age", STEP_OK, arena_printf(w->a, "signed %lld s ago", (long long)age_s), NULL);
}

static bool event(struct work *w)
{
	const struct lark_received *r = &w->received;

	if (r->is_challenge)
		return r->challenge.len > 0 ? note(w, "event", STEP_OK, "a challenge, which is answered at once", NULL)
		                            : failed(w, 400, "event", "a challenge without its text", "this is not a request of Feishu");
	if (r->event_type.len == 0 || r->event_id.len == 0)
		return w->key.len == 0
		    ? failed(w, 400, "event", "no event with a type and an id", "this is not a request of Feishu")
		    : note(w, "event", STEP_DOUBTFUL, "no event with a type and an id",
		          "it verified, so it is stored as it is and acknowledged");
	if (lark_event_type(r->event_type) == NULL)
		return note(w, "event", STEP_DOUBTFUL,
		    arena_printf(w->a, "%.*s, which no event of ours is made of", SLICE_ARG(r->event_type)),
		    "it is stored as it is and acknowledged; lulab webhook list shows the names that are known");
	return note(w, "event", STEP_OK,
	    arena_printf(w->a, "%.*s, event_id %.*s", SLICE_ARG(r->event_type), SLICE_ARG(r->event_id)), NULL);
}

int webhook_explain_feishu(const struct webhook_request *request, const struct webhook_secrets *secrets, int64_t now_ms,
    struct arena *a, struct explanation *ret)
{
	struct work w = {.request = request, .secrets = secrets, .now_ms = now_ms, .a = a, .out = ret,
	    .headers = {request->timestamp, request->nonce, request->signature}};

	*ret = (struct explanation){.http_status = 200};
	if (settings(&w) && body(&w)) {
		open_it(&w);
		if (signature(&w) && decryption(&w) && token(&w) && age(&w))
			event(&w);
	}
	return w.rc;
}
