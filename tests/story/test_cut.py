"""The words of `doit cut`: what its variables mean, what belongs to it, what an order of sound is instead."""

import pytest
from studio import Studio


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cut", "slates=perhaps"], "slates=perhaps: say yes or no, as in `doit cut slates=yes`"),
        (["cut", "audio=bed.wav"], "audio=bed.wav: no such file; name one, as in `doit cut audio=music.wav`"),
        (["audio=bed.wav"], "audio=bed.wav: say yes or no; a file belongs to `doit cut`"),
        (["plan", "audio=perhaps"], "audio=perhaps: say yes or no; a file belongs to `doit cut`"),
        (["slates=yes"], "slates: belongs to `doit cut`, not to this command"),
    ],
)
def test_a_wrong_word_is_told_in_one_line_and_nothing_begins(
    words: list[str], said: str, studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert studio.doit(*words) == 3
    assert said in capfd.readouterr().err
    assert studio.bought() == 0


def test_yes_and_no_are_the_sound_of_clips_with_cut_too(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("plan", "audio=yes") == 0
    assert studio.doit("-s", "cut", "audio=yes") == 1
    assert "audio=yes" not in capfd.readouterr().err, "there is no clip to join; the words were right"


def test_a_caption_is_no_part_of_what_is_bought(studio: Studio) -> None:
    assert studio.doit() == 0
    bought = studio.bought()
    studio.change_shot(2, caption="Ahoi!")
    assert studio.doit() == 0
    assert studio.bought() == bought


def test_without_any_shot_a_timeline_is_empty(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.write_shots([])
    studio.doit()
    capfd.readouterr()
    assert studio.doit("-s", "timeline") == 0
    assert "0 of 0 shots, 0.000 s" in capfd.readouterr().out
