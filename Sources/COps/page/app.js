// The frame: which view is shown, the one stream of events that feeds it, the header, the login.

import { age, badge, card, duration, escaped, h, none, say } from './dom.js';
import * as views from './views.js';
import { series } from './series.js';
import { cache, redis } from './redis.js';

const routes = {
	'': views.overview, fluxes: views.fluxes, flux: views.flux, find: views.find, series, gaps: views.gaps, redis, cache,
	connections: views.connections, system: views.system,
};
const tabs = ['', 'fluxes', 'gaps', 'redis', 'cache', 'connections', 'system'];
// Where a view without a tab of its own belongs.
const tabOf = { flux: 'fluxes', find: 'fluxes', series: 'fluxes' };

const cutMs = 5000;
const element = (id) => document.getElementById(id);
const [main, spoken] = [element('main'), element('spoken')];

// What a browser may keep or refuse to keep: the page works without.
export function stored(name, value) {
	try {
		if (value === undefined) return localStorage.getItem(name);
		if (value === null) localStorage.removeItem(name);
		else localStorage.setItem(name, value);
	} catch { /* private mode */ }
	return null;
}

// Questions

const refusal = (status, sentence) => Object.assign(new Error(sentence), { status });

async function ask(path, body) {
	const options = body === undefined ? {} : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
	let answer;
	try {
		answer = await fetch(path, { ...options, signal: AbortSignal.timeout(15000) });
	} catch {
		throw refusal(0, 'feedd does not answer');
	}
	const text = await answer.text();
	if (answer.ok) return JSON.parse(text);
	if (answer.status === 401 && path !== '/login') showLogin();
	let sentence = text.trim();
	try { sentence = JSON.parse(text).error.message; } catch { /* a sentence already */ }
	throw refusal(answer.status, sentence || `feedd answers ${answer.status}`);
}

/** What views may use. */
const page = {
	ask,
	stored,
	/** Unix ms by the service's clock: that of the browser may be wrong. */
	now: () => Date.now() + clockOffset,
	/** How long ago that was, or nothing for never. */
	since: (ms) => (ms ? age(page.now() - ms) : none),
	/** True after a login: only then may the page change something. */
	get hasSession() { return stored('feedd-session') !== null; },
	speak: (sentence) => say(spoken, sentence),
	/** A key by its name's end: what the names begin with (market, prefix) is the service's. Nothing after some pages of SCAN. */
	async findKey(group, end) {
		let cursor = '0';
		for (let turn = 0; turn < 50; turn += 1) {
			const answer = await ask(`/api/keys?group=${group}&cursor=${cursor}`);
			const found = answer.keys.find((key) => key.name.endsWith(end));
			cursor = answer.cursor;
			if (found || cursor === '0') return found ?? null;
		}
		return null;
	},
	/** What names of keys begin with. */
	async keyPrefix() {
		page.prefix ??= (await page.findKey('service', 'status:service'))?.name.slice(0, -'status:service'.length);
		return page.prefix ?? '';
	},
};

// The stream: one a tab, of the view that is shown, and none while the tab is hidden: browsers allow six connections to a server.

let clockOffset = 0;
let view = null;
let stream = null;
let wanted = null;
let dataAt = 0;
let isCut = false;
let cutSince = 0;

