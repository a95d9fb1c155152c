"""The documentation says what is: its commands run as printed, its links lead somewhere, its lists are complete."""

import ast
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import shared
from workshop import kept_port

import vgen
from scripts import recording
from scripts.manual import pages
from scripts.manual.pages import PAGES, ROOT
from scripts.manual.shell import Shell, environment
from vgen.cli import notify, registry
from vgen.cli.doit import runner
from vgen.inputs.shot_keys import FOR_OTHERS, FRAMING, READ
from vgen.inputs.shot_list import AROUND
from vgen.inputs.variables import _ALIASES, FOR_TESTS, OTHER_ENVIRONMENT, VARIABLES, ProviderConfig, Run
from vgen.plan.decision import Action
from vgen.providers import CODECS
from vgen.simulator.faults import KNOWN

PORT = "8080"
"""The port that the pages name; a free one stands in for it."""
RUN = [page for page in PAGES if pages.commands(page)]
PASSING = re.compile(
    r" *clip \d+  (?:queued|rendering) at \w+(?:, \d+ before it)?|vgen: conforming: \d+ of \d+ clips(?:, .*)?"
)
"""Said when a question meets the job in that state, and where work takes long: on a busy machine the next question may
find it done, and all work takes long.
"""


def project(at: Path) -> Path:
    """What a clone of the repository has for its user."""
    at.mkdir()
    shutil.copy(ROOT / "dodo.py", at)
    for folder in ("config", "examples"):
        shutil.copytree(ROOT / folder, at / folder, ignore=shutil.ignore_patterns("outputs", ".doit.db", "__pycache__"))
    return at


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first `doit`."""

    def make(folder: Path) -> None:
        with Shell(project(folder / "vgen"), environment()) as shell:
            code, said = shell.run("doit")
        assert code == 0, said

    return shared.once(tmp_path_factory, "docs", make) / "vgen"


@pytest.fixture
def port() -> Iterator[str]:
    with kept_port() as number:
        yield number


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize("page", RUN, ids=pages.name)
def test_the_commands_of_a_page_do_what_the_page_says(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, port: str
) -> None:
    """The tutorial begins in a fresh clone; all other pages where its first `doit` ends."""
    home = tmp_path / "vgen"
    if page.name == "tutorial.md":
        project(home)
    else:
        shutil.copytree(request.getfixturevalue("built"), home)
    with Shell(home, environment() | {"XDG_CONFIG_HOME": str(tmp_path / "settings")}) as shell:
        todo = pages.commands(page)
        for command, following in zip(todo, [*todo[1:], None], strict=True):
            code, said = shell.run(command.text.replace(PORT, port))
            where = f"{pages.name(page)}:{command.line}: $ {command.text}\n{said}"
            asked = following is not None and following.text == "echo $?"
            assert code == 0 or asked, f"{where}\nended with {code}, and the page does not ask"
            if command.expected:
                wanted = tuple(line.replace(PORT, port) for line in lasting(command.expected))
                told = "\n".join([*lasting(said.split("\n")), ""])
                assert pages.pattern(wanted).fullmatch(told), f"{where}\nis not:\n" + "\n".join(wanted)


def lasting(lines: Iterable[str]) -> list[str]:
    """What is said however busy the machine is."""
    return [line for line in lines if not PASSING.fullmatch(line)]


COMPLETE = """
_get_comp_words_by_ref() {{ words=(doit {word}); cword=1; cur={word}; prev=doit; }}  # as bash-completion would
__ltrim_colon_completions() {{ :; }}
source <(doit tabcompletion --shell bash)
_doit
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(("word", "offered"), [("clip:", ["clip:1", "clip:2", "clip:3"]), ("pl", ["plan"])])
def test_bash_completes_tasks_and_single_clips(word: str, offered: list[str], tmp_path: Path) -> None:
    with Shell(project(tmp_path / "vgen"), environment()) as shell:
        code, said = shell.run(COMPLETE.format(word=word))
    assert (code, said.split()) == (0, offered)


def test_no_block_of_a_page_is_overlooked() -> None:
    for page in PAGES:
        marks = re.findall(r"^\s*```", page.read_text("utf-8"), re.MULTILINE)
        assert len(marks) == 2 * len(list(pages.fences(page))), pages.name(page)


