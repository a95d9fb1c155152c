"""What `doit timeline` writes, read by opentimelineio and its adapters: none of them had a hand in .otio and .edl."""

import json
import math
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgen.views import timeline_edl, timeline_otio, timeline_xml
from vgen.views.timeline import Film, Media, Shot

otio = pytest.importorskip("opentimelineio", reason="opentimelineio is not installed")
RATES = [Fraction(24), Fraction(25), Fraction(30), Fraction(30000, 1001)]
HARD = "Bötchen „groß“ <1> & 'zwei'\nzweite Zeile\r\n\"drei\"\x0b\x85\u2028] 船 # 100 %"
"""A name or prompt with all that formats stumble over: quotes, umlauts, every kind of line break, markup."""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("otio_fcp_adapter", reason="otio-fcp-adapter is not installed")


def media(name: str, *, frames: int, rate: float, sound: bool = False) -> Media:
    place = f"t%C3%A4kes/{name}%20%231.mp4"
    return Media(
        name=name, url=place, file_url=f"file:///film/{place}", rate=rate, frames=frames, has_sound=sound,
        facts={"simulated": False},
    )  # fmt: skip


def film(rate: Fraction, *, prompt: str = HARD, title: str = HARD) -> Film:
    """Three shots: one with three takes of several rates and lengths, one missing, one whose take is a little short."""
    takes = [
        media("take 1", frames=121, rate=24),
        media("take 2", frames=150, rate=30),
        media("take ab12cd34/1", frames=round(3 * 24000 / 1001), rate=24000 / 1001),
    ]
    four, three = round(4 * rate), round(3 * rate)
    one = Shot(
        number=1, frames=four, prompt=prompt, caption="Ahoi!", takes=takes, active=takes[1], reel="S001T02",
        conformed=media("clip_001.mp4", frames=four, rate=float(rate), sound=True),
    )  # fmt: skip
    gone = Shot(number=2, frames=three, prompt=prompt)
    short = media("take 1", frames=round(3.6 * rate), rate=float(rate), sound=True)
    made = media("clip_012.mp4", frames=four, rate=float(rate))
    last = Shot(
        number=12, frames=four, prompt=prompt, takes=[short], active=short, conformed=made, reel="S012T01"
    )  # fmt: skip
    return Film(title=title, rate=rate, shots=[one, gone, last], simulated=False, size=(720, 1280))


def read(data: bytes, adapter: str, **options: Any) -> Any:
    return otio.adapters.read_from_string(data.decode(), adapter, **options)


def frames(time: Any) -> int:
    assert math.isclose(time.value, round(time.value), abs_tol=1e-6), time
    return round(time.value)


def placed(track: Any) -> list[tuple[str, int, int, int, int]]:
    """(name, source in, source out, record in, record out) of all clips, in frames."""
    found = []
    for item in track:
        if isinstance(item, otio.schema.Clip):
            at, own = track.range_of_child(item), item.source_range
            ends = (own.start_time, own.end_time_exclusive(), at.start_time, at.end_time_exclusive())
            found.append((item.name, *map(frames, ends)))
    return found


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_the_otio_file_holds_every_take_and_comes_back_equal(rate: Fraction) -> None:
    data = timeline_otio.render(film(rate))
    found = read(data, "otio_json")
    again = otio.adapters.write_to_string(found, "otio_json")
    assert json.loads(again) == json.loads(data), "the library leaves nothing out and adds nothing"
    assert found.is_equivalent_to(otio.adapters.read_from_string(again, "otio_json"))
    assert found.name == HARD
    assert found.global_start_time.to_timecode(float(rate), drop_frame=False) == "01:00:00:00"
    video = found.tracks[0]
    four, three, shown = round(4 * rate), round(3 * rate), round(3.6 * rate)
    assert placed(video) == [
        ("shot 1", 0, four, 0, four),
        ("shot 12", 0, shown, four + three, four + three + shown),
    ]
    assert frames(video.duration()) == 2 * four + three, "what the cut holds is a gap: the end stays where it was"
    first = video[0]
    assert list(first.media_references()) == ["conformed", "take 1", "take 2",
                                              "take ab12cd34/1"]  # fmt: skip
    assert first.active_media_reference_key == "take 2"
    assert frames(first.media_reference.available_range.duration) == 150, "all of the file: its end is a handle"
    assert [(m.name, m.comment) for m in first.markers] == [("shot 1", HARD)]
    assert [(m.name, m.comment, m.color) for m in video[1].markers] == [("shot 2 is missing", HARD, "RED")]
    assert placed(found.tracks[1]) == [("shot 12", 0, shown, four + three, four + three + shown)]


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_the_edit_decision_list_has_the_times_of_the_cut(rate: Fraction) -> None:
    pytest.importorskip("otio_cmx3600_adapter", reason="otio-cmx3600-adapter is not installed")
    data = timeline_edl.render(film(rate))
    found = read(data, "cmx_3600", rate=float(rate))
    flat = " ".join("".join(" " if c in "\n\r\x0b\x85\u2028" else c for c in HARD).split())
    assert found.name == flat, "a line break can't be had in this format; all else stays"
    video = next(track for track in found.tracks if track.kind == "Video")
    four, three = round(4 * rate), round(3 * rate)
    assert placed(video) == [
        ("clip_001.mp4", 0, four, 0, four),
        ("shot 2 is missing", 0, three, four, four + three),
        ("clip_012.mp4", 0, four, four + three, 2 * four + three),
    ]
    assert -frames(video.source_range.start_time) == film(rate).start if video.source_range else True
    assert [clip.media_reference.generator_kind for clip in video if "missing" in clip.name] == ["black"]
    assert [clip.metadata["cmx_3600"]["reel"] for clip in video] == ["S001T02", "BL", "S012T01"]
    assert [[m.name for m in clip.markers] for clip in video] == [["shot 1"], ["shot 2 is missing"], ["shot 12"]]
    assert all(f"COMMENT: {flat}" in clip.metadata["cmx_3600"]["comments"] for clip in video)
    assert len(re.findall(r"^\d", data.decode(), re.MULTILINE)) == 3, "no name adds an event"
    assert "01:00:00:00 01:00:04:00" in data.decode()


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_the_xml_has_the_times_of_the_cut_and_the_other_takes_switched_off(rate: Fraction) -> None:
    data = timeline_xml.render(film(rate))
    found = read(data, "fcp_xml")
    four, three = round(4 * rate), round(3 * rate)
    first, *others, sound = found.tracks
    assert placed(first) == [
        ("shot 1", 0, four, 0, four),
        ("shot 12", 0, four, four + three, 2 * four + three),
    ]
    assert {clip.source_range.start_time.rate for clip in first.find_clips()} == {float(rate)}
    assert [placed(track) for track in others] == [
        [("shot 1, take 1", 0, four, 0, four)],
        [("shot 1, take ab12cd34/1", 0, round(72 / (24000 / 1001) * rate), 0, round(72 / (24000 / 1001) * rate))],
    ]
    assert placed(sound) == [("shot 1", 0, four, 0, four)]
    assert [c.metadata["fcp_xml"]["enabled"] for t in (first, *others) for c in t.find_clips()] == [
        "TRUE", "TRUE", "FALSE", "FALSE",
    ]  # fmt: skip
    assert frames(found.global_start_time) == film(rate).start
    assert found.global_start_time.rate == float(rate)
    text = HARD.replace("\r\n", "\n").replace("\x0b", " ").replace("\x85", " ")
    assert found.name == text
    assert [m.metadata["fcp_xml"]["comment"] for clip in first.find_clips() for m in clip.markers] == [text, text]
    missing = [(m.name, frames(m.marked_range.start_time)) for m in found.tracks.markers]
    assert missing == [("shot 2 is missing", four)]
    assert [unquote(urlsplit(c.media_reference.target_url).path) for c in first.find_clips()] == [
        "/film/täkes/clip_001.mp4 #1.mp4", "/film/täkes/clip_012.mp4 #1.mp4",
    ]  # fmt: skip
    size = found.metadata["fcp_xml"]["media"]["video"]["format"]["samplecharacteristics"]
    assert (size["width"], size["height"]) == ("720", "1280")


