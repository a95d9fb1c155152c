"""What a process that has no settings of a run goes by: its own machine's environment, and nothing of a project's."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

_KEPT = (
    "PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV",
    "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where ffmpeg and ffprobe are, if they were named, and the proxy of a worker."""

    ffmpeg: str | None
    ffprobe: str | None
    proxy: str


def machine() -> Machine:
    """This one."""
    return Machine(
        ffmpeg=os.environ.get("VGEN_FFMPEG") or None,
        ffprobe=os.environ.get("VGEN_FFPROBE") or None,
        proxy=os.environ.get("VGEN_PROXY", "").rstrip("/"),
    )


def bare_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """For a program that needs to run and to find Dask's configuration. Only what is named here: a key has any name."""
    found = os.environ if environ is None else environ
    return {
        name: value for name, value in found.items() if name in _KEPT or name.startswith(("LC_", "DASK_", "XDG_CONFIG"))
    }


def mark_children(variable: str, value: str) -> None:
    """From now on, all programs that this process starts have this in their environment."""
    os.environ[variable] = value
