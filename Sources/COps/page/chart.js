// The candle chart: a canvas, drawn as a whole, at most once a frame. A slot is a bar's place in time: { open, row, ended } or, where bars
// are missing, { open, until, missing, hole }. Numbers are only for drawing: what is read is the server's text.

import { h, instant, trimmed } from './dom.js';

const unitMs = { s: 1000, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

/** When the next bar opens; months are as long as the calendar says. */
export function next(open, interval) {
	const size = parseInt(interval, 10);
	const unit = interval.slice(-1);
	if (unit !== 'M') return open + size * unitMs[unit];
	const date = new Date(open);
	return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + size, 1);
}

/** From the first of `newer` on, they are what there is. */
export const merged = (rows, newer, most) => (newer.length ? [...rows.filter((row) => row.open_time < newer[0].open_time), ...newer].slice(-most) : rows);

// A hole of a night would push all candles out of sight: it is as wide as this many bars.
const holeSlotsMax = 12;

/** Rows by open time, with a place for each that is missing between them, and behind them if a hole is listed there. */
export function slotsOf(rows, holes, interval, ended = []) {
	const slots = [];
	const gap = (open, until) => {
		let missing = 0;
		for (let at = open; at < until && missing < 1e6; at = next(at, interval)) missing += 1;
		const slot = { open, until, missing, hole: holes.find((one) => one.from < until && one.until > open) };
		slots.push(...Array(Math.min(missing, holeSlotsMax)).fill(slot));
	};
	let expected = null;
	for (const row of rows) {
		if (expected !== null && row.open_time > expected) gap(expected, row.open_time);
		slots.push({ open: row.open_time, row, ended: ended.find((one) => one.from <= row.open_time && row.open_time < one.until) });
		expected = next(row.open_time, interval);
	}
	const behind = holes.find((one) => expected !== null && one.from >= expected);
	if (behind) gap(behind.from, behind.until);
	return slots;
}

const [countMin, countMax] = [15, 1500];
const axisHeight = 22;
const stripHeight = 14;

export class CandleChart {
	constructor(label, describe, onCursor, onEdge) {
		Object.assign(this, { describe, onCursor, onEdge, slots: [], right: 0, count: 300, cursor: -1, pointerY: null, held: null });
		this.canvas = h('canvas', { 'aria-hidden': 'true' });
		// A slider is what it is for the keyboard: a place in a row, with a text for each.
		this.element = h('div', {
			class: 'chart', tabindex: 0, role: 'slider', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 0, 'aria-valuenow': 0,
			'aria-valuetext': 'no candle chosen',
		}, this.canvas);
		for (const type of ['keydown', 'wheel', 'pointerdown', 'pointermove', 'pointerup', 'pointercancel', 'pointerleave']) {
			this.element.addEventListener(type, (event) => event.isPrimary !== false && this[type](event));
		}
		this.context = this.canvas.getContext('2d');
		this.sizes = new ResizeObserver(() => this.resize());
		this.sizes.observe(this.element);
	}

	close() {
		this.sizes.disconnect();
		cancelAnimationFrame(this.frame);
	}

	resize() {
		const ratio = devicePixelRatio;
		[this.width, this.height] = [this.element.clientWidth, this.element.clientHeight];
		[this.canvas.width, this.canvas.height] = [this.width * ratio, this.height * ratio];
		this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
		// On a small screen 300 candles are a smear.
		this.count = Math.min(this.count, Math.max(60, this.width / 3));
		this.redraw();
	}

	get follows() { return this.right >= this.slots.length; }

	show(slots) {
		const [follows, held, at] = [this.follows, this.slots[this.cursor], Math.max(0, Math.ceil(this.right) - 1)];
		const anchor = this.slots[at];
		this.slots = slots;
		const place = (slot) => slots.findLastIndex((one) => one.open <= slot.open);
		this.right = follows ? slots.length : this.right + place(anchor) - at;
		this.cursor = held ? place(held) : -1;
		this.clamp();
		this.element.ariaValueMax = slots.length;
		if (held) this.onCursor(this.slots[this.cursor]);
		this.redraw();
	}

	clamp() {
		this.count = Math.min(countMax, Math.max(countMin, this.count));
		this.right = Math.min(this.slots.length, Math.max(10, this.right));
	}

	redraw() {
		if (this.frame) return;
		this.frame = requestAnimationFrame(() => {
			this.frame = 0;
			this.draw();
		});
	}

