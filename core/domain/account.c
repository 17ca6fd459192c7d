/* See account.h. */
#include "domain/account.h"

#include <stdlib.h>
#include <utf8proc.h>
#include <zxcvbn.h>

#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"

#define PRODUCT_NAME "lulab"
#define PASSWORD_BYTES_MAX ((size_t)PASSWORD_CHARS_MAX * 4)
#define PASSWORD_BITS_MIN 20 /* about a million guesses */
#define NAMES_MAX 16
#define NAME_PART_LEN_MIN 4 /* a shorter one occurs by chance */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int refuse(struct said *ret_why, const char *en, const char *zh)
{
	*ret_why = (struct said){en, zh};
	return ERR_INVALID;
}

int account_username(struct slice given, struct arena *arena, struct slice *ret, struct said *ret_why)
{
	bool has_letter = false;
	char *text;

	if (given.len < USERNAME_LEN_MIN)
		return refuse(ret_why, "A user name has at least 3 characters.", "用户名至少3个字符");
	if (given.len > USERNAME_LEN_MAX)
		return refuse(ret_why, "A user name has at most 50 characters.", "用户名最多50个字符");
	text = arena_alloc(arena, given.len);
	if (text == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < given.len; i++) {
		char c = given.ptr[i];

		if (!is_letter(c) && !is_digit(c) && c != '_')
			return refuse(ret_why, "A user name has only letters, digits and underscores.",
			    "用户名只能包含字母、数字和下划线");
		has_letter |= is_letter(c);
		text[i] = lower(c);
	}
	if (!has_letter)
		return refuse(ret_why, "A user name has at least one letter.", "用户名必须包含至少一个字母");
	*ret = slice_of(text, given.len);
	return 0;
}

/* NFC and lower case, character by character; ERR_INVALID for what is not UTF-8 or holds blanks or controls. */
static int fold_text(struct slice given, struct arena *arena, struct slice *ret)
{
	utf8proc_uint8_t *text;
	utf8proc_ssize_t len;

	for (size_t i = 0; i < given.len; i++)
		if ((unsigned char)given.ptr[i] <= ' ' || given.ptr[i] == 0x7f)
			return ERR_INVALID;
	len = utf8proc_map((const utf8proc_uint8_t *)given.ptr, (utf8proc_ssize_t)given.len, &text,
	    UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_REJECTNA);
	if (len < 0)
		return len == UTF8PROC_ERROR_NOMEM ? ERR_NOMEM : ERR_INVALID;
	*ret = arena_dup(arena, slice_of(text, (size_t)len));
	free(text);
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

/* Labels of 1 to 63 characters, at least two, none beginning or ending in a hyphen. */
static bool is_domain(struct slice text)
{
	struct slice label;
	unsigned n_labels = 0;
	bool more;

	do {
		more = slice_cut(text, '.', &label, &text);
		if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++)
			if ((unsigned char)label.ptr[i] < 0x80 && !is_letter(label.ptr[i]) && !is_digit(label.ptr[i]) &&
			    label.ptr[i] != '-')
				return false;
		n_labels++;
	} while (more);
	return n_labels >= 2;
}

/* A dot-atom of RFC 5322 3.2.3, with the characters of RFC 6531. */
static bool is_local_part(struct slice text)
{
	char before = '.';

	if (text.len == 0 || text.len > 64)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '.' ? before == '.' : (unsigned char)c < 0x80 && !is_letter(c) && !is_digit(c) &&
			    strchr("!#$%&'*+-/=?^_`{|}~", c) == NULL)
			return false;
		before = c;
	}
	return before != '.';
}

int account_email(struct slice given, struct arena *arena, struct slice *ret, struct said *ret_why)
{
	static const struct said bad = {"This is not a mail address.", "邮箱格式不正确"};
	struct slice text = slice_trim(given), local, domain;
	int rc;

	*ret_why = bad;
	if (text.len > EMAIL_LEN_MAX)
		return ERR_INVALID;
	rc = fold_text(text, arena, &text);
	if (rc != 0)
		return rc;
	if (text.len > EMAIL_LEN_MAX || !slice_cut(text, '@', &local, &domain) || !is_local_part(local) ||
	    !is_domain(domain))
		return ERR_INVALID;
	*ret = text;
	return 0;
}

