// Most of the views. A view is { title, parts, stream, show(data), tick(), close(), gone() }; `stream` names its events, if not it itself.

import { merged, next } from './chart.js';
import {
	age, badge, bar, beside, bytes, card, clock, count, details, duration, entry, escaped, Facts, field, Filtered, form, h, instant, micros,
	newBadge, none, percent, quiet, rate, Rates, say, Spark, status, Table, tall, told, trimmed,
} from './dom.js';

export const seriesLink = (row) => `#/series/${escaped(row.symbol)}/${row.interval}`;
export const fluxLink = (row) => `#/flux/${escaped(row.flux_id)}`;
const standing = (page) => [['age', ['last_update_at', page.since], 'right'], ['candles', 'candles_total', 'right wide'], ['missing', 'gaps_open', 'right']];
export const seriesColumns = (page) => [
	['symbol', 'symbol', '', seriesLink], ['interval', 'interval'], ['state', 'state', 'state'], ['updates', 'updates_total', 'right wide'], ...standing(page),
];
// Trouble first.
const ranks = ['stale', 'healing', 'starting', 'halted', 'delisted', 'stopped'];
const rank = (state) => (ranks.indexOf(state) + 1 || 99);

const causes = {
	missed: 'the connection to the exchange was lost, or it left them out', late: 'their time was over, and the exchange had not closed them',
	unstored: 'feedd was down, or Redis has lost them', overflow: 'Redis was away for longer than feedd can hold candles',
	refused: 'Redis refused to take them', backfill: 'older ones that somebody asked for',
};
const endings = {
	fetched: 'fetched from the exchange', arrived: 'came over the stream after all', stored: 'found in Redis', unfollowed: 'not filled: its flux was stopped',
};
export const why = (gap) => (gap.state === 'absent' ? `the exchange has no such bars; ${gap.cause}` : `${gap.cause}: ${causes[gap.cause] ?? none}`);

class FluxList extends Filtered {
	constructor(page) {
		super('Fluxes', [
			['flux', 'flux_id', 'long', fluxLink], ['state', 'state', 'state'], ['interval', 'interval'],
			['symbols live', (flux) => `${flux.series_live} of ${flux.series}`, 'right'],
			['upd/s', (flux) => rate(this.rates.of(flux.flux_id, flux.updates_total)), 'right'], ...standing(page),
			['silent', ({ silent, series_stale }) => silent.join(' ') + (series_stale > silent.length ? ' …' : ''), 'long wide'],
		], 'No flux. One begins with --flux or feedd create.', 'id, state, symbol',
		(flux) => `${flux.flux_id} ${flux.state} ${flux.silent.join(' ')}`);
		this.rates = new Rates();
	}

	show(fluxes) {
		this.rates.keep(fluxes.map((flux) => flux.flux_id));
		super.show([...fluxes].sort((a, b) => rank(a.state) - rank(b.state) || b.gaps_open - a.gaps_open || (a.flux_id < b.flux_id ? -1 : 1)));
	}
}

/** Bars by logarithms: a handful of slow ones is what one looks for. */
class Latency {
	constructor() {
		this.words = quiet();
		this.table = new Table('Latencies of the last minute', [['up to', (one) => (one.le_us ? micros(one.le_us) : 'longer'), 'right'],
			['states', 'count', 'right'], ['logarithm', ['share', bar], 'bars'], ['quantile', 'mark']], 'None in this minute.');
		this.parts = [this.words, this.table];
	}

	show(latency) {
		const bars = [...latency.bars, { le_us: 0, count: latency.beyond }];
		const most = Math.log10(1 + Math.max(...bars.map((bar) => bar.count), 9));
		const marks = [['p50', latency.p50_us], ['p99', latency.p99_us], ['p99.9', latency.p999_us]];
		let below = -1;
		for (const bar of bars) {
			const own = marks.filter(([, value]) => value != null && value > below && (value <= bar.le_us || !bar.le_us));
			Object.assign(bar, { share: Math.log10(1 + bar.count) / most, mark: own.map(([name]) => name).join(' ') });
			below = bar.le_us;
		}
		say(this.words, `${marks.map(([name, value]) => `${name} ${micros(value)}`).join(', ')} of ${count(latency.count)} states, socket to Redis’s word`);
		this.table.show(bars.slice(bars.findIndex((bar) => bar.count), bars.findLastIndex((bar) => bar.count) + 1));
	}
}