	pan(slots) {
		this.right += slots;
		this.clamp();
		if (this.right - this.count < 20) this.onEdge();
		this.redraw();
	}

	zoom(factor, x = this.plot) {
		const share = (this.plot - x) / this.plot;
		const before = this.count;
		this.count *= factor;
		this.clamp();
		if (!(this.follows && share === 0)) this.right -= share * (before - this.count);
		this.pan(0);
	}

	goTo(from, until) {
		const [first, last] = [from, until].map((at) => this.slots.findIndex((slot) => slot.open >= at || slot.until > at));
		if (first < 0) return;
		this.right = (first + (last < 0 ? this.slots.length : last) + this.count) / 2;
		this.pan(0);
		this.point(first);
	}

	point(index, y = null) {
		this.cursor = Math.min(this.slots.length - 1, Math.max(-1, index));
		this.pointerY = y;
		const slot = this.slots[this.cursor];
		this.element.ariaValueNow = this.cursor + 1;
		this.element.ariaValueText = slot ? this.describe(slot) : 'no candle chosen';
		this.onCursor(slot);
		this.redraw();
	}

	keydown(event) {
		if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey && event.key !== '+') return;
		const last = this.slots.length - 1;
		const at = this.cursor < 0 ? last + 1 : this.cursor;
		const page = Math.max(1, Math.round(this.count / 10));
		const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - page, PageDown: at + page, Home: 0, End: last };
		if (event.key in moves) {
			// Out of sight, the chart follows the cross-hair.
			this.point(Math.max(0, moves[event.key]));
			this.pan(Math.min(0, this.cursor - this.right + this.count) || Math.max(0, this.cursor + 1 - this.right));
		} else if (event.key === '+' || event.key === 'ArrowUp') this.zoom(0.8);
		else if (event.key === '-' || event.key === 'ArrowDown') this.zoom(1.25);
		else if (event.key === 'Escape') this.point(-1);
		else return;
		event.preventDefault();
	}

	wheel(event) {
		// Who scrolls the page past the chart is not caught by it: it zooms when it has been chosen.
		const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
		if (!isSideways && document.activeElement !== this.element && !event.ctrlKey) return;
		event.preventDefault();
		if (isSideways) this.pan((event.deltaX * this.count) / this.plot);
		else this.zoom(Math.exp(Math.max(-0.3, Math.min(0.3, event.deltaY / 500))), this.offset(event)[0]);
	}

	offset(event) {
		const { left, top } = this.element.getBoundingClientRect();
		return [event.clientX - left, event.clientY - top];
	}

	slotAt(x) { return x > this.plot ? -1 : Math.floor(this.right - (this.plot - x) / (this.plot / this.count)); }

	pointerdown(event) {
		this.element.setPointerCapture(event.pointerId);
		[this.held, this.dragged] = [this.offset(event), 0];
	}

	pointermove(event) {
		const [x, y] = this.offset(event);
		if (!this.held) return event.pointerType === 'mouse' && this.point(this.slotAt(x), y);
		const away = this.held[0] - x;
		this.held = [x, y];
		this.dragged += Math.abs(away);
		if (this.dragged > 4) this.pan((away * this.count) / this.plot);
	}

	pointerup() {
		if (this.held && this.dragged <= 4) this.point(this.slotAt(this.held[0]), this.held[1]);
		this.held = null;
	}

	pointercancel() { this.held = null; }

	pointerleave() {
		if (!this.held && this.pointerY !== null) this.point(-1);
	}

	/** What the style sheet says now: a canvas knows no custom properties. */
	get palette() {
		const { theme } = document.documentElement.dataset;
		if (this.theme !== theme) {
			this.theme = theme;
			const read = (name) => {
				this.canvas.style.setProperty('color', `var(--${name})`);
				return getComputedStyle(this.canvas).color;
			};
			this.colours = Object.fromEntries(['card', 'line', 'text', 'quiet', 'good', 'bad', 'warn', 'link'].map((name) => [name, read(name)]));
			this.font = `11px ${getComputedStyle(this.element).fontFamily}`;
			this.hatch = this.makeHatch();
		}
		return this.colours;
	}

	makeHatch() {
		const tile = h('canvas', { width: 6, height: 6 });
		const context = tile.getContext('2d');
		context.fillStyle = this.colours.warn;
		for (let at = 0; at < 6; at += 1) context.fillRect(at, 5 - at, 1, 1);
		return this.context.createPattern(tile, 'repeat');
	}

	draw() {
		const { context: c, width, height, slots } = this;
		if (!width || !height) return;
		const colours = this.palette;
		c.clearRect(0, 0, width, height);
		c.font = this.font;
		c.lineWidth = 1;
		c.textBaseline = 'middle';
		const first = Math.max(0, Math.floor(this.right - this.count));
		const last = Math.min(slots.length - 1, Math.ceil(this.right) - 1);
		let [low, high, most] = [Infinity, -Infinity, 0];
		for (let index = first; index <= last; index += 1) {
			const row = slots[index].row;
			if (!row) continue;
			low = Math.min(low, +row.low);
			high = Math.max(high, +row.high);
			most = Math.max(most, +row.volume);
		}
		if (!(high >= low)) {
			this.plot = width - 60;
			c.fillStyle = colours.quiet;
			c.fillText(slots.length ? 'No candle here.' : 'No candle yet.', 12, height / 2);
			return;
		}
		const volumeHeight = Math.round((height - axisHeight) * 0.18);
		const priceHeight = height - axisHeight - volumeHeight - stripHeight;
		const room = (high - low || high * 0.001 || 1) * 0.06;
		[low, high] = [low - room, high + room];
		const step = niceStep((high - low) / Math.max(2, priceHeight / 55));
		const digits = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
		this.plot = Math.max(100, width - Math.ceil(c.measureText(high.toFixed(digits + 1)).width) - 14);
		const slotWidth = this.plot / this.count;
		const geometry = {
			first, last, slotWidth, priceHeight, digits, base: height - axisHeight,
			x: (index) => this.plot - (this.right - index - 0.5) * slotWidth,
			y: (price) => ((high - price) / (high - low)) * priceHeight,
			price: (y) => high - (y / priceHeight) * (high - low),
			volume: (volume) => (most > 0 ? (volume / most) * volumeHeight : 0),
		};
		this.drawPrices(geometry, Math.ceil(low / step) * step, high, step);
		this.drawTimes(geometry);
		c.save();
		c.beginPath();
		c.rect(0, 0, this.plot, height - axisHeight);
		c.clip();
		this.drawHoles(geometry);
		this.drawCandles(geometry);
		c.restore();
		this.drawNewest(geometry);
		this.drawCross(geometry);
	}

	drawPrices({ y, digits }, from, high, step) {
		const { context: c, palette } = this;
		c.beginPath();
		c.fillStyle = palette.quiet;
		for (let price = from; price < high; price += step) {
			const at = Math.round(y(price)) + 0.5;
			this.line(0, at, this.plot, at);
			c.fillText(price.toFixed(digits), this.plot + 6, at);
		}
		c.strokeStyle = palette.line;
		c.stroke();
	}

	drawTimes({ first, last, x, base }) {
		const { context: c, palette, slots } = this;
		const spacing = Math.max(1, Math.ceil(90 / (this.plot / this.count)));
		const span = slots[last].open - slots[first].open;
		c.fillStyle = palette.quiet;
		c.textAlign = 'center';
		c.beginPath();
		let day = '';
		for (let index = Math.ceil(first / spacing) * spacing; index <= last; index += spacing) {
			const at = Math.round(x(index)) + 0.5;
			if (at < 24 || at > this.plot - 10) continue;
			const text = new Date(slots[index].open).toISOString();
			const time = text.slice(11, span < 600e3 ? 19 : 16);
			this.line(at, 0, at, base);
			c.fillText(span > 20 * unitMs.d ? text.slice(0, 10) : text.slice(5, 10) === day ? time : `${text.slice(5, 10)} ${time}`, at,
				base + axisHeight / 2);
			day = text.slice(5, 10);
		}
		c.stroke();
		c.textAlign = 'start';
	}

	line(fromX, fromY, toX, toY) {
		this.context.moveTo(fromX, fromY);
		this.context.lineTo(toX, toY);
	}

	drawHoles({ first, last, x, slotWidth, base, priceHeight }) {
		const { context: c, palette, slots } = this;
		for (let index = first; index <= last; index += 1) {
			const slot = slots[index];
			c.fillStyle = this.hatch;
			if (slot.ended) c.fillRect(x(index) - slotWidth / 2, priceHeight, slotWidth, stripHeight);
			if (slot.row) continue;
			const from = index;
			while (index < last && slots[index + 1] === slot) index += 1;
			const [left, wide] = [x(from) - slotWidth / 2, (index - from + 1) * slotWidth];
			c.fillRect(left, 0, wide, base);
			if (wide > 30) this.label(String(slot.missing), left + wide / 2 - 14, 12, palette.warn, 28);
		}
	}

	drawCandles({ first, last, x, y, slotWidth, base, priceHeight, volume }) {
		const { context: c, palette, slots } = this;
		const [body, dot] = [Math.max(1, Math.min(slotWidth * 0.72, 24)), slotWidth > 2.5 ? 2 : 1];
		const ringed = [];
		for (let index = first; index <= last; index += 1) {
			const { row } = slots[index];
			if (!row) continue;
			const isUp = +row.close >= +row.open;
			const wick = slotWidth > 3 ? Math.round(x(index)) + 0.5 : x(index);
			const [high, top, bottom, low] = [row.high, isUp ? row.close : row.open, isUp ? row.open : row.close, row.low].map((price) => y(+price));
			const [left, tall, sold] = [wick - body / 2, Math.max(1, bottom - top), volume(+row.volume)];
			c.fillStyle = c.strokeStyle = isUp ? palette.good : palette.bad;
			c.fillRect(wick - 0.5, high, 1, top - high);
			c.fillRect(wick - 0.5, bottom, 1, low - bottom);
			c.globalAlpha = 0.45;
			c.fillRect(left, base - sold, body, sold);
			// A forming candle is pale. Rising ones are hollow where there is room, so that colour is not all that tells.
			if (row.closed) c.globalAlpha = 1;
			if (isUp && body > 4) c.strokeRect(left + 0.5, top, body - 1, tall);
			else c.fillRect(left, top, body, tall);
			c.globalAlpha = 1;
			if (row.revision > 0) ringed.push([x(index), (top + bottom) / 2]);
			if (row.source !== 'backfill') continue;
			c.fillStyle = palette.link;
			c.fillRect(Math.round(x(index) - dot / 2), priceHeight + stripHeight / 2, dot, dot);
		}
		c.strokeStyle = palette.warn;
		c.lineWidth = 2;
		for (const [at, middle] of ringed) {
			c.beginPath();
			c.arc(at, middle, Math.max(6, body * 0.8), 0, 7);
			c.stroke();
		}
		c.lineWidth = 1;
	}

	drawNewest({ y, priceHeight }) {
		const row = this.slots.findLast((slot) => slot.row).row;
		const at = Math.round(y(+row.close)) + 0.5;
		if (at < 0 || at > priceHeight) return;
		const colour = this.palette[+row.close >= +row.open ? 'good' : 'bad'];
		this.dashed(colour, () => this.line(0, at, this.plot, at));
		this.label(trimmed(row.close), this.plot + 1, at, colour);
	}

	dashed(colour, draw) {
		const { context: c } = this;
		c.strokeStyle = colour;
		c.setLineDash([4, 3]);
		c.beginPath();
		draw();
		c.stroke();
		c.setLineDash([]);
	}

	label(text, left, middle, ground, wide = this.width - left) {
		const { context: c } = this;
		c.fillStyle = ground;
		c.fillRect(left, middle - 9, wide, 18);
		c.fillStyle = this.palette.card;
		c.fillText(text, left + 5, middle);
	}

	drawCross({ x, y, price, base, priceHeight, digits }) {
		const slot = this.slots[this.cursor];
		const at = Math.round(x(this.cursor)) + 0.5;
		if (!slot || at < 0 || at > this.plot) return;
		const { palette } = this;
		const level = this.pointerY ?? (slot.row ? y(+slot.row.close) : -1);
		const hasLevel = level >= 0 && level < priceHeight;
		this.dashed(palette.text, () => {
			this.line(at, 0, at, base);
			if (hasLevel) this.line(0, Math.round(level) + 0.5, this.plot, Math.round(level) + 0.5);
		});
		if (hasLevel) this.label(this.pointerY === null ? trimmed(slot.row.close) : price(level).toFixed(digits + 1), this.plot + 1, level, palette.text);
		const text = instant(slot.open).slice(5);
		const wide = this.context.measureText(text).width + 10;
		this.label(text, Math.min(this.plot - wide, Math.max(0, at - wide / 2)), base + 11, palette.text, wide);
	}
}

/** 1, 2 or 5 times a power of ten, and not less than `size`. */
function niceStep(size) {
	const power = 10 ** Math.floor(Math.log10(size));
	return [1, 2, 5, 10].find((factor) => factor * power >= size) * power;
}
