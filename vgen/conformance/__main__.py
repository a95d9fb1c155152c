"""`python -m vgen.conformance NAME`: one line for each rule that was tried; exit 1 if one is broken."""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from vgen import providers
from vgen.conformance import productions, wire
from vgen.conformance.rule import Result
from vgen.providers.plugins import BrokenPlugin

BROKEN, BAD_INPUT = 1, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Try every rule. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m vgen.conformance", description=__doc__)
    parser.add_argument("protocol", help="its name: one of vgen's, or of an installed plug-in")
    parser.add_argument("--model", help="what to order (default: the protocol's own default)")
    parser.add_argument("--kills", type=int, default=10, help="how often a run is killed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of faults and kills (default: %(default)s)")
    asked = parser.parse_args(argv)
    try:
        if not providers.has_protocol(asked.protocol):
            known = ", ".join([*providers.CODECS, *providers.plugins.installed()])
            return _refuse(f"{asked.protocol}: no such protocol; there are {known}")
    except BrokenPlugin as exc:
        return _refuse(f"{asked.protocol}: {exc}")
    codec = providers.CODECS[asked.protocol]
    model = asked.model or codec.VENDOR.model
    if not model:
        return _refuse(f"{asked.protocol} has no default model; name one with --model")
    results, all_tried = list(wire.rules(codec, model)), False
    if _hold(results):
        with tempfile.TemporaryDirectory(prefix="vgen-conformance-") as home:
            stand = productions.Stand(Path(home), asked.protocol, codec, model, seed=asked.seed)
            results += _told(productions.good_day(stand))
            if all_tried := _hold(results):
                results += _told(productions.bad_days(stand, kills=asked.kills))
    broken = [result for result in results if result.problem]
    rest = "" if all_tried else "; the other rules are tried when these hold"
    print(f"{asked.protocol}: {len(results) - len(broken)} of {len(results)} rules hold{rest}")
    return BROKEN if broken else 0


def _hold(results: Sequence[Result]) -> bool:
    return not any(result.problem for result in results)


def _told(results: Iterable[Result]) -> list[Result]:
    """A line for each, as soon as it is known."""
    told = []
    for result in results:
        told.append(result)
        print(result, flush=True)
    return told


def _refuse(problem: str) -> int:
    print(f"vgen.conformance: {problem}", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
