// SPDX-License-Identifier: GPL-2.0-or-later
#include "flow.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool flow_addr_is_v4(const uint8_t addr[FLOW_ADDR_LEN])
{
	return !memcmp(addr, v4_prefix, sizeof(v4_prefix));
}

unsigned flow_version(const struct flow *f)
{
	return flow_addr_is_v4(f->laddr) || flow_addr_is_v4(f->raddr) ? 4 : 6;
}

const char *flow_addr_text(const uint8_t addr[FLOW_ADDR_LEN], char buf[FLOW_TEXT_LEN])
{
	bool v4 = flow_addr_is_v4(addr);

	if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, buf, FLOW_TEXT_LEN))
		snprintf(buf, FLOW_TEXT_LEN, "?");
	return buf;
}

const char *flow_end_text(const uint8_t addr[FLOW_ADDR_LEN], uint16_t port, char buf[FLOW_END_LEN])
{
	char text[FLOW_TEXT_LEN];

	snprintf(buf, FLOW_END_LEN, flow_addr_is_v4(addr) ? "%s:%u" : "[%s]:%u",
		 flow_addr_text(addr, text), port);
	return buf;
}

bool flow_addr_parse(const char *s, uint8_t ret[FLOW_ADDR_LEN])
{
	memcpy(ret, v4_prefix, sizeof(v4_prefix));
	return inet_pton(AF_INET, s, ret + 12) == 1 || inet_pton(AF_INET6, s, ret) == 1;
}
