"""`python -m scripts.slow_files JUNIT.xml`: where a run of the tests spent its time, by file."""

import sys
from collections import Counter
from xml.etree import ElementTree as ET

SHOWN = 25


def main(path: str) -> None:
    """Print the files that took longest, in seconds summed over all processes."""
    seconds: Counter[str] = Counter()
    for case in ET.parse(path).iter("testcase"):
        seconds[case.get("classname", "")] += float(case.get("time", 0))
    for name, took in seconds.most_common(SHOWN):
        print(f"{took:7.0f} s  {name}")
    print(f"{seconds.total():7.0f} s  all tests")


if __name__ == "__main__":
    main(sys.argv[1])
