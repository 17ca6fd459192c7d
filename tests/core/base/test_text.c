/* slice.c, codec.c, clock.c, id.c, rng.c: texts of bytes, numbers and times. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/id.h"
#include "base/rng.h"
#include "lib/run.h"

START_TEST(slices_compare_cut_and_trim)
{
	struct slice head, tail;

	ck_assert(slice_eq_nocase(SLICE("Content-Type"), SLICE("content-TYPE")));
	ck_assert(!slice_eq_nocase(SLICE("a@"), SLICE("a`")));
	ck_assert(!slice_eq_nocase(SLICE("a"), SLICE("ab")));
	ck_assert(slice_eq_nocase((struct slice){0}, SLICE("")));
	ck_assert_int_lt(slice_cmp(SLICE("a"), SLICE("ab")), 0);
	ck_assert_int_gt(slice_cmp(SLICE("b"), SLICE("ab")), 0);
	ck_assert_int_lt(slice_cmp(SLICE("\x7f"), SLICE("\x80")), 0);
	ck_assert_int_eq(slice_cmp((struct slice){0}, SLICE("")), 0);
	ck_assert_slice_eq(slice_trim(SLICE(" \t\r\na b\n ")), SLICE("a b"));
	ck_assert_uint_eq(slice_trim(SLICE(" \n")).len, 0);
	ck_assert(slice_cut(SLICE("k=v=w"), '=', &head, &tail));
	ck_assert_slice_eq(head, SLICE("k"));
	ck_assert_slice_eq(tail, SLICE("v=w"));
	ck_assert(!slice_cut(SLICE("kv"), '=', &head, &tail));
	ck_assert_slice_eq(head, SLICE("kv"));
	ck_assert_uint_eq(tail.len, 0);
	ck_assert(slice_starts_with(SLICE("abc"), SLICE("ab")));
	ck_assert(!slice_starts_with(SLICE("a"), SLICE("ab")));
}
END_TEST

static const struct {
	const char *text;
	int rc;
	int64_t value;
} integers[] = {
    {"0", 0, 0},
    {"007", 0, 7},
    {"-0", 0, 0},
    {"9223372036854775807", 0, INT64_MAX},
    {"9223372036854775808", ERR_RANGE, 0},
    {"-9223372036854775808", 0, INT64_MIN},
    {"-9223372036854775809", ERR_RANGE, 0},
    {"99999999999999999999999", ERR_RANGE, 0},
    {"18446744073709551616", ERR_RANGE, 0},
    {"", ERR_MALFORMED, 0},
    {"-", ERR_MALFORMED, 0},
    {"+1", ERR_MALFORMED, 0},
    {"--1", ERR_MALFORMED, 0},
    {" 1", ERR_MALFORMED, 0},
    {"1x", ERR_MALFORMED, 0},
    {"99999999999999999999999x", ERR_MALFORMED, 0},
};

START_TEST(slices_hold_integers)
{
	int64_t value = 0;

	ck_assert_int_eq(slice_to_i64(slice_str(integers[_i].text), &value), integers[_i].rc);
	ck_assert_int_eq(value, integers[_i].value);
}
END_TEST

START_TEST(slices_hold_unsigned)
{
	uint64_t value;

	ck_assert_int_eq(slice_to_u64(SLICE("18446744073709551615"), &value), 0);
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert_int_eq(slice_to_u64(SLICE("-1"), &value), ERR_MALFORMED);
}
END_TEST

/* RFC 4648 section 10. */
static const struct {
	const char *bytes, *base64, *hex;
} rfc4648[] = {
    {"", "", ""},
    {"f", "Zg==", "66"},
    {"fo", "Zm8=", "666f"},
    {"foo", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "666f6f62"},
    {"fooba", "Zm9vYmE=", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "666f6f626172"},
};

