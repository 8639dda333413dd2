// Redis and the keys of the service; the cache: where candles come from, and how long that takes.

import {
	badge, bar, beside, button, bytes, card, clock, count, duration, entry, escaped, Facts, field, Filtered, form, h, inRow, isSymbol, micros,
	newBadge, none, percent, quiet, say, status, symbolRule, Table, tall, told,
} from './dom.js';
import { candleColumns } from './series.js';
import { intervalChoice } from './views.js';

export function redis(page, group = '', key = '') {
	const [state, remarks, seen] = [newBadge(), h('p', 'alarm'), quiet()];
	const reason = h('p', 'bar bad');
	const facts = new Facts([
		['version', 'redis_version'], ['role', 'role'], ['up', ['uptime_in_seconds', duration]], ['memory', ['used_memory', bytes]],
		['its peak', ['used_memory_peak', bytes]],
		['its limit', (data) => (data.maxmemory === 0 ? 'none' : bytes(data.maxmemory))],
		['when memory is full', 'maxmemory_policy', (data) => data.maxmemory_policy && data.maxmemory_policy !== 'noeviction'],
		['commands/s', 'instantaneous_ops_per_sec'], ['clients', 'connected_clients'],
		['keys found', ({ keyspace_hits: hits, keyspace_misses: misses }) => `${percent(hits / (hits + misses))}, ${count(misses)} not`],
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
	const slow = new Table('Slow log', [['time', ['at', clock]], ['took', ['took_us', micros], 'right'], ['command', 'command', 'long']],
		'None.', 'id');
	const events = new Table('Latency events', [
		['event', 'event'], ['last', ['at', clock]], ['ms', 'latest_ms', 'right'], ['worst', 'worst_ms', 'right'],
	], 'None, or latency-monitor-threshold is 0.');
	const browser = keyBrowser(page, group, key);
	return {
		title: 'Redis',
		parts: [reason, beside(card(['Server ', state], facts, remarks, seen), card('On disk, and elsewhere', disk)), browser.parts,
			beside(card('Slow log', slow), card('Latency events', events))],
		show(data) {
			badge(state, data.connected ? 'up' : 'down');
			say(reason, data.reason ?? '');
			facts.show(data);
			disk.show(data);
			say(remarks, data.remarks.join('. '));
			slow.show(data.slow_log.filter(Boolean));
			events.show(data.latency_events.filter(Boolean));
			say(seen, `INFO of ${page.since(data.seen_at)} ago; it is asked every 5 s.`);
		},
		tick: browser.tick,
	};
}

const groups = ['candles', 'gaps', 'changes', 'latest', 'cache', 'symbols', 'service'];

const keyLink = (group, name) => `#/redis/${group}${name === undefined ? '' : `/${escaped(name)}`}`;
// What is left counts down between two answers; Redis decides when it is over.
const lasting = ({ ttl_ms, readAt }) => {
	const left = ttl_ms - performance.now() + readAt;
	return ttl_ms === -1 ? 'stays' : left > 0 ? `${(left / 1000).toFixed(1)} s` : 'gone';
};
const readKey = async (page, name) => ({ ...await page.ask(`/api/key?name=${escaped(name)}`), readAt: performance.now() });

function keyBrowser(page, group, key) {
	const says = quiet();
	const more = button('More keys', () => load(), { hidden: true });
	const list = new Filtered('Keys', [['key', 'name', 'long', (row) => keyLink(group, row.name)], ['type', 'type'],
		['lives', lasting, 'right']], 'No key so far.', 'part of a name', (row) => row.name);
	const choices = groups.map((name) => h('a', { href: keyLink(name), 'aria-current': name === group ? 'true' : null }, name));
	let [keys, cursor] = [[], '0'];

	async function load() {
		more.disabled = true;
		await told(says, async () => {
			// A page of SCAN may hold none of this group: it goes on until there is something to see.
			const enough = keys.length + 20;
			for (let turn = 0; turn < 20 && keys.length < enough; turn += 1) {
				const answer = await page.ask(`/api/keys?group=${group}&cursor=${cursor}`);
				keys.push(...answer.keys.map((row) => ({ ...row, readAt: performance.now() })));
				cursor = answer.cursor;
				if (cursor === '0') break;
			}
			list.show(keys);
			say(says, `${count(keys.length)} read so far${cursor === '0' ? ', and that is all' : ''}.`);
		});
		more.disabled = false;
		more.hidden = cursor === '0';
	}

	const one = key ? keyCard(page, group, key) : null;
	let content = quiet('Choose a group. Keys are read, never changed.');
	if (groups.includes(group)) {
		content = [list.parts, says, more];
		load();
	}
	return {
		parts: [one, card('Keys of the service', inRow(choices), content)],
		tick() {
			if (keys.some((row) => row.ttl_ms >= 0)) list.show(keys);
			one?.tick();
		},
	};
}

function keyCard(page, group, name) {
	const facts = new Facts([['type', 'type'], ['length', 'length'], ['memory', ['bytes', bytes]], ['lives', lasting]]);
	const [says, body] = [quiet(), h('div', 'tall')];
	let answer = null;
	function load() {
		body.replaceChildren();
		told(says, async () => {
			answer = await readKey(page, name);
			body.replaceChildren(valueTable(answer).element);
			say(says, answer.type === 'none' ? 'There is no such key.' : `The first ${count(answer.values.length)}${answer.type === 'stream' ? ', newest first' : ''}, read at ${clock(page.now())}.`);
		});
	}
	load();
	return {
		element: card(name, facts, inRow(button('Read again', load), h('a', { href: keyLink(group) }, 'Close')), says, body),
		tick() { if (answer) facts.show(answer); },
	};
}

function valueTable({ type, values, name }) {
	const cut = (text) => text ?? '(no more: 64 KiB are shown)';
	const value = ['value', (row) => cut(row.value), 'long'];
	const columns = {
		stream: [['id', (row) => cut(row.id)], ['fields', (row) => Object.entries(row.fields).map(([field, text]) => `${field} ${cut(text)}`).join('  '),
			'long']],
		hash: [['field', (row) => cut(row.field), 'long'], value], zset: [value, ['score', 'score', 'right']],
	}[type] ?? [value];
	const table = new Table(`Values of ${name}`, columns, undefined, 'index');
	table.show(values.map((one, index) => (one !== null && typeof one === 'object' ? { ...one, index } : { value: one, index })));
	return table;
}

const [searchesKept, searchesShown] = [100, 20];
const sourceWords = { redis: 'from the histories in Redis', completed: 'from Redis, completed by the exchange',
	cache: 'from the cache of the exchange’s answers', exchange: 'asked of the exchange' };
const sources = Object.keys(sourceWords);
// Counters of five minutes, as far as some view has seen them.
const readings = [];

export function cache(page) {
	let [history, found] = [[], null];
	try { history = [...JSON.parse(page.stored('feedd-searches'))]; } catch { /* none, or from another version */ }

	const symbol = entry('symbol', { required: true, value: history[0]?.symbol ?? 'btcusdt', maxlength: 32 });
	const interval = intervalChoice(history[0]?.interval ?? '1m');
	const limit = entry('limit', { type: 'number', min: 1, max: 1500, value: history[0]?.limit ?? 100, required: true });
	const go = h('button', {}, 'Search');
	const says = status();
	const source = newBadge();
	const facts = new Facts([['the service took', ['took_us', micros]], ['there and back', ['round', micros]], ['candles', (data) => data.rows.length],
		['kept in the cache for', ({ kept, source }) => (kept?.ttl_ms > 0 ? lasting(kept) : source === 'redis' ? 'not cached: it is followed' : none)]]);
	const share = (hits, misses) => (hits + misses > 0 ? `${percent(hits / (hits + misses))} of ${count(hits + misses)}` : none);
	const ratios = new Facts([['hits since the start', (now) => share(now.hits, now.misses)],
		['hits of 5 min', (now) => share(now.hits - readings[0].hits, now.misses - readings[0].misses)], ['from the cache', 'hits'],
		['from the exchange', 'misses']]);
	const means = new Table('Mean response time per source', [
		['source', 'source', 'state'], ['mean', ['mean', micros], 'right'], ['searches', 'times', 'right'],
		['as a bar', ['share', bar], 'bars'],
	]);
	const rows = new Table('Candles found', candleColumns, 'Nothing searched yet.');
	rows.show([]);
	const searches = new Table('Last searches', [
		['time', ['at', clock]], ['series', (one) => `${one.symbol} ${one.interval}`], ['n', 'limit', 'right'], ['source', 'source', 'state'],
		['took', ['took', micros], 'right'],
		['repeat', () => 'again', 'button', (one) => { [symbol.value, interval.value, limit.value] = [one.symbol, one.interval, one.limit]; search(); }],
	], 'None yet. They are kept in this browser alone.');
	const clear = button('Clear', () => keep([]));

	function keep(all) {
		history = all;
		page.stored('feedd-searches', JSON.stringify(history));
		searches.show(history.slice(0, searchesShown));
		clear.hidden = history.length === 0;
		const found = sources.map((source) => {
			const own = history.filter((one) => one.source === source);
			return { source, times: own.length, mean: own.length ? Math.round(own.reduce((sum, one) => sum + one.took / own.length, 0)) : null };
		});
		const most = Math.max(1, ...found.map((one) => one.mean));
		means.show(found.map((one) => ({ ...one, share: one.mean / most })));
	}

	async function search() {
		const asked = { symbol: symbol.value.trim().toLowerCase(), interval: interval.value, limit: Number(limit.value) };
		go.disabled = true;
		say(says, 'Asking …');
		const startedAt = performance.now();
		badge(source, '');
		await told(says, async () => {
			if (!isSymbol(asked.symbol)) throw new Error(symbolRule);
			const answer = await page.ask(`/api/search?${new URLSearchParams(asked)}`);
			const round = Math.round((performance.now() - startedAt) * 1000);
			badge(source, answer.source);
			found = { ...answer, round };
			facts.show(found);
			rows.show(answer.rows.map((row) => ({ open: row.open_time, row })).reverse());
			say(says, `${count(answer.rows.length)} candles ${sourceWords[answer.source] ?? ''} in ${micros(answer.took_us)}.${answer.incomplete ? ` ${answer.incomplete}.` : ''}`);
			history.unshift({ at: Date.now(), ...asked, source: answer.source, took: answer.took_us });
			keep(history.slice(0, searchesKept));
			if (answer.source === 'redis') return;
			found.kept = await readKey(page, page.key('cache', asked.symbol, `${asked.interval}:${asked.limit}::`));
			facts.show(found);
		});
		go.disabled = false;
	}

	keep(history);
	return {
		title: 'Cache',
		stream: { name: 'system' },
		parts: [card('Search candles, followed or not', form(search, field('Symbol', symbol), field('Interval', interval), field('Candles', limit), go), says),
		beside(card(['Answer ', source], facts), card('Hit ratio', ratios),
			card(`Mean response time, last ${searchesKept} searches`, means)),
		card('Candles', tall(rows)), card('Last searches of this browser', searches, clear)],
		show(data) {
			const of = (name) => data.counters.find((one) => one.name === name)?.value ?? 0;
			const now = { at: performance.now(), hits: of('cache_hits'), misses: of('cache_misses') };
			readings.push(now);
			while (now.at - readings[0].at > 300e3) readings.shift();
			ratios.show(now);
		},
		tick() { if (found?.kept) facts.show(found); },
	};
}
