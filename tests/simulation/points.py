"""Every durable point there is, and stories that reach them all: each is died at, and failed at, one by one."""

import ast
import functools
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import vgen
from simulation import play
from simulation.odd import Odd
from simulation.schedule import Doit, Meddle, Schedule, Wait, Weather, Write
from simulation.stage import Stage, Trouble, disk_error
from vgen.store.purchase import State

NAMES: Mapping[str, tuple[str, ...]] = {
    'database.py: "ledger.create"': ("ledger.create",),
    'ledger.py: f"ledger.{name}"': (
        "ledger.run.start", "ledger.run.finish", "ledger.reserve", "ledger.note", "ledger.place", "ledger.unplace",
        "ledger.choose", "ledger.retakes", "ledger.lock", "ledger.unlock", "ledger.remark", "ledger.follow",
        *(f"ledger.move.{state}" for state in State if state is not State.RESERVED),
    ),
    'order_slips.py: "orders.allocate"': ("orders.allocate",),
    'order_slips.py: "orders.write"': ("orders.write",),
    'order_slips.py: "orders.unlink"': ("orders.unlink",),
    'takes.py: "take.link"': ("take.link",),
    'takes.py: "part.unlink"': ("part.unlink",),
    'takes.py: "clip.fsync"': ("clip.fsync",),
    'takes.py: "clip.replace"': ("clip.replace",),
    'takes.py: "clip.unlink"': ("clip.unlink",),
    'takes.py: "edit.move"': ("edit.move",),
    'download.py: "part.fsync"': ("part.fsync",),
    'cluster.py: "part.take"': ("part.take",),
    'atomic.py: f"replace.{path.name}"': (
        "replace.clips.json", "replace.production_report.json", "replace.plan.json", "replace.take.json",
        "replace.take_rejected.json", "replace.gallery.html",
    ),
    'atomic.py: f"fsync.{path.name}"': (
        "fsync..clips.json.part", "fsync..production_report.json.part", "fsync..plan.json.part",
        "fsync..take.json.part", "fsync..take_rejected.json.part", "fsync..gallery.html.part",
    ),
}  # fmt: skip
"""Where `failpoints.failpoint(` stands in the source → the names that it is called by, in full."""

UNREACHED: Mapping[str, str] = {
    'order_slips.py: "orders.fsync"': "needs a ledger that takes no answer; failures are in tests/faults",
    'migrations.py: "ledger.migrate"': "needs a ledger of an earlier schema; kills are in tests/test_migrations.py",
    **dict.fromkeys(
        (
            'conform_record.py: "conformed.fsync"',
            'conform_record.py: "conformed.replace"',
            'conform.py: "conformed.unlink"',
        ),
        "needs an ffmpeg, which no scene has; kills are in tests/test_conform.py",
    ),
}
"""Points of the source that no scene reaches, and why that is no harm."""


