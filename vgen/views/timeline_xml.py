"""Final Cut Pro 7's XML of a film, for Premiere and Resolve, through the package otio-fcp-adapter.

The package gets a timeline of this module's own: the first track has the conformed clips, the others the further takes,
switched off; what it would drop (the size, comments, who is enabled) goes in through its metadata. All times are in the
film's one rate: with a start time in another, it would count the sequence in two.
"""

import json
from importlib.metadata import PackageNotFoundError, version
from itertools import zip_longest

from vgen.errors import ToolMissing
from vgen.extras import how_to_install
from vgen.views import timeline_otio as otio
from vgen.views.timeline import Film, Media, Shot, in_xml

EXTRA = "timeline"
PACKAGES = ("opentimelineio", "otio-fcp-adapter")
ADAPTER = "fcp_xml"


def render(film: Film) -> bytes:
    """The file as it is written. Raises ToolMissing."""
    try:
        for name in PACKAGES:
            version(name)
        from opentimelineio import adapters
    except (PackageNotFoundError, ImportError) as exc:
        what = exc.name if isinstance(exc, PackageNotFoundError) else f"opentimelineio ({exc})"
        raise ToolMissing(f"it needs the package {what}; `{how_to_install(EXTRA)}` brings it") from exc
    made = adapters.read_from_string(json.dumps(timeline(film)), "otio_json")
    text: str = adapters.write_to_string(made, ADAPTER)
    return text.encode()


def timeline(film: Film) -> otio.Json:
    """What the package gets."""
    rate = float(film.rate)
    tracks = [otio.track("V1", "Video", [_clip(shot, rate) for shot in film.shots])]
    others = zip_longest(*(_others(shot) for shot in film.shots))
    for number, row in enumerate(others, start=2):
        items = [item for shot, media in zip(film.shots, row, strict=True) for item in _other(shot, media, rate)]
        tracks.append(otio.track(f"V{number}", "Video", items))
    if any(shot.conformed and shot.conformed.has_sound for shot in film.shots):
        tracks.append(otio.track("A1", "Audio", [_sound(shot, rate) for shot in film.shots]))
    missing = [note for at, shot in film.placed() if shot.conformed is None for note in _markers(shot, rate, at=at)]
    title = in_xml(film.title)
    return otio.whole(title, otio.time(film.start, rate), tracks, markers=missing, metadata=_sequence(film))


def _sequence(film: Film) -> otio.Json:
    if film.size is None:
        return {}
    width, height = film.size
    picture = {"width": str(width), "height": str(height), "pixelaspectratio": "square"}
    return {ADAPTER: {"media": {"video": {"format": {"samplecharacteristics": picture}}}}}


def _clip(shot: Shot, rate: float) -> otio.Json:
    if shot.conformed is None:
        return otio.gap(shot.name, shot.frames, rate)
    return _shown(shot, shot.conformed, shot.frames, rate, name=shot.name, enabled=True)


def _sound(shot: Shot, rate: float) -> otio.Json:
    media = shot.conformed
    if media is None or not media.has_sound:
        return otio.gap(shot.name, shot.frames, rate)
    return otio.clip(shot.name, shot.frames, rate, {media.name: otio.reference(media, media.file_url)}, media.name)


def _others(shot: Shot) -> list[Media]:
    """Takes that are not in place. The package can't write one of unknown length."""
    return [media for media in shot.takes if media != shot.active and media.frames and media.rate]


def _other(shot: Shot, media: Media | None, rate: float) -> list[otio.Json]:
    """A further take, and a gap where it is shorter than the shot: what follows keeps its place."""
    if media is None:
        return [otio.gap(shot.name, shot.frames, rate)]
    frames = media.shown(shot.frames, rate)
    made = _shown(shot, media, frames, rate, name=f"{shot.name}, {media.name}", enabled=False)
    return [made, otio.gap(shot.name, shot.frames - frames, rate)] if frames < shot.frames else [made]


def _shown(shot: Shot, media: Media, frames: int, rate: float, *, name: str, enabled: bool) -> otio.Json:
    says: otio.Json = {"enabled": "TRUE" if enabled else "FALSE"}
    if media.facts.get("simulated"):
        says["comments"] = {"mastercomment1": "SIMULATED by vgen"}
    notes = _markers(shot, rate) if enabled else []
    references = {media.name: otio.reference(media, media.file_url)}
    return otio.clip(name, frames, rate, references, media.name, markers=notes, metadata={ADAPTER: says})


def _markers(shot: Shot, rate: float, *, at: int = 0) -> list[otio.Json]:
    """The shot's own, and the user's remark a frame later."""
    found = [(shot.remark, shot.prompt, at, "GREEN" if shot.conformed else "RED")]
    if shot.note:
        found.append((shot.noted, shot.note, at + min(1, shot.frames - 1), "YELLOW"))
    return [
        otio.marker(name, frame, rate, colour, comment="", metadata={ADAPTER: {"comment": in_xml(text)}})
        for name, text, frame, colour in found
    ]
