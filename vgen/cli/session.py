"""One call of doit: the tasks of a directory, and the hooks around a run (lock, refusals, report after Ctrl-C)."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgen.cli import checks, elsewhere, ending, finished, noop, notify, registry, reporter, reporting, unfinished
from vgen.cli.doit.compat import command_line_variables, program
from vgen.cli.intention import intended
from vgen.cli.names import group_again
from vgen.cli.services import real_services
from vgen.cli.tasks import task_of
from vgen.errors import InputError, VgenError
from vgen.inputs.settings import Settings
from vgen.inputs.variables import VARIABLES, is_default
from vgen.money import show
from vgen.plan.decision import Action
from vgen.plan.plan import Plan
from vgen.production.run import Run
from vgen.production.services import Services
from vgen.production.workspace import View, Workspace
from vgen.store.database import commits
from vgen.views import terminal
from vgen.views.advice import Advice

if TYPE_CHECKING:
    from vgen.media.hands import Elsewhere

FREE = frozenset({Action.RESTORE, Action.COLLECT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What doit will run. `numbers`: the shots of its clip tasks; `named`: those that were named one by one."""

    tasks: frozenset[str] = frozenset()
    numbers: frozenset[int] = frozenset()
    named: frozenset[int] = frozenset()
    forced: bool = False
    """Whether actions run although their targets are up to date (-a)."""
    approved: frozenset[int] | None = None
    """With plan=FILE: the shots that may be bought."""

    @property
    def again(self) -> frozenset[int]:
        """The shots that get a new take."""
        return self.named if self.forced else frozenset()

    @property
    def needed(self) -> frozenset[int]:
        """The shots that are made only since named ones need a frame of their clips."""
        return self.numbers - self.named if self.named and "clip" not in self.tasks else frozenset()

    @property
    def full(self) -> bool:
        """Whether it is about the whole list, with what is left over from earlier ones."""
        return "collect" in self.tasks

    @property
    def builds(self) -> bool:
        return not self.tasks <= registry.builds_nothing()


