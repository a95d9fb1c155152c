"""External services a run depends on (clock, RNG, terminal, network, ffmpeg), injected so that tests replace them."""

import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vgen.errors import ToolMissing
from vgen.inputs.pictures import Moment
from vgen.inputs.settings import Settings
from vgen.plan.request import ShotRequest
from vgen.production import world
from vgen.production.events import Tell
from vgen.production.intent import Online
from vgen.production.run import Run

if TYPE_CHECKING:
    from vgen.media.probe import Facts
    from vgen.media.tools import Tools


class GoOnline(Protocol):
    """Opens the way to the providers of a run, or into a simulator. Raises ToolMissing without ffmpeg."""

    def __call__(self, run: Run, requests: Sequence[ShotRequest]) -> contextlib.AbstractAsyncContextManager[Online]: ...


Inspect = Callable[[Settings, Path], Awaitable["Facts"]]
"""What a video file is, after a full decode. Raises MediaError if it does not play, NotJudged, ToolMissing."""


@contextlib.asynccontextmanager
async def _unwatched(_: Run) -> AsyncIterator[None]:
    yield


def no_tools(_: Settings) -> None:
    """A machine without ffmpeg."""
    return


async def _cannot_inspect(_settings: Settings, _path: Path) -> "Facts":
    raise ToolMissing("no ffmpeg")


TakeFrame = Callable[[Settings, Path, Moment, Path, str], Awaitable[Path]]
"""Settings, clip, moment ("first", "last" or seconds), folder and the clip's sha256 → the picture's file, made once.

Raises MediaError if the clip has no such picture, NotJudged, ToolMissing, OSError.
"""


async def _no_frame(_settings: Settings, _clip: Path, _at: Moment, _folder: Path, _sha256: str) -> Path:
    raise ToolMissing("no ffmpeg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Wall clock, random source, way to the providers, terminal, ffmpeg. `clock` is trio's; None is the real one."""

    now: Callable[[], float]
    rng: random.Random
    online: GoOnline
    tell: Tell
    watching: Callable[[Run], contextlib.AbstractAsyncContextManager[None]] = _unwatched
    tools: "Callable[[Settings], Tools | None]" = no_tools
    inspect: Inspect = _cannot_inspect
    frame: TakeFrame = _no_frame
    who_answers: world.Ask = world.ask
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    link: Any = None
    """How a cluster's child is started (`vgen.cluster.link.Link`); None: as a process."""
    clock: Any = None
