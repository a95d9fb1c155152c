"""`python -m tests.browser.screenshot [dark|light]` draws the pictures in docs/pictures from a simulated production."""

import contextlib
import io
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import trio
from PIL import Image

from browser.chromium import launched
from browser.production import Production, make
from vgen.review import guard, server
from vgen.review.app import Page, application
from vgen.review.choices import Choice
from vgen.views import gallery, review

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


class Shown:
    """A production as `doit review` shows it; nothing can be chosen."""

    def __init__(self, production: Production) -> None:
        self.production, self.outputs = production, production.outputs

    def state(self) -> int:
        return 0

    def builder(self) -> None:
        return None

    def shots(self) -> Mapping[str, Any]:
        return review.film(self.production.page)

    def page(self, only: frozenset[int] | None) -> Page:
        shown, how = self.production, gallery.Review(digest=review.digest, only=only)
        html = "".join(gallery.pieces(shown.page, shown.posters, shown.thumbnails, review=how))
        return Page(html=html, policy=gallery.policy(review=True))

    def choose(self, choice: Choice) -> None:
        raise AssertionError(choice)


@contextlib.contextmanager
def served(production: Production) -> Iterator[str]:
    """The review of a production; gives its address."""
    listening = server.listen(0)
    app, _ = application(Shown(production))
    guarded = guard.Guard(app=app, port=server.port_of(listening), token=guard.new_token())
    ready, scopes, token = threading.Event(), [], []

    async def main() -> None:
        with trio.CancelScope() as scope:
            scopes.append(scope)
            token.append(trio.lowlevel.current_trio_token())
            ready.set()
            await server.serve(guarded, listening)

    thread = threading.Thread(target=trio.run, args=[main])
    thread.start()
    ready.wait()
    try:
        yield guarded.address
    finally:
        token[0].run_sync_soon(scopes[0].cancel)
        thread.join()


def draw(scheme: str = "dark") -> None:
    """One screen of each page, in 6 bits a channel to stay small."""
    with tempfile.TemporaryDirectory() as name:
        production = trio.run(make, Path(name))
        with served(production) as address, launched() as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 1010}, color_scheme=scheme)
            page.goto(production.write().as_uri())
            keep(page, "gallery.png")
            page.goto(address)
            page.wait_for_function("() => document.querySelector('.stage').dataset.shot === '1'")
            page.locator("#film-at").evaluate("at => { at.value = 12; at.dispatchEvent(new Event('input')); }")
            page.wait_for_function("() => document.querySelector('.stage').dataset.shot === '4'")
            page.locator("#filter").fill("market")
            page.locator("#shot-4 summary").click()
            page.locator("#shot-4").get_by_role("button", name="Use take 3").focus()
            page.locator("#player").evaluate("player => player.scrollIntoView()")
            page.wait_for_timeout(500)
            keep(page, "review.png")


def keep(page: Any, name: str) -> None:
    """What is on the screen."""
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown.point(lambda level: level & 0xFC | level >> 6).save(PICTURES / name, optimize=True)


if __name__ == "__main__":
    draw(*sys.argv[1:])
