"""Clips that are no videos, and a judge who reads what they say of themselves. No simulator is imported for them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import trio

from vgen.media.judge import Judgement, Verdict, Wanted, shortcomings
from vgen.media.probe import Facts

FAKE_MAGIC = b"VGENFAKE "


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
