"""Advice can be pasted: the commands that vgen prints carry the variables that were typed."""

import json
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studio import Studio

from vgen.views.advice import Advice


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("`doit partial=yes` buys what fits", "`doit partial=yes outputs=b1 budget_usd=1` buys what fits"),
        ("`doit budget_usd=2` allows it", "`doit budget_usd=2 outputs=b1` allows it"),
        ("`doit -a clip:2`, or `doit plan`",
         "`doit -a clip:2 outputs=b1 budget_usd=1`, or `doit plan outputs=b1 budget_usd=1`"),
        ("run `doit`", "run `doit outputs=b1 budget_usd=1`"),
        ("`doit help vgen` lists them", "`doit help vgen` lists them"),
        ("nothing to type", "nothing to type"),
    ],
)  # fmt: skip
def test_a_command_gets_what_was_typed_unless_it_says_it_itself(text: str, said: str) -> None:
    assert Advice({"outputs": "b1", "budget_usd": "1"})(text) == said


def test_it_begins_with_the_program_that_was_called() -> None:
    said = Advice({"outputs": "b1"}, "vgen")("`doit -a clip:2`, `doit help vgen`; doit.cfg, `doitall`")
    assert said == "`vgen -a clip:2 outputs=b1`, `vgen help vgen`; doit.cfg, `doitall`"
    assert Advice({"outputs": "b1"}, "vgen")(said) == said


def test_the_password_of_a_proxy_is_in_no_advice() -> None:
    """The gallery has advice to copy, and is handed on."""
    for address, said in (
        ("http://me:p%40s@s@proxy:3128", "http://me:PASSWORD@proxy:3128"),
        ("http://me@proxy:3128", "http://me@proxy:3128"),
        ("http://proxy:3128", "http://proxy:3128"),
    ):
        assert Advice({"proxy": address}).command("doit") == f"doit proxy={said}"


def test_without_variables_nothing_changes() -> None:
    assert Advice()("`doit plan`") == "`doit plan`"


@pytest.mark.slow
@given(st.text(st.characters(blacklist_characters="`", blacklist_categories=("Cs", "Cc")), min_size=1))
def test_a_shell_reads_back_what_was_typed(value: str) -> None:
    words = shlex.split(Advice({"outputs": value}).command("doit plan"))
    assert words == ["doit", "plan", f"outputs={value}"]


@pytest.fixture
def studio(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Studio:
    root = tmp_path_factory.mktemp("project")
    monkeypatch.chdir(root)
    return Studio(root)


def printed(text: str, like: str) -> list[str]:
    """The command in backticks that begins with `like`, as words to type."""
    found = next(command for command in re.findall(r"`(doit[^`]*)`", text) if command.startswith(like))
    return shlex.split(found)[1:]


def test_the_way_out_of_a_refusal_works_on_this_production(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("outputs=b1", "budget_usd=1") == 3
    words = printed(capsys.readouterr().err, "doit partial=yes")
    assert set(words) == {"partial=yes", "outputs=b1", "budget_usd=1"}
    assert studio.doit(*words) == 1
    assert (studio.root / "b1" / "clips" / "clip_001.mp4").exists()
    assert not studio.outputs.exists()


@pytest.mark.slow
def test_report_and_gallery_name_commands_for_this_production(studio: Studio) -> None:
    studio.faults("create_lost=~shot-2")
    studio.doit("outputs=b1", "fallback_api=none", "budget_usd=9", "max_retries=3")
    report = json.loads((studio.root / "b1" / "production_report.json").read_text("utf-8"))
    assert [entry["success"] for entry in report["clips"]] == [True, False, True]
    page = (studio.root / "b1" / "gallery.html").read_text("utf-8")
    assert "doit settle shot=2 as=charged outputs=b1 fallback_api=none budget_usd=9" in page
    assert "max_retries=3" not in page, "that is the default"
