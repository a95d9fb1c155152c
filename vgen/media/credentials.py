"""Who signs: a certificate and its private key, the user's own or one that vgen makes. Signs nothing itself.

What c2pa accepts was seen with c2pa-python 0.38.1: a self-signed certificate of an end entity that may sign
(digitalSignature) and is for e-mail (emailProtection), with the issuer's key named; the key as PKCS#8.
"""

import hashlib
import importlib.util
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from vgen.errors import InputError, Refusal
from vgen.media.tools import one_line
from vgen.store import atomic, failpoints

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

EXTRA = "credentials"
FOLDER = Path("vgen", "credentials")
"""Below the user's folder of settings: never among the outputs, which people share."""
CERTIFICATE, KEY = "certificate.pem", "private-key.pem"
YEARS = 30
"""A signature without a time stamp turns invalid when its certificate ends, and vgen asks nobody for time stamps."""
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a certificate and its key are. The key is read only by who signs."""

    certificate: Path
    key: Path

    def digest(self) -> str:
        """Of the certificate: what decides whether something must be signed anew. Raises OSError."""
        return hashlib.sha256(self.certificate.read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate with its key, ready to sign. PEM; `algorithm` as C2PA names it."""

    certificates: bytes
    key: bytes = field(repr=False)
    algorithm: str
    subject: str
    ends_at: datetime
    digest: str


def is_installed() -> bool:
    """Whether the extra is there. Imports nothing."""
    return all(importlib.util.find_spec(name) is not None for name in ("c2pa", "cryptography"))


def made_in(config_home: Path | None) -> Place | None:
    """The certificate that `doit credentials` made, if there is one."""
    if config_home is None:
        return None
    folder = config_home / FOLDER
    place = Place(certificate=folder / CERTIFICATE, key=folder / KEY)
    return place if place.certificate.is_file() else None


def load(place: Place, now: float) -> Identity:
    """Read and check both. Raises InputError, which says what is wrong and never shows the key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    pem = _read(place.certificate, "certificate")
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        what = "not a certificate in PEM; give the file that begins with -----BEGIN CERTIFICATE-----"
        raise InputError([f"{place.certificate}: {what}"]) from None
    secret = _read(place.key, "private key")
    try:
        key = serialization.load_pem_private_key(secret, password=None)
    except TypeError:
        raise InputError([f"{place.key}: is locked with a password; give a key without one"]) from None
    except ValueError:
        raise InputError([f"{place.key}: not a private key in PEM"]) from None
    if key.public_key() != certificate.public_key():
        raise InputError([f"{place.key}: is not the key of {place.certificate}; give the two that belong together"])
    starts_at, ends_at = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not starts_at.timestamp() <= now < ends_at.timestamp():
        span = f"{starts_at:%Y-%m-%d} to {ends_at:%Y-%m-%d}"
        raise InputError([f"{place.certificate}: holds from {span}, and not today; give one that does"])
    return Identity(
        certificates=pem,
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        algorithm=_algorithm(key, place.key),
        subject=one_line(certificate.subject.rfc4514_string()),
        ends_at=ends_at,
        digest=hashlib.sha256(pem).hexdigest(),
    )


def make(config_home: Path, signer: str, now: float) -> Place:
    """Make a key and a certificate of its own, for YEARS, both or none; only this user can read the key.

    `signer`: the name that readers of a film see. Raises Refusal if there is one already, or the folder can't be
    written.
    """
    folder = config_home / FOLDER
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    certificate, key = _new_pair(signer, datetime.fromtimestamp(now, UTC))
    try:
        atomic.make_directory(folder.parent)
        part.mkdir(mode=0o700)
        try:
            for name, data, mode in ((KEY, key, 0o600), (CERTIFICATE, certificate, 0o644)):
                with open(os.open(part / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123
                    file.write(data)
                    file.flush()
                    failpoints.fsync(file.fileno())
            part.rename(folder)  # fails if another certificate is there
        finally:
            for name in (KEY, CERTIFICATE):
                (part / name).unlink(missing_ok=True)
            if part.is_dir():
                part.rmdir()
        atomic.sync_directory(folder.parent)
    except OSError as exc:
        raise Refusal(f"{folder}: no certificate was made ({exc.strerror})") from exc
    return Place(certificate=folder / CERTIFICATE, key=folder / KEY)


def _new_pair(signer: str, now: datetime) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, signer), x509.NameAttribute(NameOID.ORGANIZATION_NAME, signer)]
    )
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
         "encipher_only", "decipher_only"), False
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now.replace(year=now.year + YEARS, day=min(now.day, 28)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), secret


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InputError([f"{path}: the {what} can't be read ({exc.strerror}); correct the path"]) from exc


def _algorithm(key: "PrivateKeyTypes", path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match key:
        case ec.EllipticCurvePrivateKey() if key.curve.name in _CURVES:
            return _CURVES[key.curve.name]
        case rsa.RSAPrivateKey():
            return "ps256"
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case _:
            raise InputError([f"{path}: C2PA has no use for a key of this kind; give an EC, RSA or Ed25519 key"])
