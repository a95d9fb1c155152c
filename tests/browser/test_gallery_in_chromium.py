"""The gallery as Chromium shows it: opened from disk with the network off, played, sifted, read aloud."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from PIL import Image

from browser.chromium import Witness, launched, program
from browser.production import Production, make
from vgen.views import gallery
from vgen.views.gallery import ShotStatus
from vgen.views.gallery_pictures import name_of

pytest.importorskip("playwright", reason="pip install -e '.[test]' brings the browser's driver")
pytestmark = [
    pytest.mark.skipif(program() is None, reason="no Chromium is installed"),
    pytest.mark.slow,
]

Open = Callable[..., Any]
PLAYS = "number => document.querySelector(`#shot-${number} video`).currentTime > 0.2"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Production:
    made = trio.run(make, tmp_path_factory.mktemp("outputs"))
    made.write()
    return made


@pytest.fixture(scope="module")
def browser(production: Production) -> Iterator[Any]:  # after the clips: the driver's event loop and trio do not mix
    with launched() as browser:
        yield browser


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def show(browser: Any, production: Production, witness: Witness) -> Iterator[Open]:
    """Opens a page of the production's directory, watched, offline, with the network's requests refused."""
    contexts: list[Any] = []

    def show(path: Path | None = None, *, width: int = 1200, height: int = 900, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, offline=True, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)
        witness.watch(page)
        page.goto((path or production.outputs / "gallery.html").as_uri())
        return page

    yield show
    for context in contexts:
        context.close()


@pytest.fixture
def page(show: Open) -> Any:
    return show()


def numbers(page: Any) -> list[int]:
    """The shots that are to be seen, in their order."""
    found = page.locator(".shot").evaluate_all("shots => shots.filter(s => s.offsetParent).map(s => s.dataset.shot)")
    return [int(number) for number in found]


def wait_for_focus(page: Any, shot: str) -> None:
    """A dialog gives the focus back when its `close` event comes round, a little after it is gone."""
    page.wait_for_function("id => document.activeElement.id === id", arg=shot)


def errors(witness: Witness) -> list[str]:
    """What was complained about, but for a clip that the mouse left while it was being loaded."""
    return [text for text in witness.complaints if not text.startswith("failed: file:")]


def write(production: Production, name: str, page: gallery.Page, **posters: Any) -> Path:
    path = production.outputs / name
    html = gallery.render(page, posters.get("posters", production.posters), production.thumbnails)
    path.write_text(html, "utf-8")
    return path


# From disk, alone


def test_it_opens_from_disk_and_asks_for_nothing_else(page, witness):
    assert page.title() == "The Paper Boat · gallery (simulated)"
    assert numbers(page) == list(range(1, 13))
    page.wait_for_load_state("networkidle")
    assert [url for url in witness.requests if not url.startswith("data:")] == [page.url]
    assert witness.complaints == []


def test_every_poster_frame_is_shown_and_no_video_is_loaded(page, production):
    seen = page.locator(".frame video").evaluate_all("videos => videos.map(v => [v.readyState, v.poster])")
    assert len(seen) == 9 + 3
    assert {state for state, _ in seen} == {0}
    assert all(poster.startswith("data:image/jpeg;base64,/9j/") for _, poster in seen)


def test_foreign_scripts_styles_and_addresses_are_refused(show, production, witness):
    html = (production.outputs / "gallery.html").read_text("utf-8")
    evil = (
        "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
        "<script src='https://example.invalid/a.js'></script><img src='https://example.invalid/a.png'>"
        "<style>body { display: none }</style><p style='position:fixed'>x</p><base href='https://example.invalid/'>"
        "<video src='https://example.invalid/a.mp4' autoplay></video><iframe src='https://example.invalid/'></iframe>"
    )
    (production.outputs / "evil.html").write_text(html.replace("<main", evil + "<main"), "utf-8")
    page = show(production.outputs / "evil.html")
    page.evaluate("fetch('https://example.invalid/').catch(() => { window.refused = true })")
    page.wait_for_function("() => window.refused")
    assert page.evaluate("window.hacked") is None
    assert page.locator("body").is_visible()
    assert all("Content Security Policy" in text or text.startswith("failed: ") for text in witness.complaints)
    for rule in ("script-src", "style-src", "img-src", "media-src", "connect-src", "base-uri"):
        assert any(rule in text for text in witness.complaints), rule


def test_hostile_text_is_shown_as_text(show, production, witness):
    hostile = "</script><script>window.hacked = 1</script>\"'><img src=x onerror=window.hacked=2>\0 \u202egnp"
    shot = replace(production.page.shots[1], prompt=hostile, made_from=hostile + "!", reason=hostile, provider=hostile)
    page = show(write(production, "hostile.html", replace(production.page, title=hostile, shots=[shot])))
    assert page.evaluate("window.hacked") is None
    assert "<img src=x onerror=window.hacked=2>\ufffd" in page.locator(".prompt").first.inner_text()
    assert "</script><script>" in page.locator("h1").inner_text()
    assert witness.complaints == []


# Playing


def test_hovering_plays_a_clip_and_leaving_it_gives_it_back(page, witness, production):
    page.locator("#shot-3 > .frame").hover()
    page.wait_for_function(PLAYS, arg=3)
    video = page.locator("#shot-3 > .frame video")
    assert video.evaluate("v => [v.muted, v.loop, v.controls]") == [True, True, False]
    page.locator("h1").hover()
    page.wait_for_function("() => document.querySelector('#shot-3 video').readyState === 0")
    asked = {url for url in witness.requests if not url.startswith("data:")}
    assert asked == {page.url, (production.outputs / "clips" / "clip_003.mp4").as_uri()}
    assert witness.complaints == [] or all(text.startswith("failed: file:") for text in witness.complaints)


def test_space_plays_and_pauses_and_one_clip_plays_at_a_time(page):
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.wait_for_function(PLAYS, arg=1)
    assert page.get_by_role("button", name="Play shot 1", exact=True).get_attribute("aria-pressed") == "true"
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.wait_for_function(PLAYS, arg=2)
    playing = "[...document.querySelectorAll('video')].filter(v => !v.paused).length"
    assert page.evaluate(playing) == 1
    page.keyboard.press("Space")
    assert page.evaluate(playing) == 0


def test_a_tap_plays(show):
    page = show(width=360, height=800, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Play shot 1", exact=True).tap()
    page.wait_for_function(PLAYS, arg=1)


def test_with_reduced_motion_only_a_wish_plays(show):
    page = show(reduced_motion="reduce")
    page.locator("#shot-1 > .frame").hover()
    assert page.locator("#shot-1 video").first.evaluate("v => v.paused")
    page.get_by_role("button", name="Play shot 1", exact=True).click()
    page.wait_for_function(PLAYS, arg=1)


def test_enter_opens_a_clip_large_with_its_words_and_escape_brings_back(page):
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Shot 2")
    page.wait_for_function("() => document.querySelector('#screen').currentTime > 0.2")
    assert "golden" in dialog.inner_text()
    page.keyboard.press("j")
    page.get_by_role("dialog", name="Shot 3").wait_for()
    page.keyboard.press("Escape")
    wait_for_focus(page, "shot-3")
    assert page.locator("#screen").get_attribute("src") is None


def test_a_clip_that_is_gone_says_so(show, production):
    first = production.page.shots[0]
    lost = replace(first, film=replace(first.film, path="clips/gone.mp4"))
    page = show(write(production, "gone.html", replace(production.page, shots=[lost])))
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.locator("#shot-1 > .frame[data-fault*='is its file still there?']").wait_for()
    assert "cannot be played" in page.locator("#told").inner_text()
    assert page.get_by_role("button", name="Play shot 1", exact=True).get_attribute("aria-pressed") == "false"


def test_without_a_poster_frame_the_clip_shows_its_first_frame(show, production, witness):
    page = show(write(production, "bare.html", production.page, posters={}))
    page.wait_for_function("() => document.querySelector('#shot-1 video').readyState > 0")
    assert witness.elsewhere == []


# What it says


def test_a_failed_shot_stands_in_its_place_with_its_reason(page):
    shot = page.get_by_role("article", name="Shot 5 failed")
    assert "flagged by moderation" in shot.inner_text()
    assert shot.locator("video").count() == 0


def test_a_held_shot_says_what_to_type(page, show, production):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy doit settle shot=6 as=charged").click()
    page.get_by_text("Copied doit settle shot=6 as=charged").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == "doit settle shot=6 as=charged"


def test_takes_lie_side_by_side(page):
    page.locator("#shot-4 summary").click()
    boxes = [box.bounding_box() for box in page.locator("#shot-4 .take .frame").all()]
    assert len(boxes) == 3
    assert len({round(box["y"]) for box in boxes}) == 1
    page.get_by_role("button", name="Play shot 4, take 3").click()
    page.wait_for_function("() => document.querySelectorAll('#shot-4 .take video')[2].currentTime > 0.2")
    assert page.get_by_role("button", name="Copy doit pick shot=4 take=3").is_visible()


ROW = "[...document.querySelectorAll('#shot-4 .take video')]"
IN_STEP = f"""() => {{
  const videos = {ROW}, times = videos.map(v => v.currentTime), least = Math.min(...times);
  return videos.every(v => !v.paused && v.muted) && least > 0.2 && Math.max(...times) - least < 0.2;
}}"""
AT_REST = f"() => {ROW}.every(v => v.paused)"


def test_the_takes_of_a_shot_play_together_and_pause_where_they_are(page, witness):
    page.locator("#shot-4 summary").click()
    button = page.get_by_role("button", name="Play the takes of shot 4 together")
    button.click()
    page.wait_for_function(IN_STEP)
    page.locator("#shot-3 > .frame").hover()
    assert page.locator("#shot-3 video").first.evaluate("v => v.paused"), "the mouse on its way disturbs nothing"
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.evaluate(AT_REST)
    times = page.evaluate(f"{ROW}.map(v => v.currentTime)")
    assert max(times) - min(times) < 0.1
    assert min(times) > 0, "they keep their place"
    button.click()
    page.wait_for_function(IN_STEP)
    page.get_by_role("button", name="Play shot 4, take 3").click()
    page.wait_for_function(f"() => {ROW}.map(v => v.paused).join() === 'true,true,false'")
    assert button.get_attribute("aria-pressed") == "false"
    assert witness.elsewhere == []
    assert errors(witness) == []


def test_a_key_opens_the_takes_and_plays_and_pauses_them(page):
    page.locator("#shot-4").focus()
    page.keyboard.press("a")
    page.wait_for_function(IN_STEP)
    page.keyboard.press("a")
    assert page.evaluate(AT_REST)
    page.keyboard.press("a")
    page.wait_for_function(IN_STEP)
    page.keyboard.press("t")
    page.wait_for_function(AT_REST)
    assert not page.locator("#shot-4 .takes").evaluate("takes => takes.open")
    page.locator("#shot-1").focus()
    page.keyboard.press("a")
    assert page.evaluate(AT_REST), "a shot of one take has no row"


def test_a_take_that_is_gone_leaves_the_others_playing(show, production):
    fourth = production.page.shots[3]
    lost = replace(fourth.takes[0], film=replace(fourth.takes[0].film, path="takes/gone.mp4"))
    shot = replace(fourth, takes=[lost, *fourth.takes[1:]])
    page = show(write(production, "lost.html", replace(production.page, shots=[shot])))
    page.locator("#shot-4").focus()
    page.keyboard.press("a")
    page.locator("#shot-4 .take .frame[data-fault*='is its file still there?']").wait_for()
    page.wait_for_function(f"() => {ROW}.slice(1).every(v => !v.paused && v.currentTime > 0.2)")


def test_on_a_telephone_the_row_of_takes_scrolls_by_itself(show):
    page = show(width=360, height=800, has_touch=True, is_mobile=True)
    page.locator("#shot-4 summary").tap()
    tops = [round(box.bounding_box()["y"]) for box in page.locator("#shot-4 .take .frame").all()]
    assert len(set(tops)) == 1
    row = page.locator("#shot-4 .takes ol")
    assert row.evaluate("row => row.scrollWidth > row.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="Play the takes of shot 4 together").tap()
    page.wait_for_function(IN_STEP)


# Chains


def test_a_shot_shows_what_it_is_made_from_and_leads_there(page, witness):
    shot = page.get_by_role("article", name="Shot 8 good")
    assert "last frame of shot 7" in shot.inner_text()
    seen = shot.locator(".thumb").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert len(seen) == 2
    assert min(seen) > 40
    assert page.locator("symbol image").count() == 4, "each picture is in the page once"
    page.locator("#filter").fill("heron")
    assert numbers(page) == [8]
    shot.get_by_role("link", name="last frame of shot 7").click()
    wait_for_focus(page, "shot-7")
    page.get_by_role("article", name="Shot 7 good").get_by_role("link", name="shot 8").click()
    wait_for_focus(page, "shot-8")
    assert witness.elsewhere == []
    assert errors(witness) == []


def test_a_thumbnail_has_the_colours_of_its_picture(show, production):
    page = show()
    shot = page.locator("#shot-8 .thumb").first
    shot.scroll_into_view_if_needed()
    drawn = Image.open(io.BytesIO(shot.screenshot())).convert("RGB")
    kept = Image.open(io.BytesIO(production.thumbnails[name_of("take:7@last")])).convert("RGB")
    middle = drawn.getpixel((drawn.width // 2, drawn.height // 4))
    assert middle == pytest.approx(kept.getpixel((kept.width // 2, kept.height // 4)), abs=24)


def test_a_picture_on_the_web_and_a_frame_that_is_not_there_yet_are_told_in_words(page, witness):
    shot = page.get_by_role("article", name="Shot 11 good")
    link = shot.get_by_role("link", name="pictures.example/storm/sunrise.jpg")
    assert link.get_attribute("href") == "https://pictures.example/storm/sunrise.jpg"
    assert shot.get_by_role("link", name="last frame of shot 10, not made yet").count() == 1
    assert shot.locator(".thumb").count() == 1, "the reference"
    assert witness.elsewhere == []


# Sifting and sorting


def test_states_sift(page):
    page.get_by_role("button", name="1 failed").click()
    assert numbers(page) == [5]
    page.get_by_role("button", name="1 held").click()
    assert numbers(page) == [5, 6]
    page.get_by_role("button", name="1 failed").click()
    page.get_by_role("button", name="1 held").click()
    assert len(numbers(page)) == 12


def test_text_and_provider_sift_together(page):
    page.keyboard.press("/")
    page.keyboard.type("BOAT harbour")
    assert numbers(page) == [7, 10]
    page.get_by_label("Provider").select_option("pika")
    assert numbers(page) == [7]
    assert page.locator("#told").inner_text() == "1 of 12 shots"
    page.keyboard.press("Escape")
    page.locator("#filter").fill("no such words")
    assert numbers(page) == []
    page.get_by_role("button", name="Show all shots").click()
    assert len(numbers(page)) == 12


def test_it_sorts_by_price_time_state_and_back(page, production):
    shots = production.page.shots
    order = page.get_by_label("Sort by")
    ranks = list(ShotStatus)
    for choice, key in {
        "price": lambda shot: -(shot.price or 0),
        "time": lambda shot: -(shot.generation_s or 0),
        "status": lambda shot: -ranks.index(shot.status),
        "shot": lambda shot: shot.number,
    }.items():
        order.select_option(choice)
        assert numbers(page) == [shot.number for shot in sorted(shots, key=key)]


def test_the_timeline_leads_to_a_shot_also_to_one_that_is_sifted_out(page):
    page.get_by_role("button", name="1 failed").click()
    page.get_by_role("navigation", name="Timeline").get_by_role("link", name="Shot 12, good").click()
    wait_for_focus(page, "shot-12")
    assert len(numbers(page)) == 12


# Keys


def test_keys_move_between_shots(page):
    for key, shot in (
        ("j", 1),
        ("j", 2),
        ("k", 1),
        ("ArrowRight", 2),
        ("ArrowDown", 5),
        ("ArrowUp", 2),
        ("ArrowLeft", 1),
    ):
        page.keyboard.press(key)
        wait_for_focus(page, f"shot-{shot}")


def test_keys_pass_over_shots_that_are_sifted_out(page):
    page.get_by_role("button", name="1 failed").click()
    page.get_by_role("button", name="1 running").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    wait_for_focus(page, "shot-10")


def test_letters_typed_into_the_filter_are_only_letters(page):
    page.keyboard.press("/")
    page.keyboard.type("j?k/")
    assert page.locator("#filter").input_value() == "j?k/"
    assert not page.locator("#help").is_visible()


def test_the_question_mark_shows_the_keys(page):
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


# For everybody


def violations(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_has_nothing_to_say(show, scheme, width):
    pytest.importorskip("axe_playwright_python")
    page = show(width=width, height=6000, color_scheme=scheme)
    page.locator("#shot-4 summary").click()
    page.get_by_role("button", name="1 stale").click()
    page.get_by_role("button", name="1 stale").click()
    assert violations(page) == []
    page.get_by_role("button", name="1 failed").click()
    assert violations(page) == []
    page.keyboard.press("?")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#all").evaluate("button => button.click()")
    page.locator("#shot-2").focus()
    page.keyboard.press("Enter")
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 360, 700, 1920])
def test_nothing_sticks_out_sideways(show, width):
    page = show(width=width)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_all_is_told_and_playable(show):
    page = show(java_script_enabled=False)
    assert page.get_by_role("article").count() == 12
    assert page.locator("#shot-1 > .frame video").get_attribute("controls") is not None
    assert not page.get_by_role("button", name="Play shot 1", exact=True).is_visible()


def test_sixty_shots(show, browser, production):
    twelve = production.page.shots
    sixty = [replace(twelve[n % 12], number=n + 1) for n in range(60)]
    page = show(write(production, "sixty.html", replace(production.page, shots=sixty)))
    assert numbers(page) == list(range(1, 61))
    assert (production.outputs / "sixty.html").stat().st_size < 2_000_000
    for number in range(1, 61):
        page.keyboard.press("j")
        page.keyboard.press("Space")
        wait_for_focus(page, f"shot-{number}")
    loaded = "[...document.querySelectorAll('.frame video')].filter(v => v.readyState).length"
    assert page.evaluate(loaded) <= 1
