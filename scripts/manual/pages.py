"""The pages of the documentation: blocks of commands, links, tables. Runs nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(
    path
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
    if "outputs" not in path.parts
)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page, and the lines that it is said to print (none: nothing is said)."""

    line: int
    text: str
    expected: tuple[str, ...]


def name(page: Path) -> str:
    """A page's path as a link from the top would have it."""
    return page.relative_to(ROOT).as_posix()


def fences(page: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, what stands behind the backticks, and the body of each fenced block."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        body = re.sub(f"^{found['indent']}", "", found["body"], flags=re.MULTILINE)
        yield text.count("\n", 0, found.start("body")) + 1, found["info"].strip(), body


def commands(page: Path) -> list[Command]:
    """All commands of the `console` blocks that are to be run, in order."""
    return [
        command
        for line, info, body in fences(page)
        if info == "console"
        for command in _of_block(line, body.splitlines())
    ]


def _of_block(first: int, lines: list[str]) -> Iterator[Command]:
    """`$ ` begins a command, `> ` goes on with it, everything else is what it prints."""
    assert lines[0].startswith("$ "), f"line {first}: a console block begins with `$ `"
    starts = [k for k, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        said = lines[start + 1 : end]
        more = [line for line in said if line.startswith("> ")]
        text = "\n".join([lines[start], *more]).replace("$ ", "", 1).replace("\n> ", "\n")
        yield Command(first + start, text, tuple(said[len(more) :]))


def not_run(page: Path) -> list[tuple[int, str]]:
    """Line and reason of the `console` blocks that are not run."""
    return [(line, info.removeprefix("console")) for line, info, _ in fences(page) if re.match(r"console\b.", info)]


def links(page: Path) -> list[str]:
    """Targets of all links and pictures, code left aside."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return [found["target"] for found in _LINK.finditer(re.sub(r"`[^`\n]*`", "", text))]


def anchors(page: Path) -> set[str]:
    """What `#…` may name on a page, by GitHub's rule."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section(page: Path, title: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"{name(page)} has no heading {title!r}"
    return found[1]


def rows(page: Path, title: str) -> list[list[str]]:
    """The cells of the tables' rows below a heading, without the tables' heads."""
    lines = section(page, title).splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("|-") and not after.startswith("|-")
    ]


def code(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def words(page: Path, title: str) -> set[str]:
    """The words in backticks below a heading."""
    return code(section(page, title))


def named(page: Path, title: str) -> set[str]:
    """The words in backticks in the first cells of the tables below a heading."""
    return {word for cells in rows(page, title) for word in code(cells[0])}


def mentioned(page: Path) -> list[str]:
    """The `doit …` commands in running text."""
    return sorted(word for word in code(_FENCE.sub("", page.read_text("utf-8"))) if word.startswith("doit "))


def environment_variables(page: Path) -> set[str]:
    """All VGEN_… names on a page."""
    return set(re.findall(r"\bVGEN_[A-Z_]*[A-Z]\b", page.read_text("utf-8")))


def faults(page: Path) -> list[str]:
    """The names of the simulator's faults that a page tells the reader to use."""
    return re.findall(r"--fault ([a-z0-9_.]+)=", page.read_text("utf-8"))


def pattern(expected: tuple[str, ...]) -> re.Pattern[str]:
    """What a command must print: `…` on a line of its own is any lines, within a line any text."""
    parts = [
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else ".*?".join(map(re.escape, line.rstrip().split("…"))) + r"[ ]*\n"
        for line in expected
    ]
    return re.compile("".join(parts))
