"""How the gallery says numbers: gates, lengths, sizes, moments, shares of the money. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from vgen.money import micros, show
from vgen.store.records import Budget
from vgen.views.report import Gate

if TYPE_CHECKING:
    from vgen.views.gallery import Film


def gate(one: Gate) -> str:
    match one.name:
        case "success_rate":
            return f"{_percent(one.value)} of the clips (at least {_percent(one.threshold)})"
        case "resolution":
            least = f"at least {one.threshold} px on the shorter side"
            return f"{one.value} px ({least})" if one.value is not None else f"no clip yet ({least})"
        case "budget":
            limit = "no cap" if one.threshold is None else f"at most {show(micros(one.threshold))}"
            return f"{show(micros(one.value or 0))} ({limit})"
        case _:
            return f"{one.value} ({one.threshold})"


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0.0):.3g} %"


def seconds(amount: float) -> str:
    """`4 s`, `41 s`, `2 min 05 s`."""
    if amount < 60:
        return f"{amount:.3g} s"
    return f"{int(amount) // 60} min {int(amount) % 60:02} s"


def facts(film: "Film") -> str:
    """`720 × 1280 · 24 fps · 4 s · silent`, as far as it is known."""
    said = [
        f"{film.width} × {film.height}" if film.width and film.height else "",
        f"{film.fps:.4g} fps" if film.fps else "",
        seconds(film.duration_s) if film.duration_s else "",
        "" if film.has_audio is None else "sound" if film.has_audio else "silent",
    ]
    return " · ".join(filter(None, said))


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def shares(budget: Budget) -> Iterator[tuple[str, float, float]]:
    """Name, beginning and width in percent of each part of the money's bar."""
    whole = max(budget.cap or 0, budget.exposure, 1)
    at = 0
    for name in ("spent", "reserved", "uncertain"):
        amount = getattr(budget, name)
        yield name, round(100 * at / whole, 3), round(100 * amount / whole, 3)
        at += amount


def src(path: str) -> str:
    """A path under `outputs` as a relative address; a colon or a hash in a name stays part of the name."""
    return quote(path, safe="/")
