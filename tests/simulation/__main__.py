"""`python -m tests.simulation`: play many schedules, and say which promise broke where."""

import sys

from simulation.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
