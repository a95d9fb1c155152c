"""Orders whose answer was lost, by the way in which their provider lets them be found: bought once, none left open."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import thorough
import toy_tags
from studio import Studio
from toy_protocol import ToyCloud
from toy_tags import LIKENESS, LOOK_UP, REMEMBERS_S, REPLAY, TaggedToyCloud

from vgen.production import submit
from vgen.production.run import Run
from vgen.providers.codec import Likeness, LookUp, Replay
from vgen.simulator.web import Request, Response
from vgen.simulator.web import answer as answered

pytestmark = pytest.mark.slow

TOY = ("primary_api=toy", "fallback_api=none")
LOSSES = (
    "create_lost",
    "create_hang",
    "create_garbage",
    "create_cut",
    "create_502_accepted",
    "create_502",
    "create_reset",
)
BY_ITSELF = [pytest.param(REPLAY, id="replay"), pytest.param(LOOK_UP, id="look-up")]


ONE = [{"shot_number": 1, "duration": 5, "prompt": "a boat"}]


def made_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    root.mkdir(exist_ok=True)
    monkeypatch.chdir(root)
    made = Studio(root)
    made.environ |= {"TOY_SHARED_KEY": "shared-vgencanary-0123456789abcdef"}
    made.configure(toy={"model": "toy-1"})
    return made


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    made = made_at(tmp_path, monkeypatch)
    yield made
    made.pass_time(1000)
    made.check_money()
    made.check_secrets()
    made.check_clips()


def sells(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, lost: Replay | LookUp | Likeness, quote: int | None = None
) -> type[TaggedToyCloud]:
    """A cloud that has the made-up vendor of this class, from now on."""
    cloud = toy_tags.register(monkeypatch, lost, quote)
    if "toy" not in studio.cloud._lanes:
        studio.faults()
    return cloud


@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("lost", BY_ITSELF)
def test_it_ends_by_itself_in_the_same_run(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, lost: Replay | LookUp, fault: str
) -> None:
    sells(studio, monkeypatch, lost)
    studio.faults(f"toy.{fault}=first:2")
    assert studio.doit(*TOY) == 0
    assert studio.successes() == [True] * 3
    assert (studio.bought(), studio.booked()) == (3, (studio.charged(), 0, 0))
    assert set(studio.states()) == {"accepted"}


@pytest.mark.parametrize("lost", BY_ITSELF)
@pytest.mark.parametrize("accepted", thorough.some([True, False], 2))
def test_it_ends_by_itself_after_a_kill_in_the_window_of_the_create(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: Replay | LookUp, accepted: bool
) -> None:
    for k in range(1, 90):
        studio = made_at(tmp_path / str(k), monkeypatch)
        sells(studio, monkeypatch, lost, quote=1)
        studio.write_shots(ONE)
        studio.worsen("toy.create_lost=1.0" if accepted else "toy.create_reset=1.0")
        hook = studio.crash(k, *TOY)
        studio.calm()
        assert studio.doit(*TOY) == 0, k
        assert (studio.bought(), studio.booked()) == (1, (studio.charged(), 0, 0)), k
        assert set(studio.states()) <= {"accepted", "released"}, k
        if hook.seen < k:
            break
    assert 20 < k < 89


def test_a_repeat_is_not_sent_when_the_provider_may_have_forgotten_the_first(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sells(studio, monkeypatch, REPLAY, quote=1)
    studio.write_shots(ONE)
    studio.faults("toy.create_reset=1.0")
    assert studio.doit(*TOY) == 1
    studio.calm()
    studio.pass_time(REMEMBERS_S + 60)
    assert studio.doit(*TOY) == 1
    assert (studio.states(), studio.bought()) == (["uncertain"], 0)
    assert "toy may have forgotten it after 1 h, so it is not sent again; end it with `doit settle shot=1 as=" in (
        capsys.readouterr().out
    )


def test_a_repeat_that_the_provider_refuses_gives_the_money_back(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = sells(studio, monkeypatch, REPLAY)
    studio.write_shots(ONE)
    studio.faults("toy.create_reset=first:1")
    plain, tags = cloud._create, []

    def refuse_repeats(self: ToyCloud, request: Request) -> Response:
        tags.append(request.headers["x-tag"])
        return plain(self, request) if tags.count(tags[-1]) == 1 else answered(422, {"error": "no"})

    monkeypatch.setattr(cloud, "_create", refuse_repeats)
    assert studio.doit(*TOY) == 0
    assert (studio.states(), studio.bought()) == (["released", "accepted"], 1)
    assert len(set(tags)) == 2


def test_an_order_that_is_another_one_by_now_is_not_sent_again(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    sells(studio, monkeypatch, LOOK_UP)
    studio.write_shots(ONE)
    studio.faults("toy.create_reset=1.0")
    assert studio.doit(*TOY) == 1
    studio.calm()
    studio.write_shots([ONE[0] | {"prompt": "another boat"}])
    studio.doit(*TOY)
    assert [job["prompt"] for job in studio.jobs()] == ["another boat"]
    assert studio.states()[0] == "uncertain"


def test_of_an_order_without_a_tag_the_user_is_told_what_looks_like_it(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sells(studio, monkeypatch, LIKENESS)
    studio.write_shots(ONE)
    studio.faults("toy.create_lost=first:1")
    assert studio.doit(*TOY) == 1
    [job] = studio.jobs()
    assert f"1 in its list looks like it: {job['id']}; " in capsys.readouterr().out
    assert (studio.states(), studio.bought()) == (["uncertain"], 1)
    assert studio.doit("settle", "shot=1", f"as={job['id']}", *TOY) == 0
    assert studio.doit(*TOY) == 0
    assert (studio.states(), studio.bought()) == (["accepted"], 1)


def test_recover_asks_and_never_sends_again(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    sells(studio, monkeypatch, LIKENESS)
    studio.write_shots(ONE)
    studio.faults("toy.create_reset=first:1")
    assert studio.doit(*TOY) == 1
    sells(studio, monkeypatch, LOOK_UP)
    assert studio.doit("recover", *TOY) == 0
    assert (studio.states(), studio.bought()) == (["uncertain"], 0)
    assert studio.doit(*TOY) == 0
    assert (studio.states(), studio.bought()) == (["accepted"], 1)


def test_a_free_quote_above_the_table_binds_before_anything_is_bought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = made_at(tmp_path, monkeypatch)  # its vendor charges less than it quotes, and does not tell
    cloud = sells(studio, monkeypatch, REPLAY, quote=400_000)
    assert studio.doit(*TOY, "budget_usd=0.9") == 1
    assert studio.bought() == 2
    assert cloud.asked_for_quotes == [""]  # once for all orders of a kind, and without a key


def test_without_an_answer_to_the_quote_the_table_counts(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = sells(studio, monkeypatch, REPLAY, quote=1)
    monkeypatch.setattr(cloud, "quote", None)
    assert studio.doit(*TOY) == 0
    assert studio.bought() == 3


@pytest.mark.parametrize("lost", BY_ITSELF)
def test_an_approved_plan_that_buys_nothing_sends_no_lost_order_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, lost: Replay | LookUp
) -> None:
    sells(studio, monkeypatch, lost, quote=1)
    studio.write_shots(ONE)
    studio.faults("toy.create_reset=1.0")
    assert studio.doit(*TOY) == 1
    studio.calm()
    assert studio.doit("plan", *TOY) == 0
    studio.doit(*TOY, "plan=outputs/plan.json")
    assert (studio.states(), studio.bought()) == (["uncertain"], 0)
    assert studio.doit(*TOY) == 0
    assert (studio.states(), studio.bought()) == (["accepted"], 1)


def test_a_vendor_that_recognises_repeats_is_asked_for_its_clock_before_an_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any answer came, the order would else be of unknown age, and uncertain for good."""
    for k in range(1, 40):
        studio = made_at(tmp_path / str(k), monkeypatch)
        sells(studio, monkeypatch, REPLAY)
        studio.write_shots(ONE)
        studio.worsen("toy.create_reset=1.0")
        studio.crash(k, *TOY)
        if "submitting" in studio.states():
            break
    studio.calm()
    assert studio.doit(*TOY) == 0
    assert (studio.states(), studio.bought()) == (["accepted"], 1)


