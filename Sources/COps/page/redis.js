// Redis: how it stands, and the keys of the service; and the cache: where candles come from that nobody follows, and how long that takes.

import {
	badge, beside, button, bytes, card, clock, count, duration, entry, escaped, Facts, field, Filtered, h, instant, micros,
	newBadge, none, percent, quiet, say, Table, tall,
} from './dom.js';
import { intervalChoice } from './views.js';

export function redis(page, group = '', key = '') {
	const [state, remarks, seen] = [newBadge(), h('p', { class: 'alarm' }), quiet()];
	const reason = h('p', { class: 'bar bad', hidden: true });
	const ratio = (data) => data.keyspace_hits / (data.keyspace_hits + data.keyspace_misses);
	const facts = new Facts([
		['version', 'redis_version'], ['role', 'role'], ['up', ['uptime_in_seconds', duration]], ['memory', ['used_memory', bytes]],
		['its peak', ['used_memory_peak', bytes]],
		['its limit', (data) => (data.maxmemory === 0 ? 'none' : bytes(data.maxmemory))],
		['when memory is full', 'maxmemory_policy', (data) => data.maxmemory_policy && data.maxmemory_policy !== 'noeviction'],
		['commands/s', 'instantaneous_ops_per_sec'], ['clients', 'connected_clients'], ['keys found', (data) => percent(ratio(data))],
		['hits, misses', (data) => `${count(data.keyspace_hits)}, ${count(data.keyspace_misses)}`],
		['keys evicted', 'evicted_keys', (data) => data.evicted_keys > 0],
		['bytes in', ['total_net_input_bytes', bytes]], ['bytes out', ['total_net_output_bytes', bytes]],
	]);
	const disk = new Facts([
		['append-only file', (data) => ({ 0: 'off', 1: 'on' })[data.aof_enabled], (data) => data.aof_enabled === '0'],
		['last write', 'aof_last_write_status', (data) => data.aof_last_write_status === 'err'],
		['last rewrite', 'aof_last_bgrewrite_status'], ['its size', ['aof_current_size', bytes]], ['delayed fsyncs', 'aof_delayed_fsync'],
		['replicas', 'connected_slaves'],
		['their lag', (data) => (data.connected_slaves ? bytes(data.replication_lag_bytes) : none)], ['slow commands', 'slow_commands'],
	]);
	const slow = new Table('Slow log', [['time', ['at', clock]], ['took', ['took_us', micros], 'right'], ['command', 'command', 'long']], 'id',
		'No slow command.');
	const events = new Table('Latency events', [
		['event', 'event'], ['last', ['at', clock]], ['ms', 'latest_ms', 'right'], ['worst', 'worst_ms', 'right'],
	], 'event', 'None, or latency-monitor-threshold is 0.');
	const browser = keyBrowser(page, group, key);
	return {
		title: 'Redis',
		parts: [reason, beside(card(['Server ', state], facts.element, remarks, seen), card('On disk, and elsewhere', disk.element)), ...browser.parts,
			beside(card('Slow log', slow.element), card('Latency events', events.element))],
		show(data) {
			badge(state, data.connected ? 'up' : 'down');
			reason.hidden = !data.reason;
			say(reason, data.reason ?? '');
			facts.show(data);
			disk.show(data);
			say(remarks, data.remarks.join('. '));
			slow.show(data.slow_log.filter(Boolean));
			events.show(data.latency_events.filter(Boolean));
			say(seen, data.seen_at ? `INFO of ${page.since(data.seen_at)} ago; it is asked every 5 s.` : '');
		},
		tick: () => browser.tick(),
	};
}

// Keys

const groups = {
	candles: 'histories of closed candles', gaps: 'holes', changes: 'what was put in later', latest: 'newest states', cache: 'answers of the exchange',
		service: 'of the service itself',
};

const keyLink = (group, name) => `#/redis/${group}${name === undefined ? '' : `/${escaped(name)}`}`;
const lasting = (ms) => (ms === -1 ? 'stays' : ms < 0 ? 'gone' : `${(ms / 1000).toFixed(1)} s`);

