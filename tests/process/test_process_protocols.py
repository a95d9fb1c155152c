"""Productions of twelve shots at the vendors besides Runway and fal, as real processes, on a bad day."""

from collections.abc import Callable

import pytest
import thorough
from workshop import Project, Server

MODELS = {
    "kling": "kling-3.0",
    "pika": "kling/kling-3.0/text-to-video",
    "ark": "dreamina-seedance-2-5-260628",
    "minimax": "MiniMax-H3",
}
COMMON = (
    "create_lost=first:1~shot-01",
    "create_429=first:1~shot-02",
    "create_503=first:1~shot-03",
    "create_500_accepted=first:1~shot-04",
    "create_502=first:1~shot-05",
    "create_moderation=~shot-06",
    "url_expired=first:1~shot-07",
    "media_cut=first:1~shot-08",
    "poll_404=first:1~shot-09",
)
OWN = {
    "kling": ("create_busy=first:1~shot-10", "create_504_accepted=first:1~shot-11"),
    "pika": ("create_busy=first:1~shot-10", "billing_pending=first:3~shot-11"),
    "ark": ("create_busy=first:1~shot-10",),
    "minimax": ("create_busy=first:1~shot-10", "grid_nearest=first:1~shot-11"),
}
SHOTS = [
    {"shot_number": k, "duration": 5, "prompt": f"shot-{k:02} a paper boat", "aspect_ratio": "9:16"}
    for k in range(1, 13)
]
REFUSED = 6


@pytest.mark.slow
@pytest.mark.parametrize("name", thorough.some([*MODELS], 2))
def test_books_and_bills_agree_after_a_bad_day(project: Project, serve: Callable[..., Server], name: str) -> None:
    options = [word for fault in (*COMMON, *OWN[name]) for word in ("--fault", fault)]
    server = serve("--queue-s", "0", "--render-s", "0.2", *options)
    project.environ[f"{name.upper()}_API_KEY"] = "key-vgencanary-0123456789abcdef"
    section = {"protocol": name, "model": MODELS[name], "base_url": server.url, "poll_interval_s": 0.05}
    project.configure(**{name: section})
    project.write_shots(SHOTS)
    words = (f"primary_api={name}", "fallback_api=none", "budget_usd=60", "backoff_base_s=0.05")
    code, said = project.doit(*words)
    assert code in (0, 1), said
    settled_by_hand = 0
    for row in project.rows("SELECT * FROM purchases WHERE state = 'uncertain'"):
        assert name in ("ark", "minimax"), said
        owned = {one["job_id"] for one in project.rows()}
        shot = f"shot-{row['shot_number']:02}"
        mine = [job["id"] for job in server.charges()["jobs"] if shot in job["prompt"] and job["id"] not in owned]
        word = mine[0] if mine else "not-charged"
        code, told = project.doit("settle", f"shot={row['shot_number']}", f"as={word}", *words)
        assert code == 0, told
        settled_by_hand += 1
    code, said = project.doit(*words)
    assert code == 0, said
    assert [clip["shot_number"] for clip in project.clips() if not clip["success"]] == [REFUSED]
    charges = server.charges()
    assert len(charges["faults"]) == len(COMMON) + len(OWN[name]), charges["faults"]
    assert not charges["ignored"], charges["ignored"]
    bought = {prompt: count for prompt, count in server.accepted().items() if not prompt.startswith("shot-06")}
    assert set(bought.values()) == {1}, bought
    assert project.booked() == {"spent": charges["total_usd"], "reserved": 0, "uncertain": 0}
    assert (settled_by_hand == 0) == (name in ("kling", "pika"))
    project.assert_report_is_true()
    project.assert_clips_are_takes()
    assert not project.leaks()