def test_a_console_block_that_is_not_run_says_why() -> None:
    found = [(pages.name(page), reason) for page in PAGES for _, reason in pages.not_run(page)]
    assert all(reason.startswith(" no-run: ") and len(reason) > 20 for _, reason in found), found
    assert len(found) <= 4, "most commands can be tried out in the simulator"


def is_there(page: Path, target: str) -> bool:
    """Whether a link of this page leads to a page and a heading of it."""
    file, _, anchor = unquote(target).partition("#")
    there = (page.parent / file).resolve() if file else page
    return there.exists() and (not anchor or anchor in pages.anchors(there))


def test_a_loop_that_waits_can_end_without_what_it_waits_for() -> None:
    """A port that is taken, a command that fails: the loop ends with the process, or after a number of rounds."""
    loops = [command.text for page in PAGES for command in pages.commands(page) if "; do " in command.text]
    assert loops
    for text in loops:
        assert "kill -0 $!" in text or " in $(seq " in text, text


def test_links_lead_to_pages_and_headings_that_exist() -> None:
    links = [(page, target) for page in PAGES for target in pages.links(page)]
    inside = [(page, target) for page, target in links if not re.match(r"\w+://|mailto:", target)]
    assert inside
    assert [(pages.name(page), target) for page, target in inside if not is_there(page, target)] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        found = [
            (page.parent / target.partition("#")[0]).resolve() for target in pages.links(page) if "://" not in target
        ]
        waiting += [path for path in found if path.suffix == ".md" and path.is_file()]
        waiting += [md for path in found if path.is_dir() for md in path.glob("*.md")]
    assert set(PAGES) - seen == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.slow
def test_the_recording_is_what_vgen_prints_now(tmp_path: Path) -> None:
    """What happens in one and the same instant may come in another order, and so be counted in another one."""
    now, told = (
        sorted(re.sub(r"\[\d+/12\]", "[n/12]", page).splitlines())
        for page in (recording.page(tmp_path), recording.PAGE.read_text("utf-8"))
    )
    assert now == told, "`python -m scripts.recording` writes it anew"


REFERENCE = ROOT / "docs" / "reference.md"


def properties(value: Any) -> Iterator[str]:
    """The names of all keys that a schema knows."""
    if isinstance(value, dict):
        yield from value.get("properties", ())
        for inner in value.values():
            yield from properties(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from properties(inner)


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "schema" / f"{name}.schema.json").read_text("utf-8"))
    return found


def said_events() -> set[str]:
    """The names of the events that vgen's code says: `event="…"`, `"event": "…"`, what `line` and `data` are given."""
    found: list[ast.expr] = []
    for path in Path(vgen.__file__).parent.rglob("*.py"):
        if "simulator" in path.parts:
            continue  # its events are requests, and nobody's screen shows them
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                found += [keyword.value for keyword in node.keywords if keyword.arg == "event"]
                found += node.args[2:3] if called == "line" else node.args[:1] if called == "data" else []
            elif isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                found += [value for key, value in pairs if getattr(key, "value", "") == "event"]
    return {str(value.value) for value in found if isinstance(value, ast.Constant)} | {"note"}


def test_the_reference_has_every_run_variable_with_its_default() -> None:
    rows = {cells[0]: cells[1] for cells in pages.rows(REFERENCE, "Run variables")}
    for name, field in Run.model_fields.items():
        default = {"True": "yes", "False": "no", "": "none"}.get(str(field.default), str(field.default))
        assert rows[f"`{name}`"].strip("`") == default, name
    assert {f"`{name}`" for name in registry.command_variables()} | {f"`{name}`" for name in VARIABLES} == set(rows)


def test_the_reference_has_every_variable_of_the_environment() -> None:
    named = pages.named(REFERENCE, "Keys and programs")
    vendors = [codec.VENDOR for codec in CODECS.values()]
    sections = {f"{vendor.section.upper()}_API_KEY" for vendor in vendors if vendor.section}
    keys = {key for vendor in vendors for key in vendor.keys} | sections
    assert named == keys | {"NAME_API_KEY"} | OTHER_ENVIRONMENT - FOR_TESTS


def test_the_reference_has_every_key_of_a_provider_and_its_aliases() -> None:
    aliases = {".".join(path) for path in _ALIASES.values()}
    assert pages.named(REFERENCE, "Providers in api_config.json") == {*ProviderConfig.model_fields, *aliases}


