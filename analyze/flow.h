/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two ends of a connection, seen from this host. Addresses are 16 bytes in network order, IPv4
 * as v4-mapped (RFC 4291, 2.5.5.2) and shown as IPv4; ports are in host order, 0: not bound yet.
 */
#ifndef ANA_FLOW_H
#define ANA_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#define FLOW_ADDR_LEN 16
#define FLOW_TEXT_LEN 48 /* room for any address, and its NUL */
#define FLOW_END_LEN 56	 /* and for its port */

struct flow {
	uint8_t laddr[FLOW_ADDR_LEN], raddr[FLOW_ADDR_LEN];
	uint16_t lport, rport;
};

/* Seen from the other end. */
struct flow flow_turned(const struct flow *f);

bool flow_addr_is_v4(const uint8_t addr[FLOW_ADDR_LEN]);

/* IP version of a connection by its addresses: 4 also for IPv4 on an AF_INET6 socket. */
unsigned flow_version(const struct flow *f);

/* Writes the address as text into buf and returns buf. */
const char *flow_addr_text(const uint8_t addr[FLOW_ADDR_LEN], char buf[FLOW_TEXT_LEN]);

/* "10.0.0.1:80", "[fd00::1]:443"; writes into buf and returns it. */
const char *flow_end_text(const uint8_t addr[FLOW_ADDR_LEN], uint16_t port, char buf[FLOW_END_LEN]);

/* Parse an address; whether it is one. */
bool flow_addr_parse(const char *s, uint8_t ret[FLOW_ADDR_LEN]);

#endif
