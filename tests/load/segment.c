/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * segment: sends single TCP segments that a TCP would not send, through a raw socket (root).
 *
 *   segment [-bi] [-n COUNT] [-o DOFF] [-s SEQ] [-a ACK] [-F FLAGS] [-l LEN] [-T TSVAL]
 *           SADDR SPORT DADDR DPORT
 *
 * COUNT segments of LEN bytes payload, FLAGS as a number (2 SYN, 16 ACK); -b: with a wrong
 * checksum; DOFF: header length in words, 5 unless told, less is a bad header; -T: with a
 * timestamp option; -i: each from the port after that of the one before. The kernel adds the IP
 * header. IPv4 and IPv6. Prints "sent COUNT".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 20, TIMESTAMP = 12, MAX_PAYLOAD = 1000 };

struct opts {
	int bad, stamped, ports;
	long count, doff, len, flags;
	uint32_t seq, ack, tsval;
};

static void die(const char *what)
{
	fprintf(stderr, "segment: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void resolve(const char *addr, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *ai;

	if (getaddrinfo(addr, NULL, &hints, &ai)) {
		fprintf(stderr, "segment: no address: %s\n", addr);
		exit(2);
	}
	memcpy(ret, ai->ai_addr, ai->ai_addrlen);
	*ret_len = ai->ai_addrlen;
	freeaddrinfo(ai);
}

static uint32_t sum(uint32_t s, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)(b[i] << 8 | b[i + 1]);
	if (len & 1)
		s += (uint32_t)b[len - 1] << 8;
	return s;
}

static uint32_t sum_addr(uint32_t s, const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET6)
		return sum(s, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
	return sum(s, &((const struct sockaddr_in *)sa)->sin_addr, 4);
}

static void put(uint8_t *p, uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static size_t build(uint8_t *p, const struct opts *o, const struct sockaddr_storage *from,
		    const struct sockaddr_storage *to, long sport, long dport)
{
	size_t header = HEADER + (o->stamped ? TIMESTAMP : 0), len = header + (size_t)o->len;
	uint32_t s = sum_addr(sum_addr(IPPROTO_TCP + (uint32_t)len, from), to);

	memset(p, 'x', len);
	memset(p, 0, header);
	put(p, (uint32_t)sport, 2);
	put(p + 2, (uint32_t)dport, 2);
	put(p + 4, o->seq, 4);
	put(p + 8, o->ack, 4);
	p[12] = (uint8_t)((o->stamped ? (long)header / 4 : o->doff) << 4);
	p[13] = (uint8_t)o->flags;
	put(p + 14, 1000, 2);
	if (o->stamped) {
		put(p + HEADER, 0x0101080a, 4); /* NOP NOP, timestamps, 10 bytes */
		put(p + HEADER + 4, o->tsval, 4);
	}
	s = sum(s, p, len);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	put(p + 16, o->bad ? ~s + 1 : ~s, 2);
	return len;
}

static int usage(void)
{
	fputs("usage: segment [-bi] [-n COUNT] [-o DOFF] [-s SEQ] [-a ACK] [-F FLAGS] [-l LEN]\n"
	      "               [-T TSVAL] SADDR SPORT DADDR DPORT\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct opts o = {.count = 1, .doff = 5, .flags = 16};
	struct sockaddr_storage from, to;
	uint8_t p[HEADER + TIMESTAMP + MAX_PAYLOAD];
	socklen_t from_len, to_len;
	size_t len;
	int c, fd;

	while ((c = getopt(argc, argv, "bin:o:s:a:F:l:T:")) != -1) {
		switch (c) {
		case 'b': o.bad = 1; break;
		case 'i': o.ports = 1; break;
		case 'n': o.count = atol(optarg); break;
		case 'o': o.doff = atol(optarg); break;
		case 's': o.seq = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 'a': o.ack = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 'F': o.flags = atol(optarg); break;
		case 'l': o.len = atol(optarg); break;
		case 'T':
			o.tsval = (uint32_t)strtoul(optarg, NULL, 0);
			o.stamped = 1;
			break;
		default: return usage();
		}
	}
	if (argc - optind != 4 || o.len < 0 || o.len > MAX_PAYLOAD)
		return usage();
	argv += optind;
	resolve(argv[0], &from, &from_len);
	resolve(argv[2], &to, &to_len);
	fd = socket(to.ss_family, SOCK_RAW, IPPROTO_TCP);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, from_len) < 0)
		die("raw socket");
	for (long i = 0; i < o.count; i++) {
		len = build(p, &o, &from, &to, atol(argv[1]) + (o.ports ? i : 0), atol(argv[3]));
		if (sendto(fd, p, len, 0, (struct sockaddr *)&to, to_len) != (ssize_t)len)
			die("sendto");
	}
	printf("sent %ld\n", o.count);
	return 0;
}
