"""docs/recording.md: a run of twelve shots on a bad day, and the run after it, as they print. Virtual time, fixed seed.

`python -m scripts.recording` writes the page anew.
"""

import contextlib
import io
import shutil
import sys
import tempfile
from pathlib import Path

from studio import ROOT, Studio

PAGE = ROOT / "docs" / "recording.md"
SEED = 7
FAULTS = (
    "create_429=first:2",
    "job_failed=first:1",
    "runway.create_moderation=~courtyard",
    "runway.create_lost=~bicycle",
    "media_cut=first:1~evening sun",
    "media_cut=first:1~swan",
    "job_stuck=~storm drain",
    "clip_480p=first:1~lighthouse",
)
PROMPTS = (
    "A paper boat drifts down a rainy gutter at dawn, macro lens",
    "The paper boat passes under a bicycle wheel, water drops in slow motion",
    "A child's hands lift the paper boat out of the water, warm backlight",
    "Wide shot of an empty market street after the rain, neon in the puddles",
    "The boat tips over the edge of a storm drain, handheld camera",
    "Underground river, shafts of light from gratings above",
    "The boat meets a swan at the mouth of the river",
    "A quarrel in a courtyard, seen through a wet window",
    "Fog on the harbour, the boat between tall ships",
    "A lighthouse turns, its beam crosses the boat",
    "Open sea, the boat small under a sky of clouds",
    "The boat on a shelf, dry, in the evening sun",
)
HEAD = """# A recording of a run on a bad day

Twelve shots, bought from the simulator that speaks Runway's and fal's protocols, with these faults:

{faults}

The left column is the time since the run began, in seconds. This is what vgen prints, word for word, and a test
makes the recording again and compares it. (Time is virtual there: nobody waits for it.)

## The first run

Runway is asked first, Pika is the fallback, and the budget is $12.

```text
"""
BETWEEN = """```

Exit code {code}: {good} of 12 clips are there, which is above the gate of 80 %. Two shots have none yet:

- Shot 2: the answer to its order was lost. It is held, and its price stays counted.
- Shot 5: its job does not end. It is paid for, so it is not bought again.

Everything else was mended on the way: refused orders were sent again, a job that failed was ordered again (failures are
free), broken downloads went on, a clip that was too small was paid for and ordered again, and the shot that Runway's
moderation refused was made by Pika.

## The run after it

The provider has woken up, and the user has found the lost order in Runway's dashboard: it was charged and its clip is
there, as job `{job}`.

```text
"""
END = """```

Exit code {code}. The provider's own books say ${charged}: that is what vgen has counted.
"""


class Stamped(io.StringIO):
    """Output with the virtual time at the beginning of each line."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self._studio = studio
        self._began = studio.now()
        self._at_start = True

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            if self._at_start:
                super().write(f"{self._studio.now() - self._began:7.1f}  ")
            super().write(line)
            self._at_start = line.endswith("\n")
        return len(text)


def recorded(studio: Studio, *args: str) -> tuple[int, str]:
    """Exit code and output of `doit ARGS`, the command itself first."""
    out = Stamped(studio)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = studio.doit(*args)
    return code, " ".join(["$ doit", *args]) + "\n" + out.getvalue()


def page(home: Path) -> str:
    """The whole page, made in an empty directory."""
    studio = Studio(home / "project", seed=SEED)
    studio.faults(*FAULTS, concurrency=3)
    studio.write_shots([{"shot_number": k, "duration": 5, "prompt": text} for k, text in enumerate(PROMPTS, start=1)])
    code, first = recorded(studio, "budget_usd=12")
    good = studio.report()["successful_clips"]
    text = HEAD.format(faults="\n".join(f"- `{fault}`" for fault in FAULTS)) + first
    job = next(job["id"] for job in studio.jobs("runway") if "bicycle" in job["prompt"])
    text += BETWEEN.format(code=code, good=good, job=job)
    studio.calm()
    studio.heal_jobs()
    _, settled = recorded(studio, "settle", "shot=2", f"as={job}")
    code, second = recorded(studio, "budget_usd=12")
    return text + settled + second + END.format(code=code, charged=f"{studio.charged():.2f}")


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    try:
        PAGE.write_text(page(folder), encoding="utf-8")
    finally:
        shutil.rmtree(folder)
    sys.stdout.write(f"{PAGE}\n")