function keyBrowser(page, group, key) {
	const says = quiet();
	const more = button('More keys', () => load(), { hidden: true });
	// What is left counts down between two answers; Redis decides when it is over.
	const left = (row) => (row.ttl_ms < 0 ? row.ttl_ms : Math.max(0, row.ttl_ms - (performance.now() - row.readAt)));
	const list = new Filtered('Keys', [['key', 'name', 'long', (row) => keyLink(group, row.name)], ['type', 'type'],
		['lives', (row) => lasting(left(row)), 'right']], 'name', 'No key so far.', 'part of a name', (row) => row.name);
	const choices = Object.entries(groups).map(([name, words]) => h('a',
		{ href: keyLink(name), 'aria-current': name === group ? 'true' : null, title: words }, name));
	let [keys, cursor] = [[], '0'];

	async function load() {
		more.disabled = true;
		try {
			// A page of SCAN may hold none of this group: it goes on until there is something to see.
			const before = keys.length;
			for (let turn = 0; turn < 20 && keys.length < before + 20; turn += 1) {
				const answer = await page.ask(`/api/keys?group=${group}&cursor=${cursor}`);
				keys.push(...answer.keys.map((row) => ({ ...row, readAt: performance.now() })));
				cursor = answer.cursor;
				if (cursor === '0') break;
			}
			list.show(keys);
			say(says, `${count(keys.length)} read so far${cursor === '0' ? ', and that is all' : ''}.`);
		} catch (error) {
			say(says, `${error.message}.`);
		}
		more.disabled = false;
		more.hidden = cursor === '0';
	}

	if (group in groups) load();
	const one = key ? keyCard(page, group, key, left) : null;
	const content = group in groups ? [...list.parts, says, more] : [quiet('Choose a group. Keys are read, never changed.')];
	return {
		parts: [...(one ? [one.element] : []), card('Keys of the service', h('p', { class: 'row' }, ...choices), ...content)],
		tick() {
			if (keys.some((row) => row.ttl_ms >= 0)) list.show(keys);
			one?.tick();
		},
	};
}

function keyCard(page, group, name, left) {
	const facts = new Facts([['type', 'type'], ['length', 'length'], ['memory', ['bytes', bytes]], ['lives', (key) => lasting(left(key))]]);
	const [says, body] = [quiet(), h('div', { class: 'tall' })];
	let answer = null;
	async function load() {
		try {
			answer = { ...await page.ask(`/api/key?name=${escaped(name)}`), readAt: performance.now() };
			body.replaceChildren(valueTable(answer).element);
			say(says, `The first ${count(answer.values.length)}${answer.type === 'stream' ? ', newest first' : ''}, read at ${clock(page.now())}.`);
		} catch (error) {
			say(says, `${error.message}.`);
			body.replaceChildren();
		}
	}
	load();
	return {
		element: card(name, facts.element, h('p', { class: 'row' }, button('Read again', load), h('a', { href: keyLink(group) }, 'Close')), says, body),
		tick() { if (answer) facts.show(answer); },
	};
}

function valueTable({ type, values, name }) {
	const cut = (text) => text ?? '(no more: 64 KiB are shown)';
	const value = ['value', (row) => cut(row.value), 'long'];
	const columns = {
		stream: [['id', (row) => cut(row.id)], ['fields', (row) => Object.entries(row.fields).map(([field, text]) => `${field} ${cut(text)}`).join('  '),
			'long']],
		hash: [['field', (row) => cut(row.field), 'long'], value],
	}[type] ?? [value];
	const table = new Table(`Values of ${name}`, columns, 'index');
	table.show(values.map((one, index) => (one !== null && typeof one === 'object' ? { ...one, index } : { value: one, index })));
	return table;
}

// Cache

const searchesKept = 100;
const searchesShown = 20;
const sourceWords = { redis: 'from the histories in Redis', completed: 'from Redis, completed by the exchange',
	cache: 'from the cache of the exchange’s answers', exchange: 'asked of the exchange' };
const sources = Object.keys(sourceWords);
// Counters of the last five minutes, as far as some view has seen them.
const readings = [];

