/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doors: hands TCP segments to the network stack by doors that few drivers use (root).
 *
 *   doors frags|list COUNT PORT
 *     frags  napi_gro_frags: a tap interface with IFF_NAPI_FRAGS
 *     list   netif_receive_skb_list: an XDP program run on live frames (Linux 5.18)
 *
 * Makes a tap interface door0 (10.9.1.1) in its network namespace, and has it receive COUNT SYNs
 * with 10 bytes of payload from 10.9.1.9, ports 1000 and up, to PORT. Prints "sent COUNT"; exit
 * status 77 if this kernel has no such door.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	ETH = 14,
	IP = 20,
	TCP = 20,
	PAYLOAD = 10,
	HEADERS = ETH + IP + TCP,
	LEN = HEADERS + PAYLOAD
};

static const uint8_t mac[ETH_ALEN] = {2, 0, 0, 0, 0, 0x0d};

static void die(const char *what)
{
	fprintf(stderr, "doors: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void no_door(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(77);
}

static void put(uint8_t *p, uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static uint16_t checksum(uint32_t s, const uint8_t *p, int len)
{
	for (int i = 0; i < len; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t) ~(s + (s >> 16));
}

static void build(uint8_t *frame, uint16_t sport, uint16_t dport)
{
	uint8_t *ip = frame + ETH, *tcp = ip + IP;

	memset(frame, 0, LEN);
	memcpy(frame, mac, ETH_ALEN);
	memcpy(frame + ETH_ALEN, mac, ETH_ALEN);
	frame[ETH_ALEN]++;
	put(frame + 12, ETH_P_IP, 2);
	put(ip, 0x45000000 | (LEN - ETH), 4);
	put(ip + 8, 64 << 24 | IPPROTO_TCP << 16, 4);
	put(ip + 12, 0x0a090109, 4);
	put(ip + 16, 0x0a090101, 4);
	put(ip + 10, checksum(0, ip, IP), 2);
	put(tcp, (uint32_t)sport << 16 | dport, 4);
	put(tcp + 4, 5000, 4);
	put(tcp + 12, 0x50021000, 4); /* 5 words, SYN, window */
	put(tcp + 16,
	    checksum(IPPROTO_TCP + TCP + PAYLOAD + 2 * 0x0a09 + 0x0109 + 0x0101, tcp,
		     TCP + PAYLOAD),
	    2);
}

static int make_door(short more_flags)
{
	struct ifreq r = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | more_flags)};
	char command[256];
	int fd = open("/dev/net/tun", O_RDWR);

	strcpy(r.ifr_name, "door0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r))
		no_door("tap interface");
	snprintf(command, sizeof(command),
		 "ip link set door0 address 02:00:00:00:00:0d up && ip addr add 10.9.1.1/24 dev "
		 "door0 && "
		 "ip neigh replace 10.9.1.9 lladdr 02:00:00:00:00:0e dev door0 nud permanent");
	if (system(command))
		die("ip");
	return fd;
}

static void send_frags(int tap, uint8_t *frame)
{
	struct iovec v[2] = {{frame, HEADERS}, {frame + HEADERS, PAYLOAD}};

	if (writev(tap, v, 2) != LEN)
		die("writev");
}

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int load_pass(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insn_cnt = 2,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t) "GPL",
	};
	int fd = (int)bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		no_door("XDP program");
	return fd;
}

static void send_list(int prog, const uint8_t *frame)
{
	struct xdp_md ctx = {.data_end = LEN, .ingress_ifindex = if_nametoindex("door0")};
	union bpf_attr attr = {
		.test =
			{
				.prog_fd = (uint32_t)prog,
				.data_in = (uintptr_t)frame,
				.data_size_in = LEN,
				.ctx_in = (uintptr_t)&ctx,
				.ctx_size_in = sizeof(ctx),
				.repeat = 1,
				.flags = 1u << 1, /* BPF_F_TEST_XDP_LIVE_FRAMES */
			},
	};

	if (bpf(BPF_PROG_TEST_RUN, &attr))
		no_door("live frames");
}

int main(int argc, char **argv)
{
	int is_frags = argc == 4 && !strcmp(argv[1], "frags"), tap, prog = -1;
	uint8_t frame[LEN];

	if (argc != 4 || (!is_frags && strcmp(argv[1], "list"))) {
		fputs("usage: doors frags|list COUNT PORT\n", stderr);
		return 2;
	}
	tap = make_door(is_frags ? IFF_NAPI | IFF_NAPI_FRAGS : 0);
	if (!is_frags)
		prog = load_pass();
	for (long i = 0; i < atol(argv[2]); i++) {
		build(frame, (uint16_t)(1000 + i), (uint16_t)atol(argv[3]));
		if (is_frags)
			send_frags(tap, frame);
		else
			send_list(prog, frame);
	}
	usleep(100000);
	printf("sent %s\n", argv[2]);
	return 0;
}
