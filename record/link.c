/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "link.h"

static int ethtool(int fd, const char *name, void *data)
{
	struct ifreq r = {0};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	r.ifr_data = data;
	return ioctl(fd, SIOCETHTOOL, &r);
}

static uint32_t flag(int fd, const char *name, uint32_t cmd, uint32_t bit)
{
	struct ethtool_value v = {.cmd = cmd};

	return !ethtool(fd, name, &v) && v.data ? bit : 0;
}

static uint32_t offloads(int fd, const char *name)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	uint32_t bits = flag(fd, name, ETHTOOL_GRXCSUM, 1) | flag(fd, name, ETHTOOL_GTXCSUM, 2) |
			flag(fd, name, ETHTOOL_GSG, 4) | flag(fd, name, ETHTOOL_GTSO, 8) |
			flag(fd, name, ETHTOOL_GGSO, 16) | flag(fd, name, ETHTOOL_GGRO, 32);

	if (!ethtool(fd, name, &flags) && (flags.data & ETH_FLAG_LRO))
		bits |= 64;
	return bits;
}

static void take_attribute(const struct rtattr *a, struct rec_link_facts *ret)
{
	uint32_t v = 0;

	if (a->rta_type == IFLA_QDISC) {
		snprintf(ret->qdisc, sizeof(ret->qdisc), "%.*s", (int)RTA_PAYLOAD(a),
			 (const char *)RTA_DATA(a));
		return;
	}
	if (RTA_PAYLOAD(a) < sizeof(v))
		return;
	memcpy(&v, RTA_DATA(a), sizeof(v));
	if (a->rta_type == IFLA_MTU)
		ret->mtu = v;
	else if (a->rta_type == IFLA_NUM_TX_QUEUES)
		ret->tx_queues = v;
	else if (a->rta_type == IFLA_NUM_RX_QUEUES)
		ret->rx_queues = v;
}

/* ---- queueing disciplines of the queues ---- */

#define MAX_QUEUES 1024
#define KIND_LEN 16 /* IFNAMSIZ, TCA_KIND's limit */

struct queues {
	char (*kinds)[KIND_LEN]; /* [MAX_QUEUES] */
	unsigned n;
	bool whole;
};

/* A child of the root stands at its queue's number, which begins with 1. */
static void take_qdisc(const struct nlmsghdr *head, uint32_t ifindex, struct queues *q)
{
	const struct tcmsg *t = NLMSG_DATA(head);
	const struct rtattr *a = (const struct rtattr *)((const char *)t + NLMSG_ALIGN(sizeof(*t)));
	unsigned queue = TC_H_MIN(t->tcm_parent);
	size_t n = NLMSG_PAYLOAD(head, sizeof(*t));

	if ((uint32_t)t->tcm_ifindex != ifindex || t->tcm_parent == TC_H_ROOT || !queue ||
	    queue > MAX_QUEUES)
		return;
	for (; RTA_OK(a, n); a = RTA_NEXT(a, n)) {
		if (a->rta_type != TCA_KIND)
			continue;
		snprintf(q->kinds[queue - 1], KIND_LEN, "%.*s", (int)RTA_PAYLOAD(a),
			 (const char *)RTA_DATA(a));
		if (queue > q->n)
			q->n = queue;
	}
}

/* The kernel gives those of all interfaces of the namespace, in parts. */
static void read_qdiscs(int fd, uint32_t ifindex, struct queues *q)
{
	struct {
		struct nlmsghdr head;
		struct tcmsg tc;
	} ask = {
		.head = {sizeof(ask), RTM_GETQDISC, NLM_F_REQUEST | NLM_F_DUMP, 2, 0},
		.tc = {.tcm_ifindex = (int)ifindex},
	};
	_Alignas(struct nlmsghdr) char answer[32768];

	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		return;
	while (!q->whole) {
		ssize_t len = recv(fd, answer, sizeof(answer), 0);
		size_t n = len > 0 ? (size_t)len : 0;

		if (!n)
			return;
		for (const struct nlmsghdr *h = (const struct nlmsghdr *)answer; NLMSG_OK(h, n);
		     h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == RTM_NEWQDISC)
				take_qdisc(h, ifindex, q);
			else
				q->whole = true; /* NLMSG_DONE, or an error */
		}
	}
}

