"""vgen on loopback with everything real but ffmpeg and ffprobe: the clips there are no videos."""

import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fake_clips import fake_judge

from vgen import retry
from vgen.cli.services import real_services
from vgen.plan.request import ShotRequest
from vgen.production.http import HttpClient
from vgen.production.intent import Online
from vgen.production.run import Run
from vgen.production.services import Services, no_tools


def unjudged(scale: float = 1.0) -> Services:
    """The real world without media work; pauses between two tries of a download are scaled as all pauses are."""
    base_s, max_s = retry.DOWNLOAD.base_s * scale, retry.DOWNLOAD.max_s * scale
    retry.DOWNLOAD = dataclasses.replace(retry.DOWNLOAD, base_s=base_s, max_s=max_s)
    return dataclasses.replace(real_services(), online=_online, tools=no_tools)


@contextlib.asynccontextmanager
async def _online(run: Run, requests: Sequence[ShotRequest]) -> AsyncIterator[Online]:  # noqa: ARG001 - the port's signature
    async with HttpClient(now=run.now, tls=run.services.tls) as http:
        yield Online(http=http, judge=fake_judge)
