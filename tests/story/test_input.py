"""Bad input, and the commands that spend nothing."""

import json
from typing import Any

import pytest
from fake_clips import fake_clip
from studio import KEYS, Studio, shots


def outputs(studio: Studio) -> dict[str, tuple[bytes, int]]:
    return {name: state for name, state in studio.disk().items() if name.startswith("outputs")}


def refused(studio: Studio, capfd: pytest.CaptureFixture[str], *args: str) -> str:
    """What is said on stderr when `doit ARGS` is refused with 3, with nothing spent and nothing changed."""
    before, asked = outputs(studio), studio.requests()
    capfd.readouterr()
    assert studio.doit(*args) == 3
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert told.strip()
    assert outputs(studio) == before
    assert studio.requests() == asked
    return told


BAD_SHOTS: list[tuple[Any, tuple[str, ...]]] = [
    ([{"duration": 5, "prompt": "x"}], ("shot_number",)),
    ([{"shot_number": 0, "duration": 5, "prompt": "x"}], ("shot_number", "0")),
    ([{"shot_number": True, "duration": 5, "prompt": "x"}], ("shot_number",)),
    ([{"shot_number": "1", "duration": 5, "prompt": "x"}], ("shot_number",)),
    ([{"shot_number": 1.5, "duration": 5, "prompt": "x"}], ("shot_number", "1.5")),
    ([shots(1)[0], shots(1)[0]], ("shot 1", "shot_number")),
    ([{"shot_number": 7, "duration": -1, "prompt": "x"}], ("shot 7", "duration", "-1")),
    ([{"shot_number": 7, "duration": "5", "prompt": "x"}], ("shot 7", "duration")),
    ([{"shot_number": 7, "prompt": "x"}], ("shot 7", "duration")),
    ([{"shot_number": 7, "duration": 5, "prompt": "  "}], ("shot 7", "prompt")),
    ([{"shot_number": 7, "duration": 5}], ("shot 7", "prompt")),
    ([{"shot_number": 7, "duration": 5, "prompt": ["x"]}], ("shot 7", "prompt")),
    (
        [{"shot_number": 7, "duration": 5, "prompt": "x", "aspect_ratio": "4:3"}],
        ("shot 7", "aspect_ratio", "4:3"),
    ),
    ([{"shot_number": 7, "duration": 5, "prompt": "x", "seed": -1}], ("shot 7", "seed")),
    (
        [{"shot_number": 7, "duration": 5, "prompt": "x", "image": "none.png"}],
        ("shot 7", "image", "none.png"),
    ),
    ([shots(1)[0] | {"aspectRatio": "1:1"}], ("shot 1", "aspectRatio", "did you mean aspect_ratio?")),
    ([shots(1)[0] | {"image_url": "https://x/a.png"}], ("shot 1", "image_url", "did you mean image?")),
    ([shots(1)[0] | {"last_frame": "a.png"}], ("shot 1", "last_frame", "did you mean end_image?")),
    ([shots(1)[0] | {"image": "data:image/png;base64," + "A" * 10**6}], ("shot 1", "no picture that can be read")),
    ([shots(1)[0] | {"image": "data:image/png,A"}], ("shot 1", "data: URI")),
    ([shots(1)[0] | {"references": ["clip:3@first"]}], ("shot 1", "references[1]", "there is no shot 3")),
    ([shots(1)[0] | {"image": "https://x.example/a.png", "image_fit": "crop"}], ("shot 1", "image_fit", "on the web")),
    ([shots(1)[0] | {"takes": 0}], ("shot 1", "takes", "from 1 to 20")),
    ({"aspect_ratio": "1:1", "prompts": shots(1)}, ("aspect_ratio", "defaults")),
    ({"defaults": {"duration": 0}, "prompts": shots(1)}, ("defaults", "duration")),
    (["nothing"], ("entry",)),
    ({"shots": []}, ("list of shots",)),
    (17, ("list of shots",)),
]
BAD_BYTES = [
    b"",
    b"[",
    b'[{"shot_number": 1,}]',
    b"```json\n[]\n```",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'[{"shot_number": NaN}]',
]


