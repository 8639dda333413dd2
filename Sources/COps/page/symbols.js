// Symbols: what is followed here, and all that the exchange lists, from the catalogue in Redis.

import { card, clock, copyable, count, entry, escaped, field, form, h, inRow, isSymbol, say, status, symbolRule, Table, tall, trimmed } from './dom.js';
import { fluxLink, seriesColumns, seriesLink } from './views.js';

// Of the catalogue, of a question which of them are followed, and of a flux that is created from them.
const [askedMax, followedMax, topMax, namedMax] = [1000, 200, 100, 30];

export function symbols(page, text = '') {
	const isPart = isSymbol(text);
	const nobody = `No flux follows a symbol with “${text}”.`;
	const found = status(isPart ? 'Looking …' : nobody);
	const followed = new Table(`Series of ${text}`, [...seriesColumns(page), ['flux', 'flux_id', 'long wide', fluxLink]], '',
		(row) => `${row.symbol} ${row.flux_id}`);

	const [says, command] = [status('Looking …'), copyable('the command')];
	const line = inRow(command.code, command.copy);
	const search = entry('search', { value: text, maxlength: 32, placeholder: 'a part of it', oninput: soon });
	const quote = entry('quote', { placeholder: 'USDT', maxlength: 32, oninput: soon });
	const state = h('select', { id: 'status', onchange: load }, ['any', 'TRADING', 'BREAK', 'HALT'].map((word) => h('option', {}, word)));
	const table = new Table('Symbols of the exchange', [
		['symbol', 'symbol', 'sort', (row) => (row.at ? seriesLink({ symbol: row.symbol, interval: row.at[0] }) : null)],
		['followed at', (row) => row.at?.join(' ')], ['status', 'status', 'state wide'],
		['last price', ['last_price', trimmed], 'right wide'], ['24 h, %', ['price_change_percent', trimmed], 'right sort'],
		['volume', ['quote_volume', (volume) => count(volume && Math.round(volume))], 'right sort'], ['trades', 'trades', 'right wide sort'],
	], 'None.');
	table.max = 200;
	let [turns, timer] = [0, 0];

	function soon() {
		clearTimeout(timer);
		timer = setTimeout(load, 300);
	}

	/** Ends what was begun before; what is begun now is told when it is overtaken. */
	function begin() {
		clearTimeout(timer);
		const turn = (turns += 1);
		return () => turn === turns;
	}

	/** The highest of a quote asset by their volume, others by their names; nothing where none is traded. */
	function showCommand(rows, asset, isTop) {
		const names = rows.filter((row) => row.status === 'TRADING').map((row) => row.symbol).slice(0, isTop ? topMax : namedMax);
		line.hidden = !names.length;
		say(command.code, `feedd create ${isTop ? `--top ${names.length} --quote ${asset}` : names} 1m`);
		return names.length ? ` To follow ${names.length} of them:` : '';
	}

	async function load() {
		const isNewest = begin();
		const [part, asset] = [search.value.trim().toLowerCase(), quote.value.trim().toUpperCase()];
		try {
			if (![part, asset].every((word) => !word || isSymbol(word))) throw new Error(symbolRule);
			const asked = new URLSearchParams({ search: part, quote: asset, status: state.value, limit: askedMax });
			const { symbols: rows, total, updated_at } = await page.ask(`/api/symbols?${asked}`);
			if (!isNewest()) return;
			table.show(rows);
			say(says, `${count(total)} symbols, as of ${clock(updated_at)}${total > table.max ? `, ${table.max} of them here` : ''}; volume of 24 h in the quote asset.${
				showCommand(rows, asset, asset && !part && ['any', 'TRADING'].includes(state.value))}`);
			for (let from = 0; from < rows.length; from += followedMax) {
				const some = rows.slice(from, from + followedMax);
				const answer = await page.ask(`/api/followed?symbols=${some.map((row) => escaped(row.symbol))}`);
				if (!isNewest()) return;
				for (const row of some) row.at = answer.followed[row.symbol];
				table.show(rows);
			}
		} catch (error) {
			if (!isNewest()) return;
			table.show([]);
			line.hidden = true;
			say(says, `${error.message}.`);
		}
	}

	load();
	return {
		title: text ? `Symbols with “${text}”` : 'Symbols',
		// The header wants some stream: this is the smallest.
		stream: isPart ? { name: 'find', id: text } : { name: 'connections' },
		parts: [text && card('Followed here', found, isPart && followed),
			card('Listed by the exchange', form(load, field('Symbol', search), field('Quote asset', quote), field('Status', state)), says, line, tall(table))],
		show({ series, more }) {
			if (!series) return;
			followed.show(series);
			say(found, series.length ? `${count(series.length + more)} series${more ? `, of which ${series.length} are shown` : ''}.` : nobody);
		},
		close: begin,
	};
}
