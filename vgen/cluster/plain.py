"""Jobs as JSON and back, the same on both sides. What comes back from a worker is read in facts.py, with suspicion."""

import dataclasses
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from vgen.media.hands import Bring, Encode, Job, Look, Poster, Put
from vgen.media.judge import Wanted
from vgen.media.probe import Facts
from vgen.media.target_format import TargetFormat


def written(job: Job[Any], folder: Path, stem: int) -> str:
    """A job for a worker, whose files go to `folder`, under names that begin with `stem`."""
    assert dataclasses.is_dataclass(job) and not isinstance(job, type)  # noqa: PT018 - for mypy
    return json.dumps({"job": dataclasses.asdict(job), "folder": str(folder), "stem": stem}, default=str)


def read(kind: str, found: Mapping[str, Any]) -> Job[Any]:
    """The job of this kind. Raises LookupError, TypeError, ValueError."""
    told = dict(found)
    for name in ("part", "take", "source", "clip", "path", "resume"):
        if isinstance(told.get(name), str):
            told[name] = Path(told[name])
    match kind:
        case "Bring":
            return Bring(**told | {"wanted": Wanted(**told["wanted"])})
        case "Put":
            return Put(**told)
        case "Encode":
            form = told["form"]
            made = TargetFormat(width=form["width"], height=form["height"], fps=Fraction(form["fps"]))
            return Encode(**told | {"clip": Facts(**told["clip"]), "form": made})
        case "Poster":
            return Poster(**told)
        case "Look":
            return Look(**told)
    raise LookupError(kind)
