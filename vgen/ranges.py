"""Numbers of shots as a person writes them."""

from collections.abc import Iterable


def ranges(numbers: Iterable[int], *, most: int | None = None) -> str:
    """`1-6, 9`; after `most` of them an ellipsis."""
    told = runs(numbers)
    return ", ".join(told[:most] + (["…"] if most and len(told) > most else [])) or "none"


def runs(numbers: Iterable[int]) -> list[str]:
    """`1-6`, `9`: neighbours as one."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(a) if a == b else f"{a}-{b}" for a, b in found]
