// SPDX-License-Identifier: GPL-2.0-or-later
// Draws what tcptape report found. All text of the trace becomes text nodes, never markup.
"use strict";
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const axis = D.axis;
const times = Array.from({length: axis.n}, (_, i) => axis.from_s + i * axis.step_s);
const charts = [];
const LIGHT = {
	text: "#1b1f24", dim: "#59636e", grid: "#e3e7eb", loss: "rgba(179,38,30,0.16)",
	lines: ["#0a5fb4", "#b45f06", "#8e24aa", "#59636e"], heat: [[214, 232, 250], [6, 48, 102]],
	layers: ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#9c755f", "#edc948", "#7f7f7f"],
};
const DARK = {
	text: "#e4e8ec", dim: "#9aa5b1", grid: "#2b3138", loss: "rgba(255,138,128,0.22)",
	lines: ["#6cb2ff", "#f0a050", "#d79bf0", "#9aa5b1"], heat: [[24, 52, 84], [214, 236, 255]],
	layers: ["#6a98c8", "#f5a352", "#74bd69", "#ee7b7d", "#8fcdc8", "#c795b9", "#b58e77", "#f0d567", "#9a9a9a"],
};
const isDark = matchMedia("(prefers-color-scheme: dark)");
let theme = isDark.matches ? DARK : LIGHT, onPaper = false;

// ---- elements ----
function el(name, attrs, ...children) {
	const e = document.createElement(name);
	for (const [k, v] of Object.entries(attrs || {}))
		e.setAttribute(k, v);
	for (const c of children)
		e.append(c); // a string becomes a text node
	return e;
}
function section(id, title) {
	const h = el("h2", {id: id + "-title"}, title);
	const s = el("section", {id, "aria-labelledby": id + "-title"}, h);
	main.append(s);
	document.getElementById("nav").append(el("li", {}, el("a", {href: "#" + id}, title)));
	return s;
}
function table(caption, columns, rows) {
	const head = el("tr", {});
	for (const c of columns)
		head.append(el("th", c.num ? {scope: "col", class: "num"} : {scope: "col"}, c.title));
	const body = el("tbody", {});
	for (const row of rows) {
		const tr = el("tr", {});
		row.forEach((v, i) => tr.append(el("td", columns[i].num ? {class: "num"} : {}, v)));
		body.append(tr);
	}
	return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption},
		el("table", {"aria-label": caption}, el("thead", {}, head), body));
}

// ---- numbers ----
const count = (n) => n == null ? "-" : n.toLocaleString("en-US");
const plural = (n, one, many) => count(n) + " " + (n === 1 ? one : many || one + "s");
function digits(v) {
	return v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v >= 1 ? v.toFixed(2) : String(+v.toPrecision(2));
}
function us(v) {
	if (v == null)
		return "-";
	return v >= 999500 ? digits(v / 1e6) + " s" : v >= 999.5 ? digits(v / 1e3) + " ms" : digits(v) + " µs";
}
function bytes(v) {
	if (v == null)
		return "-";
	for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])
		if (v >= size)
			return digits(v / size) + " " + unit;
	return v + " B";
}
function seconds(s) {
	if (s == null)
		return "-";
	if (s < 120)
		return +s.toFixed(axis.step_s < 0.01 ? 3 : axis.step_s < 0.1 ? 2 : 1) + " s";
	const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60, rest = String(Math.floor(s % 60)).padStart(2, "0");
	return h ? h + ":" + String(m).padStart(2, "0") + ":" + rest : m + ":" + rest;
}

// ---- charts ----
// Events lost: a band over that time, in every chart.
function drawLosses(u) {
	const {ctx, bbox} = u;
	ctx.save();
	ctx.beginPath();
	ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
	ctx.clip();
	ctx.fillStyle = theme.loss;
	for (const l of D.losses) {
		const x = u.valToPos(l.from_s, "x", true), to = u.valToPos(l.to_s, "x", true);
		ctx.fillRect(x, bbox.top, Math.max(to - x, 2), bbox.height);
	}
	ctx.restore();
}
const timeAxis = () => ({stroke: () => theme.dim, grid: {stroke: () => theme.grid, width: 1},
	ticks: {stroke: () => theme.grid}, values: (u, v) => v.map(seconds)});
