/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * struct ev_<name>, enum ev_id and size checks, all out of events.def. These are the records that
 * probes put into the ring and that the writer takes; BPF programs include this file too, so it
 * depends on nothing but the fixed-width types, which the includer may already have.
 */
#ifndef TAPE_EVENTS_H
#define TAPE_EVENTS_H

#ifndef TAPE_BPF /* a BPF program brings its own typedefs */
#include <stdint.h>
#endif

#define EV_COMM_LEN 16
#define EV_SNAPSHOT_FIRST 64 /* ids of group snapshot: they go into SNAPSHOT blocks */
#define EV_SNAPSHOT_LAST 95
#define EV_ADDR_LEN 16

/* First member of every event. ts_ns: CLOCK_MONOTONIC when the hook ran. */
struct ev_head {
	uint64_t ts_ns;
	uint32_t cpu;
	uint16_t type; /* enum ev_id */
	uint16_t size; /* of the whole record, this head included; not stored */
};

struct ev_addr {
	uint8_t b[EV_ADDR_LEN];
};

struct ev_comm {
	char s[EV_COMM_LEN];
};

/* Text outside the record; the writer copies it when the event is added. Not NUL-terminated. */
struct ev_str {
	const char *s;
	uint64_t len;
};

#define EV_C_u8 uint8_t
#define EV_C_u16 uint16_t
#define EV_C_u32 uint32_t
#define EV_C_u64 uint64_t
#define EV_C_i32 int32_t
#define EV_C_i64 int64_t
#define EV_C_addr struct ev_addr
#define EV_C_comm struct ev_comm
#define EV_C_str struct ev_str
#define EV_C_flow struct ev_flow
#define EV_C_sock struct ev_sock
#define EV_C_task struct ev_task
#define EV_C_packet struct ev_packet

#define TABLE(name, id, meaning) struct ev_##name {
#define EVENT(name, id, group, meaning)                                                            \
	struct ev_##name {                                                                         \
		struct ev_head head;
#define FIELD(type, name, encoding, unit, meaning) EV_C_##type name;
#define END(name)                                                                                  \
	}                                                                                          \
	;
#define ENUM(unit, value, name)
#include "events.def"

enum ev_id {
#define TABLE(name, id, meaning) EV_TABLE_##name = id,
#define EVENT(name, id, group, meaning) EV_##name = id,
#define FIELD(type, name, encoding, unit, meaning)
#define END(name)
#define ENUM(unit, value, name)
#include "events.def"
};

/* The size of every record is the sum of its fields: no padding that could leak kernel memory. */
#define TABLE(name, id, meaning) _Static_assert(sizeof(struct ev_##name) == 0
#define EVENT(name, id, group, meaning)                                                            \
	_Static_assert(sizeof(struct ev_##name) == sizeof(struct ev_head)
#define FIELD(type, name, encoding, unit, meaning) +sizeof(EV_C_##type)
#define END(name) , "padding in ev_" #name);
#define ENUM(unit, value, name)
#include "events.def"

#endif
