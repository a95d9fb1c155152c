"""The gallery shows what each shot is made from: thumbnails of our own, drawn once, and no request to anywhere."""

import base64
import io
import re
from decimal import Decimal
from typing import Any

import pictured
import pytest
from PIL import Image
from studio import Studio, frame_picture, shots

from vgen.inputs import images
from vgen.recipe import DRAFT
from vgen.views import gallery, gallery_pictures

WEB = "https://pictures.example/harbour.png?token=secret-of-the-address"
DATA = "data:image/png;base64," + base64.b64encode(pictured.png(colour="olive")).decode()


def page(studio: Studio) -> str:
    return (studio.outputs / "gallery.html").read_text("utf-8")


def card(studio: Studio, shot: int) -> str:
    """What the page says of a shot's pictures, without markup."""
    article = page(studio).partition(f'<article id="shot-{shot}"')[2].partition("</article>")[0]
    chain = article.partition('<dl class="chain">')[2].partition("</dl>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", chain).split())


def thumbnails(studio: Studio) -> dict[str, bytes]:
    return gallery_pictures.kept(page(studio).splitlines(keepends=True))


def colour(thumbnail: bytes) -> tuple[int, ...]:
    with Image.open(io.BytesIO(thumbnail)) as shown:
        assert max(shown.size) <= images.THUMBNAIL_SIDE
        return tuple(shown.convert("RGB").getpixel((5, 5)))  # type: ignore[arg-type]


@pytest.fixture
def film(studio: Studio) -> Studio:
    """A chain of three with a reference for all, and a shot from a picture in the list, and one on the web."""
    (studio.root / "boat.png").write_bytes(pictured.png((1600, 900), "teal"))
    studio.configure(
        runway={"model": "kling_4", "cost_per_second_usd": 0.1}, run={"budget_usd": 40, "fallback_api": "none"}
    )
    made = shots(4)
    for shot in made:
        shot["references"] = ["boat.png"]
    made[1]["image"], made[2]["image"] = "clip:1", "clip:2@2.50"
    made[3] |= {"image": DATA, "end_image": WEB}
    studio.write_shots(made)
    return studio


@pytest.mark.slow
def test_a_chain_is_shown_with_thumbnails_that_are_drawn_once(film: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    small = images.small

    def counted(content: bytes, source: Any) -> bytes:
        drawn.append(source)
        return small(content, source)

    monkeypatch.setattr(images, "small", counted)
    assert film.doit() == 0
    assert card(film, 1) == "Reference pictures boat.png Leads to shot 2"
    assert card(film, 2) == "First picture last frame of shot 1 Reference pictures boat.png Leads to shot 3"
    assert card(film, 3) == "First picture shot 2 at 2.5 s Reference pictures boat.png"
    shown = "First picture in the shot list Last picture pictures.example/harbour.png Reference pictures boat.png"
    assert card(film, 4) == shown
    takes = {row["shot_number"]: row["sha256"] for row in film.rows("SELECT * FROM placed")}
    kept = thumbnails(film)
    assert len(kept) == len(drawn) == 4, "one reference for all, two frames, one picture in the list"
    for identity, png in (
        (f"take:{takes[1]}@last", frame_picture(takes[1], "last")),
        (f"take:{takes[2]}@2.5", frame_picture(takes[2], Decimal("2.50"))),
    ):
        with Image.open(io.BytesIO(png)) as frame:
            assert colour(kept[gallery_pictures.name_of(identity)]) == pytest.approx(frame.getpixel((0, 0)), abs=8)
    html = page(film)
    assert DATA[30:200] not in html
    assert "secret-of-the-address" not in html
    assert html.count("data-picture=") == 4
    assert film.doit() == 0
    assert film.doit("-s", "gallery") == 0
    assert page(film) == html
    assert film.doit("-a", "clip:2") == 0
    assert len(drawn) == 5, "only the frame of the new take"
    assert len(thumbnails(film)) == 4


@pytest.mark.slow
def test_before_anything_is_bought_the_page_says_what_waits_for_what(film: Studio) -> None:
    assert film.doit("clip:1") == 0
    assert "last frame of shot 1 Reference" in card(film, 2)
    assert "shot 2 at 2.5 s, not made yet" in card(film, 3)
    assert 'href="#shot-2"' in page(film)
    assert film.bought() == 1


@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_is_told_in_words(film: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> bytes:
        raise OSError("no room for a picture")

    monkeypatch.setattr(images, "small", broken)
    assert film.doit() == 0
    assert thumbnails(film) == {}
    assert "last frame of shot 1" in card(film, 2)


def test_a_shot_without_pictures_has_no_part_for_them(studio: Studio) -> None:
    studio.write_shots(shots(1))
    assert studio.doit() == 0
    assert 'class="chain"' not in page(studio)


def test_drafts_and_finals_are_told_apart_once_there_are_both(studio: Studio) -> None:
    studio.configure(
        run={"fallback_api": "none", "budget_usd": 20}, runway={"model": "veo3.1", DRAFT: {"model": "veo3.1_fast"}}
    )
    studio.write_shots(shots(2, duration=4))
    assert studio.doit("tier=draft") == 0
    assert page(studio).count('<span class="badge draft">') == 2
    assert '<span class="badge final">' not in page(studio)
    assert studio.doit("clip:1") == 0
    one = page(studio).partition('<article id="shot-1"')[2].partition("</article>")[0]
    assert one.partition("<details")[0].count('<span class="badge final">') == 1
    assert '<span class="badge draft">' in one.partition("<details")[2], "among its takes"
    assert gallery.stated_digest(page(studio)) is not None
