#!/usr/bin/env python3
"""The page in a real browser (scripts/page.sh starts this). Each part prints what it has seen and ends the run when it is wrong.

An exchange, a redis-server and two feedd are started for it: one that only shows, and one that asks for a token. Waiting is for
conditions. Screenshots of every view, in both themes and two widths, go to a folder: look at them.
"""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from free_port import free_port

HOSTILE = '<img src=x onerror="window.pwned=1">\u202e\u2066' + "x" * 4000
TOKEN = "a token of the page's test"
PAGE_BYTES_MAX = 90_000
PICTURE_BYTES_MAX = 150_000
LIVE_MS = 2000  # Within this a view shows data of now.
# At twelve times the speed a bar of a minute closes every five seconds.
SERIES = ("btcusdt", "1m")

# What must be there for a view to count as live: a condition in the page.
rows = "document.querySelectorAll('main tbody tr').length > 0"
VIEWS = {
    "overview": ("#/", "parseFloat(document.querySelector('.tile .figure').textContent) > 0 && " + rows),
    "fluxes": ("#/fluxes", rows),
    "flux": ("#/flux/{flux}", "/\\d/.test(document.querySelector('a.tile .figure').textContent)"),
    "series": ("#/series/btcusdt/1m", "document.querySelectorAll('#newest tbody tr').length >= 20"),
    "find": ("#/symbols/btc", rows),
    "symbols": ("#/symbols", rows),
    "gaps": ("#/gaps", "/\\d of 3,000/.test(document.querySelector('main').textContent)"),
    "redis": ("#/redis", "document.querySelector('main .state').textContent === 'up'"),
    "keys": ("#/redis/latest/latest%3A1m", "document.querySelector('main').textContent.includes('open_time')"),
    "cache": ("#/cache", "/since the start(–|.*%)/.test(document.querySelector('main').textContent)"),
    "connections": ("#/connections", rows),
    "system": ("#/system", rows + " && document.querySelector('main').textContent.includes('messages_received')"),
}


def fail(sentence):
    sys.exit(f"page.py: {sentence}")


def check(condition, sentence):
    if not condition:
        fail(sentence)


