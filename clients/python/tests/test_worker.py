"""Workers of a group: each candle to one, acknowledged; taken over from the dead; given up in the end."""

from __future__ import annotations

import re
import threading
from typing import Dict, List, Set

import pytest

from fastfeed import BadArgumentError, FluxClient, Message, WorkerOptions
from fastfeed.contract import Keys
from fastfeed.group import GroupWorker
from fastfeed.steps import run
from feed import BEGIN, MINUTE, store
from rig import REPOSITORY, Losing, RedisServer, World, eventually

KEY = "candles:{btcusdt}:1m"
DEAD = "dead:candles:{btcusdt}:1m:work"
QUICK = WorkerOptions(claim_after=0.6)


def fill(server: RedisServer, count: int, first: int = 0) -> None:
    with server.client().pipeline(transaction=False) as pipeline:
        for number in range(first, first + count):
            store(pipeline, number)
        pipeline.execute()


def ids(count: int) -> List[str]:
    return [f"{BEGIN + number * MINUTE}-0" for number in range(count)]


def test_workers_share_the_candles(server: RedisServer) -> None:
    fill(server, 1_000)
    done: Dict[str, List[str]] = {"a": [], "b": []}
    with FluxClient.from_url(server.url) as client:
        workers = {name: client.worker("work", "btcusdt", "1m", name=name) for name in done}

        def work(name: str) -> None:
            workers[name].run(lambda message: done[name].append(message.id))

        threads = [threading.Thread(target=work, args=(name,)) for name in done]
        for thread in threads:
            thread.start()
        eventually(lambda: sum(map(len, done.values())) == 1_000)
        fill(server, 10, first=1_000)
        eventually(lambda: sum(map(len, done.values())) == 1_010)
        for worker in workers.values():
            worker.close()
        for thread in threads:
            thread.join(10)
        assert sorted(done["a"] + done["b"]) == ids(1_010)
        assert min(map(len, done.values())) > 0
        assert sum(worker.counters["acked"] for worker in workers.values()) == 1_010
    assert server.client().xpending(KEY, "work")["pending"] == 0


def test_a_message_is_a_candle_and_may_be_retried(server: RedisServer) -> None:
    fill(server, 3)
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", ["btcusdt", "ethusdt"], "1m")
        first = next(worker)
        assert (first.candle.symbol, first.candle.open_time, first.deliveries, first.key) == ("btcusdt", BEGIN, 1, KEY)
        first.retry(after=0.05)
        second, third = next(worker), next(worker)
        second.ack()
        third.ack()
        again = next(worker)
        assert (again.id, again.deliveries) == (first.id, 2)
        again.ack()
        again.ack()
        worker.close()
        assert worker.counters["acked"] == 3
        assert worker.counters["retried"] == 1
    raw = server.client()
    assert raw.xpending(KEY, "work")["pending"] == 0
    # A name that was made up is forgotten.
    assert raw.xinfo_consumers(KEY, "work") == []


def test_what_fails_again_and_again_goes_to_the_dead_letters(server: RedisServer) -> None:
    fill(server, 4)
    bad = {ids(4)[1]}
    seen: List[str] = []
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", "btcusdt", "1m", options=WorkerOptions(deliveries_max=3))
        for message in worker:
            seen.append(message.id)
            if message.id in bad:
                message.retry(after=0)
            elif message.id == ids(4)[3]:
                message.reject("never")
            else:
                message.ack()
            if worker.counters["buried"] == 2 or len(seen) == 6:
                break
        worker.close()
        assert seen.count(ids(4)[1]) == 3
        assert worker.counters["buried"] == 2
    raw = server.client()
    letters = {letter["dead_id"]: letter for _, letter in raw.xrange(DEAD)}
    assert set(letters) == {ids(4)[1], ids(4)[3]}
    letter = letters[ids(4)[1]]
    assert (letter["dead_stream"], letter["dead_group"], letter["dead_deliveries"], letter["close"]) == (KEY, "work", "3", "2.5")
    assert letters[ids(4)[3]]["dead_reason"] == "never"
    assert raw.xpending(KEY, "work")["pending"] == 0


