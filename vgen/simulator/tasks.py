"""What ModelArk and MiniMax have in common: create, query by id, a list with filters, a DELETE with three meanings.

Knows neither's words, bodies nor prices.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vgen.simulator.checkout import Checkout, Refusals
from vgen.simulator.cloud import Cloud, NewId
from vgen.simulator.faults import POLL
from vgen.simulator.jobs import Job, Order, State
from vgen.simulator.shelf import Shelf
from vgen.simulator.spoil import spoil_poll
from vgen.simulator.web import Request, Response, answer

DAY_S = 86_400
KEPT_S = 7 * DAY_S
WORDS = {
    State.RUNNING: "running",
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
"""Everything else is queued."""


class Refusal(Exception):
    """A body that the vendor refuses; `response` is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the vendor calls things. `created`, `queried`, `deleted`: paths, the last two with an id behind them.

    `most_listed`: the largest page. `cancelled_kept_s`: after so long a cancelled task is gone.
    """

    protocol: str
    created: str
    queried: str
    deleted: str
    refusals: Refusals
    new_id: NewId
    most_listed: int
    most_pages: int = 500
    usual_listed: int = 20
    cancelled_kept_s: float = KEPT_S


class Tasks(ABC):
    """A vendor of this shape."""

    profile: ClassVar[Profile]

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self.cloud = cloud
        self.shelf = shelf
        self.checkout = Checkout(cloud, self.profile.protocol, self.profile.refusals, self.profile.new_id)

    # --- what each vendor says for itself

    @abstractmethod
    def error(self, status: int, message: str, field: str = "") -> Response:
        """The vendor's own error body; `field`: the parameter that is wrong."""

    @abstractmethod
    def order(self, body: Any) -> tuple[Order, tuple[str, ...]]:
        """What a body orders, and the fields that were ignored. Raises Refusal."""

    @abstractmethod
    def created(self, job: Job) -> Response:
        """The answer to a good create."""

    @abstractmethod
    def task(self, job: Job, origin: str) -> dict[str, Any]:
        """The record of a task."""

    @abstractmethod
    def missing(self, job_id: str) -> Response:
        """There is no such task (any more)."""

    @abstractmethod
    def undeletable(self, job: Job) -> Response:
        """It runs, or has been cancelled."""

    def queried(self, task: dict[str, Any]) -> Any:
        """The body of a query by id."""
        return task

    def removed(self, job: Job, *, cancelled: bool) -> Any:  # noqa: ARG002 - for those who tell
        """The body of a DELETE that did something."""
        return {}

    def crowded(self, order: Order) -> Response | None:  # noqa: ARG002 - for those who refuse
        """The refusal of one task too many; most let it wait."""
        return None

    def listed(self, tasks: list[Job], origin: str) -> list[dict[str, Any]]:
        """The items of a page."""
        return [self.task(job, origin) for job in tasks]

    def list_refusal(self) -> Response | None:
        """Why no list may be had now."""
        return None

    def filtered(self, job: Job, filters: Mapping[str, list[str]]) -> bool:  # noqa: ARG002 - for those who have more
        """Whether the vendor's own filters let it through."""
        return True

    # --- requests

    def respond(self, request: Request) -> Response:
        """Answer any request to this vendor."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            return self.profile.refusals["bad_key"]
        path, profile = request.path, self.profile
        match request.method:
            case "POST" if path == profile.created:
                return self._create(request)
            case "GET" if path == profile.queried:
                return self._list(request)
            case "GET" if path.startswith(f"{profile.queried}/"):
                return self._query(request, path.removeprefix(f"{profile.queried}/"))
            case "DELETE" if path.startswith(f"{profile.deleted}/"):
                return self._delete(path.removeprefix(f"{profile.deleted}/"))
        return self.error(404, f"There is no {request.method} {path}.")

    def _create(self, request: Request) -> Response:
        self.cloud.requests["create"] += 1
        try:
            body = request.json()
        except ValueError:
            return self.error(400, "the request body is not valid JSON")
        try:
            order, ignored = self.order(body)
        except Refusal as exc:
            return exc.response
        refusal = self.checkout.troubled(order.prompt) or self.checkout.refused(order) or self.crowded(order)
        if refusal:
            return refusal
        self.cloud.ignored.update(f"{self.profile.protocol}: {name}" for name in ignored)
        return self.checkout.accept(order, self.created)

    def _query(self, request: Request, job_id: str) -> Response:
        self.cloud.requests["poll"] += 1
        job = self._find(job_id)
        missing = self.missing(job_id)
        if job is None:
            return missing
        fault = self.cloud.faults.first_of(POLL, self.profile.protocol, job.order.prompt)
        if fault:
            return spoil_poll(fault, missing, lambda message: dict(self.error(500, message).json()))
        return answer(200, self.queried(self.task(job, request.origin)))

    def _delete(self, job_id: str) -> Response:
        """Queued: cancelled, free. Ended: the record goes, and the video with it. Else: an error."""
        self.cloud.requests["cancel"] += 1
        job = self._find(job_id)
        if job is None:
            return self.missing(job_id)
        match self.cloud.state(job):
            case State.RUNNING | State.CANCELLED:
                return self.undeletable(job)
            case State.SUCCEEDED | State.FAILED:
                self.cloud.delete(job)
                return answer(200, self.removed(job, cancelled=False))
        self.cloud.cancel(job)
        return answer(200, self.removed(job, cancelled=True))

    def _list(self, request: Request) -> Response:
        """One page, newest first."""
        self.cloud.requests["list"] += 1
        refusal = self.list_refusal()
        if refusal:
            return refusal
        query = request.queries
        try:
            page = _number(query, "page_num", 1, self.profile.most_pages)
            size = _number(query, "page_size", self.profile.usual_listed, self.profile.most_listed)
        except ValueError as exc:
            return self.error(400, f"{exc.args[0]} is out of range", exc.args[0])
        asked = {name: [value for value in values if value] for name, values in query.items()}
        jobs = [job for job in reversed(self.cloud.all_jobs(self.profile.protocol)) if self._matches(job, asked)]
        start = (page - 1) * size
        return answer(200, {"items": self.listed(jobs[start : start + size], request.origin), "total": len(jobs)})

    def _matches(self, job: Job, asked: Mapping[str, list[str]]) -> bool:
        values = {"status": self.word(job), "model": job.order.model, "task_ids": job.id}
        fits = all(value in (asked.get(f"filter.{name}") or [value]) for name, value in values.items())
        return fits and self.filtered(job, asked) and self._find(job.id) is not None

    def _find(self, job_id: str) -> Job | None:
        """The task, for as long as records are kept."""
        job = self.cloud.find(self.profile.protocol, job_id)
        if job is None:
            return None
        cancelled = self.cloud.state(job) is State.CANCELLED
        gone_at = job.cancelled_at + self.profile.cancelled_kept_s if cancelled else job.created_at + KEPT_S
        return job if self.cloud.now() < gone_at else None

    # --- for both

    def word(self, job: Job) -> str:
        """The job's state in their words."""
        if job.expired(self.cloud.now()):
            return "expired"
        return WORDS.get(self.cloud.state(job), "queued")

    def times(self, job: Job) -> dict[str, int]:
        """Unix seconds of its creation and of the last change."""
        now = self.cloud.now()
        updated = max(moment for moment in (job.created_at, job.started_at, job.over_at) if moment <= now)
        return {"created_at": int(job.created_at), "updated_at": int(updated)}


def _number(query: Mapping[str, list[str]], name: str, usual: int, most: int) -> int:
    """A number of the query. Raises ValueError with the name if it is not within 1 and `most`."""
    text = query.get(name, [str(usual)])[-1]
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ValueError(name)
    return int(text)
