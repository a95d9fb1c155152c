"""Shots made from pictures: which ones each provider gets, what they cost, and what is refused before any request."""

import base64
import hashlib
import io
import json
import random
from dataclasses import replace
from typing import Any

import pictured
import pytest
from PIL import Image
from studio import Studio, shots

from vgen.pictures import Accepts
from vgen.providers import minimax

KEYS = {f"{name}_API_KEY": f"{name.lower()}-vgencanary-0123456789abcdef" for name in ("KLING", "ARK", "MINIMAX")}
FILES = {f"{name}.png": pictured.png(colour=name) for name in ("navy", "teal", "olive", "gold", "plum", "red", "gray")}
FIRST, LAST, A, B = "navy.png", "teal.png", "olive.png", "gold.png"
SECTIONS: dict[str, dict[str, Any]] = {"kling": {}, "ark": {}, "minimax": {}}


@pytest.fixture
def film(studio: Studio) -> Studio:
    """One shot of 5 s, and pictures to make it from."""
    studio.environ |= KEYS
    for name, content in FILES.items():
        (studio.root / name).write_bytes(content)
    studio.write_shots(shots(1))
    return studio


def at(section: str) -> tuple[str, ...]:
    return (f"primary_api={section}", "fallback_api=none", "budget_usd=99")


def made_at(film: Studio, section: str, model: str, **pictures: Any) -> dict[str, Any]:
    """The body of the one order for a shot with these pictures."""
    film.configure(**{section: {"model": model}})
    film.change_shot(1, **pictures)
    assert film.doit(*at(section)) == 0
    protocol = "fal" if section == "pika" else section
    [job] = film.cloud.all_jobs(protocol)
    assert film.booked() == (pytest.approx(film.charged()), 0, 0)
    assert film.doit(*at(section)) == 0
    assert film.bought() == 1
    return dict(job.order.body)


def uri(name: str) -> str:
    return f"data:image/png;base64,{base64.b64encode(FILES[name]).decode()}"


def bare(name: str) -> str:
    return base64.b64encode(FILES[name]).decode()


def refused(film: Studio, capfd: pytest.CaptureFixture[str], section: str) -> str:
    capfd.readouterr()
    assert film.doit(*at(section)) == 3
    assert film.requests() == {}
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return said


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_fal_gets_a_first_and_a_last_picture_each_in_the_endpoints_own_field(film: Studio) -> None:
    model = "fal-ai/kling-video/v3/standard/text-to-video"
    body = made_at(film, "pika", model, image=FIRST, end_image=LAST)
    assert (body["start_image_url"], body["end_image_url"]) == (uri(FIRST), uri(LAST))


def test_fal_gets_references_as_a_list(film: Studio) -> None:
    film.configure(pika={"model": "fal-ai/veo3.1/reference-to-video", "cost_per_second_usd": 0.04})
    film.change_shot(1, references=[A, "https://pictures.example/b.png"])
    assert film.doit(*at("pika")) == 0
    [job] = film.cloud.all_jobs("fal")
    assert job.order.body["image_urls"] == [uri(A), "https://pictures.example/b.png"]


@pytest.mark.slow
def test_runway_gets_positions(film: Studio) -> None:
    body = made_at(film, "runway", "veo3.1", image=FIRST, end_image=LAST)
    first, last = {"uri": uri(FIRST), "position": "first"}, {"uri": uri(LAST), "position": "last"}
    assert body["promptImage"] == [first, last]


@pytest.mark.slow
def test_runway_gets_references_and_bills_each_where_each_costs(film: Studio) -> None:
    body = made_at(film, "runway", "grok_imagine_1_5", references=[A, B, LAST])
    assert body["references"] == [{"uri": uri(name)} for name in (A, B, LAST)]
    assert film.booked()[0] == pytest.approx((16 * 5 + 3) / 100)


def test_kling_gets_contents_in_plain_base64_and_a_pair_in_1080p(film: Studio) -> None:
    body = made_at(film, "kling", "kling-2.6", image=FIRST, end_image=LAST)
    assert body["contents"][1:] == [
        {"type": "first_frame", "url": bare(FIRST)},
        {"type": "last_frame", "url": bare(LAST)},
    ]
    assert body["settings"]["resolution"] == "1080p"


