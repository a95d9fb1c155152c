"""OpenTimelineIO's JSON of a film: every take of a shot is a media reference of one clip. Needs no package.

The schemas are those that opentimelineio 0.17 and 0.18 write (Clip.2, Marker.2): tests read the file with that library
and write it again. Equal films give equal bytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vgen.views.timeline import CONFORMED, Film, Media, Shot

Json = dict[str, Any]


def render(film: Film) -> bytes:
    """The file as it is written."""
    return (json.dumps(timeline(film), ensure_ascii=False, indent=1) + "\n").encode()


def timeline(film: Film) -> Json:
    """A Timeline of one video track, and one of sound if any clip in place has sound."""
    rate = float(film.rate)
    pictures = [item for shot in film.shots for item in _pictures(shot, rate)]
    tracks = [track("V1", "Video", pictures)]
    if any(shot.active and shot.active.has_sound for shot in film.shots):
        tracks.append(track("A1", "Audio", [item for shot in film.shots for item in _sound(shot, rate)]))
    facts = {"simulated": film.simulated}
    return whole(film.title, time(film.start, rate), tracks, metadata={"vgen": facts})


def _pictures(shot: Shot, rate: float) -> list[Json]:
    """A clip, and a gap for the frames that the cut holds where the take is a little short; or a gap for the shot."""
    notes = [_marker(shot, rate), *_note(shot, rate)]
    if shot.active is None:
        return [gap(shot.name, shot.frames, rate, markers=notes, metadata=_facts(shot))]
    shown = shot.active.shown(shot.frames, rate)
    made = clip(shot.name, shown, rate, _references(shot), shot.active.name, markers=notes, metadata=_facts(shot))
    return [made, *_held(shot, shown, rate)]


def _sound(shot: Shot, rate: float) -> list[Json]:
    if shot.active is None or not shot.active.has_sound:
        return [gap(shot.name, shot.frames, rate)]
    shown = shot.active.shown(shot.frames, rate)
    heard = {shot.active.name: reference(shot.active, shot.active.url)}
    return [clip(shot.name, shown, rate, heard, shot.active.name), *_held(shot, shown, rate)]


def _held(shot: Shot, shown: int, rate: float) -> list[Json]:
    return [gap(f"{shot.name}, held", shot.frames - shown, rate)] if shown < shot.frames else []


def _references(shot: Shot) -> Json:
    """All takes, and the conformed clip, by name."""
    found = {media.name: reference(media, media.url) for media in shot.takes}
    if shot.conformed is not None:
        found[CONFORMED] = reference(shot.conformed, shot.conformed.url)
    return found


def _facts(shot: Shot) -> Json:
    caption = {"caption": shot.caption} if shot.caption else {}
    said = ({"note": shot.note} if shot.note else {}) | ({"locked": True} if shot.locked else {})
    return {"vgen": {"shot_number": shot.number, "prompt": shot.prompt, **caption, **said}}


def _marker(shot: Shot, rate: float) -> Json:
    return marker(shot.remark, 0, rate, "GREEN" if shot.active else "RED", comment=shot.prompt)


def _note(shot: Shot, rate: float) -> list[Json]:
    """The user's remark, a frame after the shot's own marker: Resolve keeps one marker a frame."""
    at = min(1, shot.frames - 1)
    return [marker(shot.noted, at, rate, "YELLOW", comment=shot.note)] if shot.note else []


# ── the schemas ───────────────────────────────────────────────────────────────────────────────────────────────────────


def whole(name: str, start: Json, tracks: Sequence[Json], *, markers: Sequence[Json] = (), metadata: Json) -> Json:
    """A Timeline of these tracks, the lowest first."""
    stack = {"OTIO_SCHEMA": "Stack.1", "metadata": {}, "name": "tracks", **_item(None, markers), "children": [*tracks]}
    return {
        "OTIO_SCHEMA": "Timeline.1",
        "metadata": metadata,
        "name": name,
        "global_start_time": start,
        "tracks": stack,
    }


def track(name: str, kind: str, children: Sequence[Json]) -> Json:
    """A Track; `kind`: Video or Audio."""
    head = {"OTIO_SCHEMA": "Track.1", "metadata": {}, "name": name}
    return {**head, **_item(None), "children": [*children], "kind": kind}


def clip(
    name: str, frames: int, rate: float, references: Json, active: str, *, markers: Sequence[Json] = (),
    metadata: Json | None = None,
) -> Json:  # fmt: skip
    """A Clip that shows the first frames of its active reference."""
    head = {"OTIO_SCHEMA": "Clip.2", "metadata": metadata or {}, "name": name}
    media = {"media_references": references, "active_media_reference_key": active}
    return {**head, **_item(span(frames, rate), markers), **media}


def gap(
    name: str, frames: int, rate: float, *, markers: Sequence[Json] = (), metadata: Json | None = None
) -> Json:  # fmt: skip
    """Nothing, for so many frames."""
    return {
        "OTIO_SCHEMA": "Gap.1",
        "metadata": metadata or {},
        "name": name,
        **_item(span(frames, rate), markers),
    }


def reference(media: Media, url: str, metadata: Mapping[str, Any] | None = None) -> Json:
    """A file; what lies beyond the clip's own range are its handles."""
    known = media.frames is not None and media.rate is not None
    return {
        "OTIO_SCHEMA": "ExternalReference.1",
        "metadata": {"vgen": dict(media.facts), **(metadata or {})},
        "name": media.name,
        "available_range": span(media.frames or 0, media.rate or 0) if known else None,
        "available_image_bounds": None,
        "target_url": url,
    }


def marker(name: str, at: int, rate: float, colour: str, *, comment: str, metadata: Json | None = None) -> Json:
    """A Marker on one frame."""
    return {
        "OTIO_SCHEMA": "Marker.2",
        "metadata": metadata or {},
        "name": name,
        "color": colour,
        "marked_range": span(1, rate, at=at),
        "comment": comment,
    }


def span(frames: int, rate: float, *, at: int = 0) -> Json:
    return {"OTIO_SCHEMA": "TimeRange.1", "duration": time(frames, rate), "start_time": time(at, rate)}


def time(frames: int, rate: float) -> Json:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(frames)}


def _item(source_range: Json | None, markers: Sequence[Json] = ()) -> Json:
    return {
        "source_range": source_range,
        "effects": [],
        "markers": [*markers],
        "enabled": True,
        "color": None,
    }
