/* The list of errors: each has a name and a text of its own, and what an errno means is on it. */
#include "base/err.h"

#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/run.h"

static const int all[] = {
#define X(name, number, text) ERR_##name,
	ERR_LIST(X)
#undef X
};

START_TEST(each_error_has_a_name_and_a_text_of_its_own)
{
	const char *name = err_name(all[_i]), *text = err_text(all[_i]);

	ck_assert_int_eq(all[_i], -1 - _i);
	ck_assert_msg(strncmp(name, "ERR_", 4) == 0 && name[4] != '?', "%d is called %s", all[_i], name);
	ck_assert_msg(islower((unsigned char)text[0]) || isupper((unsigned char)text[1]), "%s: %s", name, text);
	for (int i = 0; i < _i; i++) {
		ck_assert_str_ne(name, err_name(all[i]));
		ck_assert_str_ne(text, err_text(all[i]));
	}
}
END_TEST

START_TEST(other_numbers_are_told_apart)
{
	ck_assert_str_eq(err_name(0), "OK");
	ck_assert_str_eq(err_text(0), "no error");
	ck_assert_str_eq(err_name(1), "ERR_?");
	ck_assert_str_eq(err_name(-1000), "ERR_?");
	ck_assert_str_eq(err_text(-1000), "unknown error");
}
END_TEST

static const struct { int number, err; } from_errno[] = {
	{0, 0},
	{ENOMEM, ERR_NOMEM},
	{ENOENT, ERR_NOT_FOUND}, {ENOTDIR, ERR_NOT_FOUND},
	{EEXIST, ERR_EXISTS},
	{EACCES, ERR_DENIED}, {EPERM, ERR_DENIED}, {EROFS, ERR_DENIED},
	{ENOSPC, ERR_DISK_FULL}, {EDQUOT, ERR_DISK_FULL},
	{EFBIG, ERR_TOO_BIG}, {ENAMETOOLONG, ERR_TOO_BIG},
	{EAGAIN, ERR_BUSY}, {EBUSY, ERR_BUSY}, {EMFILE, ERR_BUSY}, {ENFILE, ERR_BUSY},
	{ETIMEDOUT, ERR_TIMEOUT},
	{ECANCELED, ERR_CANCELLED},
	{EINVAL, ERR_INVALID},
	{ENOSYS, ERR_UNSUPPORTED}, {EOPNOTSUPP, ERR_UNSUPPORTED},
	{ECONNREFUSED, ERR_NETWORK}, {ECONNRESET, ERR_NETWORK}, {ECONNABORTED, ERR_NETWORK}, {EHOSTUNREACH, ERR_NETWORK},
	{ENETUNREACH, ERR_NETWORK}, {ENETDOWN, ERR_NETWORK}, {ENOTCONN, ERR_NETWORK}, {EPIPE, ERR_NETWORK},
	{EIO, ERR_IO}, {EBADF, ERR_IO}, {99999, ERR_IO},
};

START_TEST(an_errno_means_an_error)
{
	ck_assert_msg(err_from_errno(from_errno[_i].number) == from_errno[_i].err, "%s is taken for %s",
	    strerror(from_errno[_i].number), err_name(err_from_errno(from_errno[_i].number)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("err");
	TCase *t = tcase_create("list");

	tcase_add_loop_test(t, each_error_has_a_name_and_a_text_of_its_own, 0, (int)COUNT(all));
	tcase_add_test(t, other_numbers_are_told_apart);
	tcase_add_loop_test(t, an_errno_means_an_error, 0, (int)COUNT(from_errno));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