const valueAxis = (values, extra) => ({stroke: () => theme.dim, grid: {stroke: () => theme.grid, width: 1},
	ticks: {stroke: () => theme.grid}, size: 76, values, ...extra});
const timeSeries = {label: "time", value: (u, v) => seconds(v)};
const xScale = {time: false, range: () => [axis.from_s, axis.from_s + axis.n * axis.step_s]};

// make: options of uPlot, made anew when the colours change; and draw, what is no series of its own
function chart(parent, label, height, data, make) {
	const box = el("div", {class: "chart", role: "img", "aria-label": label});
	parent.append(box);
	const c = {u: null, box};
	c.draw = () => {
		if (c.u)
			c.u.destroy();
		const o = make();
		o.width = onPaper ? 700 : Math.max(box.clientWidth, 300);
		o.height = height;
		o.legend = {markers: {fill: (u, i) => u.series[i].stroke(u, i)}};
		o.cursor = {sync: {key: "time"}, drag: {x: false, y: false}, points: {show: false}, ...o.cursor};
		o.hooks = {drawClear: [drawLosses], drawAxes: o.draw ? [o.draw] : [], // over the grid
			setCursor: [(u) => u.root.classList.toggle("pointed", u.cursor.idx != null)]};
		c.u = new uPlot(o, data, box);
		c.u.root.querySelector(".u-legend").setAttribute("aria-hidden", "true"); // the figure's table tells all
	};
	c.draw();
	charts.push(c);
}
// A figure's numbers for those who cannot see it, made when it is opened.
function asTable(parent, caption, columns, rows) {
	const d = el("details", {}, el("summary", {}, "The same as a table"));
	d.addEventListener("toggle", () => {
		if (d.open && d.children.length === 1)
			d.append(table(caption, columns, rows()));
	});
	parent.append(d);
}
function logRange(lo, hi) {
	lo = Math.max(lo, 1e-3);
	const ten = 10 ** Math.floor(Math.log10(lo) + 1e-9);
	lo = [5, 2, 1].find((k) => k * ten <= lo * 1.0001) * ten; // begins at a round number
	return [lo, Math.max(hi, lo * 4) * 1.15];
}
// Lines at 1, 10, 100, ...; also at 2 and 5 where there is room.
const logAxis = ([lo, hi]) => valueAxis((u, v) => v.map((x) => us(x).replace(/\.0+ /, " ")), {filter: (u, v) => v, splits: () => {
	const out = [];
	for (let ten = 10 ** Math.floor(Math.log10(lo) + 1e-9); ten <= hi; ten *= 10)
		out.push(...(hi / lo > 200 ? [1] : [1, 2, 5]).map((k) => k * ten).filter((v) => v >= lo * 0.9999 && v <= hi));
	return out;
}});
const cellLow = (c) => {
	const slot = c >> 2, part = c & 3;
	return slot ? 2 ** (slot - 1) * (1 + part / 4) : 0;
};
const cellHigh = (c) => {
	const slot = c >> 2, part = c & 3;
	return slot === 0 ? 1 : slot === 1 ? 2 : slot === 2 ? 2 + (part / 2 + 1) : 2 ** (slot - 1) * (1 + (part + 1) / 4);
};
function mix(part) {
	const [a, b] = theme.heat;
	return "rgb(" + a.map((v, i) => Math.round(v + (b[i] - v) * part)).join(",") + ")";
}
function spread(s) { // bins -> arrays over time, null where nothing was
	const out = [0, 1, 2, 3, 4, 5].map(() => new Array(axis.n).fill(null));
	for (const [bin, ...f] of s.bins)
		f.forEach((v, i) => { out[i][bin] = v; });
	return out;
}
function drawSeries(parent, s) {
	const [n, p50, p90, p99, max, mean] = spread(s);
	const [all, a50, a90, a99, amax] = s.figures;
	const say = plural(all, "value") + ": half of them within " + us(a50) + ", 90 % within " + us(a90) +
		", 99 % within " + us(a99) + ", the longest " + us(amax);
	parent.append(el("h3", {}, s.title), el("p", {}, say + " ", el("span", {class: "dim"}, "(",
		el("code", {}, s.command), ")")));

	const cells = s.cells.map(([bin, c, k]) => [bin, Math.max(cellLow(c) / s.per_us, 0.5 / s.per_us), cellHigh(c) / s.per_us, k]);
	const most = Math.log1p(Math.max(...s.cells.map((c) => c[2])));
	let lo = Infinity, hi = 0;
	for (const [, a, b] of cells) {
		lo = Math.min(lo, a);
		hi = Math.max(hi, b);
	}
	const range = logRange(lo, hi);
	const heat = (u) => {
		const {ctx, bbox} = u;
		ctx.save();
		ctx.beginPath();
		ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
		ctx.clip();
		for (const [bin, a, b, k] of cells) {
			const x = Math.round(u.valToPos(times[bin], "x", true));
			const x2 = Math.round(u.valToPos(times[bin] + axis.step_s, "x", true));
			const y = Math.round(u.valToPos(b, "y", true)), y2 = Math.round(u.valToPos(a, "y", true));
			ctx.fillStyle = mix(Math.log1p(k) / most);
			ctx.fillRect(x, y, Math.max(x2 - x, 1), Math.max(y2 - y, 1));
		}
		ctx.restore();
	};
	const f1 = el("figure", {class: "plain"}, el("figcaption", {class: "dim"}, "How many took how long, over time; a stronger colour is more (logarithmic, up to " +
		count(Math.max(...s.cells.map((c) => c[2]))) + "). Empty columns are time without any."));
	parent.append(f1);
	const hidden = (label, value) => ({label, value, paths: () => null, points: {show: false}});
	chart(f1, s.title + ": heat map over time. " + say, 230, [times, n, p50, max], () => ({
		scales: {x: xScale, y: {distr: 3, range: () => range}},
		axes: [timeAxis(), logAxis(range)],
		series: [timeSeries, hidden("values", (u, v) => count(v)), hidden("half within", (u, v) => us(v)),
			hidden("longest", (u, v) => us(v))],
		draw: heat,
	}));
	const f2 = el("figure", {}, el("figcaption", {class: "dim"}, "Percentiles of each " + seconds(axis.step_s) + " step"));
	parent.append(f2);
	const line = (label, i, width) => ({label, stroke: () => theme.lines[i], width, value: (u, v) => us(v),
		points: {show: s.bins.length < 60, size: 5, stroke: () => theme.lines[i], fill: () => theme.lines[i]}});
	chart(f2, s.title + ": percentiles over time. " + say, 190, [times, p50, p90, p99, max], () => ({
		scales: {x: xScale, y: {distr: 3, range: () => range}},
		axes: [timeAxis(), logAxis(range)],
		series: [timeSeries, line("p50", 0, 2), line("p90", 1, 1.5), line("p99", 2, 1.5), line("max", 3, 1)],
	}));
	asTable(f2, s.title, [{title: "from"}, ...["n", "p50", "p90", "p99", "max", "mean"].map((t) => ({title: t, num: true}))],
		() => s.bins.map(([bin, k, ...f]) => [seconds(times[bin]), count(k), ...f.map(us)]));
}

