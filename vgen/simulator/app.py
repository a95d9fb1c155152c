"""The simulated cloud as one web application: which request is whose. Knows no sockets."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Protocol

from vgen.providers import CODECS, SIMULATED, host_of, protocol_at
from vgen.simulator.ark import Ark
from vgen.simulator.cloud import Cloud
from vgen.simulator.fal import Fal
from vgen.simulator.kling import Kling
from vgen.simulator.minimax import MiniMax
from vgen.simulator.pika import Pika
from vgen.simulator.renderers import Renderer
from vgen.simulator.runway import Runway
from vgen.simulator.shelf import Shelf
from vgen.simulator.storage import PATH as STORED
from vgen.simulator.web import Request, Response, answer

NAME = ("x-vgen-simulator", "1")
"""The header by which the simulator tells who it is."""


class Part(Protocol):
    """A simulated vendor. `paths`: how its paths begin, for where all vendors share one host; the longest wins."""

    paths: tuple[str, ...]

    def respond(self, request: Request) -> Response:
        """Answer a request of this vendor's."""
        ...


PARTS: Mapping[str, Callable[[Cloud, Shelf], Part]] = {
    "runway": Runway,
    "fal": Fal,
    "kling": Kling,
    "pika": Pika,
    "ark": Ark,
    "minimax": MiniMax,
}
"""Name of a protocol → who speaks it here. Each has a codec of that name in vgen/providers/__init__.py."""


def of_plugins() -> dict[str, Callable[[Cloud, Shelf], Part]]:
    """The simulated vendors of the plug-ins that are in use: what their SIMULATOR names, as MODULE:CLASS."""
    places = {name: getattr(codec, "SIMULATOR", None) for name, codec in CODECS.items() if name not in PARTS}
    return {name: pkgutil.resolve_name(place) for name, place in places.items() if place}


class App:
    """Media below /media/, uploads below /_storage/, the truth below /_simulator/, all else by its vendor's
    host or by how its path begins.

    It names itself in every answer, so that nobody takes a rehearsal for reality; unless `anonymous`, for vgen's own
    tests, in which it stands in for a real provider.
    """

    def __init__(self, cloud: Cloud, renderer: Renderer, *, anonymous: bool = False) -> None:
        self.cloud = cloud
        self._name = () if anonymous else (NAME,)
        self._shelf = Shelf(cloud, renderer)
        self._parts = {name: part(cloud, self._shelf) for name, part in {**of_plugins(), **PARTS}.items()}
        self._by_path = sorted(
            ((path, part) for part in self._parts.values() for path in part.paths),
            key=lambda pair: len(pair[0]),
            reverse=True,
        )

    async def __call__(self, request: Request) -> Response:
        """Answer any request, with the provider's own date."""
        response = await self._answer(request)
        date = ("date", formatdate(self.cloud.now(), usegmt=True))
        return replace(response, headers=(*response.headers, date, *self._name))

    async def _answer(self, request: Request) -> Response:
        path = request.path
        if path.startswith("/media/"):
            return await self._shelf.respond(request)
        if path.startswith(STORED):
            return self.cloud.storage.respond(request, self.cloud.now(), self.cloud.requests)
        if path.startswith("/_simulator/"):
            return self._about(request)
        return self._part(request).respond(request)

    def _part(self, request: Request) -> Part:
        found = self._parts.get(protocol_at(request.origin) or "")
        namesake = self._parts.get(host_of(request.origin).removesuffix(SIMULATED))
        if namesake and request.path.startswith(namesake.paths):
            return namesake  # pika.simulated: by its section's name fal's, by its protocol's name Pika's own
        return found or next(part for path, part in self._by_path if request.path.startswith(path))

    def _about(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/_simulator/charges":
                return answer(200, self.cloud.charges())
            case "GET", "/_simulator/health":
                return answer(200, {"ok": True})
        return answer(404, {"error": "There are /_simulator/charges and /_simulator/health."})
