// All views but those of a series and of Redis. A view is { title, parts, stream, show(data), tick(), close(), gone() }: `stream` names
// the events that feed it, if they are not called as the view.

import {
	badge, beside, bytes, card, clock, count, details, duration, entry, escaped, Facts, field, Filtered, h, instant, micros,
	newBadge, none, percent, quiet, rate, Rates, say, Spark, Table, tall, trimmed,
} from './dom.js';

const seriesLink = (row) => `#/series/${escaped(row.symbol)}/${row.interval}`;
const fluxLink = (row) => `#/flux/${escaped(row.flux_id)}`;
// Trouble first.
const ranks = ['stale', 'healing', 'starting', 'halted', 'delisted', 'stopped'];
const rank = (state) => (ranks.indexOf(state) + 1 || 99);

const causes = {
	missed: 'the connection was away', late: 'should have closed, and has not', unstored: 'not in Redis when the service looked',
	overflow: 'Redis was away for too long', refused: 'Redis refused them', backfill: 'older ones, asked for',
};
/** Why candles are missing, in words. */
export const why = (gap) => (gap.state === 'absent' ? 'the exchange has no such bar' : causes[gap.cause] ? `${gap.cause}: ${causes[gap.cause]}` : gap.cause);

class FluxList extends Filtered {
	constructor(page) {
		super('Fluxes', [
			['flux', 'flux_id', 'long', fluxLink], ['state', 'state', 'state'], ['interval', 'interval'],
			['symbols live', (flux) => `${flux.series_live} of ${flux.series}`, 'right'],
			['age', ['last_update_at', page.since], 'right'], ['upd/s', (flux) => rate(this.rates.of(flux.flux_id, flux.updates_total)), 'right'],
			['candles', 'candles_total', 'right wide'], ['missing', 'gaps_open', 'right'],
			['silent', (flux) => flux.silent.join(' ') + (flux.series_stale > flux.silent.length ? ' …' : ''), 'long wide'],
		], 'flux_id', 'No flux. One begins with --flux or feedd create.', 'id, state, silent symbol',
		(flux) => `${flux.flux_id} ${flux.state} ${flux.silent.join(' ')}`);
		this.rates = new Rates();
	}

	show(fluxes) {
		super.show([...fluxes].sort((a, b) => rank(a.state) - rank(b.state) || b.gaps_open - a.gaps_open || (a.flux_id < b.flux_id ? -1 : 1)));
	}
}

// Overview

const stepNames = { socket_to_parsed: 'socket → parsed', parsed_to_taken: 'parsed → taken', taken_to_written: 'taken → written',
	written_to_ack: 'written → acknowledged' };

/** Columns by logarithms, since a handful of slow ones is what one looks for; p50, p99 and p99.9 stand over theirs. */
class Latency {
	constructor() {
		this.columns = h('div', { class: 'columns', 'aria-hidden': 'true' });
		this.words = quiet();
		this.table = new Table('Latencies of the last minute',
			[['up to', (bar) => (bar.le_us ? micros(bar.le_us) : 'longer')], ['states', 'count', 'right']], 'le_us');
		this.parts = [this.words, this.columns, details('As a table', null, this.table.element)];
	}

	show(latency) {
		const bars = [...latency.bars, { le_us: 0, count: latency.beyond }];
		while (this.columns.childElementCount < bars.length) {
			const edge = bars[this.columns.childElementCount].le_us;
			this.columns.append(h('div', {}, h('b'), h('i'), h('span', {}, edge ? micros(edge).replace(/\.0*(?= )/, '') : '∞')));
		}
		const most = Math.log10(1 + Math.max(...bars.map((bar) => bar.count), 9));
		const marks = [['p50', latency.p50_us], ['p99', latency.p99_us], ['p99.9', latency.p999_us]].map(([name, value]) =>
			[name, bars.findIndex((bar) => value != null && (value <= bar.le_us || bar.le_us === 0))]);
		bars.forEach((bar, index) => {
			const [name, fill] = this.columns.children[index].children;
			fill.style.setProperty('height', `${(Math.log10(1 + bar.count) / most) * 75}%`);
			say(name, marks.findLast((one) => one[1] === index)?.[0] ?? '');
		});
		say(this.words, `p50 ${micros(latency.p50_us)}, p99 ${micros(latency.p99_us)}, p99.9 ${micros(latency.p999_us)} of ${count(latency.count)} states, socket to acknowledgement; heights are logarithmic.`);
		this.table.show(bars);
	}
}

