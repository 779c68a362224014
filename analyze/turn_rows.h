/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of a trace as turn.h takes them, for turn_read.h and whoever reads more with them: calls
 * that sent and received (group io), or, where a recording has no such group, what they copied
 * (rx_copy, tx_write).
 */
#ifndef ANA_TURN_ROWS_H
#define ANA_TURN_ROWS_H

#include "by.h"
#include "turn.h"

enum { TURN_SOCK, TURN_TASK, TURN_BYTES, TURN_SEQ, TURN_SEND_N };
enum { TURN_FLAGS = TURN_SEND_N, TURN_NXT, TURN_STATE, TURN_RECV_N };
enum { TURN_DIRECTION = 1, TURN_EDGE, TURN_WAIT_N };
enum { TURN_EDGE_BEGIN = 1 }; /* unit io_edge */

extern const struct bind_field turn_send_fields[TURN_SEND_N];  /* io_send */
extern const struct bind_field turn_recv_fields[TURN_RECV_N];  /* io_recv */
extern const struct bind_field turn_wait_fields[TURN_WAIT_N];  /* io_wait */
extern const struct bind_field turn_write_fields[TURN_SEND_N]; /* tx_write */
extern const struct bind_field turn_copy_fields[TURN_SEND_N];  /* rx_copy */

void turn_rows_send(struct turns *t, const struct bind_row *row);
/* Whether it took bytes out of the stream: no peek, no error queue. */
bool turn_rows_recv(struct turns *t, const struct bind_row *row);
void turn_rows_wait(struct turns *t, const struct bind_row *row);
/* begin_only: the call's end comes in io_send. */
void turn_rows_write(struct turns *t, const struct bind_row *row, bool begin_only);
void turn_rows_copy(struct turns *t, const struct bind_row *row);

/*
 * Who asks on a connection. One that is older than the trace and has no listener at its local end
 * was made by this host, as far as one can tell.
 */
enum turn_role turn_rows_role(const struct by_who *who, const struct sock *sock);

#endif
