"""vgen from Python: films built, priced and read, in real processes; the models are those of the schemas."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import vgen
from scripts.manual.pages import ROOT
from vgen import api
from vgen.errors import InputError, Refusal


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A film of two shots, simulated."""
    shutil.copy(ROOT / "dodo.py", tmp_path)
    (tmp_path / "config").mkdir()
    shots = [{"shot_number": n, "duration": 4, "prompt": f"a boat, {n}"} for n in (1, 2)]
    (tmp_path / "config" / "visual_prompts.json").write_text(json.dumps(shots))
    (tmp_path / "config" / "api_config.json").write_text("{}")
    return tmp_path


@pytest.mark.slow
def test_a_film_is_priced_built_and_read(film: Path) -> None:
    plan = api.plan(film, budget_usd=5)
    assert (plan.fits, plan.total_usd, [shot.action for shot in plan.shots]) == (True, 0.96, ["buy", "buy"])
    events: list[Any] = []
    report = api.build(film, ["clip:2"], events.append, budget_usd=5, partial=True)
    assert [clip.success for clip in report.clips] == [False, True]
    assert {"submit", "ready"} <= {event["event"] for event in events}
    assert api.build(film, budget_usd=5).passed
    again = api.report(film)
    assert (again.successful_clips, again.budget.spent_usd) == (2, 0.96)
    assert [shot.action for shot in api.plan(film).shots] == ["keep", "keep"]


@pytest.mark.slow
def test_what_is_refused_is_an_exception_with_a_code(film: Path) -> None:
    with pytest.raises(Refusal) as over:
        api.build(film, budget_usd=0.5)
    assert (over.value.code, "budget" in str(over.value)) == ("over_budget", True)
    with pytest.raises(InputError) as typo:
        api.plan(film, budget_us=5)
    assert "budget_usd" in typo.value.problems[0]
    assert "`vgen help vgen`" in typo.value.problems[0], "it calls vgen, not doit"
    (film / "config" / "visual_prompts.json").write_text('[{"shot_number": 1}, {"shot_number": 2}]')
    with pytest.raises(InputError) as bad:
        api.build(film)
    assert len(bad.value.problems) == 4
    assert not list(film.rglob("*.mp4"))


@pytest.mark.slow
def test_a_film_may_print_what_it_likes(film: Path) -> None:
    with (film / "dodo.py").open("a") as dodo:
        dodo.write('\nimport sys\nprint("hello")\nprint(7)\nsys.stdout.flush()\nsys.stdout.buffer.write(b"\\xff\\n")\n')
    assert api.plan(film).total_usd == 0.96


def test_without_a_report_there_is_none(film: Path) -> None:
    with pytest.raises(InputError, match="there is no report yet"):
        api.report(film)


def test_a_folder_that_is_not_there_and_a_word_for_a_list_are_bad_input(film: Path) -> None:
    for call in (api.plan, api.build):
        with pytest.raises(InputError, match=r"there is no such folder; `vgen init .*nowhere`"):
            call(film / "nowhere")
    with pytest.raises(InputError, match=r"give a list, as in targets=\['clip:2'\]"):
        api.build(film, "clip:2")


@pytest.mark.slow
def test_an_error_of_the_callers_own_ends_the_build_in_peace(film: Path) -> None:
    def stop(event: api.Event) -> None:
        raise ValueError(event["event"])

    with pytest.raises(ValueError, match=r"\w+"):
        api.build(film, on_event=stop, budget_usd=5)
    assert api.build(film, budget_usd=5).passed


SCHEMAS: list[tuple[type[BaseModel], str, tuple[str, ...]]] = [
    (api.Plan, "plan", ()),
    (api.PlannedBudget, "plan", ("properties", "budget")),
    (api.PlannedShot, "plan", ("properties", "shots", "items")),
    (api.PlannedOffer, "plan", ("properties", "shots", "items", "properties", "offers", "items")),
    (api.PlannedTakes, "plan", ("properties", "shots", "items", "properties", "takes")),
    (api.Report, "production_report", ()),
    (api.RunFacts, "production_report", ("properties", "run")),
    (api.Budget, "production_report", ("properties", "budget")),
    (api.Gate, "production_report", ("properties", "gates", "items")),
    (api.Clip, "production_report", ("$defs", "clip")),
    (api.Claims, "production_report", ("$defs", "clip", "properties", "claims")),
]


@pytest.mark.parametrize(("model", "name", "where"), SCHEMAS, ids=lambda value: getattr(value, "__name__", None))
def test_a_model_has_the_keys_of_its_schema(model: type[BaseModel], name: str, where: tuple[str, ...]) -> None:
    schema = json.loads((ROOT / "docs" / "schema" / f"{name}.schema.json").read_text("utf-8"))
    for key in where:
        schema = schema[key]
    assert set(model.model_fields) == set(schema["properties"])
    assert {key for key, field in model.model_fields.items() if field.is_required()} == set(schema.get("required", ()))
    for key, field in model.model_fields.items():
        listed = schema["properties"][key].get("enum")
        if listed is not None:
            assert list(getattr(field.annotation, "__args__", ())) == listed


def test_the_codes_are_those_of_the_schema_and_the_reference() -> None:
    listed = json.loads((ROOT / "docs" / "schema" / "event.schema.json").read_text("utf-8"))["properties"]["code"][
        "enum"
    ]
    page = (ROOT / "docs" / "reference.md").read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in Path(vgen.__file__).parent.rglob("*.py"))
    for code in listed:
        assert f"`{code}`" in page
        assert f'code = "{code}"' in source or f'code="{code}"' in source
