"""The gallery as text: what is said of each shot, that nothing from outside becomes markup, and when it is current."""

import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from vgen.store.records import Budget
from vgen.views import gallery, gallery_pictures
from vgen.views.gallery import Film, Page, ShotStatus, ShotView, TakeView
from vgen.views.gallery_pictures import PictureView
from vgen.views.report import Gate

SHA = "ab" * 32
OTHER = "cd" * 32
JPEG = b"\xff\xd8\xff\xe0 a frame \xff\xd9"
FILM = Film(path="clips/clip_007.mp4", sha256=SHA, width=720, height=1280, duration_s=4.0, fps=24.0, has_audio=False)
TAKE = TakeView(
    number=1,
    film=replace(FILM, path="takes/ab/2.mp4", sha256=OTHER),
    good=False,
    prompt="a boat",
    reason="wanted 4 s, got 2 s",
    provider="pika",
    price=200_000,
    created_at=1_700_000_000.0,
    command="doit pick shot=7 take=1",
)
SHOT = ShotView(
    number=7,
    prompt="a paper boat",
    status=ShotStatus.GOOD,
    film=FILM,
    take=2,
    provider="runway",
    model="gen4.5",
    price=480_000,
    generation_s=41.26,
    verdict="good",
    takes=[TAKE],
)
PICTURE = PictureView(role="image", words="last frame of shot 3", key=f"take:{SHA}@last", shot=3)
PAGE = Page(
    title="Boat",
    simulated=False,
    shots=[SHOT],
    gates=[Gate(name="success_rate", passed=True, value=1.0, threshold=0.8)],
    budget=Budget(cap=2_000_000, spent=480_000, reserved=33_300, uncertain=360_000),
    film_s=4.0,
)
HOSTILE = "</script><img src=x onerror=alert(1)>\"' {{ 7*7 }} {% raw %} &amp; \u202egnp.exe"