START_TEST(rfc4648_vectors)
{
	struct slice bytes = slice_str(rfc4648[_i].bytes), text = slice_str(rfc4648[_i].base64);
	struct buf b = BUF_INIT(100);
	char fixed[20];
	uint8_t back[8];

	ck_assert_int_eq(base64_encode(&b, bytes), 0);
	ck_assert_slice_eq(buf_slice(&b), text);
	base64_encode_to(fixed, bytes.ptr, bytes.len);
	ck_assert_str_eq(fixed, rfc4648[_i].base64);
	ck_assert_uint_eq(BASE64_LEN(bytes.len), text.len);
	buf_clear(&b);
	ck_assert_int_eq(base64_decode(&b, text, 0), 0);
	ck_assert_slice_eq(buf_slice(&b), bytes);
	ck_assert_int_eq(base64_decode_to(back, bytes.len, text, 0), 0);
	ck_assert_int_eq(memcmp(back, bytes.ptr, bytes.len), 0);
	ck_assert_int_eq(base64_decode_to(back, bytes.len + 1, text, 0), ERR_MALFORMED);

	/* The URL form is the same without padding for these. */
	while (text.len > 0 && text.ptr[text.len - 1] == '=')
		text.len--;
	buf_clear(&b);
	ck_assert_int_eq(base64url_encode(&b, bytes), 0);
	ck_assert_slice_eq(buf_slice(&b), text);
	ck_assert_uint_eq(BASE64URL_LEN(bytes.len), text.len);
	buf_clear(&b);
	ck_assert_int_eq(base64url_decode(&b, text), 0);
	ck_assert_slice_eq(buf_slice(&b), bytes);
	ck_assert_int_eq(base64url_decode_to(back, bytes.len, text), 0);
	buf_clear(&b);
	ck_assert_int_eq(base64_decode(&b, text, BASE64_LENIENT), 0);
	ck_assert_slice_eq(buf_slice(&b), bytes);

	hex_encode(fixed, bytes.ptr, bytes.len);
	ck_assert_str_eq(fixed, rfc4648[_i].hex);
	ck_assert_int_eq(hex_decode(back, bytes.len, slice_str(fixed)), 0);
	ck_assert_int_eq(memcmp(back, bytes.ptr, bytes.len), 0);
	buf_finish(&b);
}
END_TEST

static const struct {
	const char *text;
	bool strict_ok, lenient_ok, url_ok;
} base64_texts[] = {
    {"Zm8=", true, true, false},
    {"Zm8", false, true, true},
    {"Zm9=", false, true, false}, /* unused bits set */
    {"Zm9", false, true, false},
    {"Zg=", false, false, false},
    {"Z", false, false, false},
    {"Zm9vY", false, false, false},
    {"Zg===", false, false, false},
    {"====", false, false, false},
    {"=", false, false, false},
    {"Zm=v", false, false, false},
    {"Zm9v\n", false, false, false},
    {"Zm 9v", false, false, false},
    {"+/+/", true, true, false},
    {"-_-_", false, false, true},
    {"Zm9\x80", false, false, false},
};

START_TEST(base64_is_strict)
{
	struct slice text = slice_str(base64_texts[_i].text);
	struct buf b = BUF_INIT(100);

	buf_append_str(&b, "kept");
	ck_assert_int_eq(base64_decode(&b, text, 0) == 0, base64_texts[_i].strict_ok);
	if (!base64_texts[_i].strict_ok)
		ck_assert_str_eq(b.ptr, "kept");
	ck_assert_int_eq(base64_decode(&b, text, BASE64_LENIENT) == 0, base64_texts[_i].lenient_ok);
	ck_assert_int_eq(base64url_decode(&b, text) == 0, base64_texts[_i].url_ok);
	buf_finish(&b);
}
END_TEST

