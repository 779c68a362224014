// SPDX-License-Identifier: GPL-2.0-or-later
/* Time, chance, processors, and what goes to the writer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"
#include "gaps.h"

#define DEFAULT_GAP 100 /* ticks, of a pair that was seen too rarely to be measured */

static const struct {
	const struct gap *gaps;
	size_t n;
	const struct stalls *stalls;
} tables[N_PROFILES] = {
#define TABLE_OF(p)                                                                                \
	{                                                                                          \
		gaps_##p, sizeof(gaps_##p) / sizeof(gaps_##p[0]), &stalls_##p                      \
	}
	[P_KEEP] = TABLE_OF(keep), [P_REDIS] = TABLE_OF(redis), [P_SHORT] = TABLE_OF(short),
	[P_BULK] = TABLE_OF(bulk), [P_VETH] = TABLE_OF(veth),
};

void gen_die(const char *what)
{
	perror(what);
	exit(1);
}

static void *grown(void *p, size_t n, size_t size)
{
	p = realloc(p, n * size);
	if (!p)
		gen_die("generate");
	return p;
}

#define ARENA_LEN (256u << 10)
struct arena {
	struct arena *next;
	size_t used;
	uint64_t bytes[ARENA_LEN / 8]; /* aligned for all that goes in */
};

void *gen_alloc(struct machine *m, size_t size)
{
	size = (size + 7) & ~(size_t)7;
	if (!m->arena || m->arena->used + size > ARENA_LEN) {
		struct arena *a = grown(NULL, 1, sizeof(*a));

		a->next = m->arena;
		a->used = 0;
		m->arena = a;
	}
	m->arena->used += size;
	return (uint8_t *)m->arena->bytes + m->arena->used - size;
}

/* ---- chance: xoshiro256** of Blackman and Vigna, seeded by splitmix64 ---- */

static uint64_t rotl(uint64_t v, int k)
{
	return v << k | v >> (64 - k);
}

uint64_t gen_random(struct machine *m)
{
	uint64_t *s = m->random, ret = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return ret;
}

uint32_t gen_below(struct machine *m, uint32_t n)
{
	return (uint32_t)((gen_random(m) >> 32) * n >> 32);
}

static void seed(struct machine *m)
{
	uint64_t state = m->opts.seed;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t z = state += 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		m->random[i] = z ^ (z >> 31);
	}
}

/* ---- time ---- */

uint64_t gen_ns(uint64_t tick)
{
	return tick * TICK_PS / 1000;
}

uint32_t gen_us(uint64_t ticks)
{
	return (uint32_t)(ticks * TICK_PS / 1000000);
}

void gen_at(struct machine *m, struct cpu *c, enum kind kind)
{
	unsigned row = m->gaps[m->profile][c->last][kind];
	uint32_t ticks = DEFAULT_GAP;

	if (row) {
		const uint16_t *q = tables[m->profile].gaps[row - 1].q;
		uint64_t r = gen_random(m) >> 40;
		unsigned i = r >> 20;

		ticks = q[i] + (uint32_t)((uint32_t)(q[i + 1] - q[i]) * (r & 0xfffff) >> 20);
	}
	c->tick += ticks ? ticks : 1;
	c->last = kind;
}

/*
 * The machine has other things to do too. Of two processors that work for each other more than half
 * of what was measured are waits for the other one, which come by themselves.
 */
static void stall(struct machine *m, struct cpu *c)
{
	const struct stalls *s = tables[m->profile].stalls;
	uint64_t r = gen_random(m) >> 40;
	unsigned i = r >> 20;

	uint64_t ticks = (uint64_t)TICKS_US * (m->two_cpus ? 2 : 5) / 5;

	if (c->stall_at)
		c->tick += (s->us[i] + ((s->us[i + 1] - s->us[i]) * (r & 0xfffff) >> 20)) * ticks;
	c->stall_at = c->tick + gen_below(m, 2 * s->every_us) * ticks;
	c->last = K_NONE;
}

/* ---- events ---- */

void *gen_event(struct machine *m, struct cpu *c, uint32_t group, unsigned id, size_t size)
{
	struct ev_head *h;

	if (!(m->opts.groups & group) || c == &m->cpus[REMOTE])
		return NULL;
	if (c->fifo_end + size > c->fifo_cap) {
		memmove(c->fifo, c->fifo + c->fifo_first, c->fifo_end - c->fifo_first);
		c->fifo_end -= c->fifo_first;
		c->fifo_first = 0;
		if (c->fifo_end + size > c->fifo_cap / 2) {
			c->fifo_cap = 2 * (c->fifo_cap + size);
			c->fifo = grown(c->fifo, c->fifo_cap, 1);
		}
	}
	h = (struct ev_head *)(c->fifo + c->fifo_end);
	c->fifo_end += size;
	memset(h, 0, size);
	h->ts_ns = gen_ns(c->tick);
	h->cpu = (uint32_t)(c - m->cpus);
	h->type = (uint16_t)id;
	h->size = (uint16_t)size;
	return h;
}