def test_a_candle_that_has_killed_its_workers_is_not_handed_out_again(server: RedisServer) -> None:
    fill(server, 2)
    raw = server.client()
    raw.xgroup_create(KEY, "work", id="0")
    raw.xreadgroup("work", "dead", {KEY: ">"}, count=1)
    raw.xclaim(KEY, "work", "dead", 0, [ids(1)[0]], idle=60_000, retrycount=5)
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", "btcusdt", "1m", options=QUICK)
        message = next(worker)
        assert message.id == ids(2)[1]
        message.ack()
        worker.close()
        assert (worker.counters["buried"], worker.counters["received"]) == (1, 1)
    assert [letter["dead_id"] for _, letter in raw.xrange(DEAD)] == ids(1)
    assert raw.xpending(KEY, "work")["pending"] == 0


def test_what_a_handler_says_first_counts(server: RedisServer) -> None:
    fill(server, 2)
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", "btcusdt", "1m")

        def handle(message: Message) -> None:
            if message.id == ids(1)[0]:
                message.reject("never")
            elif message.deliveries == 1:
                message.retry(after=0)
                message.retry(after=0)

        thread = threading.Thread(target=worker.run, args=(handle,))
        thread.start()
        eventually(lambda: (worker.counters["buried"], worker.counters["acked"]) == (1, 1))
        worker.close()
        thread.join(10)
        assert worker.counters["retried"] == 1
    assert [letter["dead_id"] for _, letter in server.client().xrange(DEAD)] == ids(1)


def test_redis_is_lost_while_messages_come_again(server: RedisServer) -> None:
    fill(server, 2)
    raw = server.client()
    group = machine()
    run(raw, group.turn(), threading.Event())
    taken = [group.take(), group.take()]
    for message in taken:
        assert message is not None
        message.retry(after=0)
    losing = Losing(raw, "eval", 2)
    again: List[Message] = []
    while len(again) < 2:
        run(losing, group.turn(), threading.Event())
        while (message := group.take()) is not None:
            again.append(message)
    assert [(message.id, message.deliveries) for message in again] == [(entry_id, 2) for entry_id in ids(2)]
    assert group.counters["interruptions"] == 1


def test_what_somebody_else_has_taken_over_is_left_to_him(server: RedisServer) -> None:
    fill(server, 2)
    raw = server.client()
    group = machine()
    run(raw, group.turn(), threading.Event())
    message = group.take()
    assert message is not None
    message.retry(after=0)
    raw.xclaim(KEY, "work", "other", 0, ids(2))
    run(raw, group.turn(), threading.Event())
    run(raw, group.stop(True), threading.Event())
    pending = raw.xpending_range(KEY, "work", "-", "+", 10)
    assert [(one["consumer"], one["times_delivered"]) for one in pending] == [("other", 2)] * 2
    assert group.counters["taken_over"] == 1


def test_a_candle_that_kills_its_worker_each_time_is_given_up_under_the_same_name_too(server: RedisServer) -> None:
    fill(server, 1)
    deliveries = []
    for _ in range(5):
        group = machine()
        run(server.client(), group.turn(), threading.Event())
        message = group.take()
        assert message is not None
        deliveries.append(message.deliveries)
    assert deliveries == [1, 2, 3, 4, 5]
    group = machine()
    run(server.client(), group.turn(), threading.Event())
    assert group.take() is None
    run(server.client(), group.turn(), threading.Event())
    assert group.counters["buried"] == 1


def test_more_series_than_may_be_in_hand(server: RedisServer) -> None:
    fill(server, 5)
    with FluxClient.from_url(server.url) as client:
        with pytest.raises(BadArgumentError):
            client.worker("work", [], "1m")
        worker = client.worker("work", ["btcusdt", "ethusdt", "bnbusdt"], "1m", options=WorkerOptions(prefetch=2))
        for _ in range(5):
            next(worker).ack()
        worker.close()
        assert worker.counters["acked"] == 5


