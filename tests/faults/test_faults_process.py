"""Rows 66 to 71: vgen is interrupted, killed, cut from its power, or has a bug of its own."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_clips import fake_judge
from faults.scripted import RUNWAY_USD, Forward, ScriptedStudio, When
from studio import Crash, CrashAt, shots
from workshop import Project, Server
from workshop import shots as real_shots

from vgen.media.judge import Judgement, Verdict, Wanted
from vgen.simulator.web import Request, Response
from vgen.store import failpoints

pytestmark = pytest.mark.slow

NewStudio = Callable[..., ScriptedStudio]
SIGNALS = pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def two_shots(new_studio: NewStudio, *faults: str) -> ScriptedStudio:
    studio = new_studio(seed=7)
    studio.write_shots(shots(2))
    studio.configure(run={"budget_usd": 20}, runway={"poll_interval_s": 12}, pika={"poll_interval_s": 12})
    studio.faults(*faults, render_s=10)
    return studio


def points(new_studio: NewStudio) -> list[str]:
    """The names of all durable points of a whole run, in order."""
    hook = CrashAt(names=[])
    with failpoints.hooked(hook):
        assert two_shots(new_studio).doit() == 0
    assert hook.names
    return hook.names


def assert_bought_once_each(studio: ScriptedStudio) -> None:
    """After a calm run: every shot has its clip, or is held as uncertain; never two jobs for one shot."""
    studio.pass_time(500)
    studio.check_money()
    prompts = [job["prompt"] for job in studio.jobs()]
    assert len(set(prompts)) == len(prompts)
    held = {row["shot_number"] for row in studio.rows() if row["state"] == "uncertain"}
    assert {entry["shot_number"] for entry in studio.clips() if not entry["success"]} == held
    assert not [row for row in studio.rows() if row["state"] in ("reserved", "submitting", "not_sent")]


# ── Ctrl-C ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@posix
@SIGNALS
def test_fault_066_an_interrupted_run_tells_what_stays_and_the_next_one_collects_it(
    studio: ScriptedStudio, signum: signal.Signals, code: int
) -> None:
    async def interrupt(request: Request, forward: Forward) -> Response | None:
        signal.raise_signal(signum)
        return None

    studio.on("poll", interrupt, times=1)
    assert studio.doit("max_concurrent=2", "budget_usd=9") == code
    assert (studio.creates(), studio.booked()) == (2, (0, 1.2, 0))
    assert studio.report()["run"]["interrupted"] is True
    assert studio.report()["budget"]["reserved_usd"] == 1.2
    assert studio.doit("budget_usd=9") == 0
    assert (studio.creates(), studio.booked()) == (3, (1.8, 0, 0))


@posix
def test_fault_066_an_order_under_way_is_waited_for_before_the_run_ends(studio: ScriptedStudio) -> None:
    async def interrupt(request: Request, forward: Forward) -> Response | None:
        signal.raise_signal(signal.SIGINT)
        return None

    studio.on("create", interrupt, times=1)
    assert studio.doit("max_concurrent=1") == 130
    assert (studio.creates(), studio.states(), studio.booked()) == (1, ["rendering"], (0, RUNWAY_USD, 0))
    assert studio.rows()[0]["job_id"] == studio.jobs()[0]["id"]


@pytest.fixture
def mortal() -> Iterator[None]:
    """A SIGTERM that vgen does not catch ends the run as it would end the process, but not these tests."""

    def die(signum: int, frame: object) -> None:
        raise Crash(signum)

    before = signal.signal(signal.SIGTERM, die)
    yield
    signal.signal(signal.SIGTERM, before)


@posix
def test_fault_066_a_signal_at_any_moment_loses_nothing(new_studio: NewStudio, mortal: None) -> None:
    names = points(new_studio)
    for k in range(1, len(names), 6):
        name, when = names[k].split(" ")
        before = names[: k + 1].count(names[k])
        studio = two_shots(new_studio)
        hook = When(name, when, lambda: signal.raise_signal(signal.SIGTERM), k=before)
        with failpoints.hooked(hook), contextlib.suppress(Crash):
            assert studio.doit() in (0, 143)
        assert hook.seen >= before
        assert studio.doit() == 0
        assert "uncertain" not in studio.states()
        assert_bought_once_each(studio)


# ── kill -9, and the plug ─────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_067_a_kill_after_any_write_buys_nothing_twice(new_studio: NewStudio) -> None:
    for k in range(2, len(points(new_studio)) + 1, 5):
        studio = two_shots(new_studio)
        studio.crash(k)
        studio.doit()
        assert_bought_once_each(studio)


def test_fault_067_a_kill_between_the_answer_and_its_commit_is_booked_by_the_next_run(new_studio: NewStudio) -> None:
    k = points(new_studio).index("ledger.move.rendering before") + 1
    studio = two_shots(new_studio)
    studio.crash(k)
    assert studio.doit() == 0
    assert "uncertain" not in studio.states()
    assert_bought_once_each(studio)


SYNCED_BY = {"part.fsync": "parts", "clip.fsync": "clips"}
"""Durable point → the directory whose files are on the disk after it."""


class PowerCut(CrashAt):
    """Killed, and files lose all that was not synced by then."""

    def __init__(self, root: Path, k: float) -> None:
        super().__init__(k)
        self._root = root
        self._safe: set[tuple[int, int]] = set()

    def __call__(self, name: str, when: str) -> None:
        if when == "after" and name in SYNCED_BY:
            kind = SYNCED_BY[name]
            self._safe |= {(path.stat().st_ino, path.stat().st_size) for path in self._files() if kind in path.parts}
        try:
            super().__call__(name, when)
        except Crash:
            for path in self._files():
                if (path.stat().st_ino, path.stat().st_size) not in self._safe:
                    mode = path.stat().st_mode
                    path.chmod(0o644)
                    os.truncate(path, path.stat().st_size // 3)
                    path.chmod(mode)
            raise

    def _files(self) -> list[Path]:
        return [path for path in self._root.rglob("*") if path.suffix in (".part", ".mp4") and path.is_file()]


def test_fault_068_a_power_cut_at_any_moment_leaves_no_half_clip_under_a_name(new_studio: NewStudio) -> None:
    for k in range(1, len(points(new_studio)) + 1, 5):
        studio = two_shots(new_studio)
        with failpoints.hooked(PowerCut(studio.outputs, k)), contextlib.suppress(Crash):
            studio.doit()
        for number in (1, 2):
            assert not studio.clip(number).exists() or studio.clip(number).stat().st_size == 150_000
        studio.doit()
        assert_bought_once_each(studio)
        studio.check_clips()


def test_fault_068_bytes_are_synced_before_they_get_a_name_and_named_before_they_are_booked(
    new_studio: NewStudio,
) -> None:
    names = points(new_studio)
    wanted = [
        "ledger.reserve after", "ledger.move.submitting after", "ledger.move.rendering after",
        "ledger.move.rendered after", "part.fsync after", "ledger.move.fetched after", "take.link after",
        "ledger.move.accepted after", "clip.fsync after", "clip.replace after", "ledger.place after",
    ]  # fmt: skip
    places = [names.index(name) for name in wanted]
    assert places == sorted(places)


def test_fault_069_an_ffprobe_that_the_system_kills_says_nothing_about_the_clip(one: ScriptedStudio) -> None:
    async def killed(path: Path, wanted: Wanted) -> Judgement:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason="ffprobe died (SIGKILL)")

    one.judge = killed
    assert one.doit() == 1
    assert "SIGKILL" in one.errors()[0]
    one.judge = fake_judge
    assert one.doit() == 0
    assert (one.creates(), one.booked()) == (1, (RUNWAY_USD, 0, 0))


def test_fault_069_a_vgen_that_the_system_kills_is_carried_on_by_the_next_run(tmp_path: Path) -> None:
    server = Server(tmp_path, "--queue-s", "0", "--render-s", "0.5")
    project = Project(tmp_path / "project")
    try:
        server.hold()
        project.buys_at(server)
        project.write_shots(real_shots(2))
        started = project.start()
        started.says("rendering at", times=2)
        started.kill()
        server.release()
        code, said = project.doit()
        assert code == 0, said
        assert server.charges()["creates"] == 2
        project.assert_money_is_true(server)
        project.assert_report_is_true()
    finally:
        project.close()
        server.stop()
    assert not list(project.leaks())


# ── a bug, a closed terminal ──────────────────────────────────────────────────────────────────────────────────────────


def test_fault_070_a_bug_in_one_clip_does_not_stop_the_others(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    async def buggy(path: Path, wanted: Wanted) -> Judgement:
        if b"shot-2 " in path.read_bytes():
            raise RuntimeError("planted")
        return await fake_judge(path, wanted)

    studio.judge = buggy
    assert studio.doit() == 2
    assert studio.successes() == [True, False, True]
    assert (studio.creates(), studio.booked()) == (3, (1.8, 0, 0))
    said = capfd.readouterr()
    assert "vgencanary" not in said.out + said.err
    studio.judge = fake_judge
    assert studio.doit() == 0
    assert studio.creates() == 3


class Broken(io.TextIOBase):
    """The reader has left."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [Broken(), None], ids=["broken pipe", "no stream"])
def test_fault_071_a_terminal_that_is_gone_ends_neither_the_run_nor_its_report(
    studio: ScriptedStudio, monkeypatch: pytest.MonkeyPatch, stream: io.TextIOBase | None
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert studio.doit() == 0
    assert studio.successes() == [True] * 3
    assert (studio.creates(), studio.booked()) == (3, (1.8, 0, 0))
