"""`python -m benchmarks`: measure, print a table, write JSON. Decides what is run; measures nothing itself."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Broken, Row, Table, machine


@dataclass(frozen=True, slots=True)
class Options:
    """How much of everything."""

    rounds: int
    quick: bool


def _builds(options: Options, key: str) -> Iterator[Table]:
    from benchmarks import builds

    names = ["make"] if options.quick else ["doit", "make", "ninja", "snakemake", "pytask", "dvc"]
    parts = {
        "a": [(builds.nothing_to_do, [10, 1_000, 10_000]), (builds.nothing_to_do_with_words, [10])],
        "b": [(builds.one_changed, [1_000, 10_000])],
        "c": [(builds.one_named, [10_000]), (builds.one_named_stale, [10_000])],
    }
    for made, sizes in parts[key]:
        for n in [10] if options.quick else sizes:
            yield made(n, options.rounds, names)


def _buying(options: Options, key: str) -> Iterator[Table]:
    from benchmarks import buying

    yield from buying.tables(key, options.rounds, quick=options.quick)


def _scale(options: Options, key: str) -> Iterator[Table]:
    from benchmarks import scale

    yield from scale.tables(key, options.rounds, quick=options.quick)


def _downloads(options: Options, _key: str) -> Iterator[Table]:
    from benchmarks import downloads

    yield from downloads.tables(options.rounds, quick=options.quick)


def _clips(options: Options, key: str) -> Iterator[Table]:
    from benchmarks import cuts, whole

    yield from (whole if key == "j" else cuts).tables(options.rounds, quick=options.quick)


def _cluster(options: Options, _key: str) -> Iterator[Table]:
    from benchmarks import cluster

    yield from cluster.tables(options.rounds, quick=options.quick)


PARTS: dict[str, tuple[str, Callable[[Options, str], Iterator[Table]]]] = {
    "a": ("nothing to do", _builds),
    "b": ("one prompt changed", _builds),
    "c": ("one clip named", _builds),
    "d": ("time over the ideal schedule: one run, and until every clip is there", _buying),
    "e": ("dollars billed over dollars needed, under faults", _buying),
    "f": ("CPU a clip and memory, by clips in flight", _scale),
    "g": ("downloads over TLS: time, CPU, memory, and what a poll waits meanwhile", _downloads),
    "h": ("from finished at the provider to in place; requests a job", _scale),
    "i": ("a virtual day of up to 100,000 shots", _scale),
    "j": ("a whole real clip, from finished at the provider to published; damage found", _clips),
    "k": ("the cut: the first time, and after one changed take", _clips),
    "l": ("work on clips' bytes: what it costs the head, here and on a cluster", _cluster),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="vgen against its peers and against limits, measured in the same run.",
        epilog="\n".join(f"  {key}  {what}" for key, (what, _) in PARTS.items()),
    )
    made.add_argument("--only", type=_keys, default=list(PARTS), metavar="a,b", help="these parts alone")
    made.add_argument("--quick", action="store_true", help="small sizes: does it work, not how fast")
    made.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: %(default)s)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all values here")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts; 1 if one of them broke."""
    options = parser().parse_args(argv)
    about = machine()
    print(f"{about['system']}, {about['cores']} cores, {about['memory_gb']} GB, Python {about['python']}, "
          f"load {about['load']}; {options.rounds} rounds, median (least–most); ratio: vgen over it\n")  # fmt: skip
    tables: list[Table] = []
    problems: list[str] = []
    started = time.perf_counter()
    for key in options.only:
        try:
            for table in PARTS[key][1](Options(options.rounds, options.quick), key):
                tables.append(table)
                print(shown(table), flush=True)
        except Broken as exc:
            problems.append(f"{key}: {exc}")
            print(f"{key}: BROKEN: {exc}\n", flush=True)
    short = [words for table in tables for words in table.behind()]
    if short:
        print("\n  ".join(["vgen falls short, by the ratio:", *short]))
    if options.json:
        found: dict[str, Any] = {
            "machine": about,
            "rounds": options.rounds,
            "quick": options.quick,
            "took_s": round(time.perf_counter() - started, 1),
            "tables": [table.as_json() for table in tables],
            "falls_short": short,
            "problems": problems,
        }
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if problems else 0


def shown(table: Table) -> str:
    """A table as text."""
    wide = max([len(row.name) for row in table.rows], default=0)
    lines = [f"({table.key}) {table.title} [{table.unit}]"]
    lines += [f"  {row.name:<{wide}}  {_values(row)}" for row in table.rows]
    return "\n".join([*lines, *([f"  {table.note}"] if table.note else []), ""])


def _values(row: Row) -> str:
    if row.skipped or row.median is None:
        return f"skipped: {row.skipped}"
    text = f"{_figure(row.median):>9}  ({_figure(min(row.values))}–{_figure(max(row.values))})"
    if row.ratio is not None:
        text += f"  ratio {_figure(row.ratio)}"
    return f"{text}  {row.note}".rstrip()


def _figure(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _keys(text: str) -> list[str]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    strange = [key for key in keys if key not in PARTS]
    if strange or not keys:
        raise argparse.ArgumentTypeError(f"{', '.join(strange) or text!r}: there are {', '.join(PARTS)}")
    return keys


if __name__ == "__main__":
    sys.exit(main())
