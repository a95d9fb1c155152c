"""Draws odd days: what is strange about the world itself, in steps between a schedule's own. Pure; plays nothing.

Each kind throws dice of its own, so that a kind that is switched on or off changes no other story.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulation import chains, films, locks, vendors

KINDS: Mapping[str, str] = {
    "protocols": "what would be bought at Runway and fal is bought at two others of the six protocols",
    "gateway": "somebody on the way answers every question about a job with the protocol's own 404, for a while",
    "other_key": "one run with another account's key: it knows none of our jobs",
    "rotated_key": "the key is replaced by another one of the same account",
    "moved": "base_url moves to another host; the old one answers as before, with a JSON 404, or with a page",
    "clock": "our clock is wrong by a constant, minutes to weeks, all the time",
    "old_ledger": "a copy of ledger.db from an earlier moment is put back beside today's takes",
    "no_ledger": "ledger.db is deleted while a job runs or when all is done",
    "reader": "somebody reads the ledger when an answer is to be committed, for seconds or an hour",
    "full_disk": "the disk is full when an answer is to be committed, and has room again later",
    "quote": "Runway's creates quote, and charge, a multiple of the list price",
    "picture": "the picture of a shot changes between plan and order",
    "hand_edit": "somebody edits a clip while a run works",
    "again": "`doit -a` for some clips is killed, some runs later typed again; one of the clips may be edited before",
    "preview": "the first download of each job brings a preview file, the next ones the right one",
    "behind": "our clock is hours or days behind, and `doit recover` looks for a lost order that is still being made",
    "bad_twice": "two clips of a shot are bad, each for another reason",
    "other_clip": "the first download of each job brings a clip that we have already, the next ones the right one",
    "takes": "two or three takes are wanted of each shot",
    "drafts": "some runs buy drafts, at Runway with another model, before the finals",
    "sound": "the model at fal makes sound unless it is told not to, and charges half as much again for it, or twice",
    "no_decoder": "in some runs the tools here can't decode what is delivered, or can't tell whether they could",
    "chains": "shots are made from frames of other shots' clips, and somebody changes their mind about one of these",
    "film": "the same, together with takes wanted, drafts, or any two of the six protocols, or several of these",
    "locks": "clips are locked, and then everything is tried that could change them; some are unlocked again",
    "cluster": "bytes are worked on by a cluster, whose workers die, hang, do jobs twice, lie, or are gone all at once",
}  # fmt: skip
"""What a schedule may draw besides the faults, and what it is."""

OFF: Mapping[str, str] = {}
"""Kinds that vgen does not survive yet, and what is missing. Each goes as vgen learns it."""

DRAWS: frozenset[str] = frozenset(KINDS) - OFF.keys()
"""The kinds that are on."""

LATER = frozenset({"protocols", "sound", "no_decoder", "takes", "drafts", "chains", "film", "locks", "cluster"})
"""Kinds that came after the first seeds were kept: those are replayed without them."""

QUIET = frozenset({"gateway", "clock", "protocols"})
"""Kinds that must never make anything be bought more often (M13)."""

CHANCE = 0.08
"""How likely each kind is in a schedule."""
CHANCES: Mapping[str, float] = {
    "protocols": 0.25,
    "takes": 0.12,
    "drafts": 0.12,
    "chains": 0.15,
    "film": 0.15,
    "locks": 0.1,
    "cluster": 0.12,
}
"""The same, of those that have one of their own."""
SHARE_OF_HOUR = 3600.0
AT_TWO = frozenset({"gateway", "other_key", "rotated_key", "moved", "quote", "picture", "behind", "sound", "chains"})
"""Kinds that are told in the words of Runway and fal."""
IN_A_FILM = frozenset({"chains", "takes", "drafts", "protocols", "picture", "behind", "sound"})
"""Kinds that a schedule with a film does not draw besides."""
WITH_SOUND = tuple(f"fal-ai/kling-video/{name}/text-to-video" for name in ("v3/standard", "v3/pro", "v2.6/pro"))
"""Endpoints of fal's whose switch for sound is on unless it is sent off."""
GONE = ("works", "404", "page")
"""How the old host answers when base_url has moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """From here on (or in the next run only) the world is odd in this way. `at`: at the at-th request or commit."""

    kind: str
    how: str = ""
    amount: float = 0.0
    at: int = 0


def kinds_of(seed: int, *, quiet: bool, draws: frozenset[str]) -> list[str]:
    """The kinds that this seed draws, of those that are on."""
    found = [
        kind
        for kind in KINDS
        if kind in draws
        and random.Random(f"odd {kind} {seed}").random() < CHANCES.get(kind, CHANCE)
        and (not quiet or kind in QUIET)
    ]
    if "film" in found:  # which has these in it, and its own pictures
        found = [kind for kind in found if kind not in IN_A_FILM]
    if "protocols" in found or ("film" in found and "vendors" in films.mix(seed)):
        found = [kind for kind in found if kind not in AT_TWO]
    if "picture" in found or "protocols" in found:  # whose places and models are their own
        found = [kind for kind in found if kind != "drafts"]
    if "picture" in found:  # all is bought at Runway then
        found = [kind for kind in found if kind != "sound"]
    if "chains" in found:  # all is bought at Runway then, and begins with frames
        found = [kind for kind in found if kind not in ("picture", "behind", "sound", "takes", "drafts")]
    if "quote" in found:  # what was quoted is in the ledger that these lose
        found = [kind for kind in found if kind not in ("old_ledger", "no_ledger")]
    return found


def add(seed: int, steps: Sequence[Any], *, quiet: bool, draws: frozenset[str]) -> tuple[Any, ...]:
    """The steps with this seed's odd days among them."""
    story = list(steps)
    for kind in reversed(kinds_of(seed, quiet=quiet, draws=draws)):
        rng, runs = random.Random(f"odd {kind} {seed} how"), _bad_runs(story)
        if kind == "film":
            story = [Odd(kind=kind), *films.drawn(seed, rng, story, runs, odd=Odd)]
        else:
            story = _ADD[kind](rng, kind, story, runs)
    return tuple(without_lost_orders(story) if quiet else story)


