"""Hands on a cluster of simulated workers: what is lost, doubled, slow or untrue, in virtual time, without Dask."""

import dataclasses
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from fake_clips import FAKE_MAGIC, fake_judge
from simulated_workers import ENDS, HANGS, KILLED, LIES, LOST, TWICE, WELL, SimulatedWorkers

from vgen.cluster.bench import Bench
from vgen.cluster.cluster import TRIES, Cluster
from vgen.cluster.order import Order
from vgen.cluster.pool import SPARE, Address, Pool
from vgen.errors import Refusal
from vgen.inputs.machine import bare_environment
from vgen.media.hands import Bring, Brought, Outcome, Put
from vgen.media.here import Here
from vgen.media.judge import Verdict, Wanted
from vgen.store.takes import copy_take

PAYLOAD = b"x" * 200_000
SHA = hashlib.sha256(PAYLOAD).hexdigest()
HEAD = {"width": 720, "height": 1280, "duration_s": 5, "fps": 24, "payload_sha256": SHA}
CLIP = FAKE_MAGIC + json.dumps(HEAD).encode() + b"\n" + PAYLOAD
HERE, WORKERS = b"here ", b""
WANTED = Wanted(duration_s=5, aspect_ratio="9:16")
KEY = "key_0123456789abcdef"


def fetching(prefix: bytes, data: bytes = CLIP) -> Callable[[Bring], Awaitable[Brought]]:
    """A download whose bytes tell who did it: before the clip's own come those of `prefix`."""

    async def bring(job: Bring) -> Brought:
        await trio.sleep(0.5)
        whole = data + prefix
        job.part.write_bytes(whole)
        digest = hashlib.sha256(whole).hexdigest()
        return Brought(outcome=Outcome.DONE, part=job.part, sha256=digest, size_bytes=len(whole), told=True)

    return bring


