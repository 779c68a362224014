/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user who called sudo: the owner of the output, and who COMMAND runs as. */
#ifndef REC_SUDO_H
#define REC_SUDO_H

#include <stdbool.h>
#include <sys/types.h>

/* SUDO_UID and SUDO_GID, if both are set and we are root; else false. */
bool rec_sudo_user(uid_t *ret_uid, gid_t *ret_gid);

struct rec_owner {
	uid_t uid;
	gid_t gid;
};

/* Whose the output is: that user's, else our own. Before root is left. */
struct rec_owner rec_sudo_owner(void);

#endif
