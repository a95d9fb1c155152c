"""M1 to M15: what must hold after every run and every crash. The truth is the provider's; the rest is read raw.

Shares no code with vgen's ledger, report or audit; only the table of states and legal moves is vgen's own.
"""

import contextlib
import hashlib
import itertools
import json
import os
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from studio import KEYS

from simulation import chains, promises
from simulation.promises import STRICT, require
from simulation.stage import Bought, Stage
from simulation.world import is_rotated, sent_for
from vgen.simulator.jobs import REFUSED_AT_ONCE
from vgen.simulator.jobs import State as JobState
from vgen.store.purchase import FREE, HOLDS, MOVES, SETTLED, State

LATE_S = 60.0
"""A job may begin to run between vgen's last look and its cancellation; not longer than this."""
BAD_CLIPS = frozenset({"clip_480p", "clip_landscape", "clip_small", "clip_short", "clip_damaged"})
CANARY = b"vgencanary"
ROWS = "(SELECT purchases.*, cap FROM purchases LEFT JOIN runs ON runs.id = run_id)"
END = {*FREE, "accepted", "rejected", "failed", "cancelled", "lost", "uncertain"}


@dataclass(slots=True)
class Books:
    """Ledger and provider side by side, at one moment."""

    rows: list[dict[str, Any]]
    moves: list[dict[str, Any]]
    takes: list[dict[str, Any]]
    view: dict[str, int]
    jobs: list[Bought]
    owned: dict[int, Bought] = field(init=False)
    unowned: list[Bought] = field(init=False)

    def __post_init__(self) -> None:
        by_id = {(job.provider, job.id): job for job in self.jobs}
        self.owned = {}
        for row in self.rows:
            if row["job_id"] and (job := by_id.pop((row["provider"], row["job_id"]), None)):
                self.owned[row["id"]] = job
        self.unowned = list(by_id.values())

    def as_known(self, stage: Stage) -> "Books":
        """With what the ledger could know: the quote of a job that no purchase owns is where its id is."""
        aside = stage.kept_aside()
        untold = {job.id for job in self.unowned if stage.id_may_be_lost(job) or job.id.encode() in aside}
        jobs = [
            replace(job, limit=job.limit - job.surprise, quoted=False) if job.quoted and job.id in untold else job
            for job in self.jobs
        ]
        return replace(self, jobs=jobs)

    @property
    def told(self) -> tuple[float, ...]:
        """Spent, reserved and uncertain dollars, as the ledger's own view says."""
        return tuple(self.view.get(kind, 0) / 1e6 for kind in ("spent", "reserved", "uncertain"))

    def total(self, kind: str) -> int:
        """Money of a kind, from the rows."""
        states = {"spent": SETTLED, "reserved": HOLDS, "uncertain": {State.UNCERTAIN}}[kind]
        column = "charged" if kind == "spent" else "price"
        return sum(row[column] for row in self.rows if row["state"] in states)


