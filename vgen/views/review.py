"""The film as JSON for the review's page and for programs. Pure; addresses are relative to the page's."""

import hashlib
from dataclasses import replace
from typing import Any

from vgen.views import gallery, gallery_words
from vgen.views.gallery import Film, Page, ShotView


def digest(shot: ShotView) -> str:
    """Changes with everything that the page says of a shot."""
    return hashlib.sha256(repr(shot).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def address(film: Film) -> str:
    """Where the page gets a file; another file of the same name has another one."""
    return f"{gallery_words.src(film.path)}?v={film.sha256[:16]}"


def film(page: Page) -> dict[str, Any]:
    """The whole film. Lengths in seconds: `film_s` of the cut, `shot_s` of a shot, `duration_s` of a file."""
    return {
        "title": page.title,
        "simulated": page.simulated,
        "film_s": page.film_s,
        "head": hashlib.sha256(repr(replace(page, shots=())).encode()).hexdigest()[:16],
        "shots": [_shot(shot) for shot in page.shots],
    }


def _shot(shot: ShotView) -> dict[str, Any]:
    keys = gallery.take_keys(shot.takes)
    return {
        "shot": shot.number,
        "status": shot.status.value,
        "reason": shot.reason or None,
        "prompt": shot.prompt,
        "locked": shot.locked,
        "note": shot.note,
        "draft": shot.draft,
        "shot_s": shot.shot_s,
        "clip": _file(shot.film) if shot.film else None,
        "take": next((take.label or str(take.number) for take in shot.takes if take.current), None),
        "takes": [
            {
                "take": take.label or str(take.number),
                "key": keys.get(at),
                "good": take.good,
                "current": take.current,
                "draft": take.draft,
                "reason": take.reason or None,
                **_file(take.film),
            }
            for at, take in enumerate(shot.takes)
        ],
        "digest": digest(shot),
    }


def _file(film: Film) -> dict[str, Any]:
    return {
        "src": address(film),
        "duration_s": film.duration_s,
        "width": film.width,
        "height": film.height,
        "has_audio": film.has_audio,
    }
