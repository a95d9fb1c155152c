"""The child that speaks with Dask: what it asks of a client, and what it tells the head. The client is a stand-in."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra vgen[cluster] is not installed")

from distributed import KilledWorker

from vgen.cluster import child
from vgen.cluster.child import Child

ONE, TWO = "tls://one:1", "tls://two:1"
HELLO = {"probe": "{}", "prefix": "abc"}


class Future:
    def __init__(self, outcome: Any) -> None:
        self._outcome, self.released, self.cancelled = outcome, False, False

    async def result(self) -> Any:
        if self._outcome is None:
            await asyncio.Event().wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def release(self) -> None:
        self.released = True

    async def cancel(self) -> None:
        self.cancelled = True


class Client:
    """Of Dask's, what the child uses."""

    def __init__(self) -> None:
        self.outcome: Any = '{"size_bytes": 5}'
        self.futures: list[Future] = []
        self.asked: list[dict[str, Any]] = []
        self.questions = 0

    def submit(self, act: Callable[..., Any], order: Any, **how: Any) -> Future:
        self.asked.append({"act": act, "order": order, **how})
        self.futures.append(Future(self.outcome))
        return self.futures[-1]

    async def who_has(self, futures: Any) -> Any:
        self.questions += 1
        assert not futures[0].released
        return {self.asked[-1]["key"]: (TWO,)}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(child, "tell", lambda **message: found.append(message))
    monkeypatch.setattr(child, "HELD_S", 0)
    return found


def played(client: Client, act: Callable[[Child], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        one = Child(client, HELLO)
        for address in (ONE, TWO):
            one.heard({"op": "use", "address": address})
        await act(one)
        await asyncio.sleep(0)

    asyncio.run(main())


async def soon(one: Child, **message: Any) -> None:
    one.heard(
        {"op": "do", "id": 7, "kind": "Bring", "said": "secret", "priority": -3, "where": 0, "avoid": ""} | message
    )
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_finished_job_is_let_go_soon(told: list[dict[str, Any]]) -> None:
    """A future that is held is computed again when its worker dies: the file would be written twice."""
    client = Client()
    played(client, soon)
    assert told == [{"ev": "done", "id": 7, "facts": client.outcome, "worker": ""}]
    assert [one.released for one in client.futures] == [True]


def test_the_next_job_takes_along_what_is_to_be_let_go(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "HELD_S", 600)
    client = Client()

    async def two(one: Child) -> None:
        await soon(one)
        assert not client.futures[0].released
        await soon(one, id=8)

    played(client, two)
    assert [one.released for one in client.futures] == [True, False]


def test_a_job_is_a_modules_function_under_a_key_of_its_own(told: list[dict[str, Any]]) -> None:
    client = Client()

    async def twice(one: Child) -> None:
        await soon(one)
        await soon(one, id=8)

    played(client, twice)
    first, second = client.asked
    assert (first["key"], second["key"]) == ("vgen-bring-abc-7", "vgen-bring-abc-8")
    assert (first["pure"], first["priority"], first["workers"]) == (False, -3, [ONE, TWO])
    assert first["act"].__qualname__ == "act"
    assert "secret" not in repr(first["order"])


@pytest.mark.parametrize(("size", "asks"), [(5, 0), (6, 1), ("x", 0)])
def test_only_of_a_big_file_it_is_asked_who_made_it(told: list[dict[str, Any]], size: Any, asks: int) -> None:
    client = Client()
    client.outcome = json.dumps({"size_bytes": size})
    played(client, lambda one: soon(one, where=5))
    assert (client.questions, told[0]["worker"]) == (asks, TWO if asks else "")


@pytest.mark.parametrize(
    ("error", "killed"), [(KilledWorker("a", None, 1), True), (RuntimeError("signature=s"), False)]
)
def test_an_error_is_a_lost_job_told_by_its_name_alone(
    told: list[dict[str, Any]], error: Exception, killed: bool
) -> None:
    client = Client()
    client.outcome = error
    played(client, soon)
    assert told == [{"ev": "lost", "id": 7, "why": type(error).__name__, "killed": killed}]
    assert client.futures[0].released


@pytest.mark.parametrize("answer", ["x" * ((1 << 16) + 1), b"bytes", {"outcome": "done"}])
def test_an_answer_of_another_kind_or_length_is_none(told: list[dict[str, Any]], answer: Any) -> None:
    client = Client()
    client.outcome = answer
    played(client, soon)
    assert told[0]["facts"] == ""


def test_a_job_whose_workers_are_gone_or_silent_is_lost_and_given_up(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, now = Client(), [100.0]
    client.outcome = None
    monkeypatch.setattr(child.time, "monotonic", lambda: now[0])

    async def act(one: Child) -> None:
        seen = {address: {"last_seen": 1.0, "nthreads": 1} for address in (ONE, TWO)}
        one._compare(seen)
        await soon(one)
        one._compare({TWO: seen[TWO]})
        assert not [one for one in told if one["ev"] == "lost"]  # another may do it
        now[0] += child.SILENT_S + 1
        one._compare({TWO: seen[TWO]})
        await asyncio.sleep(0)

    played(client, act)
    assert [(one["address"], one["silent"]) for one in told if one["ev"] == "gone"] == [(ONE, False), (TWO, True)]
    assert [one["id"] for one in told if one["ev"] == "lost"] == [7]
    job = next(k for k, one in enumerate(client.asked) if one["key"] == "vgen-bring-abc-7")
    assert client.futures[job].cancelled


def test_a_job_that_the_head_drops_is_cancelled_and_not_told_of(told: list[dict[str, Any]]) -> None:
    client = Client()
    client.outcome = None

    async def act(one: Child) -> None:
        await soon(one)
        one.heard({"op": "drop", "id": 7})
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    played(client, act)
    assert told == []
    assert client.futures[0].cancelled


def test_a_job_may_avoid_a_worker_if_there_are_others(told: list[dict[str, Any]]) -> None:
    client = Client()
    played(client, lambda one: soon(one, avoid=ONE))
    assert client.asked[0]["workers"] == [TWO]
