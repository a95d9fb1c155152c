"""The tasks as doit's plain dicts, and what a run does round them. The top: it knows everything, and decides little."""

import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from vgen.cli import noop, reporter
from vgen.cli.commands import misc, pick
from vgen.cli.doit.compat import command_line_variables
from vgen.cli.doit.runner import AsyncAction
from vgen.errors import ClipFailed, InputError, LedgerError, Refusal, VgenError
from vgen.inputs.variables import COMMAND_VARIABLES
from vgen.money import usd
from vgen.plan import approved_plan, plan
from vgen.plan.decision import Action, File
from vgen.plan.plan import Step
from vgen.production.services import Outside
from vgen.production.workspace import Project, current_batch
from vgen.providers.base import JOB_ID
from vgen.store.lock import unsign_lock
from vgen.store.outputs import clip_name
from vgen.store.takes import remove_clip
from vgen.views import terminal
from vgen.views.report import Entry, Gate

Task = dict[str, Any]

LOOKS_ONLY = frozenset({"plan", "doctor", "audit", "takes"})
"""Tasks that change nothing and need no run lock."""
BUILDS_NOTHING = LOOKS_ONLY | {"recover", "settle", "pick", "keep", "conform", "cut"}
"""Tasks that make no clip and no report."""
NEED_A_SHOT = {
    "settle": "doit settle shot=2 as=charged",
    "pick": "doit pick shot=7 take=2",
    "keep": "doit keep shot=7",
}


