"""Who waits for what in one run: a shot of the same recipe, money, a provider's slot. Pure state; waits for nothing.

Everybody at work is *active*. An active shot waits behind an earlier one that shares a recipe with it, or for money
that others may give back. `turns.Turns` and `limits.PrioritySemaphore` put the waiting itself around this.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

LONG_QUEUE = 200
"""Shots queued at a provider above which starting more cannot raise its throughput."""


@dataclass(slots=True)
class PurchaseQueue:
    """The shots of one run. `not_started`: shot → the provider that it will buy from ("" if it buys nothing)."""

    not_started: dict[int, str] = field(default_factory=dict)
    _wanted: Counter[str] = field(init=False)
    """Provider → shots that have not started and will buy there."""
    _active: dict[Hashable, frozenset[str]] = field(default_factory=dict)
    """Who is at work → the recipes they work on, in the order of starting."""
    _lines: dict[str, dict[Hashable, None]] = field(default_factory=dict)
    """Recipe → who is at work on it, the first to start first."""
    _poor: set[Hashable] = field(default_factory=set)
    """Those who wait for money."""

    def __post_init__(self) -> None:
        self._wanted = Counter(self.not_started.values())

    def start(self, who: Hashable, recipes: Collection[str] = ()) -> None:
        """`who` is at work from now on, on these recipes."""
        if isinstance(who, int) and who in self.not_started:
            self._wanted[self.not_started.pop(who)] -= 1
        self._active[who] = frozenset(recipes)
        for recipe in self._active[who]:
            self._lines.setdefault(recipe, {})[who] = None

    def end(self, who: Hashable) -> None:
        """`who` is done."""
        for recipe in self._active.pop(who):
            del self._lines[recipe][who]
            if not self._lines[recipe]:
                del self._lines[recipe]

    def is_behind(self, who: Hashable) -> bool:
        """Whether somebody who started earlier works on a recipe of `who`."""
        return any(next(iter(self._lines[recipe])) != who for recipe in self._active[who])

    def lack_money(self, who: Hashable) -> None:
        """`who` found too little money, and waits until some may have come back."""
        self._poor.add(who)

    def money_moved(self) -> None:
        """A reservation was settled or released: all who lack money look again."""
        self._poor.clear()

    def give_up(self, who: Hashable) -> None:
        """`who` waits for money no longer."""
        self._poor.discard(who)

    def lacks_money(self, who: Hashable) -> bool:
        """Whether `who` still waits for money."""
        return who in self._poor

    def money_may_come(self) -> bool:
        """Whether somebody at work neither waits for money nor waits behind somebody who does."""
        stuck: set[str] = set()
        for who, recipes in self._active.items():
            if who not in self._poor and stuck.isdisjoint(recipes):
                return True
            stuck |= recipes
        return False

    def saturated(self, queued: Mapping[str, int]) -> bool:
        """Whether every provider that a shot not yet started will buy from has a long queue. `queued`: its length."""
        return all(queued.get(name, 0) >= LONG_QUEUE for name, count in self._wanted.items() if count)


@dataclass(slots=True)
class SlotQueue:
    """At most `limit` hold a slot; of those who wait, the lowest number (the shot's) is next, not the first to come."""

    limit: int
    held: int = 0
    _waiting: list[tuple[int, int]] = field(default_factory=list)
    """A heap of (number, ticket)."""
    _withdrawn: set[int] = field(default_factory=set)
    _tickets: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting) - len(self._withdrawn)

    def ask(self, number: int) -> int:
        """Wait for a slot: the ticket by which `granted` names the caller."""
        ticket = next(self._tickets)
        heapq.heappush(self._waiting, (number, ticket))
        return ticket

    def granted(self) -> Iterator[int]:
        """The tickets that get a slot now; each holds it from here on."""
        while self._waiting and self.held < self.limit:
            _, ticket = heapq.heappop(self._waiting)
            if ticket in self._withdrawn:
                self._withdrawn.remove(ticket)
                continue
            self.held += 1
            yield ticket

    def withdraw(self, ticket: int) -> None:
        """Whoever asked waits no longer, and got no slot."""
        self._withdrawn.add(ticket)

    def take(self) -> None:
        """Hold a slot whether or not one is free: the job runs already."""
        self.held += 1

    def release(self) -> None:
        """Give a slot back."""
        self.held -= 1
