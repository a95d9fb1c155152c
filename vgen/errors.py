"""The exception tree. The type says whose fault it is; `str()` is one line that ends with what to do.

VgenError
├── InputError          theirs: bad prompts, config, variables; `problems` holds one line each; exit 3
├── Refusal             ours, on purpose: budget, lock, missing tool; nothing was started; exit 3
│   ├── OverBudget      the next reservation would pass the cap
│   ├── LockHeld        another run works on the same outputs
│   ├── LedgerUnfit     the ledger is gone, damaged, or older than its receipts; `doit recover` rebuilds it
│   └── ToolMissing     no usable ffmpeg or ffprobe, or a package of an extra is not installed
├── WireError           the world: HTTP did not work out
│   ├── NotSent         the request provably never left (no connection)
│   ├── NoAnswer        sent, perhaps accepted, and no readable answer came back
│   └── BlockedAddress  a URL that must not be opened (SECURITY: contract 7)
├── MediaError          the world: a file could not be judged or made
│   ├── NoSuchMoment    a clip shows nothing at the moment that was asked for: it is shorter
│   └── NotJudged       ffprobe or ffmpeg timed out or died; says nothing about the clip
│       └── NoDecoder   this ffmpeg lacks the decoder; another may have it
├── LedgerError         the ledger refused a write: the disk, or a rule of the purchase table
│   ├── LedgerBusy      another program has the file open just now, or no file descriptor is left; try again
│   ├── IllegalMove     BUG: a transition that purchase.py does not list
│   └── AlreadyBought   the recipe has a live, uncertain or accepted purchase
└── ClipFailed          one clip's run ended without a clip; the message is for the report
"""

from collections.abc import Iterable
from decimal import Decimal


class VgenError(Exception):
    """Root of all errors that vgen raises on purpose. `code`: its name for programs, which stays (reference.md)."""

    code = "failed"


class InputError(VgenError):
    """Bad input. `problems`: one line per problem, each saying where and what to do."""

    code = "input"

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Refusal(VgenError):
    """vgen will not start; nothing was spent."""

    code = "refused"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class OverBudget(Refusal):
    """`needed` more micro-dollars would pass the cap; `left` are left."""

    code = "over_budget"

    def __init__(self, message: str, *, needed: int, left: int) -> None:
        self.needed = needed
        self.left = left
        super().__init__(message)


class LockHeld(Refusal):
    """Another process holds the run lock of these outputs."""

    code = "locked"


class LedgerUnfit(Refusal):
    """The ledger is gone, damaged, or older than what its mark and the receipts tell; `doit recover` rebuilds it."""

    code = "ledger_unfit"


class ToolMissing(Refusal):
    """ffmpeg or ffprobe was not found, or does not run."""

    code = "tool_missing"


class WireError(VgenError):
    """HTTP failed."""


class NotSent(WireError):
    """No connection was made: the provider cannot have seen the request."""


class NoAnswer(WireError):
    """The request may have been read and acted upon; the answer is lost or unreadable."""


class BlockedAddress(WireError):
    """The URL points where a download must not go."""


class MediaError(VgenError):
    """A media file could not be made or judged."""


class NoSuchMoment(MediaError):
    """A clip of `length_s` seconds has no picture at `at_s`. The message says both, and not which clip it is."""

    def __init__(self, *, at_s: Decimal, length_s: float) -> None:
        self.at_s = at_s
        self.length_s = length_s
        lasts = f"the clip lasts {length_s:.3f} s"
        super().__init__(f"no picture at {at_s:f} s: {lasts}; name a moment within it, or its last picture")


class NotJudged(MediaError):
    """The judge failed, not the file: try again, never call the clip bad."""


class NoDecoder(NotJudged):
    """The tool can't decode this kind of file: try another tool, never call the clip bad."""


class LedgerError(VgenError):
    """The ledger refused a write."""


class LedgerBusy(LedgerError):
    """Nothing was written, and the same write may work a moment later."""


class IllegalMove(LedgerError):
    """BUG: a state change that the purchase table does not list."""


class AlreadyBought(LedgerError):
    """One live, uncertain or accepted purchase a recipe: this would have been a second one."""


class ClipFailed(VgenError):
    """No clip for this shot in this run; `str()` goes into the report as it is."""
