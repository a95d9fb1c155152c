"""vgen on loopback with everything real but the judge: the clips there are no videos."""

import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fakes import fake_judge

from vgen import retry
from vgen.plan.request import ShotRequest
from vgen.production.http import HttpClient
from vgen.production.run import Batch
from vgen.production.services import Outside, real_world


def unjudged(scale: float = 1.0) -> Outside:
    """The real world, but for ffprobe; pauses between two tries of a download are scaled as all pauses are."""
    base_s, max_s = retry.DOWNLOAD.base_s * scale, retry.DOWNLOAD.max_s * scale
    retry.DOWNLOAD = dataclasses.replace(retry.DOWNLOAD, base_s=base_s, max_s=max_s)
    return dataclasses.replace(real_world(), online=_online)


@contextlib.asynccontextmanager
async def _online(batch: Batch, requests: Sequence[ShotRequest]) -> AsyncIterator[None]:  # noqa: ARG001 - the world's signature
    batch.judge = fake_judge
    async with HttpClient(now=batch.now, network=None) as http:
        batch.http = http
        yield
        batch.http = None
