"""vgen from Python: what a production would cost, build it, read its report. Stable: names stay, keys are only added.

```python
from vgen import api

plan = api.plan("film", budget_usd=5)
if plan.fits:
    report = api.build("film", budget_usd=5)
    print(report.successful_clips, report.budget.spent_usd)
```

The models are those of docs/schema (plan.json, production_report.json); a test holds the two against each other. Keys
that a newer vgen adds are kept as they are.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from vgen.cli.services import real_services
from vgen.errors import InputError, Refusal, VgenError
from vgen.production.workspace import Workspace

Event = Mapping[str, Any]
"""One line of `doit -r jsonl` (docs/schema/event.schema.json)."""
_REFUSED = 3


class _Model(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class PlannedOffer(_Model):
    """Where a shot may be bought, and how often."""

    provider: str
    model: str
    price_usd: float
    max_retries: int
    prompt_hash: str
    text_hash: str | None = None


class PlannedTakes(_Model):
    """Of a shot of which more than one take is wanted. `price_usd`: of those beside the clip's own."""

    wanted: int
    accepted: int
    to_buy: int
    price_usd: float


class PlannedShot(_Model):
    """What a run would do for a shot, and why. `after`: the shots whose frames it is made from."""

    shot_number: int
    action: Literal["keep", "restore", "collect", "buy", "wait", "share", "held", "stop"]
    why: str
    provider: str | None
    model: str | None
    price_usd: float
    worst_case_usd: float
    offers: tuple[PlannedOffer, ...]
    prompt_hash: str | None
    locked: Literal[True] | None = None
    note: str | None = None
    after: tuple[int, ...] | None = None
    text_hash: str | None = None
    takes: PlannedTakes | None = None


class PlannedBudget(_Model):
    """Of this production, over all runs. No cap: play money without an explicit budget."""

    cap_usd: float | None
    spent_usd: float
    reserved_usd: float
    uncertain_usd: float
    left_usd: float | None


class Plan(_Model):
    """What a run would do, and for how much (plan.json)."""

    plan_version: int
    simulated: bool
    total_usd: float
    worst_case_usd: float
    fits: bool
    expected_time_s: float
    budget: PlannedBudget
    shots: tuple[PlannedShot, ...]


class Claims(_Model):
    """What a take says of its own making: its provider's word, unchecked. What it does not say is None."""

    c2pa_bytes: int | None = None
    digital_source_types: tuple[str, ...] | None = None
    c2pa_elsewhere: Literal[True] | None = None


class Clip(_Model):
    """A shot's clip, or why there is none.

    `edited`, `tier`, `locked`, `note`, `remarks`, `claims`: only where there is something to say.
    """

    shot_number: int
    clip_path: str | None
    success: bool
    api_used: str | None
    cost_usd: float
    generation_time_s: float
    error: str | None
    prompt_hash: str | None
    take: int | None
    model: str | None
    job_id: str | None
    width: int | None
    height: int | None
    duration_s: float | None
    fps: float | None
    codec: str | None
    has_audio: bool | None
    size_bytes: int | None
    sha256: str | None
    kept: bool
    attempts: int
    simulated: bool
    edited: bool | None = None
    tier: Literal["draft"] | None = None
    locked: Literal[True] | None = None
    note: str | None = None
    remarks: tuple[str, ...] | None = None
    claims: Claims | None = None


class RunFacts(_Model):
    """The run that wrote the report; times in ISO 8601, UTC."""

    id: str
    started_at: str
    finished_at: str
    wall_time_s: float
    generated: int
    reused: int
    resumed: int
    interrupted: bool


class Budget(_Model):
    """Everything that this production ever cost, failures and discarded takes too."""

    cap_usd: float | None
    spent_usd: float
    reserved_usd: float
    uncertain_usd: float
    remaining_usd: float | None


class Gate(_Model):
    """What must hold for a run to end well."""

    name: Literal["success_rate", "resolution", "budget"]
    passed: bool
    value: float | None
    threshold: float | None


