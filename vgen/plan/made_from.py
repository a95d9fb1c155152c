"""What the pictures of a shot are, for those who show them: files, addresses, frames of other shots. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from vgen.inputs.pictures import Data, File, Frame, Source, Url
from vgen.plan.request import ShotRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """One picture. `role`: a key of a shot; `identity`: what the recipe holds of it."""

    role: str
    identity: str
    source: Source

    @property
    def key(self) -> str:
        """Names its content: equal keys, equal pixels. "" if nobody here has it, or not yet."""
        if isinstance(self.source, Url) or (isinstance(self.source, Frame) and self.waits):
            return ""
        return self.identity

    @property
    def shot(self) -> int | None:
        """The shot of whose clip it is a frame."""
        return self.source.shot if isinstance(self.source, Frame) else None

    @property
    def waits(self) -> bool:
        """It is a frame of a shot that has no take yet."""
        return isinstance(self.source, Frame) and self.identity == self.source.of(None)

    @property
    def url(self) -> str:
        return self.source.url if isinstance(self.source, Url) else ""

    @property
    def words(self) -> str:
        """`last frame of shot 3`, `gutter.png`."""
        match self.source:
            case Frame(shot, "first" | "last" as at):
                return f"{at} frame of shot {shot}"
            case Frame(shot):
                return f"shot {shot} at {self.identity.rpartition('@')[2]} s"
            case File(path):
                return path
            case Url(url):
                return url
            case Data():
                return "in the shot list"


def made_from(request: ShotRequest) -> Iterator[MadeFrom]:
    """The pictures of a shot, in their order, with the takes that they come from as far as they are known."""
    for (role, source), (_, identity) in zip(request.shot.pictures.pairs, request.pictures.pairs, strict=True):
        yield MadeFrom(role=role, identity=identity, source=source)
