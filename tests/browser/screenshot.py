"""`python -m tests.browser.screenshot [dark|light]`: draws docs/pictures/gallery.png from a simulated production."""

import io
import sys
import tempfile
from pathlib import Path

import trio
from PIL import Image

from browser.chromium import launched
from browser.production import make

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "gallery.png"


def draw(picture: Path, scheme: str = "dark", *, width: int = 1200, height: int = 1010) -> None:
    """One screen of the page, in 6 bits a channel to stay small."""
    with tempfile.TemporaryDirectory() as name:
        gallery = trio.run(make, Path(name)).write()
        with launched() as browser:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
            page.goto(gallery.as_uri())
            shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.parent.mkdir(parents=True, exist_ok=True)
    shown.point(lambda level: level & 0xFC | level >> 6).save(picture, optimize=True)


if __name__ == "__main__":
    draw(PICTURE, *sys.argv[1:])