export function cache(page) {
	let history = [];
	try { history = JSON.parse(page.stored('feedd-searches')) ?? []; } catch { /* from another version */ }
	if (!Array.isArray(history)) history = [];
	let found = null;

	const symbol = entry('symbol', { required: true, value: history[0]?.symbol ?? 'btcusdt', maxlength: 60 });
	const interval = intervalChoice(history[0]?.interval ?? '1m');
	const limit = entry('limit', { type: 'number', min: 1, max: 1500, value: history[0]?.limit ?? 100, required: true });
	const go = h('button', {}, 'Search');
	const says = h('p', { role: 'status', class: 'quiet' });
	const source = newBadge();
	const lives = (data) => (data.expiry === undefined ? data.lives : data.expiry > performance.now() ? `${((data.expiry - performance.now()) / 1000).toFixed(1)} s` : 'over: the exchange is asked again');
	const facts = new Facts([['the service took', ['took_us', micros]], ['there and back', ['round', micros]], ['candles', (data) => data.rows.length],
		['kept in the cache for', lives]]);
	const share = (hits, misses) => (hits + misses > 0 ? `${percent(hits / (hits + misses))} of ${count(hits + misses)}` : none);
	const ratios = new Facts([['hits since the start', (now) => share(now.hits, now.misses)],
		['hits of 5 min', (now) => share(now.hits - readings[0].hits, now.misses - readings[0].misses)], ['from the cache', 'hits'],
		['from the exchange', 'misses']]);
	const means = new Table('Mean response time per source', [
		['source', 'source', 'state'], ['mean', ['mean', micros], 'right'], ['searches', 'times', 'right'],
		['as a bar', (one) => '▆'.repeat(one.share * 16), 'bars'],
	], 'source');
	const rows = new Table('Candles found', [
		['open time', ['open_time', instant]], ['open', 'open', 'right wide'], ['high', 'high', 'right wide'], ['low', 'low', 'right wide'],
		['close', 'close', 'right'], ['volume', 'volume', 'right'],
		['trades', 'count', 'right wide'], ['source', 'source', 'wide'], ['bar', (row) => (row.closed ? 'closed' : 'forming')],
	], 'open_time', 'Nothing searched yet.');
	rows.show([]);
	const searches = new Table('Last searches', [
		['time', ['at', clock]], ['series', (one) => `${one.symbol} ${one.interval}`], ['n', 'limit', 'right'], ['source', 'source', 'state'],
		['took', ['took', micros], 'right'], ['candles', 'found', 'right wide'],
		['repeat', () => 'again', 'button', (one) => { [symbol.value, interval.value, limit.value] = [one.symbol, one.interval, one.limit]; search(); }],
	], (one) => `${one.at} ${one.symbol} ${one.interval} ${one.limit}`, 'None yet. They are kept in this browser alone.');
	const clear = button('Clear', () => {
		history = [];
		page.stored('feedd-searches', null);
		showHistory();
	});

	function showHistory() {
		searches.show(history.slice(0, searchesShown));
		clear.hidden = history.length === 0;
		const found = sources.map((source) => {
			const times = history.filter((one) => one.source === source).map((one) => one.took);
			return { source, times: times.length, mean: times.length ? Math.round(times.reduce((sum, time) => sum + time, 0) / times.length) : null };
		});
		const most = Math.max(1, ...found.map((one) => one.mean));
		means.show(found.map((one) => ({ ...one, share: Math.max(one.mean && 1 / 16, one.mean / most) })));
	}

	async function search() {
		const asked = { symbol: symbol.value.trim().toLowerCase(), interval: interval.value, limit: Number(limit.value) };
		go.disabled = true;
		say(says, 'Asking …');
		const startedAt = performance.now();
		try {
			const answer = await page.ask(`/api/search?symbol=${escaped(asked.symbol)}&interval=${asked.interval}&limit=${asked.limit}`);
			const round = Math.round((performance.now() - startedAt) * 1000);
			badge(source, answer.source);
			found = { ...answer, round, lives: answer.source === 'redis' ? 'not cached: it is followed' : none };
			facts.show(found);
			rows.show([...answer.rows].reverse());
			say(says, `${count(answer.rows.length)} candles ${sourceWords[answer.source] ?? ''} in ${micros(answer.took_us)}.${answer.incomplete ? ` ${answer.incomplete}.` : ''}`);
			history = [{ at: Date.now(), ...asked, source: answer.source, took: answer.took_us, found: answer.rows.length }, ...history].slice(0,
				searchesKept);
			page.stored('feedd-searches', JSON.stringify(history));
			showHistory();
			if (answer.source !== 'redis') await findExpiry(asked);
		} catch (error) {
			say(says, `${error.message}.`);
			badge(source, '');
		}
		go.disabled = false;
	}

	async function findExpiry({ symbol: name, interval: token, limit: most }) {
		const kept = await page.findKey('cache', `cache:{${name}}:${token}:${most}::`).catch(() => null);
		if (kept?.ttl_ms > 0) found.expiry = performance.now() + kept.ttl_ms;
		else found.lives = 'not kept';
		facts.show(found);
	}

	showHistory();
	return {
		title: 'Cache',
		stream: { name: 'system' },
		parts: [card('Search candles, followed or not', h('form', { class: 'row', onsubmit: (event) => {
			event.preventDefault();
			search();
		} }, field('Symbol', symbol), field('Interval', interval), field('Candles', limit), go), says),
		beside(card(['Answer ', source], facts.element), card('Hit ratio', ratios.element),
			card(`Mean response time, last ${searchesKept} searches`, means.element)),
		card('Candles', tall(rows.element)), card('Last searches of this browser', searches.element, clear)],
		show(data) {
			const of = (name) => data.counters.find((one) => one.name === name)?.value ?? 0;
			const now = { at: performance.now(), hits: of('cache_hits'), misses: of('cache_misses') };
			readings.push(now);
			while (now.at - readings[0].at > 300e3) readings.shift();
			ratios.show(now);
		},
		tick() { if (found?.expiry) facts.show(found); },
	};
}
