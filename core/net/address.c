/* Addresses, ranges and forwarded hops; see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/err.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static struct address of_ipv4(const void *four_bytes)
{
	struct address a;

	memcpy(a.bytes, mapped_prefix, sizeof(mapped_prefix));
	memcpy(a.bytes + 12, four_bytes, 4);
	return a;
}

static bool is_ipv4(const struct address *a)
{
	return memcmp(a->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

struct address address_of_sockaddr(const struct sockaddr *sa)
{
	struct address a = {{0}};

	if (sa->sa_family == AF_INET)
		return of_ipv4(&((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	if (sa->sa_family == AF_INET6)
		memcpy(a.bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, sizeof(a.bytes));
	return a;
}

/* inet_pton wants a C string. */
static int parse_bare(struct slice text, struct address *ret)
{
	char copy[ADDRESS_TEXT_MAX];
	uint8_t four[4];

	if (text.len == 0 || text.len >= sizeof(copy))
		return ERR_MALFORMED;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (strlen(copy) != text.len)
		return ERR_MALFORMED;
	if (inet_pton(AF_INET, copy, four) == 1) {
		*ret = of_ipv4(four);
		return 0;
	}
	return inet_pton(AF_INET6, copy, ret->bytes) == 1 ? 0 : ERR_MALFORMED;
}

/* Splits "host:port" and "[host]:port"; a bare IPv6 address has no port. */
static int split_port(struct slice text, struct slice *ret_host, struct slice *ret_port)
{
	struct slice rest;

	*ret_port = (struct slice){0};
	if (text.len > 0 && text.ptr[0] == '[') {
		if (!slice_cut(slice_of(text.ptr + 1, text.len - 1), ']', ret_host, &rest))
			return ERR_MALFORMED;
		if (rest.len == 0)
			return 0;
		if (rest.ptr[0] != ':')
			return ERR_MALFORMED;
		*ret_port = slice_of(rest.ptr + 1, rest.len - 1);
		return 0;
	}
	if (slice_cut(text, ':', ret_host, &rest) && (rest.len == 0 || memchr(rest.ptr, ':', rest.len) == NULL))
		*ret_port = rest;
	else
		*ret_host = text;
	return 0;
}

int address_parse(struct slice text, struct address *ret)
{
	struct slice host, port;
	struct address a;
	uint64_t number;

	if (split_port(text, &host, &port) != 0 || parse_bare(host, &a) != 0)
		return ERR_MALFORMED;
	if (port.len > 0 && (slice_to_u64(port, &number) != 0 || number > UINT16_MAX))
		return ERR_MALFORMED;
	*ret = a;
	return 0;
}

/* By hand: every request has its address told, and inet_ntop() prints as printf() does. */
static void format_ipv4(char *at, const uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned n = bytes[i];

		if (n >= 100)
			*at++ = (char)('0' + n / 100);
		if (n >= 10)
			*at++ = (char)('0' + n / 10 % 10);
		*at++ = (char)('0' + n % 10);
		*at++ = i < 3 ? '.' : '\0';
	}
}

void address_format(char ret_text[ADDRESS_TEXT_MAX], const struct address *a)
{
	if (is_ipv4(a))
		format_ipv4(ret_text, a->bytes + 12);
	else if (inet_ntop(AF_INET6, a->bytes, ret_text, ADDRESS_TEXT_MAX) == NULL)
		ret_text[0] = '\0';
}

bool address_is_loopback(const struct address *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return is_ipv4(a) ? a->bytes[12] == 127 : memcmp(a->bytes, one, sizeof(one)) == 0;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, left = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return left == 0 || ((a[whole] ^ b[whole]) & (0xff00 >> left) & 0xff) == 0;
}

