/* account.c: which names are names, and which are the same. */
#include "base/err.h"
#include "domain/account.h"
#include "lib/run.h"

static struct arena arena;

static void set_up(void)
{
	arena = (struct arena)ARENA_INIT(1 << 16);
}

static void tear_down(void)
{
	arena_finish(&arena);
}

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

/* `same` NULL: refused. */
static const struct {
	const char *given, *same;
} usernames[] = {
    {"abc", "abc"}, {"Zhang_San", "zhang_san"}, {"a1_", "a1_"}, {A10 A10 A10 A10 A10, A10 A10 A10 A10 A10},
    {"ab", NULL}, {"", NULL}, {A10 A10 A10 A10 A10 "a", NULL}, {"a b c", NULL}, {"张三丰", NULL}, {"a@b.cn", NULL},
    {"13800000000", NULL}, {"123_456", NULL}, {"abc\n", NULL}, {"abc-d", NULL},
};

START_TEST(user_names)
{
	struct slice got = {0};
	struct said why = {0};
	int rc = account_username(slice_str(usernames[_i].given), &arena, &got, &why);

	ck_assert_int_eq(rc, usernames[_i].same == NULL ? ERR_INVALID : 0);
	if (rc == 0)
		ck_assert_slice_eq(got, slice_str(usernames[_i].same));
	else
		ck_assert(why.en != NULL && why.zh != NULL);
}
END_TEST

static const struct {
	const char *given, *same;
} emails[] = {
    {"a@example.com", "a@example.com"}, {"  Zhang.San@Example.COM ", "zhang.san@example.com"},
    {"a+tag@sub.example.cn", "a+tag@sub.example.cn"}, {"\xc3\x84@example.com", "\xc3\xa4@example.com"},
    {"A\xcc\x88@example.com", "\xc3\xa4@example.com"}, /* the same letter, composed otherwise */
    {"张三@例子.中国", "张三@例子.中国"}, {A60 "aaaa@example.com", A60 "aaaa@example.com"},
    {A60 "aaaaa@example.com", NULL}, {"a@b", NULL}, {"@example.com", NULL}, {"a@", NULL}, {"a", NULL}, {"", NULL},
    {"a b@example.com", NULL}, {"a@exam ple.com", NULL}, {"a@@example.com", NULL}, {"a@example..com", NULL},
    {".a@example.com", NULL}, {"a.@example.com", NULL}, {"a..b@example.com", NULL}, {"a@-example.com", NULL},
    {"a@example-.com", NULL}, {"a@example.com.", NULL}, {"a\r\nBcc: b@example.com", NULL}, {"<a@example.com>", NULL},
    {"\"a\"@example.com", NULL}, {"a@ex_ample.com", NULL}, {"a@" A60 "aaaa.com", NULL},
    {"\xff@example.com", NULL}, {A60 "@" A60 "." A60 "." A60 ".aaaaaaaaa.com", NULL},
};

START_TEST(mail_addresses)
{
	struct slice got = {0};
	struct said why = {0};
	int rc = account_email(slice_str(emails[_i].given), &arena, &got, &why);

	ck_assert_msg(rc == (emails[_i].same == NULL ? ERR_INVALID : 0), "%s", emails[_i].given);
	if (rc == 0)
		ck_assert_slice_eq(got, slice_str(emails[_i].same));
	else
		ck_assert(why.en != NULL && why.zh != NULL);
}
END_TEST

static const struct {
	const char *code, *number, *same;
} phones[] = {
    {"+86", "13800000000", "+8613800000000"}, {"86", "138 0000 0000", "+8613800000000"},
    {"", "13800000000", "+8613800000000"}, {"", "+86 138-0000-0000", "+8613800000000"},
    {"+1", "+8613800000000", "+8613800000000"}, {"+1", "(202) 555-0100", "+12025550100"},
    {"+86", "", NULL}, {"+86", "123456", NULL}, {"+86", "1380000000x", NULL}, {"+8612", "13800000000", NULL},
    {"+86", "138000000001234", NULL}, {"+0", "13800000000", NULL}, {"", "+013800000000", NULL}, {"", "", NULL},
    {"++86", "13800000000", NULL},
};

START_TEST(phone_numbers)
{
	struct slice got = {0};
	struct said why = {0};
	int rc = account_phone(slice_str(phones[_i].code), slice_str(phones[_i].number), &arena, &got, &why);

	ck_assert_msg(rc == (phones[_i].same == NULL ? ERR_INVALID : 0), "%s %s", phones[_i].code, phones[_i].number);
	if (rc == 0)
		ck_assert_slice_eq(got, slice_str(phones[_i].same));
	else
		ck_assert(why.en != NULL && why.zh != NULL);
}
END_TEST

