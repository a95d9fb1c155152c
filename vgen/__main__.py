"""`python -m vgen …` is `doit …` for the dodo.py here; with nothing to do it says so before doit is imported."""

import sys

from vgen.cli import noop


def main() -> int:
    """Run doit in this process; its exit code."""
    if noop.nothing_to_do():
        return 0
    from doit.doit_cmd import DoitMain

    return int(DoitMain().run(sys.argv[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main())
