/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of segment.h share: segment.c above, the rest below it. */
#ifndef ANA_SEGMENT_PARTS_H
#define ANA_SEGMENT_PARTS_H

#include "segment.h"

#define UNIT_MARKS 16
#define LANE_KEYS 2
#define CPU_STACK 8
#define MAX_CPUS 4096u

#define MAX_TRIES 1024 /* candidates that are looked at for one event */

#define FLAG_FIN 1u
#define FLAG_SYN 2u
#define FLAG_RST 4u
#define FLAG_ACK 16u

/* Flags that tell packets without payload apart; the others may change on the way. */
#define FLAGS_KEPT (FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_ACK)
#define FEW_ALIKE 16 /* of a lane, which are looked at one by one */

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

/* RFC 9293, 3.4: sequence numbers are compared modulo 2^32. */
static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_is_within(uint32_t seq, uint32_t len, uint32_t of_seq, uint32_t of_len)
{
	uint32_t offset = seq - of_seq;

	return offset <= of_len && len <= of_len - offset;
}

static inline bool packet_has_ends(const struct wire *p)
{
	return p->has_flow && p->flow.lport && p->flow.rport;
}

/* Whether an event tells of a packet, or only of its socket. */
static inline bool packet_has_bytes(const struct wire *p)
{
	return p->headers & BIND_PACKET_TCP || p->seq || p->payload;
}

struct mark { /* one layer, of one device */
	uint64_t first_ns, last_ns;
	uint32_t ifindex, bytes;
	uint16_t n;
	uint8_t layer;
};

/* Why a unit is still open, which says how long it may wait: one list each. */
enum wait { WAIT_SHORT, WAIT_MID, WAIT_LONG, WAIT_READER, N_WAITS };

struct unit {				    /* a segment in the making */
	struct unit *prev, *next;	    /* of its lane, by seq, then age */
	struct unit *wait_prev, *wait_next; /* of those that wait alike, by touched_ns */
	struct unit *same_id;		    /* older one, see segments.ids */
	struct lane *lane;		    /* NULL: free */
	uint64_t id, touched_ns, departure_ns, done_ns;
	uint32_t gen, seq, payload, ack_seq, netns, flags; /* flags: enum seg_mark */
	uint32_t copied;
	uint16_t tcp_flags, segs;
	uint8_t wait, rank, n_marks; /* rank: highest layer that saw it */
	uint32_t seen, whole; /* layers of its marks; those where one has all of it; as bits */
	bool tcp_by_departure;
	bool read_on; /* the reader is past it */
	bool owned;   /* an event told its socket */
	bool has_held;
	struct flow wire, inner;
	struct task task;
	struct mark marks[UNIT_MARKS]; /* from here on, what is not in use is not set */
	uint64_t held_ns[HOLD_WHYS];   /* if has_held */
};

struct write { /* bytes that the application gave, not all sent yet */
	uint64_t ts_ns;
	uint32_t seq, end;
	struct task task;
	uint64_t held_ns[HOLD_WHYS]; /* what its lane's hold had spent by then */
};

struct lane_hold { /* what holds back a lane that is sent */
	struct hold hold;
	struct hold_state next; /* of the segment that comes */
	bool has_next;
	uint32_t n_open; /* newest writes, whose held_ns is not final */
};

struct lane_key {
	struct flow flow;
	struct lane *lane;     /* NULL: not in use */
	struct lane_key *next; /* of the same hash, newest first */
};

struct lane {				 /* one direction of a connection */
	struct lane *prev, *next;	 /* by used_ns */
	struct lane_key keys[LANE_KEYS]; /* as first seen; as seen beyond a NAT */
	uint64_t cookie, used_ns;
	uint64_t turn; /* another one when packets may no longer be its own: segments.turn */
	uint32_t netns, sock_netns;
	uint8_t dir;
	bool has_sent, has_sock_flow;
	uint32_t sent_max;
	struct flow sock_flow;
	struct unit *head, *tail, *hint[SEG_LAYERS];
	uint32_t n_units, max_payload;
	bool has_hints;
	uint32_t n_unqueued;  /* of received ones: with payload, not readable yet */
	struct write *writes; /* ring */
	uint32_t w_first, n_writes, cap_writes;
	struct lane_hold *hold; /* NULL: nothing is known of it */
};

