"""Proofs of a key by hand (docs/protocol.md, "Channel binding"), and connections that know their TLS exporter."""
import base64
import hashlib
import hmac
import json
import secrets
import socket
import ssl
import tempfile
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HASHES = {"TLS_AES_128_GCM_SHA256": "sha256", "TLS_CHACHA20_POLY1305_SHA256": "sha256", "TLS_AES_256_GCM_SHA384": "sha384"}


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(token):
    return json.loads(unb64(token.split(".")[1]))


class Key:
    def __init__(self, seed=None):
        self.private = Ed25519PrivateKey.from_private_bytes(seed) if seed else Ed25519PrivateKey.generate()
        self.x = b64(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        self.jwk = {"crv": "Ed25519", "kty": "OKP", "x": self.x}
        self.jkt = b64(hashlib.sha256(json.dumps(self.jwk, separators=(",", ":")).encode()).digest())

    def proof(self, method, url, token=None, exporter=None, header=None, **over):
        """None takes a claim out."""
        head = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.jwk, **(header or {})}
        body = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time()),
                "ath": token and b64(hashlib.sha256(token.encode()).digest()), "tls-exporter": exporter and b64(exporter), **over}
        parts = [b64(json.dumps(p).encode()) for p in (head, {k: v for k, v in body.items() if v is not None})]
        return ".".join([*parts, b64(self.private.sign(".".join(parts).encode()))])


def _expand_label(digest, secret, label, context, n):
    info = n.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label + bytes([len(context)]) + context
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = hmac.new(secret, block + info + bytes([i]), digest).digest()
        out, i = out + block, i + 1
    return out[:n]


class Connection:
    """One TLS connection to the gateway; exporter is RFC 9266's, from the library's own key log (RFC 8446 7.5)."""

    def __init__(self, port, ca):
        context = ssl.create_default_context(cafile=str(ca))
        with tempfile.NamedTemporaryFile("r") as keys:
            context.keylog_filename = keys.name
            self.s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost")
            secret = bytes.fromhex(next(x.split()[2] for x in keys if x.startswith("EXPORTER_SECRET")))
        digest, empty = HASHES[self.s.cipher()[0]], hashlib.new(HASHES[self.s.cipher()[0]]).digest()
        derived = _expand_label(digest, secret, b"EXPORTER-Channel-Binding", empty, len(empty))
        self.exporter = _expand_label(digest, derived, b"exporter", empty, 32)

    def ask(self, port, method, path, *fields, body=b""):
        """(status, {field: value}, body); reads no further than an upgrade's head."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", *(f"{k}: {v}" for k, v in fields)]
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/x-www-form-urlencoded"]
        self.s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        got = b""
        while b"\r\n\r\n" not in got:
            chunk = self.s.recv(65536)
            assert chunk, got
            got += chunk
        head, _, rest = got.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        said = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        while len(rest) < int(said.get("content-length", 0)):
            rest += self.s.recv(65536)
        return int(lines[0].split()[1]), said, rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()