class Tile {
	constructor(name) {
		[this.value, this.spark] = [h('div', 'figure'), new Spark()];
		this.element = h('div', 'tile', h('div', 'quiet', name), this.value, this.spark);
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
	const tiles = ['messages/s', 'candles written/s', 'latency p99', 'closed, waiting', 'candles missing', 'Redis'].map((name) => new Tile(name));
	const [latency, fluxes] = [new Latency(), new FluxList(page)];
	const steps = new Table('The four steps', [['step', (step) => step.name.replaceAll('_', ' ')],
		['p50', ['p50_us', micros], 'right'], ['p99', ['p99_us', micros], 'right'], ['share of p99', ['share', bar], 'bars']]);
	const warnings = new Table('Warnings', [
		['time', ['at', clock]], ['level', 'level', 'state'], ['message', 'message', 'long'],
		['fields', (line) => Object.entries(line.fields).map((field) => field.join('=')).join('  '), 'long wide'],
	], 'No warning since the start.', (line) => `${line.at} ${line.message} ${Object.values(line.fields)}`);
	const minutes = new Table('The last ten minutes', [
		['time', ['at', clock]], ['messages/s', ['messages', rate], 'right'], ['candles/s', ['candles', rate], 'right'],
		['p99', ['p99_us', micros], 'right'], ['waiting', 'pending', 'right'], ['missing', 'gap_candles_open', 'right'],
		['Redis', (row) => (row.redis_up ? 'up' : 'down'), 'wide'],
	]);
	const fold = details('As a table', tall(minutes));
	return {
		title: 'Overview',
		parts: [h('div', 'tiles six', tiles), fold,
			beside(card('Latency, last minute', latency.parts), card('Where the time goes', steps)),
			card('Fluxes', fluxes.parts), card('Newest warnings', tall(warnings))],
		show(data) {
			const { now } = data;
			points = points && data.points.at.length <= 1 ? joined(points, data.points) : data.points;
			[
				[rate(now.messages_per_second), points.messages, now.connections_live < now.connections_wanted],
				[rate(now.candles_per_second), points.candles], [micros(points.p99_us.at(-1)), points.p99_us],
				[count(now.closed_pending), points.pending, now.closed_pending > 1000],
				[count(now.gap_candles_open), points.gap_candles_open, now.gap_candles_open > 0],
				[now.redis_connected ? 'up' : 'away', points.redis_up.map(Number), !now.redis_connected],
			].forEach((shown, index) => tiles[index].show(...shown));
			latency.show(data.latency);
			const sum = data.steps.reduce((all, step) => all + step.p99_us, 0);
			steps.show(data.steps.map((step) => ({ ...step, share: step.p99_us / sum })));
			fluxes.show(data.fluxes);
			warnings.show(data.warnings);
			if (!fold.open) return;
			const rows = points.at.map((at, index) => Object.fromEntries(Object.entries(points).map(([name, column]) => [name, column[index]])));
			minutes.show(rows.filter((row) => Math.floor(row.at / 1000) % 10 === 0).reverse());
		},
	};
}

export function fluxes(page) {
	const list = new FluxList(page);
	return { title: 'Fluxes', parts: [card('All fluxes', list.parts), createCard(page)], show: (data) => list.show(data.fluxes) };
}

const noSession = (command) => quiet('Where feedd has --ops-token-file, who has logged in does that here. Else: ', h('code', {}, command));

function twoSteps(title, words, question, act, ...fields) {
	const says = status();
	return card(title, form(() => {
		if (confirm(question())) told(says, async () => { location.hash = await act(); });
	}, fields, h('button', {}, words)), says);
}

function createCard(page) {
	if (!page.service.may_write) return card('Create a flux', noSession('feedd create btcusdt,ethusdt 1m'));
	const symbols = entry('symbols', { placeholder: 'btcusdt,ethusdt', required: true });
	const interval = intervalChoice('1m');
	const names = () => symbols.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
	return twoSteps('Create a flux', 'Create …', () => `Follow ${names().join(', ')} at ${interval.value}?`,
		async () => fluxLink(await page.ask('/api/fluxes', { symbols: names(), interval: interval.value })),
		field('Symbols', symbols), field('Interval', interval));
}

function stopCard(page, id) {
	if (!page.service.may_write) return card('Stop this flux', noSession(`feedd stop ${id}`));
	return twoSteps('Stop this flux', 'Stop …', () => `Stop ${id}? What is stored stays in Redis.`, async () => {
		await page.ask(`/api/fluxes/${escaped(id)}/stop`, {});
		return '#/fluxes';
	});
}

export const intervals = ['1s', '1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M'];
export const intervalChoice = (chosen) => h('select', { id: 'interval' },
	intervals.map((token) => h('option', { selected: token === chosen }, token)));

// A flux: a tile a symbol. What is in sight asks for candles once, and for all newest states at a time.

const [closes, tileMs] = [61, 1000];

class SymbolTile {
	constructor(row) {
		Object.assign(this, { symbol: row.symbol, interval: row.interval, rows: [] });
		[this.price, this.change, this.age] = [h('span', {}, none), h('span'), h('span', 'quiet')];
		[this.state, this.spark] = [newBadge(), new Spark()];
		this.element = h('a', { class: 'tile', href: seriesLink(row), 'data-symbol': row.symbol },
			h('div', 'pair', h('b', {}, row.symbol), this.change),
			h('div', 'figure', this.price), this.spark, h('div', 'pair', this.state, this.age));
	}