class Stage:
    """A pool over simulated workers, hands over it, and what was told."""

    def __init__(self, root: Path, workers: SimulatedWorkers, *, timeout_s: float = 60) -> None:
        self.root, self.workers, self.timeout_s, self.told = root, workers, timeout_s, list[str]()
        (root / ".vgen/parts").mkdir(parents=True)

    def play(self, act: Callable[[Cluster], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with trio.open_nursery() as nursery:
                pool = Pool(
                    Address(url="tcp://127.0.0.1:1"),
                    self.root / ".vgen",
                    "run",
                    ffmpeg="",
                    keys=(KEY,),
                    tell=self.told.append,
                    timeout_s=self.timeout_s,
                    nursery=nursery,
                    opened=self.workers,
                )
                self.pool = pool
                try:
                    await pool.ready()
                    here = Here(judge=fake_judge, bring=fetching(HERE, CLIP[: -len(HERE)]))
                    found = await act(Cluster(pool, here))
                finally:
                    pool.close()
                nursery.cancel_scope.cancel()
            return found

        clock = trio.testing.MockClock(autojump_threshold=0)
        try:
            return trio.run(main, clock=clock)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    def job(self, purchase_id: int = 12) -> Bring:
        part = self.root / f".vgen/parts/{purchase_id}.part"
        return Bring(
            purchase_id=purchase_id, base_url="https://a.example", part=part, wanted=WANTED, url="https://m/?s=1"
        )


def brought(tmp_path: Path, workers: SimulatedWorkers, **options: Any) -> tuple[Stage, Brought]:
    stage = Stage(tmp_path, workers, **options)

    async def act(cluster: Cluster) -> Brought:
        return await cluster.do(stage.job())

    return stage, stage.play(act)


def was_done_here(stage: Stage, found: Brought) -> bool:
    data = (stage.root / ".vgen/parts/12.part").read_bytes()
    assert hashlib.sha256(data).hexdigest() == found.sha256
    assert [path.name for path in stage.root.rglob("*.part")] == ["12.part"]  # nothing else is left
    assert not list(stage.root.rglob("cluster-*"))
    return data.endswith(HERE)


def test_a_worker_brings_and_checks_a_clip_and_its_part_gets_the_jobs_name(tmp_path: Path) -> None:
    stage, found = brought(tmp_path, SimulatedWorkers(bring=fetching(WORKERS)))
    assert not was_done_here(stage, found)
    assert found.judgement is not None
    assert (found.judgement.verdict, found.by[:5], stage.told) == (Verdict.GOOD, "host-", [])


def other(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda facts: facts | {name: value}


def judged(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda facts: facts | {"judgement": facts["judgement"] | {name: value}}


@pytest.mark.parametrize(
    "lie",
    [
        other("part", "../parts/x.part"),
        other("part", "/etc/passwd"),
        other("part", "13.0123456789abcdef.part"),
        other("part", "12.0123456789abcdef.part\n"),
        other("part", "12.0123456789abcdef.part"),
        other("part", None),
        other("size_bytes", len(CLIP) + 1),
        other("size_bytes", -1),
        other("size_bytes", "many"),
        other("sha256", "0" * 64),
        other("sha256", ""),
        other("reason", "x" * 10_000_000),
        other("outcome", "accepted"),
        other("pid", None),
        other("judgement", None),
        other("more", 1),
        judged("verdict", "excellent"),
        judged("facts", {"size_bytes": 5}),
        judged("poster", "../12.jpg"),
        judged("suffix", "/../x"),
        judged("remarks", ["x"] * 1000),
        lambda facts: "",
        lambda facts: "[]",
        lambda facts: '{"outcome": "done"',
    ],
)
def test_what_a_worker_says_untruly_is_refused_and_the_clip_is_brought_here(tmp_path: Path, lie: Any) -> None:
    workers = SimulatedWorkers(bring=fetching(WORKERS), lot=lambda kind, number: LIES, lie=lie)
    stage, found = brought(tmp_path, workers)
    assert was_done_here(stage, found)
    assert len(stage.told) == 1
    assert "not believed" in stage.told[0]
    assert len(stage.told[0]) < 300
    assert found.judgement is None  # so it is checked here


@pytest.mark.parametrize(("verdict", "outcome"), [("bad", "done"), ("damaged", "done"), ("not judged", "done")])
def test_bad_news_of_a_clip_is_looked_into_here(tmp_path: Path, verdict: str, outcome: str) -> None:
    workers = SimulatedWorkers(bring=fetching(WORKERS), lot=lambda *_: LIES, lie=judged("verdict", verdict))
    stage = Stage(tmp_path, workers)

    async def act(cluster: Cluster) -> tuple[Brought, Brought]:
        first = await cluster.do(stage.job())
        return first, await cluster.do(dataclasses.replace(stage.job(), kept=True))

    first, second = stage.play(act)
    assert first.judgement is None
    assert second.judgement is not None
    assert second.judgement.verdict is Verdict.GOOD  # as it is


@pytest.mark.parametrize("figures", [{"width": 1280, "height": 720}, {"duration_s": 1.0}, {"size_bytes": 150_000}])
def test_praise_that_its_own_figures_contradict_is_looked_into_here(tmp_path: Path, figures: dict[str, Any]) -> None:
    def lie(facts: dict[str, Any]) -> dict[str, Any]:
        said = facts["judgement"]
        return facts | {"judgement": said | {"verdict": "good", "facts": said["facts"] | figures}}

    workers = SimulatedWorkers(bring=fetching(WORKERS), lot=lambda *_: LIES, lie=lie)
    _, found = brought(tmp_path, workers)
    assert (found.outcome, found.judgement) == (Outcome.DONE, None)


@pytest.mark.parametrize("outcome", ["blocked", "expired", "gone", "disk", "full", "failed", "not judged"])
def test_a_worker_that_can_not_bring_a_clip_fails_no_shot(tmp_path: Path, outcome: str) -> None:
    def lie(facts: dict[str, Any]) -> dict[str, Any]:
        return {"outcome": outcome, "reason": "No space left on device", "host": "w7", "pid": 1}

    stage, found = brought(tmp_path, SimulatedWorkers(lot=lambda *_: LIES, lie=lie))
    assert was_done_here(stage, found)
    assert [("w7" in line, "write" in line) for line in stage.told] == [(True, True)] * (outcome in ("disk", "full"))


def test_tries_that_break_there_come_to_be_done_here(tmp_path: Path) -> None:
    stage = Stage(tmp_path, SimulatedWorkers())

    async def act(cluster: Cluster) -> list[Outcome]:
        return [(await cluster.do(dataclasses.replace(stage.job(), attempt=n))).outcome for n in (1, 2, 3, 4)]

    assert stage.play(act) == [Outcome.BROKE] * 3 + [Outcome.DONE]


def test_a_lost_job_is_asked_again_under_another_name(tmp_path: Path) -> None:
    fates = iter([LOST, LOST])
    workers = SimulatedWorkers(bring=fetching(WORKERS), lot=lambda *_: next(fates, WELL))
    stage, found = brought(tmp_path, workers)
    assert not was_done_here(stage, found)
    assert stage.told == []
    assert len({one["id"] for one in workers.asked}) == len(workers.asked) == 3


@pytest.mark.parametrize(("fate", "asked"), [(LOST, TRIES), (KILLED, 1), (HANGS, TRIES), (ENDS, 1)])
def test_jobs_that_are_lost_for_good_are_done_here_and_told_once(tmp_path: Path, fate: str, asked: int) -> None:
    workers = SimulatedWorkers(bring=fetching(WORKERS), lot=lambda *_: fate)
    stage = Stage(tmp_path, workers)

    async def act(cluster: Cluster) -> list[Brought]:
        found: list[Brought] = []

        async def one(number: int) -> None:
            found.append(await cluster.do(stage.job(number)))

        async with trio.open_nursery() as nursery:
            for number in range(1, 6):
                nursery.start_soon(one, number)
        return found

    found = stage.play(act)
    assert [one.outcome for one in found] == [Outcome.DONE] * 5
    assert len(workers.asked) == 5 * asked or fate == ENDS
    assert len(stage.told) == 1
    if fate == HANGS:
        assert sorted(workers.dropped) == sorted(one["id"] for one in workers.asked)


def test_of_two_runs_of_one_job_one_part_is_taken_and_the_other_goes(tmp_path: Path) -> None:
    workers = SimulatedWorkers(bring=fetching(WORKERS), lot=lambda *_: TWICE)
    stage, found = brought(tmp_path, workers)
    assert not was_done_here(stage, found)


def test_copies_go_before_downloads_and_few_jobs_are_out(tmp_path: Path) -> None:
    workers = SimulatedWorkers(bring=fetching(WORKERS))
    stage = Stage(tmp_path, workers)
    take = tmp_path / "take.mp4"
    take.write_bytes(CLIP)
    put = Put(take=take, part=tmp_path / "clip.part", sha256=hashlib.sha256(CLIP).hexdigest(), size_bytes=len(CLIP))

    async def act(cluster: Cluster) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(1, 101):
                nursery.start_soon(cluster.do, stage.job(number))
            await trio.sleep(0.1)
            nursery.start_soon(cluster.do, put)

    stage.play(act)
    kinds = [one["kind"] for one in workers.asked]
    assert workers.most_out <= 2 * 4 + SPARE
    assert kinds.index("Put") <= workers.most_out  # next, though 80 downloads wait
    assert workers.asked[kinds.index("Put")]["priority"] > workers.asked[0]["priority"]
    assert (tmp_path / "clip.part").read_bytes() == CLIP


def test_a_job_with_a_key_in_it_is_not_sent(tmp_path: Path) -> None:
    workers = SimulatedWorkers(bring=fetching(WORKERS))
    stage = Stage(tmp_path, workers)

    async def act(cluster: Cluster) -> Brought:
        return await cluster.do(dataclasses.replace(stage.job(), url=f"https://m.example/?k={KEY}"))

    assert was_done_here(stage, stage.play(act))
    assert KEY not in "".join(workers.lines)
    assert workers.asked == []


@pytest.mark.parametrize(
    ("differs", "why"),
    [
        ({"vgen": "0.0.9"}, "has vgen 0.0.9"),
        ({"version": 0}, "has vgen"),
        ({"sees": False}, "mount it at the same path"),
        ({"lacks": "ffmpeg was not found"}, "ffmpeg was not found"),
        ({"sees": "yes"}, "not understood"),
    ],
)
def test_a_worker_that_differs_is_refused_before_anything_is_bought(tmp_path: Path, differs: Any, why: str) -> None:
    stage = Stage(tmp_path, SimulatedWorkers(probe=differs))

    async def never(cluster: Cluster) -> None:
        raise AssertionError

    with pytest.raises(Refusal, match=why) as refused:
        stage.play(never)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.rglob("cluster-*"))


def test_a_cluster_without_workers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="start `dask worker`"):
        brought(tmp_path, SimulatedWorkers(addresses=()))


def test_addresses_of_media_are_in_no_repr() -> None:
    job = Bring(purchase_id=1, base_url="", part=Path("p"), wanted=WANTED, url="https://m.example/?signature=secret")
    assert "secret" not in repr(job)
    assert "secret" not in repr(Order("Bring", "https://m.example/?signature=secret"))


def test_the_child_gets_no_key_under_any_name() -> None:
    kept = {"PATH": "/bin", "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": "ca.pem", "LC_ALL": "C"}
    given = {
        "RUNWAY_API_KEY": KEY,
        "ACME_TOKEN": KEY,
        "VGEN_PROXY": "http://me:secret@p:1",
        "AWS_SECRET_ACCESS_KEY": KEY,
    }
    assert bare_environment(kept | given) == kept


def test_a_worker_waits_for_a_file_that_it_does_not_see_yet(tmp_path: Path) -> None:
    """Attributes of a directory on NFS are some seconds old."""
    take, folder = tmp_path / "take.mp4", tmp_path / "own"
    folder.mkdir()
    bench = Bench(tools=lambda: None, judge=fake_judge, bring=fetching(b""), host="w")  # type: ignore[arg-type, return-value]
    job = {"take": str(take), "part": "-", "sha256": hashlib.sha256(CLIP).hexdigest(), "size_bytes": len(CLIP)}
    order = Order("Put", json.dumps({"job": job, "folder": str(folder), "stem": 3}))

    async def main() -> tuple[Any, Any]:
        async def later() -> None:
            await trio.sleep(2)
            take.write_bytes(CLIP)

        first = await bench.done(order)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(later)
            second = await bench.done(order)
        return first, second

    first, second = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert (first["outcome"], second["outcome"]) == (Outcome.GONE, Outcome.DONE)
    assert [path.name for path in folder.iterdir()] == [second["part"]]


def test_a_part_that_goes_on_is_taken_by_one_run_only(tmp_path: Path) -> None:
    """`resume` is moved, not opened: two runs never write one file."""
    from vgen.production import handwork

    calls = itertools.count()

    class Http:
        def download(self, *args: Any) -> Any:
            next(calls)
            raise handwork.WireError("broke")

    old = tmp_path / "12.0000000000000000.part"
    old.write_bytes(b"half")
    job = Bring(
        purchase_id=12,
        base_url="https://a",
        part=tmp_path / "a",
        wanted=WANTED,
        url="https://m",
        resume=old,
        etag='"e"',
    )

    async def main() -> list[Brought]:
        other = dataclasses.replace(job, part=tmp_path / "b")
        return [await handwork.bring(Http(), job), await handwork.bring(Http(), other)]  # type: ignore[arg-type]

    first, second = trio.run(main)
    assert (first.outcome, second.outcome, next(calls)) == (Outcome.BROKE, Outcome.BROKE, 2)
    assert (first.etag, second.etag) == ('"e"', None)
    assert (tmp_path / "a").read_bytes() == b"half"
    assert not (tmp_path / "b").exists()
    copy_take(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
def test_without_cluster_nothing_of_it_is_imported() -> None:
    code = (
        "import sys, vgen.cli.session, vgen.production.make, vgen.cli.services, vgen.production.handwork;"
        "print([one for one in sys.modules if one.split('.')[0] in ('dask', 'distributed', 'asyncio')"
        " or one.startswith('vgen.cluster')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_head_of_a_cluster_imports_no_dask() -> None:
    """What unpickles is in the child, which has no keys."""
    code = (
        "import sys, vgen.cluster.opened, vgen.cluster.examine, vgen.cli.elsewhere;"
        "print([one for one in sys.modules if one.split('.')[0] in ('dask', 'distributed', 'cloudpickle')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
