"""kill -9 at any moment, again and again: nothing is bought twice, nothing is lost, and the books agree."""

from typing import Any

import pytest
import thorough
from campaign.command import campaign
from campaign.round import Round, play

ROUNDS = 8 if thorough.ALL else 2
KILLS = 7


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_round_of_kills(seed: int) -> None:
    outcome = play(seed, KILLS)
    assert not outcome.violation, "\n".join(outcome.story)
    assert len(outcome.kills) >= KILLS


@pytest.mark.slow
def test_the_campaign_finds_a_job_that_was_bought_behind_the_back(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Round._judge

    def buy_and_judge(self: Round, *args: Any, **options: Any) -> None:
        served = self.stand.served
        if served and (jobs := list(served.cloud._jobs.values())):
            served.ask(lambda: served.cloud.accept(jobs[0].order))
        judge(self, *args, **options)

    monkeypatch.setattr(Round, "_judge", buy_and_judge)
    [outcome] = campaign(4, seed=0)
    assert outcome.violation.startswith(("M1", "M2", "M4", "M5")), outcome.violation
