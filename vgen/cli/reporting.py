"""The report of a session: gathered from ledger and files, written if it tells anything new, announced to others."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgen.cli import notify
from vgen.errors import ClipFailed, InputError, LedgerError, Refusal, VgenError
from vgen.inputs.keys import without_keys
from vgen.money import show, usd
from vgen.store import atomic, review
from vgen.store.database import Commits, commits
from vgen.store.ledger import Ledger
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE, State
from vgen.views import ending, report, terminal
from vgen.views.ending import Ending
from vgen.views.report import Entry, Gate

if TYPE_CHECKING:
    from vgen.cli.session import Session

INTERRUPTED = "interrupted. "
NOT_BEGUN = INTERRUPTED + "What is done is kept; run the command again to continue"


@dataclass(slots=True)
class Reported:
    """What this command has made of report and gallery. `true_at`: file → the ledger's commits that it tells of.

    `began_at`: the ledger's commits before the command held the lock. `ending`: how the report says that it stands.
    """

    began_at: Commits | None = None
    true_at: dict[str, Commits | None] = field(default_factory=dict)
    ending: Ending | None = None

    def is_true(self, ledger: Path, file: str) -> bool:
        """Whether `report` or `gallery` tells of the ledger as it is now."""
        return file in self.true_at and self.true_at[file] == commits(ledger)

    def both_true(self, ledger: Path) -> bool:
        """Whether both do."""
        return self.is_true(ledger, "report") and self.is_true(ledger, "gallery")

    @contextlib.contextmanager
    def unchanged(self, ledger: Path) -> Iterator[None]:
        """What the ledger takes in meanwhile is in no report: that a run is over."""
        true = [file for file in self.true_at if self.is_true(ledger, file)]
        yield
        self.true_at.update(dict.fromkeys(true, commits(ledger)))


def tell_refused(session: "Session", error: VgenError) -> None:
    """Nothing is begun: programs are told by an event for each problem, with a code."""
    problems = error.problems if isinstance(error, InputError) else (str(error),)
    terminal.error(session.reporter, map(session.advice, problems), error.code, session.stamp)


def follow_shots(session: "Session") -> None:
    """Locks and notes follow their shots through edits and new numbers: what they are known by is remembered.

    That alone is no change that a run would tell of; where it can't be written, the next run does it.
    """
    if not (moved := session.plan.moved()):
        return
    ledger, done = session.workspace.outputs.ledger, session.reported
    unchanged = commits(ledger) == done.began_at
    with contextlib.suppress(LedgerError, Refusal):
        with contextlib.closing(Ledger(ledger, now=session.services.now)) as opened:
            review.follow(opened, moved)
        done.began_at = commits(ledger) if unchanged else done.began_at


def reported(session: "Session", *, interrupted: bool = False) -> tuple[list[Entry], list[Gate], dict[str, Any]]:
    """Entries, gates and the whole report, from the ledger and the files as they are now."""
    view, run = session.latest(), session.run
    folder = _shown_folder(session)
    entries = report.clips(
        view.plan, view.snapshot, lambda number: f"{folder}/{clip_name(number)}", run.messages, session.advice
    )
    minimum = session.workspace.ready.run.min_success_rate
    gates = report.gates(entries, view.plan.budget, min_success_rate=minimum)
    return entries, gates, report.production_report(entries, gates, view.plan, _facts(session, interrupted=interrupted))


def _facts(session: "Session", *, interrupted: bool) -> report.RunFacts:
    run = session.run
    up_to_date = sum(step.done for step in session.plan.steps)
    counted = run.counters
    return report.RunFacts(
        id=run.id,
        started_at=run.started_at,
        finished_at=session.services.now(),
        generated=counted.generated,
        reused=max(0, up_to_date - counted.generated - counted.resumed),
        resumed=counted.resumed,
        interrupted=interrupted,
    )


def _shown_folder(session: "Session") -> str:
    """Where the clips are, as the JSON outputs say it."""
    clips, root = session.workspace.outputs.clips, session.workspace.root
    if session.workspace.ready.run.clip_paths == "absolute":
        return clips.resolve().as_posix()
    return clips.relative_to(root).as_posix() if clips.is_relative_to(root) else clips.as_posix()


def write_report(session: "Session", *, interrupted: bool = False) -> Ending:
    """Write clips.json and production_report.json if they would tell anything new. Raises ClipFailed; why was told."""
    outputs = session.workspace.outputs
    try:
        now = commits(outputs.ledger)
        entries, gates, whole = reported(session, interrupted=interrupted)
        outputs.root.mkdir(parents=True, exist_ok=True)
        _write(outputs.clips_json, report.seven(entries))
        _write(outputs.report_json, whole, always=interrupted)
    except (OSError, LedgerError, Refusal) as exc:
        what = exc.strerror if isinstance(exc, OSError) else exc
        terminal.line(None, f"vgen can't write the report: {what}; make room and run again")
        terminal.line(None, in_flight_line(session).removeprefix(INTERRUPTED))
        raise ClipFailed("no report") from exc
    return _told(session, entries, gates, now)


def is_current(session: "Session") -> bool:
    """Whether the written report tells the truth of now, and all gates hold."""
    now = commits(session.workspace.outputs.ledger)
    entries, gates, whole = reported(session)
    outputs = session.workspace.outputs
    true = _says(outputs.clips_json, report.seven(entries)) and _says(outputs.report_json, whole)
    if true:
        _told(session, entries, gates, now)
    return true and all(gate.passed for gate in gates)


def _told(session: "Session", entries: Sequence[Entry], gates: Sequence[Gate], now: Commits | None) -> Ending:
    """The report on disk tells of the ledger's commits up to `now`: remember that, and how it says that things are."""
    wanted, builds = session.wanted, session.selection.builds
    rows = session.view().snapshot.purchases.values()
    unsure = [row for row in rows if row.state is State.UNCERTAIN]
    end = ending.ending(entries, gates, session.plan, unsure, wanted=wanted, builds=builds, advice=session.advice)
    session.reported.true_at["report"] = now
    session.reported.ending = end
    return end


