"""Makes the world odd, in a stage: keys, hosts, clocks, ledgers, readers, prices, pictures, edits and wrong files."""

import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_clips import fake_clip
from simulated_workers import fates, lying, on_a_cluster

from simulation import invariants, vendors, world
from simulation.odd import Odd
from simulation.stage import Stage, Trouble, disk_error


@dataclass(slots=True)
class Held:
    """From the n-th answer that is to be committed on, commits fail for so long; on a full disk all acts do."""

    stage: Stage
    n: int
    seconds: float
    full: bool
    until: float = 0.0

    def __call__(self, name: str) -> Exception | None:
        if name == "ledger.move.rendering" and not self.until:
            self.n -= 1
            if self.n <= 0:
                self.until = self.stage.now() + self.seconds
        if self.stage.now() >= self.until or not (self.full or name.startswith("ledger.")):
            return None
        self.stage.injected["full_disk" if self.full else "reader"] += 1
        return disk_error(name, 0 if self.full else 1)


class OddDays:
    """What is odd for one player's stage; `disturb` is asked for each run's trouble."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._held: Held | None = None
        self._keys_after: Mapping[str, str] | None = None
        self._copy: bytes | None = None
        self._copied_after = 0
        """How many power losses there had been when it was made."""
        self._version = 0
        self.ledger_is_old = False
        """Put back or deleted, and `doit recover` has not run since."""
        self.more_was_known = False
        """Whether the ledger that is gone knew of jobs or of uncertain money that this one does not know."""

    def begin(self, odd: Odd) -> None:
        """From here on, or in the next run."""
        stage, world_ = self._stage, self._stage.world
        match odd.kind:
            case "protocols":
                stage.environ |= vendors.NEW_KEYS
                common = {"poll_interval_s": odd.at, "max_concurrent": 5}
                stage.configure(**{name: {**said, **common} for name, said in vendors.SECTIONS.items()})
                stage.safe.settle()
            case "gateway":
                world_.gateway = odd.at, odd.amount
            case "other_key":
                self._keys_after = dict(stage.environ)
                stage.environ |= world.OTHER_KEYS
                if "PIKA_API_KEY" in stage.environ:
                    stage.environ["PIKA_API_KEY"] = world.OTHER_KEYS["FAL_KEY"]
                world_.refusal = world.REJECTED if odd.how == "401" else world.MISSING
            case "rotated_key":
                stage.environ |= world.ROTATED_KEYS
            case "moved":
                self._move(odd.how)
            case "quote":
                world_.factor = int(odd.amount)
            case "preview" | "other_clip":
                world_.wrong = odd.kind
            case "sound":
                stage.configure(pika={"model": odd.how})
                stage.safe.settle()
            case "no_decoder":
                world_.lacking = odd.how
            case "bad_twice" | "chains" | "film" | "locks":
                pass  # its steps say it all
            case _:
                self._begin_here(odd)

    def _begin_here(self, odd: Odd) -> None:
        """What is odd about our own machine, or about what is asked of vgen."""
        stage, world_ = self._stage, self._stage.world
        match odd.kind:
            case "clock" | "behind":
                stage.wall_s += odd.amount
            case "cluster":
                rng = random.Random(odd.at)
                drawn, takes_s = fates(rng, odd.amount), rng.choice((0.1, 2.0, 9.0))

                def lot(kind: str, number: int) -> str:
                    fate = drawn(kind, number)
                    stage.injected[f"worker_{fate}"] += 1
                    return fate

                on_a_cluster(stage, lot=lot, lie=lying(rng), takes_s=takes_s, praised=world_.praised)
                stage.environ["VGEN_CLUSTER_TIMEOUT_S"] = "40"
            case "takes":
                world_.takes_wanted, world_.holds = odd.at, odd.how == "hold"
            case "drafts":
                places = odd.how.split("+") if odd.how else ["runway"]
                stage.configure(**{name: {"draft": {"model": vendors.DRAFTS[name]}} for name in places})
                stage.safe.settle()
            case "old_ledger" | "no_ledger":
                self._ledger(odd.how)
            case "reader" | "full_disk":
                self._held = Held(stage, odd.at, odd.amount, full=odd.kind == "full_disk")
            case "picture":
                world_.at_request = odd.at, self.new_picture
            case "hand_edit":
                world_.at_request = odd.at, self._edit
            case "again" if stage.clip(odd.at).exists():
                self.edit(stage.clip(odd.at))

    def disturb(self, trouble: Trouble) -> None:
        """What the next run's disk does besides."""
        if self._held is not None:
            trouble.also, trouble.no_room = self._held, self._held.full or bool(trouble.disk)

    def after_run(self) -> None:
        """What held for one run is over."""
        self._held = None
        self._stage.world.new_run()
        if self._keys_after is not None:
            self._stage.environ.clear()
            self._stage.environ |= self._keys_after
            self._keys_after = None

    def with_their_key(self, act: Callable[[], Any]) -> None:
        """One run with the key of the account that bought some of the jobs."""
        self.begin(Odd(kind="other_key", how="404"))
        act()

    def new_picture(self) -> None:
        """The picture of all shots that have one is another from now on."""
        self._version += 1
        self._stage.injected["picture"] += 1
        path = self._stage.root / "config" / "boat.png"
        path.write_bytes(world.picture(self._version))
        self._stage.safe.sync(path.stat().st_ino)
        self._stage.safe.sync_names(path.parent)

    def _move(self, how: str) -> None:
        stage = self._stage
        stage.configure(**{name: {"base_url": url} for name, url in world.MOVED.items()})
        stage.safe.settle()
        stage.environ["PIKA_API_KEY"] = stage.environ["FAL_KEY"]  # the vendor's own is for the vendor's own hosts
        stage.world.old_hosts = dict.fromkeys(world.HOMES.values(), how)

    def _edit(self) -> None:
        """Somebody cuts a clip that is there."""
        for clip in sorted(self._stage.outputs.glob("clips/clip_*.mp4")):
            self.edit(clip)
            return

    def edit(self, clip: Path) -> None:
        """Somebody cuts this clip."""
        stage = self._stage
        data = fake_clip(width=720, height=1280, duration_s=5.0, size_bytes=160_000 + len(stage.world.edits))
        clip.unlink()
        clip.write_bytes(data)
        stage.safe.sync(clip.stat().st_ino)
        stage.safe.sync_names(clip.parent)
        stage.meddled.add(clip.name)
        for digest in [digest for digest, name in stage.world.edits.items() if name == clip.name]:
            del stage.world.edits[digest]  # what was edited before is that somebody's own to lose
        stage.world.edits[hashlib.sha256(data).hexdigest()] = clip.name
        stage.injected["hand_edit"] += 1
        stage.note(f"    {clip.name} is edited by hand")

    def _ledger(self, how: str) -> None:
        stage = self._stage
        path = stage.outputs / "ledger.db"
        hot = path.with_name("ledger.db-journal").exists()
        if how == "copy":
            self._copy = path.read_bytes() if path.exists() and not hot else None
            self._copied_after = stage.outages
            return
        if not path.exists() or hot or (how == "back" and self._copy in (None, path.read_bytes())):
            return
        before = invariants.books(stage)
        if how == "back":
            assert self._copy is not None
            path.write_bytes(self._copy)
        else:
            path.unlink()
        stage.safe.settle()
        now = invariants.books(stage)
        stage.injected["old_ledger" if how == "back" else "no_ledger"] += 1
        stage.world.ledgers_lost += 1
        receipts = {
            (told["provider"], told["job_id"])
            for receipt in stage.outputs.glob("takes/**/*.json")
            if (told := json.loads(receipt.read_bytes()))
        }
        owned = {job.id for job in now.owned.values()}
        stage.world.excused |= {
            job.id
            for job in before.jobs
            if job.id not in owned and (job.provider, job.id) not in receipts
        }  # fmt: skip
        # The mark is safe before an order is sent, not after each move of it: a power loss may take what told of those.
        orders_only = how == "back" and stage.outages > self._copied_after
        known = _order if orders_only else _known
        left = {known(row) for row in now.rows if row["job_id"] or row["state"] in ("submitting", "uncertain")}
        gone = {known(row) for row in before.rows if row["job_id"] or row["state"] == "uncertain"}
        self.ledger_is_old, self.more_was_known = True, not gone <= left


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    """An order alone, however far it has come."""
    return (row["id"],)


def _known(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a ledger knows of a purchase; an order of which a killed run wrote no answer will be uncertain."""
    return row["id"], row["state"].replace("submitting", "uncertain"), row["charged"], row["price"]