def machine() -> GroupWorker:
    return GroupWorker(Keys(), "work", "me", {KEY: ("btcusdt", "1m")}, WorkerOptions(), 10)


def test_the_dead_are_inherited_from(server: RedisServer) -> None:
    fill(server, 50)
    raw = server.client()
    raw.xgroup_create(KEY, "work", id="0")
    # Somebody took twenty and died.
    raw.xreadgroup("work", "dead", {KEY: ">"}, count=20)
    done: Dict[str, int] = {}
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", "btcusdt", "1m", options=QUICK)
        for message in worker:
            done[message.id] = message.deliveries
            message.ack()
            if len(done) == 50:
                break
        worker.close()
        assert sorted(done) == ids(50)
        assert worker.counters["claimed"] == 20
        assert {done[entry_id] for entry_id in ids(20)} == {2}
    assert raw.xpending(KEY, "work")["pending"] == 0


def test_a_slow_handler_keeps_what_it_holds(server: RedisServer) -> None:
    fill(server, 1)
    raw = server.client()
    with FluxClient.from_url(server.url) as client:
        # Renewed each second; a machine that stands still for two costs nothing.
        patient = WorkerOptions(claim_after=3)
        slow = client.worker("work", "btcusdt", "1m", name="slow", options=patient)
        held = next(slow)
        other = client.worker("work", "btcusdt", "1m", name="other", options=patient)
        got: List[Message] = []
        thread = threading.Thread(target=lambda: got.extend(other))
        thread.start()
        # The other one looks for what is idle again and again, and the holder renews in between.
        claims = _calls(server, "xautoclaim")
        eventually(lambda: _calls(server, "xautoclaim") >= claims + 9)
        assert got == []
        pending = raw.xpending_range(KEY, "work", "-", "+", 10)
        assert [(one["consumer"], one["times_delivered"]) for one in pending] == [("slow", 1)]
        held.ack()
        slow.close()
        other.close()
        thread.join(10)
        assert raw.xpending(KEY, "work")["pending"] == 0


