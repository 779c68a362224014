// SPDX-License-Identifier: GPL-2.0-or-later
#include "flow.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

struct flow flow_turned(const struct flow *f)
{
	struct flow r = {.lport = f->rport, .rport = f->lport};

	memcpy(r.laddr, f->raddr, FLOW_ADDR_LEN);
	memcpy(r.raddr, f->laddr, FLOW_ADDR_LEN);
	return r;
}

bool flow_addr_is_v4(const uint8_t addr[FLOW_ADDR_LEN])
{
	return !memcmp(addr, v4_prefix, sizeof(v4_prefix));
}

unsigned flow_version(const struct flow *f)
{
	return flow_addr_is_v4(f->laddr) || flow_addr_is_v4(f->raddr) ? 4 : 6;
}

/* Both return the end, without a NUL. */
static char *put_number(char *p, unsigned v)
{
	char digits[10];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10));
	while (n)
		*p++ = digits[--n];
	return p;
}

static char *put_v4(char *p, const uint8_t addr[4])
{
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_number(p, addr[i]);
	}
	return p;
}

const char *flow_addr_text(const uint8_t addr[FLOW_ADDR_LEN], char buf[FLOW_TEXT_LEN])
{
	if (flow_addr_is_v4(addr))
		*put_v4(buf, addr + 12) = '\0';
	else if (!inet_ntop(AF_INET6, addr, buf, FLOW_TEXT_LEN))
		snprintf(buf, FLOW_TEXT_LEN, "?");
	return buf;
}

const char *flow_end_text(const uint8_t addr[FLOW_ADDR_LEN], uint16_t port, char buf[FLOW_END_LEN])
{
	bool v4 = flow_addr_is_v4(addr);
	char *p = buf;

	if (!v4)
		*p++ = '[';
	flow_addr_text(addr, p);
	p += strlen(p);
	if (!v4)
		*p++ = ']';
	*p++ = ':';
	*put_number(p, port) = '\0';
	return buf;
}

bool flow_addr_parse(const char *s, uint8_t ret[FLOW_ADDR_LEN])
{
	memcpy(ret, v4_prefix, sizeof(v4_prefix));
	return inet_pton(AF_INET, s, ret + 12) == 1 || inet_pton(AF_INET6, s, ret) == 1;
}
