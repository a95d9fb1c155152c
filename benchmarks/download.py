"""Many big files at once over loopback: vgen, which hashes, checks lengths and syncs, and curl, which writes."""

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import ROOT, Row, Table, environment, interleaved, ratio, run

MEMORY = Path("/dev/shm")
VGEN = "vgen"
HASH_ONLY = "one thread that only hashes"


def tables(rounds: int, *, quick: bool) -> Iterator[Table]:
    """Row (g)."""
    count, size_mb = (4, 1) if quick else (64, 50)
    rss: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-", dir=_roomy(count * size_mb)) as made:
        source, target = Path(made) / "source.mp4", Path(made) / "got"
        megabyte = os.urandom(1_000_000)
        with source.open("wb") as file:
            file.writelines(itertools.repeat(megabyte, size_mb))
        with _serving(source) as url:
            words, skipped = _contenders(url, count, source, target)

            def fetched(name: str) -> float:
                target.mkdir(exist_ok=True)
                cost = run(words[name], ROOT)
                if name != HASH_ONLY:
                    assert sum(path.stat().st_size for path in target.iterdir()) == count * source.stat().st_size, name
                rss.setdefault(name, []).append(cost.rss_mb)
                for path in target.iterdir():
                    path.unlink()
                return count * size_mb / cost.wall_s

            rows = interleaved({name: lambda _, name=name: fetched(name) for name in words}, rounds, ours=VGEN)
    title = f"{count} files of {size_mb} MB, all at once"
    yield Table(
        key="g",
        title=f"downloads: {title}",
        unit="MB/s",
        rows=rows + skipped,
        note="start of the process included",
        more=True,
    )
    peaks = [Row(name=name, values=found, ratio=ratio(rss[VGEN], found)) for name, found in rss.items()]
    yield Table(key="g", title=f"peak memory: {title}", unit="MB", rows=peaks)


def _contenders(url: str, count: int, source: Path, target: Path) -> tuple[dict[str, Sequence[str]], list[Row]]:
    ours = [sys.executable, "-m", "benchmarks.fetching", url, str(count), str(target)]
    hashing = (
        "import hashlib, sys\nfrom pathlib import Path\ndata = memoryview(Path(sys.argv[1]).read_bytes())\n"
        "for _ in range(int(sys.argv[2])):\n    digest = hashlib.sha256()\n"
        "    for start in range(0, len(data), 65536):\n        digest.update(data[start:start + 65536])"
    )
    found: dict[str, Sequence[str]] = {VGEN: ours, HASH_ONLY: [sys.executable, "-c", hashing, str(source), str(count)]}
    curl = peers.find("curl")
    if isinstance(curl, str):
        return found, [Row(name="curl --parallel", skipped=curl)]
    many = ["--parallel", "--parallel-max", str(count), "--silent", "--fail", "--output", f"{target}/#1.mp4"]
    words = [str(curl.tool()), *many, f"{url}/[1-{count}].mp4"]
    found[f"curl {curl.version} --parallel"] = words
    return found, []


def _roomy(needed_mb: int) -> Path | None:
    """Memory, if it holds the files twice; else the disk."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return None
    stat = os.statvfs(MEMORY)
    return MEMORY if stat.f_bavail * stat.f_frsize > needed_mb * 2 * 1_000_000 else None


@contextlib.contextmanager
def _serving(source: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.media_server", str(source)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
