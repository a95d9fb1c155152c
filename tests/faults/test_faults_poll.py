"""Rows 18 to 28 and 83: asking about a job never buys anything, whatever the answers are."""

import json

import pytest
from faults.scripted import ONLY_PIKA, ONLY_RUNWAY, PIKA_USD, RUNWAY_USD, Act, Raw, ScriptedStudio, changes, says, sends

from vgen.simulator.web import Response

pytestmark = pytest.mark.slow

PAID = (RUNWAY_USD, 0, 0)
HELD = (0, RUNWAY_USD, 0)


def assert_bought_once(one: ScriptedStudio) -> None:
    assert (one.creates(), one.bought()) == (1, 1)
    assert (one.states(), one.booked()) == (["accepted"], PAID)
    assert one.successes() == [True]


def assert_waits_for_the_next_run(one: ScriptedStudio) -> None:
    """Detached: nothing is bought in its place, its price stays reserved, and a calm run collects it."""
    assert one.successes() == [False]
    assert one.clips()[0]["clip_path"] is None
    assert (one.creates(), one.states(), one.booked()) == (1, ["rendering"], HELD)
    assert "run again to collect it" in one.errors()[0]
    one.off()
    assert one.doit() == 0
    assert_bought_once(one)


@pytest.mark.parametrize(
    "raw",
    [
        Raw(),
        Raw(then="reset"),
        Raw(then="hang"),
        Raw(data=b'HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"status": "SUCC'),
        Raw(data=b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\xfe{}"),
        Raw(data=b'HTTP/1.1 500 X\r\ncontent-length: 14\r\n\r\n{"error": "no"}'),
        Raw(data=b"HTTP/1.1 502 X\r\ncontent-length: 6\r\n\r\n<html>"),
        Raw(data=b"\x00\x01\x02 no http"),
    ],
    ids=["closed", "reset", "hang", "cut", "junk", "500", "502", "noise"],
)
def test_fault_018_a_question_without_an_answer_is_asked_again_and_never_buys(one: ScriptedStudio, raw: Raw) -> None:
    one.on("poll", sends(raw), times=2)
    assert one.doit() == 0
    assert_bought_once(one)


def test_fault_018_a_job_that_nobody_can_ask_about_waits_for_the_next_run(one: ScriptedStudio) -> None:
    one.on("poll", sends(Raw(then="reset")))
    assert one.doit() == 1
    assert "last word" in one.errors()[0]
    assert_waits_for_the_next_run(one)


def test_fault_019_not_found_in_the_first_minute_is_asked_again(one: ScriptedStudio) -> None:
    one.on("poll", says(404, {"error": "This task does not exist."}), times=6)
    assert one.doit() == 0
    assert_bought_once(one)


def test_fault_020_a_job_that_its_provider_forgot_is_lost_and_counts_as_paid(one: ScriptedStudio) -> None:
    one.on("poll", says(404, {"error": "This task does not exist."}))
    for _ in range(2):
        assert one.doit() == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["lost"], PAID)
    assert one.rows()[0]["charged_by"] == "assumed"
    job = one.rows()[0]["job_id"]
    assert job in one.errors()[0], "support asks for it"
    assert "-a clip:1" in one.errors()[0]


def test_fault_020_a_job_of_another_key_is_not_lost(one: ScriptedStudio) -> None:
    one.faults("job_slow=first:1", render_s=31)
    assert one.doit(*ONLY_RUNWAY) == 1
    one.environ["RUNWAY_API_KEY"] = "key_vgencanary_another_account_0123"
    one.on("poll", says(404, {"error": "This task does not exist."}))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert "another key" in one.errors()[0]
    assert (one.states(), one.booked()) == (["rendering"], HELD)
    one.environ["RUNWAY_API_KEY"] = "key_vgencanary0123456789abcdef"
    assert_waits_for_the_next_run(one)


def test_fault_020_a_gateways_not_found_loses_nothing(one: ScriptedStudio) -> None:
    one.on("poll", says(404, raw=b"<html>Not Found</html>"))
    assert one.doit() == 1
    assert_waits_for_the_next_run(one)


@pytest.mark.parametrize("status", [401, 403])
def test_fault_021_a_key_that_stops_working_leaves_the_job_to_be_collected(studio: ScriptedStudio, status: int) -> None:
    studio.on("poll", says(status, {"error": "The API key is not valid."}))
    assert studio.doit(*ONLY_RUNWAY, "max_concurrent=1") == 1
    assert sum("is closed for this run" in line for line in studio.lines) == 1
    assert (studio.creates(), studio.booked()) == (1, HELD)
    assert "the key was rejected" in studio.errors()[0]
    studio.off()
    assert studio.doit(*ONLY_RUNWAY) == 0
    assert studio.creates() == 3


