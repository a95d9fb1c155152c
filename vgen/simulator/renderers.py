"""Makes the bytes of simulated clips, good ones and damaged ones. Knows no jobs and no HTTP."""

import hashlib
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import trio

from vgen.media.tools import Tools
from vgen.simulator.jobs import Clip

Renderer = Callable[[Clip], Awaitable[bytes]]
"""Makes the bytes of a clip: the same bytes for the same clip. Raises MediaError."""

SMALL_BYTES = 100_000
"""A small clip has at most as many bytes, every other clip more."""
SMALL_S = 1.2
RENDERS_AT_ONCE = 2
DAMAGE_SHARE = 20
"""One 20th of the clip is damaged: enough to hit the border of a frame."""

FAKE_MAGIC = b"VGENFAKE "
FAKE_BYTES = 150_000
FAKE_SMALL_BYTES = 50_000
FAKE_PROMPT_CHARS = 4_000
"""A fake clip tells no more of its prompt."""


async def plain_renderer(clip: Clip) -> bytes:
    """A fast fake, no video: a line `VGENFAKE {json}` with the facts and the SHA-256 of all that follows."""
    total_bytes = FAKE_SMALL_BYTES if clip.small else FAKE_BYTES
    payload = Random(clip.job_id).randbytes(total_bytes - len(_fake_head(clip, b"")))  # noqa: S311 - filler
    return _fake_head(clip, payload) + payload


def _fake_head(clip: Clip, payload: bytes) -> bytes:
    prompt = clip.prompt[:FAKE_PROMPT_CHARS]
    facts = {**clip.facts(), "prompt": prompt, "sha256": hashlib.sha256(payload).hexdigest()}
    return FAKE_MAGIC + json.dumps(facts, ensure_ascii=True).encode() + b"\n"


def animatic_renderer(tools: Tools) -> Renderer:
    """Real H.264 animatics, at most a few drawn at once."""
    limiter = trio.CapacityLimiter(RENDERS_AT_ONCE)

    async def draw(clip: Clip) -> bytes:
        from vgen.simulator.animatic import Animatic, render

        spec = Animatic(
            label=clip.label,
            prompt=clip.prompt,
            provider=clip.provider,
            width=clip.width,
            height=clip.height,
            duration_s=SMALL_S if clip.small else clip.duration_s,
            fps=clip.fps,
            audio=clip.audio and not clip.small,
            flat=clip.small,
            version=clip.version,
            pictures=clip.pictures,
        )
        async with limiter:
            with tempfile.TemporaryDirectory(prefix="vgen-simulator-") as folder:
                target = Path(folder) / "clip.mp4"
                await render(tools, spec, target)
                data = await trio.Path(target).read_bytes()
        return data if clip.small else padded(data)

    return draw


def padded(data: bytes) -> bytes:
    """The mp4 with a `free` box behind it, so that a short or plain clip is not taken for a broken one."""
    short = SMALL_BYTES + 1 - len(data)
    if short <= 0:
        return data
    size = max(short, 8)
    return data + size.to_bytes(4, "big") + b"free" + bytes(size - 8)


def damaged(data: bytes) -> bytes:
    """Same length, a stretch in the middle of the pictures flipped."""
    begin = max(data.find(b"mdat"), 0)
    length = max(len(data) // DAMAGE_SHARE, 1)
    start = (begin + len(data)) // 2 - length // 2
    stretch = data[start : start + length]
    return data[:start] + bytes(byte ^ 0xFF for byte in stretch) + data[start + length :]
