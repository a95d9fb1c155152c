"""The services of a real run: wall clock, real chance, the terminal, ffmpeg, and the network or the simulator."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vgen.cli.live import watching
from vgen.errors import ToolMissing
from vgen.inputs.pictures import Moment
from vgen.inputs.settings import Settings
from vgen.plan.request import ShotRequest
from vgen.production.intent import Online
from vgen.production.run import Run
from vgen.production.services import Services
from vgen.views import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from vgen.media.probe import Facts
    from vgen.media.tools import Tools


def real_services() -> Services:
    """The wall clock, real chance, the real network (or the simulator), the terminal."""
    return Services(
        now=time.time,
        rng=random.Random(),  # noqa: S311 - jitter
        online=_online,
        tell=terminal.tell,
        watching=watching,
        tools=_found_tools,
        inspect=_inspect,
        frame=_frame,
    )


def _found_tools(settings: Settings) -> "Tools | None":
    from vgen.media.tools import find_tools

    try:
        return find_tools(settings.ffmpeg, settings.ffprobe)
    except ToolMissing:
        return None


async def _inspect(settings: Settings, path: "Path") -> "Facts":
    from vgen.media.decode import decode
    from vgen.media.probe import probe
    from vgen.media.tools import find_tools

    tools = find_tools(settings.ffmpeg, settings.ffprobe)
    facts = await probe(tools, path)
    await decode(tools, path, facts.duration_s, codec=facts.codec)
    return facts


async def _frame(settings: Settings, clip: "Path", at: Moment, folder: "Path", sha256: str) -> "Path":
    from vgen.media.frames import frame
    from vgen.media.tools import find_tools

    tools = find_tools(settings.ffmpeg, settings.ffprobe)
    return await frame(tools, clip, at, folder, sha256=sha256)


@contextlib.asynccontextmanager
async def _online(run: Run, requests: Sequence[ShotRequest]) -> AsyncIterator[Online]:
    """Open the HTTP client and find the judge; in simulate mode the client leads into a cloud of our own."""
    import trio

    from vgen.media.judge import judge_with
    from vgen.media.tools import find_tools, verify
    from vgen.production.http import HttpClient

    tools = find_tools(run.settings.ffmpeg, run.settings.ffprobe)
    if run.elsewhere is None:  # else it was asked already, as workers must have the same
        await verify(tools)
    async with trio.open_nursery() as nursery:
        network = _simulated_network(run, tools, requests, nursery) if run.settings.in_process else None
        async with HttpClient(now=run.now, network=network, tls=run.services.tls, proxy=run.settings.run.proxy) as http:
            yield Online(http=http, judge=judge_with(tools))
        nursery.cancel_scope.cancel()


def _simulated_network(run: Run, tools: "Tools", requests: Sequence[ShotRequest], nursery: Any) -> Any:
    from vgen.simulator.app import App
    from vgen.simulator.cloud import Cloud
    from vgen.simulator.network import SimulatedNetwork
    from vgen.simulator.renderers import animatic_renderer

    labels = {
        recipe.prompt: str(request.number) for request in reversed(requests) for recipe in request.recipes.values()
    }
    extra: dict[str, dict[str, int]] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    for provider in run.settings.providers.values():
        rows |= provider.terms.own_models
        price = provider.terms.price
        known = provider.codec.list_price(provider.terms.model, provider.terms.resolution)
        if price is not None and known is None:
            extra.setdefault(provider.protocol, {})[provider.terms.model] = price
    cloud = Cloud(
        now=run.now,
        journal=run.outputs.private / "simulator.jsonl",
        extra_models=extra,
        extra_rows=rows,
        concurrency=run.settings.run.max_concurrent,
        label=lambda prompt: labels.get(prompt, ""),
    )
    return SimulatedNetwork(nursery=nursery, app=App(cloud, animatic_renderer(tools)))
