// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Segments that TCP refused for what was in them: a wrong checksum; sequence number, acknowledgment
 * number, timestamp or header that cannot be.
 *
 * Threshold: a wrong checksum that a segment had to be sent again for, or 1 in 100,000 segments
 * (some 1 in 16 million is what passes checks of links by chance: Stone and Partridge, SIGCOMM
 * 2000, saw 1 in 1,100 to 32,000 where hardware was bad). Of the others three: a keepalive, or a
 * segment that came twice, is refused as old (TCP_OLD_SEQUENCE), and not counted here.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 1e-5
#define MIN_WRONG 3

static const enum evid_count counters[] = {EVC_IN_CSUM, EVC_IN_ERRS, EVC_SKIPPED_SEQ};

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_BAD];
	uint64_t sum = e->drops[DROP_CHECKSUM].n, wrong = e->drops[DROP_SEQUENCE].n;
	uint64_t in = e->counters[EVC_IN_SEGS];

	if (e->counters[EVC_IN_CSUM] > sum)
		sum = e->counters[EVC_IN_CSUM];
	if (!(sum && (t->n || part_of_all(sum, in ? in : sum) >= MIN_PART)) && wrong < MIN_WRONG)
		return false;
	finding_take(f, t);
	f->n = sum + wrong;
	if (sum)
		finding_say(f, "%" PRIu64 " segments came with a wrong checksum", sum);
	finding_count(f, e, counters, 3);
	finding_dropped(f, e, DROP_CHECKSUM);
	finding_dropped(f, e, DROP_SEQUENCE);
	finding_show(f, e, t, "sent again");
	finding_trust(f, CONFIDENCE_HIGH, "the kernel says what was wrong with them");
	return true;
}

const struct cause cause_bad_segments = {
	.name = "bad-segments",
	.title = "segments were refused: checksum, sequence number or header",
	.next = "tcptape inerrs shows them; checksums: memory or hardware on the way, offloads of "
		"the sender; sequence numbers: a middlebox, a forged segment, an old connection",
	.needs = EVID_BIT(EVID_DROP) | EVID_BIT(EVID_COUNTER),
	.record = "drop,counters",
	.find = find,
};
