"""Random bad days: whatever the mixture, the promises hold."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from studio import Studio, shots

CREATE = ("create_500", "create_503", "create_429", "create_502", "create_502_accepted", "create_lost")
CREATE_2 = (
    "create_reset",
    "create_garbage",
    "create_cut",
    "create_hang",
    "connect_refused",
    "create_moderation",
)
JOBS = ("job_failed", "job_moderated", "job_stuck", "job_slow")
CLIPS = ("clip_480p", "clip_short", "clip_small", "clip_damaged", "clip_landscape")
POLLS = ("poll_500", "poll_502", "poll_reset", "poll_garbage", "poll_hang")
MEDIA = ("url_expired", "media_500", "media_cut", "media_stall", "media_html")
ALL = (*CREATE, *CREATE_2, *JOBS, *CLIPS, *POLLS, *MEDIA)
MAX_RETRIES = 2


SEEDS = 60
WITH_EVERY_CHANGE = 15


@pytest.mark.parametrize(
    "seed",
    [
        *range(WITH_EVERY_CHANGE),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(WITH_EVERY_CHANGE, SEEDS)),
    ],
)
def test_a_random_bad_day_keeps_the_promises(new_studio: Callable[..., Studio], seed: int) -> None:
    rng = random.Random(seed)
    studio = new_studio(seed=seed)
    studio.write_shots(shots(4))
    studio.configure(runway={"poll_interval_s": 15}, pika={"poll_interval_s": 15})
    cap = rng.choice([2.4, 3.0, 5.0, 9.0])
    args = (
        f"budget_usd={cap}",
        "partial=yes",
        f"max_retries={MAX_RETRIES}",
        f"max_concurrent={rng.choice([1, 2, 5])}",
    )
    density = rng.choice([0.05, 0.15, 0.35])
    studio.faults(*(f"{name}={density}" for name in rng.sample(ALL, rng.randint(4, 12))), render_s=31)
    for _ in range(2):
        studio.doit(*args)
        at_every_moment(studio, cap)
        if rng.random() < 0.5:
            studio.pass_time(rng.choice([10, 1000, 100_000]))
    studio.calm()
    studio.heal_jobs()
    codes = [studio.doit(*args)]
    if rng.random() < 0.5:
        codes.append(studio.doit(*args))
    at_every_moment(studio, cap)
    at_the_end(studio)
    before, creates, moves = studio.disk(), studio.creates(), len(studio.rows("SELECT * FROM moves"))
    codes.append(studio.doit(*args))
    assert codes[-1] == codes[-2]
    assert studio.creates() == creates, "M11: nothing more is bought"
    assert len(studio.rows("SELECT * FROM moves")) == moves, "M11: no money entry"
    if all(studio.successes()):
        assert studio.disk() == before


def at_every_moment(studio: Studio, cap: float) -> None:
    """M1, M2, M3."""
    assert studio.charged() <= cap + 1e-9
    studio.check_money()
    assert min(studio.booked()) >= 0


def at_the_end(studio: Studio) -> None:
    """M4, M9, M10, after a calm run."""
    rows = studio.rows()
    counts = Counter((row["recipe"], row["provider"]) for row in rows if row["charged"] or row["state"] == "uncertain")
    assert all(count <= MAX_RETRIES for count in counts.values()), "M4"
    accepted = Counter(row["recipe"] for row in rows if row["state"] == "accepted")
    assert all(count == 1 for count in accepted.values()), "M4"
    done = {"accepted", "rejected", "refused", "released", "failed", "cancelled", "lost", "uncertain"}
    assert {row["state"] for row in rows} <= done, "M10, M14: every purchase has come to its end"
    held = {row["recipe"] for row in rows if row["state"] == "uncertain" and not row["superseded"]}
    for entry in studio.report()["clips"]:
        if entry["success"]:
            assert f"shot-{entry['shot_number']} " in studio.shown_clip(entry["shot_number"]), "M9"
        else:
            assert entry["error"]
            assert entry["prompt_hash"] not in held or "perhaps bought" in entry["error"]
    uncertain = round(sum(row["price"] for row in rows if row["state"] == "uncertain") / 1e6, 6)
    assert studio.report()["budget"]["uncertain_usd"] == uncertain
    assert studio.report()["budget"]["spent_usd"] == studio.booked()[0]