/** The four steps: a stack for p50 and one for p99, and their table. */
class Steps {
	constructor() {
		this.stacks = ['p50_us', 'p99_us'].map((member) => ({ member, spans: [1, 2, 3, 4].map((kind) => h('span', { 'data-kind': kind })) }));
		this.table = new Table('The four steps', [['step', (step) => stepNames[step.name] ?? step.name], ['p50', ['p50_us', micros], 'right'],
			['p99', ['p99_us', micros], 'right']], 'name');
		this.table.table.classList.add('keyed');
		this.parts = [...this.stacks.flatMap((stack, index) => [h('div', { class: 'quiet' }, ['p50', 'p99'][index]),
			h('div', { class: 'stack', 'aria-hidden': 'true' }, ...stack.spans)]), this.table.element];
	}

	show(steps) {
		for (const { member, spans } of this.stacks) steps.forEach((step, index) => spans[index]?.style.setProperty('flex', `${step[member] ?? 0} 0 0`));
		this.table.show(steps);
	}
}

/** A figure and its last ten minutes. */
class Tile {
	constructor(name, unit = '') {
		this.value = h('span');
		this.spark = new Spark();
		this.element = h('div', { class: 'tile' }, h('div', { class: 'quiet' }, name), h('div', { class: 'figure' }, this.value, h('small', {}, unit)),
			this.spark.element);
	}

	show(text, values, isBad = false) {
		say(this.value, text);
		this.value.classList.toggle('alarm', isBad);
		this.spark.show(values);
	}
}

/** An event has the newest point alone: it goes behind those that are known. */
function joined(known, newest) {
	return Object.fromEntries(Object.entries(newest).map(([name, column]) => [name, [...known[name], ...column].slice(-600)]));
}

export function overview(page) {
	let points = null;
	const [messages, candles, p99] = [new Tile('messages', ' /s'), new Tile('candles written', ' /s'), new Tile('latency p99')];
	const [pending, missing, redis] = [new Tile('closed, waiting'), new Tile('candles missing'), new Tile('Redis')];
	const [latency, steps, fluxes] = [new Latency(), new Steps(), new FluxList(page)];
	const warnings = new Table('Warnings', [
		['time', ['at', clock]], ['level', 'level', 'state'], ['message', 'message', 'long'],
		['fields', (line) => Object.entries(line.fields).map((field) => field.join('=')).join('  '), 'long wide'],
	], (line) => `${line.at} ${line.message} ${Object.values(line.fields)}`, 'No warning since the start.');
	const minutes = new Table('The last ten minutes', [
		['time', ['at', clock]], ['messages/s', ['messages', rate], 'right'], ['candles/s', ['candles', rate], 'right'],
		['p99', ['p99_us', micros], 'right'], ['waiting', 'pending', 'right'], ['missing', 'gap_candles_open', 'right'],
		['Redis', (row) => (row.redis_up ? 'up' : 'down'), 'wide'],
	], 'at');
	const fold = details('As a table', null, tall(minutes.element));
	return {
		title: 'Overview',
		parts: [h('div', { class: 'tiles six' }, ...[messages, candles, p99, pending, missing, redis].map((tile) => tile.element)), fold,
			beside(card('Latency, last minute', ...latency.parts), card('Where the time goes', ...steps.parts)),
			card('Fluxes', ...fluxes.parts), card('Newest warnings', tall(warnings.element))],
		show(data) {
			const { now } = data;
			points = points && data.points.at.length <= 1 ? joined(points, data.points) : data.points;
			messages.show(rate(now.messages_per_second), points.messages, now.connections_live < now.connections_wanted);
			candles.show(rate(now.candles_per_second), points.candles);
			p99.show(micros(points.p99_us.at(-1)), points.p99_us);
			pending.show(count(now.closed_pending), points.pending, now.closed_pending > 1000);
			missing.show(count(now.gap_candles_open), points.gap_candles_open, now.gap_candles_open > 0);
			redis.show(now.redis_connected ? 'up' : 'away', points.redis_up.map(Number), !now.redis_connected);
			latency.show(data.latency);
			steps.show(data.steps);
			fluxes.show(data.fluxes);
			warnings.show(data.warnings);
			if (!fold.open) return;
			const rows = points.at.map((at, index) => Object.fromEntries(Object.entries(points).map(([name, column]) => [name, column[index]])));
			minutes.show(rows.filter((row) => Math.floor(row.at / 1000) % 10 === 0).reverse());
		},
	};
}

// Fluxes

