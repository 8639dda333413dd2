// A series: its chart, its newest candles as a table, its holes, what was put in later, and how to read it from elsewhere.

import { CandleChart, next, slotsOf } from './chart.js';
import {
	beside, button, card, clock, count, details, escaped, field, h, instant, none, percent, quiet, say, Table, trimmed,
} from './dom.js';
import { gapTable, why } from './views.js';

const pageRows = 300;
const rowsMax = 3000;
const pollMs = 250;
const pollFailedMs = 2000;
// What changes behind the newest candles (a hole that is healed, a correction) is seen by asking for all of them again.
const allMs = 15000;
const allWithHolesMs = 3000;
const tableRows = 20;

const describeHole = (slot) => {
	const { hole } = slot;
	return `${count(slot.missing)} missing from ${instant(slot.open)}: ${hole ? `${why(hole)}; ${hole.state}, asked ${hole.tries}×` : 'not listed as a hole'}`;
};

const members = ['open', 'high', 'low', 'close', 'volume', 'quote_volume', 'count', 'source', 'revision'];
const called = (member) => ({ quote_volume: 'quote volume', count: 'trades' })[member] ?? member;
const parts = (row) => [...members.map((member) => [called(member), String(row[member])]), ['', row.closed ? 'closed' : 'forming']];

const describe = (slot) => (slot.row ? [instant(slot.open), ...parts(slot.row).map((part) => part.join(' ').trim())].join(', ') : describeHole(slot));

class Candles {
	constructor(page, symbol, interval) {
		Object.assign(this, { page, symbol, interval, rows: [], allAt: -1e9, hasAllOlder: false, isLoading: false });
		this.path = `/api/candles/${escaped(symbol)}/${escaped(interval)}`;
		// Bars of a second may close several times between two questions.
		this.newest = interval === '1s' ? 20 : 2;
	}

	/** One turn of asking. */
	async turn(hasHoles) {
		const now = performance.now();
		if (now - this.allAt < (hasHoles ? allWithHolesMs : allMs)) {
			const { rows } = await this.page.ask(`${this.path}?limit=${this.newest}`);
			const last = this.rows.at(-1);
			const isNear = !last || !rows.length || rows[0].open_time <= next(last.open_time, this.interval);
			if (isNear) return this.merge(rows);
		}
		this.allAt = now;
		this.merge((await this.page.ask(`${this.path}?limit=${pageRows}`)).rows);
	}

	/** From the first of `rows` on, they are what there is. */
	merge(rows) {
		if (!rows.length) return;
		const before = this.rows.filter((row) => row.open_time < rows[0].open_time);
		this.rows = [...before, ...rows];
		if (this.rows.length > rowsMax) this.rows.splice(0, this.rows.length - rowsMax);
	}

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
	const candles = new Candles(page, symbol, interval);
	let [holes, isOpen, cutAt] = [[], true, 0];

	const price = h('span', {}, none);
	const change = h('span');
	const others = h('a', { href: `#/find/${escaped(symbol)}` }, 'other intervals');
	const cut = h('p', { class: 'bar bad', hidden: true });
	const exact = h('p', { class: 'exact' });
	const chart = new CandleChart(`Candles of ${symbol} ${interval}: arrow keys move the cross-hair`, describe, showExact,
		async () => { if (await candles.older()) draw(); });
	const act = (label, title, action) => button(label, action, { 'aria-label': title, title });
	const buttons = h('div', { class: 'row' }, act('◀', 'Earlier', () => chart.pan(-chart.count / 4)),
		act('▶', 'Later', () => chart.pan(chart.count / 4)),
		act('+', 'Larger', () => chart.zoom(0.7)), act('−', 'Smaller', () => chart.zoom(1.4)),
		act('newest', 'To the newest candle', () => chart.newest()));

	const howMany = h('select', { id: 'how-many', onchange: () => draw() }, h('option', { value: tableRows }, `newest ${tableRows}`),
		h('option', { value: pageRows }, `newest ${pageRows}`));
	const table = new Table(`Newest candles of ${symbol} ${interval}`, [
		['open time', (slot) => instant(slot.open)],
		...members.map((member) => [called(member), (slot) => String(slot.row?.[member] ?? ''),
			`${member === 'source' ? '' : 'right'} ${['close', 'volume', 'source'].includes(member) ? '' : 'wide'}`]),
		['bar', (slot) => (slot.row ? (slot.row.closed ? 'closed' : 'forming') : describeHole(slot)), 'long'],
	], (slot) => `${slot.open}${slot.row ? '' : ' hole'}`, 'No candle is stored.');
	table.table.id = 'newest';
	const gaps = gapTable();
	const changes = changeList(page, symbol, interval);

	function draw() {
		const slots = slotsOf(candles.rows, holes, interval);
		chart.show(slots);
		table.show([...new Set(slots.slice(-Number(howMany.value)))].reverse());
		const last = candles.rows.at(-1);
		if (!last) return;
		say(price, trimmed(last.close));
		const first = candles.rows.at(-pageRows) ?? candles.rows[0];
		const ratio = Number(last.close) / Number(first.open) - 1;
		say(change, `${ratio < 0 ? '▼' : '▲'} ${percent(Math.abs(ratio))} since ${instant(first.open_time).slice(5, 16)}`);
		change.className = ratio < 0 ? 'down' : 'up';
		if (chart.cursor < 0) showExact(null);
	}

	function showExact(slot) {
		const shown = slot ?? { open: candles.rows.at(-1)?.open_time, row: candles.rows.at(-1) };
		if (!shown.row && !slot) return;
		const words = shown.row ? parts(shown.row).map(([name, text]) => h('span', {}, name && `${name} `, h('b', {}, text)))
			: [h('span', {}, describeHole(shown))];
		exact.replaceChildren(h('span', {}, h('b', {}, instant(shown.open)), slot ? '' : ' (newest)'), ...words);
	}

