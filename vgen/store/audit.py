"""`doit audit`: recomputes every figure from raw rows and files. Shares no sum and no query with report or ledger.

It reads ledger.db with SQL of its own (only the opening is shared), replays `moves`, and compares the result with
`purchases`, with the files among the takes and clips, and with what production_report.json says. It changes nothing.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from vgen.errors import Refusal
from vgen.store import database

SPENT = {"rendered", "fetched", "accepted", "rejected", "failed", "cancelled", "lost"}
HELD = {"reserved", "submitting", "not_sent", "rendering"}
OPEN = HELD | {"rendered", "fetched", "uncertain", "accepted"}


def differences(outputs: Path, *, simulated: bool) -> Iterator[str]:
    """One line per thing that does not add up; none if all does. Raises Refusal if the ledger is unreadable."""
    path = outputs / "ledger.db"
    if not path.exists():
        return
    with contextlib.closing(database.for_looking(path)) as db:
        yield from (f"ledger.db: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok")
        rows = [dict(row) for row in db.execute("SELECT * FROM purchases ORDER BY id")]
        moves = [dict(row) for row in db.execute("SELECT * FROM moves ORDER BY id")]
        takes = [dict(row) for row in db.execute("SELECT * FROM takes")]
        placed = [dict(row) for row in db.execute("SELECT * FROM placed")]
        totals = {row["simulated"]: dict(row) for row in db.execute("SELECT * FROM budget")}
    yield from _replayed(rows, moves)
    yield from _unique(rows)
    yield from _totals(rows, totals)
    yield from _takes(outputs, rows, takes)
    yield from _clips(outputs, takes, placed)
    if not _is_older(outputs):
        yield from _report(outputs, [row for row in rows if row["simulated"] == simulated], takes)


def report_is_behind(outputs: Path, *, simulated: bool) -> bool:
    """Whether money has moved since the report was written, and the report does not say so: a run was killed."""
    if not _is_older(outputs):
        return False
    with contextlib.closing(database.for_looking(outputs / "ledger.db")) as db:
        rows = [dict(row) for row in db.execute("SELECT * FROM purchases WHERE simulated = ?", (simulated,))]
        takes = [dict(row) for row in db.execute("SELECT * FROM takes")]
    return any(_report(outputs, rows, takes))


def _is_older(outputs: Path) -> bool:
    try:
        report = json.loads((outputs / "production_report.json").read_text("utf-8"))
        written = datetime.fromisoformat(report["run"]["finished_at"]).timestamp()
        with contextlib.closing(database.for_looking(outputs / "ledger.db")) as db:
            last = db.execute("SELECT coalesce(max(at), 0) FROM moves").fetchone()[0]
    except (OSError, ValueError, KeyError, TypeError, sqlite3.Error, Refusal):
        return False
    return bool(last > written + 0.001)  # the report rounds to milliseconds


def _replayed(rows: list[dict[str, Any]], moves: list[dict[str, Any]]) -> Iterator[str]:
    """The last move of each purchase is what its row says, and every purchase began reserved."""
    history: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for move in moves:
        history[move["purchase_id"]].append(move)
    for row in rows:
        told = history.pop(row["id"], [])
        if not told or told[0]["state"] != "reserved":
            yield f"purchase {row['id']}: its history does not begin with a reservation"
            continue
        for key in ("state", "superseded", "price", "charged"):
            if told[-1][key] != row[key]:
                yield f"purchase {row['id']}: {key} is {row[key]!r}, its history ends with {told[-1][key]!r}"
        if row["charged"] and row["state"] not in SPENT:
            yield f"purchase {row['id']}: charged {_usd(row['charged'])} while {row['state']}"
        if row["charged"] > row["price"] and row["charged_by"] != "provider":
            more = f"charged {_usd(row['charged'])}, reserved {_usd(row['price'])}"
            yield f"purchase {row['id']}: {more}, and that is not the provider's word"
    yield from (f"purchase {number}: has a history, but no row" for number in history)


def _unique(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Promise 1: nothing open or accepted twice for a recipe, unless a row says why."""
    seen: dict[tuple[str, int], int] = {}
    owners: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row["recipe"], row["simulated"])
        if row["superseded"] is None and row["state"] in OPEN:
            if key in seen:
                yield f"purchases {seen[key]} and {row['id']}: two for one recipe"
            seen[key] = row["id"]
        if row["job_id"]:
            owner = (row["provider"], row["account"], row["job_id"])
            if owner in owners:
                yield f"purchases {owners[owner]} and {row['id']}: one job {row['job_id']}"
            owners[owner] = row["id"]


