// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "text.h"

/* The arguments are string literals, which may hold NUL. */
#define SAFE(in, out) check(text_safe, in, sizeof(in) - 1, out, sizeof(out) - 1)
#define JSON(in, out) check(text_json, in, sizeof(in) - 1, out, sizeof(out) - 1)

static void check(void (*escape)(struct text *, const char *, size_t), const char *in,
		  size_t in_len, const char *out, size_t out_len)
{
	char *exact = malloc(in_len + !in_len); /* so that reading behind the end shows */
	struct text t = {0};

	memcpy(exact, in, in_len);
	escape(&t, exact, in_len);
	ck_assert_msg(t.len == out_len && (!out_len || !memcmp(t.s, out, out_len)),
		      "%s became %.*s, not %s", in, (int)t.len, t.s, out);
	text_fini(&t);
	free(exact);
}

START_TEST(test_text__plain_stays)
{
	SAFE("curl 8.5 (x86_64) ~\"'", "curl 8.5 (x86_64) ~\"'");
	SAFE("", "");
	SAFE("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7", /* ü ß, euro, penguin */
	     "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7");
	JSON("curl", "\"curl\"");
	JSON("\xf0\x9f\x90\xa7", "\"\xf0\x9f\x90\xa7\"");
}
END_TEST

START_TEST(test_text__control_bytes)
{
	SAFE("a\0b", "a\\x00b");
	SAFE("a\tb\nc\rd", "a\\x09b\\x0ac\\x0dd");
	SAFE("\x7f", "\\x7f");
	SAFE("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07");
	SAFE("a\b\b", "a\\x08\\x08");
}
END_TEST

START_TEST(test_text__c1_controls)
{
	SAFE("\xc2\x9b"
	     "31m",
	     "\\xc2\\x9b31m"); /* CSI in UTF-8 */
	SAFE("\x9b"
	     "31m",
	     "\\x9b31m"); /* and in Latin-1 */
	SAFE("\xc2\x80\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9f\xc2\xa0");
}
END_TEST

/* Unicode 15, tables 3-6 and 3-7. */
START_TEST(test_text__invalid_utf8)
{
	SAFE("\x80", "\\x80");				  /* continuation alone */
	SAFE("\xc3", "\\xc3");				  /* cut */
	SAFE("\xe2\x82", "\\xe2\\x82");			  /* cut */
	SAFE("\xf0\x9f\x90", "\\xf0\\x9f\\x90");	  /* cut */
	SAFE("\xc3(", "\\xc3(");			  /* the next one survives */
	SAFE("\xc0\xaf", "\\xc0\\xaf");			  /* overlong / */
	SAFE("\xc1\xbf", "\\xc1\\xbf");			  /* overlong DEL */
	SAFE("\xe0\x80\xaf", "\\xe0\\x80\\xaf");	  /* overlong / */
	SAFE("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");	  /* overlong U+07FF */
	SAFE("\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b"); /* overlong CSI */
	SAFE("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"); /* overlong U+FFFF */
	SAFE("\xed\xa0\x80", "\\xed\\xa0\\x80");	  /* surrogate */
	SAFE("\xed\xbf\xbf", "\\xed\\xbf\\xbf");	  /* surrogate */
	SAFE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
	SAFE("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"); /* no such lead byte */
	SAFE("\xfe\xff", "\\xfe\\xff");
	SAFE("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"); /* beside surrogates: good */
}
END_TEST

START_TEST(test_text__bidi_and_invisible)
{
	SAFE("a\xe2\x80\xae"
	     "b",
	     "a\\xe2\\x80\\xae"
	     "b");							    /* U+202E RLO */
	SAFE("\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9"); /* U+2066, U+2069 */
	SAFE("\xe2\x80\x8e\xe2\x80\x8f", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f"); /* LRM, RLM */
	SAFE("\xd8\x9c", "\\xd8\\x9c");					    /* U+061C ALM */
	SAFE("\xe2\x80\x8b", "\\xe2\\x80\\x8b"); /* U+200B zero width space */
	SAFE("\xe2\x80\x8d", "\\xe2\\x80\\x8d"); /* U+200D joiner */
	SAFE("\xe2\x81\xa0", "\\xe2\\x81\\xa0"); /* U+2060 word joiner */
	SAFE("\xef\xbb\xbf", "\\xef\\xbb\\xbf"); /* U+FEFF byte order mark */
	SAFE("\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9"); /* line, paragraph */
	SAFE("\xc2\xad", "\\xc2\\xad");					    /* soft hyphen */
	SAFE("\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81");		    /* U+E0041 tag A */
}
END_TEST

START_TEST(test_text__escapes_cannot_be_forged)
{
	SAFE("\\x1b", "\\x5cx1b");
	SAFE("\\", "\\x5c");
}
END_TEST

/* No byte string at all may leave something that a terminal acts upon. */
START_TEST(test_text__safe_is_safe_for_all_pairs)
{
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			char s[2] = {(char)a, (char)b};
			struct text t = {0};

			text_safe(&t, s, 2);
			for (size_t i = 0; i < t.len; i++) {
				unsigned char c = (unsigned char)t.s[i];

				/* ck_assert itself is too slow for so many */
				if (c < 0x20 || c == 0x7f || (c >= 0x80 && t.len != 2) ||
				    (c == 0xc2 && (unsigned char)t.s[i + 1] < 0xa0))
					ck_abort_msg("%02x %02x: %.*s", a, b, (int)t.len, t.s);
			}
			text_fini(&t);
		}
}
END_TEST

