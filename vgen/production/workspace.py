"""One project directory: its settings and shots, or the problems that they have, and how things stand there now.

Knows no doit and no run. Looking writes nothing, but for what the lock's holder learns about files that changed.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vgen.errors import InputError, LedgerError, Refusal, VgenError
from vgen.inputs import config, shot_list
from vgen.inputs.album import Album
from vgen.inputs.images import Seen
from vgen.inputs.pictures import Frame, Source
from vgen.inputs.settings import Settings
from vgen.inputs.shot_list import ShotList
from vgen.inputs.shots import MAX_SEED, Shot
from vgen.pictures import Pictures, Size
from vgen.plan import plan as planning
from vgen.plan import request as requesting
from vgen.plan import takes_wanted, told, wishes
from vgen.plan.decision import File, Policy
from vgen.plan.plan import Plan
from vgen.plan.request import ShotRequest
from vgen.plan.step import Step
from vgen.production import world
from vgen.production.clip_files import ClipFiles, inspect_names
from vgen.production.services import Services
from vgen.production.told_prices import told_prices
from vgen.providers.base import NoPrice
from vgen.recipe import DRAFT
from vgen.store import freshness
from vgen.store.database import Commits, commits
from vgen.store.ledger import Ledger
from vgen.store.lock import run_lock
from vgen.store.outputs import Outputs, Stat, clip_name
from vgen.store.reader import LedgerReader
from vgen.store.records import Snapshot
from vgen.store.settled import settled


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a production stands at one moment: its plan, and the ledger's rows and the clips' files it was made from."""

    plan: Plan
    snapshot: Snapshot
    stats: Mapping[str, Stat]
    at: Commits | None = None
    """The ledger's commits that the snapshot tells of; None if it was taken without the lock, or beside a commit."""

    def tells_of(self, at: Commits | None, cap: int | None) -> bool:
        """Whether its snapshot is still that of the ledger, and under the same cap."""
        return at is not None and (at, cap) == (self.at, self.snapshot.budget.cap)

    def step(self, number: int) -> Step:
        return self.plan.step(number)


