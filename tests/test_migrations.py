"""A production of an earlier vgen: opened, migrated, built on; the same figures and takes, nothing bought twice."""

import contextlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from studio import Studio

from vgen.errors import Refusal
from vgen.store import failpoints, migrations
from vgen.store.audit import differences
from vgen.store.ledger import Ledger
from vgen.store.reader import LedgerReader

RECORDED = Path(__file__).parent / "data" / "ledger_v1"
EXPECTED: Mapping[str, Any] = json.loads((RECORDED / "expected.json").read_text("utf-8"))
"""What the vgen that made it said of it."""
NOW = float(EXPECTED["now"])
WIDTH = {"purchases": 29}
"""Columns of a table in schema 1, if it has more by now; they come last."""


def unpack(root: Path) -> None:
    with zipfile.ZipFile(RECORDED / "production.zip") as packed:
        for member in packed.infolist():
            path = Path(packed.extract(member, root))
            path.chmod(member.external_attr >> 16 & 0o777)
    for name, mtime_ns in EXPECTED["mtime_ns"].items():
        os.utime(root / name, ns=(mtime_ns, mtime_ns))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The recorded ledger beside its files."""
    unpack(tmp_path)
    return tmp_path / "outputs" / "ledger.db"


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """The recorded production, five seconds after its last command, at providers that know nothing of it."""
    monkeypatch.chdir(tmp_path)
    made = Studio(tmp_path / "project")
    monkeypatch.chdir(made.root)
    unpack(made.root)
    made.pass_time(NOW - made.now())
    yield made
    made.check_keys_sent()
    made.check_clips()


def sql(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(statement).fetchall()


def purchases(path: Path) -> list[list[Any]]:
    with contextlib.closing(LedgerReader(path)) as reader:
        return [
            [row.id, row.shot_number, row.provider, row.state, row.superseded, row.charged, row.correlation_seed]
            for row in (reader.get(number) for number, *_ in EXPECTED["ledger"]["purchases"])
        ]


def version(path: Path) -> int:
    return int(sql(path, "PRAGMA user_version")[0][0])


def read(path: Path) -> tuple[Any, ...]:
    """All rows of all tables as schema 1 has them, without the tables' own names for them."""
    found = []
    for table in ("runs", "moves", "takes", "placed", "chosen", "totals", "purchases", "state_money"):
        rows = sql(path, f"SELECT * FROM {table} ORDER BY 1, 2")
        found.append([row[: WIDTH.get(table, len(row))] for row in rows])
    return tuple(found)


# ── the file ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_only_looks_reads_an_earlier_schema_and_leaves_it(old: Path) -> None:
    before = old.read_bytes()
    assert purchases(old) == EXPECTED["ledger"]["purchases"]
    assert (old.read_bytes(), version(old)) == (before, 0)


def test_the_first_who_writes_migrates_and_every_row_stays(old: Path) -> None:
    before = read(old)
    with contextlib.closing(Ledger(old, now=lambda: NOW)):
        pass
    assert version(old) == migrations.SCHEMA
    assert purchases(old) == EXPECTED["ledger"]["purchases"]
    after = read(old)
    assert [
        [now[: len(was)] for now, was in zip(*tables, strict=True)] for tables in zip(after, before, strict=True)
    ] == [list(table) for table in before]
    assert {now[len(was) :] for now, was in zip(after[2], before[2], strict=True)} == {(None, None, None)}, (
        "no remarks, claims, host yet"
    )
    migrated = old.read_bytes()
    with contextlib.closing(Ledger(old, now=lambda: NOW)):
        pass
    assert old.read_bytes() == migrated, "the second finds nothing to do"


