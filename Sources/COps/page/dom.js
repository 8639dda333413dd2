// Elements, texts and small drawings. All that comes from the server goes in as text: nothing here parses markup.

const svgSpace = 'http://www.w3.org/2000/svg';

/** Attributes may be a class alone, those that begin with `on` are listeners; children are nodes, texts, or have an `element`. */
export function fill(node, attributes, children) {
	if (typeof attributes === 'string') attributes = { class: attributes };
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
		else if (value === true) node.setAttribute(name, '');
		else if (value !== false && value != null) node.setAttribute(name, value);
	}
	node.append(...children.flat(9).filter(Boolean).map((child) => child.element ?? child));
	return node;
}

export const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) => fill(document.createElementNS(svgSpace, name), attributes, children);
const box = (name, kind) => (...children) => h(name, kind, children);

/** What is the same is not touched: a selection stays, nothing is laid out. */
export function say(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

// Figures. What is exact stays the server's text; what is measured is rounded.

export const escaped = encodeURIComponent;
export const none = '–';
const grouped = new Intl.NumberFormat('en');
export const count = (value) => (value == null ? none : grouped.format(value));
export const rate = (value) => (value == null ? none : value >= 100 ? grouped.format(Math.round(value)) : value.toFixed(1));
export const percent = (value) => (value == null || !Number.isFinite(value) ? none : `${(value * 100).toFixed(1)} %`);

export function micros(value) {
	if (value == null) return none;
	if (value < 1000) return `${value} µs`;
	return value < 1e6 ? `${(value / 1000).toPrecision(3)} ms` : `${(value / 1e6).toPrecision(3)} s`;
}

export function bytes(value) {
	if (value == null) return none;
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
	let unit = 0;
	while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
	return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds) {
	if (seconds == null) return none;
	if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
	let left = Math.round(seconds);
	const words = [];
	for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]]) {
		if (left >= size) words.push(`${Math.floor(left / size)} ${unit}`);
		left %= size;
	}
	return words.slice(0, 2).join(' ');
}

export const age = (ms) => duration(Math.max(0, ms) / 1000);
const iso = (ms) => (Number.isFinite(ms) && Math.abs(ms) < 8e15 ? new Date(ms).toISOString() : '');
export const clock = (ms) => (ms ? iso(ms).slice(11, 19) : none);
export const instant = (ms) => (ms ? iso(ms).slice(0, 19).replace('T', ' ') : none);
export const trimmed = (text) => (text?.includes('.') ? text.replace(/\.?0+$/, '') : text);

const tones = {
	good: ['live', 'up', 'redis', 'cache', 'TRADING', 'fetched', 'arrived', 'stored'],
	busy: ['starting', 'healing', 'open', 'connecting', 'waiting', 'subscribing', 'unhealthy', 'exchange', 'completed', 'unfollowed'],
	bad: ['degraded', 'stale', 'down', 'error', 'critical', 'warning'],
};

/** How something stands: the style sheet adds shape and colour to the word. */
export function badge(node, word) {
	say(node, word);
	node.dataset.tone = Object.keys(tones).find((name) => tones[name].includes(word)) ?? '';
}
export const newBadge = () => h('span', 'state');

// What is shown of a row is a member's name, [a name, how it is written] or a function; figures are grouped, and nothing is a dash.

const shown = (of, row) => {
	const value = typeof of === 'function' ? of(row) : Array.isArray(of) ? of[1](row[of[0]]) : row[of];
	return typeof value === 'number' ? count(value) : value ?? none;
};

/**
 * A table that is updated in place, so that focus, selection and scrolling stay. A column is [name, what it shows, how, and a link or what
 * its button does]; `how` is of the words right, long (may break), wide (not on small screens), state, button, sort. `key` tells
 * rows apart.
 */
export class Table {
	constructor(caption, columns, empty = 'Nothing.', key = [columns[0][1]].flat()[0]) {
		Object.assign(this, { columns, key, rows: new Map(), body: h('tbody'), empty: quiet(empty), all: [], max: Infinity });
		this.heads = columns.map(([name, , how], index) => h('th', { scope: 'col', class: how },
			how?.includes('sort') ? button(name, () => this.sort(index)) : name));
		this.table = h('table', {}, h('caption', 'hidden', caption), h('thead', {}, h('tr', {}, this.heads)), this.body);
		this.element = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption }, this.table, this.empty);
	}

	sort(index) {
		const order = this.heads[index].ariaSort === 'descending' ? 'ascending' : 'descending';
		for (const head of this.heads) head.ariaSort = null;
		this.heads[index].ariaSort = order;
		const [member, sign] = [[this.columns[index][1]].flat()[0], order === 'ascending' ? 1 : -1];
		this.order = (a, b) => sign * (a[member] - b[member] || (a[member] > b[member]) - (a[member] < b[member]));
		this.show(this.all);
	}

	show(rows) {
		this.all = rows;
		const seen = new Set();
		let place = this.body.firstChild;
		for (const row of (this.order ? [...rows].sort(this.order) : rows).slice(0, this.max)) {
			const key = String(shown(this.key, row));
			if (seen.has(key)) continue;
			seen.add(key);
			let line = this.rows.get(key);
			if (!line) this.rows.set(key, (line = this.line()));
			// Only what stands elsewhere is moved: a node that is moved loses the focus.
			if (line.element === place) place = place.nextSibling;
			else this.body.insertBefore(line.element, place);
			line.row = row;
			this.columns.forEach(([, of, how = '', link], index) => {
				const [inner, text] = [line.cells[index], shown(of, row)];
				if (how.includes('state')) badge(inner, text);
				else say(inner, text);
				const to = inner.tagName === 'A' && link(row);
				if (to) inner.setAttribute('href', to);
				else inner.removeAttribute('href');
			});
		}
		for (const [key, line] of this.rows) {
			if (seen.has(key)) continue;
			line.element.remove();
			this.rows.delete(key);
		}
		this.table.hidden = seen.size === 0;
		this.empty.hidden = seen.size > 0;
	}

	line() {
		const line = {};
		line.cells = this.columns.map(([, , how = '', link]) => (how.includes('button') ? button('', () => link(line.row))
			: link ? h('a') : how.includes('state') ? newBadge() : h('span')));
		line.element = h('tr', {}, line.cells.map((cell, index) => h('td', this.columns[index][2] ?? '', cell)));
		return line;
	}
}

