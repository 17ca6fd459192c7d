/* Eight bytes a step, by tables that are made at first use. */
#include "adapters/crc64.h"

#include <pthread.h>

#define POLYNOMIAL UINT64_C(0xc96c5795d7870f42)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t table[8][256];

static void make_tables(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (unsigned i = 0; i < 256; i++)
		for (unsigned k = 1; k < 8; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
}

uint64_t crc64(uint64_t crc, struct slice bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.ptr, *end = p + bytes.len;

	pthread_once(&once, make_tables);
	crc = ~crc;
	for (; end - p >= 8; p += 8) {
		for (unsigned i = 0; i < 8; i++)
			crc ^= (uint64_t)p[i] << (8 * i);
		crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^
		    table[4][crc >> 24 & 0xff] ^ table[3][crc >> 32 & 0xff] ^ table[2][crc >> 40 & 0xff] ^
		    table[1][crc >> 48 & 0xff] ^ table[0][crc >> 56];
	}
	for (; p < end; p++)
		crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
	return ~crc;
}