class Report(_Model):
    """What was made, at what cost, and what is missing (production_report.json)."""

    total_clips: int
    successful_clips: int
    failed_clips: int
    success_rate: float
    total_cost_usd: float
    total_time_s: float
    clips: tuple[Clip, ...]
    report_version: int
    simulated: bool
    run: RunFacts
    budget: Budget
    gates: tuple[Gate, ...]
    left_over: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all gates hold."""
        return all(gate.passed for gate in self.gates)


def plan(root: Path | str, **variables: Any) -> Plan:
    """What `doit plan` says of the production in this directory; spends nothing. `variables`: run variables.

    Raises InputError for bad input, Refusal for what can't be looked at, both with a `code` (docs/reference.md).
    """
    found: list[Event] = []
    _vgen(root, ["plan"], variables, found.append)
    return Plan.model_validate(next(one["plan"] for one in found if one["event"] == "plan"))


def build(
    root: Path | str, targets: Sequence[str] = (), on_event: Callable[[Event], None] | None = None, **variables: Any
) -> Report:
    """Make what is missing or stale, as `doit` does, in a process of its own; may spend money, up to the budget.

    `targets`: tasks such as `clip:7`; none is all. `on_event`: is called with each event, as it happens. Returns the
    report, good or bad: look at `passed` and at each clip's `success`. Raises as `plan` does; then nothing was begun.
    Raises VgenError if the build itself was ended by a bug or a signal: what was bought is in the ledger. An exception
    here (Ctrl-C, one of `on_event`) ends the build as `kill` does. If this process is killed, the build goes on alone.
    """
    if isinstance(targets, str):
        raise InputError([f"targets: give a list, as in targets=[{targets!r}]"])
    _vgen(root, targets, variables, on_event or (lambda _: None))
    return report(root, **variables)


def report(root: Path | str, **variables: Any) -> Report:
    """The report of the last run. Raises InputError if there is none, or it is none of vgen's."""
    path = Workspace(Path(root), _spelled(variables), None, real_services()).outputs.report_json
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise InputError([f"{path}: there is no report yet ({exc.strerror}); build first"]) from exc
    except ValidationError as exc:
        raise InputError([f"{path}: is no report of vgen's; run `doit report`"]) from exc


def _vgen(
    root: Path | str, words: Sequence[str], variables: Mapping[str, Any], on_event: Callable[[Event], None]
) -> None:
    """Run vgen there, event by event. Raises what it refuses, and VgenError if it was ended by a bug or a signal."""
    if not Path(root).is_dir():
        raise InputError([f"{root}: there is no such folder; `vgen init {root}` starts a film there"])
    given = [f"{name}={value}" for name, value in _spelled(variables).items()]
    command = [sys.executable, "-X", "utf8", "-m", "vgen", "run", "-r", "jsonl", *words, *given]
    errors: list[Event] = []
    with tempfile.TemporaryFile() as said, subprocess.Popen(  # noqa: S603 - this Python, this package
        command, cwd=root, encoding="utf-8", errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
        process_group=0,  # a Ctrl-C reaches all of a group, and with ours it would be the second signal: out at once
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                event = _event(line)
                errors += [event] if event["event"] == "error" else []
                on_event(event)
        except BaseException:
            process.terminate()  # it writes down what was begun, as with Ctrl-C
            for _ in process.stdout:
                pass
            raise
        code = process.wait()
        said.seek(0)
        text = said.read().decode("utf-8", "replace").strip()
    if code == _REFUSED or errors:
        raise _refusal(errors, text)
    if code not in (0, 1):
        raise VgenError(text or f"vgen ended with {code}")


def _event(line: str) -> Event:
    """A line of the build's output; what a dodo.py or a task of the film's own prints is text."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if isinstance(told, dict) and "event" in told:
        return told
    return {"at": round(time.time(), 3), "run": None, "shot": None, "event": "text", "text": line.rstrip()}


def _refusal(errors: Sequence[Event], said: str) -> InputError | Refusal:
    texts = [one["text"] for one in errors] or [line.removeprefix("ERROR: ") for line in said.splitlines() if line]
    code = errors[0]["code"] if errors else "input"
    return InputError(texts) if code == InputError.code else Refusal("\n".join(texts), code=code)


def _spelled(variables: Mapping[str, Any]) -> dict[str, str]:
    """As on a command line."""
    words = {True: "yes", False: "no"}
    return {name: words[value] if isinstance(value, bool) else str(value) for name, value in variables.items()}
