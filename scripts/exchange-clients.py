"""Clients of the exchange that nobody here wrote, against `feedd simulate`: what they deliver, streamed and asked for, must be what the
exchange says it sent, to the digit. They are used as their own documents say; only the address is ours. Run by exchange-clients.sh.

    exchange-clients.py official|community MARKET HTTP_BASE WEBSOCKET_BASE [AUTHORITY_FILE]
"""

import asyncio
import json
import ssl
import sys
import urllib.request

SYMBOLS = ["btcusdt", "ethusdt"]
# Closed candles wanted of each symbol, and how long they may take.
CLOSED = 20
SECONDS = 60
# More than one page of REST answers.
HISTORY = 2_500

DECIMALS = ["open", "high", "low", "close", "volume", "quoteVolume", "takerBuyVolume", "takerBuyQuoteVolume"]
NUMBERS = ["openTime", "closeTime", "trades", "firstTradeId", "lastTradeId"]
# The same as a kline event and as a row of REST, which does not have the trade ids, name them.
EVENT = dict(zip(DECIMALS + NUMBERS, "o h l c v q V Q t T n f L".split()))
ROW = dict(zip(DECIMALS + NUMBERS[:3], [1, 2, 3, 4, 5, 7, 9, 10, 0, 6, 8]))


def check(holds, what):
    if not holds:
        sys.exit(f"exchange-clients: {what}")


class Exchange:
    """Where the local exchange is, and the truth it tells of itself."""

    def __init__(self, market, http, websocket, authority=None):
        self.market, self.http, self.websocket = market, http, websocket
        self.interval = "1s" if market == "spot" else "1m"
        self.step_ms = 1_000 if market == "spot" else 60_000
        self.tls = ssl.create_default_context(cafile=authority) if authority else None

    def closed(self):
        """Closed candles by symbol and open time, among them all that were sent before this call."""
        candles, start, total = {}, 0, 1
        while start < total:
            with urllib.request.urlopen(f"{self.http}/truth/closed?from={start}", context=self.tls) as answer:
                start, total = int(answer.headers["x-next-sequence"]), int(answer.headers["x-total"])
                for line in answer:
                    row = json.loads(line)
                    candles[row["symbol"], row["openTime"]] = row
        return candles


class Received:
    """Closed candles as a client hands them out, by symbol and open time, until there are enough of each symbol."""

    def __init__(self, exchange, time_scale=1):
        self.exchange, self.time_scale = exchange, time_scale
        self.candles, self.counts, self.enough = {}, dict.fromkeys(SYMBOLS, 0), asyncio.Event()

    def take(self, kline):
        if not kline["x"]:
            return
        candle = {name: kline[key] for name, key in EVENT.items()}
        key = kline["s"].lower(), candle["openTime"] // self.time_scale
        check(key not in self.candles, f"{key} closed twice")
        self.candles[key] = candle
        self.counts[key[0]] += 1
        if min(self.counts.values()) >= CLOSED:
            self.enough.set()

    def compare(self, client):
        """Each with the truth; and between the first and the last of a symbol none is missing. Returns the open times by symbol."""
        truth = self.exchange.closed()
        times = {symbol: sorted(time for name, time in self.candles if name == symbol) for symbol in SYMBOLS}
        for (symbol, time), candle in self.candles.items():
            same(f"{client}: {symbol} {time} streamed", candle, truth[symbol, time], self.time_scale)
        for symbol, seen in times.items():
            wanted = list(range(seen[0], seen[-1] + 1, self.exchange.step_ms))
            check(seen == wanted, f"{client}: {symbol} has holes: {sorted(set(wanted) - set(seen))}")
        print(f"{client}: {len(self.candles)} closed candles streamed, each as the exchange sent it")
        return times, truth


def same(what, candle, truth, time_scale=1):
    for name, value in candle.items():
        wanted = truth[name]
        if name == "openTime":
            wanted *= time_scale
        elif name == "closeTime":
            wanted = (wanted + 1) * time_scale - 1
        check(value == wanted and type(value) is type(wanted), f"{what}: {name} is {value!r}, the exchange's is {wanted!r}")


