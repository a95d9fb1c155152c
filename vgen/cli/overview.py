"""`doit help vgen`, or `doit vgen`: the commands, variables and exit codes on one screen."""

import sys
from typing import Any

from doit.cmd_base import Command

from vgen.cli import registry
from vgen.cli.doit.compat import program
from vgen.views.advice import Advice

OF_DOIT = ("doit list, info, clean, forget", "doit's own; none of them costs money")
OF_VGEN = ("vgen init DIR", "start a film of your own in a new folder (typed as vgen, not doit)")
VARIABLES = {
    "visual_prompts": "the list of shots",
    "api_config": "the providers",
    "outputs": "where everything is written",
    "primary_api": "where clips are bought",
    "fallback_api": "where they are bought if that fails; none",
    "max_concurrent": "generations at once",
    "max_retries": "orders per clip and provider",
    "clip_timeout_s": "when a running job is left to the next run",
    "budget_usd": "cap of this production, over all runs",
    "partial": "yes: buy what fits the budget",
    "takes_wanted": "good takes of each shot",
    "tier": "final, draft: buy with the sections' draft settings",
    "audio": "yes: clips with sound, where the model makes it",
    "on_uncertain": "rebuy: buy again what was perhaps bought",
    "min_success_rate": "gate",
    "min_clip_bytes": "a clip with no more bytes is rejected",
    "aspect_ratio": "9:16, 16:9, 1:1",
    "mode": "auto, live, simulate",
    "clip_paths": "relative, absolute: in the JSON outputs",
    "backoff_base_s": "first delay between attempts",
    "backoff_max_s": "longest delay",
    "wait": "yes: wait for another run on the same outputs",
    "ai_mark": "no: conformed clips and cut carry no AI mark (IPTC)",
    "sign": "no: they are not signed (C2PA)",
    "sign_certificate": "PEM file; else the one that `credentials` made",
    "sign_key": "PEM file, the key of sign_certificate",
    "sign_details": "told in signatures: prompt, seed, price, provider, model",
    "proxy": "http(s)://HOST:PORT: for all requests",
    "cluster": "tls://HOST:PORT of a Dask scheduler: its workers check",
    "cluster_ca": "PEM file: who signed the scheduler's certificate",
    "cluster_cert": "PEM file; without these three, as Dask is configured",
    "cluster_key": "PEM file, the key of cluster_cert",
    "cluster_timeout_s": "when a worker's job is given to another",
    "notify_command": "run at the end, a failed gate, the cap, an uncertain order",
    "notify_url": "posted to at the same moments",
}
CODES = (
    ("0", "all gates hold, or the named clips are in place"),
    ("1", "a gate fails, a named clip is not in place, or doctor says FIX"),
    ("2", "an error inside a task"),
    ("3", "nothing was started: bad input, config, key, budget, or another run"),
    ("129, 130, 143", "interrupted; the report is written all the same"),
)


def commands() -> list[tuple[str, str]]:
    """All lines about commands, as the commands say them."""
    return [line for command in registry.commands().values() for line in command.usage] + [OF_VGEN, OF_DOIT]


def text() -> str:
    """The whole screen."""
    from vgen.inputs.variables import Run

    defaults = {name: Run.model_fields[name].default for name in VARIABLES}
    shown = {name: {"True": "yes", "False": "no"}.get(str(value), value) for name, value in defaults.items()}
    lines = ["vgen: Make for AI video. Buys only the clips that are stale or missing, once, within a budget.", ""]
    called = program()
    advice = Advice(program=called)
    lines += [f"  {command.replace('doit', called):<32} {advice(what)}" for command, what in commands()]
    lines += ["", f'Variables, as in `{called} primary_api=pika`; also VGEN_PRIMARY_API=…, or "run" in the config:', ""]
    lines += [f"  {name:<18} {shown[name]!s:<28} {what}" for name, what in VARIABLES.items()]
    lines += ["", "Exit codes:", ""]
    lines += [f"  {code:<18} {what}" for code, what in CODES]
    return "\n".join(lines) + "\n"


class Overview(Command):  # type: ignore[misc]
    """`doit vgen`."""

    name = "vgen"
    doc_purpose = "vgen's commands, variables and exit codes"
    doc_usage = ""
    doc_description = None

    def help(self) -> str:
        """`doit help vgen`."""
        return text()

    def execute(self, opt_values: Any, pos_args: list[str]) -> None:  # noqa: ARG002 - doit's signature
        """Show it."""
        sys.stdout.write(text())