def test_klings_omni_gets_references_and_is_told_the_shape(film: Studio) -> None:
    body = made_at(film, "kling", "kling-3.0-omni", references=[A, B])
    assert body["contents"][1:] == [{"type": "refer_image", "url": bare(name)} for name in (A, B)]
    assert body["settings"]["aspect_ratio"] == "9:16"


def test_modelark_gets_roles(film: Studio) -> None:
    body = made_at(film, "ark", "dreamina-seedance-2-5-260628", image=FIRST, end_image=LAST)
    assert [one.get("role") for one in body["content"]] == [None, "first_frame", "last_frame"]
    assert body["ratio"] == "adaptive"


@pytest.mark.slow
def test_minimax_gets_references_and_bills_those_beyond_the_free_ones(film: Studio) -> None:
    body = made_at(film, "minimax", "MiniMax-H3", references=list(FILES))
    assert [one["role"] for one in body["content"][1:]] == ["reference_image"] * 7
    assert body["ratio"] == "9:16"
    assert film.booked()[0] == pytest.approx(5 * 0.08 + 2 * 0.04)


def test_a_picture_within_the_shot_list_is_sent_too_and_moving_it_into_a_file_costs_nothing(film: Studio) -> None:
    body = made_at(film, "runway", "gen4_turbo", image=uri(FIRST))
    assert body["promptImage"] == uri(FIRST)
    film.change_shot(1, image=FIRST)
    assert film.doit(*at("runway")) == 0
    assert film.bought() == 1


@pytest.mark.slow
def test_each_picture_is_part_of_the_recipe(film: Studio) -> None:
    film.configure(runway={"model": "veo3.1"})
    film.change_shot(1, image=FIRST, end_image=LAST)
    assert film.doit(*at("runway")) == 0
    film.change_shot(1, image=FIRST, end_image=A)
    assert film.doit(*at("runway")) == 0
    assert film.bought() == 2
    hashes = ["sha256:" + hashlib.sha256(FILES[name]).hexdigest() for name in (FIRST, A)]
    manifest = dict(json.loads(film.rows()[1]["manifest"]))
    assert [manifest["image"], manifest["end_image"]] == hashes
    film.change_shot(1, image=FIRST, end_image=LAST)
    assert film.doit(*at("runway")) == 0
    assert film.bought() == 2, "the first take comes back"


# ── preparing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "size"), [("crop", (506, 900)), ("pad", (1600, 2844))])
def test_a_picture_of_another_shape_is_made_to_fit_where_the_clip_follows_it(
    film: Studio, capfd: pytest.CaptureFixture[str], fit: str, size: tuple[int, int]
) -> None:
    (film.root / "wide.png").write_bytes(wide := pictured.png((1600, 900)))
    film.configure(pika={"model": "fal-ai/pika/v2.2/image-to-video"})
    film.change_shot(1, image="wide.png")
    assert '"image_fit": "crop" or "pad"' in refused(film, capfd, "pika")
    body = made_at(film, "pika", "fal-ai/pika/v2.2/image-to-video", image_fit=fit)
    sent = Image.open(io.BytesIO(base64.b64decode(body["image_url"].partition(",")[2])))
    assert sent.size == size
    manifest = dict(json.loads(film.rows()[0]["manifest"]))
    assert (manifest["image"], manifest["image_fit"]) == ("sha256:" + hashlib.sha256(wide).hexdigest(), fit)


def test_a_photograph_in_cmyk_that_lies_on_its_side_is_sent_upright_in_rgb(film: Studio) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (film.root / "photo.jpg").write_bytes(pictured.png((1280, 720), (0, 99, 99, 0), "JPEG", mode="CMYK", exif=exif))
    body = made_at(film, "pika", "fal-ai/pika/v2.2/image-to-video", image="photo.jpg")
    sent = Image.open(io.BytesIO(base64.b64decode(body["image_url"].partition(",")[2])))
    assert (sent.size, sent.mode) == ((720, 1280), "RGB")


