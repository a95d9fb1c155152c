"""The world as a project meets it: clock, chance, terminal, and the way online. Tests bring a world of their own."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vgen import providers, screen
from vgen.batch import Batch, Tell
from vgen.errors import ToolMissing
from vgen.settings import Settings
from vgen.stance import Wish
from vgen.standing import Standing

if TYPE_CHECKING:
    from vgen.media import Tools

Online = Callable[[Batch, Sequence[Wish]], contextlib.AbstractAsyncContextManager[None]]


Watching = Callable[[Callable[[], Standing]], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def _unwatched(_: Callable[[], Standing]) -> AsyncIterator[None]:
    yield


def _no_tools(_: Settings) -> None:
    return None


def _found_tools(settings: Settings) -> "Tools | None":
    from vgen import media

    try:
        return media.find_tools(settings.ffmpeg, settings.ffprobe)
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
        tell=screen.tell,
        watching=screen.watching,
        tools=_found_tools,
    )


@contextlib.asynccontextmanager
async def _online(batch: Batch, wishes: Sequence[Wish]) -> AsyncIterator[None]:
    """Open the wire and find the judge; in simulate mode the wire leads into a cloud of our own."""
    import trio

    from vgen import media
    from vgen.wire import Wire

    settings = batch.settings
    tools = media.find_tools(settings.ffmpeg, settings.ffprobe)
    await media.verify(tools)
    batch.judge = media.judge_with(tools)
    async with trio.open_nursery() as nursery:
        network = None
        if settings.simulated:
            network = _simulated_network(batch, tools, wishes, nursery)
        async with Wire(now=batch.now, network=network) as wire:
            batch.wire = wire
            yield
            batch.wire = None
        nursery.cancel_scope.cancel()


def _simulated_network(batch: Batch, tools: "Tools", wishes: Sequence[Wish], nursery: Any) -> Any:
    from vgen.simulator.app import App
    from vgen.simulator.cloud import Cloud
    from vgen.simulator.network import SimulatedNetwork
    from vgen.simulator.renderers import animatic_renderer

    labels = {recipe_.prompt: str(wish.number) for wish in reversed(wishes) for recipe_ in wish.recipes.values()}
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
