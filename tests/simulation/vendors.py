"""All six protocols in a schedule: where it buys, and what only a provider sees: tags, keys, and what is deleted."""

import dataclasses
import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio import KEYS

from vgen.simulator.faults import VENDORS_AFTER, VENDORS_BEFORE
from vgen.simulator.jobs import Job, Order
from vgen.simulator.tasks import DAY_S
from vgen.simulator.web import Request, Response

SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "kling": {"model": "kling-3.0"},
    "own": {
        "model": "kling/kling-3.0/text-to-video",
        "protocol": "pika",
        "base_url": "https://api.dev.pika.art",
    },
    "ark": {"model": "dreamina-seedance-2-5-260628"},
    "minimax": {"model": "MiniMax-H3"},
}
"""Sections of the further protocols. Pika's own is not in `pika`, which is fal's."""
DRAFTS: Mapping[str, str] = {
    "runway": "veo3.1_fast",
    "pika": "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
    "kling": "kling-2.5-turbo",
    "own": "minimax/h3/text-to-video",
    "ark": "dreamina-seedance-2-0-fast-260128",
    "minimax": "MiniMax-H3-Max",
}
"""Section → the model that it makes drafts with."""
DRAFT_MODELS = {*DRAFTS.values(), *(name.replace("text-to", "image-to") for name in DRAFTS.values())}
"""What a purchase of a draft has as its model: with a picture it may be another endpoint."""
SECTION_OF = {"runway": "runway", "fal": "pika", "kling": "kling", "pika": "own", "ark": "ark", "minimax": "minimax"}
"""Protocol → the section that buys by it."""
BY_ITSELF = {"kling": float("inf"), "own": 3600.0}
"""Sections at which an order whose answer was lost ends by itself, and how many seconds later at most it is asked."""
NEW_KEYS = {f"{name.upper()}_API_KEY": f"{name}-vgencanary0123456789abcdef" for name in SECTIONS}
KEY_OF = {
    "runway": KEYS["RUNWAY_API_KEY"],
    "fal": KEYS["FAL_KEY"],
    **{protocol: NEW_KEYS[f"{name.upper()}_API_KEY"] for protocol, name in SECTION_OF.items() if name in SECTIONS},
}
PAIRS = tuple(
    pair for pair in itertools.permutations(("runway", "pika", *SECTIONS), 2) if set(pair) != {"runway", "pika"}
)
"""Who stands in for Runway, and who for fal."""
ALWAYS = ("billing_pending", "list_hides_tag", "failed_id_free", "grid_nearest")
"""Faults that make nothing be bought more often."""
FIND_LATE = "find_late"
AT_CREATES = (*VENDORS_BEFORE, *VENDORS_AFTER, "failed_on_create")
FAULTS = (*ALWAYS, *AT_CREATES, FIND_LATE)
LATE_S = 60.0


# ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(rng: random.Random) -> tuple[str, str]:
    """Who stands in for Runway, and who for fal, in one schedule."""
    return rng.choice(PAIRS)


def there(rng: random.Random, places: tuple[str, str], step: Any) -> Any:
    """A step of a schedule, at these two; its weather has faults that only the new vendors know."""
    if hasattr(step, "args"):
        instead = dict(zip(("runway", "pika"), places, strict=True))
        words = (word.partition("=") for word in step.args)
        args = [
            f"{name}={instead.get(value, value)}" if name in ("primary_api", "fallback_api") else name + equals + value
            for name, equals, value in words
        ]
        return dataclasses.replace(step, args=tuple(args))
    if getattr(step, "faults", ()):
        names = rng.sample(ALWAYS, 1)
        if any(fault.partition(".")[2].startswith("create_") or fault.startswith("create_") for fault in step.faults):
            names += rng.sample(AT_CREATES, 2)
        more = tuple(f"{name}={rng.choice((0.05, 0.25))}" for name in names)
        if "kling" in places:  # dice of its own: what came before it stays what it was
            late = random.Random(f"{FIND_LATE} {step.faults}").choice((0.0, 0.25, 0.6))
            more += (f"{FIND_LATE}={late}", f"kling.create_lost={late}") if late else ()
        return dataclasses.replace(step, faults=step.faults + more)
    return step


# ── the truth ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def ordered_s(order: Order) -> float:
    """The seconds that were ordered: some vendors' clips are a little longer."""
    body = order.body
    match order.provider:
        case "kling":
            return float(body["settings"]["duration"])
        case "minimax" | "ark" | "pika":
            return float(body["duration"])
    return float(order.duration_s)


def kept_until(job: Job) -> float:
    """Until when its vendor has the video. ModelArk: a day, and no question gives another address."""
    return job.over_at + DAY_S if job.order.provider == "ark" else math.inf


@dataclass(slots=True)
class Watch:
    """What the vendors saw. `repeats`: creates with a tag that had come before; `wrongs`: what must never come."""

    repeats: int = 0
    wrongs: list[tuple[str, str]] = field(default_factory=list)
    _bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def request(self, protocol: str, request: Request, jobs: Mapping[str, Job], now: float) -> None:
        """Look at a request before it is answered."""
        for other, key in KEY_OF.items():
            if other != protocol and any(key in value for value in request.headers.values()):
                self.wrongs.append(("M15", f"the key of {other} was sent to {protocol}"))
        if request.method == "DELETE" and protocol in ("kling", "pika", "ark", "minimax"):
            job = jobs.get(request.path.rpartition("/")[2])
            if job is not None and now - job.started_at > LATE_S:
                self.wrongs.append(("M10", f"DELETE of a job that had run for {now - job.started_at:.0f} s: {job.id}"))
        if not (tag := _tag(protocol, request)):
            return
        if (first := self._bodies.setdefault((protocol, tag), request.body)) is not request.body:
            self.repeats += 1
            if first != request.body:
                self.wrongs.append(("M5", f"{protocol}: a repeat that is not the first request"))


def _tag(protocol: str, request: Request) -> str:
    """What an order is known by, at those that take a repeat."""
    if request.method != "POST":
        return ""
    if protocol == "pika":
        return request.headers.get("idempotency-key", "")
    if protocol == "kling" and request.path != "/tasks":
        return str(request.json().get("options", {}).get("external_task_id", ""))
    return ""


def told(request: Request, response: Response) -> str:
    """The id of the job that the answer to a create tells, if it comes whole."""
    if request.method != "POST" or response.wire is not None or response.status not in (200, 403):
        return ""
    try:
        said = response.json()
    except ValueError:
        return ""
    data = said.get("data") if isinstance(said, dict) else None
    ids = (said.get("id"), said.get("task_id"), data.get("id") if isinstance(data, dict) else None)
    return next((str(one) for one in ids if one), "")