static void take_queue_qdiscs(int fd, uint32_t ifindex, struct rec_link_facts *ret)
{
	struct queues q = {.kinds = calloc(MAX_QUEUES, KIND_LEN)};
	size_t used = 0;
	bool same = true;

	if (!q.kinds)
		return;
	read_qdiscs(fd, ifindex, &q);
	for (unsigned i = 1; i < q.n; i++)
		same &= !strcmp(q.kinds[i], q.kinds[0]);
	for (unsigned i = 0; i < (same && q.n ? 1 : q.n); i++) {
		int n = snprintf(ret->queue_qdiscs + used, sizeof(ret->queue_qdiscs) - used, "%s%s",
				 used ? " " : "", *q.kinds[i] ? q.kinds[i] : "-");

		if (n < 0 || used + (size_t)n >= sizeof(ret->queue_qdiscs))
			break;
		used += (size_t)n;
	}
	free(q.kinds);
}

/* Those whose children are the queues' own. */
static bool is_multiqueue(const char *qdisc)
{
	return !strcmp(qdisc, "mq") || !strcmp(qdisc, "mqprio") || !strcmp(qdisc, "taprio");
}

void rec_link_facts(int fd, const char *name, uint32_t ifindex, struct rec_link_facts *ret)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} ask = {
		.head = {sizeof(ask), RTM_GETLINK, NLM_F_REQUEST, 1, 0},
		.info = {.ifi_index = (int)ifindex},
	};
	_Alignas(struct nlmsghdr) char answer[16384];
	const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
	const struct ifinfomsg *info = NLMSG_DATA(head);
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	ret->offloads = offloads(fd, name);
	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		return;
	n = recv(fd, answer, sizeof(answer), 0);
	if (n < 0 || !NLMSG_OK(head, (size_t)n) || head->nlmsg_type != RTM_NEWLINK)
		return;
	ret->type = info->ifi_type;
	n = (ssize_t)IFLA_PAYLOAD(head);
	for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, n); a = RTA_NEXT(a, n))
		take_attribute(a, ret);
	if (is_multiqueue(ret->qdisc))
		take_queue_qdiscs(fd, ifindex, ret);
}

uint32_t rec_link_driver_names(int fd, const char *name, char **ret_names)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_gstrings *s;
	uint32_t n;

	*ret_names = NULL;
	/* veth's are per-queue copies of what else is recorded; each reading takes the rtnl lock */
	if (ethtool(fd, name, &info) < 0 || !info.n_stats || !strcmp(info.driver, "veth"))
		return 0;
	n = info.n_stats < REC_LINK_MAX_DRIVER ? info.n_stats : 0;
	/* the kernel fills in as many as there are by then: room for more */
	s = calloc(1, sizeof(*s) + 2 * (size_t)n * REC_LINK_NAME_LEN);
	if (!n || !s) {
		free(s);
		return 0;
	}
	s->cmd = ETHTOOL_GSTRINGS;
	s->string_set = ETH_SS_STATS;
	s->len = n;
	if (ethtool(fd, name, s) < 0 || s->len != n) {
		free(s);
		return 0;
	}
	*ret_names = malloc((size_t)n * REC_LINK_NAME_LEN);
	if (*ret_names)
		memcpy(*ret_names, s->data, (size_t)n * REC_LINK_NAME_LEN);
	free(s);
	return *ret_names ? n : 0;
}

int rec_link_driver_values(int fd, const char *name, uint32_t n, uint64_t *ret)
{
	struct ethtool_stats *s = calloc(1, sizeof(*s) + 2 * (size_t)n * sizeof(uint64_t));
	int r = -1;

	if (!s)
		return -1;
	s->cmd = ETHTOOL_GSTATS;
	s->n_stats = n;
	if (!ethtool(fd, name, s) && s->n_stats == n) {
		memcpy(ret, s->data, (size_t)n * sizeof(uint64_t));
		r = 0;
	}
	free(s);
	return r;
}
