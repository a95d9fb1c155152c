"""Where everything is in one outputs directory. Knows no ledger and no money."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from vgen.errors import Refusal
from vgen.store import atomic

MIN_FREE_BYTES = 64 << 20
EDITED = "edited"
"""The folder among the takes that is no recipe's: what it holds was made by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What one stat tells of a clip's file."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Outputs:
    """The places in one outputs directory."""

    root: Path

    @property
    def clips(self) -> Path:
        return self.root / "clips"

    @property
    def takes(self) -> Path:
        return self.root / "takes"

    @property
    def edited(self) -> Path:
        """Where clips that somebody edited are moved to before -a replaces them."""
        return self.takes / EDITED

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def clips_json(self) -> Path:
        return self.root / "clips.json"

    @property
    def report_json(self) -> Path:
        return self.root / "production_report.json"

    @property
    def gallery(self) -> Path:
        return self.root / "gallery.html"

    @property
    def conformed(self) -> Path:
        return self.root / "conformed"

    @property
    def cut(self) -> Path:
        return self.root / "cut.mp4"

    @property
    def subtitles(self) -> Path:
        """The captions, beside the cut and under its name: players show them by themselves."""
        return self.cut.with_suffix(".srt")

    def timeline(self, ending: str) -> Path:
        """The film for an editing program; `ending` with its dot."""
        return self.root / f"timeline{ending}"

    @property
    def plan_json(self) -> Path:
        return self.root / "plan.json"

    @property
    def log(self) -> Path:
        return self.root / "vgen.log"

    @property
    def private(self) -> Path:
        return self.root / ".vgen"

    @property
    def mark(self) -> Path:
        """How new the ledger must be."""
        return self.private / "ledger.mark"

    @property
    def told(self) -> Path:
        """Of which state of the ledger report and gallery tell."""
        return self.private / "told"

    @property
    def slips(self) -> Path:
        """Answers of providers that the ledger could not take yet."""
        return self.private / "orders"

    @property
    def frames(self) -> Path:
        """Pictures of takes that other shots begin or end with; each can be made again."""
        return self.private / "frames"

    @property
    def posters(self) -> Path:
        """Poster frames that came out of checks, for the next gallery."""
        return self.private / "posters"

    def part(self, purchase_id: int) -> Path:
        """Where a purchase's bytes arrive: same file system as the takes."""
        return self.private / "parts" / f"{purchase_id}.part"

    def parts(self) -> list[Path]:
        """Downloads that are or were under way."""
        return sorted((self.private / "parts").glob("*.part"))

    def clip(self, number: int) -> Path:
        return self.clips / clip_name(number)

    def take(self, recipe: str, take: int, *, simulated: bool, good: bool, suffix: str = ".mp4") -> Path:
        """`suffix`: what the file is. A good take is MP4 always."""
        kind = "simulated" if simulated else "take"
        return self.takes / recipe[:16] / f"{kind}_{take:03d}{'' if good else '_rejected'}{suffix}"

    def prepare(self) -> None:
        """Make the directories and try that they hold a file. Raises Refusal: nothing has been bought yet."""
        try:
            atomic.make_directory(self.root)
            self.refuse_symlinks()
            for place in (self.clips, self.takes, self.private, self.private / "parts"):
                atomic.make_directory(place)
            self._hide_from_git()
            probe = self.private / "probe"
            probe.write_bytes(b"vgen")
            probe.unlink()
        except OSError as exc:
            raise Refusal(f"{self.root}: can't be written ({exc.strerror}); name another with outputs=DIR") from exc
        free = shutil.disk_usage(self.root).free
        if free < MIN_FREE_BYTES:
            raise Refusal(f"{self.root}: only {free >> 20} MiB free; make room, nothing was bought")

    def _hide_from_git(self) -> None:
        """`git add` must not take what is in here, and a plain `git clean` must not remove it."""
        ignore = self.root / ".gitignore"
        if not any(os.path.lexists(self.root / name) for name in (ignore.name, ".git", "dodo.py")):
            ignore.write_text("*\n", encoding="ascii")

    def refuse_symlinks(self) -> None:
        """No link inside `outputs` may lead out of it. Raises Refusal."""
        home = self.root.resolve()
        for place in (self.root, self.clips, self.takes, self.private):
            with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(home):
                        raise Refusal(f"{entry.path} is a link that leads out of {self.root}; remove it")

    @property
    def has_ledger(self) -> bool:
        """Whether anything was ever written into the ledger that is here."""
        return self.ledger.exists() and self.ledger.stat().st_size > 0

    def clip_stats(self) -> dict[str, Stat]:
        """Name → stat of every regular file in the clips directory, in one pass."""
        found: dict[str, Stat] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self.clips) as entries:
            for entry in entries:
                if entry.name.endswith(".mp4") and not entry.name.startswith("."):
                    stat = entry.stat(follow_symlinks=False)
                    found[entry.name] = Stat(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
        return found


def clip_name(number: int) -> str:
    """`clip_007.mp4`: three digits or more."""
    return f"clip_{number:03d}.mp4"
