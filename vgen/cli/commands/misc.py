"""What the commands do that make no clip: plan, recover, settle, takes, audit, doctor."""

from vgen.cli import reporter
from vgen.errors import ClipFailed
from vgen.money import show
from vgen.plan import plan, takes
from vgen.production.workspace import Project
from vgen.store.atomic import write_whole
from vgen.views import terminal
from vgen.views.report import to_bytes


def show_plan(project: Project) -> None:
    """What a run would do, in words and in plan.json."""
    plan_ = project.plan()
    expected_s = plan.expected_s(plan_, project.snapshot(), project.ready.run.max_concurrent)
    for text in [*project.ready.warnings, *reporter.plan_lines(plan_, expected_s=expected_s)]:
        terminal.out(text)
    for text in plan_.impossible():
        terminal.out(f"can't be made: {text}")
    try:
        project.outputs.root.mkdir(parents=True, exist_ok=True)
        write_whole(project.outputs.plan_json, to_bytes(plan.as_json(plan_, expected=expected_s)))
    except OSError as exc:
        terminal.out(f"plan.json can't be written: {exc.strerror}")


async def find_lost(project: Project) -> None:
    """Look for all uncertain purchases at their providers."""
    from vgen.production import reconcile

    async with project.opened(online=True) as batch:
        rows = batch.ledger.uncertain(simulated=project.ready.simulated)
        if not rows:
            terminal.out("nothing is uncertain")
        for row in rows:
            finding = await reconcile.look(batch, row, may_release=True)
            terminal.out(f"shot {row.shot_number}, {show(row.price)} at {row.provider}: {finding.text}")


async def settle(project: Project, shot: int, word: str) -> None:
    """Book what the user found out about a shot's uncertain purchase. Raises ClipFailed if it has none."""
    from vgen.production import reconcile

    async with project.opened(online=False) as batch:
        rows = batch.ledger.uncertain(simulated=project.ready.simulated)
        request = next((request for request in project.requests if request.number == shot), None)
        mine = [row for row in rows if (request.matches(row) if request else row.shot_number == shot)]
        if not mine:
            terminal.line(shot, "has no uncertain purchase")
            raise ClipFailed("nothing to settle")
        terminal.line(shot, reconcile.settle(batch.ledger, mine[0], word))


def show_takes(project: Project) -> None:
    """All takes of all shots."""
    for text in takes.lines(takes.of_all(project.plan(), project.snapshot())):
        terminal.out(text)


async def audit(project: Project) -> None:
    """Recompute every figure; with keys, compare with the providers'. Raises ClipFailed if anything differs."""
    from vgen.production import reconcile
    from vgen.store.audit import differences, report_is_older

    simulated = project.ready.simulated
    found = list(differences(project.outputs.root, simulated=simulated))
    if not simulated:
        async with project.opened(online=True) as batch:
            found += [text async for text in reconcile.overcharges(batch)]
    if report_is_older(project.outputs.root):
        terminal.out("production_report.json is older than the last purchase; `doit -s report` writes it anew")
    for text in found:
        terminal.out(f"DIFFERS  {text}")
    if found:
        raise ClipFailed(f"{len(found)} differences")
    terminal.out("all figures add up")


def examine(project: Project) -> None:
    """Whether everything is there that a run needs."""
    from vgen.cli.commands import doctor  # the only one that needs HTTP without a batch

    for text in doctor.examine(project):
        terminal.out(text)
