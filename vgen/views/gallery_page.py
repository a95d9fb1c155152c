"""Gathers what the gallery shows of a production: from its plan, its rows and the report's entries. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vgen.money import micros
from vgen.plan import takes
from vgen.plan.decision import Action, File
from vgen.plan.made_from import made_from
from vgen.plan.plan import Plan
from vgen.plan.step import PURCHASES, Step
from vgen.plan.takes import Alternative
from vgen.recipe import is_draft
from vgen.store.outputs import clip_name
from vgen.store.records import Placed, Purchase, Snapshot, Take
from vgen.views import claims, next_steps, report
from vgen.views.advice import Advice
from vgen.views.gallery import Film, Page, ShotStatus, ShotView, TakeView
from vgen.views.gallery_pictures import PictureView
from vgen.views.report import Entry, Gate


def gather(
    plan: Plan,
    snapshot: Snapshot,
    entries: list[Entry],
    gates: Sequence[Gate],
    notes: Sequence[str],
    *,
    title: str,
    advice: Advice,
    film_s: float = 0.0,
    slated_s: float = 0.0,
) -> Page:
    """The page of a production. `film_s`: how long its cut is; `slated_s`: with slates for missing shots.

    Empties `entries`: of a long list they go one by one, as the page's shots come.
    """
    entries.reverse()
    budget = next_steps.enough(plan)
    return Page(
        title=title,
        simulated=plan.simulated,
        shots=_chained(
            _shot(step, found, entries.pop(), snapshot.placed.get(clip_name(step.number)), snapshot, advice, budget)
            for step, found in takes.of_all(plan, snapshot)
        ),
        gates=gates,
        budget=plan.budget,
        notes=notes,
        film_s=film_s,
        slated_s=slated_s,
    )


def _chained(shots: Iterable[ShotView]) -> list[ShotView]:
    """The shots, each knowing which others are made from its frames."""
    found = list(shots)
    leads_to: dict[int, list[int]] = defaultdict(list)
    for shot in found:
        for source in dict.fromkeys(one.shot for one in shot.pictures if one.shot is not None):
            leads_to[source].append(shot.number)
    return [replace(one, leads_to=leads_to[one.number]) if one.number in leads_to else one for one in found]


def _shot(
    step: Step,
    found: Sequence[Alternative],
    entry: Mapping[str, Any],
    placed: Placed | None,
    snapshot: Snapshot,
    advice: Advice,
    budget: str,
) -> ShotView:
    there = step.file in (File.INTACT, File.EDITED) and placed is not None
    row = snapshot.purchases.get(placed.purchase_id) if placed and there else None
    take = snapshot.takes.get(row.id) if row else None
    made_for = step.request.recipe_for(row.provider) if row else None
    recipe = made_for or next(iter(step.request.recipes.values()), None)
    status = _status(step, entry, there=there)
    return ShotView(
        number=step.number,
        prompt=recipe.prompt if recipe else "",
        status=status,
        reason=advice(_reason(step, entry, status, row)),
        made_from=dict(row.manifest).get("prompt") if row and not step.request.is_served_by(row) else None,
        film=_film_in_place(step, take, placed) if placed and take else None,
        take=take.take if take else None,
        provider=row.provider if row else entry["api_used"],
        model=row.model if row else entry["model"],
        price=row.charged if row else micros(entry["cost_usd"]) or None,
        generation_s=take.generation_s if take else None,
        verdict=_verdict(step, take),
        claims="" if step.file is File.EDITED or take is None else claims.in_words(take.claims),
        draft=row is not None and is_draft(row.manifest),
        shot_s=float(step.request.shot.duration_s),
        locked=step.locked,
        note=step.note,
        takes=[_take(step, one, advice) for one in found],
        commands=[advice.command(command) for command in _commands(step, status, budget)],
        pictures=_pictures(step) if step.request.pictures else (),
    )


def _pictures(step: Step) -> list[PictureView]:
    return [
        PictureView(role=one.role, words=one.words, key=one.key, shot=one.shot, waits=one.waits, url=one.url)
        for one in made_from(step.request)
    ]


def _status(step: Step, entry: Mapping[str, Any], *, there: bool) -> ShotStatus:
    if step.done:
        return ShotStatus.GOOD
    if step.action is Action.HELD:
        return ShotStatus.HELD
    if step.action is Action.COLLECT:
        return ShotStatus.RUNNING
    if there:
        return ShotStatus.STALE
    if step.action is Action.STOP or entry["api_used"] or not str(entry["error"] or "").startswith(report.NOT_YET):
        return ShotStatus.FAILED
    return ShotStatus.MISSING


def _reason(step: Step, entry: Mapping[str, Any], status: ShotStatus, row: Purchase | None) -> str:
    if status is ShotStatus.GOOD:
        return step.why if step.file is File.EDITED or step.locked else ""
    if status is ShotStatus.STALE and step.action in PURCHASES:
        frames = row is not None and step.request.comes_from(row.manifest)
        return step.why if frames else ""  # the page shows both prompts
    return str(entry["error"] or step.why)


def _verdict(step: Step, take: Take | None) -> str:
    if step.file is File.EDITED:
        return "edited by hand"
    if take is None or not take.good:
        return ""
    return "; ".join((f"OK (at {take.checked_at_host})" if take.checked_at_host else "OK", *take.remarks))


def _film_in_place(step: Step, take: Take, placed: Placed) -> Film:
    path = f"clips/{placed.name}"
    if step.file is not File.EDITED:
        return _film(take, path)
    facts = json.loads(placed.facts or "{}")
    known = {key: facts.get(key) for key in ("width", "height", "duration_s", "fps", "has_audio")}
    return Film(path=path, sha256=placed.sha256, **known)


def _film(take: Take, path: str) -> Film:
    return Film(
        path=path,
        sha256=take.sha256,
        width=take.width,
        height=take.height,
        duration_s=take.duration_s,
        fps=take.fps,
        has_audio=take.has_audio,
    )


def _take(step: Step, one: Alternative, advice: Advice) -> TakeView:
    pick = f"doit pick shot={step.number} take={one.label}"
    return TakeView(
        number=one.take.take,
        label=one.label,
        film=_film(one.take, one.take.path),
        good=one.take.good,
        draft=is_draft(one.row.manifest),
        prompt=dict(one.row.manifest).get("prompt", ""),
        reason=one.take.reason or "; ".join(one.take.remarks),
        provider=one.row.provider,
        model=one.row.model,
        price=one.row.charged,
        created_at=one.row.created_at,
        generation_s=one.take.generation_s,
        current=one.in_place,
        claims=claims.in_words(one.take.claims),
        command=advice.command(pick) if one.take.good and not one.in_place and not step.locked else None,
    )


def _commands(step: Step, status: ShotStatus, budget: str) -> list[str]:
    """What the user may type next."""
    if step.locked:
        return [f"doit unlock shot={step.number}"]
    found = next_steps.commands(step, budget)
    keep = f"doit keep shot={step.number}"
    return [*found, keep] if status is ShotStatus.STALE and keep not in found else found
