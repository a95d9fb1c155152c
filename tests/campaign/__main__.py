"""`python -m tests.campaign`: kill many runs, and say which promise broke where."""

import sys

from campaign.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
