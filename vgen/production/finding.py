"""What came of looking for an order whose answer was lost."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a look-up says of one uncertain purchase."""

    ADOPTED = "adopted"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict, and one line for the user."""

    verdict: Verdict
    text: str
