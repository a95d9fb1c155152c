"""The cut: the first time beside one filter graph of ffmpeg's with the same encoder settings, and after one change."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.builds import PROGRAMS
from benchmarks.measure import Broken, Cost, Row, Table, environment, interleaved, ratio, run
from benchmarks.tls_host import hosting
from benchmarks.whole import bring, clip_of, different, order, serving_from
from benchmarks.workload import ENVIRON
from vgen.media.tools import Tools, find_tools

SECONDS, MEGABYTES, SIZE = 4, 4, "720x1280"
FIRST, MANY = 12, 40
ENCODER = "-c:v libx264 -preset veryfast -crf 18 -profile:v high -pix_fmt yuv420p -g 48 -c:a aac -b:a 192k -ar 48000"
VGEN, GRAPH = "vgen: doit cut", "one filter graph with the same encoder settings"
CHANGED = "vgen: doit cut, after one changed clip"


def tables(rounds: int, *, quick: bool) -> Iterator[Table]:
    """Row (k)."""
    tools = find_tools(None, None)
    clip = clip_of(tools, SECONDS, MEGABYTES, SIZE, noise=1)
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        yield from _beside_one_graph(_brought(Path(made), clip, 2 if quick else FIRST), tools, rounds)
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        yield from _after_a_change(_brought(Path(made), clip, 3 if quick else MANY), rounds)


def _brought(folder: Path, clip: Path, n: int) -> Path:
    """A project whose n clips are there, bought and checked."""
    different(clip, folder / "www", n)
    with hosting(folder, folder / "www") as host, serving_from(host) as url:
        root = folder / "film"
        order(root, url, n, SECONDS)
        bring(root, host, n)
    return root


def _clips(root: Path) -> list[Path]:
    return sorted((root / "outputs" / "clips").glob("clip_*.mp4"))


def _beside_one_graph(root: Path, tools: Tools, rounds: int) -> Iterator[Table]:
    costs: dict[str, list[Cost]] = {VGEN: [], GRAPH: []}
    clips = _clips(root)

    def ours(number: int) -> float:
        copy = root.with_name(f"film-{number}")
        shutil.copytree(root, copy, symlinks=True)
        costs[VGEN].append(_cut(copy))
        shutil.rmtree(copy)
        return costs[VGEN][-1].cpu_s

    def theirs(_: int) -> float:
        joined = "".join(f"[{k}:v][{k}:a]" for k in range(len(clips))) + f"concat=n={len(clips)}:v=1:a=1[v][a]"
        words = [tools.ffmpeg, "-nostdin", "-v", "error", "-y", *(word for clip in clips for word in ("-i", clip))]
        words += ["-filter_complex", joined, "-map", "[v]", "-map", "[a]", *ENCODER.split()]
        costs[GRAPH].append(run([*words, "-movflags", "+faststart", root.parent / "graph.mp4"], root))
        return costs[GRAPH][-1].cpu_s

    rows = interleaved({VGEN: ours, GRAPH: theirs}, rounds, ours=VGEN)
    what = f"the cut of {len(clips)} clips of {SECONDS} s, {SIZE}, for the first time"
    yield Table(key="k", title=f"CPU, {what}", unit="s", rows=rows, note="start of the program included")
    wall = {name: [cost.wall_s for cost in found] for name, found in costs.items()}
    rows = [Row(name=name, values=found, ratio=ratio(wall[VGEN], found)) for name, found in wall.items()]
    yield Table(key="k", title=what, unit="s", rows=rows)


def _after_a_change(root: Path, rounds: int) -> Iterator[Table]:
    """The first time once; then one clip is replaced by hand, another in each round."""
    first, clips, costs = _cut(root), _clips(root), list[Cost]()
    for number in range(rounds):
        changed, other = clips[number % len(clips)], clips[(number + 1) % len(clips)]
        changed.chmod(0o644)
        changed.write_bytes(other.read_bytes() + (16).to_bytes(4, "big") + b"free" + (1000 + number).to_bytes(8, "big"))
        costs.append(_cut(root))
    what = f"of {len(clips)} clips of {SECONDS} s, {SIZE}, beside the first time"
    for unit, values, once in (
        ("CPU, s", [cost.cpu_s for cost in costs], first.cpu_s),
        ("s", [cost.wall_s for cost in costs], first.wall_s),
    ):
        firsts = [once] * len(values)
        rows = [
            Row(name=CHANGED, values=values),
            Row(name="the first time", values=firsts, ratio=ratio(values, firsts)),
        ]
        yield Table(key="k", title=f"the cut {what}", unit=unit, rows=rows)


def _cut(root: Path) -> Cost:
    film = root / "outputs" / "cut.mp4"
    before = film.stat().st_mtime_ns if film.exists() else 0
    cost = run([PROGRAMS / "doit", "cut"], root, env=environment(**ENVIRON))
    if not film.exists() or film.stat().st_mtime_ns == before:
        raise Broken(f"no new cut: {cost.text[-2000:]}")
    return cost
