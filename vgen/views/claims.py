"""What a take says of its own making, in words. It is its provider's claim, and unchecked: the words say so."""

import json


def in_words(claims: str | None) -> str:
    """`trainedAlgorithmicMedia; C2PA manifest of 3,312 bytes`; "" for a file that claims nothing."""
    if not claims:
        return ""
    told = json.loads(claims)
    said = [", ".join(told.get("digital_source_types", ()))]
    if size := told.get("c2pa_bytes"):
        said.append(f"C2PA manifest of {size:,} bytes")
    if told.get("c2pa_elsewhere"):
        said.append("C2PA manifest elsewhere (not fetched)")
    return "; ".join(filter(None, said))
