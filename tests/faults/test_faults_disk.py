"""Rows 56 to 65: the disk is full, breaks, vanishes, or holds what vgen did not put there."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fake_clips import fake_clip
from faults.scripted import ONLY_RUNWAY, RUNWAY_USD, Forward, ScriptedStudio, disk_broken, disk_full
from studio import shots

from vgen.simulator.web import Request, Response
from vgen.store import failpoints

pytestmark = pytest.mark.slow

PAID = (RUNWAY_USD, 0, 0)
SERIAL = ("max_concurrent=1", *ONLY_RUNWAY)


def test_fault_056_a_ledger_that_is_full_before_an_order_means_no_order(studio: ScriptedStudio) -> None:
    with failpoints.hooked(disk_full("ledger.reserve")):
        assert studio.doit() == 1
    assert (studio.creates(), studio.booked()) == (0, (0, 0, 0))
    assert all("full" in (error or "") for error in studio.errors()[:1])
    assert studio.doit() == 0
    assert (studio.creates(), studio.booked()) == (3, (1.8, 0, 0))


def test_fault_056_a_ledger_that_is_full_just_before_sending_means_no_order(studio: ScriptedStudio) -> None:
    with failpoints.hooked(disk_full("ledger.move.submitting")):
        assert studio.doit() == 1
    assert studio.creates() == 0
    assert studio.doit() == 0
    assert (studio.creates(), studio.booked()) == (3, (1.8, 0, 0))


def test_fault_057_a_ledger_that_is_full_after_an_order_is_tried_until_it_works(studio: ScriptedStudio) -> None:
    with failpoints.hooked(disk_full("ledger.move.rendering", times=50)):
        assert studio.doit(*SERIAL) == 1
    assert (studio.creates(), studio.bought()) == (1, 1), "nothing more is bought"
    job = studio.jobs()[0]["id"]
    assert studio.said(f"BOUGHT as job {job}, but not written down yet")
    assert job in (studio.outputs / "vgen.log").read_text("utf-8")
    assert studio.booked() == (RUNWAY_USD, 0, 0)
    assert studio.successes()[0]
    assert studio.doit(*SERIAL) == 0
    assert (studio.creates(), studio.booked()) == (3, (1.8, 0, 0))


def test_fault_058_a_disk_that_fills_up_during_a_download_stops_orders_and_keeps_the_clip(
    studio: ScriptedStudio,
) -> None:
    with failpoints.hooked(disk_full("part.fsync")):
        assert studio.doit(*SERIAL, "partial=yes", "budget_usd=9") == 1
    assert studio.creates() < 3, "what can't be stored is not bought"
    assert set(studio.states()) == {"rendered"}
    assert studio.booked() == (round(RUNWAY_USD * studio.creates(), 6), 0, 0)
    assert "disk is full" in studio.errors()[0]
    assert "paid" in studio.errors()[0]
    assert not list((studio.outputs / ".vgen" / "parts").iterdir())
    assert studio.doit(*ONLY_RUNWAY) == 0
    assert (studio.creates(), studio.booked()) == (3, (1.8, 0, 0))


@pytest.mark.parametrize("act", ["part.fsync", "take.link", "clip.fsync", "clip.replace"])
def test_fault_059_a_device_error_is_never_taken_for_a_written_file(one: ScriptedStudio, act: str) -> None:
    with failpoints.hooked(disk_broken(act, times=1)):
        one.doit()
    one.doit()
    assert (one.creates(), one.booked(), one.successes()) == (1, PAID, [True])
    one.check_clips()


def test_fault_059_a_device_that_stays_broken_is_told_and_buys_nothing_twice(one: ScriptedStudio) -> None:
    with failpoints.hooked(disk_broken("part.fsync")):
        assert one.doit() == 1
    assert "Input/output error" in one.errors()[0]
    assert (one.creates(), one.booked()) == (1, PAID)
    assert one.doit() == 0
    assert (one.creates(), one.booked()) == (1, PAID)


def test_fault_060_outputs_that_can_not_be_written_mean_no_order(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.outputs.write_text("in the way", "utf-8")
    assert one.doit() == 3
    assert "outputs=DIR" in capfd.readouterr().err
    assert one.creates() == 0
    one.outputs.unlink()


@pytest.mark.parametrize("what", ["clips", "takes", ".vgen/parts"])
def test_fault_060_directories_that_vanish_in_the_middle_cost_nothing_more(one: ScriptedStudio, what: str) -> None:
    async def vanish(request: Request, forward: Forward) -> Response | None:
        shutil.rmtree(one.outputs / what, ignore_errors=True)
        return None

    one.on("media", vanish)
    one.doit()
    one.off()
    assert one.doit() == 0
    assert (one.creates(), one.booked(), one.successes()) == (1, PAID, [True])


def test_fault_061_a_file_of_somebody_elses_under_a_clips_name_stays(one: ScriptedStudio) -> None:
    mine = fake_clip(width=720, height=1280, duration_s=5)
    one.clip(1).parent.mkdir(parents=True)
    one.clip(1).write_bytes(mine)
    assert one.doit() == 1
    assert (one.clip(1).read_bytes(), one.creates()) == (mine, 0)
    assert "-a clip:1" in one.errors()[0]


def test_fault_061_a_file_of_somebody_elses_among_the_takes_stays_and_the_clip_takes_the_next_name(
    one: ScriptedStudio,
) -> None:
    async def occupy(request: Request, forward: Forward) -> Response | None:
        recipe = one.rows()[0]["recipe"]
        place = one.outputs / "takes" / recipe[:16] / "take_001.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"mine")
        return None

    one.on("media", occupy, times=1)
    assert one.doit() == 0
    theirs, ours = one.takes()
    assert theirs.read_bytes() == b"mine"
    assert one.clip(1).read_bytes() == ours.read_bytes()
    assert (one.creates(), one.booked(), one.successes()) == (1, PAID, [True])


@pytest.mark.parametrize("name", ["takes", "clips", "ledger.db", ".vgen"])
def test_fault_062_a_link_that_leads_out_of_the_outputs_means_no_order(
    one: ScriptedStudio, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    one.outputs.mkdir()
    (one.outputs / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    assert one.doit() == 3
    assert "link" in capfd.readouterr().err
    assert one.creates() == 0
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (one.outputs / name).unlink()


def test_fault_062_a_link_under_a_clips_name_is_not_written_through(one: ScriptedStudio, tmp_path: Path) -> None:
    victim = tmp_path / "victim.mp4"
    victim.write_bytes(b"precious")
    one.clip(1).parent.mkdir(parents=True)
    one.clip(1).symlink_to(victim)
    assert one.doit() in (1, 3)
    assert (victim.read_bytes(), one.creates()) == (b"precious", 0)
    one.clip(1).unlink()


@pytest.mark.parametrize("damage", ["no database", "cut", "newer"])
def test_fault_063_a_ledger_that_can_not_be_read_is_never_begun_anew(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], damage: str
) -> None:
    assert one.doit() == 0
    ledger = one.outputs / "ledger.db"
    whole = ledger.read_bytes()
    match damage:
        case "no database":
            ledger.write_bytes(b"this is no database, but long enough to be read as one" * 100)
        case "cut":
            ledger.write_bytes(whole[: len(whole) // 2])
        case "newer":
            with closing(sqlite3.connect(ledger)) as db, db:
                db.execute("PRAGMA user_version = 99")
    one.clip(1).unlink()
    capfd.readouterr()
    assert one.doit() == 3
    said = capfd.readouterr()
    assert "ledger" in said.err
    assert "Traceback" not in said.err
    assert one.creates() == 1
    ledger.write_bytes(whole)
    assert one.doit() == 0
    assert (one.creates(), one.booked()) == (1, PAID)


@pytest.mark.parametrize("way", ["deleted", "emptied"])
def test_fault_063_a_ledger_that_is_gone_beside_its_takes_means_no_order(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], way: str
) -> None:
    assert one.doit() == 0
    ledger = one.outputs / "ledger.db"
    whole = ledger.read_bytes()
    ledger.unlink()
    if way == "emptied":
        ledger.touch()
    one.clip(1).unlink()
    capfd.readouterr()
    assert one.doit() == 3
    assert "doit recover" in capfd.readouterr().err
    assert one.creates() == 1
    ledger.write_bytes(whole)
    assert one.doit() == 0
    assert (one.creates(), one.booked()) == (1, PAID)


@pytest.mark.parametrize("way", ["deleted", "emptied", "damaged"])
def test_fault_064_a_clip_that_was_deleted_or_damaged_is_put_back_free(one: ScriptedStudio, way: str) -> None:
    assert one.doit() == 0
    whole = one.clip(1).read_bytes()
    match way:
        case "deleted":
            one.clip(1).unlink()
        case "emptied":
            one.clip(1).write_bytes(b"")
        case "damaged":
            one.clip(1).write_bytes(whole[:90_000])
    requests = len(one.heard)
    assert one.doit() == 0
    assert one.clip(1).read_bytes() == whole
    assert (len(one.heard), one.creates(), one.booked()) == (requests, 1, PAID)


def test_fault_064_a_clip_that_somebody_edited_is_left_and_reported(one: ScriptedStudio) -> None:
    assert one.doit() == 0
    edit = fake_clip(width=720, height=1280, duration_s=4)
    one.clip(1).write_bytes(edit)
    one.doit()
    assert one.clip(1).read_bytes() == edit
    assert (one.creates(), one.booked()) == (1, PAID)


def test_fault_065_no_two_shots_have_one_name_on_any_file_system(studio: ScriptedStudio) -> None:
    numbers = (1, 10, 100, 1000, 9_999_999)
    studio.write_shots([{**shots(1)[0], "shot_number": n, "runway_prompt": f"boat {n}"} for n in numbers])
    assert studio.doit("budget_usd=9") == 0
    names = sorted(path.name for path in (studio.outputs / "clips").iterdir())
    assert names == sorted(f"clip_{n:03d}.mp4" for n in numbers)
    every = [path.relative_to(studio.root).as_posix() for path in studio.root.rglob("*")]
    assert len({name.casefold() for name in every}) == len(every)
    assert all(name.isascii() and len(part) <= 100 for name in every for part in name.split("/"))


@pytest.mark.parametrize("number", [10_000_000, 10**255, "CON", "1/../2", "é"])
def test_fault_065_what_could_not_be_a_name_is_no_shot_number(one: ScriptedStudio, number: object) -> None:
    one.write_shots([{**shots(1)[0], "shot_number": number}])
    assert one.doit() == 3
    assert one.creates() == 0