def _calls(server: RedisServer, command: str) -> int:
    return int(server.client().info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def test_the_same_name_gets_what_it_held(server: RedisServer) -> None:
    fill(server, 10)
    server.client().xgroup_create(KEY, "work", id="0")
    server.client().xreadgroup("work", "me", {KEY: ">"}, count=4)
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", "btcusdt", "1m", name="me")
        got = [next(worker) for _ in range(10)]
        assert sorted(message.id for message in got) == ids(10)
        for message in got:
            message.ack()
        worker.close()
    assert server.client().xpending(KEY, "work")["pending"] == 0


def test_closing_gives_back_at_once(server: RedisServer) -> None:
    fill(server, 20)
    with FluxClient.from_url(server.url) as client:
        first = client.worker("work", "btcusdt", "1m", name="first")
        for _ in range(5):
            next(first).ack()
        first.close()
        assert list(first) == []
        second = client.worker("work", "btcusdt", "1m")
        got: Set[str] = set()
        while len(got) < 15:
            message = next(second)
            assert message.deliveries == 1
            got.add(message.id)
            message.ack()
        second.close()
        assert sorted(got) == ids(20)[5:]


def test_a_group_that_is_gone_is_made_where_the_worker_was(server: RedisServer) -> None:
    fill(server, 10)
    raw = server.client()
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", "btcusdt", "1m")
        for _ in range(10):
            next(worker).ack()
        raw.xgroup_destroy(KEY, "work")
        store(raw, 10)
        assert next(worker).id == ids(11)[10]
        # Flushed and filled again, with older ids: from the beginning.
        raw.flushall()
        fill(server, 3)
        assert [next(worker).id for _ in range(3)] == ids(3)
        worker.close()
        assert worker.counters["groups_made"] == 3


def test_what_was_trimmed_is_counted(server: RedisServer) -> None:
    fill(server, 10)
    raw = server.client()
    raw.xgroup_create(KEY, "work", id="0")
    raw.xreadgroup("work", "me", {KEY: ">"}, count=10)
    raw.xtrim(KEY, maxlen=6, approximate=False)
    with FluxClient.from_url(server.url) as client:
        worker = client.worker("work", "btcusdt", "1m", name="me")
        got = [next(worker) for _ in range(6)]
        assert worker.counters["vanished"] == 4
        for message in got:
            message.ack()
        worker.close()
    assert raw.xpending(KEY, "work")["pending"] == 0


def test_redis_is_killed_and_each_candle_is_handled() -> None:
    world = World("--appendonly", "yes", "--appendfsync", "always")
    try:
        with FluxClient.from_url(world.redis.url) as client:
            client.create_flux("btcusdt", "1s")
            worker = client.worker("work", "btcusdt", "1s", options=QUICK)
            done: Set[str] = set()
            thread = threading.Thread(target=worker.run, args=(lambda message: done.add(message.id),))
            thread.start()
            for _ in range(2):
                count = len(done)
                eventually(lambda: len(done) > count + 20)
                world.redis.kill()
                world.redis.start()
            stored = eventually(lambda: [entry_id for entry_id, _ in world.redis.client().xrange("candles:{btcusdt}:1s")])
            eventually(lambda: set(stored) <= done, what=f"{worker.counters}")
            worker.close()
            thread.join(10)
            assert worker.counters["interruptions"] >= 1
            # What is pending was given back, and not handled.
            pending = world.redis.client().xpending_range("candles:{btcusdt}:1s", "work", "-", "+", 1_000)
            assert not done & {one["message_id"] for one in pending}
    finally:
        world.close()


def test_the_user_for_workers_has_the_rights_it_needs(server: RedisServer) -> None:
    """Its file lets it write no letters, or does: with either, nothing is lost and the rest goes on."""
    text = (REPOSITORY / "deploy/redis-acl.conf").read_text()
    line = re.search(r"^user feed-worker .*$", text, re.MULTILINE)
    assert line is not None
    raw = server.client()
    raw.execute_command("ACL", "SETUSER", *line.group().split()[1:])
    fill(server, 3)
    with FluxClient.from_url(server.url, username="feed-worker", password="change-me-worker") as client:
        worker = client.worker("work", "btcusdt", "1m")
        next(worker).ack()
        next(worker).reject("bad")
        next(worker).ack()
        worker.close()
        counters = worker.counters
        assert counters["acked"] == 2
        assert counters["buried"] + counters["kept"] == 1
        assert raw.xpending(KEY, "work")["pending"] == counters["kept"]


def test_the_readers_user_has_the_rights_it_needs(world: World, server: RedisServer) -> None:
    text = (REPOSITORY / "deploy/redis-acl.conf").read_text()
    # Other tests come with wrong passwords.
    world.redis.client().acl_log_reset()
    for name in ("feed-client", "feed-reader"):
        line = re.search(rf"^user {name} .*$", text, re.MULTILINE)
        assert line is not None
        world.redis.client().execute_command("ACL", "SETUSER", *line.group().split()[1:])
        options = {"username": name, "password": f"change-me-{name.split('-')[1]}"}
        with FluxClient.from_url(world.redis.url, **options) as client:  # type: ignore[arg-type]
            assert next(client.updates("btcusdt", "1s")).symbol == "btcusdt"
            assert next(client.candles("btcusdt", "1s", after="start")).kind == "candle"
            assert len(client.history("btcusdt", "1s").candles()) > 0
            eventually(lambda: len(client.latest("1s")) == 3)
            if name == "feed-client":
                assert client.status().is_healthy
    log = world.redis.client().acl_log()
    assert log == []


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> object:
    def leases() -> List[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "fastfeed-lease"]

    yield
    eventually(lambda: not leases(), what="leases have ended")