/* libsodium writes base64 too. */
START_TEST(base64_agrees_with_libsodium)
{
	struct rng_test rng;

	rng_test_init(&rng, 1);
	for (size_t len = 0; len < 200; len++) {
		uint8_t bytes[200], back[200];
		char ours[300], theirs[300];

		rng_fill(&rng.rng, bytes, len);
		base64_encode_to(ours, bytes, len);
		sodium_bin2base64(theirs, sizeof(theirs), bytes, len, sodium_base64_VARIANT_ORIGINAL);
		ck_assert_str_eq(ours, theirs);
		ck_assert_int_eq(base64_decode_to(back, len, slice_str(theirs), 0), 0);
		ck_assert_int_eq(memcmp(back, bytes, len), 0);
		base64url_encode_to(ours, bytes, len);
		sodium_bin2base64(theirs, sizeof(theirs), bytes, len,
		    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		ck_assert_str_eq(ours, theirs);
		ck_assert_int_eq(base64url_decode_to(back, len, slice_str(theirs)), 0);
		ck_assert_int_eq(memcmp(back, bytes, len), 0);
	}
}
END_TEST

START_TEST(hex_refuses)
{
	uint8_t bytes[4];

	ck_assert_int_eq(hex_decode(bytes, 2, SLICE("AbcD")), 0);
	ck_assert_uint_eq(bytes[0] << 8 | bytes[1], 0xabcd);
	ck_assert_int_eq(hex_decode(bytes, 2, SLICE("abc")), ERR_MALFORMED);
	ck_assert_int_eq(hex_decode(bytes, 2, SLICE("abcdef")), ERR_MALFORMED);
	ck_assert_int_eq(hex_decode(bytes, 2, SLICE("abcg")), ERR_MALFORMED);
	ck_assert_int_eq(hex_decode(bytes, 1, SLICE("/0")), ERR_MALFORMED);
	ck_assert_int_eq(hex_decode(bytes, 1, SLICE(":0")), ERR_MALFORMED);
}
END_TEST

START_TEST(percent_codes)
{
	struct buf b = BUF_INIT(200);

	ck_assert_int_eq(percent_encode(&b, SLICE("aZ09-._~ /+%\xe4\xb8\xad")), 0);
	ck_assert_str_eq(b.ptr, "aZ09-._~%20%2F%2B%25%E4%B8%AD");
	buf_clear(&b);
	ck_assert_int_eq(percent_decode(&b, SLICE("a%20b+c%2f%E4%b8%AD"), 0), 0);
	ck_assert_str_eq(b.ptr, "a b+c/\xe4\xb8\xad");
	buf_clear(&b);
	ck_assert_int_eq(percent_decode(&b, SLICE("a+b%2B"), PERCENT_FORM), 0);
	ck_assert_str_eq(b.ptr, "a b+");
	ck_assert_int_eq(percent_decode(&b, SLICE("x%00"), 0), ERR_MALFORMED);
	ck_assert_int_eq(percent_decode(&b, SLICE("x%2"), 0), ERR_MALFORMED);
	ck_assert_int_eq(percent_decode(&b, SLICE("x%"), 0), ERR_MALFORMED);
	ck_assert_int_eq(percent_decode(&b, SLICE("x%zz"), 0), ERR_MALFORMED);
	ck_assert_str_eq(b.ptr, "a b+");
	buf_finish(&b);
	b.max = 2;
	ck_assert_int_eq(percent_encode(&b, SLICE("abc")), ERR_TOO_BIG);
	buf_finish(&b);
	ck_assert_int_eq(percent_decode(&b, SLICE("abc"), 0), ERR_TOO_BIG);
	buf_finish(&b);
	ck_assert_int_eq(percent_decode(&b, SLICE("%"), 0), ERR_MALFORMED);
	buf_finish(&b);
}
END_TEST

START_TEST(markup_escapes)
{
	struct buf b = BUF_INIT(64);

	ck_assert_int_eq(markup_escape(&b, SLICE("<a b=\"c\">1 & '2' \xe4\xb8\xad")), 0);
	ck_assert_slice_eq(buf_slice(&b), SLICE("&lt;a b=&quot;c&quot;&gt;1 &amp; &#39;2&#39; \xe4\xb8\xad"));
	ck_assert_int_eq(markup_escape(&b, SLICE("<<<<<<")), ERR_TOO_BIG);
	buf_finish(&b);
}
END_TEST

static int put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 63));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 63));
		out[2] = (char)(0x80 | (code & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 63));
	out[2] = (char)(0x80 | (code >> 6 & 63));
	out[3] = (char)(0x80 | (code & 63));
	return 4;
}