def _totals(rows: list[dict[str, Any]], totals: dict[int, dict[str, Any]]) -> Iterator[str]:
    """What SQLite keeps as totals is what the rows add up to."""
    for world in (0, 1):
        mine = [row for row in rows if row["simulated"] == world]
        sums = {
            "spent": sum(row["charged"] for row in mine if row["state"] in SPENT),
            "reserved": sum(row["price"] for row in mine if row["state"] in HELD),
            "uncertain": sum(row["price"] for row in mine if row["state"] == "uncertain"),
        }
        for name, value in sums.items():
            if (kept := totals.get(world, {}).get(name, 0)) != value:
                yield f"ledger.db: {name} is kept as {_usd(kept)}, the rows add up to {_usd(value)}"


def _takes(outputs: Path, rows: list[dict[str, Any]], takes: list[dict[str, Any]]) -> Iterator[str]:
    """Every accepted or rejected purchase has its file, unchanged."""
    by_purchase = {take["purchase_id"]: take for take in takes}
    for row in rows:
        if row["state"] in ("accepted", "rejected") and row["id"] not in by_purchase:
            yield f"purchase {row['id']}: {row['state']}, but has no take"
    known = {take["path"] for take in takes}
    arriving = {row["sha256"] for row in rows if row["state"] == "fetched"}
    for path in sorted((outputs / "takes").glob("*/[!.]*")):
        name = path.relative_to(outputs).as_posix()
        if path.suffix == ".json" or path.parent.name == "edited":
            continue
        if name not in known and _digest(path) not in arriving:
            yield f"{name}: a take that the ledger does not know"
    for take in takes:
        path = outputs / take["path"]
        if not path.is_file():
            yield f"{take['path']}: missing"
        elif _digest(path) != take["sha256"]:
            yield f"{take['path']}: its bytes have changed"


def _clips(outputs: Path, takes: list[dict[str, Any]], placed: list[dict[str, Any]]) -> Iterator[str]:
    """Every clip is the take that it is said to be, unless somebody edited it."""
    digests = {take["purchase_id"]: take["sha256"] for take in takes}
    for row in placed:
        path = outputs / "clips" / row["name"]
        if row["edited"] or not path.exists():
            continue
        if _digest(path) != digests.get(row["purchase_id"]):
            yield f"clips/{row['name']}: is not the take that the ledger names"


def _report(outputs: Path, rows: list[dict[str, Any]], takes: list[dict[str, Any]]) -> Iterator[str]:
    """The written report's money is the rows' money."""
    path = outputs / "production_report.json"
    if not path.exists():
        return
    try:
        report = json.loads(path.read_text("utf-8"))
        said, clips = report["budget"], report["clips"]
    except (ValueError, KeyError, TypeError):
        yield "production_report.json: can't be read; `doit report` writes it again"
        return
    sums = {
        "spent_usd": sum(row["charged"] for row in rows if row["state"] in SPENT),
        "reserved_usd": sum(row["price"] for row in rows if row["state"] in HELD),
        "uncertain_usd": sum(row["price"] for row in rows if row["state"] == "uncertain"),
    }
    for key, value in sums.items():
        if round(said[key] * 1e6) != value:
            yield f"production_report.json: budget.{key} is {said[key]}, the rows say {_usd(value)}"
    by_take = {(take["recipe"], take["take"], take["simulated"]): take["purchase_id"] for take in takes}
    charged = {row["id"]: row["charged"] for row in rows}
    total = 0
    for clip in clips:
        if not clip["success"]:
            continue
        bought = by_take.get((clip["prompt_hash"], clip["take"], int(clip["simulated"])))
        cost = charged.get(bought or 0, -1)
        total += round(clip["cost_usd"] * 1e6)
        if round(clip["cost_usd"] * 1e6) != cost:
            yield f"shot {clip['shot_number']}: cost_usd is {clip['cost_usd']}, its take cost {_usd(cost)}"
    if round(report["total_cost_usd"] * 1e6) != total:
        yield f"production_report.json: total_cost_usd is {report['total_cost_usd']}, its clips sum to {_usd(total)}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _usd(amount: int) -> str:
    return f"${amount / 1e6:.6f}".rstrip("0").rstrip(".")
