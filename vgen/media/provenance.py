"""What films that vgen makes say of their making: the AI mark, and C2PA credentials where there is a certificate.

What no model made says nothing, whatever is asked for. A signature differs each time, so what must be made again is
decided by what goes into it: see `Provenance.inputs`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from vgen.media import ai_mark, signing
from vgen.media.credentials import Identity
from vgen.media.signing import Ingredient


def _one_at_a_time() -> trio.CapacityLimiter:
    return trio.CapacityLimiter(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is asked for. `ai_mark`: IPTC's term in XMP. `identity`: who signs; None: nobody.

    `certificate`: the digest of the certificate that signs, which is known before it is read.
    """

    ai_mark: bool = False
    certificate: str = ""
    identity: Identity | None = None
    _limiter: trio.CapacityLimiter = field(default_factory=_one_at_a_time, repr=False, compare=False)
    """c2pa takes memory of twice the film."""

    def inputs(self, made_by: str, details: Mapping[str, Any] | None = None) -> str:
        """What goes into a film besides pictures and sound, in short: if it differs, the film is made again.

        `made_by`: the film's digital source type, "" if no model made it. `details`: what a signature shall tell.
        """
        if not made_by:
            return ""
        found = [f"mark {made_by}"] if self.ai_mark else []
        if self.certificate:
            told = json.dumps(details or {}, sort_keys=True)
            said = hashlib.sha256(f"{self.certificate} {made_by} {told}".encode()).hexdigest()
            found.append(f"c2pa {signing.VERSION} {said[:16]}")
        return ", ".join(found)

    def mark(self, made_by: str) -> str:
        """The mark of a film of this digital source type; "": none."""
        return made_by if self.ai_mark else ""

    async def of_clip(
        self, film: Path, source: Path, number: int, name: str, made_by: str, details: Mapping[str, Any] | None = None
    ) -> tuple[str, ...]:
        """Sign a conformed clip that has its mark, before it gets its name; what is to be told.

        Raises MediaError, OSError.
        """
        take, actions = Ingredient(label="take", title=f"take of shot {number}", path=source), signing.opened(made_by)
        return await self._sign(film, name, made_by, actions, [take], "parentOf", details)

    async def of_cut(self, film: Path, name: str, clips: Mapping[int, Path], made_by: str) -> tuple[str, ...]:
        """Mark and sign a cut of these conformed clips. As `of_clip`."""
        if mark := self.mark(made_by):
            ai_mark.append(film, mark)  # before it is signed: afterwards the signature would not hold
        parts = [Ingredient(label=f"shot{n}", title=f"shot {n}", path=path) for n, path in clips.items()]
        return await self._sign(film, name, made_by, signing.placed(made_by), parts, "componentOf")

    async def _sign(
        self,
        film: Path,
        name: str,
        made_by: str,
        actions: signing.Actions,
        ingredients: Sequence[Ingredient],
        relationship: str,
        details: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        if not made_by:
            return ()
        identity = self.identity
        if identity is None:
            return ()
        if film.stat().st_size > signing.MOST_BYTES:
            return (f"not signed: it has more than {signing.MOST_BYTES >> 30} GiB, and signing takes twice the memory",)

        def work() -> tuple[str, ...]:
            return signing.sign(identity, film, name, actions, ingredients, relationship=relationship, details=details)

        return await trio.to_thread.run_sync(work, limiter=self._limiter)


NOTHING = Provenance()
"""Neither a mark nor a signature."""
