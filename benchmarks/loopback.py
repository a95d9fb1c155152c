"""vgen on loopback with everything real but the judge: the clips there are no videos."""

import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fakes import fake_judge

from vgen.batch import Batch
from vgen.plan import Wish
from vgen.wire import Wire
from vgen.world import Outside, real_world


def unjudged() -> Outside:
    """The real world, but for ffprobe."""
    return dataclasses.replace(real_world(), online=_online)


@contextlib.asynccontextmanager
async def _online(batch: Batch, wishes: Sequence[Wish]) -> AsyncIterator[None]:  # noqa: ARG001 - the world's signature
    batch.judge = fake_judge
    async with Wire(now=batch.now, network=None) as wire:
        batch.wire = wire
        yield
        batch.wire = None
