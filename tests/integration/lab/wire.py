"""TLS 1.3 by hand, as far as an attacker needs it: a ClientHello to take apart, records after the handshake."""
import contextlib
import hashlib
import hmac
import os
import socket
import ssl
import struct
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .net import dial

HANDSHAKE, ALERT, APPLICATION = 22, 21, 23


def record(kind, body, version=0x0303):
    return struct.pack(">BHH", kind, version, len(body)) + body


def records(message, size=16384):
    """A handshake message in records of at most `size` bytes."""
    return b"".join(record(HANDSHAKE, message[i:i + size], 0x0301) for i in range(0, len(message), size))


def client_hello(name="localhost"):
    """The handshake message of an ordinary client."""
    out = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's certificates, whose loading takes longer than a handshake
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    o = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        o.do_handshake()
    return out.read()[5:]


def extensions(hello):
    """(what stands before them, [(type, body)])"""
    at = 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + struct.unpack_from(">H", hello, at)[0]
    at += 1 + hello[at]
    head, rest, out = hello[:at], hello[at + 2:], []
    while rest:
        kind, n = struct.unpack_from(">HH", rest)
        out.append((kind, rest[4:4 + n]))
        rest = rest[4 + n:]
    return head, out


def with_extensions(head, exts):
    body = b"".join(struct.pack(">HH", kind, len(b)) + b for kind, b in exts)
    body = head[4:] + struct.pack(">H", len(body)) + body
    return b"\x01" + len(body).to_bytes(3, "big") + body


def server_name(name):
    return struct.pack(">HBH", len(name) + 3, 0, len(name)) + name


def _expand(secret, label, n):
    info = struct.pack(">HB", n, 6 + len(label)) + b"tls13 " + label + b"\0"
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()[:n]


class Records:
    """An ordinary handshake, then records that no library would send. Only written to: what the gateway says is not decrypted."""

    def __init__(self, port, ca, source=None):
        context = ssl.create_default_context(cafile=str(ca))
        with tempfile.NamedTemporaryFile("r") as keys:
            context.keylog_filename = keys.name
            s = context.wrap_socket(dial(port, source=source), server_hostname="localhost")
            assert s.cipher()[0] == "TLS_AES_128_GCM_SHA256"
            secret = bytes.fromhex(next(x.split()[2] for x in keys if x.startswith("CLIENT_TRAFFIC_SECRET_0")))
        self.gcm, self.iv, self.seq = AESGCM(_expand(secret, b"key", 16)), _expand(secret, b"iv", 12), 0
        self.socket = socket.socket(fileno=s.detach())
        self.socket.settimeout(20)

    def seal(self, body, kind=APPLICATION):
        nonce = (int.from_bytes(self.iv, "big") ^ self.seq).to_bytes(12, "big")
        self.seq += 1
        head = struct.pack(">BHH", APPLICATION, 0x0303, len(body) + 17)
        return head + self.gcm.encrypt(nonce, body + bytes([kind]), head)

    def send(self, body, kind=APPLICATION):
        self.socket.sendall(self.seal(body, kind))

    def ended(self):
        """Whatever still comes, until the gateway has closed."""
        got = b""
        with contextlib.suppress(ConnectionError):
            while chunk := self.socket.recv(65536):
                got += chunk
        self.socket.close()
        return got
