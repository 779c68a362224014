// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cells.h"
#include "timeline.h"

#define CHART_HEIGHT 5

static bool is_lost(const void *ctx, uint64_t from_ns, uint64_t to_ns)
{
	const struct timeline *t = ctx;
	size_t n;
	const struct tape_loss *l = tape_reader_losses(input_reader(t->run->in), &n);

	for (size_t i = 0; i < n; i++)
		if (l[i].count && (!l[i].group[0] || !strcmp(l[i].group, "rtt")) &&
		    l[i].from_ns < to_ns && l[i].to_ns >= from_ns)
			return true;
	return false;
}

static bool locale_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return strstr(v, "UTF-8") || strstr(v, "utf8") || strstr(v, "UTF8");
	}
	return false;
}

static unsigned terminal_width(void)
{
	const char *columns_text = getenv("COLUMNS");
	struct winsize size;
	uint64_t n = 0;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		n = size.ws_col;
	else if (!columns_text || !opt_number(columns_text, 1000, &n))
		n = 80;
	return n < 2 * CHART_MARGIN ? 2 * CHART_MARGIN : (unsigned)n;
}

/* A line with a letter where something happened. */
static void draw_marks(const struct timeline *t, const struct chart_look *look, struct text *s)
{
	bool any = t->retransmits.step_ns || t->drops.step_ns || t->resets.step_ns;

	if (!any)
		return;
	text_fmt(s, "%*s ", CHART_MARGIN - 1, "events");
	for (unsigned at = 0; at < look->width; at++) {
		uint64_t from = chart_column_ns(look, at), to = chart_column_ns(look, at + 1);

		to = at + 1 == look->width ? UINT64_MAX : to;
		text_putc(s, chart_has(&t->resets, from, to)	    ? 'X'
			     : chart_has(&t->drops, from, to)	    ? 'D'
			     : chart_has(&t->retransmits, from, to) ? 'R'
								    : ' ');
	}
	while (s->s && s->s[s->len - 1] == ' ')
		s->len--;
	text_puts(s, "\n");
	text_fmt(s, "%*sR retransmit  D drop  X reset\n", CHART_MARGIN, "");
}

static void draw_title(const struct timeline *t, struct text *s)
{
	char end[FLOW_END_LEN];

	text_fmt(s, "\nconnection 0x%" PRIx64, t->cookie);
	if (t->has_flow) {
		text_fmt(s, ", %s", flow_end_text(t->flow.laddr, t->flow.lport, end));
		text_fmt(s, " to %s", flow_end_text(t->flow.raddr, t->flow.rport, end));
	}
	text_putc(s, '\n');
}

void timeline_draw(struct timeline *t)
{
	struct {
		const char *title, *unit;
		const struct chart *c;
		double per;
	} parts[] = {{"round-trip time", "ms", &t->rtt, 1000},
		     {"segments in flight", "", &t->in_flight, 1},
		     {"congestion window, segments", "", &t->cwnd, 1}};
	struct chart_look look = {.width = terminal_width() - CHART_MARGIN - 1,
				  .height = CHART_HEIGHT,
				  .from_ns = t->first_ns,
				  .to_ns = t->last_ns};
	struct text *s;

	look.utf8 = t->opts->chart ? !strcmp(t->opts->chart, "utf8") : locale_is_utf8();
	s = out_line(t->run->out);
	draw_title(t, s);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i].c->step_ns)
			continue;
		text_fmt(s, "%*s%s\n", CHART_MARGIN, "", parts[i].title);
		chart_draw(parts[i].c, &look, parts[i].per, parts[i].unit, is_lost, t, s);
	}
	draw_marks(t, &look, s);
	text_fmt(s, "%*s+%.6fs to +%.6fs\n", CHART_MARGIN, "",
		 input_seconds(t->run->in, t->first_ns), input_seconds(t->run->in, t->last_ns));
	s->len--; /* the line's end is out's */
	out_end_line(t->run->out);
}
