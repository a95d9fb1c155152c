"""The simulated vendors besides Runway and fal, over httpx and virtual time, and recorded replies to hold them to."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trio
import trio.testing
from fakes import transport

from vgen.simulator import app
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import Faults
from vgen.simulator.network import SimulatedNetwork
from vgen.simulator.renderers import FAKE_MAGIC, plain_renderer

EPOCH = 1_795_824_000.0
WIRE = Path(__file__).parent / "data" / "wire"
HOSTS = {
    "kling": "api-singapore.klingai.com",
    "pika": "api.dev.pika.art",
    "ark": "ark.ap-southeast.bytepluses.com",
    "minimax": "api.minimax.io",
}


@dataclass
class World:
    """One vendor: its simulated host, and a client with a key."""

    cloud: Cloud
    http: httpx.AsyncClient
    origin: str
    headers: dict[str, str]

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A request with the key; a header that is "" is left out."""
        sent = {name: value for name, value in (self.headers | headers).items() if value}
        url = path if path.startswith("http") else self.origin + path
        return await self.http.request(method, url, headers=sent, json=body)

    async def again(self, recorded: dict[str, Any]) -> httpx.Response:
        """The request of a recorded exchange, as it was sent."""
        request = recorded["request"]
        url = self.origin + request["path"]
        return await self.http.request(request["method"], url, headers=request["headers"], json=request.get("body"))

    async def clip(self, url: str) -> dict[str, Any]:
        """The facts of a clip, fetched without a key."""
        media = await self.http.get(url)
        assert media.status_code == 200
        facts: dict[str, Any] = json.loads(media.content.split(b"\n", 1)[0].removeprefix(FAKE_MAGIC))
        return facts

    def charged(self) -> int:
        """Micro-dollars."""
        return round(self.cloud.charges()["total_usd"] * 1_000_000)

    @property
    def creates(self) -> int:
        return int(self.cloud.charges()["creates"])


def now() -> float:
    return EPOCH + trio.current_time()


@asynccontextmanager
async def world(protocol: str, faults: Iterable[str] = (), **options: Any) -> AsyncIterator[World]:
    cloud = Cloud(now=now, faults=Faults(faults, 1), **options)
    headers = {"x-api-key": "pk_test_1"} if protocol == "pika" else {"authorization": "Bearer test-key"}
    async with trio.open_nursery() as nursery:
        network = SimulatedNetwork(nursery=nursery, app=app.App(cloud, plain_renderer))
        async with httpx.AsyncClient(transport=transport(network), timeout=30) as http:
            yield World(cloud, http, f"https://{protocol}.simulated", headers)
        nursery.cancel_scope.cancel()


def run(story: Callable[[], Awaitable[None]]) -> None:
    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


def recorded(vendor: str, name: str) -> dict[str, Any]:
    """A recorded exchange."""
    exchange: dict[str, Any] = json.loads((WIRE / vendor / f"{name}.json").read_text("utf-8"))
    return exchange


def names(vendor: str) -> list[str]:
    return sorted(path.stem for path in (WIRE / vendor).glob("*.json"))


def like(response: httpx.Response, exchange: dict[str, Any]) -> None:
    """Assert that a reply has the status and the form of a recorded one: names and types, not values."""
    expected = exchange["response"]
    assert response.status_code == expected["status"], response.text
    if "text" in expected:
        assert response.headers["content-type"].startswith("text/html")
    else:
        assert form(response.json()) == form(expected["body"])


def form(value: Any) -> Any:
    """Names and types of a JSON value; of a list the form of its first item."""
    if isinstance(value, dict):
        return {name: form(item) for name, item in sorted(value.items())}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    return type(value).__name__