const shownMax = 200;

export class Filtered {
	constructor(caption, columns, empty, hint, words, key) {
		Object.assign(this, { table: new Table(caption, columns, empty, key), words, more: quiet(), all: [] });
		this.table.max = shownMax;
		this.filter = entry(null, { placeholder: hint, oninput: () => this.show(this.all) });
		this.parts = [inRow(field('Filter', this.filter)), tall(this.table), this.more];
	}

	show(rows) {
		this.all = rows;
		const text = this.filter.value.trim().toLowerCase();
		const found = text ? rows.filter((row) => this.words(row).toLowerCase().includes(text)) : rows;
		this.table.show(found);
		say(this.more, found.length > shownMax ? `And ${count(found.length - shownMax)} more: the filter narrows them.` : '');
	}
}

/** Names and values: [name, what it shows, when it is alarming]. */
export class Facts {
	constructor(facts) {
		this.facts = facts;
		this.values = facts.map(() => h('dd', {}, none));
		this.element = h('dl', 'facts', facts.map(([name], index) => h('div', {}, h('dt', {}, name), this.values[index])));
	}

	show(data) {
		this.facts.forEach(([, of, isBad], index) => {
			say(this.values[index], shown(of, data));
			this.values[index].classList.toggle('alarm', Boolean(isBad?.(data)));
		});
	}
}

export class Rates {
	constructor() { this.known = new Map(); }

	of(key, total) {
		const [now, before] = [performance.now(), this.known.get(key)];
		const seconds = before ? (now - before.now) / 1000 : 0;
		// Some totals move every other second.
		if (before && seconds < (total === before.total ? 3 : 0.2)) return before.rate;
		const rate = before ? Math.max(0, total - before.total) / seconds : null;
		this.known.set(key, { now, total, rate });
		return rate;
	}

	keep(keys) { for (const key of this.known.keys()) if (!keys.includes(key)) this.known.delete(key); }
}

export const card = (title, ...children) => h('section', 'card', h('h2', {}, title), children);
export const [beside, inRow, tall, quiet] = [box('div', 'beside'), box('div', 'row'), box('div', 'tall'), box('p', 'quiet')];
export const status = (words) => h('p', { class: 'quiet', role: 'status' }, words);
export const form = (act, ...children) => h('form', {
	class: 'row',
	onsubmit: (event) => {
		event.preventDefault();
		act();
	},
}, children);
/** What the service takes for a symbol or for a part of one. */
export const isSymbol = (text) => /^(?!.*[\p{DI}\u1161-\u11ff])[\p{L}\p{N}_]+$/u.test(text) && new TextEncoder().encode(text).length <= 32;
export const symbolRule = 'A symbol has letters, digits and _, at most 32 bytes';
export const field = (words, input) => h('label', {}, words, input);
export const entry = (id, more) => h('input', { id, autocomplete: 'off', spellcheck: 'false', ...more });
export async function told(node, act) {
	try {
		await act();
	} catch (error) {
		say(node, `${error.message}.`);
	}
}
export const button = (words, onclick, more) => h('button', { type: 'button', onclick, ...more }, words);
export const details = (title, child) => h('details', {}, h('summary', {}, title), child);
export const bar = (share) => '▆'.repeat(Math.ceil(Math.min(share || 0, 1) * 12));

export function copyable(name) {
	const code = h('code');
	const copy = button('Copy', () => {
		getSelection().selectAllChildren(code);
		// Old, but there over plain HTTP, unlike the clipboard.
		say(copy, document.execCommand('copy') ? 'Copied' : 'Marked');
		setTimeout(() => say(copy, 'Copy'), 2000);
	}, { 'aria-label': `Copy ${name}` });
	return { code, copy };
}

// Drawings. Each stands beside its figures or a table, so they are hidden from who does not see.

export class Spark {
	constructor() {
		this.line = svg('polyline', { class: 'line', 'vector-effect': 'non-scaling-stroke' });
		this.element = svg('svg', { class: 'spark', viewBox: '0 0 100 30', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.line);
	}

	show(values, fromZero = true) {
		const known = values.filter((value) => value != null);
		if (known.length < 2) return this.line.setAttribute('points', '');
		const low = fromZero ? 0 : Math.min(...known);
		const high = Math.max(...known);
		const scale = high > low ? 26 / (high - low) : 0;
		const points = values.map((value, index) => (value == null ? ''
			: `${((index * 100) / (values.length - 1)).toFixed(1)},${(28 - (value - low) * scale).toFixed(1)}`));
		this.line.setAttribute('points', points.join(' '));
	}
}
