"""Steps and rows → clips.json, production_report.json, gates. Pure: a function of ledger and files."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

from vgen.money import usd
from vgen.plan.decision import File
from vgen.plan.plan import Plan
from vgen.plan.step import PURCHASES, Step
from vgen.recipe import DRAFT, is_draft
from vgen.store.purchase import FREE, State
from vgen.store.records import Budget, Placed, Purchase, Snapshot

REPORT_VERSION = 1
MIN_SIDE = 720
NOT_YET = "not made yet: "


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What this run did, beside what the ledger knows. Times in unix seconds; `messages`: shot → why it has no clip."""

    id: str
    started_at: float
    finished_at: float
    generated: int = 0
    reused: int = 0
    resumed: int = 0
    interrupted: bool = False
    messages: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One quality gate, judged over the whole list of shots."""

    name: str
    passed: bool
    value: float | int | None
    threshold: float | int | None


class Entry(Mapping[str, Any]):
    """What the report says of one shot. As a dict it would take five times the memory, and there are many."""

    __slots__ = ("_places", "_values")

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._places = _places(tuple(told))
        self._values = tuple(told.values())

    def __getitem__(self, key: str) -> Any:
        return self._values[self._places[key]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._values)


@functools.cache
def _places(keys: tuple[str, ...]) -> Mapping[str, int]:
    return {key: place for place, key in enumerate(keys)}


def clips(
    plan: Plan,
    snapshot: Snapshot,
    path: Callable[[int], str],
    messages: Mapping[int, str],
    advice: Callable[[str], str] = str,
) -> list[Entry]:
    """One entry per shot: the seven keys of clips.json, then the report's own.

    `path`: shot → the path to print; `advice`: completes the commands in a text.
    """
    return [_entry(step, snapshot, path(step.number), messages.get(step.number), advice) for step in plan.steps]


def seven(entries: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """clips.json: the specification's seven keys, in its order; a draft's tier, remarks, lock and note if any."""
    keys = ("shot_number", "clip_path", "success", "api_used", "cost_usd", "generation_time_s", "error")
    return [
        Entry({key: entry[key] for key in (*keys, "tier", "remarks", "locked", "note") if key in entry})
        for entry in entries
    ]


def gates(entries: Sequence[Mapping[str, Any]], budget: Budget, *, min_success_rate: float) -> list[Gate]:
    """Success rate, resolution, budget."""
    good = [entry for entry in entries if entry["success"]]
    rate = len(good) / len(entries) if entries else 0.0
    sides = [min(entry["width"], entry["height"]) for entry in good if entry["width"] and entry["height"]]
    used = budget.spent + budget.uncertain
    return [
        Gate(
            name="success_rate",
            passed=bool(entries) and rate >= min_success_rate,
            value=round(rate, 6),
            threshold=min_success_rate,
        ),
        Gate(
            name="resolution",
            passed=all(s >= MIN_SIDE for s in sides),
            value=min(sides, default=None),
            threshold=MIN_SIDE,
        ),
        Gate(
            name="budget",
            passed=budget.cap is None or used <= budget.cap,
            value=usd(used),
            threshold=None if budget.cap is None else usd(budget.cap),
        ),
    ]


def production_report(
    entries: Sequence[Mapping[str, Any]], judged: Sequence[Gate], plan: Plan, run: RunFacts
) -> dict[str, Any]:
    """The whole report, the specification's keys first."""
    good = [entry for entry in entries if entry["success"]]
    budget = plan.budget
    return {
        "total_clips": len(entries),
        "successful_clips": len(good),
        "failed_clips": len(entries) - len(good),
        "success_rate": round(len(good) / len(entries), 6) if entries else 0.0,
        "total_cost_usd": usd(sum(round(entry["cost_usd"] * 1_000_000) for entry in good)),
        "total_time_s": round(sum(entry["generation_time_s"] for entry in entries), 3),
        "clips": entries,
        "report_version": REPORT_VERSION,
        "simulated": plan.simulated,
        "run": {
            "id": run.id,
            "started_at": _iso(run.started_at),
            "finished_at": _iso(run.finished_at),
            "wall_time_s": round(run.finished_at - run.started_at, 3),
            "generated": run.generated,
            "reused": run.reused,
            "resumed": run.resumed,
            "interrupted": run.interrupted,
        },
        "budget": {
            "cap_usd": None if budget.cap is None else usd(budget.cap),
            "spent_usd": usd(budget.spent),
            "reserved_usd": usd(budget.reserved),
            "uncertain_usd": usd(budget.uncertain),
            "remaining_usd": None if budget.left is None else usd(budget.left),
        },
        "gates": [{"name": g.name, "passed": g.passed, "value": g.value, "threshold": g.threshold} for g in judged],
        "left_over": _left_over(plan),
    }


