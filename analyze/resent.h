/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a segment was sent again, from what the kernel decided by: its congestion state, and which
 * timer was set. A timer's handler clears icsk_pending before it retransmits
 * (tcp_write_timer_handler, ICSK_TIME_RETRANS); that of the loss probe clears it afterwards
 * (tcp_send_loss_probe).
 */
#ifndef ANA_RESENT_H
#define ANA_RESENT_H

#include <stdbool.h>
#include <stdint.h>

enum resent { /* what a retransmit was */
	      RESENT_FAST,
	      RESENT_RTO,
	      RESENT_RTO_RECOVERY,
	      RESENT_TLP,
	      RESENT_GIVEN_UP, /* for lost, without a timeout that is known */
	      RESENT_UNKNOWN,
	      RESENT_N
};

/*
 * ca_state and timer of the event, UINT64_MAX: not recorded. *after_rto, of the connection: in
 * state Loss since a timeout that the trace has; kept up to date here.
 */
enum resent resent_why(uint64_t ca_state, uint64_t timer, bool *after_rto);

#endif
