"""A headless Chromium that may open files and nothing else, and keeps what the page complained about."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")


def program() -> str | None:
    """The installed Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Witness:
    """What a page asked for and what it complained about."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))

    @property
    def elsewhere(self) -> list[str]:
        """Requests that were neither a file's nor inside the page."""
        return [url for url in self.requests if not url.startswith(("file:", "data:"))]


@contextmanager
def launched() -> Iterator[Any]:
    """A browser; its contexts are the caller's."""
    from playwright.sync_api import sync_playwright

    sandbox = [] if hasattr(os, "geteuid") and os.geteuid() != 0 else ["--no-sandbox"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program(), args=sandbox, timeout=120_000)
        yield browser
        browser.close()
