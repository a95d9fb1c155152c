"""The mark that says how a film was made: IPTC's digital source type, in a box of XMP at the end of an MP4.

ffmpeg drops such marks when it copies, encodes or joins, without a word, so what it has made is marked afterwards. The
terms are IPTC's (http://cv.iptc.org/newscodes/digitalsourcetype/, 2024-10-23). `compositeWithTrainedAlgorithmicMedia`
is not among them: IPTC means by it that a model has edited something else; some pages about C2PA say otherwise.
"""

from collections.abc import Iterable
from pathlib import Path

from vgen.errors import MediaError
from vgen.media.claims import XMP, boxes

TRAINED = "trainedAlgorithmicMedia"
"""Made by a model. IPTC: "created algorithmically using an Artificial Intelligence model"."""
COMPOSITE = "compositeSynthetic"
"""IPTC: "Mix or composite of several elements, at least one of which is Generative AI"."""
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' Iptc4xmpExt:DigitalSourceType="{uri}"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def of_all(source_types: Iterable[str]) -> str:
    """The type of a film of these parts; "" is a part that no model made. "" if no part was made by one."""
    parts = set(source_types)
    if parts <= {""}:
        return ""
    return parts.pop() if len(parts) == 1 else COMPOSITE


def box(source_type: str) -> bytes:
    """The box, of 417 bytes for TRAINED: the same for the same type."""
    content = XMP + _PACKET.format(uri=VOCABULARY + source_type).encode()
    return (8 + len(content)).to_bytes(4, "big") + b"uuid" + content


def append(path: Path, source_type: str) -> None:
    """Mark a file that ffmpeg has just made. Raises MediaError if its last box is not closed, OSError."""
    size = path.stat().st_size
    with path.open("rb+") as file:
        last = [stop for _, _, stop in boxes(file, 0, size)][-1:]
        if last != [size]:
            raise MediaError("its boxes do not end where the file ends, so it can't be marked")
        file.seek(size)
        file.write(box(source_type))
