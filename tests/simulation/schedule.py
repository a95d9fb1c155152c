"""Draws schedules: seed → shots, runs, faults, crashes, edits. Pure; plays nothing."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simulation import odd
from simulation.odd import Odd

CHANCES = (0.0, 0.05, 0.25, 0.6)
"""How likely one kind of fault is at each opportunity; drawn once per group and schedule."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "A create": (
        "create_429", "create_500", "create_503", "create_502", "create_reset", "create_502_accepted",
        "create_lost", "create_hang", "create_garbage", "create_cut", "create_moderation", "connect_refused",
    ),
    "B poll": ("poll_500", "poll_502", "poll_reset", "poll_garbage", "poll_hang", "poll_404"),
    "C download": (
        "media_500", "media_html", "media_cut", "media_cut_nolen", "media_stall", "media_damaged", "media_label",
        "url_expired",
    ),
    "D media": ("clip_damaged", "clip_small", "clip_short", "clip_480p", "clip_landscape"),
    "E job": ("job_failed", "job_moderated", "job_stuck", "job_queued", "job_slow", "price_overrun"),
    "result": ("result_504",),
}  # fmt: skip
"""The fault matrix's groups, in the simulator's names. F (disk) and J (time) are steps of their own."""

LATER_GROUPS = ("result",)
"""Groups that came later throw dice of their own, so that every other story of a seed stays what it was."""

QUIET_GROUPS = ("B poll", "C download", "result")
"""What must never make anything be bought more often (M13)."""

OUTAGES = 0.4
"""So many of the kills are power losses."""

TWICE_THE_SAME = frozenset({"media_damaged"})
"""The simulator damages a download the same way each time, which counts as the provider's own file (contract 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """The shot list is edited."""

    shots: tuple[Mapping[str, Any], ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doit:
    """One run. `crash`: killed at that durable point; `disk`: chance that a durable act fails; `dark`: no network.

    `power`: the kill is a power loss; `late`: at the first fsync from that point on.
    """

    args: tuple[str, ...]
    cap_usd: float
    crash: float = math.inf
    disk: float = 0.0
    dark: tuple[tuple[float, float], ...] = ()
    full: bool = True
    power: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The provider's faults from now on; none: calm, and jobs that were stuck come to their end."""

    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meddle:
    """Somebody does something to a file: `delete`, `damage` or `edit` a clip, `forget` doit's database."""

    how: str
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nobody works. `wall_s`: the machine's own clock is set by so much besides (group J)."""

    seconds: float
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The user looks at the provider's dashboard and tells vgen the truth about the first uncertain purchase."""


Step = Write | Doit | Weather | Meddle | Wait | Settle | Odd


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """All of one story. `quiet`: only polls and downloads fail, so that purchases must be those of a good day."""

    seed: int
    cloud: Mapping[str, Any]
    config: Mapping[str, Mapping[str, Any]]
    steps: tuple[Step, ...]
    max_retries: int
    ample: bool
    quiet: bool


def draw(seed: int, draws: frozenset[str] = odd.DRAWS) -> Schedule:
    """The schedule of a seed, with the odd days that are on."""
    drawn = _Draw(seed).schedule()
    return replace(drawn, steps=odd.add(seed, drawn.steps, quiet=drawn.quiet, draws=draws))


