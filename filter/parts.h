/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a filter, shared by filter/ only. */
#ifndef FILTER_PARTS_H
#define FILTER_PARTS_H

#include <pcap/pcap.h>

#include "filter.h"

struct filter {
	struct bpf_program program;
	bool has_direction; /* of src, dst: a packet's answer may match otherwise */
};

#endif