@pytest.mark.parametrize("lost", BY_ITSELF)
def test_a_lost_order_is_never_sent_again_with_another_key(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lost: Replay | LookUp
) -> None:
    """Another account's vendor knows nothing of the tag: there it would be a new order, beside the first one."""
    sells(studio, monkeypatch, lost, quote=1)
    studio.write_shots(ONE)
    studio.faults("toy.create_reset=1.0")
    assert studio.doit(*TOY) == 1
    studio.calm()
    key = studio.environ["TOY_SHARED_KEY"]
    studio.environ["TOY_SHARED_KEY"] = f"another-{key}"
    assert studio.doit(*TOY) == 1
    assert (studio.states(), studio.bought()) == (["uncertain"], 0)
    assert "not sent again: it was ordered with another key" in capsys.readouterr().out
    studio.environ["TOY_SHARED_KEY"] = key
    assert studio.doit(*TOY) == 0
    assert (studio.states(), studio.bought()) == (["accepted"], 1)


def test_who_is_closed_while_its_quote_is_asked_for_gets_no_order(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    sells(studio, monkeypatch, REPLAY, quote=1)
    quoted = submit._quoted

    async def close_meanwhile(run: Run, *args: Any) -> Any:
        order = await quoted(run, *args)
        run.close_provider("toy", "another clip learnt of trouble")
        return order

    monkeypatch.setattr(submit, "_quoted", close_meanwhile)
    assert studio.doit(*TOY) == 1
    assert (studio.creates(), studio.rows()) == (0, [])


def test_an_order_that_was_found_is_the_same_one_after_its_ledger_is_lost(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vgen.log tells of the order and not that it was found: it is looked for again, under its own tag (seed 20745)."""
    sells(studio, monkeypatch, LOOK_UP)
    studio.write_shots(ONE)
    studio.faults("toy.create_lost=1.0", render_s=500)
    assert studio.doit(*TOY, "clip_timeout_s=60") == 1
    assert (studio.bought(), studio.states()) == (1, ["rendering"])
    (studio.outputs / "ledger.db").unlink()
    studio.calm()
    assert studio.doit("recover") == 0
    studio.pass_time(1000)
    assert (studio.doit(*TOY), studio.bought()) == (0, 1)


@pytest.mark.parametrize("fault", ["", "toy.clip_small=1.0"], ids=["good", "rejected"])
def test_an_order_that_was_found_and_delivered_is_one_purchase_after_its_ledger_is_lost(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Its receipt names the job, and the log's order does not: both have its tag (seeds 1002794 and 1002854)."""
    sells(studio, monkeypatch, LOOK_UP)
    studio.write_shots(ONE)
    studio.faults("toy.create_lost=1.0", *filter(None, [fault]))
    once = (*TOY, "max_retries=1")
    code = studio.doit(*once)
    told = studio.states(), studio.booked()
    assert (code, told[0]) == ((1, ["rejected"]) if fault else (0, ["accepted"]))
    (studio.outputs / "ledger.db").unlink()
    studio.calm()
    assert studio.doit("recover", *once) == 0
    assert (studio.states(), studio.booked()) == told
    assert (studio.doit(*once), studio.bought()) == (code, 1)
