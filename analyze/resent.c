// SPDX-License-Identifier: GPL-2.0-or-later
#include "resent.h"

enum { CA_RECOVERY = 3, CA_LOSS = 4 };
enum { TIMER_NONE = 0, TIMER_TLP = 5 };

/*
 * Recovery and Loss are entered before the first segment is sent again, so they come first. Loss is
 * entered by a timeout, whose own retransmit runs while no timer is set; what ACKs let out
 * afterwards is its recovery. Loss without a timeout: tcp_simple_retransmit (the path MTU shrank),
 * data refused with Fast Open; or the timeout is older than the trace.
 */
enum resent resent_why(uint64_t ca_state, uint64_t timer, bool *after_rto)
{
	bool was = *after_rto;

	if (ca_state != CA_LOSS)
		*after_rto = false;
	if (ca_state == CA_RECOVERY)
		return RESENT_FAST;
	if (ca_state == CA_LOSS && timer == TIMER_NONE) {
		*after_rto = true;
		return RESENT_RTO;
	}
	if (ca_state == CA_LOSS)
		return was ? RESENT_RTO_RECOVERY : RESENT_GIVEN_UP;
	return timer == TIMER_TLP ? RESENT_TLP : RESENT_UNKNOWN;
}