export function fluxes(page) {
	const list = new FluxList(page);
	return { title: 'Fluxes', parts: [card('All fluxes', ...list.parts), createCard(page)], show: (data) => list.show(data.fluxes) };
}

const noSession = (command) => quiet('This page only shows. Started with --ops-token-file FILE, feedd asks for that token here, and who has logged in may create and stop fluxes. Until then: ', h('code', {}, command));

/** What changes something takes two steps: a button, and another that says what it will do. */
function twoSteps(words, question, act) {
	const says = h('p', { role: 'status' });
	const sure = h('button', { type: 'button', class: 'danger', hidden: true, onclick: async () => {
		sure.hidden = true;
		try {
			location.hash = await act();
		} catch (error) {
			say(says, `${error.message}.`);
		}
	} });
	const first = h('button', { onclick: (event) => {
		event.preventDefault();
		say(says, '');
		say(sure, question());
		sure.hidden = !sure.hidden;
		sure.focus();
	} }, words);
	return { buttons: [first, sure], says };
}

function createCard(page) {
	if (!page.hasSession) return card('Create a flux', noSession('feedd create btcusdt,ethusdt 1m'));
	const symbols = entry('symbols', { placeholder: 'btcusdt,ethusdt' });
	const interval = intervalChoice('1m');
	const names = () => symbols.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
	const { buttons, says } = twoSteps('Create …', () => `Yes, follow ${names().join(', ')} at ${interval.value}`,
		async () => fluxLink(await page.ask('/api/fluxes', { symbols: names(), interval: interval.value })));
	return card('Create a flux', h('form', { class: 'row' }, field('Symbols', symbols), field('Interval', interval), ...buttons), says);
}

function stopCard(page, id) {
	if (!page.hasSession) return card('Stop this flux', noSession(`feedd stop ${id}`));
	const { buttons, says } = twoSteps('Stop …', () => 'Yes, stop it; what is stored stays in Redis', async () => {
		await page.ask(`/api/fluxes/${escaped(id)}/stop`, {});
		return '#/fluxes';
	});
	return card('Stop this flux', h('div', { class: 'row' }, ...buttons), says);
}

const intervals = ['1s', '1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M'];
export const intervalChoice = (chosen) => h('select', { id: 'interval' },
	...intervals.map((token) => h('option', { selected: token === chosen }, token)));

// A flux: a tile a symbol. Only tiles in sight ask for candles, so that a flux of a thousand symbols costs as much as one of ten.

const [closes, tileMs, tilesAtATime] = [61, 2000, 4];

class SymbolTile {
	constructor(row) {
		Object.assign(this, { rows: [], askedAt: -1e9, isSeen: false, path: `/api/candles/${escaped(row.symbol)}/${row.interval}` });
		[this.price, this.change, this.age] = [h('span', {}, none), h('span'), h('span', { class: 'quiet' })];
		[this.state, this.spark] = [newBadge(), new Spark()];
		this.element = h('a', { class: 'tile', href: seriesLink(row), 'data-symbol': row.symbol },
			h('div', { class: 'pair' }, h('b', {}, row.symbol), this.change),
			h('div', { class: 'figure' }, this.price), this.spark.element, h('div', { class: 'pair' }, this.state, this.age));
	}

	async ask(page) {
		this.askedAt = performance.now();
		try {
			for (const row of (await page.ask(`${this.path}?limit=${this.rows.length ? 2 : closes}`)).rows) {
				while (this.rows.at(-1)?.open_time >= row.open_time) this.rows.pop();
				this.rows.push(row);
			}
		} catch {
			// Redis is away, or busy: later.
			this.askedAt += 3000;
		}
		this.rows.splice(0, Math.max(0, this.rows.length - closes));
		if (!this.rows.length) return;
		const values = this.rows.map((row) => Number(row.close));
		const change = values.at(-1) / values[0] - 1;
		say(this.price, trimmed(this.rows.at(-1).close));
		say(this.change, `${change < 0 ? '▼' : '▲'} ${percent(Math.abs(change))}`);
		this.change.className = change < 0 ? 'down' : 'up';
		this.spark.show(values, false);
	}
}

