"""One project directory: what was read from it, the plan of it, its open batch, its report. Knows no doit."""

import contextlib
import contextvars
import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from vgen import providers, recipe
from vgen.errors import ClipFailed, InputError, LedgerError, VgenError
from vgen.inputs import images, shots
from vgen.inputs.config import load
from vgen.inputs.keys import without_keys
from vgen.inputs.settings import Provider, Settings, named_outputs
from vgen.inputs.shots import Shot
from vgen.money import show
from vgen.plan import plan
from vgen.plan.decision import Action, File, Policy
from vgen.plan.plan import Plan, Step
from vgen.plan.request import Offer, ShotRequest, of
from vgen.production import run
from vgen.production.clip_files import ClipFiles
from vgen.production.limits import PrioritySemaphore
from vgen.production.run import Batch
from vgen.production.services import Outside, real_world
from vgen.providers.base import CannotMake, NoPrice
from vgen.store import atomic
from vgen.store.ledger import Ledger
from vgen.store.lock import run_lock
from vgen.store.outputs import Outputs, clip_name
from vgen.store.purchase import COLLECTABLE, State
from vgen.store.records import Snapshot
from vgen.views import notify, report
from vgen.views.progress import InFlight, Progress

NEEDS_NETWORK = (Action.BUY, Action.SHARE, Action.COLLECT, Action.HELD)

_batch: contextvars.ContextVar[Batch] = contextvars.ContextVar("batch")


def current_batch() -> Batch:
    """The batch that the running task belongs to."""
    return _batch.get()


