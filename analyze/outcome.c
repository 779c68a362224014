// SPDX-License-Identifier: GPL-2.0-or-later
#include "outcome.h"

#include <stdio.h>

enum { /* include/uapi/asm-generic/errno.h */
       L_EPIPE = 32,
       L_ENETDOWN = 100,
       L_ENETUNREACH = 101,
       L_ECONNRESET = 104,
       L_ETIMEDOUT = 110,
       L_ECONNREFUSED = 111,
       L_EHOSTDOWN = 112,
       L_EHOSTUNREACH = 113,
};

static const char *const errno_names[] = {
	[1] = "EPERM",
	[2] = "ENOENT",
	[4] = "EINTR",
	[5] = "EIO",
	[9] = "EBADF",
	[11] = "EAGAIN",
	[12] = "ENOMEM",
	[13] = "EACCES",
	[14] = "EFAULT",
	[16] = "EBUSY",
	[19] = "ENODEV",
	[22] = "EINVAL",
	[L_EPIPE] = "EPIPE",
	[71] = "EPROTO",
	[74] = "EBADMSG",
	[88] = "ENOTSOCK",
	[89] = "EDESTADDRREQ",
	[90] = "EMSGSIZE",
	[92] = "ENOPROTOOPT",
	[93] = "EPROTONOSUPPORT",
	[95] = "EOPNOTSUPP",
	[97] = "EAFNOSUPPORT",
	[98] = "EADDRINUSE",
	[99] = "EADDRNOTAVAIL",
	[L_ENETDOWN] = "ENETDOWN",
	[L_ENETUNREACH] = "ENETUNREACH",
	[102] = "ENETRESET",
	[103] = "ECONNABORTED",
	[L_ECONNRESET] = "ECONNRESET",
	[105] = "ENOBUFS",
	[106] = "EISCONN",
	[107] = "ENOTCONN",
	[108] = "ESHUTDOWN",
	[L_ETIMEDOUT] = "ETIMEDOUT",
	[L_ECONNREFUSED] = "ECONNREFUSED",
	[L_EHOSTDOWN] = "EHOSTDOWN",
	[L_EHOSTUNREACH] = "EHOSTUNREACH",
	[114] = "EALREADY",
	[115] = "EINPROGRESS",
	[125] = "ECANCELED",
};

const char *outcome_errno(unsigned err)
{
	return err < sizeof(errno_names) / sizeof(errno_names[0]) ? errno_names[err] : NULL;
}

const char *outcome_name(enum outcome o)
{
	static const char *const names[] = {
		[OUTCOME_NONE] = "unknown",
		[OUTCOME_OK] = "ok",
		[OUTCOME_REFUSED] = "refused",
		[OUTCOME_TIMEOUT] = "timeout",
		[OUTCOME_UNREACHABLE] = "unreachable",
		[OUTCOME_ABORTED] = "aborted",
		[OUTCOME_LOCAL_ERROR] = "local-error",
		[OUTCOME_ERROR] = "error",
		[OUTCOME_PENDING] = "pending",
		[OUTCOME_LOCAL_CLOSE] = "local-close",
		[OUTCOME_REMOTE_CLOSE] = "remote-close",
		[OUTCOME_RESET_REMOTE] = "reset-by-remote",
		[OUTCOME_RESET_LOCAL] = "reset-by-local",
		[OUTCOME_OPEN] = "open",
	};

	return names[o];
}

/* The errno that the name of the outcome says already. */
static bool says(enum outcome o, unsigned err)
{
	return (o == OUTCOME_REFUSED && err == L_ECONNREFUSED) ||
	       (o == OUTCOME_TIMEOUT && err == L_ETIMEDOUT) ||
	       (o == OUTCOME_RESET_REMOTE && err == L_ECONNRESET) || o == OUTCOME_OK;
}

const char *outcome_text(enum outcome o, unsigned err, unsigned soft_err,
			 char buf[OUTCOME_TEXT_LEN])
{
	unsigned shown = err && !says(o, err) ? err : o == OUTCOME_TIMEOUT ? soft_err : 0;
	const char *name = outcome_errno(shown);

	if (!shown)
		snprintf(buf, OUTCOME_TEXT_LEN, "%s", outcome_name(o));
	else if (name)
		snprintf(buf, OUTCOME_TEXT_LEN, "%s (%s)", outcome_name(o), name);
	else
		snprintf(buf, OUTCOME_TEXT_LEN, "%s (errno %u)", outcome_name(o), shown);
	return buf;
}

bool outcome_ends_connect(const struct conn_change *ch)
{
	bool ours = ch->old_state == TCP_S_SYN_SENT || (ch->conn && ch->conn->connect_ns);

	return ours && (ch->new_state == TCP_S_ESTABLISHED || ch->new_state == TCP_S_CLOSE);
}

enum outcome outcome_of_connect(const struct conn_change *ch, const struct sock *sock)
{
	if (ch->new_state == TCP_S_ESTABLISHED)
		return OUTCOME_OK;
	if (!ch->has_err)
		return OUTCOME_NONE;
	switch (ch->err) {
	case 0: break;
	case L_ECONNREFUSED: return OUTCOME_REFUSED;
	case L_ETIMEDOUT: return OUTCOME_TIMEOUT;
	case L_ENETDOWN:
	case L_ENETUNREACH:
	case L_EHOSTDOWN:
	case L_EHOSTUNREACH: return OUTCOME_UNREACHABLE;
	default: return OUTCOME_ERROR;
	}
	/* connect() itself undid it: no port was found, or no route for the final address */
	if (ch->in_task && sock && sock->has_flow &&
	    (!sock->flow.lport || sock->filled || conn_undid_connect(ch, sock)))
		return OUTCOME_LOCAL_ERROR;
	return OUTCOME_ABORTED;
}

static enum outcome of_abrupt_end(const struct conn_change *ch)
{
	switch (ch->err) {
	case 0: return ch->in_task ? OUTCOME_RESET_LOCAL : OUTCOME_ABORTED;
	case L_ECONNRESET:
	case L_EPIPE: /* RST behind the other end's FIN (tcp_reset) */
	case L_ECONNREFUSED: return OUTCOME_RESET_REMOTE;
	case L_ETIMEDOUT: return OUTCOME_TIMEOUT;
	case L_ENETUNREACH:
	case L_EHOSTUNREACH: return OUTCOME_UNREACHABLE;
	default: return OUTCOME_ERROR;
	}
}

enum outcome outcome_of_close(const struct conn_change *ch)
{
	if (ch->new_state == TCP_S_FIN_WAIT1)
		return OUTCOME_LOCAL_CLOSE;
	if (ch->new_state == TCP_S_CLOSE_WAIT)
		return OUTCOME_REMOTE_CLOSE;
	if (ch->new_state != TCP_S_CLOSE)
		return OUTCOME_NONE;
	if (ch->old_state == TCP_S_ESTABLISHED || ch->old_state == TCP_S_CLOSE_WAIT ||
	    ch->old_state == TCP_S_SYN_RECV)
		return ch->has_err ? of_abrupt_end(ch) : OUTCOME_NONE;
	/* the FINs were under way: an error says that they did not arrive */
	return ch->err ? of_abrupt_end(ch) : OUTCOME_NONE;
}
