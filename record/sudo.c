/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "sudo.h"

static bool parse_id(const char *name, unsigned long *ret)
{
	const char *value = getenv(name);
	char *end;

	if (!value || *value < '0' || *value > '9')
		return false;
	errno = 0;
	*ret = strtoul(value, &end, 10);
	return !*end && !errno && *ret < 0xffffffffu; /* (uid_t)-1 means "leave it" to chown */
}

bool rec_sudo_user(uid_t *ret_uid, gid_t *ret_gid)
{
	unsigned long uid, gid;

	if (geteuid() || !parse_id("SUDO_UID", &uid) || !parse_id("SUDO_GID", &gid))
		return false;
	*ret_uid = (uid_t)uid;
	*ret_gid = (gid_t)gid;
	return true;
}

struct rec_owner rec_sudo_owner(void)
{
	struct rec_owner o = {geteuid(), getegid()};

	rec_sudo_user(&o.uid, &o.gid);
	return o;
}
