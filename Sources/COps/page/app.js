// The frame: the view that is shown, the stream of events that feeds it, header, login.

import { age, badge, card, duration, escaped, field, fill, form, h, none, say, told } from './dom.js';
import { symbols } from './symbols.js';
import { connections, flux, fluxes, gaps, overview, system } from './views.js';
import { series } from './series.js';
import { cache, redis } from './redis.js';

const routes = { '': overview, fluxes, flux, series, symbols, gaps, redis, cache, connections, system };
const tabOf = { flux: 'fluxes', series: 'fluxes' };

const cutMs = 5000;
const element = (id) => document.getElementById(id);
const [main, spoken] = [element('main'), element('spoken')];

// What a browser may keep or refuse to keep: the page works without.
function stored(name, value) {
	try {
		if (value === undefined) return localStorage.getItem(name);
		localStorage.setItem(name, value);
	} catch { /* private mode */ }
	return null;
}

const refusal = (status, sentence) => Object.assign(new Error(sentence), { status });

async function ask(path, body) {
	const options = body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
	let answer;
	try {
		answer = await fetch(path, { ...options, signal: AbortSignal.timeout(15000) });
	} catch {
		throw refusal(0, 'feedd does not answer');
	}
	const text = await answer.text();
	if (answer.ok) return JSON.parse(text);
	if (answer.status === 401 && path !== '/login') showLogin();
	let sentence = text.trim() || `feedd answers ${answer.status}`;
	try { sentence = JSON.parse(text).error.message; } catch { /* a sentence already */ }
	throw refusal(answer.status, sentence);
}

const page = {
	ask,
	stored,
	/** Unix ms by the service's clock: that of the browser may be wrong. */
	now: () => Date.now() + clockOffset,
	since: (ms) => (ms ? age(page.now() - ms) : none),
	until: (ms) => (ms ? age(ms - page.now()) : none),
	/** What every answer says of the service; nothing is known before the first. */
	service: { key_prefix: '', market: 'spot', may_write: false },
	/** Again and again while this view is shown, after so long a pause, or as long as `act` says. */
	async repeat(ms, act) {
		for (const mine = turn; mine === turn;) {
			const from = performance.now();
			const pause = document.hidden ? ms : await act() ?? ms;
			await new Promise((resolve) => { setTimeout(resolve, Math.max(50, from + pause - performance.now())); });
		}
	},
	speak: (sentence) => say(spoken, sentence),
	/** A key of the service: of a series, or, without a symbol, of an interval. */
	key(word, symbol, interval) {
		const { key_prefix, market } = page.service;
		const own = market === 'spot' ? '' : `${market}:`;
		return `${key_prefix}${word}:${symbol ? `{${own}${symbol}}:` : own}${interval}`;
	},
};

// One stream a tab, and none while it is hidden: browsers allow six connections to a server.

let [view, stream, wanted] = [null, null, null];
let [turn, clockOffset, dataAt, cutSince, retry] = [0, 0, 0, 0, 0];
let [isCut, lastState] = [false, ''];

function openStream() {
	closeStream();
	if (!wanted || document.hidden) return;
	const { name, id } = wanted;
	const source = new EventSource(`/events?view=${name}${id ? `&id=${escaped(id)}` : ''}`);
	stream = source;
	source.addEventListener(name, (event) => {
		const data = JSON.parse(event.data);
		heard();
		takeService(data.service);
		view?.show?.(data);
	});
	source.addEventListener('gone', () => {
		heard();
		view?.gone?.();
	});
	source.onerror = () => {
		// A broken connection comes back by itself; a refusal does not, and does not tell its reason: a question does.
		if (source.readyState !== EventSource.CLOSED || stream !== source) return;
		closeStream();
		retry = setTimeout(openStream, 2000);
		ask(name === 'flux' ? `/api/fluxes/${escaped(id)}` : '/api/fluxes').catch((error) => {
			if (error.status === 404) view?.gone?.();
		});
	};
}

function closeStream() {
	clearTimeout(retry);
	stream?.close();
	stream = null;
}

function heard() {
	dataAt = Date.now();
	if (!isCut) return;
	isCut = false;
	say(element('cut'), '');
	page.speak(`Data comes again after ${age(dataAt - cutSince)}.`);
}

