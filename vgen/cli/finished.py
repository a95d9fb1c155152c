"""Records that a run left nothing to do, or what a plan said then, so that the next one sees it at once (see noop)."""

import contextlib
import hashlib
import sys
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from vgen.cli import noop, stamps, typed
from vgen.cli.commands import collect
from vgen.cli.reporter import PlainReporter
from vgen.cli.stamps import Place
from vgen.cli.typed import Typed
from vgen.inputs import own_models
from vgen.inputs.keys import is_loopback
from vgen.inputs.pictures import File
from vgen.ranges import runs
from vgen.store.database import commits
from vgen.store.lock import unsign_lock
from vgen.store.outputs import clip_name

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.plan.step import Step


def record(session: "Session") -> None:
    """Write the stamp of a finished production, or of named clips that were up to date when the run began."""
    words = _understood(session)
    if words is None or words.is_plan:
        return
    view, workspace = session.view(), session.workspace
    chosen = session.selection.numbers
    steps = [step for step in view.plan.steps if words.is_whole or step.number in chosen]
    fit = _is_whole(session) if words.is_whole else _did_nothing(session, words)
    if not fit or not all(s.finished for s in steps):
        return
    unsign_lock(workspace.outputs)
    placed = {row.name: row for row in view.snapshot.placed.values()}
    rows = [placed[clip_name(step.number)] for step in steps]
    left = {row.name: (row.size_bytes, row.mtime_ns) for row in rows}
    with contextlib.suppress(OSError, ValueError):
        place = _place(session)
        if (facts := stamps.facts(place, left=left, changed_nothing=not words.is_whole)) is not None:
            told = (facts, ",".join(runs(step.number for step in steps)) or noop.NONE, _links(steps))
            free = words.without_budget() if words.is_whole else None
            named = noop.NONE if free is None else noop.spelled("named", *told, *free)
            stamps.add(place, noop.STAMP, (*told, noop.spelled("whole", *told, *words.words()), named))


def record_plan(session: "Session", text: str, data: bytes) -> None:
    """Write what a plan said, and wrote into plan.json, if nothing is left to do that time or others could change."""
    words, ready = _understood(session), session.workspace.ready
    if words is None or not words.is_plan or session.selection.tasks != {typed.PLAN} or "\0" in text:
        return
    plan = session.plan
    done = collect.nothing_left_over(session) and all(step.finished for step in plan.steps)
    asked = any(is_loopback(provider.terms.base_url) for provider in ready.offers)  # who answers there may change
    if not done or asked or plan.budget.reserved:
        return
    with contextlib.suppress(OSError, ValueError):
        place = _place(session)
        if (facts := stamps.facts(place, left={}, changed_nothing=True)) is not None:
            sha256 = hashlib.sha256(data).hexdigest()
            told = noop.spelled("plan", facts, sha256, text, typed.program(), *words.words())
            stamps.add(place, noop.PLANNED, (facts, told, sha256, text, noop.NONE))


def _understood(session: "Session") -> Typed | None:
    """What was typed, if noop understands it, and a user's own `doit` ran it as vgen is."""
    words = typed.understood(sys.argv[1:])
    shown = session.reporter
    stock = session.is_stock and session.entered and isinstance(shown, type) and shown.__bases__ == (PlainReporter,)
    return words if stock and words is not None and words.variables == session.variables else None


def _is_whole(session: "Session") -> bool:
    """Whether a run was about everything, and report and gallery are known to be true."""
    steps, known = session.plan.steps, session.current == {"report", "gallery"}
    every = {"collect", "clip", "report", "gallery", *(f"clip:{step.number}" for step in steps)}
    return known and session.selection.tasks == every and collect.nothing_left_over(session)


def _did_nothing(session: "Session", words: Typed) -> bool:
    """Whether a run of named clips found nothing to do, and nothing to put right or to tell."""
    chosen = session.selection
    only = chosen.tasks == {f"clip:{number}" for number in chosen.numbers} >= set(words.names)
    now = commits(session.workspace.outputs.ledger)
    return only and not session.worked and not session.workspace.notes and now == session.reported.began_at


def _place(session: "Session") -> Place:
    workspace = session.workspace
    run, shots = workspace.ready.run, [request.shot for request in workspace.requests]
    pictures = (source.path for shot in shots for _, source in shot.pictures.pairs if isinstance(source, File))
    own = [table.own_file for _, table in own_models.tables() if (workspace.root / table.own_file).exists()]
    read = [run.api_config, run.visual_prompts, run.sign_certificate, run.sign_key, *own, *pictures]
    names = _others(read, noop.GIVEN)
    root, outputs = str(workspace.root), str(workspace.outputs.root)
    return Place(root=root, outputs=outputs, read=names, began_ns=session.began_ns, there=session.given)


def _others(names: Iterable[str], known: Collection[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name and name not in known]


def _links(steps: "Iterable[Step]") -> str:
    """The clips that need frames of others, and whose."""
    found = {step.number: sorted(step.sources) for step in steps if step.sources}
    return ";".join(f"{number}<{','.join(map(str, sources))}" for number, sources in found.items()) or noop.NONE
