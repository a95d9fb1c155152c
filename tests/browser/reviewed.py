"""A bought film of twelve shots to review, made in virtual time with small real clips, and `doit review` of it."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import trio
from studio import ROOT, Studio, shots
from workshop import RUN_S, clean_environment

from vgen.media.judge import Judgement, Verdict, Wanted
from vgen.media.probe import Facts
from vgen.media.tools import find_tools
from vgen.simulator.app import App
from vgen.simulator.jobs import Clip

LENGTHS_S = (0.7, 0.9, 1.1)
SIZE = (180, 320)
MISSING = 5
"""The shot that has no clip yet."""
RIVALS = 4
"""The shot that has three takes."""


def _small_clips(folder: Path) -> list[bytes]:
    """One video of each length, with sound."""
    ffmpeg, made = find_tools(None, None).ffmpeg, []
    for number, length in enumerate(LENGTHS_S):
        path = folder / f"{number}.mp4"
        picture = f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate=24,hue=h={120 * number}"
        inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=frequency={220 * (number + 1)}"]
        coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
        command = [ffmpeg, "-v", "error", *inputs, "-t", str(length), *coded, "-movflags", "+faststart", str(path)]
        subprocess.run(command, check=True)
        made.append(path.read_bytes())
    return made


class Film(Studio):
    """A simulated production whose clips a browser can play."""

    def __init__(self, root: Path, small: list[bytes]) -> None:
        super().__init__(root, live=False, seed=7)  # another process's simulator begins with other ids
        self._small = small
        self.judge = self._judge

    def app(self) -> App:
        return App(self.cloud, self._render)

    async def _render(self, clip: Clip) -> bytes:
        """One of the videos; what follows makes each a file of its own, large enough to be accepted."""
        await trio.lowlevel.checkpoint()
        video = self._small[(int(clip.label or 0) + clip.version) % len(self._small)]
        more = f"{clip.prompt} {clip.job_id}".encode().ljust(110_000, b" ")
        return video + (8 + len(more)).to_bytes(4, "big") + b"free" + more

    async def _judge(self, path: Path, wanted: Wanted) -> Judgement:
        await trio.lowlevel.checkpoint()
        data = path.read_bytes()
        length = next(s for s, video in zip(LENGTHS_S, self._small, strict=True) if data.startswith(video))
        facts = Facts(
            width=SIZE[0],
            height=SIZE[1],
            duration_s=length,
            fps=24.0,
            codec="h264",
            has_audio=True,
            size_bytes=len(data),
        )
        return Judgement(verdict=Verdict.GOOD, facts=facts)


def make(root: Path) -> Film:
    """Eleven clips of twelve; three takes of one, the last of them in place."""
    clips = root.with_name("small")
    clips.mkdir()
    film = Film(root, _small_clips(clips))
    film.write_shots(shots(12, duration=2))
    shutil.copy(ROOT / "dodo.py", root)
    assert film.doit(*(f"clip:{number}" for number in range(1, 13) if number != MISSING)) == 0
    for _ in range(2):
        assert film.doit("-a", f"clip:{RIVALS}") == 0
    return film


def elsewhere(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`doit WORDS` in a process of its own."""
    command = [sys.executable, "-m", "vgen", *words]
    return subprocess.run(
        command, cwd=root, env=clean_environment(), capture_output=True, text=True, timeout=RUN_S, check=False
    )


@contextlib.contextmanager
def review(root: Path) -> Iterator[str]:
    """`doit review`; gives its address. Ends it with Ctrl-C, and sees that it ends without a word."""
    command = [sys.executable, "-m", "vgen", "review"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen(command, cwd=root, env=clean_environment(), text=True, **pipes)
    try:
        line = running.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", line)
        assert found, line + running.stderr.read()
        yield found[0]
    finally:
        running.send_signal(signal.SIGINT)
        _, complaints = running.communicate(timeout=RUN_S)
        assert "Traceback" not in complaints
        assert running.returncode == 130


HOLDER = """
import sys
from pathlib import Path
from vgen.store.lock import run_lock
from vgen.store.outputs import Outputs
with run_lock(Outputs(Path(sys.argv[1])), wait=False):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def build_at_work(outputs: Path) -> Iterator[int]:
    """Another process holds the run lock, as a build does; gives its id."""
    command = [sys.executable, "-c", HOLDER, str(outputs)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=clean_environment(), text=True, **pipes) as running:
        assert running.stdout.readline() == "held\n"
        try:
            yield running.pid
        finally:
            running.stdin.close()


def take_in_place(root: Path, number: int) -> int:
    """Which take lies under a clip's name, by its bytes."""
    clip = (root / "outputs" / "clips" / f"clip_{number:03}.mp4").read_bytes()
    takes = sorted((root / "outputs" / "takes").rglob("simulated_*.mp4"))
    return next(int(take.stem.rpartition("_")[2]) for take in takes if take.read_bytes() == clip)


def entry(root: Path, number: int) -> dict[str, object]:
    """What clips.json says of a shot."""
    return json.loads((root / "outputs" / "clips.json").read_text("utf-8"))[number - 1]
