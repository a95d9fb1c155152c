"""A whole real clip: from finished at its provider to checked and published, eight at once; and what a check finds."""

import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from benchmarks.builds import PROGRAMS, buy_at
from benchmarks.measure import Broken, Cost, Row, Table, environment, interleaved, ratio, run
from benchmarks.tls_host import Host, hosting
from benchmarks.workload import ENVIRON, charges, make_project, serving, shots, write_shots
from vgen.media.judge import Verdict, Wanted, judge
from vgen.media.tools import Tools, find_tools

CLIPS = 8
RENDER_S = 10.0
"""Long enough to order all clips before the first is finished."""
SIZE = "1080x1920"
SIZES = ((5, 10), (10, 20))
"""Seconds, and MB at 16 Mbit/s."""
SCRIPT = """\
set -euo pipefail
one() {
  set -e
  curl --silent --show-error --fail --cacert "$AUTHORITY" --output "clip_$1.mp4" "$MEDIA/clip_$1.mp4"
  "$FFPROBE" -v error -of json -show_entries stream:format "clip_$1.mp4" > "clip_$1.json"
  "$FFMPEG" -nostdin -xerror -v error -i "clip_$1.mp4" -f null -
  sha256sum "clip_$1.mp4" > "clip_$1.sha256"
}
export -f one
seq "$CLIPS" | xargs -P "$CORES" -I{} bash -c 'one {}'
"""
VGEN, BASH = "vgen: doit", "curl, ffprobe, ffmpeg -xerror, sha256sum"
Damage = Callable[[bytearray, random.Random], bytes]


def tables(rounds: int, *, quick: bool) -> Iterator[Table]:
    """Row (j)."""
    tools = find_tools(None, None)
    for seconds, megabytes in [(2, 2)] if quick else SIZES:
        with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
            yield from _whole(Path(made), clip_of(tools, seconds, megabytes), tools, seconds, rounds)
    yield _damaged(tools, clip_of(tools, 2, 2), 2 if quick else 10)


