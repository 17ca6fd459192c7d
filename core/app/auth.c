/* See auth.h. */
#include "auth.h"

#include <sys/stat.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/crypto.h"

#define TOKEN_TEXT_LEN BASE64URL_LEN(ADMIN_TOKEN_BYTES)
#define TOKEN_FILE_MAX 4096
#define TOKEN_LEN_MIN 32 /* an operator may put a token of their own, not a guessable one */

static const char *const all_permissions[] = {"*", NULL};

/*
 * Tokens are compared by digest: equal lengths whatever was sent, and nothing to steal from memory.
 * Every request pays for it; processors have instructions for this one, and one block of it will do.
 */
static void digest_of(uint8_t ret[SHA256_LEN], struct slice token)
{
	sha256(ret, &token, 1);
}

static int token_create(const char *path, const struct rng *rng, struct buf *ret_text)
{
	uint8_t bytes[ADMIN_TOKEN_BYTES];
	char text[TOKEN_TEXT_LEN + 2];
	int rc;

	rng_fill(rng, bytes, sizeof(bytes));
	base64url_encode_to(text, bytes, sizeof(bytes));
	text[TOKEN_TEXT_LEN] = '\n';
	rc = file_create(path, slice_of(text, TOKEN_TEXT_LEN + 1), 0600);
	if (rc == 0)
		rc = buf_append(ret_text, slice_of(text, TOKEN_TEXT_LEN));
	crypto_wipe(bytes, sizeof(bytes));
	crypto_wipe(text, sizeof(text));
	return rc;
}

static void warn_if_readable_by_others(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		log_warn("auth", "the admin token can be read by other users of this machine; chmod 600 it",
		    "file", path);
}

int auth_open(struct auth *ret_auth, const char *data_dir, const struct rng *rng, bool *ret_made)
{
	struct buf path = BUF_INIT(4096), text = BUF_INIT(TOKEN_FILE_MAX);
	struct slice token;
	bool made = false;
	int rc;

	rc = buf_printf(&path, "%s/%s", data_dir, ADMIN_TOKEN_FILE);
	if (rc != 0)
		goto out;
	rc = file_read(&text, path.ptr);
	if (rc == ERR_NOT_FOUND) {
		rc = token_create(path.ptr, rng, &text);
		made = true;
	}
	if (rc != 0)
		goto out;
	warn_if_readable_by_others(path.ptr);
	token = slice_trim(buf_slice(&text));
	if (token.len < TOKEN_LEN_MIN) {
		rc = ERR_CONFIG;
		goto out;
	}
	*ret_auth = (struct auth){.admin = {.id = "admin", .permissions = all_permissions}};
	digest_of(ret_auth->admin_digest, token);
	if (ret_made != NULL)
		*ret_made = made;
out:
	buf_wipe(&text);
	buf_finish(&path);
	return rc;
}

void auth_close(struct auth *auth)
{
	crypto_wipe(auth, sizeof(*auth));
}

const struct principal *auth_recognise(const struct auth *auth, struct slice token)
{
	uint8_t digest[SHA256_LEN];
	bool same;

	digest_of(digest, token);
	same = crypto_equal(slice_of(digest, sizeof(digest)), slice_of(auth->admin_digest, sizeof(digest)));
	return same && token.len > 0 ? &auth->admin : NULL;
}

bool principal_may(const struct principal *p, const char *permission)
{
	if (permission == NULL)
		return true;
	for (size_t i = 0; p->permissions[i] != NULL; i++)
		if (strcmp(p->permissions[i], "*") == 0 || strcmp(p->permissions[i], permission) == 0)
			return true;
	return false;
}

/* Is the word among those of a text? */
static bool has_word(struct slice text, const char *word)
{
	struct slice one;

	while (text.len > 0) {
		slice_cut(text, ' ', &one, &text);
		if (slice_is(one, word) || slice_is(one, "*"))
			return true;
	}
	return false;
}

enum data_scope principal_scope(const struct principal *p, const char *permission, struct slice org)
{
	enum data_scope scope = SCOPE_NONE;

	if (principal_may(p, permission))
		return SCOPE_ALL;
	for (size_t i = 0; p->in_orgs != NULL && p->in_orgs[i] != NULL; i++) {
		struct slice where, reach, permissions, rest;

		if (!slice_cut(slice_str(p->in_orgs[i]), ' ', &where, &rest) || !slice_cut(rest, ' ', &reach, &permissions) ||
		    reach.len != 1 || (org.len > 0 && !slice_eq(where, org)) || !has_word(permissions, permission))
			continue;
		if (reach.ptr[0] >= '1' && reach.ptr[0] <= '3' && (enum data_scope)(reach.ptr[0] - '0') > scope)
			scope = (enum data_scope)(reach.ptr[0] - '0');
	}
	return scope;
}

int auth_check(const struct auth *auth, struct http_request *rq, const char **ret_detail)
{
	struct slice token;
	const struct principal *who;

	if (!http_request_bearer(rq, &token)) {
		http_header(rq, "WWW-Authenticate", SLICE("Bearer realm=\"lulab\""));
		*ret_detail = "Send an access token or an API key: the header Authorization: Bearer <token>. The operator's token "
		              "is in the file admin.token of the data directory.";
		return 401;
	}
	who = auth_recognise(auth, token);
	if (who == NULL) {
		http_header(rq, "WWW-Authenticate", SLICE("Bearer realm=\"lulab\", error=\"invalid_token\""));
		*ret_detail = "This access token is not valid here. Check that it was copied whole and belongs to "
		              "this server.";
		return 401;
	}
	rq->principal = (void *)(uintptr_t)who;
	if (!principal_may(who, rq->route->permission)) {
		*ret_detail = arena_printf(rq->arena, "This needs the permission %s.", rq->route->permission);
		return 403;
	}
	return 0;
}

bool auth_sees_personal(const struct http_request *rq)
{
	return rq->principal != NULL && principal_may(rq->principal, "personal:read");
}
