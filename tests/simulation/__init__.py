"""Deterministic simulation: whole schedules of bad days, a pure function of a seed each, against the real program.

`python -m tests.simulation --count 1000` plays them; tests/test_simulation.py plays some with every change.
"""

import sys
from pathlib import Path

sys.path[:0] = [home] if (home := str(Path(__file__).resolve().parent.parent)) not in sys.path else []
