"""M16 to M24: what odd days must not break. The truth is the provider's, as in `invariants`, which calls on this."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from simulation.vendors import BY_ITSELF
from simulation.world import THEIRS, sent_for
from vgen.simulator.jobs import State as JobState
from vgen.store.purchase import FREE, SETTLED, State

if TYPE_CHECKING:
    from simulation.invariants import Books
    from simulation.stage import Bought, Stage

LENIENT: dict[str, str] = {}
"""Invariants that still excuse a loss, because vgen does not keep them yet. Each goes as vgen learns it."""
STRICT = frozenset({"M5", "M10", "M16", "M18"}) - LENIENT.keys()

HOME = ("accepted", "rejected")
ANSWERED = ("rendering", "rendered", "fetched", "accepted", "rejected", "failed", "cancelled", "lost")
"""States of a purchase whose order has its answer."""


class Violation(Exception):
    """A promise was broken; `str()` names the invariant and the figures."""


def require(holds: object, invariant: str, *facts: object) -> None:
    if not holds:
        raise Violation(f"{invariant}: " + " ".join(map(str, facts)))


# ── at every moment ───────────────────────────────────────────────────────────────────────────────────────────────────


def at_every_moment(stage: "Stage", now: "Books") -> None:
    """After a run or a crash."""
    _reservations(now)
    if "M18" in STRICT:
        _quotes(now)
        _alone(now)
    _pictures(now)
    _edits(stage)


def _reservations(now: "Books") -> None:
    """M1: nothing was reserved beyond the cap of its run, by all that was or might be gone at that moment. No slack."""
    caps = {row["id"]: row["cap"] for row in now.rows}
    gone: dict[int, int] = {}
    for move in now.moves:
        one, state = move["purchase_id"], State(move["state"])
        is_new = one not in gone
        gone[one] = move["charged"] if state in SETTLED else 0 if state in FREE else move["price"]
        if is_new and state is State.RESERVED and caps[one] is not None:
            sum_ = sum(gone.values())
            require(sum_ <= caps[one], "M1", "booked when", one, "was reserved:", sum_, "> its run's cap", caps[one])


def surprises(now: "Books") -> int:
    """M1: by how much quotes may pass a cap: once for each kind of order, and once for each quote that never came."""
    most: dict[tuple[float, bool], int] = defaultdict(int)
    for job in now.jobs:
        kind = job.seconds, job.image is not None
        if job.quoted:
            most[kind] = max(most[kind], job.surprise)
    return sum(most.values()) + sum(job.surprise for job in now.jobs if not job.quoted)


def _quotes(now: "Books") -> None:
    """M18: the highest price told for a kind of order is the least that is reserved from then on."""
    rows = {row["id"]: row for row in now.rows}
    told: dict[tuple[Any, ...], int] = {}
    for move in now.moves:
        row = rows[move["purchase_id"]]
        job = now.owned.get(row["id"])
        kind = (row["provider"], row["model"], row["bought_s"])
        if move["state"] == "reserved" and move["at"] - row["created_at"] < 1:  # else rebuilt, and ordered before
            least = told.get(kind, 0)
            require(move["price"] >= least, "M18", "reserved", move["price"], "where", least, "was told:", row["id"])
        if move["state"] == "rendering" and job is not None and row["provider"] == "runway":
            told[kind] = max(told.get(kind, 0), move["price"], job.limit if job.answered else 0)


def _alone(now: "Books") -> None:
    """M18: Runway quotes, so the first order of a kind goes alone until its quote is known."""
    rows = {row["id"]: row for row in now.rows}
    known: set[tuple[Any, ...]] = set()
    sending: dict[int, tuple[Any, ...]] = {}
    for move in now.moves:
        row = rows[move["purchase_id"]]
        kind = (row["model"], row["path"], row["bought_s"])
        if row["provider"] != "runway":
            continue
        if move["state"] != "submitting":
            sending.pop(row["id"], None)
            if move["state"] in ANSWERED:  # a purchase that was rebuilt from its receipt begins with its take
                known.add(kind)
        elif kind not in known:
            beside = (other for other in sending if rows[other]["run_id"] == row["run_id"] and other != row["id"])
            alike = [other for other in beside if sending[other] == kind]
            require(not alike, "M18", "two first orders of a kind at once:", alike, row["id"])
            sending[row["id"]] = kind


def _pictures(now: "Books") -> None:
    """M19, M24: the picture that was sent is the one that was hashed, or the frame of the take that was named."""
    for row in now.rows:
        job = now.owned.get(row["id"])
        hashed = dict(json.loads(row["manifest"])).get("image")
        if job is not None:
            invariant = "M24" if str(hashed).startswith("take:") else "M19"
            sent_as_told = job.image == sent_for(hashed)
            require(sent_as_told, invariant, "sent", job.image, "the recipe's", hashed, "purchase", row["id"])


def _edits(stage: "Stage") -> None:
    """M20: what a hand made of a clip is under the clip's name, or among the takes as an edit."""
    if not stage.world.edits:
        return
    there = {_digest(path) for path in [*stage.outputs.glob("clips/*"), *stage.outputs.glob("takes/edited/**/*")]}
    for digest, name in stage.world.edits.items():
        require(digest in there, "M20", "a hand edit is gone:", name)


