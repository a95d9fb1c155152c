"""A simulated cloud that listens on loopback, in a thread, and tells the truth about what it sold."""

import functools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import trio
import trio.testing

from vgen.media.tools import find_tools
from vgen.simulator.app import App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import AFTER_ACCEPTING, Faults
from vgen.simulator.jobs import Clip
from vgen.simulator.renderers import animatic_renderer
from vgen.simulator.server import serve_tcp
from vgen.simulator.web import Request, Response

T = TypeVar("T")
START_S = 60.0
SLOWEST_S = 0.08
DRAIN_S = 30.0
QUIET_S = 0.02
"""So long the server must have had nothing to do and nothing to read: a request may still be in a socket."""


class Served:
    """The server and its books. `answered`: jobs whose id was sent back whole; `injected`: faults so far, by name."""

    def __init__(self, seed: int, **options: Any) -> None:
        self.answered: set[str] = set()
        self.injected: Counter[str] = Counter()
        self.cloud = Cloud(now=time.time, seed=seed, **options)
        self._seed, self._weathers = seed, 0
        self._chance = random.Random(f"latency {seed}")
        self._port = self._answering = 0
        self._listens = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve,), daemon=True)
        self._thread.start()
        assert self._listens.wait(START_S), "the provider did not start"

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            self._scope, self._token = nursery.cancel_scope, trio.lowlevel.current_trio_token()
            self._app = App(self.cloud, tagged, anonymous=True)
            self._port = await nursery.start(serve_tcp, self._take_time, "127.0.0.1", 0)
            self._listens.set()

    async def _take_time(self, request: Request) -> Response:
        """A create takes a while, before it is accepted and after."""
        waits = self._chance.uniform(0, SLOWEST_S) if request.method == "POST" else 0.0
        self._answering += 1
        try:
            await trio.sleep(waits)
            response = await self._app(request)
            await trio.sleep(waits)
        finally:
            self._answering -= 1
        return response

    def drain(self) -> None:
        """Wait until what dead clients had sent is acted upon."""
        trio.from_thread.run(self._drained, trio_token=self._token)

    async def _drained(self) -> None:
        with trio.move_on_after(DRAIN_S):  # another run may go on asking
            while True:
                await trio.testing.wait_all_tasks_blocked(QUIET_S)
                if not self._answering:
                    return
                await trio.sleep(QUIET_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def ask(self, act: Callable[[], T]) -> T:
        """Do something between two of the server's requests."""
        return trio.from_thread.run_sync(act, trio_token=self._token)

    def weather(self, faults: Iterable[str]) -> None:
        """Other faults from now on."""
        self._weathers += 1
        self.cloud.faults = _Watched(tuple(faults), self._seed * 1000 + self._weathers, self)

    def stop(self) -> None:
        self.ask(self._scope.cancel)
        self._thread.join(START_S)
        assert not self._thread.is_alive(), "the provider did not stop"


class _Watched(Faults):
    """Tells of every job whose answer was sent whole."""

    def __init__(self, spec: Iterable[str], seed: int, served: Served) -> None:
        super().__init__(spec, seed)
        self._served = served
        self.counts = served.injected

    def first_of(self, names: Iterable[str], provider: str, prompt: str) -> str | None:
        found = super().first_of(names, provider, prompt)
        if names is AFTER_ACCEPTING and found is None:
            self._served.answered.add(next(reversed(self._served.cloud._jobs)))
        return found


# ── films ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_FILMS: dict[Clip, bytes] = {}
"""One film of each size and length: drawing takes longer than anything else."""


async def tagged(clip: Clip) -> bytes:
    """A real MP4 of the right size and length, with the prompt and the job in a `free` box behind it."""
    plain = replace(clip, job_id="", label="", prompt="a film of the campaign")
    if plain not in _FILMS:
        _FILMS[plain] = await _renderer()(plain)
    tag = json.dumps({"prompt": clip.prompt, "job": clip.job_id}).encode()
    return _FILMS[plain] + (8 + len(tag)).to_bytes(4, "big") + b"free" + tag


def told_by(data: bytes) -> str:
    """The prompt that a tagged film was made for."""
    return str(json.loads(data[data.rindex(b"free{") + 4 :])["prompt"])


@functools.cache
def _renderer() -> Callable[[Clip], Any]:
    return animatic_renderer(find_tools(None, None))