def says(file: BinaryIO, value: Mapping[str, Any] | Sequence[Any]) -> bool:
    """Whether a file that `pieces` wrote tells the same of the production; the last run does not matter."""
    before = ""
    for key, text in pieces(value):
        if key != "run":
            data = text.encode()
            if file.read(len(data)) != data:
                return False
        elif before != "run":
            for line in iter(file.readline, b""):
                if line == b"  },\n":  # no text of a JSON file holds a line's end
                    break
        before = key
    return not file.read(1)


def to_bytes(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """JSON for people and for jq, as `json.dumps(value, indent=2)` spells it, but by its fast encoder."""
    return "".join(text for _, text in pieces(value)).encode()


def pieces(value: Mapping[str, Any] | Sequence[Any]) -> Iterator[tuple[str, str]]:
    """That text piece by piece, each with the key that it belongs to: of many shots it is long."""
    if not isinstance(value, Mapping) or not value:
        yield from (("", text) for text in _one_by_one(value, "\n"))
        yield "", "\n"
        return
    yield "", "{\n"
    for left, (key, inner) in zip(range(len(value) - 1, -1, -1), value.items(), strict=True):
        yield key, f"  {_flat('')(key)}: "
        yield from ((key, text) for text in _one_by_one(inner, "\n  "))
        yield key, ",\n" if left else "\n"
    yield "", "}\n"


def _one_by_one(value: Any, pad: str) -> Iterator[str]:
    if not isinstance(value, (list, tuple)) or not value:
        yield _indented(value, pad)
        return
    before = "["
    for one in value:
        yield f"{before}{pad}  {_indented(dict(one) if isinstance(one, Entry) else one, pad + '  ')}"
        before = ","
    yield f"{pad}]"


def _indented(value: object, pad: str) -> str:
    inner = pad + "  "
    match value:
        case dict() | list() | tuple() if value and not any(isinstance(v, (dict, list, tuple)) for v in _values(value)):
            text = _flat(inner)(value)
        case dict() if value:
            text = "{" + f",{inner}".join(f"{_flat('')(key)}: {_indented(v, inner)}" for key, v in value.items()) + "}"
        case list() | tuple() if value:
            text = "[" + f",{inner}".join(_indented(v, inner) for v in value) + "]"
        case _:
            return _flat("")(value)
    return f"{text[0]}{inner}{text[1:-1]}{pad}{text[-1]}"


def _values(value: dict[str, object] | Sequence[object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


@functools.cache
def _flat(inner: str) -> Callable[[object], str]:
    """The encoder for values that hold no others but texts, numbers and the like."""
    return json.JSONEncoder(ensure_ascii=False, separators=(f",{inner}", ": ")).encode


def _whose(row: Purchase, plan: Plan) -> str:
    return f"shot {row.shot_number}{', which is locked' if row.shot_number in plan.locks else ' of an earlier list'}"


def _left_over(plan: Plan) -> list[str]:
    """Things that belong to no shot of the list, in words."""
    told = [
        f"job {row.job_id} at {row.provider} ({_whose(row, plan)}) is still to be collected" for row in plan.orphans
    ]
    told += [
        f"{name} belongs to no shot any more, but was edited by hand; delete it yourself if you don't need it"
        for name, file in plan.departed.items()
        if file is File.EDITED
    ]
    return told


def _entry(step: Step, snapshot: Snapshot, path: str, message: str | None, advice: Callable[[str], str]) -> Entry:
    rows = _rows(step, snapshot)
    entry = _good(step, snapshot, path) if step.done else _failed(step, rows, message)
    if entry["error"]:
        entry["error"] = advice(entry["error"])
    entry["kept"] = bool(step.done and step.decision.row and not step.request.is_served_by(step.decision.row))
    entry["attempts"] = sum(row.submitted_at is not None for row in rows)
    entry["simulated"] = step.decision.row.simulated if step.decision.row else bool(rows and rows[-1].simulated)
    entry |= ({"locked": True} if step.locked else {}) | ({"note": step.note} if step.note else {})
    if step.file is File.EDITED:
        entry.pop("remarks", None)
        entry.pop("claims", None)
        entry |= _edited(snapshot.placed.get(path.rsplit("/", 1)[-1]))
    return Entry(entry)


def _edited(placed: Placed | None) -> dict[str, Any]:
    """What is true of a file that somebody edited: its own bytes and facts, not the take's."""
    facts = dict.fromkeys(("width", "height", "duration_s", "fps", "codec", "has_audio", "size_bytes", "sha256"))
    if placed and placed.edited:
        facts |= json.loads(placed.facts or "{}") | {"size_bytes": placed.size_bytes, "sha256": placed.sha256}
    return {**facts, "edited": True}


def _rows(step: Step, snapshot: Snapshot) -> list[Purchase]:
    found = [
        row
        for digest in step.request.all_digests()
        for row in snapshot.by_recipe.get(digest, ())
        if step.request.is_served_by(row)
    ]
    return sorted(found, key=lambda row: row.id)


def _good(step: Step, snapshot: Snapshot, path: str) -> dict[str, Any]:
    row = step.decision.row
    assert row is not None, "BUG: a clip in place without a purchase"
    take = snapshot.takes[row.id]
    good = {
        "shot_number": step.number,
        "clip_path": path,
        "success": True,
        "api_used": row.provider,
        "cost_usd": usd(row.charged),
        "generation_time_s": round(take.generation_s or 0.0, 3),
        "error": None,
        "prompt_hash": row.recipe,
        "take": take.take,
        "model": row.model,
        "job_id": row.job_id,
        "width": take.width,
        "height": take.height,
        "duration_s": take.duration_s,
        "fps": take.fps,
        "codec": take.codec,
        "has_audio": take.has_audio,
        "size_bytes": take.size_bytes,
        "sha256": take.sha256,
    }
    tier = {"tier": DRAFT} if is_draft(row.manifest) else {}
    claims = {"claims": json.loads(take.claims)} if take.claims else {}
    return good | tier | ({"remarks": list(take.remarks)} if take.remarks else {}) | claims


def _failed(step: Step, rows: Sequence[Purchase], message: str | None) -> dict[str, Any]:
    last = rows[-1] if rows else None
    recipe = next(iter(step.request.recipes.values()), None)
    return {
        "shot_number": step.number,
        "clip_path": None,
        "success": False,
        "api_used": last.provider if last else None,
        "cost_usd": usd(sum(row.charged for row in rows if row.state is not State.ACCEPTED)),
        "generation_time_s": 0,
        "error": message or _reason(step, last),
        "prompt_hash": last.recipe if last else recipe.digest if recipe else None,
        "take": None,
        "model": last.model if last else None,
        "job_id": last.job_id if last else None,
        "width": None,
        "height": None,
        "duration_s": None,
        "fps": None,
        "codec": None,
        "has_audio": None,
        "size_bytes": None,
        "sha256": None,
    }


def _reason(step: Step, last: Purchase | None) -> str:
    """One sentence for a shot without a clip that no run of now has explained."""
    if step.action in PURCHASES:
        if last is not None and last.error and last.state in {State.REJECTED, State.FAILED, State.CANCELLED, *FREE}:
            return f"{last.provider}: {last.error}"
        return NOT_YET + step.why
    return step.why


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
