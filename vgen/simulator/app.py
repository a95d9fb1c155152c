"""The simulated cloud as one web application: which request is whose. Knows no sockets."""

from vgen.simulator.cloud import Cloud
from vgen.simulator.fal import Fal
from vgen.simulator.fal_history import PATH as HISTORY
from vgen.simulator.renderers import Renderer
from vgen.simulator.runway import Runway
from vgen.simulator.shelf import Shelf
from vgen.simulator.web import Request, Response, answer


class App:
    """Runway below /v1/, fal everywhere else, media below /media/, the truth below /_simulator/."""

    def __init__(self, cloud: Cloud, renderer: Renderer) -> None:
        self.cloud = cloud
        self._shelf = Shelf(cloud, renderer)
        self._runway = Runway(cloud, self._shelf)
        self._fal = Fal(cloud, self._shelf)

    async def __call__(self, request: Request) -> Response:
        """Answer any request."""
        path = request.path
        if path.startswith("/media/"):
            return await self._shelf.respond(request)
        if path.startswith("/_simulator/"):
            return self._about(request)
        if path.startswith("/v1/") and path != HISTORY:
            return self._runway.respond(request)
        return self._fal.respond(request)

    def _about(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/_simulator/charges":
                return answer(200, self.cloud.charges())
            case "GET", "/_simulator/health":
                return answer(200, {"ok": True})
        return answer(404, {"error": "There are /_simulator/charges and /_simulator/health."})