@pytest.mark.slow
@pytest.mark.parametrize(("value", "words"), BAD_SHOTS)
def test_bad_shots_are_refused_with_shot_field_and_value(
    studio: Studio, capfd: pytest.CaptureFixture[str], value: Any, words: tuple[str, ...]
) -> None:
    studio.write_shots(value)
    told = refused(studio, capfd)
    for word in words:
        assert word in told
    assert max(map(len, told.splitlines())) < 250


@pytest.mark.slow
@pytest.mark.parametrize("data", BAD_BYTES)
def test_a_file_that_is_no_list_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str], data: bytes) -> None:
    (studio.root / "config" / "visual_prompts.json").write_bytes(data)
    assert "visual_prompts.json" in refused(studio, capfd)


def test_a_missing_file_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    (studio.root / "config" / "visual_prompts.json").unlink()
    assert "visual_prompts=" in refused(studio, capfd)


def test_every_problem_has_its_own_line(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.write_shots(
        [
            {"shot_number": 1, "duration": -5, "prompt": ""},
            {"shot_number": 2, "duration": 5, "prompt": "x"},
            {"shot_number": 2, "duration": 5, "prompt": "x", "seed": "x"},
        ]
    )
    told = refused(studio, capfd).strip().splitlines()
    assert len([line for line in told if "visual_prompts.json" in line]) == 4


@pytest.mark.slow
def test_bad_input_after_a_build_leaves_everything_as_it_is(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.doit()
    studio.write_shots([{"shot_number": 1}])
    refused(studio, capfd)
    studio.write_shots(shots(3))
    assert studio.doit() == 0
    assert studio.bought() == 3


@pytest.mark.slow
def test_a_byte_order_mark_is_accepted(studio: Studio) -> None:
    path = studio.root / "config" / "visual_prompts.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert studio.doit() == 0


UNUSED = "config/visual_prompts.json: shots 1-3: camera_angle is not used"


@pytest.fixture
def foreign(studio: Studio) -> Studio:
    """A studio whose shots have a key that nothing reads."""
    studio.write_shots([shot | {"camera_angle": "low"} for shot in shots(3)])
    return studio


@pytest.mark.slow
def test_a_key_that_nothing_reads_is_told_before_money_is_spent_and_not_when_nothing_is_done(
    foreign: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert foreign.doit() == 0
    told = "".join(capfd.readouterr())
    assert (told.count("camera_angle"), told.index(UNUSED) < told.index("ordering")) == (1, True)
    assert foreign.doit() == 0
    assert "camera_angle" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(("command", "prefix"), [("plan", ""), ("doctor", "note  ")])
def test_a_key_that_nothing_reads_is_told_by_commands_that_look(
    foreign: Studio, capfd: pytest.CaptureFixture[str], command: str, prefix: str
) -> None:
    foreign.environ.clear()
    foreign.doit(command)
    assert capfd.readouterr().out.splitlines().count(prefix + UNUSED) == 1


@pytest.mark.slow
def test_a_list_rewritten_with_defaults_or_as_csv_buys_nothing_again(studio: Studio) -> None:
    whole = [{"shot_number": n, "duration": 5, "prompt": f"shot-{n}, a boat, film noir", "seed": 7} for n in (1, 2)]
    studio.write_shots(whole)
    assert studio.doit() == 0
    defaults = {"duration": 5, "seed": 7, "prompt_suffix": ", film noir"}
    brief = [{"shot_number": n, "prompt": f"shot-{n}, a boat"} for n in (1, 2)]
    studio.write_shots({"defaults": defaults, "prompts": brief})
    assert studio.doit() == 0
    rows = ["shot_number,duration,seed,prompt", *(f'{s["shot_number"]},5,7,"{s["prompt"]}"' for s in whole)]
    (studio.root / "shots.csv").write_text("\n".join(rows))
    assert studio.doit("visual_prompts=shots.csv") == 0
    assert studio.bought() == 2


@pytest.mark.parametrize(
    ("arg", "near"),
    [
        ("budget=3", "budget_usd"),
        ("max_concurent=2", "max_concurrent"),
        ("primary=pika", "primary_api"),
        ("Mode=live", "mode"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(
    studio: Studio, capfd: pytest.CaptureFixture[str], arg: str, near: str
) -> None:
    assert near in refused(studio, capfd, arg)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arg",
    [
        "budget_usd=-1",
        "budget_usd=nan",
        "budget_usd=inf",
        "budget_usd=two",
        "max_concurrent=0",
        "max_retries=1.5",
        "clip_timeout_s=0",
        "mode=real",
        "on_uncertain=maybe",
        "aspect_ratio=2:1",
        "primary_api=sora",
        "partial=perhaps",
        "fallback_api=sora",
        "min_success_rate=2",
        "backoff_base_s=-1",
        "clip_paths=short",
    ],
)
def test_an_impossible_value_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str], arg: str) -> None:
    assert arg.partition("=")[0] in refused(studio, capfd, arg)


@pytest.mark.parametrize("arg", ["shot=2", "take=1", "as=charged"])
def test_a_variable_of_another_command_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str], arg: str) -> None:
    assert arg.partition("=")[0] in refused(studio, capfd, arg)


def test_a_variable_of_the_environment_is_judged_too(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.environ["VGEN_BUDGET_USD"] = "lots"
    assert "VGEN_BUDGET_USD" in refused(studio, capfd)


@pytest.mark.slow
def test_the_command_line_goes_before_the_environment_and_that_before_the_file(studio: Studio) -> None:
    studio.configure(run={"max_concurrent": 1})
    studio.environ["VGEN_MAX_CONCURRENT"] = "2"
    studio.doit()
    assert studio.cloud.charges()["peak_in_flight"]["runway"] == 2
    studio.faults()
    studio.doit("max_concurrent=3", "outputs=other")
    assert studio.cloud.charges()["peak_in_flight"]["runway"] == 3
    studio.lines_of_credit = 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["api_key", "key", "secret", "apiKey"])
def test_a_key_in_the_config_is_refused_and_not_shown(
    studio: Studio, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    studio.configure(runway={name: "hunter2hunter2hunter2"})
    told = refused(studio, capfd)
    assert "hunter2" not in told
    assert "RUNWAY_API_KEY" in told


def test_a_broken_config_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    (studio.root / "config" / "api_config.json").write_text("{")
    assert "api_config.json" in refused(studio, capfd)


def test_live_without_any_key_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.environ.clear()
    assert "RUNWAY_API_KEY" in refused(studio, capfd, "mode=live")


@pytest.mark.slow
def test_live_with_one_key_closes_the_other_provider_with_one_line(studio: Studio) -> None:
    del studio.environ["FAL_KEY"]
    studio.faults("runway.create_moderation=~shot-2")
    assert studio.doit() == 1
    assert studio.successes() == [True, False, True]
    assert not studio.jobs("fal")


# ── commands that spend nothing ───────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_plan_needs_no_key_no_network_and_no_money(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.environ.clear()
    assert studio.doit("plan") == 0
    assert studio.requests() == {}
    told = capfd.readouterr().out
    assert "$1.80" in told


@pytest.mark.slow
def test_the_plan_tells_every_shot_and_its_reason(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.doit()
    studio.change_shot(2, runway_prompt="another boat")
    studio.clip(3).unlink()
    capfd.readouterr()
    asked = studio.requests()
    assert studio.doit("plan") == 0
    plan = json.loads((studio.outputs / "plan.json").read_text("utf-8"))
    assert [shot["action"] for shot in plan["shots"]] == ["keep", "buy", "restore"]
    assert plan["total_usd"] == 0.6
    assert plan["worst_case_usd"] == 2.4
    assert plan["fits"] is False
    assert "another boat" in plan["shots"][1]["why"]
    assert "missing" in plan["shots"][2]["why"]
    assert studio.requests() == asked
    assert studio.doit("plan", "budget_usd=9") == 0


@pytest.mark.slow
def test_the_plan_shows_each_kind_of_shot(studio: Studio) -> None:
    studio.faults("create_lost=~shot-1", "job_stuck=~shot-2", "create_moderation=~shot-3")
    studio.doit()
    studio.doit("plan")
    plan = json.loads((studio.outputs / "plan.json").read_text("utf-8"))
    assert [shot["action"] for shot in plan["shots"]] == ["held", "collect", "stop"]
    assert plan["total_usd"] == 0


@pytest.mark.slow
def test_what_the_plan_says_is_what_the_run_does(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.doit("plan")
    plan = json.loads((studio.outputs / "plan.json").read_text("utf-8"))
    studio.doit()
    assert plan["total_usd"] == studio.charged()


def test_the_plan_of_bad_input_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.write_shots([{"shot_number": 1}])
    refused(studio, capfd, "plan")


@pytest.mark.slow
def test_the_plan_writes_nothing_but_itself(studio: Studio) -> None:
    studio.doit()
    before = outputs(studio)
    studio.doit("plan")
    after = outputs(studio)
    assert set(after) - set(before) == {"outputs/plan.json"}
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_list_and_info_ask_nobody(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.doit("clip:1")
    asked = studio.requests()
    before = outputs(studio)
    assert studio.doit("list", "--all", "--status") == 0
    told = capfd.readouterr().out
    assert "clip:3" in told
    studio.doit("info", "clip:2")
    assert "clip_002.mp4" in capfd.readouterr().out
    assert studio.requests() == asked
    assert outputs(studio) == before


def test_info_of_a_task_that_is_not_there_is_one_line(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("info", "clip:99") == 3
    assert capfd.readouterr().err == "ERROR: clip:99: there is no shot 99; the list has 1-3\n"


def test_list_and_help_work_with_bad_input(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.write_shots([{"shot_number": 1}])
    assert studio.doit("list") == 0
    assert studio.doit("help") == 0
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_clean_takes_clips_and_reports_and_leaves_takes_and_ledger(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.doit()
    capfd.readouterr()
    assert studio.doit("clean") == 0
    said = capfd.readouterr().out
    assert "clip_002.mp4 - removing file" in said
    assert "Python: function" not in said
    assert not any(studio.clip(number).exists() for number in (1, 2, 3))
    assert not (studio.outputs / "clips.json").exists()
    assert not (studio.outputs / "production_report.json").exists()
    assert len(studio.takes()) == 3
    assert studio.booked() == (1.8, 0, 0)
    asked = studio.requests()
    assert studio.doit() == 0
    assert studio.requests() == asked
    assert studio.successes() == [True, True, True]


@pytest.mark.slow
def test_clean_of_one_clip_takes_that_one(studio: Studio) -> None:
    studio.doit()
    assert studio.doit("clean", "clip:2") == 0
    assert [studio.clip(number).exists() for number in (1, 2, 3)] == [True, False, True]


@pytest.mark.slow
def test_a_dry_clean_takes_nothing(studio: Studio) -> None:
    studio.doit()
    before = outputs(studio)
    assert studio.doit("clean", "-n") == 0
    assert outputs(studio) == before


@pytest.mark.slow
def test_clean_leaves_an_edited_clip(studio: Studio) -> None:
    studio.doit()
    edited = fake_clip(width=720, height=1280, duration_s=5)
    studio.clip(2).write_bytes(edited)
    assert studio.doit("clean") == 0
    assert studio.clip(2).read_bytes() == edited
    assert not studio.clip(1).exists()


@pytest.mark.slow
def test_clean_works_with_bad_input(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.doit()
    studio.write_shots([{"shot_number": 1}])
    assert studio.doit("clean") == 0
    assert "Traceback" not in capfd.readouterr().err
    assert len(studio.takes()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("args", [("forget",), ("forget", "clip:2"), ("forget", "--all"), ("reset-dep",)])
def test_what_doit_forgets_costs_nothing(studio: Studio, args: tuple[str, ...]) -> None:
    studio.doit()
    asked = studio.requests()
    studio.doit(*args)
    assert studio.doit() == 0
    assert studio.requests() == asked


@pytest.mark.slow
def test_an_ignored_clip_is_left_out_and_the_report_runs(studio: Studio) -> None:
    assert studio.doit("ignore", "clip:2") == 0
    assert studio.doit() == 1
    assert studio.successes() == [True, False, True]
    assert studio.bought() == 2
    assert studio.doit("forget", "clip:2") == 0
    assert studio.doit() == 0
    assert studio.bought() == 3


def test_an_ignored_clip_needs_no_money(studio: Studio) -> None:
    studio.doit("ignore", "clip:2")
    assert studio.doit("budget_usd=1.20", "min_success_rate=0.6") == 0
    assert studio.bought() == 2


@pytest.mark.slow
def test_continue_and_other_options_of_doit_are_harmless(studio: Studio) -> None:
    assert studio.doit("-c") == 0
    assert studio.doit("-v", "0") == 0
    assert studio.doit("-n", "4") == 0
    assert studio.bought() == 3


@pytest.mark.slow
def test_no_key_is_anywhere_after_many_kinds_of_runs(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.faults("bad_key=first:1", "create_lost=first:1", "job_failed=first:1", "media_cut=first:1")
    for args in [
        (),
        ("plan",),
        ("-a", "clip:1"),
        ("list",),
        ("on_uncertain=rebuy", "budget_usd=9"),
        ("nonsense=1",),
    ]:
        studio.doit(*args)
    told = "".join(capfd.readouterr())
    for key in KEYS.values():
        assert key not in told
    studio.check_secrets()


@pytest.mark.parametrize("command", ["list", "clean"])
def test_doits_other_commands_go_on_with_a_bad_value_and_say_what_is_wrong(
    studio: Studio, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    studio.write_shots(shots(1))
    assert studio.doit(command, "budget_usd=much") == 0
    assert "budget_usd=much: give a number" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["list", "clean", "forget", "info clip:1", "ignore clip:1", "reset-dep"])
@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("otputs=foo", "otputs: unknown variable (did you mean outputs?)"),
        ("slate=yes", "slate: unknown variable (did you mean slates?)"),
        ("shot=1", "shot: belongs to `doit settle`"),
        ("plan=plan.json", "plan: belongs to a build, not to this command"),
    ],
)
def test_doits_other_commands_take_a_runs_variables_only(
    studio: Studio, capfd: pytest.CaptureFixture[str], command: str, variable: str, said: str
) -> None:
    studio.write_shots(shots(1))
    assert studio.doit() == 0
    before = studio.disk()
    assert studio.doit(*command.split(), variable) == 3
    assert said in capfd.readouterr().err
    assert studio.disk() == before


@pytest.mark.parametrize("command", ["models", "learn model=fal-ai/veo3.1/fast"])
def test_a_command_that_bears_bad_input_refuses_words_that_it_does_not_know(
    studio: Studio, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    assert studio.doit(*command.split(), "fnid=pika") == 3
    assert "fnid: unknown variable (did you mean find?)" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["config", ".env"])
def test_clean_with_a_problem_elsewhere_cleans_the_outputs_that_are_named(studio: Studio, place: str) -> None:
    studio.write_shots(shots(1))
    studio.lines_of_credit = 2
    assert studio.doit() == studio.doit("outputs=film") == 0
    if place == "config":
        studio.configure(run={"outputs": "film"}, runway={"timeout_seconds": -1})
    else:
        (studio.root / ".env").write_text("VGEN_OUTPUTS=film\n")
        studio.configure(run={"budget_usd": "x"})
    assert studio.doit("clean") == 0
    assert studio.clip(1).exists()
    assert not list((studio.root / "film").glob("clips/*.mp4"))


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "y/" + "ü" * 130, 7, ""])
@pytest.mark.parametrize("command", ["clean", "list", "doctor", "plan", "report"])
def test_outputs_that_can_be_no_folder_end_in_a_line(
    studio: Studio, capfd: pytest.CaptureFixture[str], name: object, command: str
) -> None:
    studio.configure(run={"outputs": name})
    assert studio.doit(command) == {"clean": 0, "list": 0, "doctor": 1}.get(command, 3)
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert "run.outputs" in said


@pytest.mark.parametrize("problem", ["shots", "variable", "ledger"])
def test_the_status_of_tasks_is_told_with_bad_input_too(
    studio: Studio, capfd: pytest.CaptureFixture[str], problem: str
) -> None:
    assert studio.doit() == 0
    good = (studio.outputs / "ledger.db").read_bytes()
    if problem == "shots":
        studio.write_shots([{"shot_number": 1}])
    if problem == "ledger":
        (studio.outputs / "ledger.db").write_bytes(b"no database" * 900)
    assert studio.doit("list", "--all", "--status", *["budget_usd=x"] * (problem == "variable")) == 0
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert "R clip" in said
    assert studio.doit("info", "clip:1", *["budget_usd=x"] * (problem == "variable")) == 3
    assert "nothing can be said of it before that is put right" in capfd.readouterr().err
    (studio.outputs / "ledger.db").write_bytes(good)
