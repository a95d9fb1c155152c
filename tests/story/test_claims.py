"""What a take claims of its making: read once when it comes, told in report and gallery, and never checked."""

import random
from pathlib import Path

import pytest
from studio import Studio
from test_credentials import PLAIN, XMP_BOX, box

from vgen.media.judge import Judgement, Verdict, Wanted
from vgen.media.probe import Facts
from vgen.simulator.app import App
from vgen.simulator.jobs import Clip

CLAIMS = {"digital_source_types": ["trainedAlgorithmicMedia"]}


async def good(path: Path, wanted: Wanted) -> Judgement:
    size = path.stat().st_size
    facts = Facts(width=720, height=1280, duration_s=5.0, fps=24.0, codec="h264", has_audio=False, size_bytes=size)
    return Judgement(verdict=Verdict.GOOD, facts=facts)


async def film(clip: Clip) -> bytes:
    """A film that says that a model made it, for all but shot 2."""
    filler = box(b"free", random.Random(clip.job_id).randbytes(100))
    return PLAIN + filler + (b"" if "shot-2" in clip.prompt else XMP_BOX)


def test_what_takes_claim_is_told_and_survives_a_lost_ledger(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "app", lambda: App(studio.cloud, film))
    studio.judge = good
    assert studio.doit() == 0
    assert [clip.get("claims") for clip in studio.report()["clips"]] == [CLAIMS, None, CLAIMS]
    page = (studio.outputs / "gallery.html").read_text("utf-8")
    assert page.count('<dt>Claims</dt><dd dir="auto">trainedAlgorithmicMedia (unchecked)</dd>') == 2
    before = studio.disk()
    assert studio.doit() == 0
    assert studio.disk() == before, "a run with nothing to do"
    studio.outputs.joinpath("ledger.db").unlink()
    assert studio.doit("recover") == 0
    assert studio.doit() == 0
    assert [clip.get("claims") for clip in studio.report()["clips"]] == [CLAIMS, None, CLAIMS]
