"""Rows 91 to 99: the ledger is older than the world, and answers that it could not take."""

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.scripted import ONLY_PIKA, ONLY_RUNWAY, RUNWAY_USD, Forward, ScriptedStudio, When, disk_full
from killed import kill_in_a_commit, kill_in_the_making
from studio import Crash, shots

from vgen.simulator.web import Request, Response
from vgen.store import failpoints, freshness, mark, order_slips
from vgen.store.outputs import Outputs

pytestmark = pytest.mark.slow

PAID = (RUNWAY_USD, 0, 0)


def ledger(studio: ScriptedStudio) -> Path:
    return studio.outputs / "ledger.db"


def refused(studio: ScriptedStudio, capfd: pytest.CaptureFixture[str], *words: str) -> None:
    """A build and a plan end with 3 and these words; nobody is asked for anything."""
    before = len(studio.heard)
    for command in ((), ("plan",)):
        capfd.readouterr()
        assert studio.doit(*command) == 3
        said = capfd.readouterr()
        assert all(word in said.err for word in (*words, "doit recover")), said.err
        assert "Traceback" not in said.err
    assert len(studio.heard) == before


# ── 91 to 95: the ledger is older than the world ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mark_too", [False, True], ids=["with its mark", "without a mark"])
def test_fault_091_a_ledger_of_yesterday_beside_takes_of_today_means_no_order(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str], mark_too: bool
) -> None:
    studio.write_shots(shots(1))
    assert studio.doit("budget_usd=1.50") == 0
    yesterday = ledger(studio).read_bytes()
    studio.write_shots(shots(2))
    assert studio.doit("budget_usd=1.50") == 0
    ledger(studio).write_bytes(yesterday)
    if mark_too:
        shutil.rmtree(studio.outputs / ".vgen")
    studio.write_shots(shots(3))
    refused(studio, capfd, "older")
    assert studio.doit("audit") == 1
    assert "does not know" in capfd.readouterr().out
    assert studio.doit("recover") == 0
    assert "purchase 2: shot 2, $0.60 at runway: take 1" in capfd.readouterr().out
    assert studio.booked() == (1.2, 0, 0), "the cap holds again"
    assert studio.doit("budget_usd=1.50") == 3
    assert studio.doit("budget_usd=2") == 0
    assert (studio.creates(), studio.booked(), studio.successes()) == (3, (1.8, 0, 0), [True] * 3)
    assert studio.doit("audit") == 0


