/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "netfilter.h"
#include "netns.h"

#define CHECK_NS                                                                                   \
	150000000ull	       /* less than the session's timer, so that each of its rounds counts \
				*/
#define CHECK_MAX 128	       /* namespaces looked at in a round: about 2 us each */
#define NAME_LOOKS 5	       /* rounds, after /run/netns has changed: mounts come later */
#define LOOK_NS 30000000000ull /* look for namespaces that nothing has told of */
#define MAX_SHARE 50	       /* a look is followed by at least so many times its CPU time */
#define MAX_PRIORITIES 64      /* tried, as BPF programs at a hook must differ in priority */
#define CMD_LINK_CREATE 28     /* linux/bpf.h has netfilter's part of it since Linux 6.4 */
#define ATTACH_NETFILTER 45

struct hook {
	const char *target;
	uint32_t family, hook;
	int32_t priority; /* the best; INT_MIN and INT_MAX themselves are refused */
	int32_t step;	  /* to the next best */
};

static const struct hook hooks[REC_NETFILTER_HOOKS] = {
	{"ipv4/pre_routing", NFPROTO_IPV4, NF_INET_PRE_ROUTING, INT_MIN + 1, 1},
	{"ipv6/pre_routing", NFPROTO_IPV6, NF_INET_PRE_ROUTING, INT_MIN + 1, 1},
	{"ipv4/local_in", NFPROTO_IPV4, NF_INET_LOCAL_IN, INT_MIN + 1, 1},
	{"ipv6/local_in", NFPROTO_IPV6, NF_INET_LOCAL_IN, INT_MIN + 1, 1},
	{"ipv4/local_out", NFPROTO_IPV4, NF_INET_LOCAL_OUT, INT_MIN + 1, 1},
	{"ipv6/local_out", NFPROTO_IPV6, NF_INET_LOCAL_OUT, INT_MIN + 1, 1},
	{"ipv4/post_routing", NFPROTO_IPV4, NF_INET_POST_ROUTING, INT_MAX - 1, -1},
	{"ipv6/post_routing", NFPROTO_IPV6, NF_INET_POST_ROUTING, INT_MAX - 1, -1},
};

struct link_create { /* of union bpf_attr */
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint32_t family, hook;
	int32_t priority;
	uint32_t netfilter_flags;
	uint64_t rest[4];
};

/* In the namespace that we are in. A descriptor, or -errno. */
static int create_link(const struct hook *h, int prog_fd)
{
	struct link_create attr = {
		.prog_fd = (uint32_t)prog_fd,
		.attach_type = ATTACH_NETFILTER,
		.family = h->family,
		.hook = h->hook,
		.priority = h->priority,
	};
	long fd = -1;

	for (int i = 0; i < MAX_PRIORITIES; i++) {
		fd = syscall(SYS_bpf, CMD_LINK_CREATE, &attr, sizeof(attr));
		if (fd >= 0 || errno != EBUSY) /* another recorder, say */
			break;
		attr.priority += h->step;
	}
	return fd < 0 ? -errno : (int)fd;
}

void rec_netfilter_init(struct rec_netfilter *nf)
{
	*nf = (struct rec_netfilter){.home = -1};
	for (int i = 0; i < REC_NETFILTER_HOOKS; i++)
		nf->progs[i] = -1;
}

static void close_links(struct rec_netfilter_netns *ns)
{
	for (int i = 0; i < REC_NETFILTER_HOOKS; i++) {
		if (ns->links[i] >= 0)
			close(ns->links[i]);
		ns->links[i] = -1;
	}
}

void rec_netfilter_close(struct rec_netfilter *nf)
{
	for (size_t i = 0; i < nf->n_netns; i++)
		close_links(&nf->netns[i]);
	free(nf->netns);
	if (nf->any && nf->home >= 0)
		close(nf->home);
	rec_netfilter_init(nf);
}

static struct rec_netfilter_netns *add_netns(struct rec_netfilter *nf, uint32_t inode)
{
	size_t cap = nf->cap_netns ? 2 * nf->cap_netns : 16;
	struct rec_netfilter_netns *ns = nf->netns;

	if (nf->n_netns == nf->cap_netns) {
		ns = realloc(ns, cap * sizeof(*ns));
		if (!ns)
			return NULL;
		nf->netns = ns;
		nf->cap_netns = cap;
	}
	ns = &nf->netns[nf->n_netns++];
	*ns = (struct rec_netfilter_netns){.inode = inode};
	for (int i = 0; i < REC_NETFILTER_HOOKS; i++)
		ns->links[i] = -1;
	return ns;
}

static int open_home(struct rec_netfilter *nf)
{
	struct stat st;

	if (nf->any)
		return 0;
	nf->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (nf->home < 0 || fstat(nf->home, &st) < 0)
		return -errno;
	nf->any = true;
	return add_netns(nf, (uint32_t)st.st_ino) ? 0 : -ENOMEM;
}

int rec_netfilter_attach(struct rec_netfilter *nf, const char *target, int prog_fd)
{
	int i = 0, fd = open_home(nf);

	while (i < REC_NETFILTER_HOOKS && strcmp(hooks[i].target, target))
		i++;
	if (fd < 0 || i == REC_NETFILTER_HOOKS)
		return fd < 0 ? fd : -EINVAL;
	fd = create_link(&hooks[i], prog_fd);
	if (fd < 0)
		return fd;
	nf->netns[0].links[i] = fd;
	nf->progs[i] = prog_fd;
	return 0;
}

