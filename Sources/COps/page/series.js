// A series: its chart, its newest candles as a table, its holes, what was put in later, and how to read it from elsewhere.

import { CandleChart, merged, next, slotsOf } from './chart.js';
import {
	badge, beside, button, card, clock, copyable, count, escaped, field, h, inRow, instant, isSymbol, newBadge, none, quiet, say, symbolRule, Table,
	trimmed,
} from './dom.js';
import { course, Holes, intervals, showChange, why } from './views.js';

const [pageRows, rowsMax] = [300, 3000];
const [pollMs, pollFailedMs] = [250, 2000];
// What changes behind the newest candles (a hole that is healed, a correction) is seen by asking for all of them again.
const allMs = 4000;
const tableRows = 20;

const describeHole = (slot) => {
	const { hole } = slot;
	return `${count(slot.missing)} missing from ${instant(slot.open)}: ${hole ? `${why(hole)}; ${course(hole)}` : 'not listed as a hole'}`;
};

const members = ['open', 'high', 'low', 'close', 'volume', 'quote_volume', 'count', 'source', 'revision'];
const called = (member) => ({ quote_volume: 'quote volume', count: 'trades' })[member] ?? member;
const past = ({ ended }) => (ended ? [`was missing: ${why(ended)}; ${course(ended)}`] : []);
const describe = (slot) => (slot.row ? [instant(slot.open), ...members.map((member) => `${called(member)} ${slot.row[member]}`),
	slot.row.closed ? 'closed' : 'forming', ...past(slot)].join(', ') : describeHole(slot));

export const candleColumns = [
	['open time', ['open', instant]],
	...members.map((member) => [called(member), (slot) => String(slot.row?.[member] ?? ''),
		`${member === 'source' ? '' : 'right'} ${['close', 'volume', 'source'].includes(member) ? '' : 'wide'}`]),
	['bar', (slot) => (slot.row ? (slot.row.closed ? 'closed' : 'forming') : describeHole(slot)), 'long'],
];

class Candles {
	constructor(page, symbol, interval) {
		Object.assign(this, { page, interval, rows: [], allAt: -1e9 });
		this.path = `/api/candles/${escaped(symbol)}/${escaped(interval)}`;
		// Bars of a second may close several times between two questions.
		this.newest = interval === '1s' ? 20 : 2;
	}

	async turn() {
		const now = performance.now();
		if (now - this.allAt < allMs) {
			const { rows } = await this.page.ask(`${this.path}?limit=${this.newest}`);
			const last = this.rows.at(-1);
			if (!last || !rows.length || rows[0].open_time <= next(last.open_time, this.interval)) return this.take(rows);
		}
		this.allAt = now;
		this.take((await this.page.ask(`${this.path}?limit=${pageRows}`)).rows);
	}

	take(rows) { this.rows = merged(this.rows, rows, rowsMax); }

	async older() {
		if (this.isLoading || this.hasAllOlder || !this.rows.length || this.rows.length + pageRows > rowsMax) return false;
		this.isLoading = true;
		try {
			const end = this.rows[0].open_time - 1;
			const older = (await this.page.ask(`${this.path}?limit=${pageRows}&end=${end}`)).rows.filter((row) => row.open_time <= end);
			this.hasAllOlder = older.length === 0;
			this.rows = [...older, ...this.rows];
			return older.length > 0;
		} catch {
			return false;
		} finally {
			this.isLoading = false;
		}
	}
}