def _says(path: Path, value: Any) -> bool:
    try:
        with path.open("rb") as file:
            return report.says(file, value)
    except OSError:
        return False


def _write(path: Path, value: Any, *, always: bool = False) -> None:
    """Unless the file says it already."""
    if always or not _says(path, value):
        atomic.write_whole(path, (text.encode() for _, text in report.pieces(value)))


def in_flight_line(session: "Session") -> str:
    """What stays at the providers when a run is interrupted, and the command that goes on with just that."""
    rows = [row for row in session.view().snapshot.purchases.values() if row.superseded is None]
    running = [row for row in rows if row.state in COLLECTABLE]
    unsure = [row for row in rows if row.state in (State.UNCERTAIN, State.SUBMITTING)]
    told = []
    if running:
        jobs, them = ("1 job", "it") if len(running) == 1 else (f"{len(running)} jobs", "them")
        verb = "is" if len(running) == 1 else "are"
        cost = show(sum(row.cost for row in running))
        told.append(
            f"{jobs} ({cost}, already ordered) {verb} still running; "
            f"run `{_again(session)}` to download {them} at no extra cost"
        )
    if unsure:
        orders = "1 order" if len(unsure) == 1 else f"{len(unsure)} orders"
        cost = show(sum(row.cost for row in unsure))
        told.append(f"{orders} may or may not have been accepted ({cost}); run `doit recover`")
    return INTERRUPTED + ("; ".join(told) or "no job is running")


def _again(session: "Session") -> str:
    """The build that was typed, as a command: `doit` buys shots that nobody asked for if some were named."""
    named = session.wanted if session.selection.builds else None
    return " ".join(("doit", *(f"clip:{number}" for number in sorted(named or ()))))


def announce(session: "Session", event: str, text: str, **facts: Any) -> None:
    """Notify whoever the settings name. The run neither waits for it nor fails by it."""
    settings = session.workspace.ready
    about = {"event": event, "text": text, "run": session.run.id, "simulated": settings.simulated}
    outputs = session.workspace.outputs
    notify.send(
        about | {"outputs": str(outputs.root.resolve())} | facts,
        command=settings.run.notify_command,
        url=settings.run.notify_url,
        proxy=settings.run.proxy,
        log=outputs.private / "notify.log",
        environment=without_keys(),
    )


def announce_end(session: "Session", event: str, text: str, end: Ending) -> None:
    """Notify of the end of a run, or of a gate that failed, with the counts and the money."""
    announce(
        session,
        event,
        text,
        total_clips=end.total,
        successful_clips=len(end.good),
        failed=sorted([*(one.number for one in end.missing), *end.others]),
        spent_usd=usd(end.budget.spent),
        uncertain_usd=usd(end.budget.uncertain),
    )
