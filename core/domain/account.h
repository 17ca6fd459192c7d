/*
 * What people sign in with: user names, mail addresses, phone numbers and
 * passwords; what is one, and when two are the same. Pure; any thread.
 *
 * The same name in another spelling is the same name: what is returned here is
 * the one spelling that is compared, and of which unique names are made. A user
 * name is never a phone number or an address, so that the three cannot shadow
 * each other.
 */
#ifndef LULAB_DOMAIN_ACCOUNT_H
#define LULAB_DOMAIN_ACCOUNT_H

#include "base/arena.h"

#define USERNAME_LEN_MIN 3
#define USERNAME_LEN_MAX 50
#define EMAIL_LEN_MAX 254 /* RFC 5321 4.5.3.1.3, less the brackets */
#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15 /* E.164 */
#define COUNTRY_CODE_DEFAULT "+86"

/* integrity.md 20 (OWASP ASVS 5.0 6.2). Characters are code points. */
#define PASSWORD_CHARS_MIN 12
#define PASSWORD_CHARS_MAX 128

/* A sentence in the two languages of the clients; static. */
struct said {
	const char *en, *zh;
};

/* These give 0 with the spelling to compare, in the arena; ERR_INVALID with *ret_why; ERR_NOMEM. */

/* 3 to 50 of A-Z a-z 0-9 _, with at least one letter. In lower case. */
int account_username(struct slice given, struct arena *arena, struct slice *ret, struct said *ret_why);
/* Local part and domain; surrounding blanks off, Unicode NFC, lower case. */
int account_email(struct slice given, struct arena *arena, struct slice *ret, struct said *ret_why);
/* E.164: "+8613800000000". country_code "+86" or "86"; empty = +86 unless the number itself begins with "+".
 * Spaces, hyphens and brackets in the number are passed over. */
int account_phone(struct slice country_code, struct slice number, struct arena *arena, struct slice *ret,
    struct said *ret_why);

enum account_kind { ACCOUNT_USERNAME, ACCOUNT_EMAIL, ACCOUNT_PHONE };
/* Which of the three one text can only be; the checks above have then still to be made. */
enum account_kind account_kind_of(struct slice given);

/*
 * May this be a new password? 0, ERR_INVALID with *ret_why, ERR_NOMEM. Refused
 * are those that are guessed within a million tries (as zxcvbn reckons:
 * dictionaries of common passwords and words, keyboard runs, dates, repeats) and
 * those that hold what the person or the product is called. `names` are such
 * texts, closed by NULL: user name, mail address, phone, display name.
 */
int account_password(struct slice password, const char *const *names, struct said *ret_why);

#endif
