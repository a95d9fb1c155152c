"""`vgen …` and `python -m vgen …`: doit for the dodo.py here; that nothing is to do is said before doit is imported."""

import sys

from vgen.cli import noop


def main() -> int:
    """Run doit in this process; its exit code."""
    if noop.nothing_to_do():
        return 0
    from vgen.cli.doit.main import Main

    return Main().run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