START_TEST(utf8_every_code_point)
{
	char text[12] = "abcdefgh";
	unsigned n_wrong = 0;

	for (uint32_t code = 1; code <= 0x1fffff; code += code > 0x110000 ? 61 : 1) {
		int n = put_utf8(text + 8, code);
		bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);

		n_wrong += utf8_valid(slice_of(text, 8 + (size_t)n)) != valid;
		n_wrong += n > 1 && utf8_valid(slice_of(text, 8 + (size_t)n - 1));
	}
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert(utf8_valid((struct slice){0}));
	ck_assert(!utf8_valid(SLICE("\xc0\x80")));
	ck_assert(!utf8_valid(SLICE("\xe0\x80\x80")));
	ck_assert(!utf8_valid(SLICE("\xf8\x88\x80\x80\x80")));
	ck_assert_uint_eq(utf8_length(SLICE("a\xe4\xb8\xad\xf0\x9f\x98\x80")), 3);
	ck_assert_uint_eq(utf8_sequence("", 0), 0);
}
END_TEST

static const struct {
	const char *text;
	int rc;
	int64_t us;
} times[] = {
    {"1970-01-01T00:00:00Z", 0, 0},
    {"1970-01-01", 0, 0},
    {"2026-11-23T22:39:15.123456Z", 0, 1795473555123456},
    {"2026-11-23T22:39:15.123456789Z", 0, 1795473555123456},
    {"2026-11-24T06:39:15.5+08:00", 0, 1795473555500000},
    {"2026-11-23t17:09:15-05:30", 0, 1795473555000000},
    {"1969-12-31T23:59:59.999999z", 0, -1},
    {"2000-02-29T00:00:00Z", 0, 951782400000000},
    {"2016-12-31T23:59:60Z", 0, 1483228800000000},
    {"9999-12-31T23:59:59Z", 0, 253402300799000000},
    {"0001-01-01T00:00:00Z", 0, -62135596800000000},
    {"0001-01-01T00:00:00+00:01", ERR_MALFORMED, 0},
    {"9999-12-31T23:59:59-00:01", ERR_MALFORMED, 0},
    {"", ERR_MALFORMED, 0},
    {"2026", ERR_MALFORMED, 0},
    {"2026-11-2", ERR_MALFORMED, 0},
    {"0000-01-01", ERR_MALFORMED, 0},
    {"2026-13-01", ERR_MALFORMED, 0},
    {"2026-00-01", ERR_MALFORMED, 0},
    {"2026-02-29", ERR_MALFORMED, 0},
    {"1900-02-29", ERR_MALFORMED, 0},
    {"2026-04-31", ERR_MALFORMED, 0},
    {"2026-04-00", ERR_MALFORMED, 0},
    {"2026/04/01", ERR_MALFORMED, 0},
    {"2026-11-23T22:39", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:15", ERR_MALFORMED, 0},
    {"2026-11-23 22:39:15Z", ERR_MALFORMED, 0},
    {"2026-11-23T24:00:00Z", ERR_MALFORMED, 0},
    {"2026-11-23T22:60:00Z", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:61Z", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:15.Z", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:15.1234567890Z", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:15+0800", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:15+24:00", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:15+08:60", ERR_MALFORMED, 0},
    {"2026-11-23T22:39:15Zx", ERR_MALFORMED, 0},
    {"2026-11-23x", ERR_MALFORMED, 0},
};

START_TEST(times_parse)
{
	int64_t us = 0;

	ck_assert_int_eq(time_parse_us(slice_str(times[_i].text), &us), times[_i].rc);
	ck_assert_int_eq(us, times[_i].us);
}
END_TEST

/* The C library's calendar is the judge. */
START_TEST(times_format_as_the_c_library)
{
	struct rng_test rng;

	rng_test_init(&rng, 3);
	for (int i = 0; i < 20000; i++) {
		int64_t span = 253402300799 + 62135596800;
		int64_t s = (int64_t)rng_below(&rng.rng, (uint64_t)span) - 62135596800, back;
		time_t t = (time_t)s;
		struct tm tm;
		char ours[40], theirs[80];

		gmtime_r(&t, &tm);
		snprintf(theirs, sizeof(theirs), "%04d-%02d-%02dT%02d:%02d:%02d.000042Z",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		time_format_us(ours, s * 1000000 + 42);
		ck_assert_str_eq(ours, theirs);
		ck_assert_int_eq(time_parse_us(slice_str(ours), &back), 0);
		ck_assert_int_eq(back, s * 1000000 + 42);
		strftime(theirs, sizeof(theirs), "%a, %d %b ", &tm);
		time_format_http(ours, s);
		ck_assert_int_eq(strncmp(ours, theirs, strlen(theirs)), 0);
	}
}
END_TEST

START_TEST(times_have_fixed_widths)
{
	char text[TIME_TEXT_HTTP_LEN + 1];

	time_format_us(text, 1795473555123456);
	ck_assert_str_eq(text, "2026-11-23T22:39:15.123456Z");
	time_format_ms(text, 1795473555123);
	ck_assert_str_eq(text, "2026-11-23T22:39:15.123Z");
	time_format_ms(text, -1);
	ck_assert_str_eq(text, "1969-12-31T23:59:59.999Z");
	time_format_http(text, 784111777);
	ck_assert_str_eq(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	time_format_us(text, INT64_MAX);
	ck_assert_uint_eq(strlen(text), TIME_TEXT_LEN);
	time_format_us(text, INT64_MIN);
	ck_assert_uint_eq(strlen(text), TIME_TEXT_LEN);
}
END_TEST

START_TEST(clocks_tell_and_move)
{
	struct clock_manual m;
	int64_t before = clock_monotonic_us(&clock_system);

	ck_assert_int_gt(clock_wall_us(&clock_system), 1700000000000000);
	ck_assert_int_ge(clock_monotonic_us(&clock_system), before);
	clock_manual_init(&m, 5000);
	clock_manual_advance(&m, 1000);
	ck_assert_int_eq(clock_wall_us(&m.clock), 6000);
	ck_assert_int_eq(clock_monotonic_us(&m.clock), 1000);
	clock_manual_set_wall(&m, 1000);
	ck_assert_int_eq(clock_wall_ms(&m.clock), 1);
	ck_assert_int_eq(clock_monotonic_us(&m.clock), 1000);
}
END_TEST

START_TEST(ids_print_parse_and_sort)
{
	struct id a = id_random(&rng_system), b, earlier, later;
	char text[ID_TEXT_LEN + 1];

	id_format(text, &a);
	ck_assert_int_eq(id_parse(slice_str(text), &b), 0);
	ck_assert_int_eq(memcmp(&a, &b, sizeof(a)), 0);
	earlier = id_ordered(&rng_system, 1795473555123);
	later = id_ordered(&rng_system, 1795473555124);
	ck_assert_int_lt(memcmp(&earlier, &later, sizeof(earlier)), 0);
	id_format(text, &earlier);
	ck_assert_int_eq(strncmp(text, "01a2", 4), 0);
	ck_assert_int_eq(id_parse(SLICE("0123456789abcdef0123456789abcde"), &b), ERR_MALFORMED);
	ck_assert_int_eq(id_parse(SLICE("0123456789abcdef0123456789abcdeF"), &b), ERR_MALFORMED);
	ck_assert_int_eq(id_parse(SLICE("0123456789abcdef0123456789abcdeg"), &b), ERR_MALFORMED);
}
END_TEST

START_TEST(rng_repeats_from_its_seed)
{
	struct rng_test one, two, other;
	uint8_t a[40], b[40];

	rng_test_init(&one, 1);
	rng_test_init(&two, 1);
	rng_test_init(&other, 2);
	for (int i = 0; i < 3; i++) {
		rng_fill(&one.rng, a, sizeof(a));
		rng_fill(&two.rng, b, sizeof(b));
		ck_assert_int_eq(memcmp(a, b, sizeof(a)), 0);
	}
	rng_fill(&other.rng, b, sizeof(b));
	ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
}
END_TEST

START_TEST(many_random_bytes_repeat_from_the_seed_and_never_come_twice)
{
	struct rng_test one, two;
	uint8_t a[2][1024], b[1024], few[32];

	rng_test_init(&one, 1);
	rng_test_init(&two, 1);
	rng_fill_many(&one.rng, a[0], sizeof(a[0]));
	rng_fill_many(&one.rng, a[1], sizeof(a[1]));
	rng_fill_many(&two.rng, b, sizeof(b));
	ck_assert_mem_eq(a[0], b, sizeof(b));
	for (size_t i = 0; i < sizeof(a); i += sizeof(few))
		for (size_t j = 0; j < i; j += sizeof(few))
			ck_assert_mem_ne(&a[0][0] + i, &a[0][0] + j, sizeof(few));
	/* What was drawn is the key, and is not told. */
	rng_test_init(&two, 1);
	rng_fill(&two.rng, few, sizeof(few));
	ck_assert_mem_ne(a[0], few, sizeof(few));
}
END_TEST

START_TEST(numbers_are_written_as_printf_writes_them)
{
	static const uint64_t numbers[] = {0, 7, 10, 99, 100, 1795473555123, UINT64_MAX - 1, UINT64_MAX};
	char text[U64_TEXT_MAX], expected[32];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(expected, sizeof(expected), "%" PRIu64, numbers[i]);
		ck_assert_slice_eq(u64_format(text, numbers[i]), slice_str(expected));
	}
}
END_TEST

START_TEST(rng_below_is_even)
{
	unsigned counts[10] = {0};
	struct rng_test rng;

	rng_test_init(&rng, 5);
	for (int i = 0; i < 10000; i++)
		counts[rng_below(&rng.rng, 10)]++;
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_gt(counts[i], 850);
		ck_assert_uint_lt(counts[i], 1150);
	}
	ck_assert_uint_eq(rng_below(&rng.rng, 1), 0);
	ck_assert_uint_lt(rng_below(&rng_system, 7), 7);
}
END_TEST

/* A child that repeated its parent's bytes would reuse its keys. */
START_TEST(rng_differs_after_fork)
{
	uint8_t ours[32], theirs[32], large[4000] = {0};
	int fds[2], status;
	pid_t child;

	rng_fill(&rng_system, ours, sizeof(ours));
	rng_fill(&rng_system, large, sizeof(large));
	ck_assert(large[0] | large[1000] | large[2000] | large[3999]);
	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		rng_fill(&rng_system, theirs, sizeof(theirs));
		_exit(write(fds[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	ck_assert_int_eq(read(fds[0], theirs, sizeof(theirs)), sizeof(theirs));
	rng_fill(&rng_system, ours, sizeof(ours));
	ck_assert_int_ne(memcmp(ours, theirs, sizeof(ours)), 0);
	waitpid(child, &status, 0);
	ck_assert_int_eq(status, 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("text");
	TCase *t = tcase_create("text");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, slices_compare_cut_and_trim);
	tcase_add_loop_test(t, slices_hold_integers, 0, COUNT(integers));
	tcase_add_test(t, slices_hold_unsigned);
	tcase_add_loop_test(t, rfc4648_vectors, 0, COUNT(rfc4648));
	tcase_add_loop_test(t, base64_is_strict, 0, COUNT(base64_texts));
	tcase_add_test(t, base64_agrees_with_libsodium);
	tcase_add_test(t, hex_refuses);
	tcase_add_test(t, percent_codes);
	tcase_add_test(t, markup_escapes);
	tcase_add_test(t, utf8_every_code_point);
	tcase_add_loop_test(t, times_parse, 0, COUNT(times));
	tcase_add_test(t, times_format_as_the_c_library);
	tcase_add_test(t, times_have_fixed_widths);
	tcase_add_test(t, clocks_tell_and_move);
	tcase_add_test(t, ids_print_parse_and_sort);
	tcase_add_test(t, rng_repeats_from_its_seed);
	tcase_add_test(t, many_random_bytes_repeat_from_the_seed_and_never_come_twice);
	tcase_add_test(t, numbers_are_written_as_printf_writes_them);
	tcase_add_test(t, rng_below_is_even);
	tcase_add_test(t, rng_differs_after_fork);
	suite_add_tcase(s, t);
	return run_suite(s);
}