def test_the_reference_has_every_key_of_the_shot_list() -> None:
    named = pages.named(REFERENCE, "The shot list")
    assert {*READ, *FRAMING, *FOR_OTHERS} == named - {
        "platform",
        "aspectRatio",
        "Seed",
        "image_url",
        "defaults",
    }
    assert {f'"{key}"' for key in AROUND if key != "platform"} <= pages.words(REFERENCE, "The shot list")


def test_the_reference_has_every_task() -> None:
    tasks = set(registry.commands())
    assert pages.named(REFERENCE, "Tasks") == tasks | {"clip:7"}


def test_the_reference_has_every_key_of_what_vgen_writes() -> None:
    clips = pages.named(REFERENCE, "clips.json")
    assert clips == set(properties(schema("clips")))
    report = pages.words(REFERENCE, "production_report.json")
    assert set(properties(schema("production_report"))) <= report | clips
    assert set(properties(schema("plan"))) | {act.value for act in Action} <= pages.words(REFERENCE, "plan.json")


@pytest.mark.slow
def test_the_reference_and_the_schema_have_every_event() -> None:
    listed = pages.named(REFERENCE, "Events")
    assert listed == set(schema("event")["properties"]["event"]["enum"])
    assert listed == said_events()
    assert pages.words(REFERENCE, "Run variables") >= notify.EVENTS


def test_the_reference_has_every_fact_of_an_event() -> None:
    always = {"shot", "event", "text", "at", "run"}
    facts = {word for cells in pages.rows(REFERENCE, "Events") for word in pages.code(cells[2])}
    assert facts == set(schema("event")["properties"]) - always


DOIT = {"help", "list", "info", "clean", "forget", "ignore", "run", "tabcompletion"}
OPTIONS = {"-a", "-s", "-n", "--all", "--status"}
WITH_VALUE = {"-r", "-f", "--shell"}


def test_every_doit_command_that_a_page_mentions_could_be_typed() -> None:
    """Tasks, variables and options of commands in running text, where no shell tries them."""
    known = DOIT | pages.named(REFERENCE, "Tasks") | {"vgen", "TASK"}
    variables = {*VARIABLES, *registry.command_variables(), "name"}
    for page in PAGES:
        for command in pages.mentioned(page):
            words = iter(command.split()[1:])
            for word in words:
                if word in WITH_VALUE:
                    next(words)
                elif "=" in word:
                    assert word.partition("=")[0] in variables, f"{pages.name(page)}: {command}"
                else:
                    good = word in known | OPTIONS or re.fullmatch(r"clip:(\d+|N)|outputs/clips/.*", word)
                    assert good, f"{pages.name(page)}: {command}"


def test_every_environment_variable_that_a_page_mentions_exists() -> None:
    known = {f"VGEN_{name.upper()}" for name in (*VARIABLES, "name", "event", "text")}
    for page in PAGES:
        assert pages.environment_variables(page) <= known | OTHER_ENVIRONMENT, pages.name(page)


def test_json_on_a_page_is_json() -> None:
    for page in PAGES:
        for _, info, body in pages.fences(page):
            if info == "json":
                json.loads(body)


def test_the_makefile_that_is_explained_is_the_example() -> None:
    lines = {line.strip() for line in (ROOT / "examples" / "video_agent" / "Makefile").read_text("utf-8").splitlines()}
    shown = [body for _, info, body in pages.fences(ROOT / "docs" / "how-to" / "make.md") if info == "make"]
    assert len(shown) == 2
    for line in "".join(shown).splitlines():
        assert line.strip().replace("doit -f ../../dodo.py", "$(DOIT) -f $(DODO)") in lines


def test_the_reference_has_every_exit_code() -> None:
    codes = pages.rows(REFERENCE, "Exit codes")
    assert {int(cells[0]) for cells in codes} == {0, 1, 2, runner.REFUSED, 128 + 1, 128 + 2, 128 + 15}
    ci = pages.rows(ROOT / "docs" / "how-to" / "ci.md", "Run unattended")
    assert {code.strip() for cells in ci for code in cells[0].split(",")} == {cells[0] for cells in codes}


def test_faults_that_the_pages_name_exist() -> None:
    for page in PAGES:
        for option in pages.faults(page):
            assert option.rpartition(".")[2] in KNOWN, f"{pages.name(page)}: --fault {option}"
