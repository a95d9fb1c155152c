"""Real processes for tests: a simulated provider as a server, a project directory, and `doit` as a user starts it."""

import atexit
import contextlib
import functools
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import canary
from canary import CANARY
from forked import Forked, can_fork, server

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = Path(__file__).with_name("provider.py")
KEYS = {"RUNWAY_API_KEY": f"key_{CANARY}0123456789abcdef", "FAL_KEY": f"{CANARY}-4567:89abcdef01234567"}
RUN_S = 180.0
"""Nothing here takes longer, on the busiest machine; a run that does is killed and its test fails."""
HOLDS = ("reserved", "submitting", "not_sent", "rendering")
LIVE = (*HOLDS, "rendered", "fetched")
Process = subprocess.Popen[bytes] | Forked


def shots(n: int, *, duration: float = 2, first: int = 1) -> list[dict[str, Any]]:
    """n plain shots; the prompt of shot k holds the word `shot-k`."""
    return [
        {"shot_number": k, "duration": duration, "runway_prompt": f"shot-{k} a paper boat in the rain"}
        for k in range(first, first + n)
    ]


def clean_environment(**more: str) -> dict[str, str]:
    """What a process needs, and nothing that could steer vgen; the vgen that it imports is the one of these tests."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return found | {"PYTHONPATH": str(ROOT)} | more


def python(words: Sequence[str], *, environ: Mapping[str, str], cwd: Path, out: IO[bytes], err: IO[bytes]) -> Process:
    """`python WORDS`, which begin with `-m MODULE` or a file, with nothing to read: forked, if that is the same."""
    plain = clean_environment()
    if can_fork(environ, plain):
        return server(frozenset(plain.items())).start(words, environ=environ, cwd=cwd, out=out, err=err)
    command = [sys.executable, *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environ, cwd=cwd)


def wait_until(true: Callable[[], bool], *, limit_s: float = RUN_S, what: str) -> None:
    """Look often until something is so. Fails when that takes too long."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.005)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def everything(root: Path) -> dict[str, tuple[int, str]]:
    """Path → modification time and content, of every file below `root` but the stamp of a run with nothing to do."""
    found = {}
    for path in sorted(root.rglob("*")):
        if "__pycache__" not in path.parts and path.parts[-2:] != (".vgen", "finished"):
            with contextlib.suppress(FileNotFoundError):  # of a run that goes on: gone meanwhile
                if path.is_file():
                    found[str(path.relative_to(root))] = (path.stat().st_mtime_ns, sha256(path))
    return found


@contextlib.contextmanager
def kept_port() -> Iterator[str]:
    """A free port of loopback that nobody else is given; a server that asks for it by its number gets it.

    The socket is bound and never listens: the system hands the port to no one, and connections are refused.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield str(keeper.getsockname()[1])


@functools.cache
def drawn() -> Path:
    """Where the providers of this pytest process keep the clips that they drew."""
    folder = tempfile.TemporaryDirectory(prefix="vgen-drawn-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


class Server:
    """The simulator on a free port. A test that must come before a job's end lets the provider's clock stand still.

    It stands in for a real provider, unless it is `named`: then vgen knows it for the simulator.
    """

    def __init__(self, home: Path, *options: str, named: bool = False) -> None:
        name = f"simulator-{time.monotonic_ns()}"
        errors = home / f"{name}.err"
        self._clock = home / f"{name}.clock"
        self._now = 0.0
        self._errors = errors.open("wb")
        mine = [str(PROVIDER), str(self._clock), str(drawn())]
        words = [*mine, "--port", "0", *options, *([] if named else ["--anonymous"])]
        said, out = os.pipe()
        self._said = os.fdopen(said, "rb")
        with os.fdopen(out, "wb") as stdout:
            self.process = python(words, environ=clean_environment(), cwd=home, out=stdout, err=self._errors)
        ready, _, _ = select.select([self._said], [], [], RUN_S)
        line = self._said.readline().decode() if ready else ""
        if "http://" not in line:
            self.stop()
            raise AssertionError(f"the simulator did not start: {line}{errors.read_text('utf-8')}")
        self.url = "http://" + line.split("http://")[1].split()[0]

    def charges(self) -> dict[str, Any]:
        """The truth: every job, and what it was charged."""
        with urllib.request.urlopen(f"{self.url}/_simulator/charges", timeout=RUN_S) as answer:
            value: dict[str, Any] = json.load(answer)
            return value

    def hold(self) -> None:
        """Its clock stands still: no job goes on."""
        self.passes(time.time() - self._now)

    def passes(self, seconds: float) -> None:
        """While it stands still: so much later."""
        self._now += seconds
        new = self._clock.with_suffix(".new")
        new.write_text(repr(self._now), "ascii")
        new.replace(self._clock)

    def release(self) -> None:
        """Its clock is the machine's again."""
        self._clock.unlink()

    def charged_usd(self) -> float:
        return float(self.charges()["total_usd"])

    def accepted(self) -> Counter[str]:
        """Prompt → how many jobs the provider took on for it."""
        return Counter(job["prompt"] for job in self.charges()["jobs"])

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(RUN_S)
        self._said.close()
        self._errors.close()


