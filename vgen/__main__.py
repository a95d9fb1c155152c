"""`python -m vgen …` is `doit …` for the dodo.py here. Knows nothing else."""

import sys

from doit.doit_cmd import DoitMain


def main() -> int:
    """Run doit in this process; its exit code."""
    return int(DoitMain().run(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
