"""Certificates for clusters in tests: a CA made for the occasion, and one certificate of it that all machines show."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.contract.cluster import Tls


def certificates(folder: Path) -> Tls:
    """A CA of its own and one certificate of it."""
    folder.mkdir()
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name, name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("ca", "node"))
    now = dt.datetime.now(dt.UTC)
    until = now + dt.timedelta(days=2)

    def signed(subject: x509.Name, of: ec.EllipticCurvePrivateKey, *, is_ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(ca_key, hashes.SHA256())
        )

    pem = serialization.Encoding.PEM
    files = Tls(*(str(folder / file) for file in ("ca.pem", "node.pem", "node.key")))
    Path(files.ca).write_bytes(signed(ca_name, ca_key, is_ca=True).public_bytes(pem))
    Path(files.certificate).write_bytes(signed(name, key, is_ca=False).public_bytes(pem))
    plain = serialization.NoEncryption()
    Path(files.key).write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return files
