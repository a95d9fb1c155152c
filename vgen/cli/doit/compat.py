"""Every touch of doit's private names, in one place."""

from doit import doit_cmd


def command_line_variables() -> dict[str, str]:
    """All `name=value` of the command line. doit keeps them in a private place, and only there."""
    return dict(doit_cmd._CMDLINE_VARS or {})