function drawLayers(parent, l) {
	parent.append(el("h3", {}, l.title), el("p", {class: "dim"}, el("code", {}, l.command)));
	const names = l.layers.map((x) => x[0]);
	const values = names.map(() => new Array(axis.n).fill(null));
	for (const [bin, ...v] of l.bins)
		v.forEach((x, i) => { values[i][bin] = x; });
	// stacked: each stands on those before it; drawn from the highest down
	const tops = values.map((_, i) => times.map((__, b) => values[0][b] == null ? null :
		values.slice(0, i + 1).reduce((sum, v) => sum + v[b], 0)));
	const order = names.map((_, i) => names.length - 1 - i);
	const f = el("figure", {}, el("figcaption", {class: "dim"},
		"Where a segment spent its time, on average over all segments of a step (one layer on the other)"));
	parent.append(f);
	chart(f, l.title + ": mean time in each layer over time", 230, [times, ...order.map((i) => tops[i])], () => ({
		scales: {x: xScale, y: {range: (u, lo, hi) => [0, (hi || 1) * 1.05]}},
		axes: [timeAxis(), valueAxis((u, v) => v.map(us))],
		series: [timeSeries, ...order.map((i) => ({label: names[i], stroke: () => theme.layers[i % 9], fill: theme.layers[i % 9],
			width: 0, points: {show: false}, paths: uPlot.paths.bars({size: [1, Infinity], align: 1}),
			value: (u, v, si, b) => b == null ? "-" : us(values[i][b])}))],
	}));
	asTable(f, l.title + ": mean time in each layer over time", [{title: "from"}, ...names.map((t) => ({title: t, num: true}))],
		() => l.bins.map(([bin, ...v]) => [seconds(times[bin]), ...v.map(us)]));
	f.append(table(l.title, [{title: "layer"}, ...["segments", "p50", "p90", "p99", "max", "mean"].map((t) => ({title: t, num: true}))],
		l.layers.map(([name, n, ...v]) => [name, count(n), ...v.map(us)])));
}