	take(rows) {
		if (!rows.length) return;
		const last = this.rows.at(-1);
		// A bar was left out: all of them are asked for again.
		if (last && rows[0].open_time > next(last.open_time, this.interval)) this.isWhole = false;
		this.rows = merged(this.rows, rows, closes);
		const values = this.rows.map((row) => Number(row.close));
		const change = values.at(-1) / values[0] - 1;
		say(this.price, trimmed(this.rows.at(-1).close));
		showChange(this.change, change);
		this.spark.show(values, false);
	}
}

export function showChange(node, change, words = '') {
	say(node, `${change < 0 ? '▼' : '▲'} ${percent(Math.abs(change))}${words}`);
	node.className = change < 0 ? 'down' : 'up';
}

export function flux(page, id) {
	const facts = new Facts([
		['state', 'state', (one) => one.state === 'stale'], ['interval', 'interval'], ['symbols live', (one) => `${one.series_live} of ${one.series}`],
		['newest update', ['last_update_at', page.since]],
		['candles', 'candles_total'], ['missing', 'gaps_open', (one) => one.gaps_open > 0], ['comes from', 'origin'],
		['created', ['created_at', instant]],
	]);
	const [tiles, room] = [new Map(), h('div', 'tiles')];
	const sight = new IntersectionObserver((entries) => {
		for (const { target, isIntersecting } of entries) tiles.get(target.dataset.symbol).isSeen = isIntersecting;
		turn();
	});
	const table = new Table('Symbols', [...seriesColumns(page), ['close', (row) => tiles.get(row.symbol).rows.at(-1)?.close, 'right']]);
	const [holes, stop] = [new Holes('Its holes'), stopCard(page, id)];
	const gone = h('p', 'bar warn');
	let isBusy = false;
	stop.hidden = true;

	// Redis may be away, or busy: later.
	async function turn() {
		if (isBusy) return;
		isBusy = true;
		await read().catch(() => {});
		isBusy = false;
	}

	async function read() {
		const seen = [...tiles.values()].filter((tile) => tile.isSeen).slice(0, 200);
		if (!seen.length) return;
		const { latest } = await page.ask(`/api/latest?interval=${seen[0].interval}&symbols=${seen.map((tile) => escaped(tile.symbol))}`);
		for (const tile of seen) if (latest[tile.symbol]) tile.take([latest[tile.symbol]]);
		for (const tile of seen.filter((one) => !one.isWhole && one.isSeen)) {
			tile.take((await page.ask(`/api/candles/${escaped(tile.symbol)}/${tile.interval}?limit=${closes}`)).rows);
			tile.isWhole = true;
		}
	}

	page.repeat(tileMs, turn);
	return {
		title: `Flux ${id}`,
		stream: { name: 'flux', id },
		parts: [gone, card('How it stands', facts), room, details('The symbols as a table', table),
			holes, stop],
		show(data) {
			say(gone, '');
			stop.hidden = false;
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
			holes.show(data);
		},
		gone() {
			say(gone, 'There is no such flux, or not any more.');
			stop.hidden = true;
		},
		close: () => sight.disconnect(),
	};
}

export const course = (gap) => (gap.ending ? `${endings[gap.ending] ?? gap.ending} at ${instant(gap.ended_at)}`
	: `asked for ${gap.tries}×${gap.next ? `, again at ${clock(gap.next)}` : ''}`);

export class Holes {
	constructor(title, go) {
		this.list = new Filtered('Holes', [['series', (gap) => `${gap.symbol} ${gap.interval}`, '', seriesLink], ['state', 'state', 'state'],
			['from', ['from', instant], go && 'button', go], ['until', ['until', instant], 'wide'], ['candles', 'candles', 'right'], ['cause', why, 'long'],
			['seen', ['since', instant], 'wide'], ['what became of it', course, 'long']], 'No hole: every closed candle is there.', 'symbol, state, cause',
		(gap) => Object.values(gap).join(' ') + why(gap), (gap) => `${gap.symbol} ${gap.interval} ${gap.from} ${gap.ended_at}`);
		this.more = quiet();
		this.element = card(title, this.list.parts, this.more);
	}