class Project:
    """Settings and shots of one directory, or the problems that they have. Nothing is written by looking."""

    def __init__(
        self,
        root: Path,
        command_line: Mapping[str, str],
        environ: Mapping[str, str] | None = None,
        outside: Outside | None = None,
    ) -> None:
        self.root = root
        self._named_outputs = named_outputs(command_line, environ)
        self.outside = outside or real_world()
        self.run_id = uuid.uuid4().hex[:12]
        self.started_at = self.outside.now()
        self.problems: list[str] = []
        self.again: set[int] = set()
        self.selected: set[int] = set()
        self.agreed: frozenset[int] | None = None
        """With `plan=FILE`: the shots that may be bought."""
        self.batch: Batch | None = None
        self._plan: tuple[Plan, Snapshot] | None = None
        self._clip_files: ClipFiles | None = None
        self._holds_lock = False
        self.settings: Settings | None = None
        self.requests: list[ShotRequest] = []
        try:
            self.settings = load(root, command_line, environ)
            self.requests = self._read_requests(self.settings)
        except InputError as exc:
            self.problems = list(exc.problems)

    @property
    def ready(self) -> Settings:
        """The settings, when there are no problems. Raises InputError."""
        if self.problems or self.settings is None:
            raise InputError(self.problems)
        return self.settings

    @property
    def outputs(self) -> Outputs:
        return Outputs(self.settings.outputs if self.settings else self.root / self._named_outputs)

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_requests(self, settings: Settings) -> list[ShotRequest]:
        name = settings.run.visual_prompts
        try:
            data = settings.prompts_file.read_bytes()
        except OSError as exc:
            raise InputError(
                [f"{name}: can't be read ({exc.strerror}); name another with visual_prompts=FILE"]
            ) from exc
        found = shots.parse(data, where=name, providers=settings.providers)
        problems: list[str] = []
        requests = [request for shot in found if (request := self._request(shot, settings, problems)) is not None]
        if problems:
            raise InputError(problems)
        return requests

    def _request(self, shot: Shot, settings: Settings, problems: list[str]) -> ShotRequest | None:
        try:
            image = images.identity(settings.root, shot.image)
        except InputError as exc:
            name = settings.run.visual_prompts
            problems.extend(f"{name}: shot {shot.number}: {problem}" for problem in exc.problems)
            return None
        aspect_ratio = settings.run.aspect_ratio
        recipes = {
            name: made
            for name in settings.providers
            if (made := of(shot, name, aspect_ratio=aspect_ratio, image=image)) is not None
        }
        offers = []
        for provider in settings.offers:
            try:
                offers.append(_offer(provider, recipes.get(provider.name)))
            except NoPrice as exc:
                problem = f"{provider.name}: {exc}"
                problems.extend([] if problem in problems else [problem])
        return ShotRequest(
            shot=shot, recipes=recipes, offers=offers, aspect_ratio=settings.run.aspect_ratio, image=image
        )

    # ── planning ──────────────────────────────────────────────────────────────────────────────────────────────────

    def plan(self) -> Plan:
        """The plan as things stood when it was first asked for; `replan` looks again."""
        return self._planned()[0]

    def snapshot(self) -> Snapshot:
        return self._planned()[1]

    def placed_states(self) -> dict[str, File]:
        """How the clips stand that vgen ever put somewhere, when nothing else of the project can be read."""
        outputs = self.outputs
        try:
            with contextlib.closing(self.reading()) as ledger:
                placed = ledger.snapshot(simulated=False, cap=None).placed
        except VgenError:
            return {}
        return run.inspect(outputs, placed.keys(), placed, lambda name, row: File.EDITED)  # noqa: ARG005

    def replan(self) -> Plan:
        self._plan = None
        return self.plan()

    def _planned(self) -> tuple[Plan, Snapshot]:
        if self._plan is None:
            self.outputs.refuse_lost_ledger()
            self._plan = self._read_plan()
            clip_files = self._files(self.ready)
            if clip_files.noted:
                clip_files.noted = False
                self._plan = self._read_plan()
        return self._plan

    def _read_plan(self) -> tuple[Plan, Snapshot]:
        with contextlib.closing(self.reading()) as ledger:
            snapshot = ledger.snapshot(simulated=self.ready.simulated, cap=self.ready.cap)
        return self._plan_from(snapshot), snapshot

    def _plan_from(self, snapshot: Snapshot) -> Plan:
        settings = self.ready
        names = run.names(self.requests)
        states = self._files(settings).states({names[request.number]: request for request in self.requests}, snapshot)
        batch = self.batch
        policy = batch.policy() if batch else Policy(on_uncertain=settings.run.on_uncertain, closed=_closed(settings))
        return plan.plan(
            self.requests,
            snapshot,
            states,
            names,
            policy=policy,
            again=self.again if batch is None else (),
            simulated=settings.simulated,
        )

    def _files(self, settings: Settings) -> ClipFiles:
        if self._clip_files is None:
            self._clip_files = ClipFiles(settings, self.outputs, self.outside.now)
        self._clip_files.may_write = self._holds_lock
        return self._clip_files

    # ── working ───────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def locked(self, *, wait: bool) -> Iterator[None]:
        """Hold the outputs for a build; first of all, settle what a killed run left between two commits."""
        outputs = self.outputs
        with run_lock(outputs, wait=wait):
            outputs.prepare()
            outputs.refuse_lost_ledger()
            if outputs.ledger.exists():
                with contextlib.closing(self._ledger()) as ledger:
                    if ledger.left_over():
                        ledger.settle_left_over()
            self._plan = None
            self._holds_lock = True
            try:
                yield
            finally:
                self._holds_lock = False

    def reading(self) -> Ledger:
        return Ledger.reading(self.outputs.ledger, now=self.outside.now)

    def _ledger(self) -> Ledger:
        return Ledger(self.outputs.ledger, now=self.outside.now)

    @contextlib.asynccontextmanager
    async def opened(self, *, online: bool | None = None) -> AsyncIterator[Batch]:
        """The batch of this run: its ledger, and its wire and judge unless nothing needs them."""
        settings = self.ready
        with contextlib.closing(self._ledger()) as ledger:
            batch = Batch(
                settings=settings,
                outputs=self.outputs,
                ledger=ledger,
                run_id=self.run_id,
                now=self.outside.now,
                rng=self.outside.rng,
                tell=self._tell,
                slots=PrioritySemaphore(settings.run.max_concurrent),
                fits_now=self._fits_now(),
                agreed=self.agreed,
                chosen=ledger.chosen(simulated=settings.simulated),
                wanted=self._wanted(),
                started=self.batch is not None and self.batch.started,
            )
            if self.batch is not None:
                batch.messages = self.batch.messages
                batch.detached = self.batch.detached
                batch.limiters = {name: limiter for name, limiter in self.batch.limiters.items() if limiter.closed}
                batch.generated, batch.reused, batch.resumed = (
                    self.batch.generated,
                    self.batch.reused,
                    self.batch.resumed,
                )
            self.batch = batch
            token = _batch.set(batch)
            try:
                async with contextlib.AsyncExitStack() as stack:
                    if self._needs_network() if online is None else online:
                        await stack.enter_async_context(self.outside.online(batch, self.requests))
                        await stack.enter_async_context(self.outside.watching(lambda: self._progress(batch)))
                    yield batch
            finally:
                if batch.started:
                    with contextlib.suppress(LedgerError):  # a full disk: only the run's end is not written down
                        ledger.finish_run(self.run_id)
                with contextlib.suppress(ValueError):
                    _batch.reset(token)

    def _tell(self, record: Mapping[str, Any]) -> None:
        """To the screen, and to whoever wants to be notified."""
        self.outside.tell(record)
        if record["event"] in notify.EVENTS:
            self.announce(record["event"], record["text"], shot=record["shot"])

    def stamp(self) -> dict[str, Any]:
        """What every event of this run has."""
        return {"at": round(self.outside.now(), 3), "run": self.run_id}

    def announce(self, event: str, text: str, **facts: Any) -> None:
        """Notify whoever the settings name. Nobody waits for it, nothing fails by it."""
        run = self.ready.run
        about = {"event": event, "text": text, "run": self.run_id, "simulated": self.ready.simulated}
        notify.send(
            about | {"outputs": str(self.outputs.root.resolve())} | facts,
            command=run.notify_command,
            url=run.notify_url,
            log=self.outputs.private / "notify.log",
            environment=without_keys(),
        )

    def _progress(self, batch: Batch) -> Progress:
        """How this run stands: counts from the plan it began with, money from the rows."""
        import trio

        now = trio.current_time()
        wanted = self.selected or {request.number for request in self.requests}
        in_place = {step.number for step in self.plan().steps if step.done and step.number not in self.again}
        in_place = wanted & (in_place | batch.in_place)
        return Progress(
            total=len(wanted),
            done=len(in_place),
            failed=len(batch.messages.keys() - in_place),
            in_flight=[
                InFlight(number=number, text=doing.text, state_s=now - doing.since, work_s=now - doing.began)
                for number, doing in sorted(batch.doing.items())
                if number not in in_place
            ],
            budget=batch.ledger.budget(batch.settings.simulated, batch.settings.cap),
            simulated=batch.settings.simulated,
            typical_s=batch.ledger.typical_s(simulated=batch.settings.simulated),
            max_concurrent=batch.settings.run.max_concurrent,
        )

    def _needs_network(self) -> bool:
        plan_ = self.plan()
        return bool(self.again or plan_.orphans) or any(step.action in NEEDS_NETWORK for step in plan_.steps)

    def _wanted(self) -> dict[int, str]:
        """Shot that is to be made → the provider that it will buy from; "" if it needs none."""
        steps = [step for step in self.plan().steps if step.number in self.selected]
        due = [step for step in steps if not step.done or step.number in self.again]
        return {step.number: step.decision.offer.provider if step.decision.offer else "" for step in due}

    def _fits_now(self) -> set[int] | None:
        """With partial=yes: the shots that fit what is left, in shot order. None: the whole plan was admitted."""
        if not self.ready.run.partial or self.plan().budget.left is None:
            return None
        left = self.plan().budget.left or 0
        fitting: set[int] = set()
        for step in self.plan().steps:
            if step.price <= left:
                left -= step.price
                fitting.add(step.number)
        return fitting

    async def free_work(self, numbers: Collection[int], *, orphans: bool) -> None:
        """What costs nothing: takes put back, running jobs collected."""
        import trio

        from vgen.production import make

        async with self.opened() as batch:
            batch.start()
            batch.stop_buying("the plan does not fit the budget")
            async with trio.open_nursery() as nursery:
                for step in self.plan().steps:
                    if step.number in numbers and step.action in (Action.RESTORE, Action.COLLECT):
                        nursery.start_soon(_if_it_can, batch, step)
                if orphans:
                    nursery.start_soon(make.collect_all, batch, self.plan().orphans)
        batch.messages.clear()

    # ── reporting ─────────────────────────────────────────────────────────────────────────────────────────────────

    def reported(self, *, interrupted: bool = False) -> tuple[list[report.Entry], list[report.Gate], dict[str, object]]:
        """Entries, gates and the whole report, from the ledger and the files as they are now.

        A run that has done nothing yet, under the lock, has seen them already.
        """
        plan_ = self.plan() if self._holds_lock and self.batch is None else self.replan()
        snapshot = self.snapshot()
        messages = self.batch.messages if self.batch else {}
        folder = self._shown_folder()
        entries = report.clips(plan_, snapshot, lambda number: f"{folder}/{clip_name(number)}", messages)
        gates = report.gates(entries, plan_.budget, min_success_rate=self.ready.run.min_success_rate)
        whole = report.production_report(entries, gates, plan_, self._run_facts(interrupted=interrupted))
        return entries, gates, whole

    def _run_facts(self, *, interrupted: bool) -> report.RunFacts:
        batch = self.batch
        up_to_date = sum(step.done for step in self.plan().steps)
        generated = batch.generated if batch else 0
        resumed = batch.resumed if batch else 0
        return report.RunFacts(
            id=self.run_id,
            started_at=self.started_at,
            finished_at=self.outside.now(),
            generated=generated,
            reused=max(0, up_to_date - generated - resumed),
            resumed=resumed,
            interrupted=interrupted,
        )

    def relative(self, path: Path) -> str:
        """As a user would type it: relative to dodo.py if it lies below."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def _shown_folder(self) -> str:
        """Where the clips are, as the JSON outputs say it."""
        clips = self.outputs.clips
        if self.ready.run.clip_paths == "absolute":
            return clips.resolve().as_posix()
        return clips.relative_to(self.root).as_posix() if clips.is_relative_to(self.root) else clips.as_posix()

    def write_report(self, *, interrupted: bool = False) -> tuple[list[report.Entry], list[report.Gate]]:
        """Write clips.json and production_report.json if they would tell anything new."""
        entries, gates, whole = self.reported(interrupted=interrupted)
        self.outputs.root.mkdir(parents=True, exist_ok=True)
        _write(self.outputs.clips_json, report.seven(entries))
        _write(self.outputs.report_json, whole, always=interrupted)
        return entries, gates

    def report_is_current(self) -> bool:
        """Whether the written report tells the truth of now, and all gates hold."""
        entries, gates, whole = self.reported()
        return (
            all(gate.passed for gate in gates)
            and _says(self.outputs.clips_json, report.seven(entries))
            and _says(self.outputs.report_json, whole)
        )

    def in_flight_line(self) -> str:
        """What stays at the providers when a run is interrupted."""
        rows = [row for row in self.snapshot().purchases.values() if row.superseded is None]
        running = [row for row in rows if row.state in COLLECTABLE]
        unsure = [row for row in rows if row.state in (State.UNCERTAIN, State.SUBMITTING)]
        told = []
        if running:
            jobs = "1 job stays" if len(running) == 1 else f"{len(running)} jobs stay"
            cost = show(sum(row.cost for row in running))
            told.append(f"{jobs} at the providers, for {cost}; the next run collects them, free")
        if unsure:
            orders = "1 order is" if len(unsure) == 1 else f"{len(unsure)} orders are"
            told.append(f"{orders} uncertain, for {show(sum(row.cost for row in unsure))}: perhaps bought")
        return "interrupted; " + ("; ".join(told) or "nothing is in flight")


async def _if_it_can(batch: Batch, step: Step) -> None:
    from vgen.production import make

    with contextlib.suppress(ClipFailed):
        await make.make(batch, step.request, step.file)


def _offer(provider: Provider, made: recipe.Recipe | None) -> Offer:
    if made is None:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem="no prompt for this provider")
    try:
        order = providers.codec(provider.name).order(made, provider.terms)
    except NoPrice:
        raise
    except CannotMake as exc:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem=str(exc))
    return Offer(provider=provider.name, max_retries=provider.max_retries, order=order)


def _closed(settings: Settings) -> dict[str, str]:
    return {provider.name: provider.closed for provider in settings.providers.values() if provider.closed}


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
