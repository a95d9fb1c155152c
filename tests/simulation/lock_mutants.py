"""Bugs that only locked clips meet. As in `mutants`, with locks drawn."""

import dataclasses
from typing import Any

from simulation.mutants import Patches, instead, mutant
from vgen.cli import checks
from vgen.plan import decision, review, step
from vgen.production import make
from vgen.production.run import Run
from vgen.store.records import Lock


@mutant("nobody asks what is locked", "M25", 10, "locks")
def no_locks() -> Patches:
    assigned = review.assigned

    def notes_alone(said: Any, requests: Any, *, by_number: bool = True) -> Any:
        return assigned([one for one in said if not isinstance(one, Lock)], requests, by_number=by_number)

    yield instead(review, "assigned", notes_alone)


@mutant("the plan knows the locks, and the run decides without them", "M25", 40, "locks")
def locks_of_the_plan_alone() -> Patches:
    policy = Run.policy

    def without(self: Run, fresh_after: int | None = None) -> decision.Policy:
        return dataclasses.replace(policy(self, fresh_after), locked={})

    yield instead(Run, "policy", without)


@mutant("-a takes a locked clip for any other", "M25", 20, "locks")
def again_unlocks() -> Patches:
    decide = decision.decide

    def for_again(request: Any, rows: Any, policy: decision.Policy, placed: Any = None) -> decision.Decision:
        locked = policy.locked if policy.fresh_after is None else {}
        return decide(request, rows, dataclasses.replace(policy, locked=locked), placed)

    yield instead(checks, "_refuse_locked", lambda session: None)
    for home in (step, make):
        yield instead(home, "decide", for_again)


@mutant("a lock stays with its number when shots change places", "M25", 60, "locks")
def locks_by_number() -> Patches:
    yield instead(review, "digests", lambda request: frozenset[str]())