/* What lane_of found last for packets of these ends, in one chunk. */
struct found {
	const struct sock *sock;
	struct lane *lane; /* may be gone, if n_freed is another */
	uint64_t batch, n_freed, turn, cookie;
	uint32_t netns;
};
#define FOUND_WAYS (2 * SEG_DIRS) /* each direction's with a socket, and without */

struct on_cpu { /* the last units of a processor, newest on top: what has no packet belongs to */
	struct {
		struct unit *unit;
		uint32_t gen, ifindex, bytes;
	} drivers[CPU_STACK];
	unsigned n_drivers;
	struct unit *established;
	uint32_t established_gen;
};

struct segments {
	struct segments_opts opts;
	struct map cookies[SEG_DIRS]; /* -> struct lane */
	struct map flows[SEG_DIRS];   /* hash -> struct lane_key */
	struct map ids;		      /* hash of identity -> struct unit, the newest */
	struct lane *oldest, *newest;
	struct unit *wait_head[N_WAITS], *wait_tail[N_WAITS];
	struct unit *free, **slabs;
	size_t n_slabs;
	struct on_cpu *cpus[MAX_CPUS];
	struct segments_stats stats;
	uint64_t now_ns, swept_ns, n_writes, n_lanes;
	struct found *found;	       /* by wire.ends */
	size_t n_found;		       /* ends for which it has room, in each way */
	uint64_t batch, n_freed, turn; /* of events; lanes; counter */
	uint64_t calm_ns;	       /* up to then nothing has waited long enough */
	struct unit *last;	       /* that a packet was taken for; may be gone */
	uint32_t last_gen;
	unsigned at_tcp;   /* the last layer up to TCP that is recorded of what is received */
	struct unit *told; /* within `on` */
	bool failed;
	int stopped; /* what `on` returned */
};

/* A packet keeps its sender's socket through a veth, into namespaces that are not its own. */
static inline bool is_elsewhere(const struct lane *lane, uint32_t netns)
{
	return lane->sock_netns && netns && lane->sock_netns != netns;
}

static inline bool segments_has_layer(const struct segments *s, enum seg_dir dir, unsigned layer)
{
	return s->opts.layers[dir] & SEG_BIT(layer);
}

/* ---- segment_wait.c ---- */

void segments_finish(struct segments *s, struct unit *u); /* hand it over as it is */
/* Something was added to it: it waits on, or is handed over. */
void segments_settle(struct segments *s, struct unit *u);
/* Time goes on: hand over those that have waited long enough. */
void segments_hand_over_late(struct segments *s);
static inline void segments_expire(struct segments *s, uint64_t now_ns)
{
	if (now_ns > s->now_ns)
		s->now_ns = now_ns;
	if (s->now_ns > s->calm_ns)
		segments_hand_over_late(s);
}
/* How long a segment waits for its next layer: see enum wait. A reader may take any time. */
extern const uint64_t segments_patience_ns[N_WAITS];
/* For one more: above the bound the one that has waited longest goes. */
void segments_make_room(struct segments *s);

/* ---- segment_cpu.c ---- */

struct on_cpu *segments_cpu(struct segments *s, uint32_t cpu); /* NULL: no memory, or too many */
void cpu_push_driver(struct segments *s, struct unit *u, const struct seg_event *e);
void cpu_sent(struct segments *s, const struct seg_event *e);
void cpu_done(struct segments *s, struct lane *lane, const struct seg_event *e);

/* ---- segment_hold.c ---- */

void hold_on_write(struct segments *s, struct lane *lane, const struct seg_bytes *w);
/* A new segment leaves TCP, at tcp_ns. w: who wrote its first byte; NULL: not known. */
void hold_on_send(struct lane *lane, struct unit *u, const struct write *w, uint64_t tcp_ns);
void hold_tell(const struct unit *u, struct segment *ret); /* behind the times of the layers */

