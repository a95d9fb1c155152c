"""All takes of every shot, and which of them `doit pick` means. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vgen import recipe
from vgen.errors import InputError
from vgen.money import show, usd
from vgen.plan.decision import File
from vgen.plan.plan import Plan
from vgen.plan.request import ShotRequest
from vgen.plan.step import Step
from vgen.store.records import Purchase, Snapshot, Take

_LABEL = re.compile(r"(?:([0-9a-f]{8,64})/)?([0-9]{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One take that a shot has or had. `label`: what `take=` says for it; `fits`: of the shot's present prompt."""

    label: str
    row: Purchase
    take: Take
    fits: bool
    in_place: bool
    changed: Sequence[str] = ()
    """How its recipe differs from the shot's present one, in words."""


def of_all(plan: Plan, snapshot: Snapshot) -> Iterator[tuple[Step, list[Alternative]]]:
    """Every shot with its takes: those of its present prompt, then those bought for its number with another prompt."""
    lying = {row.shot_number: row.purchase_id for row in snapshot.placed.values()}
    earlier = _earlier(plan, snapshot)
    for step in plan.steps:
        there = step.file in (File.INTACT, File.EDITED)
        in_place = lying.get(step.number) if there else None
        yield step, _of_shot(step.request, snapshot, earlier.get(step.number, []), in_place)


def _earlier(plan: Plan, snapshot: Snapshot) -> dict[int, list[Purchase]]:
    """Shot → what was bought for its number, and made a take, by recipes that no shot has any more."""
    requested = {digest for step in plan.steps for digest in step.request.all_digests()}
    found: dict[int, list[Purchase]] = defaultdict(list)
    for row in snapshot.purchases.values():
        if row.recipe not in requested and row.id in snapshot.takes:
            found[row.shot_number].append(row)
    return found


def _of_shot(
    request: ShotRequest, snapshot: Snapshot, others: list[Purchase], in_place: int | None
) -> list[Alternative]:
    """`in_place`: the purchase whose take has the clip's name."""
    same = [row for digest in request.all_digests() for row in snapshot.by_recipe.get(digest, ())]
    fits = (row for row in same if row.id in snapshot.takes and request.is_served_by(row))
    fitting = sorted(fits, key=lambda row: row.id)
    here = snapshot.purchases.get(in_place or 0)
    if here is not None and here not in fitting and here not in others:
        others = [*others, here]
    numbers = {snapshot.takes[row.id].take for row in fitting}
    alone = len(numbers) == len(fitting) and len({row.recipe for row in fitting} - request.others) < 2
    return [_alternative(request, row, snapshot, in_place, plain=alone) for row in fitting] + [
        _alternative(request, row, snapshot, in_place, plain=False) for row in others
    ]


def found(label: str, shot: int, alternatives: Sequence[Alternative]) -> Alternative:
    """The take that `take=` means. Raises InputError with what there is to choose from."""
    match = _LABEL.fullmatch(label)
    if match is None:
        raise InputError([f"take={label}: name the take by its number, as in `doit pick shot={shot} take=2`"])
    of_recipe, number = match[1] or "", int(match[2])
    hits = [
        one
        for one in alternatives
        if one.take.take == number and (one.row.recipe.startswith(of_recipe) if of_recipe else one.fits)
    ]
    if not hits:
        known = ", ".join(one.label for one in alternatives) or "none at all"
        raise InputError([f"take={label}: shot {shot} has no such take (it has {known}); `doit takes` shows them"])
    if len(hits) > 1:
        raise InputError([f"take={label}: could be {' or '.join(one.label for one in hits)}; say which"])
    if not hits[0].take.good:
        reason = hits[0].take.reason or "not good"
        raise InputError([f"take={label}: was rejected ({reason}); it stays as {hits[0].take.path}"])
    return hits[0]


def lines(all_takes: Iterable[tuple[Step, Sequence[Alternative]]]) -> list[str]:
    """`doit takes` in words: a line a take, its file at the end."""
    told = []
    for step, alternatives in all_takes:
        if not alternatives:
            told.append(f"shot {step.number:>3}  no takes yet")
        for one in alternatives:
            mark = "*" if one.in_place else " "
            verdict = "; ".join(("ok", *one.take.remarks)) if one.take.good else f"rejected: {one.take.reason}"
            if recipe.is_draft(one.row.manifest):
                verdict += "; draft"
            if not one.fits:
                verdict += f"; from an earlier prompt ({'; '.join(one.changed)})" if one.changed else ""
            if one.in_place and step.locked:
                verdict += "; locked"
            size = f"{one.take.width}x{one.take.height}" if one.take.width else ""
            cost = show(one.row.charged)
            told.append(
                f"shot {step.number:>3} {mark}take {one.label:<11} {one.row.provider:<8} {cost:>7}  {size:<9}  "
                f"{one.take.path}  {verdict}"
            )
    return told


def as_json(all_takes: Iterable[tuple[Step, Sequence[Alternative]]]) -> Iterator[dict[str, Any]]:
    """`doit takes` for programs: a take each. `take`: what `doit pick` says for it; `path`: in outputs."""
    for step, alternatives in all_takes:
        for one in alternatives:
            yield {
                "shot_number": step.number,
                "take": one.label,
                "in_place": one.in_place,
                "locked": one.in_place and step.locked,
                "good": one.take.good,
                "fits": one.fits,
                "reason": one.take.reason or None,
                "remarks": list(one.take.remarks),
                "draft": recipe.is_draft(one.row.manifest),
                "changed": list(one.changed),
                "provider": one.row.provider,
                "model": one.row.model,
                "job_id": one.row.job_id,
                "cost_usd": usd(one.row.charged or 0),
                "path": one.take.path,
                "sha256": one.take.sha256,
                "prompt_hash": one.row.recipe,
            }


def _alternative(
    request: ShotRequest, row: Purchase, snapshot: Snapshot, in_place: int | None, *, plain: bool
) -> Alternative:
    take = snapshot.takes[row.id]
    wanted = request.recipe_for(row.provider) or next(iter(request.recipes.values()), None)
    fits = request.is_served_by(row)
    return Alternative(
        label=str(take.take) if plain else f"{row.recipe[:8]}/{take.take}",
        row=row,
        take=take,
        fits=fits,
        in_place=row.id == in_place,
        changed=() if fits or wanted is None else _changed(row.manifest, wanted.manifest),
    )


def _changed(then: recipe.Manifest, now: recipe.Manifest) -> list[str]:
    """What differs besides the tier, which is told by itself."""
    was, wanted = (tuple(pair for pair in manifest if pair[0] != "tier") for manifest in (then, now))
    return recipe.difference(was, wanted)
