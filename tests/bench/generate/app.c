// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Applications: servers and loads as they behave in the recordings that were measured. nginx
 * answers what it has read; redis-server reads all it can, then answers; wrk and redis-benchmark
 * read what came, and ask again when epoll tells them that they may.
 */
#include <stdlib.h>
#include <string.h>

#include "gen.h"

#define ROOM 16384	   /* of a read */
#define LOW_WATER 1700000u /* a sender waits until no more is in its buffer */
#define LARGE_ROOM 102400
#define PAUSE_MS 12

static uint32_t answer_size(struct machine *m, const struct app *app)
{
	return app->answer + (app->answer_spread ? gen_below(m, app->answer_spread) : 0);
}

/* ---- the client ---- */

static void open_conn(struct machine *m, struct cpu *c, struct actor *a)
{
	struct conn *cn = tcp_conn_new(m, a);

	a->n_open++;
	cn->e[0].left = a->app->exchanges;
	tcp_connect(m, c, &cn->e[0]);
}

static void on_thought(struct machine *m, void *arg)
{
	struct end *e = arg;

	e->queued &= (uint8_t)~W_THINK;
	if (e->dead)
		tcp_forget(m, e);
	else
		gen_wake(m, e->actor, e, W_WRITE, m->now);
}

/* The next request, after the time that the user takes. */
static void ask_soon(struct machine *m, struct end *e, uint64_t tick)
{
	uint32_t us = e->conn->app->think_us;

	if (!us) {
		gen_wake(m, e->actor, e, W_WRITE, tick);
		return;
	}
	e->queued |= W_THINK;
	gen_timer(m, tick + (uint64_t)gen_below(m, 2 * us) * TICKS_US, on_thought, e);
}

void app_connected(struct machine *m, struct cpu *c, struct end *e)
{
	ask_soon(m, e, c->tick);
}

static void ask(struct machine *m, struct cpu *c, struct end *e)
{
	const struct app *app = e->conn->app;

	if (e->state != ESTABLISHED)
		return;
	for (uint32_t i = 0; i < app->pipeline; i++) {
		uint32_t n = answer_size(m, app);

		e->want += n;
		e->peer->to_send += n;
	}
	tcp_send(m, c, e, app->request * app->pipeline);
}

/* Its connection is over: another one, unless the load is. */
static void ended(struct machine *m, struct cpu *c, struct actor *a)
{
	a->n_open--;
	if (!a->stopping)
		open_conn(m, c, a);
}

static void on_budget(struct machine *m, void *arg)
{
	struct end *e = arg;

	e->queued &= (uint8_t)~W_THINK;
	e->budget += (int64_t)e->conn->app->bytes_ms * PAUSE_MS;
	if (e->dead)
		tcp_forget(m, e);
	else if (e->queue)
		gen_wake(m, e->actor, e, W_READ, m->now);
}

/* A client with a limit sleeps when it is ahead of it. Whether it does. */
static bool pause(struct machine *m, struct cpu *c, struct end *e, uint32_t got)
{
	if (!e->conn->app->bytes_ms)
		return false;
	e->budget -= got;
	if (e->budget > 0)
		return false;
	e->queued |= W_THINK;
	gen_timer(m, c->tick + PAUSE_MS * (uint64_t)TICKS_MS, on_budget, e);
	return true;
}

static void client_readable(struct machine *m, struct cpu *c, struct end *e)
{
	const struct app *app = e->conn->app;
	struct actor *a = e->actor;
	uint32_t got;

	if (a->stopping && app->aborts) { /* with the answer unread */
		a->n_open--;
		tcp_abort(m, c, e);
		return;
	}
	if (e->queued & W_THINK)
		return;
	got = tcp_recv(m, c, e, app->bytes_ms ? LARGE_ROOM : ROOM);
	e->have += got;
	if (!pause(m, c, e, got) && e->queue)
		gen_wake(m, a, e, W_READ, c->tick);
	if (e->have >= e->want && e->want) {
		m->truth.exchanges += app->pipeline;
		e->have = e->want = 0;
		if (app->exchanges)
			e->left--;
		if ((!app->exchanges && !a->stopping) || e->left)
			ask_soon(m, e, c->tick);
		else if (!app->server_closes)
			goto close;
	}
	if (!e->fin_came)
		return;
close:
	tcp_close(m, c, e);
	ended(m, c, a);
}

/* ---- the server ---- */

static void answer(struct machine *m, struct cpu *c, struct end *e)
{
	uint32_t n = e->to_send;

	if (e->state != ESTABLISHED && e->state != CLOSE_WAIT)
		return;
	e->to_send = 0;
	tcp_send(m, c, e, n);
	if (e->conn->app->server_closes)
		tcp_close(m, c, e);
}

/* A part of a long answer after the other, while there is room. */
static void answer_on(struct machine *m, struct cpu *c, struct end *e)
{
	e->rest += e->to_send;
	e->to_send = 0;
	if (e->state == ESTABLISHED && e->rest && tcp_send_part(m, c, e) && e->rest)
		gen_wake(m, e->actor, e, W_WRITE, c->tick);
}

