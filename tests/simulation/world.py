"""The simulated network on odd days: who answers, for whom, and with whose bytes. The provider's books stay true."""

import base64
import contextlib
import dataclasses
import functools
import hashlib
import math
import re
import sqlite3
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from fake_clips import fake_clip
from studio import frame_picture

from simulation.vendors import Watch, told
from vgen.providers import host_of
from vgen.simulator.app import App
from vgen.simulator.jobs import Order, State
from vgen.simulator.renderers import plain_renderer
from vgen.simulator.shelf import ranged
from vgen.simulator.web import Request, Response, answer, page

if TYPE_CHECKING:
    from simulation.stage import Stage

OURS, THEIRS = "ours", "theirs"
OTHER_KEYS = {"RUNWAY_API_KEY": "key_vgencanaryother0123456789ab", "FAL_KEY": "vgencanaryother:0123456789ab"}
ROTATED_KEYS = {"RUNWAY_API_KEY": "key_vgencanaryrotated0123456789", "FAL_KEY": "vgencanaryrotated:0123456789"}
MOVED = {"runway": "https://api.moved-runway.example", "pika": "https://queue.moved-fal.example"}
HOMES = {"runway": "api.dev.runwayml.com", "pika": "queue.fal.run"}
MISSING = {
    "runway": answer(404, {"error": "This task does not exist, or was deleted or canceled."}),
    "fal": answer(404, {"detail": "Request not found"}),
}
REJECTED = {
    "runway": answer(401, {"error": "The API key is not valid."}),
    "fal": answer(401, {"detail": "The key is not valid."}),
}
_MEDIA = re.compile(r"/media/(.+)-\d+\.mp4")
_JOB = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(slots=True)
class World:
    """What is odd about the world just now."""

    gateway: tuple[int, float] | None = None
    """From the n-th question about a job on, for so many seconds."""
    gateway_until: float = -math.inf
    refusal: dict[str, Response] = field(default_factory=lambda: MISSING)
    """What an account is told about the jobs of another."""
    owner: dict[str, str] = field(default_factory=dict)
    """Job → account; those that are not in it are ours."""
    old_hosts: dict[str, str] = field(default_factory=dict)
    factor: int = 1
    """What Runway quotes, in list prices."""
    at_request: tuple[int, Callable[[], None]] | None = None
    lacking: str = ""
    """Whether the tools here certainly or perhaps lack a decoder."""
    wrong: str = ""
    wrongly_given: set[str] = field(default_factory=set)
    damaged: Counter[str] = field(default_factory=Counter)
    """How often a job's file was sent damaged, or as another file."""
    edits: dict[str, str] = field(default_factory=dict)
    """SHA-256 of what somebody made of a clip → the clip's name."""
    missing: Counter[str] = field(default_factory=Counter)
    """How often Runway or fal answered a question about a job with 404, whoever said it."""
    praised: set[str] = field(default_factory=set)
    """SHA-256 of damaged clips that a worker of a cluster has called good: that, and no more, is believed."""
    excused: set[str] = field(default_factory=set)
    """Jobs that were on their way when the ledger that knew them was lost: no receipt tells of them yet."""
    forgotten_orders: int = 0
    """How many orders the present ledger does not hold because it was put back."""
    ledgers_lost: int = 0
    wishes: Counter[str] = field(default_factory=Counter)
    """Clip task → how often it was named with -a."""
    takes_wanted: int = 1
    """Of each shot, in the whole story."""
    holds: bool = False
    """Whether an order without an answer may come, and counts as a take: on_uncertain=hold."""
    watch: Watch = field(default_factory=Watch)

    def new_run(self) -> None:
        """What held for one run is over."""
        self.gateway, self.gateway_until, self.at_request = None, -math.inf, None
        self.refusal, self.lacking = MISSING, ""

    def quoted(self, order: Order) -> Order:
        """The order at the price that Runway asks today."""
        micro = order.estimate_micro * self.factor, order.price_micro * self.factor
        return dataclasses.replace(order, estimate_micro=micro[0], price_micro=micro[1])