class _Draw:
    """One seed's dice, and what they have decided so far."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(f"schedule {seed}")
        self.outages = random.Random(f"outages {seed}")
        self.later = random.Random(f"later groups {seed}")
        self.quiet = seed % 10 == 9
        self.shots: list[dict[str, Any]] = []
        self.earlier: list[list[dict[str, Any]]] = []
        self.steps: list[Step] = []
        self.version = 0

    def schedule(self) -> Schedule:
        rng = self.rng
        for number in range(1, rng.choice((1, 1, 2, 2, 3, 4)) + 1):
            self.shots.append(self._shot(number))
        self.max_retries = rng.choice((1, 2, 3))
        worst = len(self.shots) * 0.6
        self.ample = rng.random() < 0.5
        self.cap = 40.0 if self.ample else round(worst * rng.choice((0.5, 1.0, 1.5, 3.0)) + 0.1, 2)
        self.args = (
            f"max_retries={self.max_retries}",
            f"max_concurrent={rng.choice((1, 2, 5))}",
            f"partial={'yes' if rng.random() < 0.8 else 'no'}",
            f"on_uncertain={'rebuy' if rng.random() < 0.25 else 'hold'}",
            f"clip_timeout_s={rng.choice((60, 300))}",
        )
        self.apis = rng.choice((("runway", "pika"), ("pika", "runway"), ("runway", "none"), ("pika", "none")))
        self._write("the list")
        for _ in range(rng.choice((1, 1, 2, 3))):
            self._bad_run()
        self._calm_end()
        return Schedule(
            seed=self.seed,
            cloud={
                "queue_s": rng.choice((1.0, 2.0, 20.0)),
                "render_s": rng.choice((5.0, 31.0, 90.0)),
                "concurrency": rng.choice((50, 50, 2)),
            },
            config={
                name: {"poll_interval_s": every, "max_concurrent": 5}
                for name, every in (("runway", rng.choice((5, 15))), ("pika", rng.choice((3, 15))))
            },
            steps=tuple(self.steps),
            max_retries=self.max_retries,
            ample=self.ample,
            quiet=self.quiet,
        )

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _shot(self, number: int) -> dict[str, Any]:
        rng = self.rng
        self.version += 1
        prompt = f"boat {self.version}"
        if self.shots and rng.random() < 0.2:
            prompt = rng.choice(self.shots)["prompt"]
        shot = {"shot_number": number, "duration": rng.choice((2, 4, 5)), "prompt": prompt, "transition": "cut"}
        if rng.random() < 0.15:
            shot["pika_prompt"] = f"{prompt} for pika"
        return shot

    def _write(self, why: str) -> None:
        self.steps.append(Write(shots=tuple(dict(shot) for shot in self.shots), why=why))

    def _doit(self, *, bad: bool) -> Doit:
        rng = self.rng
        primary, fallback = self.apis
        cap = self.cap
        if rng.random() < 0.1 and not self.quiet:
            primary, fallback = rng.choice((("runway", "pika"), ("pika", "runway")))
        if rng.random() < 0.1 and not self.quiet:
            cap = round(cap * rng.choice((0.5, 1.5)), 2)
        args = [*self.args, f"primary_api={primary}", f"fallback_api={fallback}", f"budget_usd={cap}"]
        full = True
        if bad and not self.quiet and rng.random() < 0.2:
            number = rng.choice(self.shots)["shot_number"]
            full = False
            args.insert(0, f"clip:{number}")
            if rng.random() < 0.7:
                args.insert(0, "-a")
        elif bad and not self.quiet and rng.random() < 0.08:
            args = ["recover", *args]
            full = False
        crash, disk, dark = math.inf, 0.0, ()
        if bad and not self.quiet:
            if rng.random() < 0.5:
                crash = self._point()
            if rng.random() < 0.12:
                disk = rng.choice((0.02, 0.1, 1.0))
            if rng.random() < 0.1:
                start = rng.uniform(0, 60)
                dark = ((start, start + rng.choice((1.0, 30.0, 400.0))),)
        power = crash < math.inf and self.outages.random() < OUTAGES
        return Doit(
            args=tuple(args), cap_usd=cap, crash=crash, disk=disk, dark=dark, full=full,
            power=power, late=power and self.outages.random() < 0.5,
        )  # fmt: skip

    def _point(self) -> int:
        return self.rng.randint(1, self.rng.choice((12, 40, 90)))

    def _bad_run(self) -> None:
        rng = self.rng
        self.steps.append(Weather(faults=self._faults()))
        run = self._doit(bad=True)
        self.steps.append(run)
        if run.crash < math.inf and rng.random() < 0.3:
            self._between()
            self.steps.append(self._doit(bad=True))
        self._between()

    def _faults(self) -> tuple[str, ...]:
        found: list[str] = []
        for group, names in GROUPS.items():
            rng = self.later if group in LATER_GROUPS else self.rng
            chance = rng.choice(CHANCES)
            if self.quiet and group not in QUIET_GROUPS:
                continue
            chosen = rng.sample(names, rng.randint(1, min(3, len(names))))
            if self.quiet:
                chosen = [name for name in chosen if name not in TWICE_THE_SAME]
            share = round(chance / math.sqrt(len(chosen) or 1), 3)
            if group in LATER_GROUPS and share:  # said again a minute later, it is the job's own end
                found += [f"{name}=first:1" for name in chosen]
                continue
            found += [f"{name}={share}" for name in chosen if share]
        return tuple(found)

    def _between(self) -> None:
        """What may happen while nobody works."""
        rng = self.rng
        if rng.random() < 0.6:
            wall = 0.0 if self.quiet or rng.random() < 0.9 else rng.choice((-86_400.0, 86_400.0))
            self.steps.append(Wait(seconds=rng.choice((10.0, 200.0, 1000.0, 4000.0, 100_000.0)), wall_s=wall))
        if self.quiet:
            return
        if rng.random() < 0.25:
            self._edit()
        number = rng.choice(self.shots)["shot_number"]
        if rng.random() < 0.1:
            self.steps.append(Meddle(how="delete", number=number))
        if rng.random() < 0.05:
            self.steps.append(Meddle(how="damage", number=number))
        if rng.random() < 0.1:
            self.steps.append(Meddle(how="forget"))
        if rng.random() < 0.1:
            self.steps.append(Settle())

    def _edit(self) -> None:
        rng = self.rng
        self.earlier.append([dict(shot) for shot in self.shots])
        shot = rng.choice(self.shots)
        what = rng.choice(("prompt", "prompt", "undo", "transition", "duration", "renumber", "leave", "come"))
        match what:
            case "prompt":
                self.version += 1
                shot["prompt"] = f"boat {self.version}"
            case "undo":
                self.shots = [dict(old) for old in rng.choice(self.earlier)]
            case "transition":
                shot["transition"] = "fade"
            case "duration":
                shot["duration"] = 5 if shot["duration"] != 5 else 4
            case "renumber":
                numbers = [each["shot_number"] for each in self.shots]
                for each, number in zip(self.shots, [*numbers[1:], numbers[0]], strict=True):
                    each["shot_number"] = number
            case "leave" if len(self.shots) > 1:
                self.shots.remove(shot)
            case _:
                self.shots.append(self._shot(max(each["shot_number"] for each in self.shots) + 1))
        self._write(what)

    def _calm_end(self) -> None:
        rng = self.rng
        self.steps.append(Weather())
        self.steps.append(Wait(seconds=rng.choice((10.0, 1000.0, 5000.0))))
        for _ in range(rng.choice((1, 2, 3))):
            self.steps.append(self._doit(bad=False))


def told(step: Step) -> str:
    """A step in one line, for a trace."""
    match step:
        case Write():
            shots = "; ".join(map(_shot_told, step.shots))
            return f"the list is written ({step.why}): {shots}"
        case Doit():
            how = ("the power fails after" if step.late else "the power fails at") if step.power else "killed at"
            extra = f" {how} point {step.crash}" if step.crash < math.inf else ""
            extra += f" disk errors {step.disk:.0%}" if step.disk else ""
            extra += f" no connection in {step.dark}" if step.dark else ""
            return f"doit {' '.join(step.args)}{extra}"
        case Weather():
            return f"faults: {' '.join(step.faults) or 'none any more'}"
        case Meddle():
            return f"somebody: {step.how} {step.number or ''}".rstrip()
        case Wait():
            return f"{step.seconds:,.0f} s pass" + (
                f", the clock is set by {step.wall_s:+,.0f} s" if step.wall_s else ""
            )
        case Settle():
            return "the user settles an uncertain purchase"
        case Odd():
            return f"odd: {odd.KINDS[step.kind]} ({step.how or step.amount:}, at {step.at})"


def _shot_told(shot: Mapping[str, Any]) -> str:
    image = f", from {shot['image']}" if shot.get("image") else ""
    return f"{shot['shot_number']}: {shot['prompt']}, {shot['duration']} s{image}"


def without_faults(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same story on a good day."""
    return tuple(
        Weather() if isinstance(step, Weather) else step
        for step in steps
        if not isinstance(step, Odd) or step.kind in ("clock", "protocols")
    )
