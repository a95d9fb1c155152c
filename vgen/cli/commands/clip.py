"""`doit clip:7`: one task a shot, whose target is the clip."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vgen import chains
from vgen.cli import typed
from vgen.cli.command import Action, Command, Task
from vgen.cli.doit.runner import AsyncAction
from vgen.errors import VgenError
from vgen.plan.decision import File
from vgen.plan.step import Step
from vgen.store.outputs import clip_name
from vgen.store.takes import remove_clip
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _members(session: "Session", command: Command) -> Iterator[Task]:
    """The group, and a task a shot; vgen's own records say whether it is up to date."""

    async def make(number: int) -> None:
        from vgen.production import make

        step, again = session.plan.step(number), number in session.selection.again
        if step.finished and not again:
            return  # the task was made before it was known that only others' frames are wanted of it
        await make.make(session.run, step.request, step.file, again=again)

    def clean(number: int, dryrun: bool = False) -> None:
        step = session.plan.step(number)
        _clean_one(session, session.workspace.outputs.clip(number), step.file, dryrun=dryrun)

    def clean_departed(dryrun: bool = False) -> None:
        workspace = session.workspace
        departed = workspace.placed_states() if workspace.problems else session.plan.departed
        for name, file in departed.items():
            _clean_one(session, workspace.outputs.clips / name, file, dryrun=dryrun)

    yield {
        "name": None,
        "doc": command.doc,
        "meta": {"runs_after_failures": True, "soft": True},
        "clean": [clean_departed],
    }
    action = AsyncAction(make, session)
    folder = session.workspace.relative(session.workspace.outputs.clips)
    io, meta = {"capture": False}, {"soft": True}
    steps = _wanted(session, _steps(session))
    sources = {step.number: step.sources for step in steps if step.sources}
    ranks = chains.ranks([step.number for step in steps], sources)
    for step in sorted(steps, key=lambda step: ranks[step.number]):  # what others wait for begins first
        yield {
            "name": str(step.number),
            "doc": _what(step),
            "actions": [(action, [step.number])],
            "targets": [f"{folder}/{clip_name(step.number)}"],
            "uptodate": [step.finished],
            "clean": [(clean, [step.number])],
            "io": io,
            "meta": meta,
            **_after(step),
        }


def _after(step: Step) -> Task:
    """What a task has more that needs frames of other clips: it begins after theirs, however they end."""
    if not step.sources:
        return {}
    deps = [f"clip:{number}" for number in sorted(step.sources)]
    return {"task_dep": deps, "meta": {"soft": True, "runs_after_failures": True}}


def _wanted(session: "Session", steps: Sequence[Step]) -> Sequence[Step]:
    """Of 10,000 shots, those that were named by their numbers, and those whose frames they need."""
    words = typed.understood(list(session.only))
    found = {step.number: step for step in steps}
    if words is None or not words.clips or not found.keys() >= set(words.clips):
        return steps  # whoever says what is wrong with a name knows all of them
    waiting, chosen = words.clips, set[int]()
    while waiting:
        chosen.update(waiting)
        waiting = [n for number in waiting for n in found[number].sources if n not in chosen]
    return [step for step in steps if step.number in chosen]


def _steps(session: "Session") -> Sequence[Step]:
    """The plan's steps; what keeps it from being made becomes a problem: `doctor` and `clean` still work.

    doit's other commands (`list`, `info`, …) ask no session: they go on without clips, and say why.
    """
    problems = session.workspace.problems
    if not problems:
        try:
            return session.plan.steps
        except (VgenError, OSError) as exc:
            problems.append(str(exc))
    if not session.entered:
        for problem in problems:
            terminal.warn(session.advice(problem))
    return ()


def _clean_one(session: "Session", clip: Path, file: File, *, dryrun: bool) -> None:
    if file is File.EDITED:
        terminal.out(f"{clip.name} - kept: it was edited by hand, and there is no other copy")
    elif clip.exists():
        terminal.out(f"{session.workspace.relative(clip)} - removing file")
        if not dryrun:
            remove_clip(clip)


def _what(step: Step) -> str:
    why = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in step.why)
    return f"shot {step.number}: {why}"


def _begin(_: "Session") -> Action:
    raise AssertionError("BUG: a group does nothing itself")


COMMAND = Command(
    name="clip",
    doc="one clip per shot: bought if it is stale or missing, else left alone",
    usage=(
        ("doit", "build what is stale or missing: clips, report, gallery"),
        ("doit clip:7", "shot 7 only; `doit -a clip:7` buys a new take of it"),
    ),
    begin=_begin,
    builds=True,
    members=_members,
)
