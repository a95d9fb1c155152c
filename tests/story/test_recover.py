"""Lost answers, looked for: adopted, released, settled; and the auditor."""

import json
import sqlite3
from contextlib import closing

import pytest
from studio import Studio, shots

PIKA = ("primary_api=pika", "fallback_api=none")


@pytest.fixture
def one(studio: Studio) -> Studio:
    studio.write_shots(shots(1))
    return studio


def test_a_lost_answer_at_fal_is_found_by_its_correlation_seed_and_collected_free(one: Studio) -> None:
    one.faults("fal.create_lost=first:1")
    assert one.doit(*PIKA) == 1
    assert one.states() == ["uncertain"]
    one.pass_time(600)
    assert one.doit("recover", *PIKA) == 0
    assert one.states() == ["rendering"]
    assert one.doit(*PIKA) == 0
    assert one.states() == ["accepted"]
    assert (one.bought(), one.booked()) == (1, (0.2, 0, 0))


def test_the_next_build_asks_the_provider_before_it_holds_the_shot(one: Studio) -> None:
    one.faults("fal.create_lost=first:1")
    one.doit(*PIKA)
    one.pass_time(600)
    assert one.doit(*PIKA) == 0
    assert (one.bought(), one.states()) == (1, ["accepted"])


@pytest.mark.slow
def test_a_create_that_never_arrived_is_released_only_after_the_settling_time_and_with_a_positive_control(
    studio: Studio,
) -> None:
    studio.write_shots(shots(2)[1:])
    assert studio.doit(*PIKA) == 0
    studio.write_shots(shots(2))
    studio.worsen("fal.create_502=~shot-1")
    assert studio.doit(*PIKA) == 1
    studio.pass_time(600)
    assert studio.doit("recover", *PIKA) == 0
    assert sorted(studio.states()) == ["accepted", "uncertain"], "ten minutes prove nothing"
    studio.pass_time(3600)
    assert studio.doit("recover", *PIKA) == 0
    studio.calm()
    studio.write_shots(shots(3))
    studio.doit(*PIKA)
    studio.pass_time(3600)
    assert studio.doit("recover", *PIKA) == 0
    assert "released" in studio.states()
    assert studio.doit(*PIKA) == 0
    assert studio.booked() == (0.6, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["create_lost", "create_502"])
def test_an_order_with_a_seed_of_the_shots_own_has_no_tag_and_is_neither_adopted_nor_released(
    studio: Studio, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """Two such orders of one shot look the same in fal's list; the tag of neither is there."""
    three = [shot | {"seed": 7} for shot in shots(3)]
    studio.write_shots(three[1:2])
    assert studio.doit(*PIKA) == 0
    studio.write_shots(three[:2])
    studio.worsen(f"fal.{fault}=~shot-1")
    assert studio.doit(*PIKA) == 1
    studio.calm()
    studio.pass_time(7200)
    studio.write_shots(three)
    studio.doit(*PIKA)
    studio.pass_time(7200)
    capsys.readouterr()
    assert studio.doit("recover", *PIKA) == 0
    said = capsys.readouterr().out
    assert sorted(studio.states()) == ["accepted", "accepted", "uncertain"]
    assert studio.bought() == (3 if fault == "create_lost" else 2)
    lost = [job["id"] for job in studio.jobs() if "shot-1" in job["prompt"]]
    assert ([f"1 in its list looks like it: {job}" in said for job in lost] or ["no job in its list" in said]) == [True]
    assert studio.doit("settle", "shot=1", f"as={lost[0] if lost else 'not-charged'}", *PIKA) == 0
    assert studio.doit(*PIKA) == 0
    assert (studio.bought(), studio.booked()) == (3, (0.6, 0, 0))


@pytest.mark.slow
def test_runway_has_no_list_so_recover_shows_its_counters_and_changes_nothing(
    one: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.faults("runway.create_lost=first:1")
    one.doit("fallback_api=none")
    one.pass_time(600)
    assert one.doit("recover") == 0
    assert one.states() == ["uncertain"]
    assert "generations of gen4.5" in capfd.readouterr().out or one.lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "states", "booked"),
    [("charged", ["lost"], (0.6, 0, 0)), ("not-charged", ["released"], (0, 0, 0))],
)
def test_settle_writes_down_what_the_user_found_out(
    one: Studio, word: str, states: list[str], booked: tuple[float, float, float]
) -> None:
    one.faults("runway.create_502=first:1" if word == "not-charged" else "runway.create_lost=first:1")
    one.doit("fallback_api=none")
    assert one.doit("settle", "shot=1", f"as={word}") == 0
    assert one.states() == states
    assert one.booked() == booked


@pytest.mark.slow
def test_settle_with_a_job_id_adopts_the_job(one: Studio) -> None:
    one.faults("runway.create_lost=first:1")
    one.doit("fallback_api=none")
    job = one.cloud.charges()["jobs"][0]["id"]
    assert one.doit("settle", "shot=1", f"as={job}") == 0
    assert one.doit("fallback_api=none") == 0
    assert (one.bought(), one.booked()) == (1, (0.6, 0, 0))


@pytest.mark.parametrize("words", [["shot=1"], ["as=charged"], ["shot=x", "as=charged"], ["shot=1", "as=a b"]])
def test_settle_without_what_it_needs_is_refused(one: Studio, words: list[str]) -> None:
    assert one.doit("settle", *words) == 3


@pytest.mark.slow
def test_the_auditor_agrees_with_an_honest_production(studio: Studio) -> None:
    studio.faults("runway.job_moderated=~shot-2")
    studio.doit("budget_usd=9")
    assert studio.doit("audit") == 0


def test_the_auditor_names_each_planted_difference(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit() == 0
    path = studio.outputs / "production_report.json"
    report = json.loads(path.read_text())
    report["budget"]["spent_usd"] = 1.7
    path.write_text(json.dumps(report))
    with closing(sqlite3.connect(studio.outputs / "ledger.db", isolation_level=None)) as db:
        db.create_function("wall_clock", 0, lambda: 0.0)
        db.execute("DROP TRIGGER log_move")
        db.execute("UPDATE purchases SET charged = charged + 10000 WHERE id = 2")
        take = studio.outputs / db.execute("SELECT path FROM takes WHERE purchase_id = 3").fetchone()[0]
    whole = take.read_bytes()
    take.chmod(0o644)
    take.write_bytes(b"not what was bought")
    assert studio.doit("audit") == 1
    take.write_bytes(whole)
    with closing(sqlite3.connect(studio.outputs / "ledger.db", isolation_level=None)) as db:
        db.execute("UPDATE purchases SET charged = charged - 10000 WHERE id = 2")
    said = capfd.readouterr().out + "\n".join(studio.lines)
    for word in ("spent_usd is 1.7", "purchase 2: charged", "its bytes have changed", "runway says $0.60"):
        assert word in said


def test_the_auditor_adds_up_the_rows_itself(one: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    one.doit()

    def add(amount: int) -> None:
        with closing(sqlite3.connect(one.outputs / "ledger.db")) as db:
            db.execute("UPDATE totals SET spent = spent + ?", (amount,))
            db.commit()

    add(10_000)
    assert one.doit("audit") == 1
    assert "spent is kept as $0.61, the rows add up to $0.6" in capfd.readouterr().out
    add(-10_000)