document.addEventListener('visibilitychange', () => {
	if (document.hidden) return closeStream();
	dataAt = Date.now();
	openStream();
});

setInterval(() => {
	if (document.hidden || !wanted) return;
	const silence = Date.now() - dataAt;
	say(element('age'), silence > cutMs ? '' : `data ${(silence / 1000).toFixed(1)} s old`);
	if (silence > cutMs) {
		if (!isCut) {
			[isCut, cutSince] = [true, dataAt];
			page.speak('No data comes any more.');
		}
		say(element('cut'), `No data for ${age(silence)}: what you see is old. The page tries again by itself.`);
		// Half-dead connections: the browser does not notice them.
		if (silence > 15000 && silence % 10000 < 500) openStream();
	}
	view?.tick?.();
}, 500);

function takeService(service) {
	const mayWrite = page.service.may_write;
	page.service = service;
	// Views are other ones for who may change something.
	if (mayWrite !== service.may_write) showRoute();
	element('logout').hidden = !service.may_write;
	clockOffset = service.now - Date.now();
	const state = service.state === 'live' && !service.healthy ? 'unhealthy' : service.state;
	badge(element('state'), state);
	say(element('about'), `${service.version} on ${location.host}, up ${duration(service.uptime_seconds)}`);
	say(element('complaints'), service.complaints.join(' · '));
	if (lastState && lastState !== state) page.speak(`The service is ${state}.`);
	lastState = state;
}

const isSystemDark = matchMedia('(prefers-color-scheme: dark)');
function showTheme() {
	const theme = stored('feedd-theme') ?? (isSystemDark.matches ? 'dark' : 'light');
	document.documentElement.dataset.theme = theme;
	say(element('theme'), theme === 'dark' ? '☀' : '☾');
}
element('theme').addEventListener('click', () => {
	stored('feedd-theme', document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
	showTheme();
});
isSystemDark.addEventListener('change', showTheme);

element('find').addEventListener('submit', (event) => {
	event.preventDefault();
	const text = element('find-text').value.trim().toLowerCase();
	if (text) location.hash = `#/symbols/${escaped(text)}`;
});

element('logout').addEventListener('click', async () => {
	await ask('/logout', {}).catch(() => {});
	location.reload();
});

function showRoute() {
	// The link that leads past the header.
	if (location.hash === '#main') return main.focus();
	const [asked, ...parts] = location.hash.replace(/^#\/?/, '').split('/');
	const name = Object.hasOwn(routes, asked) ? asked : '';
	let words = parts;
	try { words = parts.map(decodeURIComponent); } catch { /* not escaped */ }
	const isFirst = view === null;
	leave();
	for (const link of document.querySelectorAll('nav a')) link.ariaCurrent = link.dataset.tab === (tabOf[name] ?? name) ? 'page' : null;
	view = routes[name](page, ...words);
	const title = h('h1', { tabindex: -1 }, view.title);
	document.title = `${view.title} – FastFeed`;
	main.replaceChildren();
	fill(main, {}, [title, view.parts]);
	// Who comes by a link starts reading at the top; who has just opened the page is not moved.
	if (!isFirst) {
		title.focus({ preventScroll: true });
		scrollTo(0, 0);
	}
	wanted = view.stream ?? { name: name || 'overview' };
	dataAt = Date.now();
	openStream();
}

function leave() {
	view?.close?.();
	turn += 1;
	view = null;
	wanted = null;
	closeStream();
}

function showLogin() {
	if (element('token')) return;
	leave();
	element('logout').hidden = true;
	view = { title: 'Log in' };
	say(element('cut'), '');
	const says = h('p', { role: 'alert' });
	const token = h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true });
	main.replaceChildren(h('h1', {}, view.title), card('Token',
		h('p', {}, 'This server asks for its token: the first line of the file behind --ops-token-file.'),
		form(async () => {
			await told(says, async () => {
				await ask('/login', { token: token.value });
				showRoute();
			});
			token.select();
		}, field('Token', token), h('button', {}, 'Log in')), says));
	token.focus();
}

fill(document.querySelector('nav'), {}, Object.keys(routes).filter((name) => !tabOf[name])
	.map((name) => h('a', { href: `#/${name}`, 'data-tab': name }, name || 'overview')));
showTheme();
addEventListener('hashchange', showRoute);
showRoute();