def test_a_migrated_ledger_has_the_schema_of_a_new_one(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    for path in (old, new):
        with contextlib.closing(Ledger(path, now=lambda: NOW)):
            pass

    def columns(path: Path) -> list[tuple[Any, ...]]:
        tables = [name for (name,) in sql(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        return [(table, *column) for table in tables for column in sql(path, f"PRAGMA table_xinfo({table})")]

    others = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type <> 'table' ORDER BY 1, 2"
    assert columns(old) == columns(new)
    assert sql(old, others) == sql(new, others)
    assert sql(old, "SELECT key FROM meta") == sql(new, "SELECT key FROM meta")


class Killed(BaseException):
    """The process dies."""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_a_migration_leaves_a_good_ledger(old: Path, when: str) -> None:
    def die(name: str, moment: str) -> None:
        if (name, moment) == ("ledger.migrate", when):
            raise Killed

    with failpoints.hooked(die), pytest.raises(Killed):
        Ledger(old, now=lambda: NOW)
    assert version(old) == (0 if when == "before" else migrations.SCHEMA)
    assert purchases(old) == EXPECTED["ledger"]["purchases"]
    with contextlib.closing(Ledger(old, now=lambda: NOW)) as ledger:
        assert ledger.get(1).correlation_seed == EXPECTED["ledger"]["purchases"][0][-1]


def test_a_full_disk_in_a_migration_is_no_damaged_ledger(old: Path) -> None:
    def fail(name: str, moment: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with failpoints.hooked(fail), pytest.raises(Refusal, match=r"disk is full.*; put that right and run again"):
        Ledger(old, now=lambda: NOW)
    assert purchases(old) == EXPECTED["ledger"]["purchases"]


def test_a_step_is_taken_once_though_another_process_was_first(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, found = migrations.version, list[int]()

    def overtaken(db: sqlite3.Connection) -> int:
        """Between the question and the transaction that it leads to, the other process migrates."""
        found.append(asked(db))
        last = found[-1]
        if len(found) == 2:
            Ledger(old, now=lambda: NOW).close()
        return last

    monkeypatch.setattr(migrations, "version", overtaken)
    with contextlib.closing(Ledger(old, now=lambda: NOW)):
        pass
    assert found[:2] == [1, 1], "it wanted to migrate"
    assert version(old) == migrations.SCHEMA
    assert purchases(old) == EXPECTED["ledger"]["purchases"]


def test_the_vgen_of_schema_1_refuses_a_migrated_ledger_in_words(old: Path) -> None:
    """This row is where it looks: "the ledger has schema 2 or later, this vgen writes 1; use the vgen that made it"."""
    with contextlib.closing(Ledger(old, now=lambda: NOW)):
        pass
    assert sql(old, "SELECT value FROM meta WHERE key = 'schema'") == [("2 or later",)]


# ── the production ────────────────────────────────────────────────────────────────────────────────────────────────────


def migrated(studio: Studio) -> None:
    with contextlib.closing(Ledger(studio.outputs / "ledger.db", now=studio.now)):
        pass


def without(key: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Facts without the sentence, which may be said better today."""
    return [{name: value for name, value in entry.items() if name != key} for entry in entries]


def facts_of_takes(text: str) -> list[list[str]]:
    """Of each take in the list: shot, whether it is in its place, its number, provider, price, size, file."""
    return [line.split()[1:8] for line in text.splitlines() if ".mp4" in line]


@pytest.fixture(params=["as it was", "migrated"])
def either(request: pytest.FixtureRequest, studio: Studio) -> Studio:
    if request.param == "migrated":
        migrated(studio)
    return studio


@pytest.mark.slow
def test_the_plan_is_the_same(either: Studio) -> None:
    assert either.doit("plan") == 0
    found = json.loads((either.outputs / "plan.json").read_text("utf-8"))
    expected = EXPECTED["plan"]["json"]
    assert {**found, "shots": without("why", found["shots"])} == {
        **expected,
        "shots": without("why", expected["shots"]),
    }


@pytest.mark.slow
def test_the_takes_are_the_same(either: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert either.doit("takes") == 0
    found, expected = (facts_of_takes(text) for text in (capfd.readouterr().out, EXPECTED["takes"]))
    assert found == expected
    assert len(expected) == 12


@pytest.mark.slow
def test_the_audit_finds_nothing_as_before(either: Studio) -> None:
    before = (either.outputs / "ledger.db").read_bytes()
    assert either.doit("audit") == 0
    assert (either.outputs / "ledger.db").read_bytes() == before, "an audit needs no lock, so it writes nothing"


def test_the_report_is_the_same(either: Studio) -> None:
    """`-s`: only the report is made; nothing is asked of a provider."""
    assert either.doit("-s", "report") == 0
    assert without("error", either.clips()) == without("error", EXPECTED["clips"])
    report = either.report()
    assert {key: report[key] for key in EXPECTED["report"]} == EXPECTED["report"]


@pytest.mark.slow
def test_a_build_goes_on_from_it_and_buys_nothing_that_is_there(studio: Studio) -> None:
    before = {entry["shot_number"]: entry for entry in studio.clips()}
    clips = {number: studio.clip(number).read_bytes() for number, entry in before.items() if entry["success"]}
    assert studio.doit() == 0
    assert version(studio.outputs / "ledger.db") == migrations.SCHEMA
    wanted = {row["shot_number"] for row in studio.rows() if row["created_at"] >= NOW}
    assert wanted == {15}, "the one shot that the plan wanted to buy"
    assert studio.bought() == 1
    for number, data in clips.items():
        assert studio.clip(number).read_bytes() == data
        assert next(entry for entry in studio.clips() if entry["shot_number"] == number) == before[number]
    assert not list(differences(studio.outputs, simulated=False))


def test_a_clip_of_it_can_be_locked_and_noted(studio: Studio) -> None:
    assert studio.doit("lock", "shot=1") == 0
    assert studio.doit("note", "shot=1", "text=slower") == 0
    entry = studio.clips()[0]
    assert (entry["locked"], entry["note"]) == (True, "slower")
    assert studio.bought() == 0