/* Appends the digits; false when there is something else than digits and what people put between them. */
static bool take_digits(struct slice text, char *digits, size_t *n)
{
	for (size_t i = 0; i < text.len; i++) {
		if (is_digit(text.ptr[i])) {
			if (*n == PHONE_DIGITS_MAX)
				return false;
			digits[(*n)++] = text.ptr[i];
		} else if (strchr(" -()", text.ptr[i]) == NULL) {
			return false;
		}
	}
	return true;
}

static struct slice without_plus(struct slice text)
{
	return text.len > 0 && text.ptr[0] == '+' ? slice_of(text.ptr + 1, text.len - 1) : text;
}

int account_phone(struct slice country_code, struct slice number, struct arena *arena, struct slice *ret,
    struct said *ret_why)
{
	static const struct said bad = {"This is not a phone number.", "手机号格式不正确"};
	char digits[PHONE_DIGITS_MAX];
	const char *text;
	size_t n = 0, n_code;

	*ret_why = bad;
	country_code = slice_trim(country_code);
	number = slice_trim(number);
	if (number.len > 0 && number.ptr[0] == '+')
		country_code = (struct slice){0}; /* it has its own */
	else if (country_code.len == 0)
		country_code = SLICE(COUNTRY_CODE_DEFAULT);
	if (!take_digits(without_plus(country_code), digits, &n) || n > 3)
		return ERR_INVALID;
	n_code = n;
	if (!take_digits(without_plus(number), digits, &n) || n < n_code + PHONE_DIGITS_MIN || digits[0] == '0')
		return ERR_INVALID;
	text = arena_printf(arena, "+%.*s", (int)n, digits);
	if (text == NULL)
		return ERR_NOMEM;
	*ret = slice_str(text);
	return 0;
}

enum account_kind account_kind_of(struct slice given)
{
	bool has_letter = false;

	if (given.len > 0 && memchr(given.ptr, '@', given.len) != NULL)
		return ACCOUNT_EMAIL;
	for (size_t i = 0; i < given.len; i++)
		has_letter |= is_letter(given.ptr[i]) || given.ptr[i] == '_';
	return has_letter || given.len == 0 ? ACCOUNT_USERNAME : ACCOUNT_PHONE;
}

/* Is the name somewhere in the password, whatever the case of ASCII letters? */
static bool holds(struct slice password, struct slice name)
{
	if (name.len < NAME_PART_LEN_MIN)
		return false;
	for (size_t i = 0; i + name.len <= password.len; i++)
		if (slice_eq_nocase(slice_of(password.ptr + i, name.len), name))
			return true;
	return false;
}

static bool holds_a_name(struct slice password, const char *const *names)
{
	if (holds(password, SLICE(PRODUCT_NAME)))
		return true;
	for (size_t i = 0; names[i] != NULL; i++) {
		struct slice local, domain;

		slice_cut(slice_str(names[i]), '@', &local, &domain);
		if (holds(password, local) || holds(password, slice_str(names[i])))
			return true;
	}
	return false;
}

int account_password(struct slice password, const char *const *names, struct said *ret_why)
{
	const char *words[NAMES_MAX + 1] = {PRODUCT_NAME};
	char text[PASSWORD_BYTES_MAX + 1];
	size_t n_words = 1;
	double bits;

	if (!utf8_valid(password))
		return refuse(ret_why, "A password is text in UTF-8.", "密码包含无效字符");
	if (utf8_length(password) < PASSWORD_CHARS_MIN)
		return refuse(ret_why, "A password has at least 12 characters.", "密码长度至少为12位");
	if (utf8_length(password) > PASSWORD_CHARS_MAX)
		return refuse(ret_why, "A password has at most 128 characters.", "密码长度最多为128位");
	if (memchr(password.ptr, '\0', password.len) != NULL)
		return refuse(ret_why, "A password has no NUL characters.", "密码包含无效字符");
	if (holds_a_name(password, names))
		return refuse(ret_why, "This password holds your name or ours.", "密码不能包含用户名、邮箱或产品名称");
	for (size_t i = 0; names[i] != NULL && n_words < NAMES_MAX; i++)
		words[n_words++] = names[i];
	memcpy(text, password.ptr, password.len);
	text[password.len] = '\0';
	bits = ZxcvbnMatch(text, words, NULL);
	crypto_wipe(text, sizeof(text));
	if (bits < PASSWORD_BITS_MIN)
		return refuse(ret_why, "This password is too common, or too easy to guess.", "密码过于常见，容易被猜到");
	return 0;
}
