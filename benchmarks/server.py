"""The simulated providers as a process of their own: `python -m benchmarks.server` prints its address.

As `python -m vgen.simulator --fast`, with latencies that can have a long tail.
"""

import argparse
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from benchmarks.workload import factor
from vgen.simulator.app import App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import Faults
from vgen.simulator.jobs import Job, Order
from vgen.simulator.renderers import plain_renderer
from vgen.simulator.server import Application, serve_tcp
from vgen.simulator.web import Request, Response


class TailedCloud(Cloud):
    """A cloud whose jobs take differently long, with `tail` very much so."""

    tail = False
    begun: Path | None = None
    """Where the moment of the first order is written."""

    def accept(self, order: Order, **how: Any) -> Job:
        """As the cloud does."""
        if self.begun and not self.begun.exists():
            self.begun.write_text(repr(self.now()), encoding="utf-8")
        even = self.render_s
        self.render_s = even * factor(order.prompt, tail=self.tail)
        try:
            return super().accept(order, **how)
        finally:
            self.render_s = even


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queue-s", type=float, default=0.0)
    parser.add_argument("--render-s", type=float, default=0.0)
    parser.add_argument("--begun", type=Path)
    parser.add_argument("--tail", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--media", default="", help="whence all clips come, instead of from here")
    options = parser.parse_args(argv)
    cloud = TailedCloud(
        now=time.time,
        faults=Faults(options.fault, options.seed),
        queue_s=options.queue_s,
        render_s=options.render_s,
        concurrency=10_000,
        seed=options.seed,
    )
    cloud.tail, cloud.begun = options.tail, options.begun
    app = App(cloud, plain_renderer, anonymous=True)
    trio.run(_serve, _elsewhere(app, options.media) if options.media else app)


def _elsewhere(app: App, media: str) -> Application:
    """The same, but the first job's clip is clip_1.mp4 at another address, and so on."""
    numbers: dict[bytes, int] = {}

    async def answered(request: Request) -> Response:
        def renamed(found: re.Match[bytes]) -> bytes:
            return f"{media}/clip_{numbers.setdefault(found[0], len(numbers) + 1)}.mp4".encode()

        response = await app(request)
        return replace(response, body=re.sub(rb'http://[^/"]+/media/[^"]+', renamed, response.body))

    return answered


async def _serve(app: Application) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_tcp, app, "127.0.0.1", 0)
            print(f"http://127.0.0.1:{port}", flush=True)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()
