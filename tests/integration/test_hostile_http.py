"""Hostile TLS, HTTP and WebSocket input at the door: refused in a bounded time, honest users unaffected."""
import concurrent.futures
import contextlib
import os
import select
import socket
import ssl
import time

import pytest

from lab.gateway import PATIENCE, Gateway, eventually
from lab.net import dial


def context(gateway, **kw):
    c = ssl.create_default_context(cafile=str(gateway.ca))
    for k, v in kw.items():
        setattr(c, k, v)
    return c


def tls(gateway, ctx=None, timeout=15):
    return (ctx or context(gateway)).wrap_socket(dial(gateway.port, timeout), server_hostname="localhost")


def raw(gateway, request, timeout=15):
    """(status, everything) of one raw request; status 0 when the gateway just closed."""
    with tls(gateway, timeout=timeout) as s:
        s.sendall(request)
        got = b""
        try:
            while chunk := s.recv(65536):
                got += chunk
                if b"\r\n\r\n" in got and b"content-length" not in got.split(b"\r\n\r\n")[0].lower():
                    break
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass
    parts = got.split(b" ", 2)
    return (int(parts[1]) if got.startswith(b"HTTP/1.1 ") else 0), got


def honest(gateway):
    status, _ = raw(gateway, f"GET /v1/version HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nConnection: close\r\n\r\n".encode())
    return status == 200


