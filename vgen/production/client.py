"""Questions to a provider's API within a run: send a call, ask how a job is."""

import dataclasses

from vgen.errors import WireError
from vgen.production.run import Run
from vgen.providers.base import Call, Inconclusive, Job, Reply, Status
from vgen.redact import exactly
from vgen.store.records import Purchase

ASK_S = 30.0
REAL_KEY_LENGTH = 12
"""Shorter "keys" are test words, which may stand in any answer."""


async def ask(batch: Run, row: Purchase) -> Status:
    """How the job is, in one question or two. Never raises: what is no answer comes as Inconclusive."""
    provider = batch.provider_of(row)
    if provider is None or provider.key is None:
        return Inconclusive(message=f"no key for {row.provider}", key_rejected=True)
    protocol = provider.codec
    job = job_of(row)
    call = protocol.poll(job, row.base_url, provider.key)
    for _ in range(3):
        try:
            reply = await send(batch, call, provider.timeout_s or ASK_S)
        except WireError as exc:
            return Inconclusive(message=str(exc))
        meant = protocol.status(call, reply, job, provider.key)
        if not isinstance(meant, Call):
            return meant
        call = meant
    return Inconclusive(message="the provider sends from one address to another")


async def send(batch: Run, call: Call, timeout_s: float) -> Reply:
    """One call of the run's http. A key that the answer repeats goes no further than here."""
    reply = await batch.http.send(call, timeout_s=timeout_s)
    text = reply.body.decode("utf-8", "surrogateescape")
    clean = exactly(text, batch.settings.secrets(), min_length=REAL_KEY_LENGTH)
    if clean == text:
        return reply
    return dataclasses.replace(reply, body=clean.encode("utf-8", "surrogateescape"))


def job_of(row: Purchase) -> Job:
    """The job as it was written down when it was bought."""
    assert row.job_id is not None, "BUG: a job without an id"
    return Job(id=row.job_id, urls=row.urls)