class Session:
    """The tasks of one directory, and what happens around them, as `vgen.cli.doit.runner.Session` asks."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None, services: Services | None = None) -> None:
        self.began_ns, self.environ = time.time_ns(), environ
        self.given = noop.given(str(root))
        self.is_stock = environ is None and services is None
        """Whether everything is as a user's own `doit` finds it."""
        self.variables = command_line_variables()
        self.services = services or real_services()
        self.unknown = checks.unknown_variables(self.variables)
        """Problems of the command line's words; the workspace has them too."""
        run_variables = registry.run_variables(self.variables)
        self.workspace = _read(root, run_variables, environ, self.services)
        self.advice = _advice(run_variables, self.workspace.settings)
        self.workspace.problems[:0] = self.unknown
        self.clock = self.services.clock
        self.reporter: Any = None
        self.only: Sequence[str] = ()
        self.selection = Selection()
        self.current: set[str] = set()
        """Of `report` and `gallery`: those that are known to be true."""
        self.entered = False
        self.worked = self.judges = False
        """Whether something was to be made; whether the gates were judged."""
        self.elsewhere: Elsewhere | None = None
        """A cluster, as long as tasks run with one."""
        self.reported = reporting.Reported()
        self._begun: dict[str, Callable[[], Any]] = {}
        self._view: View | None = None
        self._run: Run | None = None

    def config(self) -> dict[str, Any]:
        """DOIT_CONFIG."""
        known = self.workspace.settings
        return {
            "par_type": "trio",
            "continue": True,
            "default_tasks": [name for name, command in registry.commands().items() if command.builds],
            "backend": "json",
            "dep_file": str(self.workspace.root / ".doit.db"),
            "reporter": reporter.discreet(known.secrets() if known else ()),
            "session": self,
            "verbosity": 2,
        }

    def tasks(self) -> dict[str, Callable[[], Any]]:
        """`task_NAME` → its creator, for the namespace of a dodo.py."""
        return {f"task_{name}": task_of(self, command) for name, command in registry.commands().items()}

    # ── how things stand ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def run(self) -> Run:
        """The run of this session. Raises InputError if the input has problems."""
        if self._run is None:
            self._run = Run(self.workspace.ready, self.workspace.outputs, replace(self.services, tell=self._tell))
        return self._run

    def view(self) -> View:
        """The production as it was when this was first asked for; `look_again` looks anew."""
        return self._view or self.look_again()

    in_processes = checks.refuse_processes
    refused = reporting.tell_refused

    def forget_view(self) -> None:
        """What was seen may be old by now."""
        self._view = None

    @terminal.patience("comparing the shots with what was bought")
    def look_again(self, *, again: bool = False) -> View:
        """The production as it is now. `again`: with the new takes that -a asks for, though the run has begun."""
        began = self._run is not None and self._run.began
        policy = self._run.policy() if began and self._run else None
        fresh = self.selection.again if again or not began else ()
        self._view = self.workspace.look(policy, fresh, before=self._view)
        return self._view

    def latest(self) -> View:
        """As `look_again`; but a run that has done nothing yet, under the lock, has seen everything already."""
        seen = self.workspace.holds_lock and not (self._run and self._run.began)
        return self.view() if seen else self.look_again()

    @property
    def plan(self) -> Plan:
        return self.view().plan

    @property
    def wanted(self) -> frozenset[int] | None:
        """The shots that this command is about; None: all."""
        every = frozenset(request.number for request in self.workspace.requests)
        shot = self.variables.get("shot", "")
        chosen = self.selection.numbers - self.selection.needed
        named = chosen or frozenset({int(shot)} if shot.isascii() and shot.isdigit() else ())
        return named & every if named & every not in (frozenset(), every) else None

    def _tell(self, record: Mapping[str, Any]) -> None:
        """To the screen, and to whoever the settings say must be notified."""
        self.services.tell(record)
        if record["event"] in notify.EVENTS:
            reporting.announce(self, record["event"], record["text"], shot=record["shot"])

    def stamp(self) -> dict[str, Any]:
        """What every event of this run has."""
        return {"at": round(self.services.now(), 3), "run": None if self.workspace.problems else self.run.id}

    # ── the hooks ─────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def before_load(self, names: Sequence[str]) -> Iterator[None]:
        """Bad input ends here, with all problems; a build holds the run lock from here on."""
        self.entered = True
        checks.refuse_strays(self.variables, names)
        self.reported.began_at = commits(self.workspace.outputs.ledger)
        named, commands = set(names), registry.commands()
        bears = [name in commands and commands[name].bears_unfit_ledger for name in named]
        self.workspace.trusts_ledger = all(bears) and bool(bears)
        if named and all(name in commands and commands[name].bears_problems for name in named):
            if self.unknown and "doctor" not in named:  # which tells them, with all else
                raise InputError(self.unknown)
            yield
            return
        wait, builds = self.workspace.ready.run.wait, not named or not named <= registry.builds_nothing()
        if builds:
            checks.refuse_live_without_key(self.workspace.ready)
        if named and named <= registry.looks_only():
            yield
            return
        with self.workspace.locked(wait=wait, rebuild="recover" in named, tell=terminal.warn):
            _begin(self, builds=builds)
            yield

    def refuse_variables(self) -> None:
        """For doit's own commands, which take a run's variables only. Raises InputError."""
        checks.refuse_strays(self.variables, ())
        if strays := registry.BUILD_VARIABLES & self.variables.keys():
            raise InputError([f"{name}: belongs to a build, not to this command" for name in sorted(strays)])
        if self.unknown:
            raise InputError(self.unknown)

    def before_run(self, named: Sequence[str], selected: Sequence[str], *, always: bool) -> None:
        """Refuse what can't be made or paid; free work comes before the refusal."""
        known = self.workspace.settings
        terminal.choose(self.reporter, known.secrets() if known else (), self.stamp, self.advice)
        for text in self.workspace.notes:
            terminal.line(None, text)
        commands = registry.commands()
        if always and (groups := [name for name in named if name in commands and commands[name].members]):
            raise InputError(map(group_again, groups))
        if self.workspace.problems and not all(commands[n].bears_problems for n in selected if n in commands):
            raise InputError(self.workspace.problems)
        self.selection = Selection(
            tasks=frozenset(selected), numbers=_numbers(selected), named=_numbers(named), forced=always
        )
        if self.workspace.want_only_clips(self.selection.needed) or self.selection.again:
            self._view = None
        for name in selected:
            if name in commands and not commands[name].builds:
                self._begun[name] = commands[name].begin(self)
        if self.selection.builds:
            checks.before_build(self)

    def begun(self, name: str) -> Callable[[], Any]:
        """A command's action. Under doit's stock runner nothing has begun it yet."""
        if name not in self._begun:
            self._begun[name] = registry.commands()[name].begin(self)
        return self._begun[name]

    def approve(self, numbers: frozenset[int]) -> None:
        """With plan=FILE: only these shots may be bought."""
        self.selection = replace(self.selection, approved=numbers)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Around one action of a run that did not come through vgen's `run` (doit's stock runner): its own lock."""
        self._view = None  # other actions, perhaps of other processes, may have made clips meanwhile
        if self.entered:
            yield
            return
        self.selection = replace(self.selection, forced=True, tasks=frozenset({"clip"}))
        with self.workspace.locked(wait=self.workspace.ready.run.wait):
            yield

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The run, open around all tasks. A plan that does not fit the budget is refused after the free work."""
        async with elsewhere.opened(self):
            if not self.selection.builds or not (self.selection.forced or checks.has_work(self)):
                yield
                return
            self.worked = True
            if not checks.fits(self):
                await self._free_work()
                self.look_again(again=True)
                if not checks.fits(self):
                    raise checks.refused(self)
            async with self.open():
                yield

    @contextlib.asynccontextmanager
    async def open(self, *, online: bool | None = None) -> AsyncIterator[Run]:
        """Open the run for what is inside. `online`: None goes online if the plan needs it."""
        ledger = self.workspace.outputs.ledger
        with contextlib.ExitStack() as closing:
            async with self.run.open(intended(self, online=online)) as run:
                yield run
                closing.enter_context(self.reported.unchanged(ledger))

    async def _free_work(self) -> None:
        """What costs nothing: takes put back, running jobs collected."""
        from vgen.production import make

        plan, chosen = self.plan, self.selection
        steps = [step for step in plan.steps if step.number in chosen.numbers and step.actions & FREE]
        async with self.open() as run:
            run.start()
            with run.without_buying("the plan does not fit the budget"):
                await make.free_work(run, steps, plan.orphans if chosen.full else ())
        run.messages.clear()

    def saturated(self) -> bool:
        """Whether shots are queued at every provider that a shot not yet started will buy from."""
        return self._run is not None and self._run.is_open and self._run.saturated()

    def after_run(self, signum: int | None) -> int:
        """However the run ended: report and gallery are made true, and the end is told. Returns an exit code."""
        if self.workspace.problems or not self.workspace.holds_lock:
            return 0
        began = self._run is not None and self._run.began
        if signum is not None and not began:
            terminal.line(None, reporting.NOT_BEGUN, "interrupted")
            return 0
        code = ending.end(self, interrupted=signum is not None)
        if began and self.selection.again:
            unfinished.tell(self)
        if signum is None:
            finished.record(self)
        return code

    def after_clean(self) -> None:
        """`doit clean` took some files: what is left of report and gallery tells so, unless a run is at work."""
        if not self.workspace.problems:
            with contextlib.suppress(VgenError), self.workspace.locked(wait=False):
                _begin(self, builds=False)
                ending.tell_files(self)


def _advice(variables: Mapping[str, str], settings: Settings | None) -> Advice:
    """With what was typed, but for what holds without it too. (A budget that somebody names binds play money.)"""
    told = {"budget_usd", *(VARIABLES if settings is None else settings.set_elsewhere)}
    given = {name: value for name, value in variables.items() if name in told or not is_default(name, value)}
    return Advice(given, program(), registry.looks_only())


@terminal.patience("reading the shot list")
def _read(root: Path, variables: Mapping[str, str], environ: Mapping[str, str] | None, services: Services) -> Workspace:
    return Workspace(root, variables, environ, services)


def _begin(session: Session, *, builds: bool) -> None:
    """Under the lock: what was seen before is old. What builds nothing tells of the last run's cap, and advises so."""
    session.forget_view()
    cap = None if builds else session.workspace.keep_cap()
    if cap is not None:
        session.advice = replace(
            session.advice, given={**session.advice.given, "budget_usd": show(cap).removeprefix("$")}
        )


def _numbers(names: Collection[str]) -> frozenset[int]:
    return frozenset(int(name.removeprefix("clip:")) for name in names if name.startswith("clip:"))