	show({ gaps, more, ended }) {
		this.list.show([...gaps, ...ended.map((gap) => ({ ...gap, state: gap.ending }))]);
		say(this.more, `${more ? `${count(more)} further ones are not listed. ` : ''}Ended ones are those since feedd was started.`);
	}
}

export function gaps(page) {
	const facts = new Facts([
		['missing now', 'open', (data) => data.open > 0], ['older, to be fetched', 'backfill'], ['the exchange lacks', 'absent'],
		['healed since the start', 'healed'], ['holes not listed', 'unlisted'],
		['weight of this minute', ({ rest }) => `${count(rest.weight_used)} of ${count(rest.weight_allowed)} ${bar(rest.weight_used / rest.weight_allowed)}`],
		['of the address', ({ rest }) => rest.weight_of_address], ['exchange refuses for', ({ rest }) => page.until(rest.blocked_until), ({ rest }) => rest.blocked_until > 0],
	]);
	const holes = new Holes('Holes, and what became of them');
	return {
		title: 'Gaps',
		parts: [card('Missing candles, and REST', facts), holes], show: (data) => [facts, holes].forEach((part) => part.show(data)),
	};
}

export function connections(page) {
	const [rates, says] = [new Rates(), quiet()];
	const table = new Table('Connections', [
		['connection', 'connection'], ['state', 'state', 'state'], ['host', 'host'], ['streams', 'streams', 'right'],
		['age', ['opened_at', page.since], 'right'],
		['rate', (one) => `${bytes(Math.round(rates.of(one.connection, one.received_bytes) ?? 0))}/s`, 'right'],
		['silence', ['last_received_at', page.since], 'right'], ['attempts', 'attempts', 'right wide'],
		['replaced in', ['replaced_at', page.until], 'right wide'],
		['last loss', (one) => one.last_loss || none, 'long'],
	], 'None so far.');
	return {
		title: 'Connections', parts: [card('To the exchange', says, table)],
		show(data) {
			say(says, `${data.live} of ${data.wanted} are open and subscribed.`);
			rates.keep(data.connections.map((one) => one.connection));
			table.show(data.connections);
		},
	};
}

export function system() {
	const rates = new Rates();
	const share = (name, ms) => percent(Math.min(1, (rates.of(name, ms) ?? NaN) / 1000));
	const facts = new Facts([
		['version', (data) => data.service.version], ['vector instructions', 'simd'], ['process', (data) => String(data.service.pid)],
		['up', (data) => duration(data.service.uptime_seconds)], ['resident memory', ['resident_bytes', bytes]],
		['live allocations', ['heap_allocated_bytes', bytes]],
		['of a processor', (data) => percent(rates.of('', Number(data.cpu_seconds)) ?? NaN)],
		['descriptors', (data) => `${count(data.open_descriptors)} of ${count(data.max_descriptors)}`],
		['records in rings', (data) => `${data.rings.join(', ')} of ${count(data.ring_capacity)}`],
		['log lines lost', 'log_lines_dropped', (data) => data.log_lines_dropped > 0],
	]);
	const threads = new Table('Threads', [
		['thread', 'name'], ['busy', (one) => share(one.name, one.busy_ms), 'right'],
		['since the start', ['busy_ms', age], 'right wide'],
		['does not answer for', ['stalled_ms', (ms) => (ms ? age(ms) : none)], 'right'],
	]);
	const settings = new Table('Settings', [['setting', (one) => one[0]], ['value', (one) => one[1], 'long']], 'The demo has none.');
	const counters = new Filtered('Counters', [['counter', 'name'], ['value', 'value', 'right'], ['unit', 'unit', 'wide'],
		['what it counts', 'sentence', 'long']], 'None.', 'part of a name', (one) => one.name);
	return {
		title: 'System',
		parts: [card('Process', facts), card('Threads', threads), card('Settings, without secrets', settings),
			card('Counters', counters.parts)],
		show(data) {
			facts.show(data);
			threads.show(data.threads);
			settings.show(Object.entries(data.settings));
			counters.show(data.counters);
		},
	};
}
