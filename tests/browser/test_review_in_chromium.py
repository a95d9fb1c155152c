"""`doit review` as Chromium shows it: the film plays, choices reach the disk, what changes elsewhere appears."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import reviewed
from browser.chromium import Witness, launched, program
from browser.reviewed import MISSING, RIVALS, build_at_work, elsewhere, entry, take_in_place

pytest.importorskip("playwright", reason="pip install -e '.[test]' brings the browser's driver")
pytest.importorskip("starlette", reason="pip install -e '.[test]' brings it")
pytestmark = [
    pytest.mark.skipif(program() is None, reason="no Chromium is installed"),
    pytest.mark.slow,
]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reviewed.make(tmp_path_factory.mktemp("review") / "film").root


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with reviewed.review(root) as address:
        yield address


@pytest.fixture(scope="module")
def browser(root: Path) -> Iterator[Any]:  # after the film: the driver's event loop and trio do not mix
    with launched() as browser:
        yield browser


@pytest.fixture
def show(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page, watched: at the end nothing was complained about, and nobody else was asked."""
    contexts: list[Any] = []
    witness = Witness()

    def show(*, width: int = 1200, height: int = 900, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        witness.watch(page)
        page.goto(address)
        page.wait_for_function("() => document.querySelector('.stage').dataset.shot === '1'")
        return page

    yield show
    for context in contexts:
        context.close()
    own = address.partition("?")[0]
    assert [url for url in witness.requests if not url.startswith((own, "data:"))] == []
    left = ("failed: " + own, "error: Failed to load resource: the server responded with a status of 409")
    assert [text for text in witness.complaints if not text.startswith(left)] == []


@pytest.fixture
def page(show: Open) -> Any:
    return show()


def go_to(page: Any, number: int) -> None:
    page.locator(f"#shot-{number}").focus()


def says(page: Any, words: str) -> None:
    page.wait_for_function("words => document.querySelector('#said').textContent.includes(words)", arg=words)


def shows_take(page: Any, take: int, number: int = RIVALS) -> None:
    page.locator(f"#shot-{number} .take.current[data-take='{take}']").wait_for(state="attached")


# The film

WITNESS = """() => {
  const stage = document.querySelector('.stage'), seen = window.seen = [];
  const look = () => {
    const slate = !document.querySelector('.slate').hidden, front = document.querySelector('.stage .front');
    const last = seen.at(-1), shot = +stage.dataset.shot;
    const src = front.currentSrc.split('/').pop().split('?')[0];
    if (last?.shot !== shot) seen.push({ shot, slate, src, silent: front.muted, still: true });
    else if (slate || !front.paused) last.still = false;
    requestAnimationFrame(look);
  };
  look();
}"""


def test_the_film_of_twelve_shots_plays_through_with_sound_and_a_slate(page):
    missing = page.locator(".shot.missing").evaluate_all("shots => shots.map(shot => +shot.dataset.shot)")
    page.evaluate(WITNESS)
    page.get_by_role("button", name="Play the film").click()
    says(page, "The film is over")
    seen = page.evaluate("window.seen")
    assert [one["shot"] for one in seen] == list(range(1, 13))
    assert [one["shot"] for one in seen if one["slate"]] == missing
    assert missing in ([MISSING], []), "another test may have had it made"
    assert all(one["src"] == f"clip_{one['shot']:03}.mp4" for one in seen if not one["slate"])
    assert not any(one["silent"] or one["still"] for one in seen)
    assert page.locator("#film-play").get_attribute("aria-pressed") == "false"
    assert page.locator("#film-at").evaluate("at => at.max - at.value") < 0.2


def test_the_film_goes_where_it_is_sent(page):
    page.locator("#film-at").evaluate("at => { at.value = at.max; at.dispatchEvent(new Event('input')); }")
    page.wait_for_function("() => document.querySelector('.stage').dataset.shot === '12'")
    page.get_by_role("button", name="Previous shot").click()
    page.wait_for_function("() => document.querySelector('.stage').dataset.shot === '11'")
    go_to(page, 3)
    page.keyboard.press("p")
    page.wait_for_function("() => document.querySelector('.stage').dataset.shot === '4'")
    page.keyboard.press("s")
    assert page.evaluate("[...document.querySelectorAll('.stage video')].every(v => v.muted)")
    page.keyboard.press("p")
    page.wait_for_function("() => [...document.querySelectorAll('.stage video')].every(v => v.paused)")


# Choosing


def test_a_take_is_picked_by_key_and_by_click_and_undone(page, root):
    assert take_in_place(root, RIVALS) == 3
    go_to(page, RIVALS - 1)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("id => document.activeElement.id === id", arg=f"shot-{RIVALS}")
    page.keyboard.press("1")
    shows_take(page, 1)
    says(page, f"Shot {RIVALS}: take 1")
    assert take_in_place(root, RIVALS) == 1
    page.wait_for_function("id => document.activeElement.id === id", arg=f"shot-{RIVALS}")
    page.keyboard.press("t")
    page.locator(f"#shot-{RIVALS}").get_by_role("button", name="Use take 2").click()
    shows_take(page, 2)
    says(page, f"Shot {RIVALS}: take 2")
    assert take_in_place(root, RIVALS) == 2
    assert page.locator(f"#shot-{RIVALS} .takes").evaluate("takes => takes.open"), "the row stays open"
    src = page.locator(f"#shot-{RIVALS} > .frame video").get_attribute("src")
    assert src != page.locator(f"#shot-{RIVALS} .take[data-take='3'] video").get_attribute("src")
    page.keyboard.press("u")
    shows_take(page, 1)
    page.get_by_role("button", name="Undo").click()
    shows_take(page, 3)
    assert take_in_place(root, RIVALS) == 3
    assert page.get_by_role("button", name="Undo").is_disabled()
    page.keyboard.press("9")
    says(page, "no take for the key 9")


def test_a_shot_is_locked_and_noted_and_both_are_undone(page, root):
    shot = page.locator("#shot-2")
    go_to(page, 2)
    page.keyboard.press("l")
    shot.get_by_role("button", name="Lock", pressed=True).wait_for()
    says(page, "Shot 2: locked")
    assert entry(root, 2)["locked"]
    page.keyboard.press("n")
    page.get_by_label("What you want to remember").fill("slower: 1 2 3")
    page.keyboard.press("Enter")
    shot.get_by_text("slower: 1 2 3").wait_for()
    says(page, "Shot 2: note saved")
    assert entry(root, 2)["note"] == "slower: 1 2 3"
    page.wait_for_function("() => document.activeElement.id === 'shot-2'")
    page.keyboard.press("u")
    shot.get_by_text("slower: 1 2 3").wait_for(state="detached")
    page.keyboard.press("u")
    shot.get_by_role("button", name="Lock", pressed=False).wait_for()
    says(page, "Shot 2: unlocked")
    assert not {"locked", "note"} & entry(root, 2).keys()
    shot.get_by_role("button", name="Note").click()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="Note on shot 2").is_visible()