class Reader(HTMLParser):
    """Tags, attributes and text as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: Page, posters: dict[str, bytes] | None = None) -> Reader:
    reader = Reader()
    reader.feed(gallery.render(page, posters))
    reader.close()
    return reader


def said(page: Page) -> str:
    return " ".join(read(page).text.split())


def one(**changed: Any) -> Page:
    return replace(PAGE, shots=[replace(SHOT, **changed)])


# What is said


def test_a_good_shot_is_told_with_its_facts():
    text = said(PAGE)
    for words in ("a paper boat", "runway · gen4.5", "$0.48", "2 · in 41.3 s", "720 × 1280 · 24 fps · 4 s · silent"):
        assert words in text
    assert "1 of 1 clips good · 4 s of film" in text
    assert "with slates" not in text


def test_where_shots_are_missing_the_film_has_two_lengths():
    assert "4 s of film, 12 s with slates" in said(replace(PAGE, slated_s=12.0))


def test_the_head_tells_the_money_to_the_micro_dollar():
    text = said(PAGE)
    for words in ("Spent$0.48", "Reserved$0.0333", "Uncertain$0.36", "Left of $2.00 $1.1267"):
        assert words.replace(" ", "") in text.replace(" ", "")


def test_without_a_cap_none_is_named():
    assert "Capnone" in said(replace(PAGE, budget=Budget(spent=5)))


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (
            Gate(name="success_rate", passed=False, value=2 / 3, threshold=0.8),
            "failed66.7 % of the clips (at least 80 %)",
        ),
        (
            Gate(name="resolution", passed=True, value=720, threshold=720),
            "passed720 px (at least 720 px on the shorter",
        ),
        (Gate(name="resolution", passed=True, value=None, threshold=720), "passedno clip yet (at least 720 px"),
        (Gate(name="budget", passed=True, value=0.48, threshold=2), "passed$0.48 (at most $2.00)"),
        (Gate(name="budget", passed=True, value=0.0333, threshold=None), "passed$0.0333 (no cap)"),
    ],
)
def test_each_gate_says_its_value_and_its_limit(gate, words):
    assert words in said(replace(PAGE, gates=[gate]))


@pytest.mark.parametrize("status", [ShotStatus.FAILED, ShotStatus.HELD, ShotStatus.MISSING, ShotStatus.RUNNING])
def test_a_shot_without_a_clip_stands_in_its_place_with_its_reason(status):
    page = one(status=status, film=None, take=None, takes=(), reason="runway refused the order: too dark")
    text = said(page)
    assert "no clip" in text
    assert f"Shot 7 {status} $0.48 runway refused the order: too dark" in text
    assert read(page).tags.count("video") == 1  # the large view's


def test_a_stale_shot_shows_both_prompts_and_what_changed():
    html = gallery.render(one(status=ShotStatus.STALE, prompt="boat, blue hour", made_from="boat, golden hour"))
    assert "boat, <ins>blue</ins> hour" in html
    assert "boat, <del>golden</del> hour" in html


def test_a_clip_from_the_same_prompt_shows_no_difference():
    assert "<ins>" not in gallery.render(one(made_from=SHOT.prompt))


def test_takes_are_told_with_their_reason_and_the_command_that_picks_them():
    text = said(PAGE)
    for words in (
        "Take 1",
        "rejected",
        "wanted 4 s, got 2 s",
        "$0.20",
        "2023-11-14 22:13 UTC",
        "doit pick shot=7 take=1",
    ):
        assert words in text


def test_a_take_with_a_label_is_called_by_it():
    html = gallery.render(one(takes=[replace(TAKE, label="0a1b2c3d/1")]))
    assert "<h4>Take 0a1b2c3d/1 " in html
    assert 'aria-label="Play shot 7, take 0a1b2c3d/1"' in html


def test_the_only_take_is_not_told_twice():
    assert "details" not in read(one(takes=[replace(TAKE, current=True)])).tags


def test_commands_are_shown_to_copy():
    html = gallery.render(one(commands=["doit clip:7"]))
    assert "<code>doit clip:7</code>" in html
    assert 'aria-label="Copy doit clip:7"' in html


def test_simulated_is_said_in_large_letters_and_in_the_title_only_then():
    assert "no real money spent" in said(replace(PAGE, simulated=True))
    assert "(simulated)" in said(replace(PAGE, simulated=True))
    assert "no real money spent" not in said(PAGE)


def test_an_empty_production_has_a_page():
    assert "0 of 0 clips good" in said(Page(title="", simulated=False, shots=[]))


@pytest.mark.parametrize(("size", "layout"), [((720, 1280), "bin upright"), ((1280, 720), "bin wide")])
def test_the_layout_follows_the_clips(size, layout):
    width, height = size
    page = one(film=replace(FILM, width=width, height=height), takes=())
    assert ("class", layout) in read(page).attributes


def test_the_moneys_bar_never_overflows():
    over = Budget(cap=100, spent=150, uncertain=50)
    widths = [
        float(x) for x in re.findall(r' width="([0-9.]+)%" height="100%"', gallery.render(replace(PAGE, budget=over)))
    ]
    assert sum(widths[1:]) == pytest.approx(100)


def test_words_that_differ_are_marked_on_both_sides():
    old, new = gallery.changes("a red boat sails", "a blue boat sails away")
    assert old == [(False, "a "), (True, "red "), (False, "boat sails")]
    assert new == [(False, "a "), (True, "blue "), (False, "boat sails "), (True, "away")]


@pytest.mark.parametrize(("old", "new"), [("", "a boat"), ("a boat", ""), ("", ""), ("  a\n b ", "a b")])
def test_no_text_is_lost_between_the_marks(old, new):
    was, now = gallery.changes(old, new)
    assert "".join(text for _, text in was) == old.lstrip()
    assert "".join(text for _, text in now) == new.lstrip()


# Nothing from outside becomes markup


def everywhere(text: str) -> Page:
    """A page where each text from outside is `text`."""
    take = replace(TAKE, prompt=text, reason=text, provider=text, model=text, command=text)
    shot = replace(
        SHOT,
        prompt=text,
        made_from=text + " ",
        status=ShotStatus.STALE,
        reason=text,
        provider=text,
        model=text,
        verdict=text,
        takes=[take],
        commands=[text],
        pictures=[
            PictureView(role="image", words=text, key=text, shot=3),
            PictureView(role="end_image", words=text, key=text),
            PictureView(role="references", words=text, url=f"https://{text}/"),
            PictureView(role="references", words=text, url=text),
        ],
    )
    gate = Gate(name=text, passed=False, value=0, threshold=1)
    return Page(
        title=text, simulated=True, shots=[shot, replace(shot, number=8, provider="other")], gates=[gate], notes=[text]
    )


def test_hostile_text_stays_text():
    plain, hostile = read(everywhere("harmless")), read(everywhere(HOSTILE))
    assert hostile.tags == plain.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]
    assert hostile.text.count("onerror=alert(1)") > 10
    assert "{{ 7*7 }}" in hostile.text


@pytest.mark.parametrize("code", [0, 7, 0x1B, 0x7F, 0x9F, 0xD800, 0xDFFF, 0xFFFE])
def test_what_html_cannot_hold_is_replaced(code):
    html = gallery.render(everywhere(f"a{chr(code)}b"))
    assert chr(code) not in html
    assert "a\ufffdb" in html
    html.encode()


def test_a_file_name_cannot_become_an_address_or_a_fragment():
    names = dict.fromkeys(
        value
        for name, value in read(one(film=replace(FILM, path="javascript:a#b?c%20 ü.mp4"))).attributes
        if name == "src"
    )
    assert "javascript%3Aa%23b%3Fc%2520%20%C3%BC.mp4" in names


def test_the_page_asks_for_nothing_but_videos_beside_it():
    reader = read(PAGE, {SHA: JPEG})
    asked = [
        value for name, value in reader.attributes if name in {"src", "href", "poster", "action", "data", "srcset"}
    ]
    assert all(value.startswith(("#", "data:", "clips/", "takes/")) for value in asked)
    assert not re.search(r"@import|url\(", gallery.render(PAGE))


def test_the_policy_allows_this_script_and_this_style_only():
    policy = next(value for name, value in read(PAGE).attributes if name == "content" and "default-src" in value)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules["script-src"])
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules["style-src"])
    reader = read(PAGE)
    assert not [name for name, _ in reader.attributes if name == "style" or name.startswith("on")]


# What a shot is made from


def test_a_thumbnail_is_in_the_page_once_and_can_be_taken_over():
    page = replace(PAGE, shots=[replace(SHOT, number=n, pictures=[PICTURE]) for n in (4, 5)])
    html = gallery.render(page, thumbnails={PICTURE.name: JPEG})
    assert html.count('href="data:image/jpeg') == 1
    assert html.count(f'<use href="#p-{PICTURE.name}"/>') == 2
    assert page.thumbnails == {PICTURE.name: PICTURE}
    assert gallery_pictures.kept(html.splitlines(keepends=True)) == {PICTURE.name: JPEG}
    assert gallery.posters(html.splitlines(keepends=True)) == {}


@pytest.mark.parametrize(
    ("url", "link", "told"),
    [
        ("https://a.example/b/boat.png", "https://a.example/b/boat.png", "a.example/b/boat.png"),
        ("https://a.example/boat.png?key=secret", "", "a.example/boat.png"),
        ("https://me:secret@a.example/boat.png", "", "a.example/boat.png"),
        ("https://[secret", "", "on the web"),
        (f"https://a.example/{'long/' * 30}boat.png", f"https://a.example/{'long/' * 30}boat.png", None),
    ],
)
def test_an_address_is_told_in_short_and_linked_to_if_there_is_nothing_in_it_to_hide(url, link, told):
    one = PictureView(role="references", words=url, url=url)
    assert one.link == link
    assert told is None or one.told == told
    assert len(one.told) <= gallery_pictures.MOST_WORDS


def test_a_link_to_a_picture_on_the_web_asks_for_nothing():
    url = "https://a.example/boat.png"
    reader = read(one(pictures=[PictureView(role="references", words=url, url=url)]))
    assert [name for name, value in reader.attributes if value == url] == ["href"]
    assert "image" not in reader.tags
    assert "img" not in reader.tags


def test_a_frame_leads_to_its_shot_and_says_when_there_is_none_yet():
    page = one(pictures=[replace(PICTURE, key="", waits=True)], leads_to=[9])
    assert "First picture last frame of shot 3, not made yet Leads to shot 9" in said(page)
    assert {("href", "#shot-3"), ("href", "#shot-9")} <= set(read(page).attributes)


# When it is current


def test_the_digest_stands_near_the_beginning():
    html = gallery.render(PAGE)
    assert gallery.stated_digest(html[: gallery.HEAD_CHARS]) == gallery.digest(PAGE)


def test_text_on_the_page_cannot_pose_as_its_digest():
    html = gallery.render(replace(PAGE, title=f'<meta name="vgen-digest" content="{"0" * 64}">'))
    assert gallery.stated_digest(html) not in {None, "0" * 64}


def test_another_file_has_no_digest():
    assert gallery.stated_digest("<html></html>") is None


CHANGES = [
    *(replace(PAGE, **{name: value}) for name, value in {
        "title": "Ship", "simulated": True, "shots": [], "gates": [], "budget": Budget(), "notes": ["one"],
        "film_s": 12.5,
        "slated_s": 13.5,
    }.items()),
    *(one(**{name: value}) for name, value in {
        "number": 8, "prompt": "a ship", "status": ShotStatus.STALE, "reason": "why", "made_from": "a ship",
        "film": replace(FILM, sha256="ef" * 32), "take": 3, "provider": "pika", "model": "gen4", "price": 1,
        "generation_s": 1.0, "verdict": "bad", "claims": "it", "draft": True,
        "locked": True, "note": "slower", "takes": (), "commands": ("doit",),
        "pictures": [PICTURE], "leads_to": [8], "shot_s": 4.0,
    }.items()),
]  # fmt: skip


@pytest.mark.parametrize("changed", CHANGES)
def test_every_change_changes_the_digest(changed):
    assert gallery.digest(changed) != gallery.digest(PAGE)


def test_the_changes_above_are_of_every_field():
    assert len(CHANGES) == len(fields(Page)) + len(fields(ShotView))


def test_equal_pages_are_equal_bytes():
    assert gallery.render(one(prompt="a"), {SHA: JPEG}) == gallery.render(one(prompt="a"), {SHA: JPEG})


# Poster frames


def test_poster_frames_are_inside_the_page_and_can_be_taken_over():
    html = gallery.render(PAGE, {SHA: JPEG, OTHER: JPEG + b"2"})
    assert gallery.posters(html.splitlines(keepends=True)) == {SHA: JPEG, OTHER: JPEG + b"2"}


def test_a_film_without_a_poster_frame_shows_its_first_frame():
    reader = read(PAGE, {OTHER: JPEG})
    assert ("preload", "metadata") in reader.attributes
    assert ("preload", "none") in reader.attributes
    assert gallery.posters(gallery.render(PAGE).splitlines(keepends=True)) == {}


def test_each_film_is_asked_for_once():
    twice = replace(PAGE, shots=[SHOT, replace(SHOT, number=8)])
    assert twice.films == {SHA: FILM, OTHER: TAKE.film}


def test_the_only_take_needs_no_poster_frame_of_its_own():
    assert one(takes=[replace(TAKE, current=True)]).films == {SHA: FILM}


# Keys of the review


def test_a_take_has_its_own_number_as_its_key_where_that_is_plain():
    labels = ["2", "3", "a6c0efe4/1", "", "b7/2"]
    takes = [replace(TAKE, number=7, label=label) for label in labels]
    assert gallery.take_keys(takes) == {0: "2", 1: "3", 2: "1", 3: "7", 4: "4"}
    many = [replace(TAKE, label=f"ab/{number}") for number in range(12)]
    assert list(gallery.take_keys(many).values()) == list("123456789")