class Tasks:
    """The tasks of one project. Also the `Session` that trio_doit puts round a run."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None, outside: Outside | None = None) -> None:
        self._began_ns = time.time_ns()
        self._given = noop.given(str(root))
        self._current: set[str] = set()
        self._own_world = environ is not None or outside is not None
        self._variables = command_line_variables()
        self.project = Project(root, self._variables, environ, outside)
        self.clock = self.project.outside.clock
        self.reporter: Any = None
        self._full = False
        self._selected: set[str] = set()
        self._builds = True
        self._forced = False
        self._entered = False
        self._shot = 0
        self._choice: pick.Choice | None = None

    def config(self) -> dict[str, Any]:
        """DOIT_CONFIG."""
        known = self.project.settings
        return {
            "par_type": "trio",
            "continue": True,
            "default_tasks": ["collect", "clip", "report", "gallery"],
            "backend": "json",
            "dep_file": str(self.project.root / ".doit.db"),
            "reporter": reporter.discreet(known.secrets() if known else ()),
            "session": self,
            "verbosity": 2,
        }

    # ── the tasks ─────────────────────────────────────────────────────────────────────────────────────────────────

    def clips(self) -> Iterator[Task]:
        """One task a shot; its target is the clip, and vgen's own records say whether it is up to date."""
        yield {
            "name": None,
            "doc": "one clip per shot: bought if it is stale or missing, else left alone",
            "meta": {"runs_after_failures": True, "soft": True},
            "clean": [self._clean_departed],
        }
        make = AsyncAction(self._make, self)
        folder = self.project.relative(self.project.outputs.clips)
        io, meta = {"capture": False}, {"soft": True}
        for step in self._steps():
            yield {
                "name": str(step.number),
                "doc": _what(step),
                "actions": [(make, [step.number])],
                "targets": [f"{folder}/{clip_name(step.number)}"],
                "uptodate": [step.done],
                "clean": [(self._clean_clip, [step.number])],
                "io": io,
                "meta": meta,
            }

    def _steps(self) -> Sequence[Step]:
        """The plan's steps; what keeps it from being made becomes a problem: `doctor` and `clean` still work.

        doit's other commands (`list`, `info`, …) ask no session: they go on without clips, and say why.
        """
        if not self.project.problems:
            try:
                return self.project.plan().steps
            except (VgenError, OSError) as exc:
                self.project.problems.append(str(exc))
        if not self._entered:
            for problem in self.project.problems:
                terminal.warn(problem)
        return ()

    def collect(self) -> Task:
        """Jobs and clips that no shot of the list wants any more."""
        return {
            "actions": [AsyncAction(self._collect, self)],
            "uptodate": [self._nothing_left_over],
            "io": {"capture": False},
            "meta": {"runs_after_failures": True, "soft": True},
        }

    def report(self) -> Task:
        """clips.json and production_report.json, and the judgement of the gates."""
        return {
            "actions": [AsyncAction(self._report)],
            "targets": [
                self.project.relative(self.project.outputs.clips_json),
                self.project.relative(self.project.outputs.report_json),
            ],
            "uptodate": [self._report_is_current],
            "task_dep": ["clip", "collect"],
            "clean": True,
            "io": {"capture": False},
            "meta": {"runs_after_failures": True},
        }

    def gallery(self) -> Task:
        """One page that shows every shot: clip, takes, money, reasons."""
        return {
            "actions": [AsyncAction(self._gallery)],
            "targets": [self.project.relative(self.project.outputs.gallery)],
            "uptodate": [self._gallery_is_current],
            "task_dep": ["report"],
            "clean": True,
            "io": {"capture": False},
            "meta": {"runs_after_failures": True},
        }

    def conform(self) -> Task:
        """Uniform clips in outputs/conformed/, from the clips that are there. Buys nothing."""
        return {
            "actions": [AsyncAction(self._conform, self)],
            "uptodate": [self._is_conformed],
            "clean": [self._clean_conformed],
            "io": {"capture": False},
        }

    def cut(self) -> Task:
        """The conformed clips joined into outputs/cut.mp4. Buys nothing."""
        return {
            "actions": [AsyncAction(self._cut, self)],
            "targets": [self.project.relative(self.project.outputs.cut)],
            "uptodate": [self._is_cut],
            "task_dep": ["conform"],
            "clean": True,
            "io": {"capture": False},
            "meta": {"runs_after_failures": True},
        }

    def plan(self) -> Task:
        """What a run would do, why, and for how much. Spends nothing."""
        return {
            "actions": [partial(misc.show_plan, self.project)],
            "uptodate": [False],
            "io": {"capture": False},
            "verbosity": 2,
        }

    def recover(self) -> Task:
        """Look for lost jobs at the providers and adopt them. Buys nothing."""
        return {"actions": [self._waiting(misc.find_lost)], "uptodate": [False], "io": {"capture": False}}

    def settle(self) -> Task:
        """Write down what you found out about an uncertain purchase: `shot=2 as=charged`, `not-charged`, a job id."""
        return {"actions": [AsyncAction(self._settle, self)], "uptodate": [False], "io": {"capture": False}}

    def takes(self) -> Task:
        """All takes of all shots, with their files."""
        return {"actions": [partial(misc.show_takes, self.project)], "uptodate": [False], "io": {"capture": False}}

    def pick(self) -> Task:
        """Put a take of a shot in its place, free: `shot=7 take=2`."""
        return {"actions": [AsyncAction(self._choose, self)], "uptodate": [False], "io": {"capture": False}}

    def keep(self) -> Task:
        """Accept the present clip of a shot for its changed prompt, free: `shot=7`."""
        return self.pick()

    def audit(self) -> Task:
        """Recompute every figure from raw rows and files, and with keys compare with the providers'."""
        return {"actions": [self._waiting(misc.audit)], "uptodate": [False], "io": {"capture": False}}

    def doctor(self) -> Task:
        """Whether everything that a run needs is there, and what to do if not."""
        return {
            "actions": [partial(misc.examine, self.project)],
            "uptodate": [False],
            "io": {"capture": False},
            "verbosity": 2,
        }

    # ── the session ───────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def before_load(self, names: Sequence[str]) -> Iterator[None]:
        """Bad input ends here, with all problems; a build holds the run lock from here on."""
        self._entered = True
        self._refuse_strays(names)
        if names and set(names) <= {"doctor"}:
            yield
            return
        ready = self.project.ready
        if names and set(names) <= LOOKS_ONLY:
            yield
            return
        with self.project.locked(wait=ready.run.wait):
            yield

    def before_run(self, named: Sequence[str], selected: Sequence[str], *, always: bool) -> None:
        """Refuse what can't be made or paid; free work comes before the refusal."""
        known = self.project.settings
        terminal.choose(self.reporter, known.secrets() if known else (), self.project.stamp)
        if self.project.problems and not set(selected) <= {"doctor"}:
            raise InputError(self.project.problems)
        self._builds = not set(selected) <= BUILDS_NOTHING
        if {"pick", "keep"} & set(selected):
            self._choice = pick.resolve(self.project, self._shot, self._variables.get("take"))
        if not self._builds:
            return
        self.project.selected = _numbers(selected)
        self._full = "collect" in selected
        self._selected = set(selected)
        self._forced = always
        if always:
            self.project.again = _numbers(named)
            self.project.replan()
        for warning in self.project.ready.warnings:
            if self._has_work():
                terminal.line(None, warning)
        if impossible := self.project.plan().impossible(self.project.selected):
            raise InputError(impossible)
        self._refuse_drift()
        if self.project.ready.simulated and any(self.project.plan().step(n).price for n in self.project.selected):
            terminal.line(None, "SIMULATED: no key is set or mode=simulate; nothing is bought, clips are animatics")
        if not self._fits() and not self._free_work():
            raise self._refused()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Round one action of a run that did not come through vgen's `run` (doit's stock runner): lock for it alone."""
        if self._entered:
            yield
            return
        self._forced = True  # whatever doit says runs
        with self.project.locked(wait=self.project.ready.run.wait):
            yield

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The batch, round all tasks of a run. A plan that does not fit the budget is refused after the free work."""
        if not self._builds or not (self._forced or self._has_work()):
            yield
            return
        if not self._fits():
            await self.project.free_work(self.project.selected, orphans=self._full)
            if self._full:
                with contextlib.suppress(ClipFailed):
                    self._written_report()
            self.project.replan()
            if not self._fits():
                raise self._refused()
        async with self.project.opened():
            yield

    def crowded(self) -> bool:
        """Whether shots stand in line at every provider that a shot not yet begun wants to buy from."""
        return self.project.batch is not None and self.project.batch.crowded()

    def after_run(self, signum: int | None) -> None:
        """An interrupted run writes its report all the same, and says what is left at the providers."""
        if self.project.problems:
            return
        if signum is None:
            self._stamp()
            return
        if self.project.batch is None:
            return
        with contextlib.suppress(ClipFailed):
            entries, _ = self._written_report(interrupted=True)
            text = self.project.in_flight_line()
            terminal.line(None, text, "interrupted")
            self._announce("end", text, entries)

    def _stamp(self) -> None:
        """A whole run left nothing to do: stamp that, so that the next one sees it at once (see quick.py)."""
        if sys.argv[1:] or self._own_world or not self._entered or self._current != {"report", "gallery"}:
            return
        steps = self.project.plan().steps
        every = {"collect", "clip", "report", "gallery", *(f"clip:{step.number}" for step in steps)}
        if self._selected != every or not self._nothing_left_over() or not all(step.done for step in steps):
            return
        unsign_lock(self.project.outputs)
        placed = {row.name: row for row in self.project.snapshot().placed.values()}
        rows = [placed[clip_name(step.number)] for step in steps]
        left = {row.name: (row.size_bytes, row.mtime_ns) for row in rows}
        run, shots = self.project.ready.run, [request.shot for request in self.project.requests]
        read = [run.api_config, run.visual_prompts, *(s.image for s in shots if s.image and "://" not in s.image)]
        with contextlib.suppress(OSError, ValueError):
            outputs = str(self.project.outputs.root)
            text = noop.stamp(
                str(self.project.root), outputs, read,
                left=left, began_ns=self._began_ns, there=self._given,
            )  # fmt: skip
            if text is not None:
                Path(outputs, noop.STAMP).write_text(text, encoding="utf-8")

    def _refuse_strays(self, names: Sequence[str]) -> None:
        for name in self._variables:
            homes = COMMAND_VARIABLES.get(name)
            if homes and not set(names) & set(homes):
                commands = " and ".join(f"`doit {home}`" for home in homes)
                raise InputError([f"{name}: belongs to {commands}, not to this command"])
        if "wait" in self._variables and names and set(names) <= LOOKS_ONLY:
            raise InputError(["wait: belongs to a build; this command waits for nobody"])
        if "plan" in self._variables and names and set(names) & BUILDS_NOTHING:
            raise InputError(["plan: belongs to a build, as in `doit plan=outputs/plan.json`"])
        if needy := set(names) & NEED_A_SHOT.keys():
            if len(names) > 1:
                raise InputError([f"`doit {min(needy)}` stands alone; say {' and '.join(sorted(names))} one by one"])
            self._read_shot(names[0])

    def _refused(self) -> Refusal:
        """The plan does not fit the budget."""
        text = plan.refusal(self.project.plan(), self.project.selected)
        self.project.announce("cap", text)
        return Refusal(text)

    def _refuse_drift(self) -> None:
        """`plan=FILE`: that plan, or what is left of it, and nothing else. Raises InputError, Refusal."""
        if (name := self._variables.get("plan")) is None:
            return
        try:
            then = approved_plan.read((self.project.root / name).read_bytes(), name)
        except OSError as exc:
            raise InputError([f"{name}: can't be read ({exc.strerror}); make it with `doit plan`"]) from exc
        now = plan.as_json(self.project.plan(), expected=0)
        if found := approved_plan.drift(then, now, name):
            raise Refusal("\n".join([*found, "nothing was bought; `doit plan` makes a plan of now"]))
        self.project.agreed = approved_plan.purchases(then)

    def _read_shot(self, command: str) -> None:
        """`shot` of the commands that are about one shot, and what `settle` and `pick` want besides."""
        number, word = self._variables.get("shot", ""), self._variables.get("as", "")
        problems = []
        if not re.fullmatch("[0-9]{1,9}", number, re.ASCII):
            problems.append(f"shot={number}: name the shot by its number, as in `{NEED_A_SHOT[command]}`")
        if command == "settle" and not re.fullmatch(JOB_ID, word):
            problems.append(f"as={word}: say charged, not-charged, or the id of the job that you found")
        if command == "pick" and "take" not in self._variables:
            problems.append(f"take=: say which, as in `{NEED_A_SHOT[command]}`; `doit takes` shows them")
        if problems:
            raise InputError(problems)
        self._shot = int(number)

    def _has_work(self) -> bool:
        plan_ = self.project.plan()
        left_over = self._full and (plan_.orphans or plan_.departed)
        undone = any(not step.done for step in plan_.steps if step.number in self.project.selected)
        return bool(self.project.again or left_over or undone)

    def _fits(self) -> bool:
        """Whether this run may begin to buy: all of it fits the budget, or the user wants what fits."""
        return self.project.ready.run.partial or self.project.plan().fits(self.project.selected)

    def _free_work(self) -> bool:
        """Whether there is anything to do that costs nothing."""
        plan_ = self.project.plan()
        free = [
            step
            for step in plan_.steps
            if step.number in self.project.selected and step.action in (Action.RESTORE, Action.COLLECT)
        ]
        return bool(free or (self._full and plan_.orphans))

    def _waiting(self, command: Callable[[Project], Awaitable[None]]) -> AsyncAction:
        """A command that waits for others, as an action."""
        return AsyncAction(partial(command, self.project), self)

    # ── actions ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _make(self, number: int) -> None:
        from vgen.production import make

        step = self.project.plan().step(number)
        await make.make(current_batch(), step.request, step.file, again=number in self.project.again)

    async def _collect(self) -> None:
        from vgen.production import make

        plan_ = self.project.plan()
        if not plan_.orphans and not plan_.departed:
            return
        batch = current_batch()
        try:
            batch.start()
            for name, file in plan_.departed.items():
                self._remove_departed(name, file)
        except (LedgerError, OSError) as exc:
            batch.stop_buying(str(exc))
            raise ClipFailed(str(exc)) from exc
        await make.collect_all(batch, plan_.orphans)

    def _remove_departed(self, name: str, file: File) -> None:
        """A clip whose shot has left the list; its take is kept."""
        batch = current_batch()
        if file is File.EDITED:
            text = f"{name} belongs to no shot any more; left, because it was edited by hand"
            batch.say(None, text, event="left")
            return
        remove_clip(self.project.outputs.clips / name)
        batch.ledger.unplace(name)
        if file is not File.MISSING:
            batch.say(None, f"{name} removed: its shot has left the list (its take is kept)", event="removed")

    def _nothing_left_over(self) -> bool:
        plan_ = self.project.plan()
        return not plan_.orphans and all(file is File.EDITED for file in plan_.departed.values())

    async def _report(self) -> None:
        entries, gates = self._written_report()
        told = reporter.gate_lines(gates, entries, self.project.plan())
        for text in told:
            terminal.line(None, text, "summary")
        failed = [gate.name for gate in gates if not gate.passed]
        self._announce("gate" if failed else "end", "; ".join(told), entries)
        if failed:
            raise ClipFailed(f"gates failed: {', '.join(failed)}")
        self._current.add("report")

    def _written_report(self, *, interrupted: bool = False) -> tuple[list[Entry], list[Gate]]:
        """The report, on disk. Raises ClipFailed; why was told."""
        try:
            return self.project.write_report(interrupted=interrupted)
        except (OSError, LedgerError) as exc:
            what = exc.strerror if isinstance(exc, OSError) else exc
            terminal.line(None, f"the report can't be written: {what}; make room and run again")
            terminal.line(None, self.project.in_flight_line().removeprefix("interrupted; "))
            raise ClipFailed("no report") from exc

    def _announce(self, event: str, text: str, entries: Sequence[Mapping[str, Any]]) -> None:
        budget = self.project.plan().budget
        self.project.announce(
            event,
            text,
            total_clips=len(entries),
            successful_clips=sum(entry["success"] for entry in entries),
            failed=[entry["shot_number"] for entry in entries if not entry["success"]],
            spent_usd=usd(budget.spent),
            uncertain_usd=usd(budget.uncertain),
        )

    def _report_is_current(self) -> bool:
        if self.project.problems or not self.project.report_is_current():
            return False
        self._current.add("report")
        return True

    async def _gallery(self) -> None:
        from vgen.cli.commands import gallery

        try:
            await gallery.write(self.project, self.project.outside.tools(self.project.ready))
        except (OSError, LedgerError) as exc:
            what = exc.strerror if isinstance(exc, OSError) else exc
            terminal.line(None, f"the gallery can't be written: {what}; make room and run again")
            raise ClipFailed("no gallery") from exc
        self._current.add("gallery")

    def _gallery_is_current(self) -> bool:
        from vgen.cli.commands import gallery

        if self.project.problems or not gallery.is_current(self.project):
            return False
        self._current.add("gallery")
        return True

    def _is_conformed(self) -> bool:
        from vgen.cli.commands import cut

        return cut.is_conformed(self.project)

    async def _conform(self) -> None:
        from vgen.cli.commands import cut

        await cut.make_uniform(self.project)

    def _is_cut(self) -> bool:
        from vgen.cli.commands import cut

        return cut.is_cut(self.project)

    async def _cut(self) -> None:
        from vgen.cli.commands import cut

        await cut.join(self.project)

    def _clean_conformed(self, dryrun: bool = False) -> None:
        from vgen.cli.commands import cut

        cut.clean(self.project, dryrun=dryrun)

    async def _settle(self) -> None:
        await misc.settle(self.project, self._shot, self._variables["as"])

    async def _choose(self) -> None:
        assert self._choice is not None, "BUG: nothing was resolved"
        async with self.project.opened(online=False) as batch:
            await pick.carry_out(self.project, batch, self._choice)
        self._written_report()
        await self._gallery()

    # ── cleaning ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _clean_clip(self, number: int, dryrun: bool = False) -> None:
        step = self.project.plan().step(number)
        self._clean_one(self.project.outputs.clip(number), step.file, dryrun=dryrun)

    def _clean_departed(self, dryrun: bool = False) -> None:
        departed = self.project.placed_states() if self.project.problems else self.project.plan().departed
        for name, file in departed.items():
            self._clean_one(self.project.outputs.clips / name, file, dryrun=dryrun)

    def _clean_one(self, clip: Path, file: File, *, dryrun: bool) -> None:
        if file is File.EDITED:
            terminal.out(f"{clip.name} - kept: somebody edited it, and it exists only here")
        elif clip.exists():
            terminal.out(f"{self.project.relative(clip)} - removing file")
            if not dryrun:
                remove_clip(clip)


def _numbers(names: Collection[str]) -> set[int]:
    return {int(name.removeprefix("clip:")) for name in names if name.startswith("clip:")}


def _what(step: Step) -> str:
    why = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in step.why)
    return f"shot {step.number}: {why}"