/* One text is one kind of name, so none can shadow another; and what is of a kind is no name of another. */
START_TEST(kinds_do_not_overlap)
{
	struct slice got;
	struct said why;

	ck_assert_int_eq(account_kind_of(SLICE("zhang_3")), ACCOUNT_USERNAME);
	ck_assert_int_eq(account_kind_of(SLICE("")), ACCOUNT_USERNAME);
	ck_assert_int_eq(account_kind_of(SLICE("13800000000")), ACCOUNT_PHONE);
	ck_assert_int_eq(account_kind_of(SLICE("+86 138")), ACCOUNT_PHONE);
	ck_assert_int_eq(account_kind_of(SLICE("a@b.cn")), ACCOUNT_EMAIL);
	for (size_t i = 0; i < COUNT(usernames); i++)
		if (account_username(slice_str(usernames[i].given), &arena, &got, &why) == 0)
			ck_assert_int_eq(account_kind_of(slice_str(usernames[i].given)), ACCOUNT_USERNAME);
	for (size_t i = 0; i < COUNT(emails); i++)
		if (account_email(slice_str(emails[i].given), &arena, &got, &why) == 0)
			ck_assert_int_eq(account_kind_of(slice_str(emails[i].given)), ACCOUNT_EMAIL);
	for (size_t i = 0; i < COUNT(phones); i++)
		if (account_phone(slice_str(phones[i].code), slice_str(phones[i].number), &arena, &got, &why) == 0)
			ck_assert_int_eq(account_kind_of(slice_str(phones[i].number)), ACCOUNT_PHONE);
}
END_TEST

#define HAN12 "春眠不觉晓处处闻啼鸟夜来"

static const struct {
	const char *password;
	int rc;
} passwords[] = {
    {"correct horse battery", 0}, {"xK9$mQ2!vR7z", 0}, {HAN12, 0}, {"only lower letters here", 0},
    {"xK9$mQ2!vR7", ERR_INVALID},                                       /* 11 */
    {"春眠不觉晓处处闻啼鸟夜", ERR_INVALID},              /* 11, of three bytes each */
    {"123456789012", ERR_INVALID}, {"qwertyuiop[]", ERR_INVALID}, {"passwordpassword", ERR_INVALID},
    {"password1234", ERR_INVALID}, {"aaaaaaaaaaaaaaaa", ERR_INVALID}, {"Password12345", ERR_INVALID},
    {"LuLab xK9$mQ2!v", ERR_INVALID}, {"xK9$zhangsanmQ2!", ERR_INVALID}, {"xK9$ZhangSan2mQ2!", ERR_INVALID},
    {"xK9$lisi.mail!vR7", ERR_INVALID}, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ERR_INVALID},
    {A60 A60 "aaaaaaaaa", ERR_INVALID}, /* 129 */
};

START_TEST(new_passwords)
{
	static const char *const names[] = {"zhangsan", "lisi.mail@example.com", "Li", NULL};
	struct said why = {0};
	int rc = account_password(slice_str(passwords[_i].password), names, &why);

	ck_assert_msg(rc == passwords[_i].rc, "%s", passwords[_i].password);
	ck_assert(rc == 0 || (why.en != NULL && why.zh != NULL));
}
END_TEST

START_TEST(longest_password)
{
	static const char *const names[] = {NULL};
	char text[4 * PASSWORD_CHARS_MAX];
	struct said why;

	for (size_t i = 0; i < PASSWORD_CHARS_MAX; i++)
		memcpy(text + 4 * i, i % 3 == 0 ? "\xf0\x9f\x8e\x89" : i % 3 == 1 ? "\xf0\x9f\x8c\x8d" : "\xf0\x9f\x90\x8e", 4);
	ck_assert_int_eq(account_password(slice_of(text, sizeof(text)), names, &why), 0);
	ck_assert_int_eq(account_password(slice_of("abcdefg\0ijklmnop", 16), names, &why), ERR_INVALID);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct arena none = ARENA_INIT(0);
	struct slice got;
	struct said why;

	ck_assert_int_eq(account_username(SLICE("abc"), &none, &got, &why), ERR_NOMEM);
	ck_assert_int_eq(account_email(SLICE("a@example.com"), &none, &got, &why), ERR_NOMEM);
	ck_assert_int_eq(account_phone(SLICE("+86"), SLICE("13800000000"), &none, &got, &why), ERR_NOMEM);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("account");
	TCase *t = tcase_create("account");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, user_names, 0, COUNT(usernames));
	tcase_add_loop_test(t, mail_addresses, 0, COUNT(emails));
	tcase_add_loop_test(t, phone_numbers, 0, COUNT(phones));
	tcase_add_test(t, kinds_do_not_overlap);
	tcase_add_loop_test(t, new_passwords, 0, COUNT(passwords));
	tcase_add_test(t, longest_password);
	tcase_add_test(t, no_memory_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
