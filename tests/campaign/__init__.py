"""Real processes killed with SIGKILL, round after round, against a simulated provider on loopback.

`python -m tests.campaign --kills 50` plays them; tests/process/test_process_campaign.py plays some with every change.
"""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [home for home in (str(_TESTS), str(_TESTS / "process")) if home not in sys.path]
