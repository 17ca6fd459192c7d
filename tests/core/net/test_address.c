/* address.c, peers.c: who talks to us, and how often. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/err.h"
#include "lib/run.h"
#include "net/peers.h"

static struct address parsed(const char *text)
{
	struct address a;

	ck_assert_msg(address_parse(slice_str(text), &a) == 0, "%s", text);
	return a;
}

static const struct {
	const char *text, *shown; /* NULL: refused */
} texts[] = {
	{"10.1.2.3", "10.1.2.3"},
	{"10.1.2.3:80", "10.1.2.3"},
	{"0.9.10.99", "0.9.10.99"},
	{"100.109.200.255", "100.109.200.255"},
	{"::1", "::1"},
	{"[::1]", "::1"},
	{"[2001:DB8::1]:443", "2001:db8::1"},
	{"::ffff:10.1.2.3", "10.1.2.3"},
	{"", NULL},
	{"10.1.2", NULL},
	{"10.1.2.3.4", NULL},
	{"10.1.2.3:x", NULL},
	{"10.1.2.3:65536", NULL},
	{"[::1", NULL},
	{"[::1]x", NULL},
	{"example.com", NULL},
	{"::1%lo", NULL},
	{"1111:2222:3333:4444:5555:6666:7777:8888:9999", NULL},
};

START_TEST(addresses_are_read_and_shown)
{
	struct address a;
	char shown[ADDRESS_TEXT_MAX];
	int rc = address_parse(slice_str(texts[_i].text), &a);

	ck_assert_msg(rc == (texts[_i].shown == NULL ? ERR_MALFORMED : 0), "%s", texts[_i].text);
	if (rc == 0) {
		address_format(shown, &a);
		ck_assert_str_eq(shown, texts[_i].shown);
	}
}
END_TEST

START_TEST(a_nul_inside_is_no_end)
{
	struct address a;

	ck_assert_int_eq(address_parse(SLICE("10.1.2.3\0x"), &a), ERR_MALFORMED);
}
END_TEST

static const struct {
	const char *text;
	int family, port, rc;
} listens[] = {
	{"127.0.0.1:3000", AF_INET, 3000, 0},
	{"localhost:0", AF_INET, 0, 0},
	{"[::]:80", AF_INET6, 80, 0},
	{"127.0.0.1", 0, 0, ERR_INVALID},
	{"::1", 0, 0, ERR_INVALID},
	{"example.com:80", 0, 0, ERR_INVALID},
	{":80", 0, 0, ERR_INVALID},
	{"127.0.0.1:70000", 0, 0, ERR_INVALID},
};

START_TEST(listen_addresses)
{
	struct sockaddr_storage ss;

	ck_assert_msg(listen_parse(slice_str(listens[_i].text), &ss) == listens[_i].rc, "%s", listens[_i].text);
	if (listens[_i].rc != 0)
		return;
	ck_assert_int_eq(ss.ss_family, listens[_i].family);
	/* The port stands at the same place in both families. */
	ck_assert_int_eq(ntohs(((struct sockaddr_in *)(void *)&ss)->sin_port), listens[_i].port);
}
END_TEST

static const struct {
	const char *ranges, *address;
	bool holds;
} members[] = {
	{"10.0.0.0/8", "10.255.0.1", true},
	{"10.0.0.0/8", "11.0.0.1", false},
	{"192.168.1.128/25", "192.168.1.129", true},
	{"192.168.1.128/25", "192.168.1.127", false},
	{"1.2.3.4", "1.2.3.4", true},
	{"1.2.3.4", "1.2.3.5", false},
	{"0.0.0.0/0", "8.8.8.8", true},
	{"0.0.0.0/0", "2001:db8::1", false},
	{"2001:db8::/32 , ::1", "2001:db8:ffff::1", true},
	{"2001:db8::/32, ::1", "::1", true},
	{"", "1.2.3.4", false},
};

START_TEST(ranges_hold)
{
	struct address_ranges r;
	struct address a = parsed(members[_i].address);

	ck_assert_int_eq(address_ranges_parse(slice_str(members[_i].ranges), &r), 0);
	ck_assert_msg(address_ranges_hold(&r, &a) == members[_i].holds, "%s in %s", members[_i].address, members[_i].ranges);
}
END_TEST

START_TEST(bad_ranges_are_refused)
{
	static const char *const bad[] = {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "proxy", "10.0.0.0/8 ::1"};
	struct address_ranges r;
	char many[ADDRESS_RANGES_MAX * 9 + 10] = "";

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(address_ranges_parse(slice_str(bad[i]), &r) == ERR_INVALID, "%s", bad[i]);
	for (size_t i = 0; i <= ADDRESS_RANGES_MAX; i++)
		memcpy(many + i * 8, "1.2.3.4,", 9);
	ck_assert_int_eq(address_ranges_parse(slice_str(many), &r), ERR_TOO_BIG);
}
END_TEST

