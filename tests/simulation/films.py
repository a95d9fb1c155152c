"""A film in a schedule: shots made from each other's frames, with takes wanted, drafts and the further vendors at once.

Each of these is a kind of odd day of its own, too; here they are drawn together, with dice that no other kind throws.
"""

import dataclasses
import itertools
import random
from collections.abc import Sequence
from typing import Any

from simulation import chains, vendors

AT_HOME = ("runway", "none")
PAIRS = tuple(itertools.permutations(("runway", "pika", *vendors.SECTIONS), 2))
"""Who stands in for Runway, and who for fal."""
MIXES: Sequence[frozenset[str]] = tuple(
    frozenset(some) for n in (1, 2, 3) for some in itertools.combinations(("takes", "drafts", "vendors"), n)
)
"""What a film has besides its chains; each as likely."""


def mix(seed: int) -> frozenset[str]:
    """What the film of a seed has besides its chains."""
    return random.Random(f"film {seed} mix").choice(MIXES)


def drawn(seed: int, rng: random.Random, story: Sequence[Any], runs: Sequence[int], *, odd: Any) -> list[Any]:
    """The story as a film. `odd`: makes a step that says what is odd from here on."""
    has = mix(seed)
    places = rng.choice(PAIRS) if "vendors" in has else AT_HOME
    wanted = rng.choice((2, 2, 3)) if "takes" in has else 1
    found = chains.drawn(rng, [_at(rng, places, step) for step in story], runs)
    begin = []
    if "vendors" in has:
        begin.append(odd(kind="protocols", how="+".join(places), at=rng.choice((3, 5, 15))))
    if "takes" in has:
        found = [_with_takes(step, wanted) for step in found]
        holds = any("on_uncertain=hold" in step.args for step in story if hasattr(step, "args"))
        begin.append(odd(kind="takes", how="hold" if holds else "rebuy", at=wanted))
    if "drafts" in has:
        found = _with_drafts(rng, found)
        begin.append(odd(kind="drafts", how="+".join(vendors.DRAFTS)))
    return [*begin, *found]


def _at(rng: random.Random, places: tuple[str, str], step: Any) -> Any:
    """A step at these two places. Pika takes pictures by address only: it is never alone."""
    if not hasattr(step, "args"):
        return vendors.there(rng, places, step)
    said = dict(word.partition("=")[::2] for word in step.args if "_api=" in word)
    first, second = places if said["primary_api"] == "runway" else places[::-1]
    if places == AT_HOME:
        first, second = places
    elif said["fallback_api"] == "none" and first != "own":
        second = "none"
    there = {"primary_api": f"primary_api={first}", "fallback_api": f"fallback_api={second}"}
    return dataclasses.replace(step, args=tuple(there.get(word.partition("=")[0], word) for word in step.args))


def _with_takes(step: Any, wanted: int) -> Any:
    """So many takes of each shot, and money for them."""
    if hasattr(step, "shots"):
        return dataclasses.replace(step, shots=tuple({**shot, "takes": wanted} for shot in step.shots))
    if not hasattr(step, "args"):
        return step
    cap = round(step.cap_usd * wanted, 2)
    args = tuple(f"budget_usd={cap}" if word.startswith("budget_usd=") else word for word in step.args)
    return dataclasses.replace(step, args=args, cap_usd=cap)


def _with_drafts(rng: random.Random, story: Sequence[Any]) -> list[Any]:
    """Some runs become runs for drafts, and one more comes before the last of all; that one is for finals."""
    last = max(k for k, step in enumerate(story) if hasattr(step, "args"))
    found = [
        draft(step) if k < last and hasattr(step, "args") and rng.random() < 0.5 else step
        for k, step in enumerate(story)
    ]
    return [*found[:last], draft(story[last]), *found[last:]]


def draft(run: Any) -> Any:
    """The run, for drafts; one that names clips or looks for lost orders is about finals."""
    return dataclasses.replace(run, args=(*run.args, "tier=draft")) if run.full else run
