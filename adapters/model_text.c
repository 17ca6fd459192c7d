/* See model_text.h. */
#include "model_text.h"

#include "base/codec.h"

/* ---- characters ------------------------------------------------------------------------- */

/* A character at the front, and its bytes; a byte that begins none is one of its own, -1. */
static int32_t next_char(struct slice text, size_t *ret_len)
{
	unsigned char c = (unsigned char)text.ptr[0];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
	int32_t value = n == 1 ? c : c & (0x7f >> n);

	*ret_len = 1;
	if (n == 1)
		return c < 0x80 ? c : -1;
	if (n > text.len || !utf8_valid(slice_of(text.ptr, n)))
		return -1;
	for (size_t i = 1; i < n; i++)
		value = value << 6 | (text.ptr[i] & 0x3f);
	*ret_len = n;
	return value;
}

enum script { OTHER, LOWER, UPPER, DIGIT, BLANK, LINE, MARK, ALPHABET, KANA, HAN, HANGUL, SYMBOL };

static enum script script_of(int32_t c)
{
	if (c >= 'a' && c <= 'z')
		return LOWER;
	if (c >= 'A' && c <= 'Z')
		return UPPER;
	if (c >= '0' && c <= '9')
		return DIGIT;
	if (c == ' ' || c == '\t')
		return BLANK;
	if (c == '\n' || c == '\r')
		return LINE;
	if (c < 0x80)
		return c < 0 ? OTHER : MARK;
	if (c < 0x2000)
		return c >= 0x1100 && c < 0x1200 ? HANGUL : ALPHABET;
	if (c >= 0x3041 && c <= 0x30ff)
		return KANA;
	if ((c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff))
		return HAN;
	if (c >= 0xac00 && c <= 0xd7af)
		return HANGUL;
	return c < 0x10000 ? MARK : c >= 0x20000 && c < 0x32000 ? HAN : SYMBOL;
}

/* ---- counting ------------------------------------------------------------------------------ */

/* In quarters of a token, so that no sum loses anything. */
#define TOKEN 4

struct counter {
	size_t quarters;
	enum script last;
	size_t run; /* characters of the word or white space at hand */
};

/* A word of up to six letters is a token, longer ones one more for each three; capitals within a word begin another. */
static size_t letter(struct counter *n, enum script s)
{
	bool goes_on = n->last == LOWER ? s == LOWER : n->last == UPPER;

	n->run = goes_on ? n->run + 1 : 1;
	return n->run == 1 || (n->run > 6 && (n->run - 7) % 3 == 0) ? TOKEN : 0;
}

static void count(struct counter *n, enum script s)
{
	size_t quarters = 0;

	switch (s) {
	case LOWER:
	case UPPER:
		quarters = letter(n, s);
		break;
	case BLANK: /* one goes with the word after it */
		n->run = n->last == BLANK ? n->run + 1 : 1;
		quarters = n->run > 1 ? 1 : 0;
		break;
	case ALPHABET:
		quarters = TOKEN / 2;
		break;
	case HAN:
		quarters = TOKEN + 1;
		break;
	case HANGUL:
		quarters = TOKEN + TOKEN / 2;
		break;
	case SYMBOL:
		quarters = 3 * TOKEN;
		break;
	case OTHER:
	case DIGIT:
	case LINE:
	case MARK:
	case KANA:
		quarters = TOKEN;
		break;
	}
	n->quarters += quarters;
	n->last = s;
}

size_t model_tokens(struct slice text)
{
	struct counter n = {0};

	while (text.len > 0) {
		size_t len;

		count(&n, script_of(next_char(text, &len)));
		text = slice_of(text.ptr + len, text.len - len);
	}
	return (n.quarters + TOKEN - 1) / TOKEN;
}

/* ---- cutting --------------------------------------------------------------------------------- */

static bool ends_sentence(int32_t c)
{
	return c == '.' || c == '!' || c == '?' || c == ';' || c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0xff1b;
}

bool model_cut(struct slice *rest, size_t tokens_max, struct slice *ret_part)
{
	struct counter n = {0};
	size_t at = 0, line = 0, sentence = 0, len, end;

	if (rest->len == 0)
		return false;
	while (at < rest->len) {
		int32_t c = next_char(slice_of(rest->ptr + at, rest->len - at), &len);

		count(&n, script_of(c));
		if (at > 0 && (n.quarters + TOKEN - 1) / TOKEN > tokens_max)
			break;
		at += len;
		line = c == '\n' ? at : line;
		sentence = ends_sentence(c) ? at : sentence;
	}
	end = at == rest->len || line * 2 < at ? at : line;
	if (at < rest->len && end == at && sentence * 2 >= at)
		end = sentence;
	*ret_part = slice_of(rest->ptr, end);
	*rest = slice_of(rest->ptr + end, rest->len - end);
	return true;
}

/* ---- language ----------------------------------------------------------------------------------- */

#define LANGUAGE_BYTES 65536 /* of a longer text its beginning tells */

const char *model_language(struct slice text)
{
	size_t of[SYMBOL + 1] = {0}, all = 0, len, latin;

	text.len = text.len > LANGUAGE_BYTES ? LANGUAGE_BYTES : text.len;
	for (; text.len > 0; text = slice_of(text.ptr + len, text.len - len)) {
		enum script s = script_of(next_char(text, &len));

		of[s]++;
		all += s != BLANK && s != LINE;
	}
	latin = of[LOWER] + of[UPPER];
	if (all == 0)
		return "";
	/* Japanese is written with ideographs too, Chinese never with kana. */
	if (of[KANA] * 10 > all * 2)
		return "ja";
	if (of[HANGUL] * 10 > all * 2)
		return "ko";
	if (of[HAN] * 10 > all * 3)
		return "zh-CN";
	return latin * 10 > all * 5 ? "en" : "";
}
