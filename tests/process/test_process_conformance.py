"""The conformance suite, as its users run it: on vgen's own protocols, on the example plug-in, and on broken ones."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import thorough
from workshop import RUN_S, clean_environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider_plugin"
METADATA = "Metadata-Version: 2.1\nName: vgen-acme\nVersion: 0.1\n"
MODELS = {
    "kling": "kling-3.0",
    "pika": "kling/kling-3.0/text-to-video",
    "ark": "dreamina-seedance-2-5-260628",
    "minimax": "MiniMax-H3",
}
POINTS = "[vgen.providers]\nacme = vgen_acme.codec\n"


def installed(home: Path) -> Path:
    """The example as pip lays it out, in a folder that is on the path."""
    shutil.copytree(EXAMPLE / "vgen_acme", home / "vgen_acme")
    info = home / "vgen_acme-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA, "utf-8")
    (info / "entry_points.txt").write_text(POINTS, "utf-8")
    return home / "vgen_acme" / "codec.py"


def conformance(home: Path, *args: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vgen.conformance", *args],
        env=clean_environment() | {"PYTHONPATH": str(home)}, cwd=home, capture_output=True, text=True,
        timeout=3 * RUN_S,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not thorough.ALL, reason="minutes; VGEN_TEST_ALL=1 plays it, and .ci/run and a how-to play acme")
@pytest.mark.parametrize("name", ["runway", "kling", "acme", "pika", "fal", "ark", "minimax"])
def test_a_protocol_keeps_the_money_rules(tmp_path: Path, name: str) -> None:
    installed(tmp_path)
    code, said = conformance(tmp_path, name, "--kills", "2", *(["--model", MODELS[name]] if name in MODELS else []))
    assert code == 0, said
    assert f"{name}: 19 of 19 rules hold" in said


BROKEN = {
    "a fresh key for every request": (
        '("Idempotency-Key", tag)',
        '("Idempotency-Key", __import__("uuid").uuid4().hex)',
        "create() gives another request for the same order and tag",
    ),
    "a gateway's page is a refusal": (
        "    if reason is None or not isinstance(problem, str):",
        """    if reply.status >= 500:
        return Refused(reason=RefusalReason.SERVER_ERROR, message="")
    if reason is None or not isinstance(problem, str):""",
        "is taken for Refused; the job may exist",
    ),
    "any 404 is the vendor's word": (
        'if reply.status == 404 and isinstance(said.get("problem"), str):',
        "if reply.status == 404:",
        "HTTP 404 with b'' is taken for Missing",
    ),
    "the key is in the address": (
        "url=f\"{base_url}/clips/{quote(job.id, safe='')}\"",
        "url=f\"{base_url}/clips/{quote(job.id, safe='')}?key={key}\"",
        "the status call shows the key outside of `auth`",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_codec_that_breaks_a_rule_is_told_which(tmp_path: Path, name: str) -> None:
    codec = installed(tmp_path)
    good, bad, told = BROKEN[name]
    text = codec.read_text("utf-8")
    assert good in text
    codec.write_text(text.replace(good, bad), "utf-8")
    code, said = conformance(tmp_path, "acme")
    assert (code, told in said) == (1, True), said


@pytest.mark.slow
def test_a_vendor_who_charges_otherwise_than_the_codec_reads_is_found(tmp_path: Path) -> None:
    codec = installed(tmp_path)
    text = codec.read_text("utf-8")
    good = 'charged=_micros(said.get("cost_usd"))'
    assert good in text
    codec.write_text(text.replace(good, "charged=1"), "utf-8")
    code, said = conformance(tmp_path, "acme", "--kills", "1")
    assert code == 1
    assert "BROKEN  a good day: what is charged is what is booked" in said
    assert said.endswith("rules hold; the other rules are tried when these hold\n")


@pytest.mark.slow
def test_what_is_not_installed_or_broken_is_one_line(tmp_path: Path) -> None:
    codec = installed(tmp_path)
    code, said = conformance(tmp_path, "acm")
    assert (code, said) == (
        3,
        "vgen.conformance: acm: no such protocol; there are runway, fal, kling, pika, ark, minimax, acme\n",
    )
    text = codec.read_text("utf-8")
    codec.write_text(text.replace("LOST_ORDERS: LostOrders = ", "_LOST = "), "utf-8")
    code, said = conformance(tmp_path, "acme")
    assert (code, said) == (3, "vgen.conformance: acme: vgen_acme.codec: it has no LOST_ORDERS\n")
    codec.write_text(text.replace('keys=("ACME_API_KEY",)', 'keys=("FAL_KEY",)'), "utf-8")
    code, said = conformance(tmp_path, "acme")
    assert (code, said) == (3, "vgen.conformance: acme: vgen_acme.codec: FAL_KEY belongs to fal\n")
    codec.write_text("import nothing_that_exists\n", "utf-8")
    code, said = conformance(tmp_path, "acme")
    assert code == 3
    assert said.startswith("vgen.conformance: acme: vgen_acme.codec can't be loaded: ModuleNotFoundError: ")
    assert said.count("\n") == 1