static struct ev_head *first_event(struct cpu *c)
{
	return c->fifo_first < c->fifo_end ? (struct ev_head *)(c->fifo + c->fifo_first) : NULL;
}

static void write_event(struct machine *m, struct cpu *c, const struct ev_head *h)
{
	if (tape_writer_event(m->writer, h, &m->err))
		m->failed = true;
	m->n_events++;
	c->fifo_first += h->size;
	if (c->fifo_first == c->fifo_end)
		c->fifo_first = c->fifo_end = 0;
}

/* A chunk is closed after a second, as the recorder does; the clocks are read as often. */
static void write_clock(struct machine *m, uint64_t ns)
{
	struct tape_clock clock = {ns, 1790000000000000000u + ns, ns, 60};

	if (m->next_clock && tape_writer_flush(m->writer, ns, &m->err))
		m->failed = true;
	if (tape_writer_clock(m->writer, &clock, &m->err))
		m->failed = true;
	m->next_clock = ns + 1000000000;
}

void gen_flush(struct machine *m, uint64_t floor_tick)
{
	uint64_t floor_ns = floor_tick == UINT64_MAX ? UINT64_MAX : gen_ns(floor_tick);

	for (;;) {
		struct cpu *first = NULL;

		for (unsigned i = 0; i < MAX_CPUS; i++) {
			struct cpu *c = &m->cpus[i];

			if (first_event(c) &&
			    (!first || first_event(c)->ts_ns < first_event(first)->ts_ns))
				first = c;
		}
		if (!first || first_event(first)->ts_ns >= floor_ns || m->failed)
			return;
		if (first_event(first)->ts_ns >= m->next_clock)
			write_clock(m, first_event(first)->ts_ns);
		write_event(m, first, first_event(first));
	}
}

/* ---- timers: a heap, equal ones in the order in which they were set ---- */

static bool earlier(const struct timer *a, const struct timer *b)
{
	return a->tick != b->tick ? a->tick < b->tick : a->order < b->order;
}

void gen_timer(struct machine *m, uint64_t tick, void (*fire)(struct machine *, void *), void *arg)
{
	struct timer t = {tick, m->order++, fire, arg};
	size_t i = m->n_timers++;

	if (i == m->cap_timers) {
		m->cap_timers = m->cap_timers ? 2 * m->cap_timers : 64;
		m->timers = grown(m->timers, m->cap_timers, sizeof(t));
	}
	for (; i && earlier(&t, &m->timers[(i - 1) / 2]); i = (i - 1) / 2)
		m->timers[i] = m->timers[(i - 1) / 2];
	m->timers[i] = t;
}

static struct timer take_timer(struct machine *m)
{
	struct timer ret = m->timers[0], last = m->timers[--m->n_timers];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < m->n_timers) {
		if (k + 1 < m->n_timers && earlier(&m->timers[k + 1], &m->timers[k]))
			k++;
		if (!earlier(&m->timers[k], &last))
			break;
		m->timers[i] = m->timers[k];
		i = k;
	}
	m->timers[i] = last;
	return ret;
}

/* ---- threads ---- */

static void push_work(struct actor *a, struct end *e, unsigned what, uint64_t tick)
{
	if (a->n == a->cap) {
		uint32_t cap = a->cap ? 2 * a->cap : 64;
		struct work *more = grown(NULL, cap, sizeof(*more));

		for (uint32_t i = 0; i < a->n; i++)
			more[i] = a->ring[(a->first + i) & (a->cap - 1)];
		free(a->ring);
		a->ring = more;
		a->cap = cap;
		a->first = 0;
	}
	a->ring[(a->first + a->n++) & (a->cap - 1)] = (struct work){e, tick, (uint8_t)what};
}

/* From tick on the thread has something to do with that socket. */
void gen_wake(struct machine *m, struct actor *a, struct end *e, unsigned what, uint64_t tick)
{
	struct cpu *c = &m->cpus[a->cpu];

	if (e && (e->queued & what))
		return;
	if (e)
		e->queued |= (uint8_t)what;
	push_work(a, e, what, tick);
	if (a->queued)
		return;
	a->queued = true;
	if (c->n_run && gen_below(m, 256) < a->app->preempts && !a->server) {
		memmove(&c->run[1], &c->run[0], c->n_run++ * sizeof(c->run[0]));
		c->run[0] = a;
	} else {
		c->run[c->n_run++] = a;
	}
}

