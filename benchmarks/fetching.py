"""vgen's own download of many files at once, as a run does it: `python -m benchmarks.fetching URL COUNT FOLDER`."""

import sys
import time
from pathlib import Path
from typing import Any

import trio

from vgen.production import download
from vgen.production.http import HttpClient


class _Batch:
    """All that a download asks of a batch."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http


async def _all(url: str, count: int, folder: Path) -> None:
    async with HttpClient(now=time.time) as http, trio.open_nursery() as nursery:
        batch: Any = _Batch(http)
        for k in range(1, count + 1):
            nursery.start_soon(download._Loader(batch, f"{url}/{k}.mp4", url, folder / f"{k}.mp4", None).run)


if __name__ == "__main__":
    trio.run(_all, sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
