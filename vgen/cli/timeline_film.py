"""A production's clips and takes as the film of a timeline."""

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

from vgen import recipe
from vgen.cli.commands import conform
from vgen.media import length
from vgen.media.conform_record import Entry, in_place
from vgen.plan import takes
from vgen.plan.decision import File
from vgen.plan.step import Step
from vgen.plan.takes import Alternative
from vgen.production.workspace import View, Workspace
from vgen.store.outputs import Outputs, clip_name
from vgen.views.timeline import Film, Media, Shot

RATE_WITHIN = 0.002
"""A file's pictures a second differ from a standard rate by this share at most: headers round."""


def gather(workspace: Workspace, view: View) -> Film:
    """The film as it is now: the clips in place, as long as the cut has them, and a gap for every other shot."""
    run, outputs = workspace.ready.run, workspace.outputs
    everything = list(takes.of_all(view.plan, view.snapshot))
    entries = in_place(outputs.conformed, [step.number for step in view.plan.steps])
    form = conform.form_of(entries.values(), run.aspect_ratio)
    known = (one.take.fps for _, alternatives in everything for one in alternatives if one.in_place and one.take.fps)
    rate = form.fps if form else length.common_rate(known)
    desk = _Desk(outputs=outputs, entries=entries, rate=rate, absolute=run.clip_paths == "absolute")
    return Film(
        title=os.fsencode(workspace.root.resolve().name).decode("utf-8", "replace"),
        rate=rate,
        shots=[desk.shot(step, alternatives) for step, alternatives in everything],
        simulated=workspace.ready.simulated,
        size=(form.width, form.height) if form else None,
    )


class _Desk:
    """Where shots become those of a timeline."""

    def __init__(self, *, outputs: Outputs, entries: Mapping[int, Entry], rate: Fraction, absolute: bool) -> None:
        self.outputs, self.entries, self.rate, self.absolute = outputs, entries, rate, absolute

    def shot(self, step: Step, alternatives: Sequence[Alternative]) -> Shot:
        """`alternatives`: all its takes, those that were rejected included."""
        good = {one.label: self._take(one) for one in alternatives if one.take.good and self._is_there(one)}
        mine = next((one for one in alternatives if one.in_place), None)
        active = self._active(step, mine, good)
        found = list(good.values())
        if active is not None and active not in found:
            found.append(active)
        return Shot(
            number=step.number,
            frames=self._frames(step, active),
            prompt=_prompt(step, mine),
            caption=step.request.shot.caption or "",
            note=step.note,
            locked=step.locked,
            takes=found,
            active=active,
            conformed=self._conformed(step.number, active),
            reel=f"S{step.number:03d}" + (f"T{mine.take.take:02d}" if mine and step.file is File.INTACT else "EDIT"),
        )

    def _is_there(self, one: Alternative) -> bool:
        return (self.outputs.root / one.take.path).is_file()

    def _active(self, step: Step, mine: Alternative | None, good: Mapping[str, Media]) -> Media | None:
        """The file in place: as a rule a copy of its take, which is shown in its place."""
        if step.file not in (File.INTACT, File.EDITED):
            return None
        if mine is not None and step.file is File.INTACT and mine.label in good:
            return good[mine.label]
        entry = self.entries.get(step.number)
        length_s, fps = (entry.facts.duration_s, entry.facts.fps) if entry else (None, None)
        edited = step.file is File.EDITED
        return self._media(
            "edited" if edited else "clip",
            self.outputs.clip(step.number),
            length_s,
            fps,
            has_sound=bool(entry and entry.facts.has_audio),
            facts={"edited": edited, "simulated": bool(mine and mine.take.simulated and not edited)},
        )

    def _take(self, one: Alternative) -> Media:
        take, row = one.take, one.row
        facts = {
            "take": take.take,
            "recipe": row.recipe,
            "provider": row.provider,
            "model": row.model,
            "simulated": take.simulated,
            "draft": recipe.is_draft(row.manifest),
            "present_prompt": one.fits,
            "prompt": dict(row.manifest).get("prompt", ""),
            "sha256": take.sha256,
            "remarks": list(take.remarks),
        }
        path, sound = self.outputs.root / take.path, bool(take.has_audio)
        return self._media(f"take {one.label}", path, take.duration_s, take.fps, has_sound=sound, facts=facts)

    def _conformed(self, number: int, active: Media | None) -> Media | None:
        entry = self.entries.get(number)
        if entry is None or active is None:
            return None
        return self._media(
            clip_name(number),
            self.outputs.conformed / clip_name(number),
            entry.duration_s,
            float(self.rate),
            has_sound=entry.facts.has_audio,
            facts={"simulated": bool(active.facts["simulated"])},
        )

    def _media(
        self, name: str, path: Path, length_s: float | None, fps: float | None, *, has_sound: bool,
        facts: Mapping[str, object],
    ) -> Media:  # fmt: skip
        rate = _rate(fps) if fps else None
        absolute = path.absolute().as_uri()
        return Media(
            name=name,
            url=absolute if self.absolute else quote(os.fsencode(path.relative_to(self.outputs.root).as_posix())),
            file_url=absolute,
            rate=rate,
            frames=None if rate is None or length_s is None else max(1, round(length_s * rate)),
            has_sound=has_sound,
            facts=facts,
        )

    def _frames(self, step: Step, active: Media | None) -> int:
        entry, shot_s = self.entries.get(step.number), step.request.shot.duration_s
        if entry is not None and active is not None:
            return entry.frames
        known = active is not None and active.frames is not None and active.rate is not None
        clip_s = active.frames / active.rate if known and active and active.frames and active.rate else float(shot_s)
        return length.frames(shot_s, clip_s, self.rate)


def _rate(fps: float) -> float:
    """The standard rate that a file has, else its own."""
    nearest = min(length.RATES, key=lambda rate: abs(float(rate) - fps))
    return float(nearest) if abs(float(nearest) - fps) <= RATE_WITHIN * fps else fps


def _prompt(step: Step, mine: Alternative | None) -> str:
    """Of the take in place; where there is none, of the shot."""
    if mine is not None and step.file is File.INTACT:
        return dict(mine.row.manifest).get("prompt", "")
    found = (made.prompt for made in step.request.recipes.values())
    return next(found, None) or step.request.shot.any_prompt
