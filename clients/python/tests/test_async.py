"""The same with asyncio: commands, updates, candles, workers; cancellation; a Redis that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from typing import Any, Callable, Coroutine, List, Set

import pytest

from fastfeed import (
    AsyncFluxClient,
    BadArgumentError,
    DisconnectedError,
    FluxClient,
    FluxTimeoutError,
    RefusedError,
    ServiceNotRunningError,
    Update,
    WorkerOptions,
)
from fastfeed.steps import heeding
from feed import store
from rig import RedisServer, World


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def eventually(look: Callable[[], object], seconds: float = 20.0) -> None:
    for _ in range(int(seconds / 0.02)):
        if look():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def test_commands(world: World) -> None:
    async def work() -> None:
        async with AsyncFluxClient.from_url(world.redis.url) as client:
            made = await client.create_flux(["btcusdt"], "3m", name="async")
            assert made.id == "async"
            answers = await asyncio.gather(*(client.get_data("btcusdt", "1m", limit=5) for _ in range(40)))
            assert {len(answer) for answer in answers} == {5}
            assert (await client.status()).is_healthy
            assert (await client.status("async"))["flux_id"] == "async"
            assert "async" in [flux.id for flux in await client.list_fluxes()]
            assert len(await client.symbols(limit=1)) == 1
            await client.backfill("btcusdt", "1m", 5)
            assert (await client.gaps("ethusdt", "1m")).more == 0
            while not (await client.audit("ethusdt", "1m", limit=100))["checked"]:
                await asyncio.sleep(0.02)
            await client.stop_flux("async")
            with pytest.raises(RefusedError):
                await client.stop_flux("async")
            while len(await client.latest("1m")) < 3:
                await asyncio.sleep(0.02)
            candles = await client.history("btcusdt", "1m").candles()
            assert [candle.open_time async for candle in client.history("btcusdt", "1m", end=candles[-1].open_time)] == [
                candle.open_time for candle in candles
            ]
            assert len(await client.history("btcusdt", "1m").to_ohlcv()) >= len(candles)

    run(work())


def test_updates_candles_and_callbacks(world: World) -> None:
    async def work() -> None:
        async with AsyncFluxClient.from_url(world.redis.url) as client:
            seen = 0
            async with await client.updates("btcusdt,ethusdt", "1s") as updates:
                async for one in updates:
                    seen += one.rows
                    if seen >= 10:
                        break
            assert (updates.interruptions, updates.missed, updates.malformed) == (0, 0, 0)
            got: List[Update] = []

            async def on_update(one: Update) -> None:
                await asyncio.sleep(0)
                got.append(one)
                if len(got) == 1:
                    raise RuntimeError("mine")

            subscription = await client.subscribe_to_updates("btcusdt", "1s", on_update)
            await eventually(lambda: len(got) >= 3)
            assert subscription.failures == 1
            await subscription.close()
            moments = []
            async with client.candles("btcusdt", "1s", after="start") as stream:
                async for event in stream:
                    moments.append(event.open_time)
                    if len(moments) == 100:
                        break
            assert moments == list(range(moments[0], moments[-1] + 1, 1_000))

    run(work())


def test_a_cancelled_call_leaves_the_client_as_it_was(world: World) -> None:
    async def work() -> None:
        async with AsyncFluxClient.from_url(world.redis.url) as client:
            for delay in range(30):
                task = asyncio.ensure_future(client.get_data("btcusdt", "1m", limit=500))
                await asyncio.sleep(delay / 5_000)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert (await client.get_data("ethusdt", "1m", limit=2)).symbol == "ethusdt"
            updates = await client.updates("btcusdt", "1s")
            for _ in range(5):
                waiting = asyncio.ensure_future(updates.__anext__())
                await asyncio.sleep(0.001)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            assert (await updates.__anext__()).symbol == "btcusdt"

    run(work())


def test_a_worker(server: RedisServer) -> None:
    for number in range(30):
        store(server.client(), number)

    async def work() -> None:
        done: Set[str] = set()
        failed: Set[str] = set()
        async with AsyncFluxClient.from_url(server.url) as client:
            worker = client.worker("work", "btcusdt", "1m", options=WorkerOptions(prefetch=7))

            async def handle(message: Any) -> None:
                await asyncio.sleep(0)
                if len(failed) < 2 and message.id not in failed:
                    failed.add(message.id)
                    raise RuntimeError("not now")
                done.add(message.id)

            task = asyncio.ensure_future(worker.run(handle))
            await eventually(lambda: len(done) == 30)
            await worker.close()
            await task
            assert (worker.counters["acked"], worker.counters["retried"]) == (30, 2)

    run(work())
    assert server.client().xpending("candles:{btcusdt}:1m", "work")["pending"] == 0


def test_errors(server: RedisServer) -> None:
    async def work() -> None:
        async with AsyncFluxClient("127.0.0.1", 1) as client:
            with pytest.raises(DisconnectedError):
                await client.status()
            with pytest.raises(DisconnectedError):
                await client.updates("btcusdt", "1m")
        async with AsyncFluxClient.from_url(server.url, timeout=2) as client:
            with pytest.raises(ServiceNotRunningError):
                await client.status()
            deaf = server.client().pubsub()
            deaf.subscribe("commands:status:get")
            await eventually(lambda: deaf.get_message(timeout=0.01))
            with pytest.raises(FluxTimeoutError):
                await client.status()
        with pytest.raises(DisconnectedError, match="closed"):
            await client.status()
        with pytest.raises(BadArgumentError):
            AsyncFluxClient.from_redis(object())

    run(work())


def test_redis_is_killed_and_updates_go_on() -> None:
    world = World()
    try:
        with FluxClient.from_url(world.redis.url) as sync:
            sync.create_flux("btcusdt", "1s")

        async def work() -> None:
            async with AsyncFluxClient.from_url(world.redis.url) as client:
                got: List[Update] = []
                subscription = await client.subscribe_to_updates("btcusdt", "1s", got.append)
                stream = client.candles("btcusdt", "1s", after="start")
                assert (await stream.__anext__()).kind == "candle"
                await eventually(lambda: len(got) > 3)
                world.redis.kill()
                await eventually(lambda: subscription.updates.interruptions == 1)
                # Starting waits for the server, and would hold up the loop.
                thread = threading.Thread(target=world.redis.start)
                thread.start()
                await eventually(lambda: not thread.is_alive())
                count = len(got)
                await eventually(lambda: len(got) > count + 3)
                await subscription.close()

        run(work())
    finally:
        world.close()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before it asyncio does not tell that there was one")
def test_a_cancellation_that_comes_as_a_call_ends_is_not_forgotten() -> None:
    async def work() -> None:
        async def forgetful() -> str:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            return "done"

        task = asyncio.ensure_future(heeding(forgetful))
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work())


def test_a_cancellation_is_not_forgotten(server: RedisServer) -> None:
    """Ctrl-C comes while a task computes, not while it waits: asyncio tells it at its next wait."""
    for number in range(60):
        store(server.client(), number)

    async def work() -> None:
        async with AsyncFluxClient.from_url(server.url) as client:

            async def follow(stream: Any) -> None:
                count = 0
                async for _ in stream:
                    count += 1
                    if count == 10:
                        current = asyncio.current_task()
                        assert current is not None
                        current.cancel()

            for stream in (client.candles("btcusdt", "1m", after="start"), client.worker("w", "btcusdt", "1m", options=WorkerOptions(10))):
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(asyncio.ensure_future(follow(stream)), 20)

    run(work())
