"""The simulated providers' media host: URLs, ranges, and what may go wrong. Knows no sockets."""

import hashlib
import re
from collections import OrderedDict
from dataclasses import replace

import trio

from vgen.errors import MediaError
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import MEDIA
from vgen.simulator.jobs import Job, State
from vgen.simulator.renderers import Renderer, damaged
from vgen.simulator.web import Request, Response, WireFault, answer, page

KEPT_BYTES = 256 * 1024 * 1024
_TOKEN = re.compile(r"/media/(?P<job>[A-Za-z0-9_-]{1,64})-(?P<issue>\d{1,6})\.mp4")
_RANGE = re.compile(r"bytes=(?P<start>\d+)-(?P<end>\d*)")


class Shelf:
    """The media host: URLs, bytes, ranges, and what may go wrong with them."""

    def __init__(self, cloud: Cloud, renderer: Renderer, *, limit_bytes: int = KEPT_BYTES) -> None:
        self._cloud = cloud
        self._renderer = renderer
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._locks: dict[str, trio.Lock] = {}
        self._dead: dict[str, int] = {}
        """Job -> how many of its URLs have expired."""

    def path(self, job: Job, until: float | None = None) -> str:
        """Path and query of the job's newest media URL, which expires at the moment `until`; None: by a fault only."""
        issue = self._dead.get(job.id, 0)
        signature = hashlib.sha256(f"{job.id}/{issue}".encode()).hexdigest()
        expires = "" if until is None else f"&until={int(until)}"
        return f"/media/{job.id}-{issue}.mp4?_jwt={signature}{expires}"

    def size_bytes(self, job: Job) -> int | None:
        """Length of the job's clip, if it has been rendered."""
        data = self._kept.get(job.id)
        return None if data is None else len(data)

    async def respond(self, request: Request) -> Response:
        """Answer a request below /media/."""
        self._cloud.requests["media"] += 1
        if not {"authorization", "x-api-key"}.isdisjoint(request.headers):
            self._cloud.requests["media_authorized"] += 1
        token = _TOKEN.fullmatch(request.path)
        job = self._cloud.any_job(token["job"]) if token else None
        if not token or job is None or self._cloud.state(job) is not State.SUCCEEDED:
            return answer(404, {"error": "Not found"})
        if request.method != "GET":
            return answer(405, {"error": "Method not allowed"})
        until = request.query.get("until", "")
        if self._expired(job, int(token["issue"])) or (until.isdecimal() and self._cloud.now() >= int(until)):
            return answer(403, {"error": "Request has expired"})
        who = (job.order.provider, job.order.prompt)
        return await self._send(request, job, self._cloud.faults.first_of(MEDIA, *who))

    def _expired(self, job: Job, issue: int) -> bool:
        dead = self._dead.get(job.id, 0)
        if issue < dead:
            return True
        if self._cloud.faults.pick("url_expired", job.order.provider, job.order.prompt):
            self._dead[job.id] = dead + 1
            return True
        return False

    async def _send(self, request: Request, job: Job, fault: str | None) -> Response:
        match fault:
            case "media_500":
                return answer(500, {"error": "Internal error"})
            case "media_html":
                return page(200, "We will be back soon")
        try:
            data = await self._bytes(job)
        except MediaError as exc:
            return answer(500, {"error": f"the simulator could not render this clip: {exc}"})
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if fault == "media_damaged":
            data = damaged(data)
        response = ranged(request, data, etag)
        match fault:
            case "media_cut":
                return response.spoilt(WireFault.CUT)
            case "media_cut_nolen":
                return response.spoilt(WireFault.CUT_NOLEN)
            case "media_stall":
                return response.spoilt(WireFault.STALL)
            case "media_label":
                plain = [(name, value) for name, value in response.headers if name != "content-type"]
                label = (("content-type", "text/html; charset=utf-8"), ("content-encoding", "aws-chunked"))
                return replace(response, headers=(*plain, *label))
            case _:
                return response

    async def _bytes(self, job: Job) -> bytes:
        """The clip, rendered when it is asked for the first time, once however many ask."""
        async with self._locks.setdefault(job.id, trio.Lock()):
            data = self._kept.get(job.id)
            if data is None:
                data = await self._renderer(self._cloud.clip(job))
                if "clip_damaged" in job.faults:
                    data = damaged(data)
                self._kept[job.id] = data
            self._kept.move_to_end(job.id)
        self._locks.pop(job.id, None)  # whoever asks from now on finds it kept
        while sum(map(len, self._kept.values())) > self._limit_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return data


def ranged(request: Request, data: bytes, etag: str) -> Response:
    """200 with all of `data`, 206 with the range that was asked for, or 416."""
    headers = (("content-type", "video/mp4"), ("accept-ranges", "bytes"), ("etag", etag))
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if not wanted or request.headers.get("if-range", etag) != etag:
        return Response(status=200, headers=headers, body=data)
    start = int(wanted["start"])
    end = min(int(wanted["end"] or len(data)), len(data) - 1)
    if start >= len(data) or end < start:
        return answer(416, {"error": "Range not satisfiable"}, ("content-range", f"bytes */{len(data)}"))
    part = data[start : end + 1]
    span = ("content-range", f"bytes {start}-{end}/{len(data)}")
    return Response(status=206, headers=(*headers, span), body=part)