/* The thread that runs goes on until it has nothing to do; then the next one's turn comes. */
static void run_cpu(struct machine *m, struct cpu *c)
{
	struct actor *a = c->run[0];
	unsigned i = 0;

	app_step(m, c, a);
	if (a->n || a->n_answers)
		return;
	a->queued = false;
	while (c->run[i] != a) /* it may have woken one that ran at once */
		i++;
	c->n_run--;
	memmove(&c->run[i], &c->run[i + 1], (c->n_run - i) * sizeof(c->run[0]));
}

/* When it will be able to go on. */
static uint64_t ready(const struct cpu *c)
{
	const struct actor *a = c->run[0];
	uint64_t tick = a->n && !a->n_answers ? a->ring[a->first].tick : 0;

	return tick > c->tick ? tick : c->tick;
}

bool gen_step(struct machine *m)
{
	struct cpu *c = NULL;

	for (unsigned i = 0; i <= REMOTE; i++)
		if (m->cpus[i].n_run && (!c || ready(&m->cpus[i]) < ready(c)))
			c = &m->cpus[i];
	if (m->n_timers && (!c || m->timers[0].tick <= ready(c))) {
		struct timer t = take_timer(m);

		gen_flush(m, t.tick);
		m->now = t.tick;
		t.fire(m, t.arg);
		return true;
	}
	if (!c)
		return false;
	gen_flush(m, ready(c));
	if (c->tick < ready(c)) {
		c->tick = ready(c);
		c->last = K_NONE;
	}
	if (c->tick > c->stall_at && c != &m->cpus[REMOTE])
		stall(m, c);
	run_cpu(m, c);
	return true;
}

/* ---- beginning and end ---- */

void gen_init(struct machine *m, int fd)
{
	struct tape_writer_opts wo = {.writer = "generate " TCPTAPE_VERSION,
				      .n_cpus = MAX_CPUS,
				      .start_ns = gen_ns(START_TICK),
				      .chunk_events = (uint32_t)m->opts.chunk,
				      .level = m->opts.level,
				      .names = "name\tdrop_reason\t5\tQDISC_DROP\n"
					       "name\tdrop_reason\t6\tQUEUE_PURGE\n"
					       "name\trst_reason\t16\tTCP_ABORT_ON_CLOSE\n"};

	seed(m);
	wo.file_id = gen_random(m);
	m->next_cookie = 0x100 + gen_below(m, 0x100);
	m->next_port = gen_below(m, 14000);
	for (unsigned p = 0; p < N_PROFILES; p++)
		for (size_t i = 0; i < tables[p].n; i++)
			m->gaps[p][tables[p].gaps[i].from][tables[p].gaps[i].to] =
				(uint16_t)(i + 1);
	m->cpus[REMOTE].tick = START_TICK;
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		m->cpus[i].tick = START_TICK;
		m->cpus[i].fifo_cap = 1 << 16;
		m->cpus[i].fifo = grown(NULL, m->cpus[i].fifo_cap, 1);
	}
	if (tape_writer_open(&m->writer, fd, &wo, &m->err))
		m->failed = true;
}

uint64_t gen_last_tick(const struct machine *m)
{
	uint64_t ret = m->now > START_TICK ? m->now : START_TICK;

	for (unsigned i = 0; i < MAX_CPUS; i++)
		ret = m->cpus[i].tick > ret ? m->cpus[i].tick : ret;
	return ret;
}

void gen_finish(struct machine *m)
{
	if (m->sampled_at)
		sample_take(m, SAMPLE_LAST);
	gen_flush(m, UINT64_MAX);
	if (!m->failed && tape_writer_close(m->writer, gen_ns(gen_last_tick(m)) + 1, &m->err))
		m->failed = true;
}

void gen_fini(struct machine *m)
{
	for (unsigned i = 0; i <= REMOTE; i++) {
		free(m->cpus[i].fifo);
		free(m->cpus[i].backlog);
	}
	for (unsigned i = 0; i < m->n_actors; i++) {
		free(m->actors[i].ring);
		free(m->actors[i].answers);
	}
	while (m->arena) {
		struct arena *next = m->arena->next;

		free(m->arena);
		m->arena = next;
	}
	free(m->timers);
	tape_writer_free(m->writer);
}

void dist_add(struct dist *d, uint64_t v)
{
	if (!d->n || v < d->min)
		d->min = v;
	if (v > d->max)
		d->max = v;
	d->n++;
	d->sum += v;
	d->cells[dist_cell(v)]++;
}

/* Exact below DIST_EXACT, else by the first nine bits. */
uint32_t dist_cell(uint64_t v)
{
	unsigned shift = 0;

	if (v < DIST_EXACT)
		return (uint32_t)v;
	while (v >> shift >= 512)
		shift++;
	return DIST_EXACT + shift * 256 + (uint32_t)(v >> shift) - 256;
}

uint64_t dist_value(uint32_t cell)
{
	uint32_t above = cell - DIST_EXACT;

	return cell < DIST_EXACT ? cell : (uint64_t)(above % 256 + 256) << above / 256;
}
