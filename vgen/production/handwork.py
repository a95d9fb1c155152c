"""The work on a download's bytes: one try to bring them, whoever does it. Knows no run, no purchase and no key."""

import trio

from vgen.errors import BlockedAddress, WireError
from vgen.media.hands import Bring, Brought, Outcome
from vgen.production import download
from vgen.production.http import HttpClient


async def bring(http: HttpClient, job: Bring) -> Brought:
    """One GET into the job's part, unchecked. Raises OSError if that can't be written."""
    etag = job.etag if job.resume is not None else None
    if job.resume is not None and job.resume != job.part:
        try:
            job.resume.replace(job.part)  # whoever is first has it; another run of this job begins anew
        except FileNotFoundError:
            etag = None
    loader = download.Loader(http, job.url, job.base_url, job.part, etag)
    try:
        with trio.fail_after(download.WHOLE_DOWNLOAD_S):
            got = await loader.run()
    except download.Expired:
        return Brought(outcome=Outcome.EXPIRED)
    except (BlockedAddress, download.TooLong) as exc:
        return Brought(outcome=Outcome.BLOCKED, reason=str(exc))
    except trio.TooSlowError:
        return Brought(outcome=Outcome.SLOW, reason=f"took longer than {download.WHOLE_DOWNLOAD_S:g} s")
    except WireError as exc:
        return Brought(outcome=Outcome.BROKE, reason=str(exc), etag=loader.etag, part=job.part)
    return Brought(
        outcome=Outcome.DONE,
        part=job.part,
        sha256=got.sha256,
        size_bytes=got.size_bytes,
        told=got.told,
        one_piece=got.one_piece,
    )