def same_rows(what, rows, times, symbol, truth, time_scale=1):
    check([row[0] // time_scale for row in rows] == times, f"{what}: rows of {[row[0] for row in rows]}, not of {times}")
    for row in rows:
        same(what, {name: row[index] for name, index in ROW.items()}, truth[symbol, row[0] // time_scale], time_scale)
    print(f"{what}: {len(rows)} rows, each as the exchange sent it")


async def official(exchange, unit):
    """binance-sdk-spot, the exchange's own."""
    from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
    from binance_common.constants import TimeUnit
    from binance_common.errors import BadRequestError
    from binance_sdk_spot.spot import Spot

    name = f"binance-sdk-spot, {unit.lower()}s"
    scale = 1_000 if unit == "MICROSECOND" else 1
    client = Spot(
        config_rest_api=ConfigurationRestAPI(base_path=exchange.http, time_unit=unit, timeout=10_000, https_agent=exchange.tls),
        config_ws_streams=ConfigurationWebSocketStreams(
            stream_url=exchange.websocket, time_unit=TimeUnit(unit), https_agent=exchange.tls, compression=15),
    )
    streams = await client.websocket_streams.create_connection()
    check(streams is not None, f"{name}: no connection")
    received = Received(exchange, scale)
    handles = []
    for symbol in SYMBOLS:
        handle = await client.websocket_streams.kline(symbol=symbol, interval=exchange.interval)
        handle.on("message", lambda event: received.take({**event.k.to_dict(), "x": event.k.x}))
        handles.append(handle)
    listed = await client.websocket_streams.list_subscribe()
    check(sorted(listed["result"]) == [f"{symbol}@kline_{exchange.interval}" for symbol in SYMBOLS], f"{name}: subscribed to {listed}")
    await asyncio.wait_for(received.enough.wait(), SECONDS)
    for handle in handles:
        await handle.unsubscribe()
    await asyncio.sleep(0.2)
    listed = await client.websocket_streams.list_subscribe()
    check(listed["result"] == [], f"{name}: still subscribed to {listed}")
    await client.websocket_streams.close_connection()
    times, truth = received.compare(name)

    rest = client.rest_api
    for symbol, seen in times.items():
        answer = rest.klines(symbol.upper(), exchange.interval, start_time=seen[0], end_time=seen[-1])
        same_rows(f"{name}: klines {symbol}", answer.data(), seen, symbol, truth, scale)
        check(answer.rate_limits, f"{name}: no rate limits in the headers")
    known = rest.exchange_info().data()
    check(known.timezone == "UTC" and known.rate_limits, f"{name}: exchange information {known}")
    check({row.symbol for row in known.symbols} >= {symbol.upper() for symbol in SYMBOLS}, f"{name}: symbols {known.symbols}")
    one = rest.exchange_info(symbols=[symbol.upper() for symbol in SYMBOLS]).data().symbols
    check([(row.symbol, row.status, row.quote_asset) for row in one] == [(s.upper(), "TRADING", "USDT") for s in SYMBOLS], f"{name}: {one}")
    check(rest.time().data().server_time > 0 and rest.ping().status == 200, f"{name}: time and ping")
    try:
        rest.klines("NOSUCHUSDT", "1m")
        check(False, f"{name}: a symbol that is not there has klines")
    except BadRequestError as error:
        check(error.status_code == -1121, f"{name}: an unknown symbol is refused by {error.status_code}: {error}")
    print(f"{name}: {len(known.symbols)} symbols in the exchange information; an unknown one is refused as documented")


async def community(exchange):
    """python-binance, the most used of those that are not the exchange's own."""
    from binance import AsyncClient, BinanceSocketManager
    from binance.enums import HistoricalKlinesType
    from binance.exceptions import BinanceAPIException

    name = f"python-binance, {exchange.market}"
    is_spot = exchange.market == "spot"
    AsyncClient.API_URL = f"{exchange.http}/api"
    AsyncClient.FUTURES_URL = f"{exchange.http}/fapi"
    BinanceSocketManager.STREAM_URL = BinanceSocketManager.FSTREAM_URL = f"{exchange.websocket}/"
    tls = {} if exchange.tls is None else {"ssl": exchange.tls}
    if is_spot:
        client = await AsyncClient.create(requests_params=tls)
    else:
        client = AsyncClient(requests_params=tls)
    manager = BinanceSocketManager(client, max_queue_size=10_000)
    manager.ws_kwargs = tls
    received = Received(exchange)

    async def listen(socket):
        async with socket as messages:
            while not received.enough.is_set():
                message = await messages.recv()
                message = message.get("data", message)
                check(message.get("e") == "kline", f"{name}: {message}")
                received.take(message["k"])

    names = [f"{symbol}@kline_{exchange.interval}" for symbol in SYMBOLS]
    if is_spot:
        sockets = [manager.kline_socket(SYMBOLS[0], exchange.interval), manager.multiplex_socket(names[1:])]
    else:
        sockets = [manager.futures_multiplex_socket(names)]
    await asyncio.wait_for(asyncio.gather(*map(listen, sockets)), SECONDS)
    times, truth = received.compare(name)

    klines = client.get_klines if is_spot else client.futures_klines
    for symbol, seen in times.items():
        rows = await klines(symbol=symbol.upper(), interval=exchange.interval, startTime=seen[0], endTime=seen[-1])
        same_rows(f"{name}: klines {symbol}", rows, seen, symbol, truth)
    last = times[SYMBOLS[0]][-1]
    first = last - (HISTORY - 1) * exchange.step_ms
    rows = await client.get_historical_klines(
        SYMBOLS[0].upper(), exchange.interval, first, last,
        klines_type=HistoricalKlinesType.SPOT if is_spot else HistoricalKlinesType.FUTURES)
    check([row[0] for row in rows] == list(range(first, last + 1, exchange.step_ms)), f"{name}: {len(rows)} rows of history, or with holes")
    known = await (client.get_exchange_info() if is_spot else client.futures_exchange_info())
    check({row["symbol"] for row in known["symbols"]} >= {symbol.upper() for symbol in SYMBOLS}, f"{name}: symbols {known}")
    if is_spot:
        one = await client.get_symbol_info("BTCUSDT")
        check(one["status"] == "TRADING" and one["filters"], f"{name}: {one}")
    try:
        await klines(symbol="NOSUCHUSDT", interval="1m")
        check(False, f"{name}: a symbol that is not there has klines")
    except BinanceAPIException as error:
        check(error.code == -1121 and error.status_code == 400, f"{name}: an unknown symbol is refused by {error}")
    await client.close_connection()
    print(f"{name}: {len(rows)} rows of history by pages; an unknown symbol is refused as documented")


async def main():
    client, *place = sys.argv[1:]
    exchange = Exchange(*place)
    if client == "official":
        for unit in ["MILLISECOND", "MICROSECOND"]:
            await official(exchange, unit)
    else:
        await community(exchange)


asyncio.run(main())