def test_fault_022_a_provider_that_is_asked_too_often_is_asked_less(one: ScriptedStudio) -> None:
    one.on("poll", says(429, {"error": "Too many requests."}, retry_after="30"), times=3)
    begin = one.clock.current_time()
    assert one.doit() == 0
    assert one.clock.current_time() - begin >= 90
    assert len(one.asked("poll")) == 4
    assert_bought_once(one)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "DREAMING"},
        {"status": "DREAM\u001b[31m\nING"},
        {"status": None},
        {"status": 7},
        {"status": "RUNNING", "progress": 7},
        {"status": "RUNNING", "progress": float("nan")},
        {"status": "RUNNING", "progress": -1},
        {"status": "RUNNING", "progress": "half"},
    ],
    ids=["unknown", "dirty", "none", "number", "over 1", "nan", "below 0", "text"],
)
def test_fault_023_a_status_that_nobody_knows_is_not_the_end_of_a_job(
    one: ScriptedStudio, fields: dict[str, object]
) -> None:
    one.on("poll", changes(**fields))
    assert one.doit() == 1
    assert all(char.isprintable() for char in one.errors()[0])
    assert_waits_for_the_next_run(one)


def test_fault_023_progress_that_goes_back_is_no_matter(one: ScriptedStudio) -> None:
    one.on("poll", changes(status="RUNNING", progress=0.9), times=1)
    one.on("poll", changes(status="RUNNING", progress=0.1), times=1)
    one.on("poll", changes(status="PENDING", progress=None), times=1)
    assert one.doit() == 0
    assert_bought_once(one)


def test_fault_024_a_job_that_succeeded_stays_so_though_it_says_running_again(one: ScriptedStudio) -> None:
    """Its address has expired, and when it is asked for a fresh one it says that it runs."""
    one.on("media", says(403, {"error": "expired"}), times=1)
    one.on("poll", changes(status="RUNNING", output=None, cost=None), after=3, times=2)
    assert one.doit() == 0
    assert_bought_once(one)


def test_fault_024_a_job_that_failed_stays_so_and_the_auditor_names_what_it_says_later(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.provider_lies = True
    one.on("poll", changes(status="FAILED", failure="no", output=None, cost={"credits": 0}), times=1)
    assert one.doit("budget_usd=9") == 0
    assert (one.states(), one.booked()) == (["failed", "accepted"], PAID)
    assert one.doit("audit") == 1
    assert "runway says $0.60" in capfd.readouterr().out


def test_fault_025_an_answer_about_another_job_is_ignored(one: ScriptedStudio) -> None:
    one.on("poll", changes(id="3f1c8a52-7b1e-4c55-9d51-0a4d6a4f2b11", status="FAILED", failure="no"), times=3)
    assert one.doit() == 0
    assert_bought_once(one)


def test_fault_025_the_queues_answer_about_another_job_is_ignored(one: ScriptedStudio) -> None:
    one.on("poll", changes(request_id="3f1c8a52-7b1e-4c55-9d51-0a4d6a4f2b11", status="CANCELLED"), times=3)
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.creates(), one.booked()) == (1, (0.2, 0, 0))


def _ended(output: object) -> object:
    """A rule: a job that has succeeded names these files."""

    async def act(_request: object, forward: object) -> Response:
        response = await forward()  # type: ignore[operator]
        said = response.json()
        if said.get("status") == "SUCCEEDED":
            said["output"] = output
        return Response(status=200, body=json.dumps(said).encode())

    return act


@pytest.mark.parametrize("output", [[], None, [None], [7], [""], "x"], ids=repr)
def test_fault_026_a_finished_job_that_names_no_file_is_not_bought_again(one: ScriptedStudio, output: object) -> None:
    one.on("poll", _ended(output))
    for _ in range(2):
        assert one.doit() == 1
    assert one.creates() == 1
    spent, reserved, uncertain = one.booked()
    assert (spent + reserved, uncertain) == (RUNWAY_USD, 0)
    assert "no file" in one.errors()[0]
    one.off()
    assert one.doit() == 0
    assert_bought_once(one)


def test_fault_026_a_finished_job_that_names_no_file_is_spent(one: ScriptedStudio) -> None:
    one.on("poll", _ended([]))
    assert one.doit() == 1
    assert one.booked() == PAID
    assert "still running" not in one.errors()[0]


def test_fault_026_of_several_files_the_first_is_taken(one: ScriptedStudio) -> None:
    async def act(_request: object, forward: object) -> Response:
        response = await forward()  # type: ignore[operator]
        said = response.json()
        if said.get("status") == "SUCCEEDED":
            said["output"] = [
                *said["output"],
                "https://elsewhere.example.org/2.mp4",
                "https://elsewhere.example.org/3.mp4",
            ]
        return Response(status=200, body=json.dumps(said).encode())

    one.on("poll", act)  # type: ignore[arg-type]
    assert one.doit() == 0
    assert_bought_once(one)


