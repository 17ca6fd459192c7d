/* Internet addresses as 16 bytes (IPv4 as ::ffff:a.b.c.d), ranges of them, and who a request really comes from. */
#ifndef LULAB_NET_ADDRESS_H
#define LULAB_NET_ADDRESS_H

#include "base/slice.h"

struct sockaddr;
struct sockaddr_storage;

struct address {
	uint8_t bytes[16];
};

#define ADDRESS_TEXT_MAX 46 /* with its NUL */

/* Zero bytes for families other than internet. */
struct address address_of_sockaddr(const struct sockaddr *sa);
/* "10.0.0.1", "::1", "[::1]", each also with ":port" where that is not ambiguous. ERR_MALFORMED. */
int address_parse(struct slice text, struct address *ret);
void address_format(char ret_text[ADDRESS_TEXT_MAX], const struct address *a);
bool address_is_loopback(const struct address *a);
/*
 * Of the public internet: none of the ranges that IANA's registries keep for special purposes (this machine, private and
 * shared networks, link-local with the clouds' metadata, documentation, multicast, reserved), nor an IPv6 address that carries
 * such an IPv4 one.
 */
bool address_is_public(const struct address *a);
/* What limits are counted by: an IPv4 address, or the /64 an IPv6 host may choose from freely. */
struct address address_group(const struct address *a);

/* "127.0.0.1:3000" or "[::1]:3000" into a socket address; ERR_INVALID. */
int listen_parse(struct slice text, struct sockaddr_storage *ret);

#define ADDRESS_RANGES_MAX 32
struct address_ranges {
	struct {
		struct address from;
		unsigned bits; /* of the 128 that count */
	} ranges[ADDRESS_RANGES_MAX];
	size_t n;
};

/* "10.0.0.0/8, 192.168.1.7, ::1"; empty gives none. ERR_INVALID names nothing of it valid, ERR_TOO_BIG. */
int address_ranges_parse(struct slice text, struct address_ranges *ret);
bool address_ranges_hold(const struct address_ranges *r, const struct address *a);

/*
 * The client of a request that came over a socket from `peer` with this
 * X-Forwarded-For: from the right, the first address that is no trusted proxy.
 * A peer that is not trusted is the client, whatever it claims.
 */
struct address address_of_client(const struct address_ranges *trusted, const struct address *peer,
    struct slice forwarded_for);

#endif
