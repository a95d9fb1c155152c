"""vgen's tasks for doit. `doit list` shows them, `doit help vgen` explains them; README.md has the rest."""

from pathlib import Path

from vgen.cli.session import Session

_session = Session(Path(__file__).resolve().parent)

DOIT_CONFIG = _session.config()
globals().update(_session.tasks())