def test_while_a_build_works_a_choice_waits_in_sight_and_succeeds_later(page, root):
    go_to(page, RIVALS)
    with build_at_work(root / "outputs") as pid:
        page.keyboard.press("2")
        waiting = page.get_by_role("region", name="Choices that wait")
        waiting.get_by_text(f"Shot {RIVALS}: take 2 waits: another vgen run (process {pid}) works on").wait_for()
        page.get_by_text(f"A build is at work (process {pid})").wait_for()
        assert take_in_place(root, RIVALS) == 3
        page.reload()
        waiting.get_by_text(f"Shot {RIVALS}: take 2 waits").wait_for()
    shows_take(page, 2)
    waiting.wait_for(state="hidden")
    page.locator("#builder").wait_for(state="hidden")
    assert take_in_place(root, RIVALS) == 2
    with build_at_work(root / "outputs"):
        go_to(page, RIVALS)
        page.keyboard.press("3")
        page.get_by_role("button", name=f"Cancel Shot {RIVALS}: take 3").click()
        waiting.wait_for(state="hidden")
    assert elsewhere(root, "pick", f"shot={RIVALS}", "take=3").returncode == 0
    shows_take(page, 3)


def test_what_a_run_in_another_process_makes_appears_by_itself(show, root):
    pages = [show()]
    for _ in range(7):  # more than a browser has connections to one server
        pages.append(pages[0].context.new_page())
        pages[-1].goto(pages[0].url)
    pages = pages[:2] + pages[-1:]
    for page in pages:
        assert page.get_by_role("article", name=f"Shot {MISSING} missing").is_visible()
    assert elsewhere(root, f"clip:{MISSING}").returncode == 0
    for page in pages:
        page.get_by_role("article", name=f"Shot {MISSING} good").wait_for()
        page.get_by_text("12 of 12 clips good").wait_for()
        page.get_by_role("button", name="12 good").wait_for()


# For everybody


def test_the_takes_play_in_step_and_leave_connections_for_a_choice(page):
    go_to(page, RIVALS)
    page.keyboard.press("a")
    row = f"[...document.querySelectorAll('#shot-{RIVALS} .take video')]"
    page.wait_for_function(f"() => {row}.every(v => v.currentTime > 0.1)")
    times = page.evaluate(f"{row}.map(v => v.currentTime)")
    assert len(times) == 3
    page.keyboard.press("a")


def test_on_a_telephone_all_is_reached_by_thumb(show, root):
    page = show(width=390, height=844, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Play the film").tap()
    page.wait_for_function("() => document.querySelector('.stage').dataset.shot === '2'")
    page.get_by_role("button", name="Play the film").tap()
    page.locator(f"#shot-{RIVALS} summary").tap()
    use = page.locator(f"#shot-{RIVALS}").get_by_role("button", name="Use take 1")
    assert use.bounding_box()["height"] >= 44
    use.tap()
    shows_take(page, 1)
    assert take_in_place(root, RIVALS) == 1
    page.get_by_role("button", name="Undo").tap()
    shows_take(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def violations(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1200)])
def test_axe_has_nothing_to_say(show, root, scheme, width):
    pytest.importorskip("axe_playwright_python")
    page = show(width=width, height=6000, color_scheme=scheme, bypass_csp=True)
    page.locator(f"#shot-{RIVALS} summary").click()
    assert violations(page) == []
    with build_at_work(root / "outputs"):
        go_to(page, RIVALS)
        page.keyboard.press("1")
        page.get_by_role("button", name=f"Cancel Shot {RIVALS}: take 1").wait_for()
        assert violations(page) == []
        page.get_by_role("button", name="Cancel Shot").click()
    page.keyboard.press("n")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert violations(page) == []