/* RFC 6890 and its registries; what is not one of these is public. */
static bool ipv4_is_public(const uint8_t four[4])
{
	static const struct {
		uint8_t from[4];
		unsigned bits;
	} special[] = {
		{{0, 0, 0, 0}, 8},       {{10, 0, 0, 0}, 8},      {{100, 64, 0, 0}, 10},   {{127, 0, 0, 0}, 8},
		{{169, 254, 0, 0}, 16},  {{172, 16, 0, 0}, 12},   {{192, 0, 0, 0}, 24},    {{192, 0, 2, 0}, 24},
		{{192, 88, 99, 0}, 24},  {{192, 168, 0, 0}, 16},  {{198, 18, 0, 0}, 15},   {{198, 51, 100, 0}, 24},
		{{203, 0, 113, 0}, 24},  {{224, 0, 0, 0}, 4},     {{240, 0, 0, 0}, 4},
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (same_prefix(four, special[i].from, special[i].bits))
			return false;
	return true;
}

bool address_is_public(const struct address *a)
{
	static const uint8_t global[16] = {0x20}, protocols[16] = {0x20, 0x01}, documentation[16] = {0x20, 0x01, 0x0d, 0xb8},
	                     more_documentation[16] = {0x3f, 0xff}, six_to_four[16] = {0x20, 0x02},
	                     translated[16] = {0x00, 0x64, 0xff, 0x9b};

	if (is_ipv4(a) || same_prefix(a->bytes, translated, 96))
		return ipv4_is_public(a->bytes + 12);
	if (same_prefix(a->bytes, six_to_four, 16))
		return ipv4_is_public(a->bytes + 2);
	/* Only 2000::/3 is given out; of it 2001::/23 is for protocols (Teredo among them). */
	return same_prefix(a->bytes, global, 3) && !same_prefix(a->bytes, protocols, 23) &&
	    !same_prefix(a->bytes, documentation, 32) && !same_prefix(a->bytes, more_documentation, 20);
}

struct address address_group(const struct address *a)
{
	struct address group = *a;

	if (!is_ipv4(a))
		memset(group.bytes + 8, 0, 8);
	return group;
}

int listen_parse(struct slice text, struct sockaddr_storage *ret)
{
	struct sockaddr_storage ss = {0};
	struct slice host, port;
	struct address a;
	uint64_t number;

	if (split_port(text, &host, &port) != 0 || port.len == 0)
		return ERR_INVALID;
	if (slice_is(host, "localhost"))
		host = SLICE("127.0.0.1");
	if (parse_bare(host, &a) != 0 || slice_to_u64(port, &number) != 0 || number > UINT16_MAX)
		return ERR_INVALID;
	if (is_ipv4(&a)) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ss;

		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)number);
		memcpy(&in->sin_addr, a.bytes + 12, 4);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&ss;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)number);
		memcpy(&in6->sin6_addr, a.bytes, 16);
	}
	*ret = ss;
	return 0;
}

static int parse_range(struct slice text, struct address *ret_from, unsigned *ret_bits)
{
	struct slice from, bits;
	uint64_t n = 128;
	bool has_bits = slice_cut(text, '/', &from, &bits);

	if (parse_bare(from, ret_from) != 0)
		return ERR_INVALID;
	if (has_bits) {
		if (slice_to_u64(bits, &n) != 0)
			return ERR_INVALID;
		if (is_ipv4(ret_from) && memchr(from.ptr, ':', from.len) == NULL)
			n += 96;
	}
	if (n > 128)
		return ERR_INVALID;
	*ret_bits = (unsigned)n;
	return 0;
}

int address_ranges_parse(struct slice text, struct address_ranges *ret)
{
	struct address_ranges r = {.n = 0};
	struct slice part, rest = text;

	while (rest.len > 0) {
		slice_cut(rest, ',', &part, &rest);
		part = slice_trim(part);
		if (part.len == 0)
			continue;
		if (r.n == ADDRESS_RANGES_MAX)
			return ERR_TOO_BIG;
		if (parse_range(part, &r.ranges[r.n].from, &r.ranges[r.n].bits) != 0)
			return ERR_INVALID;
		r.n++;
	}
	*ret = r;
	return 0;
}

bool address_ranges_hold(const struct address_ranges *r, const struct address *a)
{
	for (size_t i = 0; i < r->n; i++)
		if (same_prefix(r->ranges[i].from.bytes, a->bytes, r->ranges[i].bits))
			return true;
	return false;
}

/* The part after the last comma; *text keeps what is before it. */
static struct slice cut_last(struct slice *text)
{
	size_t at = text->len;
	struct slice last;

	while (at > 0 && text->ptr[at - 1] != ',')
		at--;
	last = slice_of(text->ptr + at, text->len - at);
	text->len = at > 0 ? at - 1 : 0;
	return slice_trim(last);
}

struct address address_of_client(const struct address_ranges *trusted, const struct address *peer,
    struct slice forwarded_for)
{
	struct address client = *peer;

	while (forwarded_for.len > 0 && address_ranges_hold(trusted, &client)) {
		struct address hop;

		/* What a trusted proxy wrote and we cannot read hides the client: the proxy stands for it. */
		if (address_parse(cut_last(&forwarded_for), &hop) != 0)
			break;
		client = hop;
	}
	return client;
}