def without_lost_orders(story: Sequence[Any]) -> list[Any]:
    """What a lost order costs is no matter of polls and downloads."""

    def mild(step: Any) -> Any:
        return dataclasses.replace(
            step, faults=tuple(fault for fault in step.faults if not fault.startswith("kling.create_lost"))
        )

    return [mild(step) if hasattr(step, "faults") else step for step in story]


def _bad_runs(story: Sequence[Any]) -> list[int]:
    """Where the runs are that come before the last weather, which is calm."""
    calm = max(k for k, step in enumerate(story) if hasattr(step, "faults"))
    return [k for k, step in enumerate(story[:calm]) if hasattr(step, "args")]


def _before(rng: random.Random, story: list[Any], runs: list[int], odd: Odd) -> list[Any]:
    where = rng.choice(runs)
    return [*story[:where], odd, *story[where:]]


def _gateway(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    for where in sorted(rng.sample(runs, rng.randint(1, len(runs))), reverse=True):
        odd = Odd(kind=kind, amount=rng.choice((0.3, 3.0, 20.0, 60.0)), at=rng.choice((1, 1, 2, 4)))
        story = [*story[:where], odd, *story[where:]]
    return story


def _key(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    return _before(rng, story, runs[1:] or runs, Odd(kind=kind, how=rng.choice(("404", "401"))))


def _moved(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    return _before(rng, story, runs[1:] or runs, Odd(kind=kind, how=rng.choice(GONE)))


def _protocols(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    places = vendors.drawn(rng)
    every_s = rng.choice((3, 5, 15))
    return [Odd(kind=kind, how="+".join(places), at=every_s), *(vendors.there(rng, places, step) for step in story)]


def _always(*amounts: float) -> Callable[..., list[Any]]:
    def at_the_start(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
        return [Odd(kind=kind, amount=rng.choice(amounts)), *story]

    return at_the_start


def _ledger(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """Copied before some run, put back after it or a later one; deleted after some run."""
    first = rng.choice(runs)
    last = rng.choice([k for k in runs if k >= first]) + 1
    back = Odd(kind=kind, how="back" if kind == "old_ledger" else "gone")
    if kind == "no_ledger":
        return [*story[:last], back, *story[last:]]
    return [*story[:first], Odd(kind=kind, how="copy"), *story[first:last], back, *story[last:]]


def _held(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    odd = Odd(kind=kind, amount=rng.choice((7.0, 300.0, SHARE_OF_HOUR)), at=rng.choice((1, 1, 2, 3)))
    return _before(rng, story, runs, odd)


def _picture(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    story = _before(rng, story, runs, Odd(kind=kind, at=rng.choice((1, 2, 3, 5, 8))))
    return [_pictured(step) for step in story]


def _pictured(step: Any) -> Any:
    """Every second shot begins with the picture; all are bought at Runway, whose model takes one."""
    if shots := getattr(step, "shots", None):
        drawn = [dict(shot) | ({"image": "config/boat.png"} if shot["shot_number"] % 2 else {}) for shot in shots]
        return dataclasses.replace(step, shots=tuple(drawn))
    return _at("runway", step) if hasattr(step, "args") else step


def _edit(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """The first shot is made in calm weather, gets another prompt, and its clip is edited while that is made."""
    where = rng.choice(runs)
    lists = [step for step in story[:where] if hasattr(step, "shots")]
    calm = dataclasses.replace(next(step for step in story if hasattr(step, "faults")), faults=())
    good = next(step for step in reversed(story) if hasattr(step, "args"))
    first = min(shot["shot_number"] for shot in lists[-1].shots)
    changed = [
        dict(shot) | ({"prompt": f"{shot['prompt']} by hand"} if shot["shot_number"] == first else {})
        for shot in lists[-1].shots
    ]
    write = dataclasses.replace(lists[-1], shots=tuple(changed), why="prompt")
    odd = Odd(kind=kind, at=rng.choice((1, 2, 3, 4)))
    return [*story[:where], calm, good, write, odd, *story[where:]]


def _behind(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """At fal: one order of an earlier run has ended, the next one is slow, and unanswered, a later one may end too."""
    where = rng.choice(runs)
    calm, write, good = _scene(story, where)
    bad = dataclasses.replace(calm, faults=("pika.create_lost=first:1", "pika.job_slow=first:1"))
    good = _at("pika", good)
    look = dataclasses.replace(good, args=("recover", *good.args), full=False)
    odd = Odd(kind=kind, amount=rng.choice((-18_000.0, -260_000.0)))
    return [odd, *story[:where], calm, good, write, bad, good, look, *story[where:]]


def _bad_twice(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """One run may order each shot once, and gets a bad clip; the next one gets another, and may go on."""
    where = rng.choice(runs)
    calm, write, good = _scene(story, where)
    first, second = rng.sample(("clip_small=first:1", "clip_short=first:1", "clip_landscape=first:1"), 2)
    once = tuple("max_retries=1" if word.startswith("max_retries=") else word for word in good.args)
    bad = [dataclasses.replace(calm, faults=(fault,)) for fault in (first, second)]
    return [
        *story[:where], Odd(kind=kind), write, bad[0], dataclasses.replace(good, args=once), bad[1], good, calm,
        *story[where:],
    ]  # fmt: skip


def _scene(story: list[Any], where: int) -> tuple[Any, Any, Any]:
    """Calm weather, the list of that moment with other prompts, and a run that nothing disturbs."""
    calm = dataclasses.replace(next(step for step in story if hasattr(step, "faults")), faults=())
    lists = [step for step in story[:where] if hasattr(step, "shots")]
    changed = [dict(shot) | {"prompt": f"{shot['prompt']} anew"} for shot in lists[-1].shots]
    write = dataclasses.replace(lists[-1], shots=tuple(changed), why="prompt")
    return calm, write, next(step for step in reversed(story) if hasattr(step, "args"))


def _at(provider: str, run: Any) -> Any:
    """The run, with all bought at one provider."""
    there = {"primary_api": f"primary_api={provider}", "fallback_api": "fallback_api=none"}
    return dataclasses.replace(run, args=tuple(there.get(word.partition("=")[0], word) for word in run.args))


def _again(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """The list is made in calm weather; then new takes are asked for, twice in the same words."""
    where = rng.choice(runs)
    lists = [step for step in story[:where] if hasattr(step, "shots")]
    calm = dataclasses.replace(next(step for step in story if hasattr(step, "faults")), faults=())
    good = next(step for step in reversed(story) if hasattr(step, "args"))
    numbers = sorted(shot["shot_number"] for shot in lists[-1].shots)
    named = rng.sample(numbers, rng.randint(1, len(numbers)))
    words = ("-a", *(f"clip:{number}" for number in named))
    force = dataclasses.replace(good, args=(*words, *good.args), full=False)
    killed = dataclasses.replace(force, crash=rng.choice((30, 60, 120)) * rng.random() + 1, power=rng.random() < 0.4)
    edit = [Odd(kind=kind, how="edit", at=named[0])] if rng.random() < 0.5 else []
    between = rng.choice(((), (), (good,), (killed,)))
    return [*story[:where], calm, good, *edit, killed, *between, force, *story[where:]]


def _sound(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """From the start on; fal is asked first."""
    return [Odd(kind=kind, how=rng.choice(WITH_SOUND)), *(_first("pika", step) for step in story)]


def _first(provider: str, run: Any) -> Any:
    """The run, with that provider first, if it buys anywhere else too."""
    if not hasattr(run, "args"):
        return run
    words = dict(word.partition("=")[::2] for word in run.args if "_api=" in word)
    other = next(
        (api for api in (words["primary_api"], words["fallback_api"]) if api not in (provider, "none")), "none"
    )
    first = {"primary_api": f"primary_api={provider}", "fallback_api": f"fallback_api={other}"}
    return dataclasses.replace(run, args=tuple(first.get(word.partition("=")[0], word) for word in run.args))


def _no_decoder(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    for where in sorted(rng.sample(runs, rng.randint(1, len(runs))), reverse=True):
        odd = Odd(kind=kind, how=rng.choice(("certainly", "perhaps")))
        story = [*story[:where], odd, *story[where:]]
    return story


def _chains(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """Bought at Runway, whose model takes a first picture."""
    there = [_at("runway", step) if hasattr(step, "args") else step for step in story]
    return [Odd(kind=kind), *chains.drawn(rng, there, runs)]


def _locks(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    if any(getattr(step, "why", "") == "renumber" for step in story):
        return story
    return [Odd(kind=kind), *locks.drawn(rng, story, runs, odd=Odd)]


def _cluster(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """From the start on. `amount`: how bad they are; `at`: their dice."""
    return [Odd(kind=kind, amount=rng.choice((0.0, 0.2, 0.5, 0.9)), at=rng.randrange(1 << 30)), *story]


def _media(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    return _before(rng, story, runs, Odd(kind=kind))


def _takes(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    wanted = rng.choice((2, 2, 3))
    lists = [
        dataclasses.replace(step, shots=tuple(dict(shot) | {"takes": wanted} for shot in step.shots))
        if hasattr(step, "shots")
        else step
        for step in story
    ]
    holds = any("on_uncertain=hold" in step.args for step in story if hasattr(step, "args"))
    return [Odd(kind=kind, how="hold" if holds else "rebuy", at=wanted), *lists]


def _drafts(rng: random.Random, kind: str, story: list[Any], runs: list[int]) -> list[Any]:
    """Of the runs before the calm ones some become runs for drafts, and one more comes before the last of all."""
    chosen = {k for k in runs if rng.random() < 0.6}
    found = [_draft(step) if k in chosen else step for k, step in enumerate(story)]
    last = max(k for k, step in enumerate(story) if hasattr(step, "args"))
    return [Odd(kind=kind), *found[:last], _draft(found[last]), *found[last:]]


def _draft(run: Any) -> Any:
    """The run, for drafts; one that names clips or looks for lost orders is about finals."""
    return dataclasses.replace(_at("runway", run), args=(*_at("runway", run).args, "tier=draft")) if run.full else run


_ADD: Mapping[str, Callable[..., list[Any]]] = {
    "protocols": _protocols,
    "gateway": _gateway,
    "other_key": _key,
    "rotated_key": _key,
    "moved": _moved,
    "clock": _always(-900.0, 900.0, -18_000.0, 18_000.0, -260_000.0, 260_000.0, 2_600_000.0),
    "old_ledger": _ledger,
    "no_ledger": _ledger,
    "reader": _held,
    "full_disk": _held,
    "quote": _always(2.0, 4.0, 10.0, 40.0),
    "picture": _picture,
    "hand_edit": _edit,
    "again": _again,
    "preview": _media,
    "other_clip": _media,
    "behind": _behind,
    "sound": _sound,
    "no_decoder": _no_decoder,
    "bad_twice": _bad_twice,
    "chains": _chains,
    "locks": _locks,
    "cluster": _cluster,
    "takes": _takes,
    "drafts": _drafts,
}