class OddApp(App):
    """The cloud behind an odd network."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__(stage.cloud, plain_renderer)
        self._stage, self._world = stage, stage.world
        runway: Any = self._parts["runway"]
        at_list = runway._order
        runway._order = lambda endpoint, body: stage.world.quoted(at_list(endpoint, body))

    async def __call__(self, request: Request) -> Response:
        """Answer any request, with the provider's own Date."""
        self._meddle()
        response = await (self._media(request) if request.path.startswith("/media/") else self._api(request))
        if any(name == "date" for name, _ in response.headers):
            return response
        date = ("date", formatdate(self._stage.now(), usegmt=True))
        return dataclasses.replace(response, headers=(*response.headers, date))

    def _meddle(self) -> None:
        if self._world.at_request is not None:
            left, act = self._world.at_request
            self._world.at_request = (left - 1, act) if left > 1 else None
            if left <= 1:
                act()

    async def _api(self, request: Request) -> Response:
        world, injected = self._world, self._stage.injected
        protocol = next(name for name, part in self._parts.items() if part is self._part(request))
        world.watch.request(protocol, request, self.cloud._jobs, self._stage.now())
        if protocol not in MISSING:
            return await self._further(request)
        how = world.old_hosts.get(host_of(request.origin), "works")
        if how != "works":
            injected["moved"] += 1
            return MISSING[protocol] if how == "404" else page(404, "Not Found")
        account = self._account(request)
        if job := _JOB.search(request.path):
            if request.method == "GET" and self._gateway_answers():
                injected["gateway"] += 1
                world.missing[job[0]] += 1
                return MISSING[protocol]
            if world.owner.get(job[0], OURS) != account:
                injected["other_account"] += 1
                return world.refusal[protocol]
        before = len(self.cloud._jobs)
        response = await super().__call__(request)
        if job and request.method == "GET" and response.status == 404:
            world.missing[job[0]] += 1
        if account != OURS and len(self.cloud._jobs) > before:
            world.owner[next(reversed(self.cloud._jobs))] = account
        if world.owner and response.status == 200 and request.path.endswith("/by-endpoint"):
            return self._own_items(response, account)
        return response

    async def _further(self, request: Request) -> Response:
        """At the vendors besides Runway and fal, whose world is not odd: whose order's id was told whole?"""
        before = len(self.cloud._jobs)
        response = await super().__call__(request)
        if len(self.cloud._jobs) > before and (job_id := told(request, response)):
            self._stage.answered.add(job_id)
        return response

    def _account(self, request: Request) -> str:
        key = request.headers.get("authorization", "").partition(" ")[2].strip()
        return THEIRS if key in OTHER_KEYS.values() else OURS

    def _gateway_answers(self) -> bool:
        world, now = self._world, self._stage.now()
        if world.gateway is not None:
            left, seconds = world.gateway
            world.gateway = (left - 1, seconds) if left > 1 else None
            if left <= 1:
                world.gateway_until = now + seconds
        return now < world.gateway_until

    def _own_items(self, response: Response, account: str) -> Response:
        said = response.json()
        owner = self._world.owner
        said["items"] = [item for item in said["items"] if owner.get(item["request_id"], OURS) == account]
        return answer(200, said)

    async def _media(self, request: Request) -> Response:
        world, injected = self._world, self._stage.injected
        response = await super().__call__(request)
        job = _MEDIA.fullmatch(request.path)
        if response.status not in (200, 206) or job is None:
            return response
        wrong = world.wrong and response.wire is None and "range" not in request.headers
        if wrong and job[1] not in world.wrongly_given and (data := self._wrong_bytes(job[1])):
            world.wrongly_given.add(job[1])
            injected[world.wrong] += 1
            return ranged(request, data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
        if injected["media_damaged"] and response.body not in self._stage.true_bytes(job[1])[0]:
            world.damaged[job[1]] += 1
        return response

    def _wrong_bytes(self, job_id: str) -> bytes:
        """A small preview, or the bytes of a take that we have already."""
        if self._world.wrong == "preview":
            return fake_clip(width=270, height=480, duration_s=5.0)
        mine, known = self.cloud._jobs[job_id], self._known_bytes()
        for take in sorted(self._stage.outputs.glob("takes/**/*.mp4")):
            data = take.read_bytes()
            if hashlib.sha256(data).hexdigest() in known and any(
                job.order.prompt != mine.order.prompt and data == self._stage.true_bytes(job.id)[0]
                for job in self.cloud._jobs.values()
                if job.state(self._stage.now()) is State.SUCCEEDED
            ):
                return data
        return b""

    def _known_bytes(self) -> set[str]:
        """Of all takes in the ledger: nobody can tell whose the others are, when it was lost and has been rebuilt."""
        with contextlib.closing(sqlite3.connect(self._stage.outputs / "ledger.db")) as db:
            return {row[0] for row in db.execute("SELECT sha256 FROM takes")}


def picture(version: int) -> bytes:
    """A PNG of 90 x 160 pixels; another one for each version."""
    rows = b"".join(b"\0" + bytes([version % 256]) * 90 for _ in range(160))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 90, 160, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@functools.lru_cache(maxsize=4096)
def sent_for(identity: str | None) -> str | None:
    """What `image_sent` says of an order with this first picture in its recipe."""
    if identity is None or not identity.startswith("take:"):
        return identity
    sha256, _, at = identity.removeprefix("take:").partition("@")
    return "sha256:" + hashlib.sha256(frame_picture(sha256, at)).hexdigest()


def image_sent(order: Order) -> str | None:
    """What a recipe would say of the picture that this order brought."""
    body = order.body
    sent = body.get("promptImage") or body.get("image_url")
    if isinstance(sent, list):
        sent = sent[0]["uri"]
    for one in body.get("content", ()):  # ModelArk and MiniMax
        sent = one["image_url"]["url"] if one.get("role") == "first_frame" else sent
    for one in body.get("contents", ()):  # Kling: base64 without its head
        sent = f"data:,{one['url']}" if one["type"] == "first_frame" else sent
    if not isinstance(sent, str) or not sent.startswith("data:"):
        return sent
    return "sha256:" + hashlib.sha256(base64.b64decode(sent.partition(",")[2])).hexdigest()


def is_rotated(environ: Mapping[str, str]) -> bool:
    """Whether somebody replaced the keys."""
    return environ.get("RUNWAY_API_KEY") == ROTATED_KEYS["RUNWAY_API_KEY"]