export function flux(page, id) {
	const facts = new Facts([
		['state', 'state', (one) => one.state === 'stale'], ['interval', 'interval'], ['symbols live', (one) => `${one.series_live} of ${one.series}`],
		['newest update', ['last_update_at', page.since]],
		['candles', 'candles_total'], ['missing', 'gaps_open', (one) => one.gaps_open > 0], ['comes from', 'origin'],
		['created', ['created_at', instant]],
	]);
	const [tiles, room] = [new Map(), h('div', { class: 'tiles' })];
	const sight = new IntersectionObserver((entries) => entries.forEach((entry) => { tiles.get(entry.target.dataset.symbol).isSeen = entry.isIntersecting; }));
	const table = new Table('Symbols', [
		['symbol', 'symbol', '', seriesLink], ['state', 'state', 'state'], ['close', (row) => tiles.get(row.symbol).rows.at(-1)?.close, 'right'],
		['age', ['last_update_at', page.since], 'right'],
		['candles', 'candles_total', 'right wide'], ['updates', 'updates_total', 'right wide'], ['missing', 'gaps_open', 'right'],
	], 'symbol');
	const [holes, gone] = [gapTable(), h('p', { class: 'bar warn', hidden: true }, 'There is no such flux, or not any more.')];
	let underWay = 0;
	const timer = setInterval(async () => {
		if (document.hidden || underWay >= tilesAtATime) return;
		const due = [...tiles.values()].filter((tile) => tile.isSeen && performance.now() - tile.askedAt > tileMs).sort((a,
			b) => a.askedAt - b.askedAt)[0];
		if (!due) return;
		underWay += 1;
		await due.ask(page);
		underWay -= 1;
	}, 50);
	return {
		title: `Flux ${id}`,
		stream: { name: 'flux', id },
		parts: [gone, card('How it stands', facts.element), room, details('The symbols as a table', null, table.element),
			card('Its holes', holes.element), stopCard(page, id)],
		show(data) {
			gone.hidden = true;
			facts.show(data);
			for (const row of data.symbols) {
				row.interval = data.interval;
				let tile = tiles.get(row.symbol);
				if (!tile) {
					tiles.set(row.symbol, (tile = new SymbolTile(row)));
					room.append(tile.element);
					sight.observe(tile.element);
				}
				badge(tile.state, row.state);
				say(tile.age, page.since(row.last_update_at));
			}
			table.show(data.symbols);
			holes.show(data.gaps);
		},
		gone() { gone.hidden = false; },
		close() {
			clearInterval(timer);
			sight.disconnect();
		},
	};
}

// Who looks for a symbol does not know its flux.

const fluxesAskedMax = 100;

export function find(page, text = '') {
	const says = h('p', { class: 'quiet', role: 'status' }, 'Looking …');
	const table = new Table(`Series of ${text}`, [
		['symbol', 'symbol', '', seriesLink], ['interval', 'interval'], ['state', 'state', 'state'], ['age', ['last_update_at', page.since], 'right'],
		['missing', 'gaps_open', 'right'], ['flux', 'flux_id', 'wide', fluxLink],
	], (row) => `${row.symbol} ${row.flux_id}`, '');
	let isOpen = true;
	(async () => {
		const [found, list] = [[], (await page.ask('/api/fluxes')).fluxes];
		for (const { flux_id } of list.slice(0, fluxesAskedMax)) {
			const answer = await page.ask(`/api/fluxes/${escaped(flux_id)}`).catch(() => ({ symbols: [] }));
			if (!isOpen) return;
			found.push(...answer.symbols.filter((row) => row.symbol.includes(text.toLowerCase())).map((row) => ({ ...row, flux_id,
				interval: answer.interval })));
			table.show(found.slice(0, 200));
		}
		const among = list.length > fluxesAskedMax ? ` in the first ${fluxesAskedMax} fluxes` : '';
		say(says, found.length ? `${count(found.length)} series${among}.` : `No flux follows a symbol with “${text}”${among}.`);
	})().catch((error) => say(says, `${error.message}.`));
	return { title: `Find ${text}`, parts: [card('Series', says, table.element)], stream: { name: 'fluxes' }, close() { isOpen = false; } };
}

// Gaps

const gapColumns = [
	['series', (gap) => `${gap.symbol} ${gap.interval}`, '', seriesLink], ['state', 'state', 'state'], ['from', ['from', instant]],
	['until', ['until', instant], 'wide'],
	['candles', 'candles', 'right'], ['cause', why, 'long'], ['asked', (gap) => `${gap.tries}×`, 'right wide'],
];
const gapKey = (gap) => `${gap.symbol} ${gap.interval} ${gap.from}`;
const noGap = 'No hole: every closed candle is there.';
export const gapTable = () => new Table('Holes', gapColumns, gapKey, noGap);

