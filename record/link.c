/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
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