const LANES = {"tcptape retrans": "retransmits", "tcptape drops": "drops", "tcptape resets": "resets", "tcptape connlat": "failed connects"};
function drawLanes(parent) {
	const lanes = D.lanes.filter((l) => l.n);
	const none = D.lanes.filter((l) => !l.n).map((l) => l.title.toLowerCase());
	const unknown = D.missing.map((m) => LANES[m.what]).filter(Boolean);
	if (none.length)
		parent.append(el("p", {}, "None happened: " + none.join(", ") + "."));
	if (unknown.length)
		parent.append(el("p", {class: "dim"}, "Not recorded: " + unknown.join(", ") + "."));
	if (!lanes.length)
		return;
	const tallest = lanes.map((l) => Math.max(1, ...l.bins));
	const colour = lanes.map((l) => ({retransmits: 2, drops: 1, resets: 3, failed: 0})[l.name]);
	const bars = (u) => {
		const {ctx, bbox} = u;
		lanes.forEach((l, i) => {
			const base = u.valToPos(lanes.length - 1 - i, "y", true), full = bbox.height / lanes.length;
			ctx.fillStyle = theme.layers[colour[i]];
			l.bins.forEach((n, b) => {
				if (!n)
					return;
				const x = Math.round(u.valToPos(times[b], "x", true));
				const w = Math.max(Math.round(u.valToPos(times[b] + axis.step_s, "x", true)) - x - 1, 2);
				const h = Math.max(full * 0.8 * Math.sqrt(n / tallest[i]), 3);
				ctx.fillRect(x, base - h, w, h);
			});
		});
	};
	const f = el("figure", {class: "plain"}, el("figcaption", {class: "dim"}, "How many in each " + seconds(axis.step_s) +
		" step; the height is relative to the highest step of the row"));
	parent.append(f);
	const say = lanes.map((l) => l.title + " " + count(l.n)).join(", ");
	chart(f, "Events over time: " + say, 60 + 60 * lanes.length, [times, ...lanes.map((l) => l.bins)], () => ({
		scales: {x: xScale, y: {range: () => [0, lanes.length]}},
		axes: [timeAxis(), valueAxis((u, v) => v.map((x) => lanes[lanes.length - 1 - Math.floor(x)].title),
			{splits: () => lanes.map((_, i) => i + 0.5), size: 116, grid: {show: false}, ticks: {show: false}})],
		series: [timeSeries, ...lanes.map((l, i) => ({label: l.title, stroke: () => theme.layers[colour[i]], value: (u, v) => count(v),
			paths: () => null, points: {show: false}}))],
		draw: bars,
	}));
	const rows = [];
	for (const l of lanes) {
		const each = () => el("code", {}, l.command);
		for (const [why, n] of l.why.slice().sort((a, b) => b[1] - a[1]))
			rows.push([l.title, why, count(n), each()]);
		if (l.other)
			rows.push([l.title, "(other)", count(l.other), each()]);
	}
	asTable(f, "Events over time", [{title: "from"}, ...lanes.map((l) => ({title: l.title, num: true}))],
		() => times.map((t, b) => [seconds(t), ...lanes.map((l) => l.bins[b])]).filter((r) => r.slice(1).some(Boolean))
			.map(([t, ...n]) => [t, ...n.map(count)]));
	parent.append(table("Why", [{title: "event"}, {title: "why"}, {title: "n", num: true}, {title: "each one"}], rows));
}

