"""Tokens that are not ours, driven through every door that takes one: 401 in that door's own shape, a line in the log, a
penalty for the source alone. The whole table of claims is a unit test's (tests/unit/test_identity.c)."""
import base64
import hashlib
import hmac
import itertools
import json
import re
import ssl
import time

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from lab.gateway import ADMIN, ADMIN_PASSWORD, eventually
from lab.net import dial
from test_hostile_http import GOOD, honest
from test_sessions import audit


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def unb64(s):
    return base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))


class Mint:
    """A good token of the gateway's, its key, and everything that can be made of the two."""

    def __init__(self, gateway):
        r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
            "grant_type": "password", "username": ADMIN, "password": ADMIN_PASSWORD, "client_id": "x", "scope": "openid"})
        self.good, self.id_token = r.json()["access_token"], r.json()["id_token"]
        self.head, self.claims = (json.loads(unb64(x)) for x in self.good.split(".")[:2])
        self.key = serialization.load_pem_private_key((gateway.state / "token-key.pem").read_bytes(), None)
        self.pem = self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, text, key=None):
        r, s = utils.decode_dss_signature((key or self.key).sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")  # a high S is refused by itself

    def token(self, head={}, claims={}, signature=None, key=None):
        text = ".".join(b64(json.dumps({k: v for k, v in {**base, **more}.items() if v is not None}).encode())
                        for base, more in ((self.head, head), (self.claims, claims)))
        return text + "." + b64(signature(text) if signature else self.sign(text, key))

    def bad(self):
        """name -> (token, what the answer calls it)"""
        now = int(time.time())
        other = ec.generate_private_key(ec.SECP256R1())
        head, body, sig = self.good.split(".")
        raw = bytearray(unb64(sig))
        out = {f"alg {alg!r}": self.token({"alg": alg}, signature=lambda _: b"") for alg in ("none", "None", "NONE", "nOnE", "", [], None)}
        out |= {f"alg {alg!r}, signed": self.token({"alg": alg}) for alg in ("none", "es256", "ES384", "RS256", "EdDSA")}
        out |= {f"HS256 with our public key, {n}": self.token({"alg": "HS256"}, signature=lambda t, k=k: hmac.new(k, t.encode(), hashlib.sha256).digest())
                for n, k in (("PEM", self.pem), ("PEM without its last line end", self.pem.rstrip(b"\n")))}
        out |= {f"kid {kid!r:.20}": self.token({"kid": kid}) for kid in ("other", "../../dev/null", "' OR 1=1 --", "", None, {"a": 1}, "k" * 4000)}
        out |= {f"header {name}": self.token({name: v}) for name, v in {
            "jku": "https://evil.example/keys", "x5u": "https://evil.example/cert", "jwk": {"kty": "EC"}, "x5c": [], "crit": ["exp"],
            "b64": False, "zip": "DEF"}.items()}
        out["jwk of another key"] = self.token({"jwk": {"kty": "EC", "crv": "P-256"}}, key=other)
        out["another key"] = self.token(key=other)
        out["signature of zeros"] = self.token(signature=lambda _: bytes(64))
        out["signature in DER"] = self.token(signature=lambda t: self.key.sign(t.encode(), ec.ECDSA(hashes.SHA256())))
        out |= {f"bit {i} of the signature": f"{head}.{body}.{b64(bytes(raw[:i // 8]) + bytes([raw[i // 8] ^ 1 << i % 8]) + bytes(raw[i // 8 + 1:]))}"
                for i in (0, 255, 256, 511)}
        out["another payload under our signature"] = f"{head}.{b64(json.dumps({**self.claims, 'exp': now + 10 ** 6}).encode())}.{sig}"
        out |= {f"claim {k} {v!r:.30}": self.token(claims={k: v}) for k, v in [
            ("exp", None), ("exp", str(now + 99)), ("exp", -1), ("exp", now + 99.5), ("nbf", now + 3600), ("iat", now + 86400), ("iat", None),
            ("iss", self.claims["iss"] + "/"), ("iss", "https://evil.example/adfs"), ("iss", None), ("aud", "https://evil.example"), ("aud", []),
            ("aud", [self.claims["aud"], "x"]), ("aud", None), ("tid", "00000000-0000-4000-8000-000000000000"), ("idtyp", None),
            ("sub", "root"), ("oid", "0A1B2C3D-0000-4000-8000-00000000ABCD"), ("jti", None)]}
        out |= {"an id_token": self.id_token, "truncated": self.good[:-1], "without signature": f"{head}.{body}", "empty signature": f"{head}.{body}.",
                "four parts": self.good + ".x", "ten thousand dots": "." * 10_000, "padding": self.good + "=", "no base64url": self.good.replace("-", "+").replace("_", "/") + "+",
                "a space within": self.good[:50] + " " + self.good[50:], "twenty thousand": self.good + "A" * 12_000, "one letter": "x"}
        out = {k: (v, "token_invalid") for k, v in out.items()}
        out |= {f"expired at {exp}": (self.token(claims={"exp": exp}), "token_expired") for exp in (now - 61, 1)}
        return out


@pytest.fixture(scope="module")
def mint(gateway, admin):
    return Mint(gateway)


sources = (f"127.3.{i}.{j}" for i, j in itertools.product(range(256), range(1, 255)))  # a penalty is for one source


def ask(gateway, request, source=None):
    """(status, fields, body) of one raw request."""
    context = ssl.create_default_context(cafile=str(gateway.ca))
    with context.wrap_socket(dial(gateway.port, source=(source or next(sources), 0)), server_hostname="localhost") as s:
        s.sendall(request)
        got = b""
        while True:
            try:
                chunk = s.recv(65536)
            except (ConnectionError, ssl.SSLError):
                break
            got += chunk
            head, _, body = got.partition(b"\r\n\r\n")
            n = re.search(rb"(?i)content-length: (\d+)", head)
            if not chunk or (n and len(body) >= int(n[1])):
                break
    return int(got.split(b" ")[1]) if got else 0, head.decode(), body


def whoami(gateway, token, source=None):
    return ask(gateway, f"GET /v1/whoami HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode(), source)


def tunnel(gateway, token, source=None):
    return ask(gateway, f"GET /v1/tunnel HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nAuthorization: Bearer {token}\r\n{GOOD}\r\n".encode(), source)


def az_tokens(gateway, token, source=None):
    from urllib.parse import urlencode
    body = urlencode({"resourceId": "/x", "protocol": "tcptunnel", "workloadHostPort": 22, "aztoken": token})
    return ask(gateway, (f"POST /api/tokens HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                         f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}").encode(), source)


DOORS = {"/v1/whoami": (whoami, lambda j: j["error"]), "/v1/tunnel": (tunnel, lambda j: j.get("error", j)), "/api/tokens": (az_tokens, lambda j: j)}


@pytest.mark.parametrize("door", DOORS)
def test_bad_tokens(gateway, mint, door):
    send, error = DOORS[door]
    wrong = {}
    bad = mint.bad()
    assert whoami(gateway, mint.token())[0] == 200  # what we sign is good but for what a row changes
    assert len(bad) > 60
    before = gateway.log_text().count("event=token.refused")
    for name, (token, code) in bad.items():
        status, head, body = send(gateway, token)
        try:
            said = error(json.loads(body))
        except ValueError:
            said = {}
        # a header of its own cannot hold 10,000 bytes of token, or a space: that is the head parser's to say
        if status == 431 and len(token) > 8000 or " " in token and status in (400, 401):
            continue
        if status != 401 or said.get("code") != code or not said.get("message") or (door == "/v1/whoami" and "www-authenticate: bearer" not in head.lower()):
            wrong[name] = (status, body[:200])
        assert len(token) < 20 or token not in head and token.encode() not in body
    assert not wrong, wrong
    assert gateway.log_text().count("event=token.refused") - before > 60
    assert mint.good.split(".")[2] not in gateway.log_text()
    assert whoami(gateway, mint.good)[0] == 200 and honest(gateway)


def test_a_token_of_a_mebibyte(gateway, mint):
    for door, (send, _) in DOORS.items():
        try:
            status = send(gateway, "A" * (1 << 20))[0]
        except OSError:
            status = 0  # closed while it was being sent
        assert status in (0, 400, 413, 431), (door, status)
    assert whoami(gateway, mint.good)[0] == 200


@pytest.mark.parametrize("door", DOORS)
def test_who_goes_on_with_bad_tokens_is_put_off(gateway, mint, door):
    """After fifteen the source must wait; nobody else does, nor does it with a good token; the log stays short."""
    send, source = DOORS[door][0], next(sources)
    before = gateway.log_text().count("event=token.refused")
    got = [send(gateway, mint.token({"kid": f"k{i}"}), source)[0] for i in range(40)]
    assert set(got) == {401, 429} and got == sorted(got) and got[:10] == [401] * 10, got
    assert gateway.log_text().count("event=token.refused") - before == got.count(401)
    assert whoami(gateway, mint.good, source)[0] == 200
    assert whoami(gateway, mint.good)[0] == 200


def test_refused_tokens_in_the_audit(gateway, mint, admin):
    """The Azure door's calls are audited; those of one source and reason are merged."""
    source = next(sources)
    for i in range(10):
        az_tokens(gateway, mint.token({"kid": f"k{i}"}), source)
    records = eventually(lambda: [r for r in audit(admin) if r.get("clientIpAddress") == source], what="a record")
    assert len(records) <= 3 and all(r["operationName"] == "az.token" and r["status"] in (401, 429) for r in records), records


# ---- tickets ----

def test_tickets_bent_and_broken(gateway, ada):
    """Truncated, one bit off, long, of another's making: 403 and nothing used up."""
    from conftest import VM
    from test_azure_door import AzureClient
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "ada@example.test", "password": ada.password, "client_id": "x", "scope": "openid"})
    ticket = AzureClient(gateway, r.json()["access_token"]).tokens(VM + "scripted")["websocketToken"]
    raw = bytearray(unb64(ticket))
    raw[7] ^= 4
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for name, bent in {"a bit": b64(bytes(raw)), "short": ticket[:-1], "long": ticket + "A", "upper": ticket.swapcase(), "padded": ticket + "%3D",
                       "a path": ticket + "%2F..", "512": "A" * 512, "4096": "A" * 4096, "quote": "'--", "one": "A"}.items():
        status, _, body = ask(gateway, f"GET /webtunnelv2/{bent} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n{upgrade}\r\n".encode())
        assert 400 <= status < 500, (name, status, body)
    status, _, _ = ask(gateway, f"GET /webtunnelv2/{ticket} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n{upgrade}\r\n".encode())
    assert status == 101 or status in (502, 504)  # it was good all the time
