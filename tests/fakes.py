"""Stand-ins that tests share. Each behaves as the real one does towards its caller, without its cost."""

import hashlib
import json
import ssl
from pathlib import Path
from typing import Any

import httpcore
import httpx
import trio

from vgen.media.judge import Judgement, Verdict, Wanted, shortcomings
from vgen.media.probe import Facts
from vgen.production import http_compat
from vgen.simulator.network import SimulatedNetwork

FAKE_MAGIC = b"VGENFAKE "
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once, without certificates: loading them takes longer than a simulated purchase."""


def transport(network: SimulatedNetwork) -> httpx.AsyncHTTPTransport:
    """httpx over the simulator, with httpcore's own pool of connections."""
    pool = httpcore.AsyncConnectionPool(ssl_context=TLS, network_backend=network, max_connections=None)
    return http_compat.transport_over(pool, TLS)


async def fake_judge(path: Path, wanted: Wanted) -> Judgement:
    """A `media.Judge` for the simulator's plain clips: a line `VGENFAKE {json}`, then a payload.

    The line says width, height, duration_s, fps, and payload_sha256 or sha256. Starts no process.
    """
    await trio.lowlevel.checkpoint()
    data = path.read_bytes()
    head, _, payload = data.partition(b"\n")
    said = _said(head)
    if said is None:
        return Judgement(verdict=Verdict.DAMAGED, reason="not a video container", container=False)
    if hashlib.sha256(payload).hexdigest() != said.get("payload_sha256", said.get("sha256")):
        return Judgement(verdict=Verdict.DAMAGED, reason="does not decode: the payload is damaged", code="damaged")
    facts = Facts(
        width=int(said["width"]),
        height=int(said["height"]),
        duration_s=float(said["duration_s"]),
        fps=float(said["fps"]),
        codec="h264",
        has_audio=False,
        size_bytes=len(data),
    )
    if found := shortcomings(facts, wanted):
        return Judgement(verdict=Verdict.BAD, reason="; ".join(found.values()), facts=facts, code=",".join(found))
    return Judgement(verdict=Verdict.GOOD, facts=facts)


def _said(head: bytes) -> dict[str, Any] | None:
    if not head.startswith(FAKE_MAGIC):
        return None
    try:
        said = json.loads(head.removeprefix(FAKE_MAGIC))
    except ValueError:
        return None
    return said if isinstance(said, dict) and {"width", "height", "duration_s", "fps"} <= said.keys() else None


def fake_clip(*, width: int, height: int, duration_s: float, fps: int = 24, size_bytes: int = 150_000) -> bytes:
    """Bytes that `fake_judge` reads."""
    payload = bytes(size_bytes)
    digest = hashlib.sha256(payload).hexdigest()
    said = {"width": width, "height": height, "duration_s": duration_s, "fps": fps, "payload_sha256": digest}
    return FAKE_MAGIC + json.dumps(said).encode() + b"\n" + payload
