"""What a run means to do, what it counts, and what it opens: the values around `run.Run`."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vgen.plan.request import ShotRequest
from vgen.store.outputs import Stat

if TYPE_CHECKING:  # a run with nothing to do needs no HTTP and no ffmpeg
    from vgen.media.hands import Elsewhere, Hands
    from vgen.media.judge import Judge
    from vgen.production.http import HttpClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a run means to do, decided before its first order.

    `not_started`: shot → the provider that it will buy from ("" if it buys nothing). `fits`: with partial=yes, the
    shots, and which of their takes wanted, that fit what is left. `approved`: with plan=FILE, the shots that may be
    bought. None binds nothing.
    `again`: the shots that get a new take, by -a.
    `locked`: shot → the purchase whose take is its clip, whatever changes.
    `takes`: shot → the sha256 of the take that serves it already, of which other shots' frames may be taken.
    `wanted`, `done`: the shots of this run, and those of them that are up to date already. `seen`: the clips' files as
    the plan saw them. `read_only`: the run lock is not held, so nothing may be written.
    """

    requests: Sequence[ShotRequest] = ()
    takes: Mapping[int, str] = field(default_factory=dict)
    wanted: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()
    again: frozenset[int] = frozenset()
    locked: Mapping[int, int] = field(default_factory=dict)
    seen: Mapping[str, Stat] = field(default_factory=dict)
    not_started: Mapping[int, str] = field(default_factory=dict)
    fits: frozenset[tuple[int, int]] | None = None
    approved: frozenset[int] | None = None
    online: bool = True
    read_only: bool = False


@dataclass(slots=True)
class Counters:
    """How the clips that are in place came there."""

    generated: int = 0
    reused: int = 0
    resumed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Online:
    """What `Services.online` opens: the way to the providers, and who judges what comes from there.

    `elsewhere`: other hands for the work on clips' bytes.
    """

    http: "HttpClient"
    judge: "Judge"
    elsewhere: "Hands | None" = None

    def spread(self, elsewhere: "Elsewhere | None", *, brings: bool) -> "Online":
        """With work on clips' bytes done elsewhere, if there is one. `brings`: whether downloads may be, too."""
        if elsewhere is None:
            return self
        return dataclasses.replace(self, elsewhere=elsewhere.over(self.here(), brings=brings))

    def hands(self) -> "Hands":
        """Who works on clips' bytes."""
        return self.elsewhere or self.here()

    def here(self) -> "Hands":
        """This process."""
        from vgen.media.here import Here
        from vgen.production.handwork import bring

        return Here(judge=self.judge, bring=functools.partial(bring, self.http))