export function series(page, symbol = '', interval = '1m') {
	if (!isSymbol(symbol) || !intervals.includes(interval)) {
		return { title: 'No series', stream: { name: 'connections' }, parts: [quiet(`There is no such series. ${symbolRule}.`)] };
	}
	const candles = new Candles(page, symbol, interval);
	let [holes, ended, cutAt] = [[], [], 0];

	const [price, change, state] = [h('span', {}, none), h('span'), newBadge()];
	const others = h('a', { href: `#/symbols/${escaped(symbol)}` }, 'other intervals');
	const cut = h('p', 'bar bad');
	const exact = h('p', 'exact');
	const chart = new CandleChart(`Candles of ${symbol} ${interval}: arrow keys move the cross-hair`, describe, showExact,
		async () => { if (await candles.older()) draw(); });
	const act = (label, title, action) => button(label, action, { 'aria-label': title });
	const buttons = inRow(act('◀', 'Earlier', () => chart.pan(-chart.count / 4)),
		act('▶', 'Later', () => chart.pan(chart.count / 4)),
		act('+', 'Larger', () => chart.zoom(0.7)), act('−', 'Smaller', () => chart.zoom(1.4)),
		act('newest', 'To the newest candle', () => chart.pan(Infinity)));

	const howMany = h('select', { id: 'how-many', onchange: () => draw() },
		[tableRows, pageRows].map((rows) => h('option', { value: rows }, `newest ${rows}`)));
	const table = new Table(`Newest candles of ${symbol} ${interval}`, candleColumns, 'No candle is stored.', (slot) => `${slot.open}${slot.row ? '' : ' hole'}`);
	table.table.id = 'newest';
	const list = new Holes('Holes of this series, and what became of them', goTo);
	const changes = h('a', {}, 'What was put in later or corrected');
	const code = snippets(page, symbol, interval);

	async function goTo(gap) {
		while (candles.rows[0]?.open_time > gap.from && await candles.older());
		draw();
		chart.goTo(gap.from, gap.until);
		chart.element.focus();
	}

	function draw() {
		const slots = slotsOf(candles.rows, holes, interval, ended);
		chart.show(slots);
		table.show([...new Set(slots.slice(-Number(howMany.value)))].reverse());
		const last = candles.rows.at(-1);
		if (!last) return;
		say(price, trimmed(last.close));
		const first = candles.rows.at(-pageRows) ?? candles.rows[0];
		showChange(change, last.close / first.open - 1, ` since ${instant(first.open_time).slice(5, 16)}`);
		if (chart.cursor < 0) showExact(null);
	}

	function showExact(slot) {
		const row = candles.rows.at(-1);
		if (row) say(exact, slot ? describe(slot) : `Newest: ${describe({ open: row.open_time, row })}`);
	}

	function reportCut(error) {
		if (!cutAt) page.speak('The candles do not come any more.');
		cutAt ||= Date.now();
		cut.className = 'bar bad';
		say(cut, `No candles since ${clock(cutAt)}: ${error.message}.`);
	}

	function reportHealed() {
		cut.className = 'bar warn';
		say(cut, `Candles could not be read from ${clock(cutAt)} to ${clock(Date.now())}. They come again, with what was missed.`);
		page.speak('The candles come again.');
		[cutAt, candles.allAt] = [0, -1e9];
	}

	page.repeat(pollMs, async () => {
		try {
			await candles.turn();
			if (cutAt) reportHealed();
			draw();
		} catch (error) {
			reportCut(error);
			return pollFailedMs;
		}
		return pollMs;
	});
	return {
		title: `${symbol} ${interval}`,
		stream: { name: 'series', id: `${symbol}@${interval}` },
		parts: [cut, card('Candles', h('p', {}, h('b', 'figure', price), ' ', change, ' · ', state, ' · ', others), chart, exact, buttons, legend()),
			list, h('p', {}, changes), card('Table', inRow(field('Candles', howMany)), table), code],
		show(data) {
			[holes, ended] = [data.gaps, data.ended];
			badge(state, data.fluxes[0]?.state ?? 'nobody follows it');
			list.show(data);
			code.show();
			changes.setAttribute('href', `#/redis/changes/${escaped(page.key('changes', symbol, interval))}`);
		},
		close: () => chart.close(),
	};
}

const legend = () => h('ul', 'legend',
	['▯ rose (hollow where there is room)', '▮ fell', '▨ missing, and how many; a strip below: was missing', '▪ below: from REST, not the stream',
	'○ ringed: corrected after it was stored',
	'keys: ← → Page Up and Down move the cross-hair, ↑ ↓ zoom; the wheel zooms after a click'].map((words) => h('li', {}, words)));

function snippets(page, symbol, interval) {
	const boxes = [['redis-cli', (key) => `redis-cli XREVRANGE '${key('candles')}' + - COUNT 3
redis-cli HGET '${page.key('latest', '', interval)}' ${symbol}
redis-cli SUBSCRIBE '${key('updates')}'`],
	['feedd', () => `feedd data ${symbol} ${interval} 10
feedd watch ${symbol} ${interval}
feedd gaps ${symbol} ${interval}
feedd audit ${symbol} ${interval}`],
	['Python', (key) => `import redis

store = redis.Redis(decode_responses=True)
print(store.xrevrange("${key('candles')}", count=10))`],
	['Swift', () => `import FastFeed

let client = try await FluxClient.connect(try RedisEndpoint(url: "redis://127.0.0.1:6379"))
let data = try await client.data(symbol: "${symbol}", interval: Interval(token: "${interval}")!, limit: 10)
for candle in data.rows { print(candle.openTime, candle.close) }`]].map(([name, text]) => {
		const { code, copy } = copyable(name);
		return { code, text, element: h('div', 'snippet', inRow(h('h3', {}, name), copy),
			h('pre', {}, code)) };
	});
	return {
		element: card('Read it from elsewhere', beside(boxes)),
		show() { for (const { code, text } of boxes) say(code, text((word) => page.key(word, symbol, interval))); },
	};
}
