"""The world as a project meets it: clock, chance, terminal, and the way online. Tests bring a world of their own."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vgen import providers
from vgen.errors import ToolMissing
from vgen.inputs.settings import Settings
from vgen.plan.request import ShotRequest
from vgen.production.run import Batch, Tell
from vgen.views import terminal
from vgen.views.progress import Progress

if TYPE_CHECKING:
    from vgen.media.tools import Tools


Online = Callable[[Batch, Sequence[ShotRequest]], contextlib.AbstractAsyncContextManager[None]]


Watching = Callable[[Callable[[], Progress]], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def _unwatched(_: Callable[[], Progress]) -> AsyncIterator[None]:
    yield


def _no_tools(_: Settings) -> None:
    return None


def _found_tools(settings: Settings) -> "Tools | None":
    from vgen.media.tools import find_tools

    try:
        return find_tools(settings.ffmpeg, settings.ffprobe)
    except ToolMissing:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The world as a project meets it: the clock, the dice, and how to get a batch online. Tests bring their own."""

    now: Callable[[], float]
    rng: random.Random
    online: Online
    tell: Tell
    watching: Watching = _unwatched
    tools: "Callable[[Settings], Tools | None]" = _no_tools
    clock: Any = None


def real_world() -> Outside:
    """The wall clock, real chance, the real network (or the simulator), the terminal."""
    return Outside(
        now=time.time,
        rng=random.Random(),  # noqa: S311 - jitter
        online=_online,
        tell=terminal.tell,
        watching=terminal.watching,
        tools=_found_tools,
    )


@contextlib.asynccontextmanager
async def _online(batch: Batch, requests: Sequence[ShotRequest]) -> AsyncIterator[None]:
    """Open the wire and find the judge; in simulate mode the wire leads into a cloud of our own."""
    import trio

    from vgen.media.judge import judge_with
    from vgen.media.tools import find_tools, verify
    from vgen.production.http import HttpClient

    settings = batch.settings
    tools = find_tools(settings.ffmpeg, settings.ffprobe)
    await verify(tools)
    batch.judge = judge_with(tools)
    async with trio.open_nursery() as nursery:
        network = None
        if settings.simulated:
            network = _simulated_network(batch, tools, requests, nursery)
        async with HttpClient(now=batch.now, network=network) as http:
            batch.http = http
            yield
            batch.http = None
        nursery.cancel_scope.cancel()


def _simulated_network(batch: Batch, tools: "Tools", requests: Sequence[ShotRequest], nursery: Any) -> Any:
    from vgen.simulator.app import App
    from vgen.simulator.cloud import Cloud
    from vgen.simulator.network import SimulatedNetwork
    from vgen.simulator.renderers import animatic_renderer

    labels = {
        recipe_.prompt: str(request.number) for request in reversed(requests) for recipe_ in request.recipes.values()
    }
    extra: dict[str, dict[str, int]] = {"runway": {}, "fal": {}}
    for provider in batch.settings.providers.values():
        kind = "runway" if providers.codec(provider.name) is providers.CODECS["runway"] else "fal"
        price = provider.terms.price
        known = providers.codec(provider.name).list_price(provider.terms.model, provider.terms.resolution)
        if price is not None and known is None:
            extra[kind][provider.terms.model] = price
    cloud = Cloud(
        now=batch.now,
        journal=batch.outputs.private / "simulator.jsonl",
        extra_models=extra,
        concurrency=batch.settings.run.max_concurrent,
        label=lambda prompt: labels.get(prompt, ""),
    )
    return SimulatedNetwork(nursery=nursery, app=App(cloud, animatic_renderer(tools)))