class Workspace:
    """The inputs of one directory. `problems`: what the user must mend before anything can be made."""

    def __init__(
        self, root: Path, variables: Mapping[str, str], environ: Mapping[str, str] | None, services: Services
    ) -> None:
        self.root, self.services = root, services
        self.problems: list[str] = []
        self.settings: Settings | None = None
        self.requests: list[ShotRequest] = []
        self.warnings: tuple[str, ...] = ()
        """What the user should know before a run, a line each: of the settings, and of the shot list."""
        self._holds_lock = False
        self._examined = False
        self.trusts_ledger = False
        """Whether the freshness check is skipped, because the command reports on the ledger's state itself."""
        self.notes: list[str] = []
        """What was put right when the lock was taken."""
        self._clip_files: ClipFiles | None = None
        self._named_outputs = ""
        try:
            self.settings = self._in_its_world(config.load(root, variables, environ), variables, environ)
            self.warnings = self.settings.warnings
            found = _read_shots(self.settings)
            self.warnings += found.warnings
            self.requests = _requests(found.shots, self.settings)
            self.warnings += tuple(wishes.told(self.requests, (one.terms for one in self.settings.offers)))
        except InputError as exc:
            self.problems = list(exc.problems)
            self._named_outputs = config.named_outputs(root, variables, environ)

    def _in_its_world(
        self, found: Settings, variables: Mapping[str, str], environ: Mapping[str, str] | None
    ) -> Settings:
        """The settings for real money or for play money, by who the providers are and what was bought before."""
        with contextlib.suppress(Refusal), contextlib.closing(LedgerReader(Outputs(found.outputs).ledger)) as ledger:
            if found.simulated and found.run.mode == "auto" and world.has_live_purchases(ledger):
                return config.load(self.root, variables, environ, keyless=True)
            return world.settled(found, ledger, self.services.who_answers)
        return found  # of a ledger that can't be read is told where it is needed

    @property
    def ready(self) -> Settings:
        """The settings, when there are no problems. Raises InputError."""
        if self.problems or self.settings is None:
            raise InputError(self.problems)
        return self.settings

    @property
    def outputs(self) -> Outputs:
        return Outputs(self.settings.outputs if self.settings else self.root / self._named_outputs)

    @property
    def holds_lock(self) -> bool:
        """Whether nobody else can change anything here."""
        return self._holds_lock

    def relative(self, path: Path) -> str:
        """As a user would type it: relative to dodo.py if it is below."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def keep_cap(self) -> int | None:
        """Go by the last run's cap, as what buys nothing does where nobody set a budget. Returns it if it is another.

        Raises Refusal if the ledger can't be read.
        """
        settings = self.settings
        if settings is None or settings.cap_given:
            return None
        with contextlib.closing(self.reading()) as ledger:
            cap = ledger.last_cap(simulated=settings.simulated, default=settings.cap)
        if cap == settings.cap:
            return None
        self.settings = dataclasses.replace(settings, cap=cap)
        return cap

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, policy: Policy | None = None, again: Collection[int] = (), *, before: View | None = None) -> View:
        """The plan of this moment. `policy`: a run's own, else the settings'. Raises InputError, Refusal.

        `before`: what was seen last; under the lock its rows are taken again if nothing was committed since.
        """
        if not self.trusts_ledger:
            freshness.refuse_unfit(self.outputs, thorough=not self._examined)
        self._examined = True
        view, learnt = self._look_once(policy, again, before)
        return self._look_once(policy, again, None)[0] if learnt else view

    def _look_once(self, policy: Policy | None, again: Collection[int], before: View | None) -> tuple[View, bool]:
        settings, at = self.ready, commits(self.outputs.ledger)
        with contextlib.closing(self._rows()) as ledger:
            if before is not None and self._holds_lock and before.tells_of(at, settings.cap):
                snapshot = before.snapshot
            else:
                snapshot = ledger.snapshot(simulated=settings.simulated, cap=settings.cap)
            prices = told_prices(self.requests, ledger, simulated=settings.simulated) if snapshot.purchases else {}
            requests = told.raised(takes_wanted.with_further(self.requests, snapshot.purchases.values()), prices)
        names = {request.number: clip_name(request.number) for request in requests}
        if self._clip_files is None:
            self._clip_files = ClipFiles(settings, self.outputs, self.services)
        by_name = {names[request.number]: request for request in requests}
        states, learnt = self._clip_files.look(by_name, snapshot, may_write=self._holds_lock)
        plan = planning.plan(
            requests,
            snapshot,
            states,
            names,
            policy=policy or Policy(on_uncertain=settings.run.on_uncertain, closed=_closed(settings)),
            again=again,
            simulated=settings.simulated,
        )
        if commits(self.outputs.ledger) != at or not self._holds_lock:  # somebody committed meanwhile, or will
            at = None
        return View(plan=plan, snapshot=snapshot, stats=self._clip_files.stats, at=at), learnt

    def want_only_clips(self, numbers: Collection[int]) -> bool:
        """Of these shots no further takes are wanted, whatever list and run say. Whether that changes a thing."""
        if not any(request.further for request in self.requests if request.number in numbers):
            return False
        self.requests = [replace(one, further=()) if one.number in numbers else one for one in self.requests]
        return True

    def other_world(self) -> str:
        """Why a build may not work on these outputs: they hold what was bought in the other world; "" if it may."""
        with contextlib.closing(self.reading()) as ledger:
            return world.other(self.ready, ledger)

    def placed_states(self) -> dict[str, File]:
        """The state of each clip that vgen ever put in place, when nothing else of the project can be read."""
        try:
            with contextlib.closing(self.reading()) as ledger:
                placed = ledger.snapshot(simulated=False, cap=None).placed
        except VgenError:
            return {}
        return inspect_names(self.outputs.clip_stats(), placed.keys(), placed, lambda name, row: File.EDITED)  # noqa: ARG005

    def reading(self) -> LedgerReader:
        """The ledger, to look at. A missing one is empty, and is not made."""
        return LedgerReader(self.outputs.ledger)

    def _rows(self) -> LedgerReader:
        """The ledger to plan by."""
        return self.reading() if self._holds_lock else settled(self.outputs, now=self.services.now)

    # ── locking ───────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def locked(
        self, *, wait: bool, rebuild: bool = False, tell: Callable[[str], None] = lambda _: None
    ) -> Iterator[None]:
        """Hold the outputs; first of all, settle what an earlier run left between an order and its end.

        Raises LedgerUnfit if the ledger can't be trusted. `rebuild`: it is made whole again instead. `tell`: what is
        said while the outputs are waited for.
        """
        outputs = self.outputs
        with run_lock(outputs, wait=wait, tell=tell):
            outputs.prepare()
            if rebuild:
                from vgen.store.rebuild import rebuild as make_whole

                self.notes += make_whole(outputs, now=self.services.now)
            freshness.refuse_unfit(outputs, thorough=True)
            self._examined = True
            self._settle_left_over()
            self._holds_lock = True
            try:
                yield
            finally:
                self._holds_lock = False

    def _settle_left_over(self) -> None:
        """Book answers that could not be written; then what nobody knows an answer of. Raises Refusal."""
        outputs = self.outputs
        if not outputs.ledger.exists():
            return
        try:
            with contextlib.closing(Ledger(outputs.ledger, now=self.services.now)) as ledger:
                self.notes += ledger.book_slips(outputs.slips)
                if ledger.left_over():
                    ledger.settle_left_over()
        except LedgerError as exc:
            raise Refusal(f"{outputs.ledger}: {exc}; nothing was bought, run again") from exc


def _read_shots(settings: Settings) -> ShotList:
    name = settings.run.visual_prompts
    try:
        data = settings.prompts_file.read_bytes()
    except OSError as exc:
        raise InputError([f"{name}: can't be read ({exc.strerror}); name another with visual_prompts=FILE"]) from exc
    return shot_list.parse(data, where=name, providers=settings.providers)


def _requests(shots: Sequence[Shot], settings: Settings) -> list[ShotRequest]:
    problems: list[str] = []
    album = Album(settings.root)
    shapes = {shot.number: shot.aspect_ratio or settings.run.aspect_ratio for shot in shots}
    requests = [request for shot in shots if (request := _request(shot, settings, album, shapes, problems)) is not None]
    if problems:
        raise InputError(problems)
    return requests


def _request(
    shot: Shot, settings: Settings, album: Album, shapes: Mapping[int, str], problems: list[str]
) -> ShotRequest | None:
    try:
        seen = album.look(shot)
    except InputError as exc:
        name = settings.run.visual_prompts
        problems.extend(f"{name}: shot {shot.number}: {problem}" for problem in exc.problems)
        return None
    wanted = shot.takes or settings.run.takes_wanted
    if shot.seed is not None and shot.seed + wanted - 1 > MAX_SEED:
        name = settings.run.visual_prompts
        problems.append(f"{name}: shot {shot.number}: seed: {wanted} takes need it at most {MAX_SEED - wanted + 1}")
        return None
    pictures = seen.map(lambda _, one: one.identity)
    sizes = shot.pictures.map(lambda name, source: _size(source, dict(seen.named())[name], shapes))
    further = [_of_take(shot, settings, pictures, sizes, take, problems) for take in range(2, wanted + 1)]
    first = _of_take(shot, settings, pictures, sizes, 1, problems)
    if settings.run.tier == DRAFT:
        recipes = {name: replace(made, tier=None) for name, made in first.recipes.items()}
        first = replace(first, final=replace(first, recipes=recipes, offers=(), tier=None))
    return replace(first, further=tuple(further)) if further else first


def _of_take(
    shot: Shot, settings: Settings, pictures: Pictures[str], sizes: requesting.Sizes, take: int, problems: list[str]
) -> ShotRequest:
    """The request for one of the takes wanted of a shot."""
    ratio, tier = settings.run.aspect_ratio, DRAFT if settings.run.tier == DRAFT else None
    of_run: dict[str, Any] = {"aspect_ratio": ratio, "tier": tier, "audio": settings.run.audio}
    recipes = {
        name: made
        for name in settings.providers
        if (made := requesting.of(shot, name, pictures=pictures, take=take, **of_run)) is not None
    }
    offers = []
    for provider in settings.offers:
        try:
            offers.append(requesting.offer(provider, recipes.get(provider.name), sizes))
        except NoPrice as exc:
            problem = f"{provider.name}: {exc}"
            problems.extend([] if problem in problems else [problem])
    return ShotRequest(
        shot=shot, recipes=recipes, offers=offers, aspect_ratio=ratio, pictures=pictures, tier=tier, take=take
    )


def _size(source: Source, seen: Seen, shapes: Mapping[int, str]) -> Size | None:
    """A picture's size as it is shown; of a frame that is still to come, the least one of its clip's shape."""
    return requesting.least_size(shapes[source.shot]) if isinstance(source, Frame) else seen.size


def _closed(settings: Settings) -> dict[str, str]:
    """Why providers sell nothing; a plan without a key is made as if there were one."""
    closed = {provider.name: provider.closed for provider in settings.providers.values() if provider.closed}
    planned = {one.name for one in settings.offers}
    return {name: why for name, why in closed.items() if name not in planned}