	(async () => {
		while (isOpen) {
			const startedAt = performance.now();
			let wait = pollMs;
			if (!document.hidden) {
				try {
					await candles.turn(holes.some((hole) => hole.state !== 'absent') || healsLately());
					if (!isOpen) return;
					if (cutAt) reportHealed();
					draw();
				} catch (error) {
					if (!isOpen) return;
					reportCut(error);
					wait = pollFailedMs;
				}
			}
			await new Promise((resolve) => { setTimeout(resolve, Math.max(50, wait - (performance.now() - startedAt))); });
		}
	})();

	// A hole is told a second after it is seen, and gone when it is healed: a candle that is missing on the chart counts as one.
	function healsLately() {
		const rows = candles.rows.slice(-pageRows);
		return rows.some((row, index) => index > 0 && row.open_time > next(rows[index - 1].open_time, interval));
	}

	function reportCut(error) {
		if (!cutAt) {
			cutAt = Date.now();
			page.speak('The candles do not come any more.');
		}
		cut.className = 'bar bad';
		cut.hidden = false;
		say(cut, `No candles since ${clock(cutAt)}: ${error.message}.`);
	}

	function reportHealed() {
		cut.className = 'bar warn';
		say(cut, `Candles could not be read from ${clock(cutAt)} to ${clock(Date.now())}. They come again, with what was missed.`);
		page.speak('The candles come again.');
		[cutAt, candles.allAt] = [0, -1e9];
	}

	return {
		title: `${symbol} ${interval}`,
		stream: { name: 'gaps' },
		parts: [cut, card('Candles', h('p', {}, h('b', { class: 'figure' }, price), ' ', change, ' · ', others), chart.element, exact, buttons, legend()),
			card('Holes of this series', gaps.element, changes), card('Table', h('div', { class: 'row' }, field('Candles', howMany)), table.element),
			snippets(page, symbol, interval)],
		show(data) {
			holes = data.gaps.filter((gap) => gap.symbol === symbol && gap.interval === interval);
			gaps.show(holes);
		},
		close() {
			isOpen = false;
			chart.close();
		},
	};
}

const legend = () => h('ul', { class: 'legend' },
	...['▯ rose (hollow where there is room)', '▮ fell', '▨ missing, and how many', '▪ below: from REST, not the stream',
	'○ ringed: corrected after it was stored',
	'keys: ← → cross-hair, ↑ ↓ zoom, Shift + ← → move; the wheel zooms after a click'].map((words) => h('li', {}, words)));

/** What `changes:` keeps of this series: candles that were put in behind the newest one, corrected or removed. */
function changeList(page, symbol, interval) {
	const table = new Table('Put in later or corrected', [
		['told', (row) => clock(Number(row.id.split('-')[0]))], ['open time', (row) => instant(Number(row.fields.open_time))],
		['kind', (row) => row.fields.kind], ['source', (row) => row.fields.source],
		['revision', (row) => row.fields.revision, 'right'],
	], 'id', 'Nothing.');
	const says = quiet();
	return details('What was put in later or corrected (the newest 50)', async () => {
		try {
			const key = await page.findKey('changes', `changes:{${symbol}}:${interval}`);
			table.show(key ? (await page.ask(`/api/key?name=${escaped(key.name)}`)).values : []);
			say(says, '');
		} catch (error) {
			say(says, `${error.message}.`);
		}
	}, says, table.element);
}

function snippets(page, symbol, interval) {
	const boxes = [['redis-cli', (prefix) => `redis-cli XREVRANGE '${prefix}candles:{${symbol}}:${interval}' + - COUNT 3
redis-cli HGET '${prefix}latest:${interval}' ${symbol}
redis-cli SUBSCRIBE '${prefix}updates:{${symbol}}:${interval}'`],
	['feedd', () => `feedd data ${symbol} ${interval} 10
feedd watch ${symbol} ${interval}
feedd gaps ${symbol} ${interval}
feedd audit ${symbol} ${interval}`],
	['Python', (prefix) => `import redis

store = redis.Redis(decode_responses=True)
for entry, candle in store.xrevrange("${prefix}candles:{${symbol}}:${interval}", count=10):
    print(entry.split("-")[0], candle["close"])  # open time in ms, exact decimal`],
	['Swift', () => `import FastFeed

let client = try await FluxClient.connect(try RedisEndpoint(url: "redis://127.0.0.1:6379"))
let data = try await client.data(symbol: "${symbol}", interval: Interval(token: "${interval}")!, limit: 10)
for candle in data.rows { print(candle.openTime, candle.close) }`]].map(([name, text]) => {
		const code = h('code', {}, text(''));
		const copy = button('Copy', () => take(code, copy), { 'aria-label': `Copy ${name}` });
		return { code, text, element: h('div', { class: 'snippet' }, h('div', { class: 'row' }, h('h3', {}, name), copy),
			h('pre', { tabindex: 0, role: 'region', 'aria-label': `${name} snippet` }, code)) };
	});
	page.keyPrefix().then((prefix) => boxes.forEach((box) => say(box.code, box.text(prefix)))).catch(() => {});
	return card('Read it from elsewhere', beside(...boxes.map((box) => box.element)));
}

async function take(code, copy) {
	try {
		await navigator.clipboard.writeText(code.textContent);
		say(copy, 'Copied');
	} catch {
		// Plain HTTP from another machine: the browser lends no clipboard. It is marked for Ctrl-C.
		getSelection().selectAllChildren(code);
		say(copy, 'Marked');
	}
	setTimeout(() => say(copy, 'Copy'), 2000);
}
