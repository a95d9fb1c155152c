"""What vgen knows of one verb: name, words, variables, and what it does. doit's tasks are made from these values."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgen.store.outputs import Outputs

if TYPE_CHECKING:
    from vgen.cli.session import Session

Task = dict[str, Any]
"""A task as doit takes it."""
Action = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One verb. Every list of commands (doit's tasks, the help screen, what needs a lock) is derived from these.

    `usage`: lines of `doit help vgen`. `variables`: run variables that belong to this verb alone. `example`: how to
    type a verb that is about one shot; it runs alone. `begin` checks what was typed, before any task starts, and
    returns the action; it raises InputError.
    """

    name: str
    doc: str
    begin: "Callable[[Session], Action]"
    usage: Sequence[tuple[str, str]] = ()
    variables: Sequence[str] = ()
    shared: "Mapping[str, Callable[[str], bool]]" = field(default_factory=dict)
    """Run variables that mean something else to this verb, and which values mean that (`audio=music.wav`)."""
    example: str = ""
    check: Callable[[Mapping[str, str]], Sequence[str]] | None = None
    """Problems of its variables that show before anything is read."""

    needs_lock: bool = True
    """Whether it may change something."""
    builds: bool = False
    """Whether it is part of making clips and report."""
    bears_problems: bool = False
    """Whether it runs although the input has problems."""
    bears_unfit_ledger: bool = False
    """Whether it runs although the ledger can't be trusted, and says so itself."""

    targets: Callable[[Outputs], Sequence[Path]] | None = None
    is_current: "Callable[[Session], bool] | None" = None
    task_dep: Sequence[str] = ()
    clean: "Callable[[Session, bool], None] | None" = None
    """Called with dryrun; without it, doit removes the targets."""
    after_failures: bool = False
    """Whether it runs although tasks that it depends on failed."""
    soft: bool = False
    """Whether its failure leaves the exit code alone, unless it was named."""
    members: "Callable[[Session, Command], Iterator[Task]] | None" = None
    """For a group: its members."""
