#!/usr/bin/env bash
# PyPI c2pa-python 0.38.1 (with cryptography 50.0.2); no other package, no network
#
# A film is signed with a clip as its ingredient, and that clip was changed after it had been signed itself. The film's
# state is Valid and its own list of failures is empty of it: assertion.bmffHash.mismatch is only in the ingredient's
# validation_results, and one level deeper if the clip was made from another. A program that looks at the state alone
# passes on a broken chain as a good one.
# Seen: clip Invalid; film of it Valid; the film's failures name the untrusted signer only, the ingredient's the mismatch.
#
# Instead: read the film back after signing, walk manifests -> ingredients -> active_manifest, and look at the
# validation_results of each (activeManifest.failure, ingredientDeltas[].validationDeltas.failure).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q c2pa-python==0.38.1 cryptography==50.0.2 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >film.py <<'PY'
import datetime
import json

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def box(kind, content):
    return (len(content) + 8).to_bytes(4, "big") + kind + content


with open("plain.mp4", "wb") as file:  # as little of an MP4 as c2pa takes
    file.write(box(b"ftyp", b"isom\0\0\2\0isommp41") + box(b"moov", box(b"mvhd", bytes(100))) + box(b"mdat", bytes(2048)))

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "test")])
now = datetime.datetime.now(datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
    .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
    .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    .sign(key, hashes.SHA256())
).public_bytes(serialization.Encoding.PEM)
private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
made_by_ai = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def sign(target, *clips):
    actions = [{"action": "c2pa.created", "digitalSourceType": made_by_ai}]
    actions += [{"action": "c2pa.placed", "parameters": {"ingredientIds": [clip]}} for clip in clips]
    manifest = {"claim_generator_info": [{"name": "test", "version": "1"}], "title": target,
                "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": {"actions": actions}}]}
    info = c2pa.C2paSignerInfo(b"es256", certificate, private, None)
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
        for clip in clips:
            with open(clip, "rb") as file:
                builder.add_ingredient({"title": clip, "relationship": "componentOf", "label": clip}, "video/mp4", file)
        with open("plain.mp4", "rb") as source, open(target, "w+b") as signed:
            builder.sign(signer, "video/mp4", source, signed)


def read(path):
    with open(path, "rb") as file, c2pa.Reader("video/mp4", file) as reader:
        return reader.get_validation_state(), json.loads(reader.json())


def failures(results):
    return [one["code"] for one in results["activeManifest"]["failure"]]


sign("clip.mp4")
with open("clip.mp4", "r+b") as file:
    file.seek(-5, 2)
    file.write(b"\1")
sign("film.mp4", "clip.mp4")

clip_state, _ = read("clip.mp4")
film_state, told = read("film.mp4")
(ingredient,) = told["manifests"][told["active_manifest"]]["ingredients"]
own, its = failures(told["validation_results"]), failures(ingredient["validation_results"])
assert clip_state == "Invalid" and film_state == "Valid", f"changed: clip {clip_state}, film {film_state}"
assert "assertion.bmffHash.mismatch" not in own, f"changed: the film's own failures are {own}"
assert "assertion.bmffHash.mismatch" in its, f"changed: the ingredient's failures are {its}"
print(f"still so: the clip is {clip_state}, the film of it {film_state}; the film's failures are {own}, the clip's {its}")
PY
venv/bin/python film.py
