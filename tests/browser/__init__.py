"""The gallery in a real browser, from disk, with the network off.

`python -m tests.browser.screenshot` draws the pictures in docs/pictures.
"""

import sys
from pathlib import Path

sys.path[:0] = [home] if (home := str(Path(__file__).resolve().parent.parent)) not in sys.path else []