function openStream() {
	closeStream();
	if (!wanted || document.hidden) return;
	const { name, id } = wanted;
	const source = new EventSource(`/events?view=${name}${id === undefined ? '' : `&id=${escaped(id)}`}`);
	stream = source;
	source.addEventListener(name, (event) => {
		const data = JSON.parse(event.data);
		heard();
		if (data.service) takeService(data.service);
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
		ask(name === 'flux' ? `/api/fluxes/${escaped(id)}` : `/api/${name}`).catch((error) => {
			if (error.status === 404) view?.gone?.();
		});
	};
}

let retry = 0;
function closeStream() {
	clearTimeout(retry);
	stream?.close();
	stream = null;
}

function heard() {
	dataAt = Date.now();
	if (!isCut) return;
	isCut = false;
	element('cut').hidden = true;
	page.speak(`Data comes again after ${age(dataAt - cutSince)}.`);
}

document.addEventListener('visibilitychange', () => {
	if (document.hidden) return closeStream();
	dataAt = Date.now();
	openStream();
});

// Half a second is enough for an age, and little for a processor.
setInterval(() => {
	if (document.hidden || !wanted) return;
	const silence = Date.now() - dataAt;
	say(element('age'), silence > cutMs ? '' : `data ${(silence / 1000).toFixed(1)} s old`);
	if (silence > cutMs) {
		if (!isCut) {
			[isCut, cutSince] = [true, dataAt];
			page.speak('No data comes any more.');
		}
		element('cut').hidden = false;
		say(element('cut'), `No data for ${age(silence)}: what you see is old. The page tries again by itself.`);
		// Half-dead connections: the browser does not notice them.
		if (silence > 15000 && silence % 10000 < 500) openStream();
	}
	view?.tick?.();
}, 500);

// The header

let lastState = '';
let serviceAt = 0;
function takeService(service) {
	serviceAt = Date.now();
	clockOffset = service.now - Date.now();
	const state = service.state === 'live' && !service.healthy ? 'unhealthy' : service.state;
	badge(element('state'), state);
	say(element('about'), `${service.version} on ${location.host}, up ${duration(service.uptime_seconds)}`);
	const complaints = element('complaints');
	complaints.hidden = service.complaints.length === 0;
	say(complaints, service.complaints.join(' · '));
	if (lastState && lastState !== state) page.speak(`The service is ${state}.`);
	lastState = state;
}

// Streams of most views say nothing of the service itself.
setInterval(() => {
	if (document.hidden || !wanted || Date.now() - serviceAt < 4500) return;
	serviceAt = Date.now();
	ask('/api/system').then((answer) => takeService(answer.service)).catch(() => {});
}, 1000);

const isSystemDark = matchMedia('(prefers-color-scheme: dark)');
function showTheme() {
	const theme = stored('feedd-theme') ?? (isSystemDark.matches ? 'dark' : 'light');
	document.documentElement.dataset.theme = theme;
	say(element('theme'), theme === 'dark' ? '☀' : '☾');
	document.dispatchEvent(new Event('theme'));
}
element('theme').addEventListener('click', () => {
	stored('feedd-theme', document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
	showTheme();
});
isSystemDark.addEventListener('change', showTheme);

element('find').addEventListener('submit', (event) => {
	event.preventDefault();
	const text = element('find-text').value.trim().toLowerCase();
	if (text) location.hash = `#/find/${escaped(text)}`;
});

element('logout').addEventListener('click', async () => {
	stored('feedd-session', null);
	await ask('/logout', {}).catch(() => {});
	location.reload();
});

// Views

function showRoute() {
	// The link that leads past the header.
	if (location.hash === '#main') return main.focus();
	const [name, ...parts] = location.hash.replace(/^#\/?/, '').split('/');
	const route = routes[name] ?? routes[''];
	let words;
	try { words = parts.map(decodeURIComponent); } catch { words = parts; }
	const isFirst = view === null;
	leave();
	for (const link of document.querySelectorAll('nav a')) {
		if (link.dataset.tab === (tabOf[name] ?? name)) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
	}
	element('logout').hidden = !page.hasSession;
	view = route(page, ...words);
	const title = h('h1', { tabindex: -1 }, view.title);
	document.title = `${view.title} – FastFeed`;
	main.replaceChildren(title, ...view.parts);
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
	view = null;
	wanted = null;
	closeStream();
}

function showLogin() {
	if (element('token')) return;
	stored('feedd-session', null);
	leave();
	view = { title: 'Log in' };
	element('cut').hidden = true;
	const says = h('p', { role: 'alert' });
	const token = h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true });
	const form = h('form', {
		onsubmit: async (event) => {
			event.preventDefault();
			try {
				await ask('/login', { token: token.value });
				stored('feedd-session', '1');
				showRoute();
			} catch (error) {
				say(says, `${error.message}.`);
				token.select();
			}
		},
	}, h('p', {}, 'This server asks for its token: the first line of the file behind --ops-token-file.'),
	h('label', { for: 'token' }, 'Token '), token, ' ', h('button', {}, 'Log in'), says);
	main.replaceChildren(h('h1', {}, 'Log in'), card('Token', form));
	token.focus();
}

document.querySelector('nav').append(...tabs.map((name) => h('a', { href: `#/${name}`, 'data-tab': name }, name || 'overview')));
showTheme();
addEventListener('hashchange', showRoute);
showRoute();
