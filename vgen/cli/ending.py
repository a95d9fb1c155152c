"""The end of every command that holds the run lock: report and gallery are made true, and it is said how things stand.

One place for all commands: whether there is anything to do is asked of the ledger, which every change passes.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import trio

from vgen.cli import reporting
from vgen.cli.commands import gallery
from vgen.errors import ClipFailed, LedgerError, Refusal
from vgen.plan import takes_wanted
from vgen.plan.decision import FINAL_IS_HERE
from vgen.store import mark
from vgen.store.database import Commits, commits
from vgen.store.outputs import Outputs
from vgen.views import ending, terminal
from vgen.views.ending import Ending, Missing

if TYPE_CHECKING:
    from vgen.cli.session import Session

FAILED = 1
"""Exit code: report or gallery could not be written."""


def end(session: "Session", *, interrupted: bool) -> int:
    """Make report and gallery true if anything has changed, then tell the end. Returns the exit code of doing so.

    A command that changed nothing and wanted nothing stays as quiet as make.
    """
    done, ledger = session.reported, session.workspace.outputs.ledger
    changed = commits(ledger) != done.began_at
    if not (changed or session.worked or session.judges) and _are_true(session):
        return 0
    try:
        if interrupted or not done.is_true(ledger, "report") or done.ending is None:
            reporting.write_report(session, interrupted=interrupted)
        if not done.is_true(ledger, "gallery"):
            trio.run(_write_gallery, session, not interrupted, clock=session.clock)
    except ClipFailed:
        return FAILED
    finally:
        if done.ending is not None:
            _tell(session, done.ending, interrupted=interrupted)
    _remember(session)
    return 0


def _are_true(session: "Session") -> bool:
    """Whether report and gallery tell of this ledger: a run that was killed left them as they had been before it.

    They are looked at only where nobody has remembered of what they tell.
    """
    outputs, done = session.workspace.outputs, session.reported
    now = commits(outputs.ledger)
    if now is None or _is_remembered(outputs, now):
        return True
    try:
        true = done.both_true(outputs.ledger) or (reporting.is_current(session) and gallery.is_current(session))
    except (OSError, LedgerError, Refusal):
        return False  # who writes them says why
    if true:
        _remember(session)
    return true


def _remember(session: "Session") -> None:
    """Write down of which state of the ledger report and gallery tell, for `_are_true`."""
    outputs = session.workspace.outputs
    now = commits(outputs.ledger)
    if now is not None and session.reported.both_true(outputs.ledger) and not _is_remembered(outputs, now):
        with contextlib.suppress(OSError):
            outputs.told.write_text(_spelled(outputs, now), encoding="utf-8")


def _is_remembered(outputs: Outputs, now: Commits) -> bool:
    try:
        return outputs.told.read_text("utf-8") == _spelled(outputs, now)
    except (OSError, UnicodeDecodeError):
        return False


def _spelled(outputs: Outputs, now: Commits) -> str:
    """Which ledger, by its own name (a copy of the project is another file), and how often it was written."""
    known = mark.read(outputs.mark)
    return f"{known.ledger if known else ''} {now[1]}\n"


def tell_files(session: "Session") -> None:
    """Make those of report and gallery true that are there. Raises ClipFailed; why was told."""
    outputs = session.workspace.outputs
    if outputs.report_json.exists():
        reporting.write_report(session)
    if outputs.gallery.exists():
        trio.run(_write_gallery, session, True, clock=session.clock)


async def _write_gallery(session: "Session", draw: bool) -> None:
    await gallery.write(session, draw=draw)


def _tell(session: "Session", now: Ending, *, interrupted: bool) -> None:
    """The count and the money, what was edited, each shot that is missing, failed gates, what goes on elsewhere."""
    told = [ending.count(now), *ending.edits(now), *ending.locks(now), *now.unclaimed]
    for text in told:
        terminal.line(None, text, "summary")
    for one in (*_no_new_take(session, now), *now.missing):
        terminal.line(one.number, one.text, "missing", command=one.command)
    for number, text in _too_few_takes(session, now):
        terminal.line(number, text, "note")
    gates = [f"quality gate failed: {text}" for text in now.gates] if session.judges else []
    rest = [text for text in (ending.others(now), *gates) if text]
    for text in rest:
        terminal.line(None, text, "summary")
    last = reporting.in_flight_line(session) if interrupted else "; ".join([*told, *rest])
    if interrupted:
        terminal.line(None, last, "interrupted")
    if session.selection.builds:
        reporting.announce_end(session, "gate" if gates else "end", last, now)


def _no_new_take(session: "Session", now: Ending) -> Iterator[Missing]:
    """With -a: clips that are in place as they were before, because no new take came."""
    for number in sorted(session.selection.again & now.good & session.run.messages.keys()):
        command = session.advice(f"`doit -a clip:{number}`")
        text = f"no new take: {session.run.messages[number].rstrip('.')}"
        text += "" if command in text or FINAL_IS_HERE in text else f"; {command} tries again"
        yield Missing(number=number, text=text, command=command.strip("`"))


def _too_few_takes(session: "Session", now: Ending) -> Iterator[tuple[int, str]]:
    """Of the clips in place that the command was about, those with fewer takes than are wanted, and what to type."""
    for step in session.plan.steps if session.selection.builds else ():
        asked = step.number in now.good and (now.wanted is None or step.number in now.wanted)
        if not asked or not step.further:
            continue
        text = f"has {takes_wanted.text(step.request, step.takes, step.further)}"
        text += f"; `doit clip:{step.number}` goes on" if any(one.is_due for one in step.further) else ""
        yield step.number, text
