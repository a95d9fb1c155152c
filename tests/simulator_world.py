"""A simulated cloud in process under virtual time, and what its clients ask."""

import base64
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import trio
import trio.testing
from fakes import transport
from PIL import Image

from vgen.simulator.app import App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import Faults
from vgen.simulator.network import SimulatedNetwork
from vgen.simulator.renderers import FAKE_MAGIC, plain_renderer

EPOCH = 1_790_000_000.0
RUNWAY = "http://runway.simulated"
PIKA = "http://pika.simulated"
T2V = "fal-ai/pika/v2.2/text-to-video"
HEADERS = {"authorization": "Bearer key_test", "x-runway-version": "2024-11-06"}
FAL_HEADERS = {"authorization": "Key any:key"}
BOAT = {"model": "gen4.5", "promptText": "a paper boat", "ratio": "1280:720", "duration": 5}
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def tall_picture() -> str:
    """A data URI of a portrait."""
    data = io.BytesIO()
    Image.new("RGB", (90, 160)).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def fake_facts(media: bytes) -> dict[str, Any]:
    """What a clip of the plain renderer says of itself."""
    told: dict[str, Any] = json.loads(media.split(b"\n", 1)[0].removeprefix(FAKE_MAGIC))
    return told


def now() -> float:
    return EPOCH + trio.current_time()


@dataclass
class World:
    cloud: Cloud
    http: httpx.AsyncClient

    async def create(self, **changes: Any) -> httpx.Response:
        body = {**BOAT, **changes}
        return await self.http.post(f"{RUNWAY}/v1/text_to_video", headers=HEADERS, json=body)

    async def task(self, task_id: str) -> httpx.Response:
        return await self.http.get(f"{RUNWAY}/v1/tasks/{task_id}", headers=HEADERS)

    async def bought(self, **changes: Any) -> dict[str, Any]:
        """A task that ended."""
        created = await self.create(**changes)
        await trio.sleep(2)
        found: dict[str, Any] = (await self.task(created.json()["id"])).json()
        return found

    async def submit(self, endpoint: str = T2V, **changes: Any) -> httpx.Response:
        body = {"prompt": "a paper boat", **changes}
        return await self.http.post(f"{PIKA}/{endpoint}", headers=FAL_HEADERS, json=body)

    async def get(self, url: str) -> httpx.Response:
        return await self.http.get(url, headers=FAL_HEADERS)

    def charged_usd(self) -> float:
        return float(self.cloud.charges()["total_usd"])


@asynccontextmanager
async def world(faults: Iterable[str] = (), refuse: Any = None, **options: Any) -> AsyncIterator[World]:
    cloud = Cloud(now=now, faults=Faults(faults, 1), **options)
    async with trio.open_nursery() as nursery:
        network = SimulatedNetwork(nursery=nursery, app=App(cloud, plain_renderer), refuse=refuse)
        async with httpx.AsyncClient(transport=transport(network), timeout=30) as http:
            yield World(cloud, http)
        nursery.cancel_scope.cancel()


def run(story: Callable[[], Awaitable[None]]) -> None:
    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))