def test_fault_091_a_second_take_that_the_ledger_forgot_is_missed(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert one.doit() == 0
    earlier = ledger(one).read_bytes()
    assert one.doit("-a", "clip:1") == 0
    ledger(one).write_bytes(earlier)
    refused(one, capfd, "it ends with purchase 1, and purchase 2 was made")
    assert one.doit("recover") == 0
    assert one.doit() == 0
    assert (one.creates(), one.booked(), one.successes()) == (2, (2 * RUNWAY_USD, 0, 0), [True])
    assert one.clip(1).read_bytes() == one.takes("take_002.mp4")[0].read_bytes()


def test_fault_091_a_ledger_from_the_middle_of_an_order_does_not_release_it(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = []
    with failpoints.hooked(When("ledger.move.submitting", "before", lambda: kept.append(ledger(one).read_bytes()))):
        assert one.doit() == 0
    ledger(one).write_bytes(kept[0])
    refused(one, capfd, "moves too early")
    assert one.doit("recover") == 0
    assert one.doit() == 0
    assert (one.creates(), one.booked(), one.successes()) == (1, PAID, [True])


def test_fault_091_receipts_of_both_worlds_stay_apart(
    new_studio: Callable[..., ScriptedStudio], capfd: pytest.CaptureFixture[str]
) -> None:
    studio = new_studio()
    studio.write_shots(shots(1))
    assert studio.doit("mode=simulate") == 0
    assert studio.doit() == 0
    ledger(studio).unlink()
    refused(studio, capfd, "gone")
    assert studio.doit("recover") == 0
    assert [(row["simulated"], row["state"]) for row in studio.rows()] == [(1, "accepted"), (0, "accepted")]
    assert studio.rows("SELECT spent FROM budget WHERE simulated = 0")[0]["spent"] == 600_000
    bought = studio.bought()
    assert studio.doit() == 0
    assert studio.bought() == bought
    studio.lines_of_credit = 1


def test_fault_091_receipts_of_the_first_version_are_enough(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert one.doit() == 0
    for path in one.takes("*.json"):
        told = json.loads(path.read_text("utf-8"))
        for name in ("version", "ledger", "purchase", "take"):
            del told[name]
        path.write_text(json.dumps(told), "utf-8")
    ledger(one).unlink()
    shutil.rmtree(one.outputs / ".vgen")
    (one.outputs / "vgen.log").unlink()
    refused(one, capfd, "gone")
    assert one.doit("recover") == 0
    assert one.doit() == 0
    assert (one.creates(), one.booked(), one.successes()) == (1, PAID, [True])


@pytest.mark.parametrize("only", [ONLY_RUNWAY, ONLY_PIKA])
def test_fault_092_a_ledger_that_is_deleted_while_jobs_run_is_not_begun_anew(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str], only: tuple[str, ...]
) -> None:
    studio.new_cloud(render_s=500)
    studio.doit(*only, "clip_timeout_s=30")
    assert studio.states() == ["rendering"] * 3
    held = studio.booked()
    ledger(studio).unlink()
    refused(studio, capfd, "gone", "3 purchases")
    studio.pass_time(1000)
    assert studio.doit("recover", *only) == 0
    assert capfd.readouterr().out.count("perhaps running; the next run collects it, free") == 3
    assert studio.booked() == held
    assert studio.doit(*only) == 0
    assert (studio.creates(), studio.booked()) == (3, (held[1], 0, 0))


@pytest.mark.parametrize("only", [ONLY_RUNWAY, ONLY_PIKA])
def test_fault_092_a_rebuilt_ledger_can_be_audited(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str], only: tuple[str, ...]
) -> None:
    """Receipts name no addresses of jobs: they have their usual ones."""
    assert studio.doit(*only) == 0
    ledger(studio).unlink()
    assert studio.doit("recover", *only) == 0
    asked = len(studio.asked("poll"))
    capfd.readouterr()
    assert studio.doit("audit", *only) == 0
    assert "all figures add up" in capfd.readouterr().out
    assert len(studio.asked("poll")) >= asked + 3


def test_fault_092_an_order_without_a_known_answer_holds_its_shot_after_the_loss(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.faults("create_lost=1")
    assert one.doit(*ONLY_RUNWAY) == 1
    ledger(one).unlink()
    refused(one, capfd, "gone")
    assert one.doit("recover", *ONLY_RUNWAY) == 0
    assert "doit settle shot=1" in capfd.readouterr().out
    assert one.booked() == (0, 0, RUNWAY_USD)
    one.calm()
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.creates() == 1


def test_fault_092_what_neither_receipt_nor_log_tells_is_told(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.new_cloud(render_s=500)
    one.doit("clip_timeout_s=30")
    ledger(one).unlink()
    (one.outputs / "vgen.log").unlink()
    refused(one, capfd, "gone", "1 purchases")
    one.doit("recover")
    assert "purchase 1: neither a receipt nor vgen.log tells of it" in capfd.readouterr().out
    one.clouds.clear()  # the books can't be right any more, and that was said


def test_fault_092_a_ledger_that_never_bought_anything_may_go(one: ScriptedStudio) -> None:
    one.faults("connect_refused=1")
    one.write_shots(shots(1))
    assert one.doit("plan") == 0
    assert not ledger(one).exists()
    one.calm()
    assert one.doit() == 0


def test_fault_093_the_ledger_of_another_production_is_not_used(
    new_studio: Callable[..., ScriptedStudio], capfd: pytest.CaptureFixture[str]
) -> None:
    other, mine = new_studio(), new_studio()
    os.chdir(other.root)
    other.doit()
    os.chdir(mine.root)
    mine.write_shots(shots(1))
    assert mine.doit() == 0
    shutil.copy(ledger(other), ledger(mine))
    mine.clip(1).unlink()
    refused(mine, capfd, "another production")
    assert mine.doit("recover") == 0
    assert mine.doit() == 0
    assert (mine.creates(), mine.booked(), mine.successes()) == (1, PAID, [True])
    assert (mine.outputs / "ledger.unfit-1.db").exists(), "nothing is deleted"


def test_fault_093_a_ledger_put_back_beside_the_journal_of_a_later_one_is_not_used(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.write_shots(shots(1))
    assert studio.doit() == 0
    yesterday = ledger(studio).read_bytes()
    studio.write_shots(shots(3))
    assert studio.doit() == 0
    kill_in_a_commit(ledger(studio))
    ledger(studio).write_bytes(yesterday)
    refused(studio, capfd)
    assert studio.doit("recover") == 0
    assert studio.doit() == 0
    assert (studio.creates(), studio.booked(), studio.successes()) == (3, (1.8, 0, 0), [True] * 3)


def test_fault_093_a_run_killed_when_it_made_the_ledger_left_no_other_state_of_it(
    studio: ScriptedStudio, tmp_path: Path
) -> None:
    studio.outputs.mkdir(exist_ok=True)
    kill_in_the_making(ledger(studio))
    assert studio.doit("plan") == 0
    assert studio.doit() == 0
    assert (studio.creates(), studio.successes()) == (3, [True] * 3)
    kill_in_the_making(other := tmp_path / "ledger.db")
    shutil.copy(ledger(studio), other)
    assert freshness.foreign_journal(other), "by now more than the schema is in it"


def test_fault_094_a_damaged_page_is_found_before_anything_is_bought(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert studio.doit() == 0
    data = bytearray(ledger(studio).read_bytes())
    with contextlib.closing(sqlite3.connect(ledger(studio))) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'moves'").fetchone()[0]
    data[(root - 1) * size : root * size] = b"\x07" * size
    ledger(studio).write_bytes(data)
    studio.write_shots(shots(4))
    refused(studio, capfd, "ledger.db")
    assert studio.doit("recover") == 0
    assert studio.doit("budget_usd=9") == 0
    assert (studio.creates(), studio.booked()) == (4, (2.4, 0, 0))


def test_fault_095_takes_that_the_ledger_does_not_know_are_told_by_audit(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert one.doit() == 0
    take = one.takes()[0]
    shutil.copy(take, take.with_name("take_009.mp4"))
    capfd.readouterr()
    assert one.doit("audit") == 1
    assert "take_009.mp4: a take that the ledger does not know" in capfd.readouterr().out
    take.with_name("take_009.mp4").unlink()


def test_fault_095_a_ledger_without_a_mark_gets_one_and_a_torn_mark_is_none(one: ScriptedStudio) -> None:
    assert one.doit() == 0
    path = Outputs(one.outputs).mark
    whole = mark.read(path)
    assert whole is not None
    for damage in (None, b"", b'{"ledger": "x", "pur', b"\0" * 256):
        path.unlink() if damage is None else path.write_bytes(damage)
        assert one.doit("-a", "report") == 0
        assert mark.read(path) == whole


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["reserve", "move.submitting", "move.rendering", "move.accepted"])
def test_fault_095_a_kill_between_commit_and_mark_never_makes_a_good_ledger_look_old(
    one: ScriptedStudio, name: str, when: str
) -> None:
    def die() -> None:
        raise Crash

    with failpoints.hooked(When(f"ledger.{name}", when, die)), contextlib.suppress(Crash):
        one.doit(*ONLY_PIKA)
    freshness.refuse_unfit(Outputs(one.outputs), thorough=True)
    one.pass_time(5000)
    one.doit(*ONLY_PIKA)
    assert one.bought() <= 1 or when == "before"


# ── 96 to 99: an answer that could not be written ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["reserve", "move.submitting", "move.rendering", "move.rendered", "move.accepted"])
def test_fault_096_who_reads_the_ledger_for_an_hour_holds_a_run_up_and_makes_nothing_uncertain(
    studio: ScriptedStudio, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A real reader with a real lock; it goes when an hour of the run's time has passed."""
    monkeypatch.setattr("vgen.store.database.BUSY_IN_A_RUN_S", 0.0)
    readers: list[sqlite3.Connection] = []
    until: list[float] = []

    def read() -> None:
        readers.append(sqlite3.connect(ledger(studio), isolation_level=None))
        readers[0].execute("BEGIN")
        readers[0].execute("SELECT count(*) FROM purchases").fetchone()
        until.append(studio.clock.current_time() + 3600)

    come = When(f"ledger.{name}", "before", read)

    def hook(act: str, when: str) -> None:
        come(act, when)
        if until and studio.clock.current_time() > until[0]:
            readers[0].close()

    with failpoints.hooked(hook):
        assert studio.doit(*ONLY_RUNWAY) == 0
    assert studio.clock.current_time() > 3600
    assert studio.said("another program has ledger.db open")
    assert (studio.creates(), studio.booked(), studio.successes()) == (3, (1.8, 0, 0), [True] * 3)
    assert not studio.said("UNCERTAIN")


@pytest.mark.parametrize("only", [ONLY_RUNWAY, ONLY_PIKA])
def test_fault_097_an_answer_that_never_got_into_the_ledger_is_booked_by_the_next_run(
    studio: ScriptedStudio, only: tuple[str, ...]
) -> None:
    """The disk is full, and after a minute somebody presses Ctrl-C twice."""
    full = disk_full("ledger.move.rendering")

    def hook(name: str, when: str) -> None:
        if full.seen > 20:
            raise Crash
        full(name, when)

    with failpoints.hooked(hook), contextlib.suppress(Crash):
        studio.doit(*only)
    assert studio.bought() == (1 if only is ONLY_RUNWAY else 3), "where a provider quotes, the first order goes alone"
    assert studio.doit(*only) == 0
    assert studio.bought() == 3
    assert studio.booked()[1:] == (0, 0)
    assert not order_slips.read(Outputs(studio.outputs).slips)


@pytest.mark.parametrize("act", ["create_500", "create_429", "connect_refused", "create_lost"])
def test_fault_097_any_other_answer_survives_a_full_ledger_too(one: ScriptedStudio, act: str) -> None:
    one.faults(f"{act}=first:1")
    before = {"create_500": "refused", "create_429": "refused", "connect_refused": "not_sent"}
    full = disk_full(f"ledger.move.{before.get(act, 'uncertain')}")

    def hook(name: str, when: str) -> None:
        if full.seen > 20:
            raise Crash
        full(name, when)

    with failpoints.hooked(hook), contextlib.suppress(Crash):
        one.doit(*ONLY_RUNWAY)
    assert one.doit("plan", *ONLY_RUNWAY) == 0
    one.doit("-s", "report", *ONLY_RUNWAY)
    state = {"connect_refused": "released", "create_lost": "uncertain"}.get(act, "refused")
    assert one.states() == [state]
    assert "killed" not in (one.rows()[0]["error"] or "")


def test_fault_097_no_room_for_an_answer_means_no_order(one: ScriptedStudio) -> None:
    with failpoints.hooked(disk_full("orders.allocate")):
        assert one.doit() == 1
    assert "could not be kept" in one.errors()[0]
    assert (one.creates(), one.states()) == (0, ["released"])
    assert one.doit() == 0
    assert (one.creates(), one.booked()) == (1, PAID)


def test_fault_098_a_folder_that_is_moved_while_an_order_is_on_the_wire_keeps_its_answer(
    one: ScriptedStudio, tmp_path: Path
) -> None:
    elsewhere = one.root / "moved"

    async def move(request: Request, forward: Forward) -> Response | None:
        answer = await forward()
        one.outputs.rename(elsewhere)
        return answer

    one.on("create", move, times=1)
    with contextlib.suppress(Crash):
        _killed_when_it_waits(one)
    elsewhere.rename(one.outputs)
    one.off()
    assert one.doit() == 0
    assert (one.creates(), one.booked(), one.successes()) == (1, PAID, [True])


def _killed_when_it_waits(studio: ScriptedStudio) -> None:
    """A run that somebody ends with Ctrl-C twice when it says that it can't write."""
    tell = studio._tell

    def told(record: dict[str, object]) -> None:
        tell(record)
        if record["event"] == "unwritten":
            raise Crash

    studio._tell = told  # type: ignore[method-assign]
    try:
        studio.doit()
    finally:
        studio._tell = tell  # type: ignore[method-assign]


def test_fault_099_without_a_file_descriptor_nothing_is_sent_and_the_run_waits(
    one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    dup, tries = os.dup, [0]

    def scarce(fd: int) -> int:
        tries[0] += 1
        if tries[0] < 10:
            assert not one.creates()
            raise OSError(24, "Too many open files")
        return dup(fd)

    monkeypatch.setattr(order_slips.os, "dup", scarce)
    assert one.doit() == 0
    assert one.said("Too many open files")
    assert (one.creates(), one.booked(), one.successes()) == (1, PAID, [True])
