"""What is pickled on its way to a worker: a module's function and this value. Imports nothing, and says nothing."""

from dataclasses import dataclass, field

PROBE = "probe"
"""The file that a worker must see to be of use."""
APPEARS_S = 5.0
"""NFS keeps what it knows of a directory for seconds: a file that another machine has just made may come into sight
later."""


@dataclass(frozen=True, slots=True)
class Order:
    """A job in JSON. A worker logs what it was asked if that raises, so `said`, which has an address, is not shown."""

    kind: str
    said: str = field(repr=False)