/* ---- segment_unit.c ---- */

int unit_new(struct segments *s, struct unit **ret);
void units_fini(struct segments *s);
void unit_wait(struct segments *s, struct unit *u, enum wait wait); /* touched now */
void unit_wait_leave(struct segments *s, struct unit *u);
struct mark *unit_mark(struct unit *u, unsigned layer, uint32_t ifindex); /* NULL: none */
/* Note that a packet of that many bytes was at a layer. */
void unit_add(struct unit *u, unsigned layer, uint32_t ifindex, uint64_t ts_ns, uint32_t bytes);
void unit_find_whole(struct unit *u); /* its bytes, or those of a mark, have become others */
/* The same, standing in front of the last mark or of mark `at`. */
void unit_insert(struct unit *u, unsigned at, unsigned layer, uint64_t ts_ns);
/* That a capture saw it. */
void unit_wire(struct unit *u, const struct seg_wire *w);
/* What is known by now, as the caller gets it. */
void unit_tell(const struct segments *s, const struct unit *u, struct segment *ret);

/* ---- segment_match.c ---- */

uint64_t unit_id(enum seg_dir dir, const struct wire *p); /* hash of its headers */
void unit_id_add(struct segments *s, struct unit *u, uint64_t id);
void unit_drop(struct segments *s, struct unit *u); /* without handing it over */
bool unit_is_unqueued(const struct unit *u);	    /* received payload that is not readable yet */
/* Whether a packet can be this segment, or a part of it. */
bool unit_accepts(struct unit *u, const struct seg_event *e);
/* The open segment that is this packet, or that it is a part of; NULL: none. */
struct unit *find_unit(const struct segments *s, struct lane *lane, const struct seg_event *e);
/* The same, with other addresses; then the lanes are told. NULL: none. */
struct unit *find_translated(struct segments *s, struct lane *lane, const struct seg_event *e,
			     uint64_t id);
/* GRO: the packets at the driver that this one holds, made one segment; NULL: none. */
struct unit *fuse_units(struct segments *s, struct lane *lane, const struct seg_event *e);

/* ---- segment_lane.c ---- */

/* As lane_of, for a packet: what was found for its ends in this batch is not looked for again. */
struct lane *lane_of_packet(struct segments *s, const struct seg_event *e);
/* The lane of an event, made if need be; NULL: no memory, or nothing tells whose it is. */
struct lane *lane_of(struct segments *s, enum seg_dir dir, const struct sock *sock,
		     const struct flow *flow, uint32_t netns);
struct lane *lane_find(const struct segments *s, enum seg_dir dir, uint64_t cookie);
void lane_insert(struct lane *lane, struct unit *u);
void lane_remove(struct lane *lane, struct unit *u);
/* The first unit that may hold the byte seq. */
struct unit *lane_first(struct lane *lane, unsigned layer, uint32_t seq);
/* Packets with those addresses belong to this lane too: a NAT. */
void lane_alias(struct segments *s, struct lane *lane, const struct flow *flow);
int lane_write(struct segments *s, struct lane *lane, const struct seg_bytes *w);
struct write *lane_write_at(const struct lane *l, uint32_t i); /* the oldest is 0 */
/*
 * The write that gave byte seq, NULL if it is not known; *ret_last_ns: when the last byte before
 * end was given. Writes that lie wholly before seq are forgotten.
 */
const struct write *lane_written(struct segments *s, struct lane *lane, uint32_t seq, uint32_t end,
				 uint64_t *ret_last_ns);
/* Writes that lie wholly before that are sent: nothing will ask for them again. */
void lane_forget_writes(struct segments *s, struct lane *lane, uint32_t before);
void lanes_sweep(struct segments *s);
uint64_t lanes_sweep_after(const struct segments *s); /* it has nothing to do up to then */
void lanes_fini(struct segments *s);

/* The cookie, if it is that of a connection, and not of the other end of this host. 0: none. */
uint64_t sock_cookie(const struct sock *sock, const struct flow *flow);

#endif