static const struct { const char *address; bool is_public; } publics[] = {
	{"8.8.8.8", true}, {"1.1.1.1", true}, {"100.63.255.255", true}, {"100.128.0.0", true}, {"172.15.0.1", true},
	{"172.32.0.1", true}, {"192.167.1.1", true}, {"223.255.255.255", true}, {"2606:4700::1111", true},
	{"2002:808:808::1", true}, {"64:ff9b::808:808", true}, {"::ffff:8.8.8.8", true},
	{"0.0.0.0", false}, {"10.1.2.3", false}, {"100.64.0.1", false}, {"100.100.100.200", false}, {"127.0.0.1", false},
	{"169.254.169.254", false}, {"172.16.0.1", false}, {"172.31.255.255", false}, {"192.0.2.1", false},
	{"192.168.1.1", false}, {"198.19.0.1", false}, {"224.0.0.1", false}, {"255.255.255.255", false},
	{"::", false}, {"::1", false}, {"::ffff:127.0.0.1", false}, {"::7f00:1", false}, {"fe80::1", false}, {"fc00::1", false},
	{"fd12::1", false}, {"ff02::1", false}, {"64:ff9b::10.0.0.1", false}, {"64:ff9b:1::8.8.8.8", false},
	{"2001::1", false}, {"2001:db8::1", false}, {"2002:7f00:1::", false}, {"2002:c0a8:101::1", false}, {"3fff::1", false},
};

START_TEST(the_public_internet_and_the_rest)
{
	struct address a;

	for (size_t i = 0; i < COUNT(publics); i++) {
		ck_assert_int_eq(address_parse(slice_str(publics[i].address), &a), 0);
		ck_assert_msg(address_is_public(&a) == publics[i].is_public, "%s", publics[i].address);
	}
}
END_TEST

START_TEST(ipv6_is_counted_by_64)
{
	struct address a = parsed("2001:db8:1:2:3:4:5:6"), b = parsed("2001:db8:1:2::9"), c = parsed("2001:db8:1:3::9");
	struct address v4 = parsed("10.1.2.3"), other = parsed("10.1.2.4");

	a = address_group(&a);
	b = address_group(&b);
	c = address_group(&c);
	v4 = address_group(&v4);
	ck_assert_mem_eq(a.bytes, b.bytes, 16);
	ck_assert_mem_ne(a.bytes, c.bytes, 16);
	ck_assert_mem_ne(v4.bytes, other.bytes, 16);
}
END_TEST

START_TEST(windows_fill_and_pass)
{
	struct rng_test rng;
	struct peers *p;
	struct address a = parsed("10.1.2.3"), b = parsed("10.1.2.4");
	struct rate_state s;

	rng_test_init(&rng, 1);
	p = peers_create(1000, &rng.rng);
	ck_assert_ptr_nonnull(p);
	for (unsigned i = 0; i < 3; i++) {
		s = peers_take(p, &a, 0, 3, 60, 5000000);
		ck_assert(!s.exceeded);
		ck_assert_uint_eq(s.remaining, 2 - i);
		ck_assert_uint_eq(s.reset_s, 60);
	}
	s = peers_take(p, &a, 0, 3, 60, 64000000);
	ck_assert(s.exceeded);
	ck_assert_uint_eq(s.remaining, 0);
	ck_assert_uint_eq(s.reset_s, 1);
	ck_assert(!peers_take(p, &a, 1, 3, 60, 64000000).exceeded); /* another quota */
	ck_assert(!peers_take(p, &b, 0, 3, 60, 64000000).exceeded); /* another address */
	ck_assert(!peers_take(p, &a, 0, 3, 60, 65000000).exceeded); /* another window */
	peers_destroy(p);
	peers_destroy(NULL);
}
END_TEST

START_TEST(a_crowd_does_not_grow_the_table_nor_free_the_connected)
{
	struct rng_test rng;
	struct peers *p;
	struct address connected = parsed("10.1.2.3"), a = parsed("11.0.0.0");

	rng_test_init(&rng, 1);
	p = peers_create(1, &rng.rng);
	ck_assert(peers_connect(p, &connected, 1000000, 1, 10));
	ck_assert(!peers_connect(p, &connected, 1000000, 1, 10));
	for (unsigned i = 0; i < 20000; i++) {
		a.bytes[13] = (uint8_t)(i >> 16);
		a.bytes[14] = (uint8_t)(i >> 8);
		a.bytes[15] = (uint8_t)i;
		peers_take(p, &a, 0, 10, 60, 2000000 + i);
	}
	ck_assert(!peers_connect(p, &connected, 9000000, 1, 10));
	peers_disconnect(p, &connected);
	ck_assert(peers_connect(p, &connected, 9000000, 1, 10));
	peers_disconnect(p, &connected);
	peers_disconnect(p, &connected); /* once too often is harmless */
	peers_destroy(p);
}
END_TEST

START_TEST(new_connections_by_the_second)
{
	struct rng_test rng;
	struct peers *p;
	struct address a = parsed("10.1.2.3");

	rng_test_init(&rng, 1);
	p = peers_create(1, &rng.rng);
	ck_assert(peers_connect(p, &a, 1000000, 100, 2));
	ck_assert(peers_connect(p, &a, 1999999, 100, 2));
	ck_assert(!peers_connect(p, &a, 1999999, 100, 2));
	ck_assert(peers_connect(p, &a, 2000000, 100, 2));
	peers_destroy(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("address");
	TCase *tc = tcase_create("address");

	tcase_add_loop_test(tc, addresses_are_read_and_shown, 0, (int)COUNT(texts));
	tcase_add_test(tc, a_nul_inside_is_no_end);
	tcase_add_loop_test(tc, listen_addresses, 0, (int)COUNT(listens));
	tcase_add_loop_test(tc, ranges_hold, 0, (int)COUNT(members));
	tcase_add_test(tc, bad_ranges_are_refused);
	tcase_add_test(tc, the_public_internet_and_the_rest);
	tcase_add_test(tc, ipv6_is_counted_by_64);
	tcase_add_test(tc, windows_fill_and_pass);
	tcase_add_test(tc, a_crowd_does_not_grow_the_table_nor_free_the_connected);
	tcase_add_test(tc, new_connections_by_the_second);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
