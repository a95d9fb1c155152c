"""Records that a whole run left nothing to do, so that the next one sees it at once (see noop)."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vgen.cli import noop
from vgen.cli.commands import collect
from vgen.inputs.pictures import File
from vgen.store.lock import unsign_lock
from vgen.store.outputs import clip_name

if TYPE_CHECKING:
    from vgen.cli.session import Session


def record(session: "Session") -> None:
    """Write the fingerprint of a finished production, if this run was a plain `doit` that left one."""
    known = session.current == {"report", "gallery"}
    if sys.argv[1:] or not session.is_stock or not session.entered or not known:
        return
    view, workspace = session.view(), session.workspace
    steps = view.plan.steps
    every = {"collect", "clip", "report", "gallery", *(f"clip:{step.number}" for step in steps)}
    done = collect.nothing_left_over(session) and all(step.finished for step in steps)
    if session.selection.tasks != every or not done:
        return
    unsign_lock(workspace.outputs)
    placed = {row.name: row for row in view.snapshot.placed.values()}
    rows = [placed[clip_name(step.number)] for step in steps]
    left = {row.name: (row.size_bytes, row.mtime_ns) for row in rows}
    run, shots = workspace.ready.run, [request.shot for request in workspace.requests]
    pictures = (source.path for shot in shots for _, source in shot.pictures.pairs if isinstance(source, File))
    read = [name for name in (run.api_config, run.visual_prompts, *dict.fromkeys(pictures)) if name != noop.CONFIG]
    with contextlib.suppress(OSError, ValueError):
        outputs = str(workspace.outputs.root)
        text = noop.stamp(str(workspace.root), outputs, read, left=left, began_ns=session.began_ns, there=session.given)
        if text is not None:
            Path(outputs, noop.STAMP).write_text(text, encoding="utf-8")