def eventually(condition, sentence, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    fail(f"not within {seconds} s: {sentence}")


class World:
    """Exchange, Redis and services, each a process group of its own, ended by its number."""

    def __init__(self, feedd, work):
        self.feedd, self.work, self.processes = feedd, work, {}
        self.socket = f"{work}/redis.sock"

    def start(self, name, *command):
        log = open(f"{self.work}/{name}.log", "a")
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def log(self, name):
        return Path(f"{self.work}/{name}.log").read_text()

    def stop(self, name, sign=signal.SIGTERM):
        process = self.processes.pop(name, None)
        if process is None:
            return
        try:
            os.killpg(process.pid, sign)
            process.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start_redis(self):
        self.start("redis", "redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "yes",
                   "--dir", self.work)
        eventually(lambda: self.redis("PING") == "PONG", "redis-server answers")

    def redis(self, *command):
        done = subprocess.run(["redis-cli", "-s", self.socket, "--raw", *command], capture_output=True, text=True)
        return done.stdout.rstrip("\n")

    def start_all(self):
        self.start_redis()
        self.start("exchange", self.feedd, "simulate", "--port", "0", "--symbols", "12", "--illiquid-every", "0", "--speed", "12",
                   "--history-minutes", "1200", "--status-seconds", "0")
        eventually(lambda: "ws://" in self.log("exchange"), "the exchange listens")
        places = {kind: re.search(kind + r"://\S+", self.log("exchange"))[0] for kind in ("ws", "http")}
        Path(f"{self.work}/token").write_text(TOKEN + "\n")
        names = "btcusdt,ethusdt,bnbusdt,solusdt,xrpusdt,adausdt"
        self.plan = [places, "--flux", f"{names}:1m,5m", "--flux", "btcusdt,ethusdt:1s"]
        self.url = self.start_service("feedd", *self.plan)
        self.guarded = self.start_service("guarded", places, "--ops-token-file", f"{self.work}/token", "--key-prefix", "second:",
                                          "--backfill", "0")
        eventually(lambda: self.api("/api/overview")["service"]["ready"], "the service is ready", 30)
        eventually(lambda: self.symbols() >= 12, "the exchange's symbols are listed")
        eventually(lambda: len(self.api("/api/candles/btcusdt/1m?limit=300")["rows"]) == 300, "there are 300 candles", 30)

    def restart_service(self, seconds):
        """Ends the service that shows, and starts it again, at the same place, after so long."""
        self.stop("feedd")
        time.sleep(seconds)
        self.start_service("feedd", *self.plan, port=int(self.url.rsplit(":", 1)[1]))

    def start_service(self, name, places, *flags, port=None):
        port = port or free_port()
        self.start(name, self.feedd, "run", "--venue-ws", places["ws"], "--venue-rest", places["http"],
                   "--redis", f"unix://{self.socket}", "--ops", f"127.0.0.1:{port}", *flags)
        url = f"http://127.0.0.1:{port}"

        def answers():
            try:
                urllib.request.urlopen(url + "/livez", timeout=5)
                return True
            except OSError:
                check(self.processes[name].poll() is None, f"{name} has ended: {self.log(name)}")
                return False

        eventually(answers, f"{name} answers", 30)
        return url

    def api(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def symbols(self):
        try:
            return self.api("/api/symbols?limit=1000")["total"]
        except urllib.error.HTTPError:
            return 0  # not asked for yet

    def does(self, command):
        """A command as the page shows it, by the real feedd."""
        program, *words = command.split()
        check(program == "feedd", f"not a command of feedd: {command}")
        done = subprocess.run([self.feedd, *words, "--redis", f"unix://{self.socket}"], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"'{command}' ends with {done.returncode}: {done.stdout}{done.stderr}")

    def end(self):
        for name in reversed(list(self.processes)):
            self.stop(name)


class Browser:
    def __init__(self, browser, world, files):
        self.browser, self.world, self.files = browser, world, files
        self.trouble = []

    @contextmanager
    def tab(self, width=1440, scheme="light", url=None, allowed=()):
        """A page in a context of its own. What it complains of, or asks of others, is trouble, but for what is allowed."""
        url = url or self.world.url
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.serve(context)
        page = context.new_page()
        self.watch(page, url, allowed)
        page.home = url + "/"
        try:
            yield page
        except BaseException:
            print("\n".join(self.trouble), file=sys.stderr)
            raise
        context.close()
        check(not self.trouble, "\n".join(self.trouble))

    def watch(self, page, url, allowed=()):
        def note(text):
            if not any(re.search(pattern, text) for pattern in allowed):
                self.trouble.append(text)

        page.on("console", lambda message: message.type in ("error", "warning")
                and note(f"console: {message.text} ({message.location.get('url')})"))
        page.on("pageerror", lambda error: note(f"error in the page: {error.stack}"))
        page.on("request", lambda request: request.url.startswith((url + "/", "data:")) or note(f"asked of another origin: {request.url}"))

    def serve(self, context):
        """The page's files from a folder, with the policy of the server."""
        if not self.files:
            return
        kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
        with urllib.request.urlopen(self.world.url + "/livez") as answer:
            policy = answer.headers["Content-Security-Policy"]

        def answer(route):
            name = route.request.url.split("?")[0].rsplit("/", 1)[1] or "index.html"
            path = Path(self.files) / name
            route.fulfill(status=200, body=path.read_text(), headers={
                "Content-Type": kinds[path.suffix] + "; charset=utf-8", "Content-Security-Policy": policy})

        context.route(re.compile(r"^http://[^/]+/(assets/[^/?]+)?(\?.*)?$"), answer)


def visit(page, view, flux):
    """Opens a view as somebody who comes by its address; returns how long it took until it was live, ms."""
    place, condition = VIEWS[view]
    page.goto("about:blank")
    started = time.monotonic()
    page.goto(page.home + place.format(flux=flux))
    wait(page, condition, f"{view} shows live data", LIVE_MS / 1000)
    return round((time.monotonic() - started) * 1000)


def wait(page, condition, sentence, seconds=10):
    """For a condition in the page. Not wait_for_function: the page's policy forbids the evaluation of texts by itself."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"(() => {{ try {{ return Boolean({condition}); }} catch {{ return false; }} }})()"):
        check(time.monotonic() < end, f"not within {seconds} s: {sentence}\n{page.inner_text('main')[:800]}")
        page.wait_for_timeout(20)


def flux_of(world):
    return next(flux["flux_id"] for flux in world.api("/api/fluxes")["fluxes"] if flux["interval"] == "1m")


def views(world, browser, shots):
    flux, axe = flux_of(world), Axe()
    for scheme in ("light", "dark"):
        for width in (1440, 360):
            with browser.tab(width, scheme) as page:
                times = {}
                for view in VIEWS:
                    times[view] = visit(page, view, flux)
                    if view == "cache":
                        search(page, 60)
                    # What comes a moment later belongs on the picture, too.
                    page.wait_for_timeout(1200)
                    page.screenshot(path=f"{shots}/{view}-{scheme}-{width}.png", full_page=view != "system")
                    check(page.evaluate("document.documentElement.scrollWidth") <= width, f"{view} is wider than {width}")
                    for violation in axe.run(page).response["violations"]:
                        node = violation["nodes"][0]
                        fail(f"axe, {view}, {scheme}, {width}: {violation['id']}: {node['html']} {node.get('failureSummary')}")
                slowest = max(times, key=times.get)
                print(f"views: {scheme}, {width}: live after {min(times.values())} to {times[slowest]} ms ({slowest}); "
                      "axe says nothing", flush=True)


def hostile(world, browser, shots):
    state = world.redis("HGET", "latest:1m", "btcusdt")
    key = f"cache:{{{HOSTILE[:60]}}}:1m:1::"
    world.redis("HSET", "latest:5m", HOSTILE, HOSTILE + state)
    world.redis("SET", key, HOSTILE, "EX", "60")
    with browser.tab() as page:
        page.goto(page.home + "#/redis/latest/latest%3A5m")
        page.get_by_text("onerror", exact=False).first.wait_for()
        page.goto(page.home + "#/redis/cache")
        page.get_by_role("link", name=key[:50]).first.click()
        page.get_by_role("heading", name=key[:50]).wait_for()
        page.goto(page.home + "#/symbols/" + "%3Cimg%20src%3Dx%20onerror%3D%22window.pwned%3D1%22%3E")
        page.get_by_text("No flux follows").wait_for()
        page.get_by_text("A symbol has letters, digits and _").wait_for()
        page.goto(page.home + "#/series/%3Cimg%3E/1m")
        page.get_by_text("There is no such series").wait_for()
        page.goto(page.home + "#/constructor")
        page.get_by_role("heading", name="Overview").wait_for()
        check(page.evaluate("window.pwned") is None, "a name was taken for markup")
        check(page.evaluate("document.querySelectorAll('main img').length") == 0, "a name became an element")
        page.screenshot(path=f"{shots}/hostile.png")
    world.redis("HDEL", "latest:5m", HOSTILE)
    world.redis("DEL", key)
    print("hostile names are text")


NEWEST = "[...document.querySelectorAll('#newest tbody tr')].map((line) => [...line.cells].map((cell) => cell.textContent))"
FIELDS = ["open", "high", "low", "close", "volume", "quote_volume", "count", "source", "revision"]


def chart(world, browser, shots):
    symbol, interval = SERIES
    one = world.redis("XREVRANGE", f"candles:{{{symbol}}}:{interval}", "+", "-", "COUNT", "1").split("\n")
    size = len(one)
    with browser.tab() as page:
        visit(page, "series", "")

        def matches():
            shown = [line for line in page.evaluate(NEWEST) if line[-1] == "closed"]
            entries = world.redis("XREVRANGE", f"candles:{{{symbol}}}:{interval}", "+", "-", "COUNT", str(len(shown))).split("\n")
            stored = []
            for start in range(0, len(entries), size):
                fields = dict(zip(entries[start + 1:start + size:2], entries[start + 2:start + size:2]))
                opened = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(entries[start].split("-")[0]) / 1000))
                stored.append([opened] + [fields[name] for name in FIELDS] + ["closed"])
            return len(shown) >= 19 and shown == stored

        eventually(matches, "the chart's table is XREVRANGE", 5)
        page.select_option("#how-many", "300")
        eventually(matches, "all of the chart's table is XREVRANGE", 5)
        forming = page.evaluate(NEWEST)[0]
        check(forming[-1] == "forming", f"no forming candle: {forming}")
        eventually(lambda: page.evaluate(NEWEST)[0] != forming, "the forming candle moves", 5)
        print(f"chart: its table is XREVRANGE, all {len(page.evaluate(NEWEST))} rows of it; the forming candle moves")

        # Draw times: of each callback that the page has asked of a frame.
        page.evaluate("""() => {
            window.times = [];
            const ask = window.requestAnimationFrame;
            window.requestAnimationFrame = (act) => ask.call(window, (at) => {
                const from = performance.now();
                act(at);
                window.times.push(performance.now() - from);
            });
        }""")
        box = page.locator(".chart").bounding_box()
        page.locator(".chart").focus()
        for turn in range(60):
            page.mouse.move(box["x"] + 100 + 10 * turn, box["y"] + 100)
        for turn in range(20):
            page.mouse.wheel(0, -60 if turn < 10 else 120)
        page.mouse.move(box["x"] + 500, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 700, box["y"] + 100, steps=30)
        page.mouse.up()
        page.wait_for_timeout(3000)
        tell_frames(page, "this machine")
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
        page.wait_for_timeout(8000)
        tell_frames(page, "one that is six times slower, nobody touching it")
        page.screenshot(path=f"{shots}/series-moved.png", full_page=True)

    marks(world, browser, shots)


def tell_frames(page, machine):
    times = sorted(page.evaluate("window.times.splice(0)"))
    check(len(times) > 10, f"the chart was drawn {len(times)} times only")
    print(f"chart: {len(times)} frames on {machine}: median {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms, "
          f"longest {times[-1]:.1f} ms")


def marks(world, browser, shots):
    """A gap, a candle from REST and a corrected one, put into the answers on their way."""
    count = """(name) => {
        const canvas = document.querySelector('.chart canvas');
        canvas.style.setProperty('color', `var(--${name})`);
        const [r, g, b] = getComputedStyle(canvas).color.match(/\\d+/g).map(Number);
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let found = 0;
        for (let at = 0; at < data.length; at += 4) {
            const away = Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b);
            found += data[at + 3] > 200 && away < 24;
        }
        return found;
    }"""
    wanted = {"plain": {}, "backfilled": {"source": "backfill"}, "revised": {"revision": 2}, "missing": None}
    seen = {}
    for name, change in wanted.items():
        with browser.tab(allowed=("getImageData",)) as page:  # our own reading
            def doctor(route):
                answer = route.fetch()
                body = answer.json()
                if len(body["rows"]) > 250:
                    for row in body["rows"]:
                        row.update(source="live", revision=0)
                    if change is None:
                        del body["rows"][100:130]
                    else:
                        for row in body["rows"][100:130]:
                            row.update(change)
                else:
                    for row in body["rows"]:
                        row.update(source="live", revision=0)
                route.fulfill(response=answer, json=body)

            page.route("**/api/candles/**", doctor)
            page.goto(page.home + "#/series/btcusdt/1m")
            wait(page, VIEWS["series"][1], "20 candles in the table")
            page.wait_for_timeout(300)
            seen[name] = {colour: page.evaluate(count, colour) for colour in ("link", "warn")}
            page.screenshot(path=f"{shots}/chart-{name}.png")
            if change is None:
                page.select_option("#how-many", "300")
                page.get_by_text("30 missing from").first.wait_for(timeout=5000)
            page.unroute_all(behavior="ignoreErrors")
    check(seen["backfilled"]["link"] > seen["plain"]["link"] + 20, f"candles from REST are not marked: {seen}")
    check(seen["revised"]["warn"] > seen["plain"]["warn"] + 100, f"corrected candles are not marked: {seen}")
    check(seen["missing"]["warn"] > seen["plain"]["warn"] + 100, f"missing candles are not marked: {seen}")
    print(f"chart: a gap, candles from REST and corrected ones are marked {seen}")


def keyboard(world, browser, shots):
    with browser.tab() as page:
        visit(page, "overview", "")

        def tab_to(selector, most=60):
            for _ in range(most):
                page.keyboard.press("Tab")
                if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                    return
            fail(f"the keyboard does not reach {selector}")

        tab_to("td a[href*='1m_']")
        page.keyboard.press("Enter")
        page.locator("a.tile").first.wait_for()
        tab_to("a.tile")
        page.keyboard.press("Enter")
        wait(page, VIEWS["series"][1], "20 candles in the table")
        tab_to(".chart")
        page.keyboard.press("ArrowLeft")
        first = page.get_attribute(".chart", "aria-valuetext")
        page.keyboard.press("ArrowLeft")
        second = page.get_attribute(".chart", "aria-valuetext")
        check("close" in first and "close" in second and first != second, f"arrow keys do not move the cross-hair: {first} / {second}")
        check(second.split(",")[0] in page.inner_text(".exact"), "the exact text is not that of the cross-hair")
        page.screenshot(path=f"{shots}/cross-hair.png")
        page.goto(page.home + "#/cache")
        tab_to("#symbol")
        page.keyboard.press("Enter")
        page.get_by_text("candles from the histories").first.wait_for()
    print("keyboard: a flux, a series, the cross-hair, a search")


def search(page, limit, interval="3m", symbol="btcusdt"):
    page.fill("#symbol", symbol)
    page.select_option("#interval", interval)
    page.fill("#limit", str(limit))
    page.get_by_role("button", name="Search").click()
    wait(page, "/candles .* in /.test(document.querySelector('main form + p').textContent)", "an answer to the search")
    return page.inner_text("main h2 .state")


def cache(world, browser, shots):
    with browser.tab() as page:
        visit(page, "cache", "")
        check(search(page, 77) == "exchange", "the first search was not asked of the exchange")
        check(search(page, 77) == "cache", "the second search was not answered by the cache")
        fact = "[...document.querySelectorAll('main dl div')].find((one) => one.firstChild.textContent === '%s').lastChild.textContent"
        wait(page, "/^[\\d.]+ s$/.test(" + fact % "kept in the cache for" + ")", "the time that is left")
        shown = float(page.evaluate(fact % "kept in the cache for").split()[0])
        stored = int(world.redis("PTTL", "cache:{btcusdt}:3m:77::")) / 1000
        check(abs(shown - stored) < 1, f"the time that is left: {shown} s, and {stored} s by PTTL")
        eventually(lambda: float(page.evaluate(fact % "kept in the cache for").split()[0]) < shown, "what is left counts down", 3)

        def ratio():
            counters = {one["name"]: one["value"] for one in world.api("/api/system")["counters"]}
            hits, misses = counters["cache_hits"], counters["cache_misses"]
            return f"{hits / (hits + misses) * 100:.1f} % of {hits + misses}" if hits else ""

        eventually(lambda: page.evaluate(fact % "hits since the start") == ratio(), "the hit ratio is that of the counters", 5)
        seen = ratio()
        for limit in range(1, 22):
            search(page, limit, "1m")
        check(page.locator("table", has_text="repeat").locator("tbody tr").count() == 20, "20 searches are shown")
        page.reload()
        wait(page, "document.querySelector('main').textContent.includes('again')", "searches are kept")
        page.screenshot(path=f"{shots}/cache-searches.png", full_page=True)
    print(f"cache: exchange, then cache, TTL as PTTL, hit ratio {seen}, 20 searches kept")


def recovery(world, browser, shots):
    # Answers that say that Redis is away are in the console: the browser writes them there.
    with browser.tab(allowed=("status of 503", "status of 504", "status of 502")) as page:
        visit(page, "series", "")
        page.evaluate("window.sameDocument = true")
        world.stop("redis", signal.SIGKILL)
        page.get_by_text("No candles since").wait_for(timeout=15000)
        page.screenshot(path=f"{shots}/redis-away.png", full_page=True)
        world.start_redis()
        page.get_by_text("Candles could not be read from").wait_for(timeout=20000)
        before = page.evaluate(NEWEST)[0]
        eventually(lambda: page.evaluate(NEWEST)[0] != before, "candles move again", 10)
        check(page.evaluate("window.sameDocument"), "the page was loaded again")
        page.screenshot(path=f"{shots}/redis-back.png", full_page=True)
        os.kill(world.processes["feedd"].pid, signal.SIGSTOP)
        wait(page, "document.querySelector('#cut').textContent", "a red bar while no data comes", 15)
        page.screenshot(path=f"{shots}/cut.png")
        os.kill(world.processes["feedd"].pid, signal.SIGCONT)
        wait(page, "!document.querySelector('#cut').textContent", "the red bar goes when data comes again", 15)
        check("Data comes again" in page.inner_text("#spoken"), "who does not see is not told that data comes again")
    print("recovery: Redis was killed and started, feedd stood still; the page said so, and went on without being loaded again")


def tabs(world, browser, shots):
    context = browser.browser.new_context(viewport={"width": 1000, "height": 800})
    browser.serve(context)
    # A headless browser shows all its tabs at once: what is hidden is said to it.
    context.add_init_script("""window.isHidden = false;
        Object.defineProperty(Document.prototype, 'hidden', { get: () => window.isHidden });
        window.hide = (isHidden) => { window.isHidden = isHidden; document.dispatchEvent(new Event('visibilitychange')); };""")
    pages = []
    flux = flux_of(world)
    for view in list(VIEWS)[:8]:
        for other in pages:
            other.evaluate("hide(true)")
        page = context.new_page()
        browser.watch(page, world.url)
        page.home = world.url + "/"
        visit(page, view, flux)
        pages.append(page)

    def streams():
        with urllib.request.urlopen(world.url + "/metrics") as answer:
            return int(float(re.search(r"^feedd_event_streams (\S+)", answer.read().decode(), re.M)[1]))

    eventually(lambda: streams() == 1, "eight tabs hold one stream", 15)
    for page in pages:
        for other in pages:
            other.evaluate("hide(true)")
        page.evaluate("hide(false)")
        wait(page, "/data 0/.test(document.querySelector('#age').textContent)", "data in a tab that is shown again")
    context.close()
    check(not browser.trouble, "\n".join(browser.trouble))
    print("tabs: eight of them load, one at a time holds a stream")


def answer_to_question(page, is_yes, button):
    """Presses a button and answers what the browser asks then; returns the question."""
    asked = []

    def answer(dialog):
        asked.append(dialog.message)
        dialog.accept() if is_yes else dialog.dismiss()

    page.once("dialog", answer)
    page.get_by_role("button", name=button).click()
    check(asked, f"'{button}' does not ask")
    return asked[0]


def login(world, browser, shots):
    with browser.tab(url=world.guarded, allowed=("status of 401", "status of 400")) as page:
        page.goto(page.home + "#/fluxes")
        page.get_by_label("Token").fill("not that one, certainly")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("that is not the token").wait_for()
        page.screenshot(path=f"{shots}/login.png")
        for violation in Axe().run(page).response["violations"]:
            fail(f"axe, login: {violation['id']}")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Symbols").fill("ethusdt, solusdt")
        page.screenshot(path=f"{shots}/create.png")
        asked = answer_to_question(page, False, "Create …")
        check(asked == "Follow ethusdt, solusdt at 1m?", f"it asks: {asked}")
        check("1m_" not in page.inner_text("main"), "a flux was created without a yes")
        answer_to_question(page, True, "Create …")
        page.locator("a.tile", has_text="solusdt").wait_for(timeout=10000)
        page.screenshot(path=f"{shots}/stop.png", full_page=True)
        for violation in Axe().run(page).response["violations"]:
            fail(f"axe, with a session: {violation['id']}: {violation['nodes'][0]['html']}")
        answer_to_question(page, True, "Stop …")
        wait(page, "location.hash === '#/fluxes' && document.querySelector('main').textContent.includes('No flux.')", "the flux is gone")
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.goto(page.home + "#/series/btcusdt/1m")
        page.locator(".chart").wait_for()
        page.context.clear_cookies()
        page.get_by_label("Token").wait_for()
        page.wait_for_timeout(500)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(1500)
        check(not asked, f"behind the login the page goes on asking: {asked}")
    print("login: a wrong token, the right one, a flux created and stopped in two steps, out; nothing is asked behind the login")


def symbols(world, browser, shots):
    """The catalogue of the exchange, and the command that follows what is shown of it."""
    with browser.tab() as page:
        visit(page, "symbols", "")
        cells = "[...document.querySelectorAll('main tbody tr')].map((line) => [...line.cells].map((cell) => cell.textContent))"
        wait(page, f"{cells}.some((line) => line[0] === 'btcusdt' && line[1].split(' ').includes('1m'))", "btcusdt is marked as followed")
        shown = "document.querySelector('main code').offsetParent && document.querySelector('main code').textContent"
        named = page.evaluate(shown)
        check("btcusdt" in named and "--top" not in named, f"without a quote asset symbols are named: {named}")
        world.does(named)
        page.get_by_role("button", name="volume").focus()
        volumes = []
        for _ in range(2):
            page.keyboard.press("Enter")
            volumes.append([int(line[5].replace(",", "")) for line in page.evaluate(cells)])
        check(volumes[0] == sorted(volumes[0], reverse=True) and volumes[1] == sorted(volumes[1]), f"volumes are not in order: {volumes}")
        page.fill("#quote", "usdt")
        wait(page, f"/^feedd create --top \\d+ --quote USDT 1m$/.test({shown})", "the quote asset's command")
        world.does(page.evaluate(shown))
        page.screenshot(path=f"{shots}/symbols-quote.png", full_page=True)
        page.select_option("#status", "HALT")
        wait(page, f"!{shown} && {cells}.length === 0", "nothing is traded, and no command is shown")
        page.select_option("#status", "any")
        page.fill("#search", "btc/usdt")
        page.get_by_text("A symbol has letters, digits and _").wait_for()
        page.fill("#search", "btcu")
        wait(page, f"{cells}.length > 0 && {cells}.every((line) => line[0].includes('btcu'))", "a search among the symbols")
        page.get_by_role("link", name="btcusdt").first.click()
        wait(page, VIEWS["series"][1], "a symbol leads to its series")
    print(f"symbols: {world.symbols()} of them, marked, in order by the keyboard, filtered, with the command to follow them")


def night(world, browser, shots):
    """Somebody who has never seen the page asks for the hole that was there while the service was away."""
    world.restart_service(15)
    eventually(lambda: world.api("/api/overview")["service"]["ready"], "the service is ready again", 30)

    def is_told():
        ended = world.api("/api/gaps")["ended"]
        return any((gap["symbol"], gap["interval"], gap["cause"]) == (*SERIES, "unstored") and gap["candles"] > 1 for gap in ended)

    eventually(is_told, "the hole is filled, and told", 30)
    with browser.tab() as page:
        visit(page, "overview", "")
        page.get_by_label("Find a symbol").fill("btcu")
        page.keyboard.press("Enter")
        page.locator("tr", has_text="1m").get_by_role("link", name="btcusdt").first.click()
        wait(page, VIEWS["series"][1], "the series")
        line = page.locator("table", has_text="what became of it").locator("tbody tr", has_text="feedd was down").first
        check("fetched from the exchange" in line.inner_text(), f"it is not said how the hole ended: {line.inner_text()}")
        line.get_by_role("button").click()
        wait(page, "document.querySelector('.exact').textContent.includes('was missing: unstored: feedd was down')", "the chart stands at the hole")
        page.screenshot(path=f"{shots}/night.png", full_page=True)
    print("night: from the overview by a search to the series, its hole, the reason and how it ended")


# What docs/operations.md shows: views, how wide, and in which theme.
PICTURES = {"overview": (1100, "dark"), "series": (1100, "light"), "cache": (1100, "light"), "flux": (360, "dark")}


def record(world, browser):
    os.makedirs("docs/page", exist_ok=True)
    for view, (width, scheme) in PICTURES.items():
        with browser.tab(width, scheme) as page:
            visit(page, view, flux_of(world))
            if view == "cache":
                for limit in (60, 60, 80):
                    search(page, limit)
            if view == "series":
                # Closer, so that the healed hole of `night` is seen.
                for _ in range(2):
                    page.get_by_role("button", name="Larger").click()
            page.wait_for_timeout(1500)
            file = f"docs/page/{view}.png"
            page.screenshot(path=file)
            size = os.path.getsize(file)
            check(size <= PICTURE_BYTES_MAX, f"{file} has {size} bytes, and may have {PICTURE_BYTES_MAX}")
    print("four pictures are in docs/page: look at them")


PARTS = [views, hostile, chart, keyboard, cache, symbols, tabs, login, recovery, night]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--browser", default="/usr/bin/chromium-headless-shell")
    parser.add_argument("--feedd", default=".build/release/feedd")
    parser.add_argument("--files", help="folder with the page's files, instead of those in the program")
    parser.add_argument("--shots", default=".build/page", help="folder for screenshots")
    parser.add_argument("--record", action="store_true", help="four of the pictures go to docs/page, too")
    parser.add_argument("--only", default="", help="parts, separated by commas: " + " ".join(part.__name__ for part in PARTS))
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [part.__name__ for part in PARTS]
    os.makedirs(options.shots, exist_ok=True)
    work = tempfile.mkdtemp(prefix="feedd-page-")
    world = World(options.feedd, work)
    size = sum(file.stat().st_size for file in Path("Sources/COps/page").iterdir())
    check(size <= PAGE_BYTES_MAX, f"the page has {size} bytes, and may have {PAGE_BYTES_MAX}")
    try:
        world.start_all()
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
            browser = Browser(started, world, options.files)
            for part in PARTS:
                if part.__name__ in wanted:
                    part(world, browser, options.shots)
            if options.record:
                record(world, browser)
            started.close()
    finally:
        world.end()
        shutil.rmtree(work, ignore_errors=True)
    print(f"all is well; screenshots are in {options.shots}")


if __name__ == "__main__":
    main()
