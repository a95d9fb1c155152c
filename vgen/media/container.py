"""What a file's first bytes say that it is. Opens nothing, and believes no header: bytes decide."""

from dataclasses import dataclass

HEAD_BYTES = 512
"""What `sniff` wants to see: two packets of an MPEG-TS begin within."""
MP4_NAMES = "mov,mp4,m4a,3gp,3g2,mj2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A kind of file. `demuxer`: the only one of ffmpeg's that may read it, "" if none shall; `names`: its own name."""

    name: str
    suffix: str
    demuxer: str = ""
    names: str = ""


MP4 = Container(name="MP4", suffix=".mp4", demuxer="mp4", names=MP4_NAMES)
_MOV = Container(name="QuickTime (MOV)", suffix=".mov", demuxer="mov", names=MP4_NAMES)
_WEBM = Container(name="WebM", suffix=".webm", demuxer="matroska", names="matroska,webm")
_MKV = Container(name="Matroska (MKV)", suffix=".mkv", demuxer="matroska", names="matroska,webm")
_TS = Container(name="MPEG-TS", suffix=".ts", demuxer="mpegts", names="mpegts")

_MAGIC = (
    (0, b"GIF8", Container(name="GIF", suffix=".gif", demuxer="gif", names="gif")),
    (0, b"FLV\x01", Container(name="Flash video (FLV)", suffix=".flv", demuxer="flv", names="flv")),
    (0, b"OggS", Container(name="Ogg", suffix=".ogv", demuxer="ogg", names="ogg")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container(name="ASF (WMV)", suffix=".wmv", demuxer="asf", names="asf")),
    (0, b"\x00\x00\x01\xba", Container(name="MPEG-PS", suffix=".mpg", demuxer="mpeg", names="mpeg")),
    (8, b"AVI ", Container(name="AVI", suffix=".avi", demuxer="avi", names="avi")),
    (8, b"WEBP", Container(name="a WebP picture", suffix=".webp")),
    (0, b"\x89PNG\r\n\x1a\n", Container(name="a PNG picture", suffix=".png")),
    (0, b"\xff\xd8\xff", Container(name="a JPEG picture", suffix=".jpg")),
    (0, b"PK\x03\x04", Container(name="a ZIP archive", suffix=".zip")),
    (0, b"\x1f\x8b\x08", Container(name="a gzip archive", suffix=".gz")),
)
_PICTURE_BRANDS = {b"avif": ".avif", b"heic": ".heic", b"heix": ".heic", b"mif1": ".heif", b"msf1": ".heif"}
_OLD_MOV_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def sniff(head: bytes) -> Container | None:
    """The kind of file that begins so, or None if it is no container that is known: a text never is one."""
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _WEBM if b"webm" in head[:64] else _MKV
    if head[4:8] in _OLD_MOV_ATOMS and len(head) >= 16:
        return _MOV
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return _TS
    return next((kind for at, magic, kind in _MAGIC if head[at : at + len(magic)] == magic), None)


def _by_brand(head: bytes) -> Container:
    brand = head[8:12]
    if brand in _PICTURE_BRANDS:
        return Container(name="a HEIF or AVIF picture", suffix=_PICTURE_BRANDS[brand])
    compatible = head[16 : min(int.from_bytes(head[:4], "big"), len(head))]
    if brand == b"qt  " and not any(other in compatible for other in (b"isom", b"mp41", b"mp42")):
        return _MOV
    return MP4


def is_page(head: bytes) -> bool:
    """Whether the bytes begin as HTML, XML or JSON do: an error page that came instead of a file."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return text[:1] in (b"<", b"{", b"[") and sniff(head) is None
