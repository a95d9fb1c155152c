"""The film of a production for `vgen.review`: what the gallery shows of it, and choices by the commands' own code."""

import dataclasses
import os
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgen.cli import registry
from vgen.cli.commands import gallery as gallery_command
from vgen.errors import ClipFailed, InputError
from vgen.inputs.pictures import File
from vgen.store.database import commits
from vgen.store.lock import held_by
from vgen.views import gallery, review

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.review.app import Page
    from vgen.review.choices import Choice

SETTINGS = (".env",)


class ReviewFilm:
    """As `vgen.review.app.Film` asks. Nothing here holds the run lock longer than one choice."""

    def __init__(self, session: "Session") -> None:
        self._typed = session
        self._session = session
        self._inputs = self._input_stats()
        self._pictures: tuple[Hashable, dict[str, bytes], dict[str, bytes]] = (None, {}, {})
        self._page: tuple[Hashable, gallery.Page] | None = None

    @property
    def outputs(self) -> Path:
        return self._session.workspace.outputs.root

    # ── changes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def state(self) -> Hashable:
        """What any change of ledger, clips, inputs or builder changes. Opens no database."""
        outputs = self._session.workspace.outputs
        clips = tuple(sorted((name, stat.mtime_ns, stat.size_bytes) for name, stat in outputs.clip_stats().items()))
        return commits(outputs.ledger), clips, self._input_stats(), self.builder()

    def builder(self) -> int | None:
        """The process whose build holds the outputs just now; our own choices do not count."""
        holder = held_by(self._session.workspace.outputs)
        return None if holder == os.getpid() else holder

    def _input_stats(self) -> Hashable:
        return tuple(map(_stat, self._read_files()))

    def _read_files(self) -> Iterator[Path]:
        """The files that settings and shots were read from."""
        workspace = self._session.workspace
        run, root = workspace.ready.run, workspace.root
        yield from (root / name for name in (run.api_config, run.visual_prompts, *SETTINGS))
        for request in workspace.requests:
            yield from (root / source.path for _, source in request.shot.pictures.pairs if isinstance(source, File))

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> gallery.Page:
        """The film as it is now. Raises VgenError: the inputs may have been edited."""
        now = self.state()
        if self._page is None or self._page[0] != now:
            if self._input_stats() != self._inputs:
                fresh = self._another({})
                if fresh.workspace.problems:
                    raise InputError(fresh.workspace.problems)
                self._session = fresh
                self._inputs = self._input_stats()
            self._session.forget_view()
            self._page = now, gallery_command.gather(self._session)
        return self._page[1]

    def shots(self) -> Mapping[str, Any]:
        """The film as JSON. Raises VgenError."""
        return {**review.film(self._look()), "builder": self.builder()}

    def page(self, only: frozenset[int] | None) -> "Page":
        """The page. Raises VgenError."""
        from vgen.review.app import Page

        page = self._look()
        posters, thumbnails = self._drawn()
        html = "".join(
            gallery.pieces(page, posters, thumbnails, review=gallery.Review(digest=review.digest, only=only))
        )
        return Page(html=html, policy=gallery.policy(review=True))

    def _drawn(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Poster frames and thumbnails that the gallery on disk holds."""
        at = _stat(self._session.workspace.outputs.gallery)
        if self._pictures[0] != at:
            self._pictures = (at, *gallery_command.drawn_before(self._session.workspace.outputs.gallery))
        return self._pictures[1], self._pictures[2]

    # ── choosing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def choose(self, choice: "Choice") -> None:
        """Run the command that the choice is, as `doit` would. Raises InputError, LockHeld, VgenError."""
        import trio

        session = self._another(choice.variables)
        ready = session.workspace.ready
        session.workspace.settings = dataclasses.replace(ready, run=ready.run.model_copy(update={"wait": False}))
        try:
            with session.before_load([choice.command]):
                session.before_run([choice.command], [choice.command], always=False)
                trio.run(session.begun(choice.command), clock=session.clock)
                if session.after_run(None):
                    raise ClipFailed("the choice was written down, but not the report; make room and choose again")
        except BaseExceptionGroup as group:
            raise _first(group) from group

    def _another(self, variables: Mapping[str, str]) -> "Session":
        """The same directory read anew, for one command with these variables of its own."""
        from vgen.cli.session import Session

        typed = self._typed
        made = Session(typed.workspace.root, typed.environ, typed.services)
        made.variables = {**registry.run_variables(made.variables), **variables}
        made.reporter = typed.reporter
        return made


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _stat(path: Path) -> Hashable:
    try:
        found: os.stat_result = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