def in_source() -> set[str]:
    """Each `failpoints.failpoint(…)` of vgen: its file, and its argument as it is written."""
    found = set()
    for path in sorted(Path(vgen.__file__).parent.rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.failpoint":
                found.add(f"{path.name}: {ast.get_source_segment(text, node.args[0])}")
    return found


def plain(name: str) -> str:
    """A point's name without the number of the take."""
    return re.sub(r"take_\d+", "take", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A story of good runs and one that is disturbed (the last of `steps`); `then`: what follows in calm weather."""

    steps: tuple[Write | Doit | Weather | Meddle | Wait | Odd, ...]
    cloud: Mapping[str, float]
    then: tuple[Doit | Write, ...]


ARGS = ("max_retries=2", "backoff_base_s=1", "budget_usd=20")


def _doit(*words: str, full: bool = True) -> Doit:
    return Doit(args=(*words, *ARGS), cap_usd=20.0, full=full)


def _type(*words: str) -> Doit:
    """A command that buys nothing."""
    return _doit(*words, full=False)


def _list(*prompts: str, why: str = "the list") -> Write:
    shots = [
        {"shot_number": number, "duration": 2, "prompt": prompt, "transition": "cut"}
        for number, prompt in enumerate(prompts, 1)
    ]
    return Write(shots=tuple(shots), why=why)


def _chain(*prompts: str) -> Write:
    """Each shot from the last frame of the one before."""
    plain = _list(*prompts)
    links = ({"image": f"clip:{shot['shot_number'] - 1}"} if shot["shot_number"] > 1 else {} for shot in plain.shots)
    return Write(shots=tuple({**shot, **link} for shot, link in zip(plain.shots, links, strict=True)), why="the list")


def _scene(
    *steps: Write | Doit | Weather | Meddle | Wait | Odd, then: tuple[Doit | Write, ...] = (), **cloud: float
) -> Scene:
    story = (_list("boat 1", "boat 2"), *steps)
    return Scene(steps=story, cloud={"queue_s": 1.0, "render_s": 10.0} | cloud, then=then or (_doit(),))


def _faults(*faults: str) -> Weather:
    return Weather(faults=faults)


SCENES: Mapping[str, Scene] = {
    "two shots": _scene(_doit()),
    "failed, tried again, then the fallback": _scene(_faults("runway.job_failed=1"), _doit()),
    "a rejected take": _scene(_faults("clip_480p=first:1"), _doit()),
    "detached": _scene(_doit("clip_timeout_s=60"), render_s=100.0),
    "collected": _scene(_doit("clip_timeout_s=60"), Wait(seconds=300.0), _doit(), render_s=100.0),
    "restored": _scene(_doit(), Meddle(how="delete", number=1), Meddle(how="damage", number=2), _doit()),
    "a new take": _scene(_doit(), _doit("-a", "clip:1", full=False)),
    "an unfinished -a": _scene(
        _doit(), _doit("-a", "clip:1", "clip:2", full=False),
        then=(_doit("-a", "clip:1", "clip:2", full=False), _doit("-a", "clip:2", full=False), _doit()),
    ),
    "an edit is replaced by -a": _scene(
        _doit(), Meddle(how="edit", number=1), _doit("-a", "clip:1", full=False),
        then=(_doit("-a", "clip:1", full=False), _doit()),
    ),
    "lost answers": _scene(_faults("create_lost=first:1", "create_429=first:1~boat 2"), _doit()),
    "a lost answer is found": _scene(
        _faults("create_lost=1"), _doit("primary_api=pika"), _faults(), Wait(seconds=100.0), _doit("primary_api=pika")
    ),
    "settled by hand": _scene(
        _faults("create_reset=1"), _doit("fallback_api=none"), _faults(), Wait(seconds=100.0),
        Doit(args=("settle", "shot=1", "as=not-charged"), cap_usd=20.0, full=False),
    ),
    "queued for ever": _scene(_faults("runway.job_queued=1"), _doit("clip_timeout_s=60")),
    "lost by the provider": _scene(_faults("poll_404=1"), _doit()),
    "fresh addresses": _scene(_faults("url_expired=first:2"), _doit()),
    "no connection": _scene(_faults("connect_refused=first:2"), _doit()),
    "a clip is replaced": _scene(_doit(), _list("boat 1 again", "boat 2", why="an edit"), _doit()),
    "a shot leaves the list": _scene(_doit(), _list("boat 1", why="leave"), _doit()),
    "an earlier take is picked": _scene(
        _doit(), _doit("-a", "clip:1", full=False),
        _type("pick", "shot=1", "take=1"),
    ),
    "a clip is locked": _scene(
        _doit(), _type("note", "shot=2", "text=slower"), _type("lock", "shot=1"),
        then=(_list("boat 1 again", "boat 2", why="an edit"), _doit()),
    ),
    "a locked shot is edited, and another unlocked": _scene(
        _doit(), _type("lock", "shot=1"), _type("lock", "shot=2"), _type("unlock", "shot=2"),
        _list("boat 1 again", "boat 2", why="an edit"), Meddle(how="delete", number=1), _doit(),
    ),
    "a chain of three": Scene(
        steps=(_chain("boat 1", "boat 2", "boat 3"), _doit()), cloud={"queue_s": 1.0, "render_s": 10.0}, then=(_doit(),)
    ),
    "on a cluster": _scene(Odd(kind="cluster"), _doit()),
    "a plan": _scene(Doit(args=("plan", *ARGS), cap_usd=20.0, full=False)),
}  # fmt: skip


@dataclass(slots=True)
class ErrorAt:
    """The k-th act fails as on a full or broken disk; `for_ever`: all after it too."""

    k: int
    for_ever: bool
    seen: int = 0

    def __call__(self, name: str) -> Exception | None:
        self.seen += 1
        due = self.seen == self.k or (self.for_ever and self.seen > self.k)
        return disk_error(name, self.k) if due else None


@functools.cache
def undisturbed(scene: str) -> tuple[int, frozenset[int]]:
    """How many points a scene's last run has (each act two: before, after), and after how many of them it syncs."""
    with play.project() as root, play.patience():
        trouble = _until_last(root, scene)[1](math.inf, None)
    return trouble.seen, frozenset(trouble.synced)


def every(scene: str) -> range:
    """The points of a scene's last run."""
    return range(1, undisturbed(scene)[0] + 1)


def acts(scene: str) -> range:
    """The durable acts of a scene's last run."""
    return range(1, undisturbed(scene)[0] // 2 + 1)


def ways_to_die_late(scene: str) -> list[int]:
    """Of the points that share their next fsync, the first: to die there is the same death for all of them."""
    synced = undisturbed(scene)[1]
    return [k for k in every(scene) if k == 1 or k - 1 in synced]


def die_at(scene: str, k: int) -> None:
    """Die at the k-th point of the scene's last run, go on in calm weather, and judge. Raises Violation."""
    with play.project() as root, play.patience():
        player, last = _until_last(root, scene)
        last(k)
        _recover(player, scene)


class _Worst(random.Random):
    """Nothing survives that need not."""

    def random(self) -> float:
        return 0.0

    def randint(self, a: int, b: int) -> int:
        return a


def lose_at(scene: str, k: int, *, late: bool) -> list[str]:
    """As `die_at`, but the power fails: all that was not synced is gone. `late`: at the first fsync from there on.

    The whole story.
    """
    with play.project() as root, play.patience():
        player, last = _until_last(root, scene)
        last(k, late=late)
        _recover(player, scene)
    return player.stage.story


def fail_at(scene: str, k: int, *, for_ever: bool) -> None:
    """As `die_at`, but the k-th act fails as on a bad disk, which is well again afterwards. Raises Violation."""
    with play.project() as root, play.patience():
        player, last = _until_last(root, scene)
        last(math.inf, ErrorAt(k, for_ever))
        _recover(player, scene)


def _until_last(root: Path, name: str) -> tuple[play.Player, Callable[..., Trouble]]:
    """The scene played up to its last run; that one is to be called with the point to die at, or the disk error."""
    scene = SCENES[name]
    stage = Stage(root, seed=7, **scene.cloud)
    stage.configure(runway={"poll_interval_s": 12}, pika={"poll_interval_s": 12})
    player = play.Player(stage, _as_schedule(scene), play.Outcome(7))
    *steps, end = scene.steps
    assert isinstance(end, Doit)
    for step in steps:
        player.take(step)

    def last(k: float, error: ErrorAt | None = None, *, late: bool | None = None) -> Trouble:
        trouble = Trouble(stage, _Worst(), crash=k, power=late is not None, late=bool(late))
        if error is not None:
            trouble.also = error
        player.run(end, trouble)
        return trouble

    return player, last


def _recover(player: play.Player, scene: str) -> None:
    player.take(Weather())
    player.take(Wait(seconds=5000.0))
    for step in SCENES[scene].then:
        player.take(step)
    player.finish()


def _as_schedule(scene: Scene) -> Schedule:
    return Schedule(seed=7, cloud={}, config={}, steps=scene.steps, max_retries=2, ample=False, quiet=False)


def reached() -> Iterator[str]:
    """The plain names of all points that the scenes reach, from their very beginning."""
    for scene in SCENES:
        with play.project() as root, play.patience():
            player, last = _until_last(root, scene)
            last(math.inf)
            yield from map(plain, player.outcome.points)