def books(stage: Stage) -> Books:
    """Read with SQL of our own."""
    path = stage.outputs / "ledger.db"
    if not path.exists() or not path.stat().st_size:
        return Books([], [], [], {}, stage.truth()).as_known(stage)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'purchases'").fetchone():
            return Books([], [], [], {}, stage.truth()).as_known(stage)
        rows, moves, takes = (
            [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY {key}")]
            for table, key in ((ROWS, "id"), ("moves", "id"), ("takes", "purchase_id"))
        )
        view = db.execute("SELECT * FROM budget").fetchone()
    return Books(rows, moves, takes, dict(view) if view else {}, stage.truth()).as_known(stage)


Key = tuple[str, str, float, str | None]


def key_of(row: dict[str, Any]) -> Key:
    """What a lost job can be recognized by."""
    made = dict(json.loads(row["manifest"]))
    return row["provider"], made["prompt"], float(row["bought_s"]), sent_for(made.get("image"))


def key_of_job(job: Bought) -> Key:
    """The same, of a job."""
    return job.provider, job.prompt, job.seconds, job.image


# ── at every moment ───────────────────────────────────────────────────────────────────────────────────────────────────


def at_every_moment(stage: Stage, now: Books, caps: list[int]) -> None:
    """After a run, a crash or a refusal."""
    _cap(stage, now, caps)
    _money(stage, now)
    _owners(stage, now)
    _allowances(stage, now)
    _history(stage, now)
    _files(stage, now)
    _secrets(stage)
    for invariant, what in stage.world.watch.wrongs:
        require(False, invariant, what)


def bought_within(stage: Stage, now: Books, cap: int) -> None:
    """M1, of a run that has bought something: all that is or may be gone is within its own cap, but for overruns."""
    cap += promises.surprises(now)
    sum_ = sum(job.agreed for job in now.jobs if job.id not in stage.world.excused)
    require(sum_ <= cap, "M1", "charged or running", sum_, "> the run's cap", cap)
    booked = sum(now.total(kind) for kind in ("spent", "reserved", "uncertain")) - sum(job.overrun for job in now.jobs)
    require(booked <= cap, "M1", "booked", booked, "> the run's cap", cap)


def _cap(stage: Stage, now: Books, caps: list[int]) -> None:
    sum_ = sum(job.agreed for job in now.jobs if job.id not in stage.world.excused)
    most = max(caps, default=0) + promises.surprises(now)
    require(sum_ <= most, "M1", "charged or running", sum_, "> every cap so far", caps, "and first quotes", most)


def _money(stage: Stage, now: Books) -> None:
    kinds = ("spent", "reserved", "uncertain")
    sums = {kind: now.total(kind) for kind in kinds}
    if now.view:
        require(all(now.view[kind] == sums[kind] for kind in kinds), "M7", "view", now.view, "rows", sums)
    require(min(sums.values()) >= 0, "M3", sums)
    told = sum(row["charged"] for row in now.rows if row["charged_by"] in ("assumed", "user"))
    unknown = sum(job.overrun for job in now.jobs if not _booked_overrun(now, job))
    owned = {job.id for job in now.owned.values()}
    forgotten = [job for job in now.jobs if job.id in stage.world.excused - owned]
    charged = sum(job.charged for job in now.jobs) - unknown - sum(min(job.charged, job.limit) for job in forgotten)
    require(sums["spent"] - told <= charged, "M2", "spent", sums["spent"], "assumed", told, "> charged", charged)
    require(charged <= sum(sums.values()), "M2", "charged", charged, "> booked", sums)
    dearest: dict[tuple[str, float], int] = defaultdict(int)
    for job in now.jobs:
        dearest[job.provider, job.seconds] = max(dearest[job.provider, job.seconds], job.charged)
    for row in now.rows:
        require(row["price"] >= 0 and row["charged"] >= 0, "M3", row)
        _row_money(row, now.owned.get(row["id"]), dearest[row["provider"], float(row["bought_s"])])


def _booked_overrun(now: Books, job: Bought) -> bool:
    return any(one is job and row["charged"] == job.charged for row in now.rows if (one := now.owned.get(row["id"])))


def _row_money(row: dict[str, Any], job: Bought | None, dearest: int) -> None:
    """M2 and M8 of one purchase. `dearest`: the most that a job of its kind has cost."""
    what = f"purchase {row['id']} {row['state']} charged {row['charged']} by {row['charged_by']}, truth {job}"
    if row["state"] in FREE:
        require(job is None, "M5", "a job for what was never bought:", what)
    if job is None:
        require(row["charged"] == 0 or row["charged_by"] == "user", "M2", what)
        return
    if row["state"] in HOLDS:
        require(job.agreed <= row["price"], "M2", what)
    elif row["charged_by"] == "provider":
        require(row["charged"] == job.charged and not job.open, "M8", what)
    else:
        require(job.agreed <= row["charged"] <= max(row["price"], job.charged), "M2", what)
    if row["charged_by"] == "assumed" and row["state"] in ("rendered", "fetched", "accepted", "rejected"):
        as_before = row["charged"] == row["price"] == dearest > job.limit  # the reservation that an overrun had raised
        require(row["charged"] == job.agreed or as_before, "M8", what)


def _owners(stage: Stage, now: Books) -> None:
    """M5, M6: every accepted job belongs to one committed purchase; one order, one request."""
    room = Counter(
        key_of(row)
        for row in now.rows
        if row["job_id"] is None and (row["state"] in ("submitting", "uncertain") or row["charged_by"] == "user")
    )
    refused = Counter(key_of(row) for row in now.rows if row["state"] == "refused")
    for job in now.unowned:
        if job.id in stage.world.excused:
            continue
        key = key_of_job(job)
        if job.faults & REFUSED_AT_ONCE and refused[key] > 0:  # the answer brought a job that says no: nothing to own
            require(not job.agreed, "M5", "refused, but charged:", job)
            refused[key] -= 1
            continue
        room[key] -= 1
        require(room[key] >= 0, "M5", "a job that no purchase knows of:", job)
        if job.id.encode() in stage.kept_aside():
            continue  # the next run takes it from there: at the end it must be known
        excused = stage.id_may_be_lost(job) or ("M5" not in STRICT and stage.injected["disk_error"])
        require(excused, "M5", "its id came whole and is not on disk:", job)
    sent = sum(row["submitted_at"] is not None for row in now.rows)
    creates = stage.requests().get("create", 0) - stage.world.watch.repeats - stage.world.forgotten_orders
    require(creates <= sent, "M5", creates, "creates, but", sent, "orders were written down")
    owners = Counter((row["provider"], row["job_id"]) for row in now.rows if row["job_id"])
    require(all(count == 1 for count in owners.values()), "M5", owners)


def _allowances(stage: Stage, now: Books) -> None:
    """M4: billed more than once only where a row says why."""
    known = [job for job in now.unowned if job.agreed and job.id not in stage.world.excused]
    spare = Counter(map(key_of_job, known))
    billed: Counter[str] = Counter()
    for row in now.rows:
        job = now.owned.get(row["id"])
        if job is None and row["state"] == "uncertain" and spare[key_of(row)] > 0:
            spare[key_of(row)] -= 1
            billed[row["recipe"]] += 1
        billed[row["recipe"]] += bool(job and job.agreed)
    allowed = Counter(row["recipe"] for row in now.rows if row["superseded"])
    for recipe, count in billed.items():
        require(count <= 1 + allowed[recipe], "M4", count, "billed, allowed", 1 + allowed[recipe], recipe[:12])
    live = Counter(row["recipe"] for row in now.rows if row["superseded"] is None and _stands(row))
    require(all(count <= 1 for count in live.values()), "M4", "two live purchases of one recipe", live)


def _stands(row: dict[str, Any]) -> bool:
    return not (row["state"] in FREE or (row["state"] in ("failed", "cancelled") and not row["charged"]))


def _history(stage: Stage, now: Books) -> None:
    """M6, M7, M12: every purchase began reserved, moved by legal arrows, and its last move is its row."""
    told: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for move in now.moves:
        told[move["purchase_id"]].append(move)
    for row in now.rows:
        moves = told[row["id"]]
        if moves and len(moves) == 1 and stage.world.ledgers_lost and row["job_id"]:
            continue  # made again from its receipt
        require(moves and moves[0]["state"] == "reserved", "M6", "no reservation:", row["id"])
        states = [move["state"] for move in moves]
        steps = [(was, to) for was, to in itertools.pairwise(states) if was != to]
        require(all(to in MOVES[State(was)] for was, to in steps), "M12", row["id"], states)
        last = moves[-1]
        same = all(last[name] == row[name] for name in ("state", "price", "charged", "superseded"))
        require(same, "M7", "history and row differ:", last, row)
        if row["state"] in ("accepted", "rejected"):
            wanted = ("reserved", "submitting", "rendering", "rendered", "fetched", row["state"])
            places = [states.index(state) for state in wanted if state in states]
            require(len(places) == len(wanted) and places == sorted(places), "M12", row["id"], states)


def _files(stage: Stage, now: Books) -> None:
    """M9: takes are the provider's own bytes; nothing but takes (or the user's own bytes) lies under a clip's name."""
    digests = set()
    owned = now.owned
    for take in now.takes:
        path = stage.outputs / take["path"]
        require(path.exists(), "M9", "a take is gone:", take["path"])
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        digests.add(digest)
        require(digest == take["sha256"], "M9", "a take's bytes have changed:", take["path"])
        job = owned.get(take["purchase_id"])
        require(job is not None, "M9", "a take without a job:", take["path"])
        assert job is not None
        whole, spoilt = stage.true_bytes(job.id)
        if take["good"]:
            require(
                data == whole or _is_told_as_twin(stage, take["remarks"], job) or digest in stage.world.praised,
                "M9",
                "not the provider's bytes:",
                take["path"],
                len(data),
                len(whole),
            )
            require(not job.faults & (BAD_CLIPS - {"clip_damaged"}), "M9", "a bad clip was accepted:", job)
        else:
            require(data in (whole, spoilt), "M9", "a rejected take is not what came:", take["path"])
            excused = job.faults & BAD_CLIPS or stage.world.damaged[job.id] >= 2
            require(excused, "M9", "a good clip was rejected:", job)
    if stage.world.ledgers_lost and stage.injected["disk_error"]:  # a receipt that a broken disk refused tells nobody
        digests |= {hashlib.sha256(path.read_bytes()).hexdigest() for path in stage.outputs.glob("takes/**/*.mp4")}
    for clip in sorted(stage.outputs.glob("clips/clip_*.mp4")):
        if clip.name not in stage.meddled:
            digest = hashlib.sha256(clip.read_bytes()).hexdigest()
            require(digest in digests, "M9", clip.name, "holds the bytes of no take")
    states = {row["id"]: row["state"] for row in now.rows}
    for take in now.takes:
        require(states[take["purchase_id"]] == ("accepted" if take["good"] else "rejected"), "M9", take)
    wasted = [job for job in now.jobs if job.wasted_s > LATE_S]
    require(not wasted, "M10", "a job that was running or done was thrown away:", wasted)


def _secrets(stage: Stage) -> None:
    """M15."""
    for folder, _, names in os.walk(stage.root):
        for name in names:
            if not name.endswith((".mp4", ".part")):
                data = Path(folder, name).read_bytes()
                require(CANARY not in data and not any(key.encode() in data for key in KEYS.values()), "M15", name)
    said = "".join(stage.link.lines) if stage.link is not None else ""
    require(CANARY.decode() not in said, "M15", "a worker of the cluster was sent a key")
    require(stage.requests().get("media_authorized", 0) == 0, "M15", "the key was sent to the media host")


# ── after a whole run ─────────────────────────────────────────────────────────────────────────────────────────────────


def told_truth(stage: Stage, now: Books, code: int) -> None:
    """M7, of a full run that wrote its report: its figures are the ledger's, its clips are there."""
    report = stage.report()
    for kind in ("spent", "reserved", "uncertain"):
        said = round(report["budget"][f"{kind}_usd"] * 1e6)
        require(said == now.total(kind), "M7", "the report says", kind, said, "the ledger", now.total(kind))
    require((code == 0) == all(gate["passed"] for gate in report["gates"]), "M7", "exit code", code, report["gates"])
    takes = {take["sha256"]: take for take in now.takes if take["good"]}
    prompts = {shot["shot_number"]: shot for shot in stage.read_shots()}
    placed, chosen = chains.look(stage)
    require(set(prompts) == {entry["shot_number"] for entry in report["clips"]}, "M7", "not the list's shots")
    for entry in report["clips"]:
        number = entry["shot_number"]
        require(entry["success"] or entry["error"], "M7", "failed without a word:", entry)
        if short := re.match(r"not bought: it costs \$([\d.]+)", entry["error"] or ""):
            left = report["budget"]["remaining_usd"]
            require(float(short[1]) > left, "M14", "it was not waited for money that came back:", left, entry["error"])
        if entry["success"] and not entry.get("edited"):
            clip = stage.clip(number)
            require(clip.exists(), "M9", "told as made, but not there:", clip.name)
            digest = hashlib.sha256(clip.read_bytes()).hexdigest()
            require(digest == entry["sha256"] and digest in takes, "M9", clip.name, "is not the take it is said to be")
            shot = prompts[number]
            wanted = shot.get(f"{entry['api_used']}_prompt", shot["prompt"])
            by_word = placed[number]["purchase_id"] in chosen  # the user picked, kept or locked it
            shown = stage.shown_clip(number)
            job = now.owned.get(placed[number]["purchase_id"])
            told = job is not None and _is_told_as_twin(stage, " ".join(entry.get("remarks", ())), job)
            require(by_word or told or shown == wanted, "M9", clip.name, "shows", shown)


def _is_told_as_twin(stage: Stage, remarks: str | None, job: Bought) -> bool:
    """Whether another shot's video came once, the job was gone (404) when asked for anew, and the user is told."""
    return "the same video as" in (remarks or "") and stage.world.missing[job.id] >= 2


def is_for_the_user(stage: Stage, row: Mapping[str, Any], job: Bought | None) -> bool:
    """Whether vgen cancelled the job, and the ledger that knew it is gone, and so is the key or the host: 404 to a new
    key, or of a new host while the old one has a page for everybody, says nothing. The message names `doit settle`."""
    nobody_can_tell = is_rotated(stage.environ) or "page" in stage.world.old_hosts.values()
    return row["state"] == "rendering" and _vanished(job) and stage.world.ledgers_lost > 0 and nobody_can_tell


def _vanished(job: Bought | None) -> bool:
    return job is not None and job.state is JobState.CANCELLED and not job.charged


def at_the_end(stage: Stage, now: Books, *, max_retries: int, ample: bool) -> None:
    """After the calm runs: M3, M4, M8, M10, M14."""
    for row in now.rows:
        job = now.owned.get(row["id"])
        what = f"purchase {row['id']} {row['state']} {row['error']!r}, truth {job}"
        require(row["state"] in END, "M14", "not at its end:", what)
        if "M10" not in STRICT and (row["error_code"] == "unreadable" or stage.injected["poll_404"]):
            continue
        if row["state"] == "failed":
            by_hand = row["charged_by"] == "user" and is_for_the_user(stage, {**row, "state": "rendering"}, job)
            require(by_hand or (job and job.state is JobState.FAILED), "M10", "booked as failed:", what)
        if row["state"] == "cancelled":
            require(job and job.state is JobState.CANCELLED, "M10", "booked as cancelled:", what)
    for job in now.unowned:
        require(job.id.encode() not in stage.kept_aside(), "M5", "its id is kept aside to the end:", job)
    require(now.total("reserved") == 0, "M3", "still reserved:", now.total("reserved"))
    _bounded(now, max_retries, stage.world.wishes)
    if ample:
        _explained(stage, now, max_retries)


def _bounded(now: Books, max_retries: int, wishes: Mapping[str, int]) -> None:
    """M4: paid attempts at one API stay within max_retries, and as many more for each -a of the user's own.

    `wishes`: how often each clip was named with -a; one that found nothing to supersede allows attempts of its own too.
    """
    paid: Counter[tuple[str, str]] = Counter()
    shots: dict[str, set[int]] = defaultdict(set)
    for row in now.rows:
        shots[row["recipe"]].add(row["shot_number"])
        if (row["charged"] or row["state"] == "uncertain") and row["superseded"] != "again":
            paid[row["recipe"], row["provider"]] += 1
    again = [row for row in now.rows if row["superseded"] == "again"]
    for (recipe, provider), count in paid.items():
        mine = [row for row in again if row["recipe"] == recipe or row["shot_number"] in shots[recipe]]
        asked = sum(wishes[f"clip:{number}"] for number in shots[recipe])
        # `mine` by shot too: where a shot has a text for each API, the take that was superseded has another recipe
        most = max_retries * (1 + max(len(mine), asked))
        require(count <= most, "M4", count, "paid attempts at", provider, "of", recipe[:12], "allowed", most)


def _explained(stage: Stage, now: Books, max_retries: int) -> None:
    """M14: with money enough and a calm provider, a shot without a clip has a reason among its purchases."""
    for entry in stage.report()["clips"]:
        if entry["success"]:
            continue
        mine = [
            row
            for row in now.rows
            if row["shot_number"] == entry["shot_number"] or row["recipe"] == entry["prompt_hash"]
        ]
        mine = chains.of_today(stage, entry["shot_number"], mine)
        paid = Counter(row["provider"] for row in mine if row["charged"])
        reasons = (
            any(row["state"] in ("uncertain", "lost") or row["final"] for row in mine),
            any(count >= max_retries for count in paid.values()),
            _rejected_alike(stage, now, mine),
            stage.injected["price_overrun"] > 0,  # its limiter is closed
            stage.world.factor > 1,
            stage.clip(entry["shot_number"]).name in stage.meddled,
            chains.waits(stage, entry["shot_number"]),
            "the same text was bought"
            in entry["error"],  # for another shot, at a provider where this one has its own text
            "`doit -a clip:" in entry["error"] and any(_is_cancelled_by_a_lost_ledger(stage, now, row) for row in mine),
        )
        require(any(reasons), "M14", "no clip in calm weather:", entry["error"], mine)


def _is_cancelled_by_a_lost_ledger(stage: Stage, now: Books, row: Mapping[str, Any]) -> bool:
    """Whether vgen cancelled the job for free, in a ledger that an older one has replaced: this one can't know who did,
    and asks the user."""
    return row["state"] == "cancelled" and _vanished(now.owned.get(row["id"])) and stage.world.ledgers_lost > 0


def _rejected_alike(stage: Stage, now: Books, rows: list[dict[str, Any]]) -> bool:
    """Whether two takes of the very same order were rejected for one reason, by what the provider made of them."""
    seen: set[tuple[str, str, str]] = set()
    for row in rows:
        job = now.owned.get(row["id"])
        if row["state"] != "rejected" or job is None:
            continue
        is_damaged = "clip_damaged" in job.faults or stage.world.damaged[job.id] >= 2
        reasons = {"clip_damaged"} if is_damaged else job.faults & BAD_CLIPS
        kinds = {(row["provider"], row["request"], reason) for reason in reasons}
        if kinds & seen:
            return True
        seen |= kinds
    return False