def test_many_heavy_references_share_what_a_request_may_weigh(film: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minimax, "VENDOR", replace(minimax.VENDOR, accepts=Accepts(most_together=80_000)))
    noise = io.BytesIO()
    Image.frombytes("RGB", (160, 160), random.Random(1).randbytes(160 * 160 * 3)).save(noise, "PNG")
    names = [f"heavy{n}.png" for n in range(4)]
    for n, name in enumerate(names):
        (film.root / name).write_bytes(noise.getvalue() + bytes([n]))
    body = made_at(film, "minimax", "MiniMax-H3", references=names)
    sent = [base64.b64decode(one["image_url"]["url"].partition(",")[2]) for one in body["content"][1:]]
    assert [len(content) <= 20_000 for content in sent] == [True] * 4


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────

NINE = [A] * 10
REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("runway", "gen4_turbo", {"image": FIRST, "end_image": LAST}, "gen4_turbo takes no last picture"),
    ("runway", "veo3.1", {"end_image": LAST}, "a last picture only with a first one"),
    ("runway", "gen4.5", {"references": [A]}, "gen4.5 takes no reference pictures"),
    ("runway", "seedance2", {"references": NINE}, "at most 9 reference pictures, the shot has 10"),
    ("runway", "seedance2", {"image": FIRST, "references": [A]}, "not both"),
    ("runway", "kling_4", {"image": FIRST, "references": NINE}, "at most 10 reference pictures, first and last"),
    ("pika", "fal-ai/pika/v2.2/text-to-video", {"image": FIRST, "end_image": LAST}, "takes no last picture"),
    ("pika", "fal-ai/pika/v2.2/text-to-video", {"references": [A]}, "takes no reference pictures"),
    ("pika", "fal-ai/veo3.1/first-last-frame-to-video", {"image": FIRST}, "give the shot an image and an end_image"),
    ("kling", "kling-3.0-turbo", {"image": FIRST, "end_image": LAST}, "takes no last picture"),
    ("kling", "kling-3.0", {"references": [A]}, "takes no reference pictures"),
    ("kling", "kling-3.0-omni", {"references": [A] * 8}, "at most 7 pictures, the shot has 8"),
    ("ark", "dreamina-seedance-2-0-260128", {"references": NINE}, "at most 9 pictures, the shot has 10"),
    ("minimax", "MiniMax-H3", {"image": FIRST, "references": [A]}, "not both"),
    ("kling", "kling-3.0", {"image": "small.png"}, "at least 300 pixels a side, this one has 200x400 (image)"),
    ("kling", "kling-3.0-omni", {"references": [A, "small.png"]}, "(references[2])"),
    ("runway", "gen4_turbo", {"image": "https://x.example/" + "a" * 2100}, "takes addresses of 2048 characters"),
    ("pika", "fal-ai/kling-video/v3/standard/text-to-video", {"image": FIRST, "end_image": "wide.png"}, "1600x900"),
    ("runway", "gen4_turbo", {"image": "cut.png"}, "shot 1: image: 'cut.png' is cut off or damaged"),
    ("runway", "gen4_turbo", {"image": "clip:2"}, "image: there is no shot 2 in the list"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("section", "model", "pictures", "words"), REFUSED)
def test_what_can_not_be_made_is_refused_with_the_limit_before_any_request(
    film: Studio,
    capfd: pytest.CaptureFixture[str],
    section: str,
    model: str,
    pictures: dict[str, Any],
    words: str,
) -> None:
    noise = io.BytesIO()
    Image.frombytes("RGB", (720, 1280), bytes(range(256)) * 10_800).save(noise, "PNG", compress_level=0)
    (film.root / "wide.png").write_bytes(pictured.png((1600, 900)))
    (film.root / "small.png").write_bytes(pictured.png((200, 400)))
    (film.root / "cut.png").write_bytes(noise.getvalue()[:50_000])
    film.configure(**{section: {"model": model, "cost_per_second_usd": 0.5}})
    film.change_shot(1, **pictures)
    assert words in refused(film, capfd, section)


def test_a_fallback_that_takes_the_pictures_makes_the_shot(film: Studio) -> None:
    film.configure(runway={"model": "gen4_turbo"}, pika={"model": "fal-ai/kling-video/v3/standard/text-to-video"})
    film.change_shot(1, image=FIRST, end_image=LAST)
    assert film.doit("primary_api=runway", "fallback_api=pika", "budget_usd=99") == 0
    assert [row["provider"] for row in film.rows()] == ["pika"]
