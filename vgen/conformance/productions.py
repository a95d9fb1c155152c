"""Whole productions against the protocol's own simulator: real processes, real sockets, faults, and kill -9.

What the simulator charged is the truth; what vgen's report says it spent is held against it.
"""

import contextlib
import json
import math
import random
import struct
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vgen.conformance.rule import Result
from vgen.conformance.wire import recipe
from vgen.inputs.keys import without_keys
from vgen.pictures import Pictures
from vgen.providers.base import CannotMake, Terms
from vgen.providers.codec import Codec, LookUp, Replay
from vgen.simulator.app import PARTS

SHOTS = 4
WAIT_S = 120.0
"""A run or a start that takes longer hangs."""
VARIABLES = ("primary_api=film", "fallback_api=none", "mode=live")
DODO = """from vgen.film import tasks

globals().update(tasks(__file__))
"""
FAULTS = (
    ("answers to orders are lost", ("create_lost=first:2",)),
    ("orders and answers get lost in a gateway", ("create_502=first:1", "create_502_accepted=first:2")),
    ("answers to orders can't be read", ("create_garbage=first:1", "create_cut=first:2")),
    ("orders are refused for a while", ("create_429=first:2", "create_500=first:1", "create_503=first:1")),
    ("questions fail", ("poll_500=0.2", "poll_502=0.2", "poll_garbage=0.2", "poll_404=first:1")),
    ("media come broken", ("media_500=first:2", "media_html=first:1", "media_cut=first:1")),
    ("jobs fail", ("job_failed=first:1",)),
)


@dataclass(slots=True)
class Stand:
    """Where productions are made: a folder, and who sells there."""

    home: Path
    protocol: str
    codec: Codec
    model: str
    seed: int = 0
    made: int = 0

    @contextlib.contextmanager
    def production(self, *faults: str, budget: str = "1000") -> Iterator["Production"]:
        """A new production of some shots, with a new vendor who has these faults."""
        self.made += 1
        root = self.home / f"film-{self.made}"
        (root / "config").mkdir(parents=True)
        with self._vendor(faults) as url:
            section = {"protocol": self.protocol, "base_url": url, "model": self.model, "poll_interval_s": 0.2}
            config = {"film": section}
            shots = [{"shot_number": n, "duration": 5, "prompt": f"a paper boat, {n}"} for n in range(1, SHOTS + 1)]
            (root / "config" / "api_config.json").write_text(json.dumps(config), "utf-8")
            (root / "config" / "visual_prompts.json").write_text(json.dumps(shots), "utf-8")
            (root / "dodo.py").write_text(DODO, "utf-8")
            yield Production(root, url, budget)

    @contextlib.contextmanager
    def _vendor(self, faults: Sequence[str]) -> Iterator[str]:
        options = [
            "--anonymous",
            "--port",
            "0",
            "--queue-s",
            "0.1",
            "--render-s",
            "0.3",
            "--seed",
            str(self.seed),
        ]
        plugin = [] if self.protocol in PARTS else ["--plugin", self.protocol]
        given = [part for fault in faults for part in ("--fault", f"{self.protocol}.{fault}")]
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "vgen.simulator", *options, *plugin, *given],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=self.home,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if "http://" not in line:
                raise AssertionError(f"the simulator of {self.protocol} does not start")
            yield "http://" + line.split("http://")[1].split()[0]
        finally:
            process.terminate()
            process.wait(WAIT_S)