@pytest.mark.parametrize("writer", [timeline_otio, timeline_edl, timeline_xml])
def test_equal_films_give_equal_bytes_and_a_film_of_gaps_can_be_read(writer: Any) -> None:
    assert writer.render(film(RATES[0])) == writer.render(film(RATES[0]))
    bare = replace(film(RATES[3]), shots=[Shot(number=7, frames=90, prompt="x")], size=None)
    adapter = {timeline_otio: "otio_json", timeline_edl: "cmx_3600", timeline_xml: "fcp_xml"}[writer]
    if adapter == "cmx_3600":
        pytest.importorskip("otio_cmx3600_adapter", reason="otio-cmx3600-adapter is not installed")
    read(writer.render(bare), adapter)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.text(max_size=60))
def test_any_prompt_and_title_can_be_written_and_read(text: str) -> None:
    pytest.importorskip("otio_cmx3600_adapter", reason="otio-cmx3600-adapter is not installed")
    text = text.replace("\x00", "")
    one = film(RATES[0], prompt=text, title=text)
    exact, listed, xml = (
        read(timeline_otio.render(one), "otio_json"),
        read(timeline_edl.render(one), "cmx_3600", rate=24.0),
        read(timeline_xml.render(one), "fcp_xml"),
    )  # names: what is reached from a value that nobody holds is empty
    assert exact.tracks[0][0].markers[0].comment == text
    assert len(next(track for track in listed.tracks if track.kind == "Video")) == 3
    assert len(list(xml.tracks[0].find_clips())) == 2


def test_a_note_is_a_marker_a_frame_after_the_shots_own() -> None:
    shots = [replace(shot, note=HARD, locked=True) for shot in film(Fraction(24)).shots]
    noted = replace(film(Fraction(24)), shots=shots)
    video = read(timeline_otio.render(noted), "otio_json").tracks[0]
    first, gap = video[0], video[1]
    for item in (first, gap):
        mark = item.markers[1]
        assert (mark.comment, mark.color, frames(mark.marked_range.start_time)) == (HARD, "YELLOW", 1)
    assert (first.metadata["vgen"]["note"], first.metadata["vgen"]["locked"]) == (HARD, True)
    xml = read(timeline_xml.render(noted), "fcp_xml")
    names = [mark.name for clip in xml.tracks[0].find_clips() for mark in clip.markers]
    assert names == ["shot 1", "shot 1, note", "shot 12", "shot 12, note"]
    assert [mark.name for mark in xml.tracks.markers] == ["shot 2 is missing", "shot 2, note"]
    lines = timeline_edl.render(noted).decode().splitlines()
    assert len([line for line in lines if line.startswith("* LOC:") and line.endswith(", note")]) == 3
    assert "* LOC: 01:00:00:01 YELLOW  shot 1, note" in lines