// ---- connections ----
const COLUMNS = [
	["ended", "num", seconds], ["lasted", "num", (v) => v == null ? "-" : us(v * 1e3)], ["sent", "num", bytes],
	["received", "num", bytes], ["retransmits", "num", count], ["srtt", "num", us], ["min RTT", "num", us],
	["pid", "num", (v) => v == null ? "-" : String(v)], ["process"], ["local"], ["port", "num", String], ["remote"],
	["port", "num", String], ["end"], ["number"],
];
function drawConnections(parent) {
	const all = D.connections, STEP = 100;
	let rows = all, by = -1, down = false, shown = STEP;
	const status = el("span", {role: "status", class: "dim"});
	const filter = el("input", {type: "search", id: "filter", autocomplete: "off", placeholder: "process, address, port, end ..."});
	const more = el("button", {type: "button", class: "more"}, "Show more");
	const body = el("tbody", {});
	const heads = COLUMNS.map(([title, num], i) => {
		const button = el("button", {type: "button"}, title);
		button.addEventListener("click", () => sort(i));
		return el("th", num ? {scope: "col", class: "num"} : {scope: "col"}, button);
	});
	const text = (v, i) => COLUMNS[i][2] ? (v == null ? "-" : COLUMNS[i][2](v)) : v == null ? "-" : String(v);

	function draw() {
		body.replaceChildren(...rows.slice(0, shown).map((row) => {
			const tr = el("tr", {});
			row.forEach((v, i) => tr.append(el("td", COLUMNS[i][1] ? {class: "num"} : {}, text(v, i))));
			return tr;
		}));
		more.hidden = rows.length <= shown;
		status.textContent = count(Math.min(shown, rows.length)) + " of " + plural(rows.length, "connection") +
			(rows.length < all.length ? " that match" : "");
	}
	function order(list) {
		if (by < 0)
			return list;
		const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
		return list.slice().sort((a, b) => {
			const x = a[by], y = b[by];
			if (x == null || y == null) // what is not known comes last
				return (x == null) - (y == null);
			return down ? compare(y, x) : compare(x, y);
		});
	}
	function sort(i) {
		down = by === i ? !down : COLUMNS[i][1] === "num";
		by = i;
		heads.forEach((h, k) => k === i ? h.setAttribute("aria-sort", down ? "descending" : "ascending") : h.removeAttribute("aria-sort"));
		rows = order(rows);
		draw();
	}
	filter.addEventListener("input", () => {
		const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
		rows = order(all.filter((row) => {
			const s = row.slice(7).join(" ").toLowerCase();
			return words.every((w) => s.includes(w));
		}));
		shown = STEP;
		draw();
	});
	more.addEventListener("click", () => {
		shown += 10 * STEP;
		draw();
	});
	parent.append(el("p", {}, D.connections_left_out ?
		"The connections that moved most, and those with the longest round-trip time: " + count(all.length) + " of " +
		count(D.summary.connections) + ", " + count(D.connections_left_out) + " are left out (" : "All of them (",
	el("code", {}, "tcptape life"), D.connections_left_out ? " shows all)." : ")."));
	parent.append(el("div", {class: "tools"}, el("label", {for: "filter"}, "Only with"), filter, status),
		el("div", {class: "scroll wide", tabindex: "0", role: "region", "aria-label": "Table of connections"},
			el("table", {"aria-label": "Connections"}, el("thead", {}, el("tr", {}, ...heads)), body)), more);
	draw();
}

