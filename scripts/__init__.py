"""What is run by hand, from the repository's top: `python -m scripts.recording`, `python -m scripts.release`.

The tests' studio and campaigns do the work, so their folders are put on the path.
"""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [home for home in (str(_TESTS), str(_TESTS / "process")) if home not in sys.path]