def clip_of(tools: Tools, seconds: int, megabytes: int, size: str = SIZE, *, noise: int = 6) -> Path:
    """A clip of about this size, drawn once."""
    folder = Path(tempfile.gettempdir()) / "vgen-benchmark-clips"
    folder.mkdir(exist_ok=True)
    clip, part = folder / f"{seconds}s_{megabytes}mb_{size}_{noise}.mp4", folder / ".part.mp4"
    if not clip.exists():
        drawn = f"mandelbrot=size={size}:rate=24:end_scale=0.05:end_pts={24 * seconds},noise=alls={noise}:allf=t"
        words = [tools.ffmpeg, "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", drawn]
        words += ["-f", "lavfi", "-i", "sine=frequency=330", "-t", str(seconds), "-c:v", "libx264", "-preset", "fast"]
        bits = 8_000_000 * megabytes // seconds
        words += ["-b:v", str(bits), "-maxrate", str(bits * 3 // 2), "-bufsize", str(bits // 2), "-c:a", "aac"]
        subprocess.run([*words, "-pix_fmt", "yuv420p", "-movflags", "+faststart", part], check=True)
        part.replace(clip)
    return clip


# ── from finished to published ────────────────────────────────────────────────────────────────────────────────────────


def _whole(folder: Path, clip: Path, tools: Tools, seconds: int, rounds: int) -> Iterator[Table]:
    costs = dict[str, list[Cost]]()
    different(clip, folder / "www", CLIPS)
    with hosting(folder, folder / "www") as host, serving_from(host) as url:
        ordered = folder / "ordered"
        order(ordered, url, CLIPS, seconds)
        contenders = {
            VGEN: functools.partial(_collect, ordered, host),
            BASH: functools.partial(_script, folder / "script", host, tools),
        }

        def wall_s(name: str, number: int) -> float:
            costs.setdefault(name, []).append(contenders[name](number))
            return costs[name][-1].wall_s

        named = {name: functools.partial(wall_s, name) for name in contenders}
        rows = interleaved(named, rounds, ours=VGEN)
    size = f"{CLIPS} clips of {seconds} s, {SIZE}, {clip.stat().st_size / 1e6:.0f} MB"
    title = f"from finished at the provider to published: {size}, over TLS"
    yield Table(
        key="j", title=title, unit="s", rows=rows, note="start of the program and decode of every frame included"
    )
    cpu = {name: [cost.cpu_s for cost in found] for name, found in costs.items()}
    rows = [Row(name=name, values=found, ratio=ratio(cpu[VGEN], found)) for name, found in cpu.items()]
    yield Table(
        key="j", title=f"CPU, {title}", unit="s", rows=rows, note=f"that of the hosts is not in it: {host.server}"
    )


def different(clip: Path, folder: Path, n: int) -> None:
    """The clip for each shot, with a last box of its own, which players pass over (ISO/IEC 14496-12: free)."""
    folder.mkdir()
    for number in range(1, n + 1):
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / f"clip_{number}.mp4").write_bytes(clip.read_bytes() + box)


def serving_from(host: Host) -> contextlib.AbstractContextManager[str]:
    """A provider whose clips come from this host; its URL."""
    return serving("--render-s", str(RENDER_S), "--media", host.url)


def order(root: Path, url: str, n: int, seconds: int) -> None:
    """A project whose clips are ordered and by now finished at their provider, left by a run that was interrupted.

    Raises Broken.
    """
    make_project(root, n, max_concurrent=n)
    write_shots(root, shots(n, duration=seconds))
    buy_at(root, url, max_concurrent=n)
    env = environment(**ENVIRON)
    with subprocess.Popen([PROGRAMS / "doit"], cwd=root, env=env, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while charges(url)["creates"] < n and time.monotonic() < until and process.poll() is None:
            time.sleep(0.1)
        time.sleep(0.5)  # its answer is written down
        process.send_signal(signal.SIGINT)
    jobs = charges(url)["jobs"]
    if len(jobs) != n or list(root.rglob("clip_*.mp4")):
        raise Broken(f"{len(jobs)} of {n} clips were ordered, or some are there already")
    while any(job["state"] != "SUCCEEDED" for job in charges(url)["jobs"]):
        time.sleep(0.5)


def bring(root: Path, host: Host, n: int) -> Cost:
    """The next run, which collects them. Raises Broken if it did not bring every clip."""
    cost = run([PROGRAMS / "doit"], root, env=environment(**ENVIRON, SSL_CERT_FILE=str(host.authority)))
    found = [clip for clip in root.rglob("clip_*.mp4") if clip.stat().st_size > 100_000]
    if len(found) != n:
        raise Broken(f"{len(found)} of {n} clips came: {cost.text[-2000:]}")
    return cost


def _collect(ordered: Path, host: Host, number: int) -> Cost:
    """In a copy of the project."""
    root = ordered.with_name(f"collect-{number}")
    shutil.copytree(ordered, root, symlinks=True)
    cost = bring(root, host, CLIPS)
    shutil.rmtree(root)
    return cost


def _script(folder: Path, host: Host, tools: Tools, number: int) -> Cost:
    """What a careful user would write."""
    root = folder / str(number)
    root.mkdir(parents=True)
    told = {"MEDIA": host.url, "AUTHORITY": str(host.authority), "FFMPEG": tools.ffmpeg, "FFPROBE": tools.ffprobe}
    env = environment(**told, CLIPS=str(CLIPS), CORES=str(os.cpu_count() or 1))
    cost = run(["bash", "-c", SCRIPT], root, env=env)
    if len(list(root.glob("*.sha256"))) != CLIPS:
        raise Broken(f"the script did not bring every clip: {cost.text[-2000:]}")
    shutil.rmtree(root)
    return cost


# ── what a check finds ────────────────────────────────────────────────────────────────────────────────────────────────


def _cut(share: float) -> Damage:
    return lambda data, _: bytes(data[: int(len(data) * share)])


def _zeros(size: int) -> Damage:
    def zeroed(data: bytearray, rng: random.Random) -> bytes:
        at = rng.randrange(len(data) // 10, len(data) - size)
        data[at : at + size] = bytes(size)
        return bytes(data)

    return zeroed


def _zeros_from(share: float) -> Damage:
    return lambda data, _: bytes(data[: int(len(data) * share)]).ljust(len(data), b"\0")


def _flipped(bits: int) -> Damage:
    def flipped(data: bytearray, rng: random.Random) -> bytes:
        for _ in range(bits):
            data[rng.randrange(len(data) // 10, len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)

    return flipped


DAMAGES: dict[str, Damage] = {
    "cut at 60 %": _cut(0.6),
    "cut at 99 %": _cut(0.99),
    "zeros from 60 %": _zeros_from(0.6),
    "4 KiB of zeros": _zeros(4096),
    "one bit flipped": _flipped(1),
    "50 bits flipped": _flipped(50),
}


def _damaged(tools: Tools, clip: Path, each: int) -> Table:
    """How many damaged files each check finds. Not every flipped bit makes a file that does not decode."""
    found: dict[str, list[str]] = {VGEN: [], BASH: []}
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        path = Path(made) / "clip.mp4"
        for what, damage in DAMAGES.items():
            for number in range(each):
                name = f"{what}, {number}"
                path.write_bytes(damage(bytearray(clip.read_bytes()), random.Random(name)))
                said = trio.run(judge, tools, path, Wanted(duration_s=2, aspect_ratio="9:16"))
                found[VGEN] += [name] if said.verdict is Verdict.DAMAGED else []
                words = [tools.ffmpeg, "-nostdin", "-xerror", "-v", "error", "-i", path, "-f", "null", "-"]
                ended = subprocess.run(words, stderr=subprocess.DEVNULL, check=False)
                found[BASH] += [name] if ended.returncode else []
    if missed := sorted(set(found[BASH]) - set(found[VGEN])):
        raise Broken(f"vgen found no damage where ffmpeg did: {'; '.join(missed)}")
    rows = [Row(name=name, values=[len(names)]) for name, names in found.items()]
    rows = [Row(name=row.name, values=row.values, ratio=ratio(rows[0].values, row.values)) for row in rows]
    title = f"damaged clips found, of {each * len(DAMAGES)}: {', '.join(DAMAGES)}"
    return Table(key="j", title=title, unit="files", rows=rows, more=True, note="what the script finds, vgen finds")