// ---- the page ----
function drawSummary() {
	const s = D.summary, parent = section("summary", "Summary");
	document.title = "tcptape report: " + s.file;
	document.getElementById("title").textContent = s.file.split("/").pop();
	document.getElementById("lead").textContent = [s.host && "recorded on " + s.host, s["kernel.release"] && "Linux " + s["kernel.release"],
		s.start, s.command && "command: " + s.command, s.note].filter(Boolean).join(" · ");
	document.getElementById("foot").textContent = "Made by tcptape " + s.tcptape + " from " + s.file + ", which " + s.recorder +
		" wrote. Charts: uPlot, MIT licence.";
	const rtt = D.series.find((x) => x.name === "rtt");
	const tiles = [["time shown", seconds(s.to_s - s.from_s)], ["events", count(s.events)], ["events lost", count(s.lost), s.lost > 0],
		["connections", count(s.connections)], ["connects", count(s.connects)], ["connects that worked", count(s.connected)]];
	if (rtt)
		tiles.push(["round trip: median", us(rtt.figures[1])], ["round trip: 99 % within", us(rtt.figures[3])]);
	for (const l of D.lanes)
		tiles.push([l.title.toLowerCase(), count(l.n)]);
	parent.append(el("dl", {class: "tiles"}, ...tiles.map(([k, v, bad]) =>
		el("div", {class: bad ? "tile bad" : "tile"}, el("dt", {}, k), el("dd", {}, v)))));
	if (s.lost)
		parent.append(el("p", {class: "note"}, count(s.lost) + " events were lost while recording: counts here are too small. " +
			"Charts show such times as bands."));
	if (s.weight > 1)
		parent.append(el("p", {class: "note"}, "Only one connection in " + s.weight + " was recorded in full: counts of round trips and " +
			"segments are estimates."));
	if (s.truncated || !s.closed)
		parent.append(el("p", {class: "note"}, "The recording was not closed: its end may be missing."));
	if (s.chosen)
		parent.append(el("p", {class: "note"}, "Only a part of the trace was chosen for this page."));
	if (D.losses.length) {
		const d = el("details", {}, el("summary", {}, "When events were lost"));
		d.append(table("Events lost", [{title: "from"}, {title: "to"}, {title: "events", num: true}, {title: "group"}, {title: "why"}],
			D.losses.map((l) => [seconds(l.from_s), seconds(l.to_s), count(l.count), l.group, l.reason])));
		parent.append(d);
	}
}
function drawCauses() {
	const parent = section("explain", "What may be wrong");
	if (!D.causes.length)
		parent.append(el("p", {class: "fine"}, "Nothing that ", el("code", {}, "tcptape explain"), " looks for is above its threshold."));
	const list = el("ol", {class: "causes"});
	for (const c of D.causes) {
		const cost = [us(c.cost_ms * 1e3) + " waited"];
		if (c.connections)
			cost.push(plural(c.connections, "connection"));
		if (c.failures)
			cost.push(count(c.failures) + " failed");
		list.append(el("li", {class: "cause " + c.confidence}, el("h3", {}, c.cause + ": " + c.title),
			el("p", {}, el("strong", {}, cost.join(", ")), " · confidence " + c.confidence + " (" + c.reason + ")"),
			el("ul", {}, ...c.evidence.map((e) => el("li", {}, e))), el("p", {}, "Next: " + (c.next || "-"))));
	}
	if (D.causes.length)
		parent.append(list);
	if (D.not_looked_for.length)
		parent.append(el("p", {class: "dim"}, "Not looked for, as it was not recorded: " + D.not_looked_for.join(", ")));
}
function drawAll() {
	drawSummary();
	drawCauses();
	const latency = D.series.filter((s) => s.name !== "rtt"), rtt = D.series.find((s) => s.name === "rtt");
	if (rtt)
		drawSeries(section("rtt", "Round-trip times"), rtt);
	if (D.lanes.length || D.missing.length)
		drawLanes(section("events", "Retransmits, drops, resets, failed connects"));
	if (latency.length) {
		const parent = section("latency", "Latency");
		latency.forEach((s) => drawSeries(parent, s));
	}
	if (D.layers.length) {
		const parent = section("layers", "Where segments spend their time");
		D.layers.forEach((l) => drawLayers(parent, l));
	}
	drawConnections(section("connections", "Connections"));
	const parent = section("recorded", "What was recorded");
	if (D.missing.length)
		parent.append(table("Not in this trace", [{title: "not shown"}, {title: "why"}], D.missing.map((m) => [m.what, m.why])));
	parent.append(table("Events by kind", [{title: "event"}, {title: "group"}, {title: "n", num: true}],
		D.types.map((t) => [t.name, t.group, count(t.count)])));
}
drawAll();

// ---- colours and size ----
const redraw = () => charts.forEach((c) => c.draw());
const choose = (paper) => {
	onPaper = paper;
	theme = isDark.matches && !paper ? DARK : LIGHT;
	redraw();
};
isDark.addEventListener("change", () => choose(onPaper));
addEventListener("beforeprint", () => choose(true));
addEventListener("afterprint", () => choose(false));
let width = innerWidth, timer = 0;
addEventListener("resize", () => {
	if (innerWidth === width)
		return;
	width = innerWidth;
	clearTimeout(timer);
	timer = setTimeout(redraw, 150);
});
})();
