"""What is wrong with shots that are made from frames of each other's clips. Pure."""

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal

from vgen import chains
from vgen.inputs.pictures import Frame
from vgen.inputs.shots import Shot
from vgen.recipe import plain


def problems(shots: Sequence[Shot], numbers: Collection[int]) -> Iterator[tuple[int, str]]:
    """(shot, what is wrong with it), for a person to mend. `numbers`: of all shots of the list, bad ones too."""
    by_number = {shot.number: shot for shot in shots}
    sources = {shot.number: shot.sources & by_number.keys() for shot in shots if shot.sources}
    for number in sources:
        for name, one in by_number[number].pictures.named():
            if isinstance(one, Frame) and (wrong := _wrong(one, by_number.get(one.shot), numbers)):
                yield number, f"{name}: {wrong}"
    if ring := chains.ring(sources):
        way = ", which needs ".join(f"clip {number}" for number in ring[1:])
        yield ring[0], f"its pictures come from itself: it needs {way}; give one of these shots another picture"


def _wrong(frame: Frame, source: Shot | None, numbers: Collection[int]) -> str:
    if frame.shot not in numbers:
        return f"there is no shot {frame.shot} in the list"
    if isinstance(frame.at, Decimal) and source is not None and frame.at >= source.duration_s:
        return f"clip {frame.shot} has {plain(source.duration_s)} s, so it shows nothing at {plain(frame.at)} s"
    return ""