export function gaps(page) {
	const left = (data) => data.rest.blocked_until - page.now();
	const facts = new Facts([
		['missing now', 'open', (data) => data.open > 0], ['older, to be fetched', 'backfill'], ['the exchange lacks', 'absent'],
		['healed since the start', 'healed'], ['holes not listed', 'unlisted'],
		['exchange refuses for', (data) => (left(data) > 0 ? duration(left(data) / 1000) : 'no'), (data) => left(data) > 0],
	]);
	const [weight, words] = [h('progress', { max: 1, value: 0, 'aria-label': 'REST weight' }), h('span', { class: 'quiet' })];
	const list = new Filtered('Holes', gapColumns, gapKey, noGap, 'symbol, state, cause',
		(gap) => `${gap.symbol} ${gap.interval} ${gap.state} ${gap.cause}`);
	return {
		title: 'Gaps',
		parts: [card('Missing candles', facts.element), card('REST weight', h('p', {}, weight, ' ', words)),
			card('Holes', ...list.parts,
			quiet('Healed holes leave this list. The view of a series tells what was put in later.'))],
		show(data) {
			facts.show(data);
			const { rest } = data;
			weight.value = rest.weight_allowed > 0 ? rest.weight_used / rest.weight_allowed : 0;
			say(words, `${count(rest.weight_used)} of ${count(rest.weight_allowed)} weight in this minute; the address: ${count(rest.weight_of_address)}`);
			list.show(data.gaps);
		},
	};
}

// Connections

export function connections(page) {
	const [rates, says] = [new Rates(), quiet()];
	const table = new Table('Connections', [
		['connection', 'connection'], ['state', 'state', 'state'], ['host', 'host'], ['streams', 'streams', 'right'],
		['age', ['opened_at', page.since], 'right'],
		['rate', (one) => `${bytes(Math.round(rates.of(one.connection, one.received_bytes) ?? 0))}/s`, 'right'],
		['silence', ['last_received_at', page.since], 'right'], ['attempts', 'attempts', 'right wide'],
		['replaced in', (one) => (one.replaced_at ? duration((one.replaced_at - page.now()) / 1000) : none), 'right wide'],
		['last loss', (one) => one.last_loss || none, 'long'],
	], 'connection', 'None so far.');
	return {
		title: 'Connections', parts: [card('To the exchange', says, table.element)],
		show(data) {
			say(says, `${data.live} of ${data.wanted} are open and subscribed.`);
			table.show(data.connections);
		},
	};
}

// System

export function system() {
	const rates = new Rates();
	const share = (name, ms) => percent(Math.min(1, (rates.of(name, ms) ?? NaN) / 1000));
	const facts = new Facts([
		['version', (data) => data.service.version], ['vector instructions', 'simd'], ['process', (data) => String(data.service.pid)],
		['up', (data) => duration(data.service.uptime_seconds)], ['resident memory', ['resident_bytes', bytes]],
		['live allocations', ['heap_allocated_bytes', bytes]], ['address space', ['virtual_bytes', bytes]],
		['of a processor', (data) => percent(rates.of('', Number(data.cpu_seconds)) ?? NaN)],
		['descriptors', (data) => `${count(data.open_descriptors)} of ${count(data.max_descriptors)}`],
		['log lines lost', 'log_lines_dropped', (data) => data.log_lines_dropped > 0],
	]);
	const threads = new Table('Threads', [
		['thread', 'name'], ['busy', (one) => share(one.name, one.busy_ms), 'right'],
		['since the start', (one) => duration(one.busy_ms / 1000), 'right wide'],
		['does not answer for', (one) => (one.stalled_ms ? duration(one.stalled_ms / 1000) : none), 'right'],
	], 'name');
	const rings = new Table('Rings', [['reader', 'reader'], ['records', 'records', 'right'], ['room for', 'room', 'right']], 'reader');
	const settings = new Table('Settings', [['setting', (one) => one[0]], ['value', (one) => one[1], 'long']], (one) => one[0], 'The demo has none.');
	const counters = new Filtered('Counters', [['counter', 'name'], ['value', 'value', 'right'], ['unit', 'unit', 'wide'],
		['what it counts', 'sentence', 'long']], 'name', 'None.', 'part of a name', (one) => one.name);
	return {
		title: 'System',
		parts: [card('Process', facts.element), beside(card('Threads', threads.element), card('Between readers and sink', rings.element)),
			card('Settings, without secrets', settings.element), card('Counters', ...counters.parts)],
		show(data) {
			facts.show(data);
			threads.show(data.threads);
			rings.show(data.rings.map((records, reader) => ({ reader, records, room: data.ring_capacity })));
			settings.show(Object.entries(data.settings));
			counters.show(data.counters);
		},
	};
}
