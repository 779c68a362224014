/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a connect, or a connection, ended, as its state changes tell it: who ended it, and why. errno
 * numbers in a trace are Linux's (the asm-generic ones: x86, arm, riscv), whatever this machine is.
 */
#ifndef ANA_OUTCOME_H
#define ANA_OUTCOME_H

#include "conn.h"

enum outcome {
	OUTCOME_NONE,
	/* of a connect */
	OUTCOME_OK,
	OUTCOME_REFUSED,     /* RST in answer to the SYN */
	OUTCOME_TIMEOUT,     /* nothing answered */
	OUTCOME_UNREACHABLE, /* ICMP, or a route that went away */
	OUTCOME_ABORTED,     /* the process gave up: closed the socket */
	OUTCOME_LOCAL_ERROR, /* no SYN left this host */
	OUTCOME_ERROR,	     /* another errno */
	OUTCOME_PENDING,     /* not over when the trace ended */
	/* of a connection */
	OUTCOME_LOCAL_CLOSE,  /* this host sent the first FIN */
	OUTCOME_REMOTE_CLOSE, /* the other end did */
	OUTCOME_RESET_REMOTE, /* RST came */
	OUTCOME_RESET_LOCAL,  /* closed with data unread, or SO_LINGER 0: an RST went out */
	OUTCOME_OPEN,
};

const char *outcome_name(enum outcome o);

/* "ECONNREFUSED"; NULL for a number without a name here. */
const char *outcome_errno(unsigned err);

/* Writes "timeout", or "timeout (EHOSTUNREACH)" where another errno stands behind it, and returns
 * buf. */
#define OUTCOME_TEXT_LEN 64
const char *outcome_text(enum outcome o, unsigned err, unsigned soft_err,
			 char buf[OUTCOME_TEXT_LEN]);

/* Whether this change ends a connect of this host. */
bool outcome_ends_connect(const struct conn_change *ch);

/* Of a connect that ends with this change; sock as the event has it. */
enum outcome outcome_of_connect(const struct conn_change *ch, const struct sock *sock);

/*
 * What this change says about how the connection ends; OUTCOME_NONE if nothing. The first answer
 * counts, but for one of the RESET or TIMEOUT kind, which overrides a close.
 */
enum outcome outcome_of_close(const struct conn_change *ch);

#endif