void app_writable(struct machine *m, struct cpu *c, struct end *e)
{
	if (!e->blocked || e->orphan || e->write_seq - e->snd_una > LOW_WATER)
		return;
	e->blocked = false;
	gen_wake(m, e->actor, e, W_WRITE, c->tick);
}

static void server_readable(struct machine *m, struct cpu *c, struct end *e)
{
	const struct app *app = e->conn->app;

	if (e->state == CLOSE) {
		emit_recv(m, c, e, 0, e->err);
		tcp_done(m, c, e, true);
		return;
	}
	e->have += tcp_recv(m, c, e, ROOM);
	if (e->have >= app->request * app->pipeline) {
		e->have -= app->request * app->pipeline;
		if (app->batch)
			e->actor->answers[e->actor->n_answers++] = e;
		else if (app->bytes_ms)
			answer_on(m, c, e);
		else
			answer(m, c, e);
	}
	if (e->fin_came && !e->queue && !e->orphan)
		tcp_close(m, c, e);
}

/* ---- threads ---- */

void app_readable(struct machine *m, struct cpu *c, struct end *e)
{
	if (!e->orphan)
		gen_wake(m, e->actor, e, W_READ, c->tick);
}

static void work_on(struct machine *m, struct cpu *c, struct actor *a, const struct work *w)
{
	struct end *e = w->end;

	if (w->what == W_CONNECT) {
		open_conn(m, c, a);
		return;
	}
	e->queued &= (uint8_t)~w->what;
	tcp_lock(c, e);
	if (!e->dead && !e->orphan) {
		if (w->what == W_READ)
			(e->is_server ? server_readable : client_readable)(m, c, e);
		else
			(!e->is_server		  ? ask
			 : e->conn->app->bytes_ms ? answer_on
						  : answer)(m, c, e);
	}
	tcp_unlock(c, e);
	tcp_forget(m, e);
}

void app_step(struct machine *m, struct cpu *c, struct actor *a)
{
	struct work w;

	if (a->n_answers && !a->n_batch) {
		w = (struct work){a->answers[--a->n_answers], c->tick, W_WRITE};
		work_on(m, c, a, &w);
		return;
	}
	if (!a->n_batch)
		a->n_batch = a->n;
	a->n_batch--;
	w = a->ring[a->first];
	a->first = (a->first + 1) & (a->cap - 1);
	a->n--;
	work_on(m, c, a, &w);
}

/* ---- loads ---- */

static void fill_task(struct ev_task *t, uint32_t pid, const char *comm)
{
	t->cgroup = 1;
	t->pid = t->tid = pid;
	strncpy(t->comm.s, comm, sizeof(t->comm.s));
}

static struct actor *add_actor(struct machine *m, const struct app *app, const char *comm,
			       uint32_t cpu)
{
	struct actor *a = &m->actors[m->n_actors++];

	a->app = app;
	a->cpu = cpu;
	fill_task(&a->task, 17000 + 37 * m->n_actors, comm);
	return a;
}

static void exists(struct machine *m, struct actor *client, uint64_t tick)
{
	struct conn *cn = tcp_conn_new(m, client);

	client->n_open++;
	cn->e[0].left = 1 + gen_below(m, 2 * client->app->exchanges);
	for (unsigned i = 0; i < 2; i++) {
		tcp_exists(m, &cn->e[i]);
		if (cn->e[i].seen)
			head_sock(m, &cn->e[i]);
	}
	ask_soon(m, &cn->e[0], tick);
}

struct actor *app_start(struct machine *m, const struct app *app)
{
	uint64_t tick = gen_last_tick(m);
	struct actor *server = NULL, *client = NULL;

	for (unsigned i = 0; i < m->n_actors; i++)
		if (m->actors[i].app == app)
			*(m->actors[i].server ? &client : &server) = &m->actors[i];
	if (!server) {
		server = add_actor(m, app, app->server, 0);
		server->answers = calloc(app->n_conns, sizeof(struct end *));
		if (!server->answers)
			gen_die("generate");
		server->listener.cookie = m->next_cookie++;
		server->listener.netns = m->path->netns[1];
		server->listener.family = 2;
		server->listener.protocol = 6;
		server->listener.flow.lport = app->port;
		memset(server->listener.flow.laddr.b + 10, 0xff, 2);
		memset(server->listener.flow.raddr.b + 10, 0xff, 2);
		head_listener(m, server);
		client = add_actor(m, app, app->client,
				   m->path->kind == PATH_WIRE ? REMOTE : m->two_cpus);
		client->server = server;
		client->path = m->path;
	}
	client->stopping = false;
	for (uint32_t i = 0; i < app->n_conns; i++)
		if (app->exists)
			exists(m, client, tick);
		else
			gen_wake(m, client, NULL, W_CONNECT, tick);
	return client;
}