def test_fault_027_a_job_that_never_ends_is_left_to_the_next_run(one: ScriptedStudio) -> None:
    one.faults("job_stuck=first:1")
    begin = one.clock.current_time()
    assert one.doit() == 1
    assert 300 <= one.clock.current_time() - begin <= 330
    assert [job["provider"] for job in one.jobs()] == ["runway"], "no fallback beside a job that may still end"
    assert one.doit("on_uncertain=rebuy") == 1
    one.heal_jobs()
    assert_waits_for_the_next_run(one)


def test_fault_028_a_job_cancelled_in_the_dashboard_costs_what_the_provider_says(one: ScriptedStudio) -> None:
    one.provider_lies = True
    one.on("poll", changes(status="CANCELLED", output=None, cost={"credits": 12}))
    one.doit(*ONLY_RUNWAY, "max_retries=1")
    assert (one.states(), one.booked()) == (["cancelled"], (0.12, 0, 0))
    assert one.rows()[0]["charged_by"] == "provider"


def test_fault_028_a_job_cancelled_in_the_dashboard_counts_as_charged_when_nobody_says(one: ScriptedStudio) -> None:
    one.on("poll", changes(status="CANCELLED", output=None, cost=None, estimatedCost=None))
    one.doit(*ONLY_RUNWAY, "max_retries=1")
    assert (one.states(), one.booked()) == (["cancelled"], PAID)
    assert one.rows()[0]["charged_by"] == "assumed"


def test_fault_028_who_cancelled_a_job_does_not_find_it_bought_again(one: ScriptedStudio) -> None:
    one.on("poll", changes(status="CANCELLED", output=None, cost=None, estimatedCost=None))
    for _ in range(2):
        assert one.doit() == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["cancelled"], PAID)
    assert "-a clip:1" in one.errors()[0]


FAILED_QUESTIONS = {
    "504 with fal's request id": says(
        504, {"detail": "Timed out", "error_type": "request_timeout"}, x_fal_request_id="0b9c7a52"
    ),
    "500 in fal's own type": says(500, {"detail": [{"msg": "Oops", "type": "internal_server_error"}]}),
    "503 in words": says(503, {"detail": "Service Unavailable"}),
    "a gateway's page": says(502, raw=b"<html>502 Bad Gateway</html>"),
    "asked too late": says(408, {"detail": "Request Timeout"}, x_fal_request_id="0b9c7a52"),
    "asked too early": says(425, {"detail": "Too Early"}, x_fal_request_id="0b9c7a52"),
    "a stranger's 400": says(400, {"detail": "Bad Request"}),
    "a stranger's word": says(200, {"error": "cache miss"}),
}


@pytest.mark.parametrize("act", FAILED_QUESTIONS.values(), ids=FAILED_QUESTIONS.keys())
@pytest.mark.parametrize("times", [1, 3])
def test_fault_083_a_question_about_a_result_that_fails_is_asked_again_and_not_the_result(
    one: ScriptedStudio, act: Act, times: int
) -> None:
    one.on("result", act, times=times)
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.creates(), one.states(), one.booked()) == (1, ["accepted"], (PIKA_USD, 0, 0))
    assert [row["error_code"] for row in one.rows()] == [None]
    assert len(one.asked("result")) == times + 1


def test_fault_083_a_failure_that_is_told_for_a_minute_counts_and_is_free_only_on_fals_own_word(
    one: ScriptedStudio,
) -> None:
    one.provider_lies = True
    one.on("result", says(500, {"detail": "Oops", "error_type": "internal_error"}, x_fal_request_id="0b9c7a52"))
    assert one.doit(*ONLY_PIKA, "max_retries=1") == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["failed"], (PIKA_USD, 0, 0))
    first, last = (one.told[0][0], one.when(1, "failed at pika"))
    assert last - first >= 60
    assert len(one.asked("result")) >= 2


def test_fault_083_a_failure_that_costs_nothing_by_its_own_header_is_believed_the_second_time(
    one: ScriptedStudio,
) -> None:
    one.provider_lies = True
    body = {"detail": "Oops", "error_type": "internal_error"}
    one.on("result", says(500, body, x_fal_request_id="0b9c7a52", x_fal_billable_units="0"))
    assert one.doit(*ONLY_PIKA, "max_retries=1") == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["failed"], (0, 0, 0))


def test_fault_083_a_failed_question_at_the_end_of_a_run_is_asked_again_by_the_next(one: ScriptedStudio) -> None:
    one.on("result", FAILED_QUESTIONS["504 with fal's request id"])
    assert one.doit(*ONLY_PIKA, "clip_timeout_s=20") == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["rendering"], (0, PIKA_USD, 0))
    assert "still running" not in one.errors()[0]
    assert "Timed out" in one.errors()[0]
    one.off()
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.creates(), one.states(), one.booked()) == (1, ["accepted"], (PIKA_USD, 0, 0))


def test_fault_083_a_job_that_its_status_calls_failed_has_failed_at_once(one: ScriptedStudio) -> None:
    one.faults("job_failed=first:1")
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.states(), one.booked()) == (["failed", "accepted"], (PIKA_USD, 0, 0))
    assert one.when(1, "failed at pika") < 60