class Started:
    """A `doit` that runs, its stdout and stderr together in a file."""

    def __init__(self, process: Process, output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self._output.read_text("utf-8", "replace")

    def lines(self) -> list[str]:
        return self.said().splitlines()

    def says(self, word: str, *, times: int = 1) -> None:
        """Wait for a word in the output."""
        wait_until(
            lambda: self.said().count(word) >= times or self.process.poll() is not None,
            what=f"{word!r} in the output",
        )
        assert self.said().count(word) >= times, self.said()

    def ends(self, *, within_s: float = RUN_S) -> int:
        """Wait for the end; the exit code (negative: a signal)."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(RUN_S)
            raise AssertionError(f"still running after {within_s:g} s:\n{self.said()}") from None

    def kill(self) -> None:
        """kill -9, of this process alone, as the OOM killer does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(RUN_S)


class Project:
    """A directory as a user has it: dodo.py, config/, prompts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        shutil.copy(ROOT / "dodo.py", root)
        shutil.copytree(ROOT / "config", root / "config")
        self.environ = clean_environment()
        self.journal = root.parent / f"{root.name}-output"
        """What the processes said, outside of the project."""
        self.journal.mkdir()
        self._started: list[Started] = []

    # ── making ────────────────────────────────────────────────────────────────────────────────────────────────────

    def buys_at(self, server: Server, **more: Any) -> None:
        """Both providers are this server, asked often; keys are set."""
        self.environ |= KEYS
        common = {"base_url": server.url, "poll_interval_s": 0.05, "timeout_seconds": 60} | more
        self.configure(runway=common, pika=common)

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Change sections of api_config.json."""
        path = self.root / "config" / "api_config.json"
        config = json.loads(path.read_text("utf-8"))
        for name, values in sections.items():
            config[name] = config.get(name, {}) | dict(values)
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")

    def write_shots(self, value: Sequence[Mapping[str, Any]]) -> None:
        (self.root / "config" / "visual_prompts.json").write_text(json.dumps(value, indent=1), "utf-8")

    # ── running ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *args: str, command: Sequence[str] = (), cwd: Path | None = None, **environ: str) -> Started:
        """`doit ARGS` in the background (or another command)."""
        output = self.journal / f"{len(self._started):03d}.txt"
        environ = self.environ | environ
        process: Process
        with output.open("wb") as out:
            if command:
                process = subprocess.Popen(
                    [*command, *args],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=environ,
                    cwd=cwd or self.root,
                )
            else:
                process = python(["-m", "doit", *args], environ=environ, cwd=cwd or self.root, out=out, err=out)
        self._started.append(Started(process, output))
        return self._started[-1]

    def doit(self, *args: str, within_s: float = RUN_S, **environ: str) -> tuple[int, str]:
        """`doit ARGS` to its end: exit code, and all that it said."""
        started = self.start(*args, **environ)
        return started.ends(within_s=within_s), started.said()

    def close(self) -> None:
        for started in self._started:
            if started.process.poll() is None:
                started.kill()

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    def clips(self) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = json.loads((self.outputs / "clips.json").read_text("utf-8"))
        return value

    def report(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.outputs / "production_report.json").read_text("utf-8"))
        return value

    def rows(self, query: str = "SELECT * FROM purchases ORDER BY id") -> list[dict[str, Any]]:
        ledger = self.outputs / "ledger.db"
        if not ledger.exists():
            return []
        with contextlib.closing(sqlite3.connect(ledger, timeout=10)) as db:
            db.row_factory = sqlite3.Row
            if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'purchases'").fetchone()[0]:
                return []  # killed while the ledger was made
            return [dict(row) for row in db.execute(query)]

    def states(self) -> Counter[str]:
        return Counter(row["state"] for row in self.rows())

    def booked(self) -> dict[str, float]:
        """spent, reserved, uncertain in dollars: reckoned here from the rows, not by vgen."""
        sums = Counter({"spent": 0, "reserved": 0, "uncertain": 0})
        for row in self.rows():
            sums["spent"] += row["charged"]
            sums["reserved"] += row["price"] if row["state"] in HOLDS else 0
            sums["uncertain"] += row["price"] if row["state"] == "uncertain" else 0
        return {name: value / 1e6 for name, value in sums.items()}

    def published(self) -> list[Path]:
        clips = self.outputs / "clips"
        return sorted(clips.glob("clip_*.mp4")) if clips.is_dir() else []

    # ── judging ───────────────────────────────────────────────────────────────────────────────────────────────────

    def assert_clips_are_takes(self) -> None:
        """Whatever has a clip's name is one of the takes, byte for byte."""
        takes = {sha256(path) for path in (self.outputs / "takes").rglob("*.mp4")}
        for clip in self.published():
            assert sha256(clip) in takes, f"{clip.name} is none of the takes"

    def assert_money_is_true(self, server: Server) -> None:
        """The books against the provider's own: nothing hidden, nothing twice."""
        booked, charged = self.booked(), server.charged_usd()
        most = booked["spent"] + booked["reserved"] + booked["uncertain"]
        assert booked["spent"] <= charged + 1e-9, (booked, charged, self.rows())
        assert charged <= most + 1e-9, (booked, charged, self.rows())
        if not booked["reserved"] and not booked["uncertain"]:
            assert abs(booked["spent"] - charged) < 1e-9, (booked, charged)

    def assert_report_is_true(self) -> None:
        """The report's figures are the ledger's, and each good clip is there as it says."""
        report, booked = self.report(), self.booked()
        assert report["budget"]["spent_usd"] == booked["spent"]
        assert report["budget"]["reserved_usd"] == booked["reserved"]
        assert report["budget"]["uncertain_usd"] == booked["uncertain"]
        for clip in report["clips"]:
            if clip["success"]:
                file = self.root / clip["clip_path"]
                assert (file.stat().st_size, sha256(file)) == (clip["size_bytes"], clip["sha256"])
            else:
                assert clip["clip_path"] is None
                assert clip["error"]
        assert report["successful_clips"] == sum(clip["success"] for clip in report["clips"])
        good = [clip for clip in report["clips"] if clip["success"]]
        assert abs(report["total_cost_usd"] - sum(clip["cost_usd"] for clip in good)) < 1e-9

    def leaks(self) -> list[Path]:
        """Every file, and every output, in which a key can be read."""
        return [*canary.leaks(self.root), *canary.leaks(self.journal)]