def _digest(path: Any) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


# ── the ledger ────────────────────────────────────────────────────────────────────────────────────────────────────────


def recovered(stage: "Stage", now: "Books") -> None:
    """M17: after `doit recover` every take that is there is a purchase again, with what it cost."""
    known = {job.id: row for row in now.rows if (job := now.owned.get(row["id"]))}
    digests = {_digest(path) for path in stage.outputs.glob("takes/**/*.mp4")}
    for job in now.jobs:
        if job.id not in stage.world.excused and hashlib.sha256(stage.true_bytes(job.id)[0]).hexdigest() in digests:
            row = known.get(job.id)
            require(row is not None, "M17", "a take that no purchase knows after `recover`:", job)
            assert row is not None
            on_its_way = row["state"] == "rendering" and not _has_receipt(stage, job)  # the next run collects it, free
            cost = job.agreed if row["charged_by"] == "assumed" else job.charged  # not every provider tells an overrun
            require(on_its_way or row["charged"] == cost, "M17", "recovered at", row["charged"], "truth", job)


def _has_receipt(stage: "Stage", job: "Bought") -> bool:
    receipts = (json.loads(path.read_bytes()) for path in stage.outputs.glob("takes/**/*.json"))
    return any((told["provider"], told["job_id"]) == (job.provider, job.id) for told in receipts)


# ── at the end ────────────────────────────────────────────────────────────────────────────────────────────────────────


def at_the_end(stage: "Stage", now: "Books", unserved: Collection[int]) -> None:
    """M16: a paid job that the provider would deliver is home, whatever was said of it before.

    `unserved`: shots without a clip, or with fewer takes than are wanted.
    """
    for row, job in _not_home(now) if "M16" in STRICT else ():
        require(row["charged_by"] == "user", "M16", f"it was there all the time: {row['state']}, {row['error']!r}", job)
    for row in _open_for_nothing(stage, now, unserved):
        require(False, "M16", "uncertain, though its vendor would have ended it:", row)


def _open_for_nothing(stage: "Stage", now: "Books", unserved: Collection[int]) -> Iterable[dict[str, Any]]:
    """Uncertain orders of a shot of today, at a vendor that takes a repeat, which a calm run could have repeated.

    Where nobody wants more (the draft of a final, an -a that nobody typed again) vgen repeats none: to repeat is to buy
    if the first never arrived. Such an order is the user's to end (`-a` again, `doit settle`).
    """
    if stage.injected["price_overrun"]:  # then nothing is sent there any more
        return
    wanted = {
        (place, str(shot.get(f"{place}_prompt", shot["prompt"])), str(shot["duration"]))
        for shot in stage.read_shots()
        for place in BY_ITSELF
    }
    for row in now.rows:
        made = dict(json.loads(row["manifest"]))
        if row["state"] != "uncertain" or row["superseded"] or row["provider"] not in BY_ITSELF:
            continue
        if (sent_at := row["submitted_at"]) is None:
            continue  # rebuilt without its ledger: its tag is not known
        latest = sent_at + BY_ITSELF[row["provider"]] - 600.0
        asked = [began for began, places in stage.calm_runs if row["provider"] in places]
        if latest < math.inf and (stage.wall_s or row["sent_before"] is None):
            continue  # our clock does not say how old it is, or the vendor's clock was never heard before the kill
        in_time = any(sent_at < began < latest for began in asked)
        if row["shot_number"] not in unserved:
            continue
        if in_time and (row["provider"], made["prompt"], made["duration"]) in wanted:
            yield row


def may_be_found(now: "Books") -> bool:
    """Whether a look at the providers may still bring something home."""
    return "M16" in STRICT and any(row["state"] in ("lost", "uncertain") for row in now.rows)


def theirs(stage: "Stage", now: "Books") -> bool:
    """Whether another account has jobs that are not home."""
    owner = stage.world.owner
    live = ("rendering", "rendered", "fetched", "lost")
    unfinished = (job for row in now.rows if row["state"] in live and (job := now.owned.get(row["id"])))
    return any(owner.get(job.id) == THEIRS for job in unfinished)


def _not_home(now: "Books") -> Iterable[tuple[dict[str, Any], "Bought"]]:
    for row in now.rows:
        job = now.owned.get(row["id"])
        if job is not None and job.state is JobState.SUCCEEDED and row["state"] not in HOME and not job.gone:
            yield row, job
