/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * offload DEVICE NAME on|off: switch an offload of an interface, as ethtool -K does; NAME: rx tx sg
 * tso gso gro. Prints what else the kernel then has, "rx=1 tx=1 ...", asked one by one.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static const struct {
	const char *name;
	unsigned get, set;
} offloads[] = {
	{"rx", ETHTOOL_GRXCSUM, ETHTOOL_SRXCSUM}, {"tx", ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM},
	{"sg", ETHTOOL_GSG, ETHTOOL_SSG},	  {"tso", ETHTOOL_GTSO, ETHTOOL_STSO},
	{"gso", ETHTOOL_GGSO, ETHTOOL_SGSO},	  {"gro", ETHTOOL_GGRO, ETHTOOL_SGRO},
};
#define N_OFFLOADS (sizeof(offloads) / sizeof(*offloads))

static int call(int fd, const char *device, unsigned cmd, unsigned *value)
{
	struct ethtool_value v = {.cmd = cmd, .data = *value};
	struct ifreq r = {0};
	int rc;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	r.ifr_data = (void *)&v;
	rc = ioctl(fd, SIOCETHTOOL, &r);
	*value = v.data;
	return rc;
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 4 || fd < 0) {
		fputs("usage: offload DEVICE NAME on|off\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < N_OFFLOADS; i++) {
		unsigned on = !strcmp(argv[3], "on");

		if (!strcmp(argv[2], offloads[i].name) && call(fd, argv[1], offloads[i].set, &on)) {
			perror(argv[2]);
			return 1;
		}
	}
	for (size_t i = 0; i < N_OFFLOADS; i++) {
		unsigned on = 0;

		call(fd, argv[1], offloads[i].get, &on);
		printf("%s%s=%u", i ? " " : "", offloads[i].name, on != 0);
	}
	puts("");
	return 0;
}
