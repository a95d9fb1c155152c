"""What `doit doctor` says of a cluster: who is there, with which vgen and ffmpeg, and whether they see the outputs."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

from vgen.cluster.opened import opened
from vgen.cluster.pool import Pool
from vgen.errors import VgenError
from vgen.inputs.settings import Settings

ADVICE = {
    "allowed-failures": ("1", "else a clip that ends its worker ends three more"),
    "worker-ttl": ("60s", "else a worker that hangs is noticed after five minutes"),
}
"""Settings of a scheduler (`distributed.scheduler.…`), what they should be, and why."""


async def examined(settings: Settings, outputs: Path, private: Path) -> AsyncIterator[str]:
    """Lines for `doctor`."""
    before = [place for place in (private, outputs) if not place.exists()]
    lines: list[str] = []
    try:
        async with opened(settings, private, "doctor", lambda _: None, ask=tuple(ADVICE)) as there:
            try:
                await there.ready()
            except VgenError as exc:
                if not there.pool.refused:
                    lines.append(f"FIX   {exc}")
            lines += _found(there.pool)
    except VgenError as exc:
        lines.append(f"FIX   {exc}")
    for place in before:  # nothing is made by looking
        with suppress(OSError):
            place.rmdir()
    for line in lines:
        yield line


def _found(pool: Pool) -> Iterator[str]:
    alike = Counter((one.host, one.said.vgen, one.said.ffmpeg) for one in pool.workers.values())
    for (host, version, ffmpeg), count in sorted(alike.items()):
        threads = sum(one.threads for one in pool.workers.values() if one.host == host)
        who = "1 worker" if count == 1 else f"{count} workers"
        what = f"{threads} thread{'s' if threads > 1 else ''}, vgen {version}, ffmpeg {ffmpeg}"
        yield f"ok    cluster: {who} at {host}, {what}; the outputs are seen there"
    for address, why in sorted(pool.refused.items()):
        yield f"FIX   cluster: {address} is not used: {why}"
    for name, value in pool.scheduler_says.items():
        good, why = ADVICE[name]
        if value != good and not (name == "worker-ttl" and value in ("60 s", "1 minute", "30s", "30 s")):
            yield f"note  cluster: its scheduler has distributed.scheduler.{name}={value}; set {good}, {why}"
