"""Who gets which worker, and when one is let go; the workers here are names alone."""

from __future__ import annotations

import asyncio

import pytest
from tasksdk import ReusePolicy
from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.pool import Pool
from tasksdk.engines.worker import NotStartedError


class Named:
    def __init__(self, name: int) -> None:
        self.name = name
        self.alive = True
        self.ended = asyncio.Event()

    async def end(self) -> None:
        self.alive = False
        self.ended.set()


class Factory:
    def __init__(self) -> None:
        self.made: list[Named] = []
        self.refuse = False
        self.may_start = asyncio.Event()
        self.may_start.set()

    async def __call__(self) -> Named:
        if self.refuse:
            raise NotStartedError(Exit(ExitReason.NOT_STARTED, message="no"))
        worker = Named(len(self.made))
        self.made.append(worker)
        await self.may_start.wait()
        return worker


def _pool(factory: Factory, replicas: object = 1, idle_ttl: float = 60) -> Pool:
    return Pool(ReusePolicy(replicas, idle_ttl), factory)  # type: ignore[arg-type] # a double of a worker


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_last_that_was_busy_is_taken_first() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory, (0, 2))
        first, second = await pool.take(), await pool.take()
        await pool.give_back(first)
        await pool.give_back(second)
        assert await pool.take() is second
        assert await pool.take() is first
        await pool.close()

    asyncio.run(story())


def test_no_more_than_the_most_are_started() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory, (1, 2))
        first = await pool.take()
        await pool.take()
        third = asyncio.ensure_future(pool.take())
        await _settled()
        assert not third.done()
        await pool.give_back(first)
        assert await third is first
        assert len(factory.made) == 2
        await pool.close()

    asyncio.run(story())


def test_the_fewest_are_started_with_the_first_and_counted_while_they_start() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory, 2)
        await pool.take()
        factory.may_start.clear()
        await _settled()
        assert len(factory.made) == 2
        second = asyncio.ensure_future(pool.take())
        await _settled()
        factory.may_start.set()
        assert await second is factory.made[1]
        assert len(factory.made) == 2
        await pool.close()

    asyncio.run(story())


def test_one_that_ended_is_replaced() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory)
        first = await pool.take()
        first.alive = False
        await pool.give_back(first)
        assert first.ended.is_set()
        second = await pool.take()
        await pool.give_back(second)
        second.alive = False
        assert (await pool.take()).alive
        await second.ended.wait()
        await pool.close()

    asyncio.run(story())


def test_the_more_go_first_and_the_fewest_when_nobody_calls() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory, (1, 2), 0.05)
        first, second = await pool.take(), await pool.take()
        await pool.give_back(first)
        await asyncio.wait_for(first.ended.wait(), 30)
        assert not second.ended.is_set()
        await pool.give_back(second)
        await asyncio.wait_for(second.ended.wait(), 30)
        await pool.close()

    asyncio.run(story())


def test_a_call_that_gives_up_or_fails_keeps_no_place() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory)
        first = await pool.take()
        waiting = asyncio.ensure_future(pool.take())
        await _settled()
        waiting.cancel()
        await asyncio.wait({waiting})
        first.alive = False
        await pool.give_back(first)
        factory.refuse = True
        for _ in range(2):
            with pytest.raises(NotStartedError, match="no"):
                await pool.take()
        factory.refuse = False
        assert (await pool.take()).alive
        await pool.close()

    asyncio.run(story())


def test_closing_ends_those_that_rest_and_those_that_come_back() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory, 3)
        busy = await pool.take()
        await _settled()
        await pool.close()
        await pool.give_back(busy)
        assert [worker.ended.is_set() for worker in factory.made] == [True] * 3

    asyncio.run(story())


def test_a_place_that_is_lent_is_another_s_meanwhile() -> None:
    async def story() -> None:
        factory = Factory()
        pool = _pool(factory, 1)
        parent = await pool.take()
        waiting = asyncio.ensure_future(pool.take())
        await _settled()
        assert not waiting.done()
        pool.lend(1)
        child = await waiting
        assert child is not parent
        await pool.give_back(child)
        assert await pool.take() is child
        await pool.give_back(child)
        pool.lend(-1)
        further = asyncio.ensure_future(pool.take())
        await _settled()
        assert not further.done()
        await pool.give_back(parent)
        assert await further is child
        assert not parent.alive
        await pool.give_back(child)
        await pool.close()

    asyncio.run(story())