START_TEST(test_text__json)
{
	JSON("", "\"\"");
	JSON("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	JSON("\n\t\0", "\"\\u000a\\u0009\\u0000\"");
	JSON("\x1b\x7f", "\"\\u001b\\u007f\"");
	JSON("\xe2\x80\xae", "\"\\u202e\"");
	JSON("\xf3\xa0\x81\x81", "\"\\udb40\\udc41\""); /* U+E0041 as a pair of surrogates */
	JSON("\xc2\x9b", "\"\\u009b\"");
	JSON("\xff\xc3", "\"\\\\xff\\\\xc3\""); /* the result must be UTF-8 */
}
END_TEST

static void csv(const char *in, const char *out)
{
	struct text t = {0};

	text_puts(&t, "before,");
	text_puts(&t, in);
	text_csv_quote(&t, 7);
	text_putc(&t, '\0');
	ck_assert_mem_eq(t.s, "before,", 7);
	ck_assert_str_eq(t.s + 7, out);
	text_fini(&t);
}

/* RFC 4180, 2.5 to 2.7 */
START_TEST(test_text__csv)
{
	csv("plain", "plain");
	csv("", "");
	csv("a,b", "\"a,b\"");
	csv("say \"hi\"", "\"say \"\"hi\"\"\"");
	csv("\"", "\"\"\"\"");
	csv("\"\"\"", "\"\"\"\"\"\"\"\"");
	csv("a\r\nb", "\"a\r\nb\"");
	csv("1.5", "1.5");
}
END_TEST

START_TEST(test_text__pad_counts_characters)
{
	struct text t = {0};

	text_puts(&t, "\xc3\xbc"); /* one character, two bytes */
	text_pad(&t, 0, 3);
	text_puts(&t, "|");
	text_pad(&t, 4, -3);
	text_puts(&t, "long");
	text_pad(&t, 7, 2);
	text_putc(&t, '\0');
	ck_assert_str_eq(t.s, "\xc3\xbc    |long");
	text_fini(&t);
}
END_TEST

START_TEST(test_text__numbers)
{
	struct text t = {0};

	text_u64(&t, 0);
	text_putc(&t, ' ');
	text_u64(&t, UINT64_MAX);
	text_putc(&t, ' ');
	text_seconds(&t, 1500000000);
	text_putc(&t, ' ');
	text_seconds(&t, -1);
	text_putc(&t, ' ');
	text_seconds(&t, INT64_MIN);
	text_putc(&t, '\0');
	ck_assert_str_eq(t.s, "0 18446744073709551615 1.500000000 -0.000000001 "
			      "-9223372036.854775808");
	text_fini(&t);
}
END_TEST

static void check_fixed(double v, unsigned decimals)
{
	struct text t = {0};
	char want[400];

	snprintf(want, sizeof(want), "%.*f", (int)decimals, v);
	text_fixed(&t, v, decimals);
	text_putc(&t, '\0');
	ck_assert_msg(!strcmp(t.s, want), "%.17g with %u decimals became %s, not %s", v, decimals,
		      t.s, want);
	text_fini(&t);
}

/* What it says is what printf says: of ties, which doubles hold exactly or nearly, above all. */
START_TEST(test_text__fixed_is_as_printf)
{
	static const double special[] = {0,
					 -0.0,
					 0.5,
					 1.5,
					 2.5,
					 0.125,
					 2e-9,
					 999.9995,
					 1e13,
					 1.8e13,
					 17592186044415.5,
					 1e22,
					 1e300,
					 -1.5,
					 -1e-9,
					 INFINITY,
					 NAN,
					 0.05,
					 1e9 - 0.05,
					 1e-300};
	uint64_t random = 88172645463325252; /* xorshift64 */

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		for (unsigned d = 0; d < 12; d++)
			check_fixed(special[i], d);
	for (unsigned i = 0; i < 30000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		check_fixed((double)(random >> (random & 63)) / 1e6, i % 10);
		check_fixed((double)(random >> 44) / 2000, 3); /* half of them ties */
		check_fixed((double)(random >> 40) / 64, 4);
	}
}
END_TEST

START_TEST(test_text__cookies)
{
	char s[COOKIE_TEXT_LEN];

	ck_assert_str_eq(cookie_text(0, s), "0x0");
	ck_assert_str_eq(cookie_text(42, s), "0x2a");
	ck_assert_str_eq(cookie_text(0xfedcba98765432, s), "0xfedcba98765432");
	ck_assert_str_eq(cookie_text(0x010000000000002a, s), "1:0x2a");
	ck_assert_str_eq(cookie_text(UINT64_MAX, s), "255:0xffffffffffffff");
}
END_TEST

START_TEST(test_text__fmt_of_any_length)
{
	struct text t = {0};
	char *s = malloc(5001);

	memset(s, 'x', 5000);
	s[5000] = '\0';
	text_fmt(&t, "<%s>", s);
	ck_assert_uint_eq(t.len, 5002);
	ck_assert(t.s[0] == '<' && t.s[5001] == '>');
	text_fini(&t);
	free(s);
}
END_TEST

SUITE("text", test_text__plain_stays, test_text__control_bytes, test_text__c1_controls,
      test_text__invalid_utf8, test_text__bidi_and_invisible, test_text__escapes_cannot_be_forged,
      test_text__safe_is_safe_for_all_pairs, test_text__json, test_text__csv,
      test_text__pad_counts_characters, test_text__numbers, test_text__fixed_is_as_printf,
      test_text__cookies, test_text__fmt_of_any_length)
