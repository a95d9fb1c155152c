"""`python provider.py CLOCK DRAWN ARGS`: `python -m vgen.simulator ARGS`, as tests need it.

Its clock says the moment that is in the file CLOCK, as long as there is one. It keeps the clips that it draws in the
folder DRAWN, and draws none a second time: the same clip of the same prompt is the same bytes.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from vgen.media.tools import Tools
from vgen.simulator import __main__ as simulator
from vgen.simulator.jobs import Clip
from vgen.simulator.renderers import Renderer, animatic_renderer


class Clock:
    """In the place of the module `time`."""

    last = 0.0

    def __init__(self, moment: Path) -> None:
        self._moment = moment

    def time(self) -> float:
        """Seconds since 1970, never fewer than before."""
        try:
            now = float(self._moment.read_text())
        except FileNotFoundError:
            now = time.time()
        self.last = max(self.last, now)
        return self.last


def drawn_once(drawn: Path) -> Callable[[Tools], Renderer]:
    """In the place of `animatic_renderer`."""

    def make(tools: Tools) -> Renderer:
        draw = animatic_renderer(tools)

        async def look_or_draw(clip: Clip) -> bytes:
            if clip.pictures:
                return await draw(clip)
            what = repr(replace(clip, job_id=""))
            kept = drawn / f"{sha256(what.encode()).hexdigest()}.mp4"
            try:
                return kept.read_bytes()
            except FileNotFoundError:
                data = await draw(clip)
            new = kept.with_suffix(f".{os.getpid()}")
            new.write_bytes(data)
            new.replace(kept)
            return data

        return look_or_draw

    return make


if __name__ == "__main__":
    clock, drawn = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
    simulator.time = Clock(clock)  # type: ignore[assignment]
    simulator.animatic_renderer = drawn_once(drawn)
    sys.exit(simulator.main())
