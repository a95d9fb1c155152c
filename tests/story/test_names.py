"""A wrong name, option or value gets vgen's own sentence: what is there, what was meant. Nothing is started."""

import pytest
from studio import Studio

from vgen.cli import names
from vgen.cli.commands import pick

COMMANDS = "`doit help vgen` shows the commands, `doit list --all` the tasks"
WRONG = [
    (("clip:9",), "clip:9: there is no shot 9; the list has 1-3"),
    (("-a", "clip:9"), "clip:9: there is no shot 9; the list has 1-3"),
    (("plan", "clip:9"), "clip:9: there is no shot 9; the list has 1-3"),
    (("clip:02",), "clip:02: there is no such task; the clip of shot 2 is `doit clip:2`"),
    (("shot:2",), "shot:2: there is no such task; the clip of shot 2 is `doit clip:2`"),
    (("2",), "2: there is no such task; the clip of shot 2 is `doit clip:2`"),
    (("outputs/clips/clip_009.mp4",), "outputs/clips/clip_009.mp4: there is no shot 9; the list has 1-3"),
    (("clip_003.mp4",), "clip_003.mp4: there is no such task; the clip of shot 3 is `doit clip:3`"),
    (("clip:1-3",), "clip:1-3: name each clip by its number, as in `doit clip:1 clip:2`; the list has 1-3"),
    (("clip:",), "clip:: name each clip by its number, as in `doit clip:1 clip:2`; the list has 1-3"),
    (("clip:*9",), "clip:*9: matches no task; the list has 1-3, `doit list --all` shows all tasks"),
    (("plans",), f"plans: there is no such command, task or target (did you mean plan?); {COMMANDS}"),
    (("Plan",), f"Plan: there is no such command, task or target (did you mean plan?); {COMMANDS}"),
    (("clips",), f"clips: there is no such command, task or target (did you mean clip?); {COMMANDS}"),
    (("lst",), f"lst: there is no such command, task or target (did you mean list?); {COMMANDS}"),
    (("xyz",), f"xyz: there is no such command, task or target; {COMMANDS}"),
    (("clip:1", "clip:8", "gallry"),
     ("clip:8: there is no shot 8; the list has 1-3\n"
     f"gallry: there is no such command, task or target (did you mean gallery?); {COMMANDS}")),
    (("-a", "clip"),
     ("-a clip: name the clips that are to get a new take, as in `doit -a clip:7`; "
     "`doit clip` builds those that are missing or stale")),
    (("pick", "1", "2"), "`doit pick 1 2`: name what you mean: `doit pick shot=1 take=2`"),
    (("keep", "3"), "`doit keep 3`: name what you mean: `doit keep shot=3`"),
    (("settle", "2", "charged"), "`doit settle 2 charged`: name what you mean: `doit settle shot=2 as=charged`"),
    (("pick", "plan"), "`doit pick` runs alone, as in `doit pick shot=7 take=2`"),
    (("help", "plans"), f"plans: there is no such command, task or target (did you mean plan?); {COMMANDS}"),
    (("help", "clip:9"), "clip:9: there is no shot 9; the list has 1-3"),
    *(((command, "clip:9"), "clip:9: there is no shot 9; the list has 1-3")
      for command in ("info", "list", "clean", "forget", "ignore", "reset-dep")),
    *(((command, "clips"), f"clips: there is no such task (did you mean clip?); {COMMANDS}")
      for command in ("info", "list", "clean", "forget", "ignore", "reset-dep")),
    (("--dry-run",), "option --dry-run not recognized; `doit plan` shows what a run would do"),
    (("-n",), "option -n requires argument; `doit plan` shows what a run would do"),
    (("-x",), "option -x not recognized; `doit help run` shows the options"),
    (("plan", "--help"), "option --help not recognized; `doit help vgen` shows all commands"),
    (("clip:2", "-a"), "option -a not recognized after a task's name; options come first, as in `doit -a clip:2`"),
    (("list", "-z"), "option -z not recognized; `doit help list` shows the options"),
    (("-n", "x"), "num_process: give a whole number"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("args", "sentence"), WRONG, ids=[" ".join(args) for args, _ in WRONG])
def test_a_wrong_name_is_told_with_what_was_meant(
    studio: Studio, capfd: pytest.CaptureFixture[str], args: tuple[str, ...], sentence: str
) -> None:
    assert studio.doit(*args) == 3
    told = capfd.readouterr()
    assert told.err == f"ERROR: {sentence}\n"
    assert "Traceback" not in told.out
    assert studio.creates() == 0


def test_what_is_advised_carries_what_was_typed(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("2", "outputs=b1") == 3
    assert "the clip of shot 2 is `doit clip:2 outputs=b1`" in capfd.readouterr().err


VALUES = [
    ("budget_usd=five", "give a number, such as 5 or 2.50"),
    ("budget_usd=2,50", "give a number, such as 5 or 2.50 (did you mean 2.50?)"),
    ("budget_usd=inf", "give a number, such as 5 or 2.50"),
    ("budget_usd=-1", "must be at least 0"),
    ("partial=ja", "say yes or no"),
    ("mode=simulated", "choose auto, live or simulate (did you mean simulate?)"),
    ("aspect_ratio=16x9", "choose 9:16, 16:9 or 1:1 (did you mean 16:9?)"),
    ("on_uncertain=buy", "choose hold or rebuy (did you mean rebuy?)"),
    ("max_concurrent=0", "must be at least 1"),
    ("max_concurrent=2.5", "give a whole number"),
    ("min_success_rate=2", "must be at most 1"),
    ("clip_timeout_s=0", "must be more than 0"),
    ("outputs=", "must not be empty"),
    ("primary_api=runwy", "no such provider; configured: runway, pika (did you mean runway?)"),
]


@pytest.mark.parametrize(("typed", "sentence"), VALUES, ids=[typed for typed, _ in VALUES])
def test_a_value_that_can_not_be_is_told_with_what_may_be(
    studio: Studio, capfd: pytest.CaptureFixture[str], typed: str, sentence: str
) -> None:
    assert studio.doit("plan", typed) == 3
    assert capfd.readouterr().err == f"ERROR: {typed}: {sentence}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "meant"), [("chargd", "charged"), ("Charged", "charged"), ("not_charged", "not-charged")]
)
def test_a_misspelt_word_is_not_taken_for_a_job_id(
    studio: Studio, capfd: pytest.CaptureFixture[str], word: str, meant: str
) -> None:
    studio.faults("create_lost=~shot-2")
    studio.doit("budget_usd=9", "fallback_api=none")
    before = studio.states()
    capfd.readouterr()
    assert studio.doit("settle", "shot=2", f"as={word}") == 3
    assert f"as={word}: say charged, not-charged, or the id of the job that you found (did you mean {meant}?)" in (
        capfd.readouterr().err
    )
    assert studio.states() == before


def test_a_short_way_to_say_a_command_is_what_its_variables_say() -> None:
    assert names.usage(pick.COMMAND, ["pick", "7"]) == "`doit pick 7`: name what you mean: `doit pick shot=7`"