H = "Host: localhost:PORT\r\n"
REFUSED = {
    "no host": "GET /v1/version HTTP/1.1\r\n\r\n",
    "two hosts": "GET /v1/version HTTP/1.1\r\n" + H + H + "\r\n",
    "other host": "GET /v1/version HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "ip host": "GET /v1/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "http 1.0": "GET /v1/version HTTP/1.0\r\n" + H + "\r\n",
    "http 0.9": "GET /v1/version\r\n",
    "http 2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http 9.9": "GET /v1/version HTTP/9.9\r\n" + H + "\r\n",
    "bare LF": "GET /v1/version HTTP/1.1\n" + H + "\r\n",
    "bare CR": "GET /v1/version HTTP/1.1\r\nA: b\rC: d\r\n" + H + "\r\n",
    "nul": "GET /v1/version HTTP/1.1\r\nA: b\0c\r\n" + H + "\r\n",
    "fold": "GET /v1/version HTTP/1.1\r\nA: b\r\n c\r\n" + H + "\r\n",
    "space before colon": "GET /v1/version HTTP/1.1\r\nA : b\r\n" + H + "\r\n",
    "empty name": "GET /v1/version HTTP/1.1\r\n: b\r\n" + H + "\r\n",
    "name with space": "GET /v1/version HTTP/1.1\r\nA b: c\r\n" + H + "\r\n",
    "te": "POST /v1/enrol HTTP/1.1\r\n" + H + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te and cl": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two cl": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "listed cl": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: 2, 2\r\n\r\n{}",
    "signed cl": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: +2\r\n\r\n{}",
    "negative cl": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: -1\r\n\r\n",
    "hex cl": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: 0x2\r\n\r\n{}",
    "huge cl": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: 99999999999999999999\r\n\r\n",
    "body too large": "POST /v1/enrol HTTP/1.1\r\n" + H + "Content-Length: 70000\r\n\r\n",
    "dot segments": "GET /v1/../v1/version HTTP/1.1\r\n" + H + "\r\n",
    "encoded dots": "GET /v1/%2e%2e/version HTTP/1.1\r\n" + H + "\r\n",
    "encoded slash": "GET /v1%2fversion HTTP/1.1\r\n" + H + "\r\n",
    "encoded nul": "GET /v1/version%00 HTTP/1.1\r\n" + H + "\r\n",
    "double slash": "GET //v1/version HTTP/1.1\r\n" + H + "\r\n",
    "semicolon": "GET /v1/version;x HTTP/1.1\r\n" + H + "\r\n",
    "fragment": "GET /v1/version#x HTTP/1.1\r\n" + H + "\r\n",
    "absolute form": "GET https://localhost/v1/version HTTP/1.1\r\n" + H + "\r\n",
    "asterisk": "OPTIONS * HTTP/1.1\r\n" + H + "\r\n",
    "connect": "CONNECT localhost:22 HTTP/1.1\r\n" + H + "\r\n",
    "trace": "TRACE /v1/version HTTP/1.1\r\n" + H + "\r\n",
    "lower-case method": "get /v1/version HTTP/1.1\r\n" + H + "\r\n",
    "long method": "G" * 1024 + " / HTTP/1.1\r\n" + H + "\r\n",
    "raw 8 bit": "GET /v1/versi\xf6n HTTP/1.1\r\n" + H + "\r\n",
    "two spaces": "GET  /v1/version HTTP/1.1\r\n" + H + "\r\n",
    "64 KiB header": "GET /v1/version HTTP/1.1\r\n" + H + "A: " + "b" * 65536 + "\r\n\r\n",
    "10,000 headers": "GET /v1/version HTTP/1.1\r\n" + H + "A: b\r\n" * 10000 + "\r\n",
    "65 headers": "GET /v1/version HTTP/1.1\r\n" + H + "A: b\r\n" * 65 + "\r\n",
    "origin on the API": "GET /v1/version HTTP/1.1\r\n" + H + "Origin: https://evil.example\r\n\r\n",
    "origin on the tunnel": "GET /v1/tunnel HTTP/1.1\r\n" + H + "Origin: https://evil.example\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_request(gateway, name):
    status, got = raw(gateway, REFUSED[name].replace("PORT", str(gateway.port)).encode("latin-1"))
    assert status == 0 or 400 <= status < 600, got[:200]
    assert status != 200


def said_to(s, out, timeout=60):
    """All that comes while so much is sent; both ways in one thread, since Python's TLS does not take two."""
    s.setblocking(False)
    got, end = b"", time.monotonic() + timeout * PATIENCE
    while time.monotonic() < end:
        try:
            out = out[s.send(out[:65536]):] if out else out
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (ConnectionError, ssl.SSLError):
            out = b""  # it was answered before its end: what was said lies there still
        try:
            chunk = s.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            select.select([s], [s] if out else [], [], 1)
            continue
        except (ConnectionError, ssl.SSLError):
            return got
        if not chunk:
            return got
        got += chunk
    raise AssertionError(f"no end after {len(got)} bytes")


def test_a_thousand_pipelined_requests(gateway):
    """One at a time, each answered, in order; what follows the last is no request, and ends it."""
    one, other = (f"GET {path} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n".encode() for path in ("/v1/version", "/adfs/discovery/keys"))
    with tls(gateway) as s:
        got = said_to(s, (one + other) * 500 + b"\0garbage\r\n\r\n")
    answers = [(int(x[:3]), b'"keys"' in x) for x in got.split(b"HTTP/1.1 ")[1:]]
    assert answers == [(200, False), (200, True)] * 500 + [(400, False)], (len(answers), answers[-3:])
    assert honest(gateway)


def test_no_route_answers_without_a_token(gateway):
    open_routes = {"/v1/version", "/adfs/.well-known/openid-configuration", "/adfs/discovery/keys"}
    for path in ["/", "/v1", "/v1/whoami", "/v1/sessions", "/v1/documents?kind=principal", "/v1/audit", "/metrics", "/healthz",
                 "/readyz", "/v1/tunnel", "/api/tokens", "/webtunnelv2/x", "/subscriptions", *open_routes]:
        status, got = raw(gateway, f"GET {path} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nConnection: close\r\n\r\n".encode())
        assert (status == 200) == (path in open_routes), (path, got[:200])


def test_smuggled_second_request_is_not_served_after_an_error(gateway):
    port = gateway.port
    status, got = raw(gateway, (f"POST /v1/enrol HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: x\r\n\r\n"
                                f"GET /v1/version HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").encode())
    assert got.count(b"HTTP/1.1 ") <= 1 and b'"version"' not in got


@pytest.fixture(scope="module")
def impatient(network, folder):
    """Its deadlines are short, so that they need not be waited for."""
    g = Gateway(network, folder / "impatient", tls_timeout="1s", head_timeout="1s", body_timeout="1s").start()
    yield g
    g.close()


@pytest.mark.parametrize("begin", ["GET /v1/version HTTP/1.1\r\nHost: localhost:{}\r\nA: ",
                                   "POST /v1/enrol HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"],
                         ids=["head", "body"])
@pytest.mark.parametrize("drips", [False, True])
def test_the_deadline_of_a_head_and_of_a_body_is_absolute(impatient, begin, drips):
    """One byte more every 50 ms buys nobody time."""
    with tls(impatient) as s:
        s.sendall(begin.format(impatient.port).encode())
        began = time.monotonic()
        s.settimeout(0.05)
        sent, got = 0, None
        while got is None:
            assert time.monotonic() - began < 4 * PATIENCE, f"still open after {sent} bytes"
            try:
                got = s.recv(4096)
            except TimeoutError:
                if drips:
                    s.sendall(b"x")
                    sent += 1
            except (ConnectionError, ssl.SSLError):
                got = b""
        assert time.monotonic() - began > 0.8
        assert got.startswith(b"HTTP/1.1 408") and (not drips or sent >= 5), (got, sent)


@pytest.mark.parametrize("what", [b"", b"\x16", b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\x80\x2e\x01\x00\x02" + b"x" * 40,
                                  b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 70000])
def test_not_tls_is_closed_in_time(impatient, what):
    with socket.create_connection(("127.0.0.1", impatient.port)) as s:
        s.settimeout(20)
        started = time.monotonic()
        try:
            s.sendall(what)
            while s.recv(4096):
                pass
        except (ConnectionError, BrokenPipeError):
            pass
        assert time.monotonic() - started < 4 * PATIENCE
    assert honest(impatient)


def test_alpn_h2_only_is_refused_or_not_chosen(gateway):
    c = context(gateway)
    c.set_alpn_protocols(["h2"])
    try:
        with tls(gateway, c) as s:
            assert s.selected_alpn_protocol() is None
    except ssl.SSLError:
        pass


def test_a_thousand_silent_connections_do_not_keep_honest_ones_out(gateway):
    idle = []
    try:
        for _ in range(240):  # one source may hold 256 before TLS
            idle.append(socket.create_connection(("127.0.0.1", gateway.port)))
        assert honest(gateway)
        for _ in range(200):
            s = socket.create_connection(("127.0.0.1", gateway.port))
            s.setblocking(False)
            idle.append(s)
        started = time.monotonic()
        eventually(lambda: _try(honest, gateway), 15, "honest users get in once the slots' five seconds passed")
        assert time.monotonic() - started < 12 * PATIENCE
    finally:
        for s in idle:
            s.close()


def _try(fn, *args):
    try:
        return fn(*args)
    except (OSError, ssl.SSLError):
        return False


def upgrade(gateway, headers, token=None, path="/v1/tunnel"):
    auth = f"Authorization: Bearer {token}\r\n" if token else ""
    return raw(gateway, (f"GET {path} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n{auth}{headers}\r\n").encode())


def upgrade_begun(gateway, headers, token):
    """The head of the answer, after which the connection is left."""
    with tls(gateway) as s:
        s.sendall(f"GET /v1/tunnel HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nAuthorization: Bearer {token}\r\n{headers}\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got and (chunk := s.recv(4096)):
            got += chunk
    return got


GOOD = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: caponier.v1\r\n")


@pytest.mark.parametrize("drop,add", [
    ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: short"),
    ("", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), ("Version: 13", "Version: 12"), ("Connection: Upgrade\r\n", ""),
    ("Upgrade: websocket", "Upgrade: h2c"), ("Sec-WebSocket-Protocol: caponier.v1\r\n", ""), ("caponier.v1", "caponier.v9")])
def test_bad_upgrades(gateway, admin_token, drop, add):
    headers = GOOD.replace(drop, add) if drop else GOOD + add
    status, got = upgrade(gateway, headers, admin_token)
    assert status in (400, 401, 403, 404, 426), got[:200]


@pytest.mark.parametrize("offers", [
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", "Sec-WebSocket-Extensions: " + "x-webkit-deflate-frame, " * 200 + "y\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate\r\n" * 20], ids=["az's", "a flood", "many fields"])
def test_extensions_are_offered_in_vain(gateway, admin_token, offers):
    """RFC 6455: whoever does not name one in the answer has not taken it. A frame that uses it is then refused."""
    with tls(gateway) as s:
        s.sendall(f"GET /v1/tunnel HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nAuthorization: Bearer {admin_token}\r\n{GOOD}{offers}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(4096)
        assert b" 101 " in head.split(b"\r\n")[0] and b"extensions" not in head.lower(), head
        s.sendall(b"\xc2\x80\0\0\0\0")  # RSV1: "compressed"
        got = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while chunk := s.recv(4096):
                got += chunk
        assert (1002).to_bytes(2, "big") + b"websocket: reserved bits" in got, got


@pytest.mark.parametrize("protocols,status", [("a, b, caponier.v1, c", 101), (", ".join(f"p{i}" for i in range(1000)) + ", caponier.v1", 101),
                                              (", ".join(f"p{i}" for i in range(1000)), 400), ("CAPONIER.V1", 400), ("caponier.v1x, xcaponier.v1", 400),
                                              (",,,,", 400), ("caponier.v1;q=1", 400)],
                         ids=["among others", "the last of a flood", "a flood without", "upper case", "longer words", "none", "a parameter"])
def test_our_subprotocol_among_others_or_none(gateway, admin_token, protocols, status):
    got = upgrade_begun(gateway, GOOD.replace("caponier.v1", protocols), admin_token)
    assert got.startswith(f"HTTP/1.1 {status} ".encode()), got
    assert (b"Sec-WebSocket-Protocol: caponier.v1\r\n" in got) == (status == 101), got


@pytest.mark.parametrize("token,status", [(None, 401), ("garbage", 401), ("a.b.c", 401), ("x" * 20000, 400)])
def test_upgrade_without_a_good_bearer(gateway, token, status):
    got = upgrade(gateway, GOOD, token)
    assert got[0] in (status, 401, 431), got


def test_token_in_the_query_is_no_token(gateway, admin_token):
    assert upgrade(gateway, GOOD, path=f"/v1/tunnel?access_token={admin_token}")[0] in (400, 401)
    assert raw(gateway, f"GET /v1/whoami?access_token={admin_token} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nConnection: close\r\n\r\n".encode())[0] in (400, 401)


def test_good_upgrade_and_then_bad_frames(gateway, admin_token):
    bad = {"unmasked": b"\x82\x01x", "rsv": b"\xc2\x80\0\0\0\0", "reserved opcode": b"\x83\x80\0\0\0\0",
           "non-minimal length": b"\x82\xfe\0\x05\0\0\0\0hello", "2^63": b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0",
           "text": b"\x81\x81\0\0\0\0x", "continuation first": b"\x80\x81\0\0\0\0x", "long ping": b"\x89\xfe\0\x80" + b"\0" * 132,
           "fragmented ping": b"\x09\x80\0\0\0\0", "short frame": b"\x82\x83\0\0\0\0abc",
           "unknown type": b"\x82\x90\0\0\0\0" + b"\x63" + b"\0" * 15, "data on no stream": b"\x82\x91\0\0\0\0" + b"\x04\0\0\0\0\0\0\x09" + b"\0" * 8 + b"x",
           "close 999": b"\x88\x82\0\0\0\0\x03\xe7"}
    for name, frame in bad.items():
        with tls(gateway) as s:
            s.sendall((f"GET /v1/tunnel HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nAuthorization: Bearer {admin_token}\r\n{GOOD}\r\n").encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += s.recv(4096)
            assert b" 101 " in head.split(b"\r\n")[0] and b"caponier.v1" in head, name
            s.sendall(frame)
            s.settimeout(15)
            closed = b""
            try:
                while chunk := s.recv(4096):
                    closed += chunk
            except (ConnectionError, ssl.SSLError):
                pass
            assert closed == b"" or closed[0] in (0x88, 0x82), (name, closed[:40])
    assert honest(gateway)


def test_pipelined_bytes_before_101_are_refused(gateway, admin_token):
    request = f"GET /v1/tunnel HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nAuthorization: Bearer {admin_token}\r\n{GOOD}\r\n".encode()
    status, got = raw(gateway, request + b"\x82\x90\0\0\0\0" + b"\x09" + b"\0" * 15)
    assert status in (0, 400), got[:100]


@pytest.fixture(scope="module")
def admin_token(gateway):
    import requests
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "root@example.test", "password": "a long first password 1", "client_id": "x",
        "scope": "openid"})
    return r.json()["access_token"]


def test_forwarded_headers_are_ignored(gateway, admin, admin_token):
    status, _ = raw(gateway, (f"GET /v1/whoami HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nX-Forwarded-For: 6.6.6.6\r\n"
                              f"X-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nAuthorization: Bearer {admin_token}\r\nConnection: close\r\n\r\n").encode())
    assert status == 200
    assert "6.6.6.6" not in gateway.log_text()


def test_no_secret_reaches_a_log(gateway, admin_token):
    text = gateway.log_text()
    assert admin_token not in text and "a long first password 1" not in text
    assert "eyJ" not in text  # how every JWT begins
