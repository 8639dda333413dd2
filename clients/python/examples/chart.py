"""Candles and two moving averages out of Redis, live: a chart of matplotlib.

    pip install './clients/python[pandas]' matplotlib
    python chart.py btcusdt 1m                  follows the market until the window is closed
    python chart.py btcusdt 1m --save file.png  draws once

The cells (# %%) run one by one in Jupyter or an editor, too.
"""

# %% What to draw, and from where: your running demo, or the Redis of this machine.
import argparse

import matplotlib.pyplot as plt
import pandas as pd

from fastfeed import FluxClient

parser = argparse.ArgumentParser()
parser.add_argument("symbol", nargs="?", default="btcusdt")
parser.add_argument("interval", nargs="?", default="1m")
parser.add_argument("--save", metavar="FILE")
options, _ = parser.parse_known_args()
client = FluxClient()
client.create_flux(options.symbol, options.interval)  # is there already, or is from now on


# %% The history is closed and complete; the candle that still forms comes on top.
def load(count: int = 120) -> pd.DataFrame:
    frame: pd.DataFrame = client.get_data(options.symbol, options.interval, limit=count + 26).to_pandas("float")
    frame["fast"] = frame["close"].ewm(span=12).mean()
    frame["slow"] = frame["close"].ewm(span=26).mean()
    recent: pd.DataFrame = frame.tail(count)
    return recent


# %% One bar for the body, one line for the shadow.
figure, (prices, volumes) = plt.subplots(2, 1, sharex=True, figsize=(11, 6), height_ratios=(4, 1), layout="constrained")


def draw(frame: pd.DataFrame) -> None:
    prices.clear()
    volumes.clear()
    places = range(len(frame))
    colours = ["#2a9d6f" if up else "#d1495b" for up in frame["close"] >= frame["open"]]
    prices.vlines(places, frame["low"], frame["high"], colors=colours, linewidth=1)
    bottoms = frame[["open", "close"]].min(axis=1)
    prices.bar(places, (frame["close"] - frame["open"]).abs(), bottom=bottoms, color=colours, width=0.7)
    prices.plot(places, frame["fast"], color="#e9a23b", linewidth=1, label="EMA 12")
    prices.plot(places, frame["slow"], color="#3b6fb6", linewidth=1, label="EMA 26")
    prices.set_title(f"{options.symbol} {options.interval}  {frame['close'].iloc[-1]:,.2f}", loc="left")
    prices.legend(loc="upper left", frameon=False)
    volumes.bar(places, frame["volume"], color=colours, width=0.7)
    marks = list(places)[:: max(1, len(frame) // 8)]
    volumes.set_xticks(marks, [f"{moment:%H:%M:%S}" for moment in frame.index[marks]])


# %% Once, or with each update, at most five times a second.
draw(load())
if options.save:
    figure.savefig(options.save, dpi=110)
else:
    plt.show(block=False)
    for _update in client.updates(options.symbol, options.interval):
        if not plt.fignum_exists(figure.number):
            break
        draw(load())
        plt.pause(0.2)
client.close()