/* A link is a descriptor, so a machine with many namespaces needs more than the usual 1024. */
static bool raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == l.rlim_max)
		return false;
	l.rlim_cur = l.rlim_max;
	return !setrlimit(RLIMIT_NOFILE, &l);
}

/* In the namespace of ns. 0, or -errno; links that were made stay. */
static int create_links(struct rec_netfilter *nf, struct rec_netfilter_netns *ns)
{
	for (int i = 0; i < REC_NETFILTER_HOOKS; i++) {
		int fd = nf->progs[i] < 0 ? -1 : create_link(&hooks[i], nf->progs[i]);

		if (fd == -EMFILE && raise_limit())
			fd = create_link(&hooks[i], nf->progs[i]);
		if (nf->progs[i] >= 0 && fd < 0)
			return fd;
		ns->links[i] = fd;
	}
	return 0;
}

/* A namespace that cannot be covered stays in the list, without links: it is tried only once. */
static void cover(struct rec_netfilter *nf, const struct rec_netns *found)
{
	int fd = open(found->path, O_RDONLY | O_CLOEXEC), e = 0;
	struct rec_netfilter_netns *ns;
	struct stat st;

	if (fd < 0)
		return; /* it is gone */
	if (fstat(fd, &st) < 0 || (uint32_t)st.st_ino != found->inode) {
		close(fd);
		return;
	}
	ns = add_netns(nf, found->inode);
	if (!ns)
		e = -ENOMEM;
	else if (setns(fd, CLONE_NEWNET) < 0)
		e = -errno;
	close(fd);
	if (!e) {
		snprintf(ns->path, sizeof(ns->path), "%s", found->path);
		e = create_links(nf, ns);
		setns(nf->home, CLONE_NEWNET);
	}
	if (e)
		snprintf(nf->trouble, sizeof(nf->trouble),
			 "network namespace %u: no netfilter hooks: %s", found->inode,
			 strerror(-e));
}

static struct rec_netfilter_netns *by_inode(const struct rec_netfilter *nf, uint32_t inode)
{
	for (size_t i = 0; i < nf->n_netns; i++) {
		if (nf->netns[i].inode == inode)
			return &nf->netns[i];
	}
	return NULL;
}

/* Let go of the namespaces that are not in the list. */
static void let_go(struct rec_netfilter *nf, const struct rec_netns_list *l)
{
	size_t n = 1;

	for (size_t i = 1; i < nf->n_netns; i++) {
		struct rec_netfilter_netns *ns = &nf->netns[i];
		const struct rec_netns *found = rec_netns_by_inode(l, ns->inode);

		if (!found) {
			close_links(ns);
			continue;
		}
		snprintf(ns->path, sizeof(ns->path), "%s", found->path);
		nf->netns[n++] = *ns;
	}
	nf->n_netns = n;
}

/* True if a namespace is covered that the list does not have. */
static bool lacks_one(const struct rec_netfilter *nf, const struct rec_netns_list *l)
{
	for (size_t i = 1; i < nf->n_netns; i++) {
		if (!rec_netns_by_inode(l, nf->netns[i].inode))
			return true;
	}
	return false;
}

static void cover_all(struct rec_netfilter *nf, const struct rec_netns_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!by_inode(nf, l->v[i].inode))
			cover(nf, &l->v[i]);
	}
}

void rec_netfilter_look(struct rec_netfilter *nf)
{
	struct rec_netns_list l;

	if (!nf->any)
		return;
	rec_netns_find(&l);
	if (lacks_one(nf, &l)) { /* a process may have forked and ended while /proc was read */
		rec_netns_free(&l);
		rec_netns_find(&l);
	}
	let_go(nf, &l);
	cover_all(nf, &l);
	rec_netns_free(&l);
}

static void look_at_names(struct rec_netfilter *nf)
{
	struct rec_netns_list l;

	rec_netns_find_named(&l);
	cover_all(nf, &l);
	rec_netns_free(&l);
}

/* True if one of the next namespaces is not any more where it was. */
static bool one_has_gone(struct rec_netfilter *nf)
{
	struct stat st;

	for (size_t k = 0; k < CHECK_MAX && k < nf->n_netns; k++) {
		size_t i = nf->next_check++ % nf->n_netns;

		if (i &&
		    (stat(nf->netns[i].path, &st) < 0 || (uint32_t)st.st_ino != nf->netns[i].inode))
			return true;
	}
	return false;
}

static bool names_have_changed(struct rec_netfilter *nf)
{
	struct stat st;
	int64_t ns = 0;
	bool changed;

	if (!stat("/run/netns", &st))
		ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	changed = ns != nf->names_ns;
	nf->names_ns = ns;
	return changed;
}

void rec_netfilter_check(struct rec_netfilter *nf, uint64_t now_ns, unsigned n_met)
{
	uint64_t cpu = rec_thread_cpu_ns();

	if (!nf->any || now_ns < nf->check_ns)
		return;
	nf->check_ns = now_ns + CHECK_NS;
	if (names_have_changed(nf))
		nf->n_name_looks = NAME_LOOKS;
	if (nf->n_name_looks) {
		nf->n_name_looks--;
		look_at_names(nf);
	}
	nf->stale |= one_has_gone(nf) || n_met > nf->n_met || now_ns > nf->look_ns + LOOK_NS;
	nf->n_met = n_met;
	if (!nf->stale || now_ns < nf->look_ns)
		return;
	nf->stale = false;
	rec_netfilter_look(nf);
	nf->look_ns = now_ns + MAX_SHARE * (rec_thread_cpu_ns() - cpu);
}
