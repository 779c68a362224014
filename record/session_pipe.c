/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing where somebody reads: a pipe, a FIFO, a socket. Its reader may be slow: meanwhile the
 * rings fill, and the kernel's side counts what they cannot take. It may also never read again:
 * then a signal still ends the recording.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "layout.h"
#include "session_parts.h"

#define PATIENCE_NS 5000000000ull /* after a signal, while nothing is read */

/* Until there is room for PIPE_BUF bytes: so many can be written without a wait. */
static int await_reader(struct rec_session *s)
{
	struct pollfd p[] = {{.fd = s->out.fd, .events = POLLOUT},
			     {.fd = s->signal_fd, .events = POLLIN}};
	uint64_t since = rec_now_ns();

	for (;;) {
		bool asked = s->stop && s->signalled;
		int n = poll(p, 2, asked ? 100 : -1);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0 && p[1].revents) {
			since = rec_now_ns();
			rec_session_signals(s);
		}
		if (n > 0 && p[0].revents)
			return 0; /* if it has gone, write says so */
		if (asked && rec_now_ns() > since + PATIENCE_NS) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

static int send_bytes(struct rec_session *s, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len) {
		ssize_t n;

		if (await_reader(s) < 0)
			return -1;
		n = write(s->out.fd, p, len < PIPE_BUF ? len : PIPE_BUF);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int rec_session_send(void *ctx, struct tape_block_head *h, const void *type_head,
		     const void *payload)
{
	static const uint8_t zeros[8];
	uint8_t fixed[TAPE_BLOCK_HEAD_LEN];
	size_t used = TAPE_BLOCK_HEAD_LEN + h->hdr_len + (size_t)h->payload_len;
	struct rec_session *s = ctx;

	tape_block_pack(h, type_head, payload, fixed);
	if (send_bytes(s, fixed, sizeof(fixed)) < 0 || send_bytes(s, type_head, h->hdr_len) < 0 ||
	    send_bytes(s, payload, h->payload_len) < 0)
		return -1;
	return send_bytes(s, zeros, (size_t)tape_block_len(h) - used);
}