@dataclass(slots=True)
class Production:
    """One film at one vendor."""

    root: Path
    url: str
    budget: str
    said: list[str] = field(default_factory=list)

    def run(self, *args: str, kill_after_s: float | None = None) -> int:
        """`vgen ARGS`; killed after so long, if it is still running."""
        env = {name: value for name, value in without_keys().items() if not name.startswith("VGEN_")}
        env["FILM_API_KEY"] = "key_conformance0123456789abcdef"
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "vgen", *args, *VARIABLES, f"budget_usd={self.budget}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.root, env=env,
        )  # fmt: skip
        try:
            said, _ = process.communicate(timeout=WAIT_S if kill_after_s is None else kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            if kill_after_s is None:
                raise AssertionError(f"a run hangs: {said[-300:]}") from None
        self.said.append(said)
        return process.returncode

    def report(self) -> dict[str, Any]:
        """The production report."""
        if not (self.root / "outputs" / "production_report.json").exists():
            raise AssertionError(f"a run ends without a report: {self.said[-1][-400:]}")
        found: dict[str, Any] = json.loads((self.root / "outputs" / "production_report.json").read_text("utf-8"))
        return found

    def charges(self) -> dict[str, Any]:
        """What the vendor says it charged."""
        with urllib.request.urlopen(f"{self.url}/_simulator/charges", timeout=WAIT_S) as answer:  # noqa: S310 - our own server
            found: dict[str, Any] = json.load(answer)
        return found

    def problem(self, *, whole: bool = True) -> str:
        """What is wrong between the books and the vendor; "" if nothing. `whole`: all clips must be there."""
        budget, charges = self.report()["budget"], self.charges()
        spent, unsure = budget["spent_usd"], budget["uncertain_usd"] + budget["reserved_usd"]
        if not spent - 1e-9 <= charges["total_usd"] <= spent + unsure + 1e-9:
            return f"the vendor charged ${charges['total_usd']}, the books say ${spent} and ${unsure} open"
        if spent + unsure > float(self.budget) + 1e-9 or charges["total_usd"] > float(self.budget) + 1e-9:
            return f"${charges['total_usd']} of a budget of ${self.budget}"
        good = [job["prompt"] for job in charges["jobs"] if job["charged_usd"] and not job["faults"]]
        if ignored := charges["ignored"]:
            return f"the vendor took orders and ignored {', '.join(ignored)}"
        if not charges["creates"]:
            return f"nothing was bought: {self.said[-1][-400:]}"
        if twice := sorted({prompt for prompt in good if good.count(prompt) > 1}):
            return f"bought twice: {', '.join(twice)}"
        if whole and (missing := SHOTS - len(list((self.root / "outputs" / "clips").glob("clip_*.mp4")))):
            return f"{missing} of {SHOTS} clips are missing: {self.said[-1][-400:]}"
        return ""


def good_day(stand: Stand) -> Iterator[Result]:
    """A day without a fault. If that is broken, all that follows is."""
    yield _tried("a good day: what is charged is what is booked, and nothing is bought twice", _good_day, stand)


def bad_days(stand: Stand, *, kills: int) -> Iterator[Result]:
    """Try each other rule on a production of its own."""
    by_itself = isinstance(stand.codec.LOST_ORDERS, Replay | LookUp)
    for name, faults in FAULTS:
        yield _tried(f"a bad day, {name}: the books agree with the vendor", _bad_day, stand, faults, by_itself)
    yield _tried("the budget holds", _budget, stand)
    yield _tried("a picture that is too big for a request is uploaded once, without the key", _big_pictures, stand)
    yield _tried(
        f"kill -9, {kills} times: nothing is bought twice, and the books agree", _kills, stand, kills, by_itself
    )


def _big_pictures(stand: Stand) -> str:
    """Each shot is made from the same picture, which no request holds."""
    if (theirs := stand.codec.VENDOR.uploads) is None or not _takes_pictures(stand):
        return ""
    with stand.production() as film:
        side = math.isqrt(stand.codec.VENDOR.accepts.most_bytes // 3) + 100
        picture = _noise((side * 9 // 16 * 4 // 3, side * 4 // 3))
        if not stand.codec.VENDOR.accepts.most_bytes < len(picture) <= theirs.most_bytes:
            return f"no picture of {len(picture)} bytes is between a request's and an upload's"
        (film.root / "big.png").write_bytes(picture)
        shots = film.root / "config" / "visual_prompts.json"
        shots.write_text(json.dumps([shot | {"image": "big.png"} for shot in json.loads(shots.read_text("utf-8"))]))
        film.run()
        if problem := film.problem():
            return problem
        if (times := film.said[-1].count("uploading a picture")) != 1:
            return f"the same picture is uploaded {times} times"
        asked = film.charges()["requests"]
        return "the storage host is shown a key" if asked.get("storage_authorized") else ""


def _takes_pictures(stand: Stand) -> bool:
    made = recipe(pictures=Pictures((("image", "sha256:0"),)))
    try:
        order = stand.codec.order(made, Terms(provider="x", base_url=stand.codec.VENDOR.base_url, model=stand.model))
    except CannotMake:
        return False
    return "image" in order.pictures


def _noise(size: tuple[int, int]) -> bytes:
    """A PNG of pixels that nothing makes smaller."""
    width, height = size
    pixels = random.Random(0).randbytes(width * height * 3)  # noqa: S311 - repeatable, not secret
    rows = b"".join(b"\0" + pixels[width * 3 * y : width * 3 * (y + 1)] for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def _tried(name: str, rule: Any, *args: Any) -> Result:
    try:
        return Result(name, rule(*args))
    except Exception as exc:  # noqa: BLE001 - whatever goes wrong is the finding
        return Result(name, f"{type(exc).__name__}: {exc}")


def _good_day(stand: Stand) -> str:
    with stand.production() as film:
        film.run()
        if problem := film.problem():
            return problem
        film.run()
        return film.problem() or ("" if film.charges()["creates"] == SHOTS else "a second run bought again")


def _bad_day(stand: Stand, faults: Sequence[str], by_itself: bool) -> str:
    with stand.production(*faults) as film:
        film.run("max_retries=4")
        if by_itself and film.report()["budget"]["uncertain_usd"]:
            return f"an order is left uncertain: {film.said[-1][-400:]}"
        film.run("max_retries=4")
        return film.problem(whole=by_itself or not any("create_" in fault for fault in faults))


def _budget(stand: Stand) -> str:
    with stand.production() as film:
        film.run()
        one = film.charges()["total_usd"] / SHOTS
    with stand.production(budget=f"{one * 2.5:.4f}") as film:
        film.run("partial=yes")
        bought = film.charges()["creates"]
        return film.problem(whole=False) or ("" if bought == 2 else f"{bought} clips for the price of 2.5")


def _kills(stand: Stand, kills: int, by_itself: bool) -> str:
    rng = random.Random(stand.seed)  # noqa: S311 - repeatable, not secret
    began = time.monotonic()
    with stand.production() as film:
        film.run()
    whole_s = time.monotonic() - began
    with stand.production("create_lost=0.3") as film:
        for _ in range(kills):
            film.run(kill_after_s=rng.uniform(0.2, 0.9) * whole_s)
        for _ in range(3):
            film.run("max_retries=4")
        if by_itself and film.report()["budget"]["uncertain_usd"]:
            return f"an order is left uncertain: {film.said[-1][-400:]}"
        return film.problem(whole=by_itself)
