"""Hostile TCP and TLS: every refusal is quick, memory is bounded, and an honest user gets in meanwhile."""
import contextlib
import pathlib
import re
import resource
import select
import socket
import ssl
import subprocess
import time
import warnings

import pytest

from conftest import started
from lab import net, wire
from lab.gateway import BUILD, PATIENCE, SANITIZED, Gateway, eventually
from test_azure_door import AzureClient
from test_azure_door import token  # noqa: F401
from test_hostile_http import honest
from test_hostile_peers import all_gone, frame, reset, rss_mib
from test_seed_steps import read_all


@pytest.fixture
def az(gateway, token):  # noqa: F811
    return AzureClient(gateway, token)


def metric(gateway, name):
    """The sum of the fronts' own, as the metrics page shows them."""
    return sum(float(x.split()[-1]) for x in gateway.admin_get("/metrics")[1].splitlines() if re.match(name + r"[{ ]", x))


def answered(gateway, data, timeout=8):
    """What the gateway says to these bytes until it closes: it must."""
    got = b""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout * PATIENCE) as s, contextlib.suppress(ConnectionError):
        s.sendall(data)
        while chunk := s.recv(65536):
            got += chunk
    return got


def first_kind(got):
    return got[0] if got else None


# ---- ClientHello ----

def test_hello_in_records_of_one_byte(gateway):
    """It is either followed or refused: within the handshake's deadline, and the next one is served."""
    began = time.monotonic()
    got = answered(gateway, wire.records(wire.client_hello(), 1))
    assert first_kind(got) in (None, wire.HANDSHAKE, wire.ALERT)
    assert time.monotonic() - began < 8 * PATIENCE
    assert honest(gateway)


def test_handshake_deadline_counts_from_the_first_byte(own_gateway):
    """A byte now and then does not prolong it: the setting is what is tested, so it is short here."""
    own_gateway.stop()
    own_gateway.write_config(tls_timeout="500ms")
    own_gateway.start()
    hello = wire.records(wire.client_hello())
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", own_gateway.port), 20) as s:
        for i in range(len(hello)):
            if select.select([s], [], [], 0.05)[0]:
                break
            with contextlib.suppress(ConnectionError):
                s.sendall(hello[i:i + 1])
        with contextlib.suppress(ConnectionError):
            assert s.recv(100) == b""
    assert 0.4 < time.monotonic() - began < 2 * PATIENCE
    assert honest(own_gateway)


@pytest.mark.parametrize("what", ["64 KiB", "1,000 extensions", "1,000 times the same", "16 MiB announced", "no end of records"])
def test_outsized_hellos(gateway, what):
    head, exts = wire.extensions(wire.client_hello())
    before = rss_mib(gateway)
    if what == "64 KiB":
        hello = wire.records(wire.with_extensions(head, exts + [(21, b"\0" * (65535 - 600))]))
    elif what == "1,000 extensions":
        hello = wire.records(wire.with_extensions(head, exts + [(0x5000 + i, b"") for i in range(1000)]))
    elif what == "1,000 times the same":
        hello = wire.records(wire.with_extensions(head, exts + [(0x5000, b"")] * 1000))
    elif what == "16 MiB announced":
        hello = wire.record(wire.HANDSHAKE, b"\x01\xff\xff\xff" + b"\0" * 1000)
    else:
        hello = wire.record(wire.HANDSHAKE, b"\x01\x02\x00\x00" + b"\0" * 16000) + wire.record(wire.HANDSHAKE, b"\0" * 16384) * 200
    for _ in range(20):
        assert first_kind(answered(gateway, hello + wire.record(wire.ALERT, b"\x02\x50"))) in (None, wire.HANDSHAKE, wire.ALERT)
    assert rss_mib(gateway) - before < 8 * (6 if SANITIZED else 1)
    assert honest(gateway)


@pytest.mark.parametrize("name,refused", [
    (None, False), (b"other.example", False), (b"local\0host", True), (b"localhost\0.evil.example", True), (b"a" * 2000, True), (b"", False)])
def test_server_names(gateway, name, refused):
    """A name that is no name ends the handshake; no name and another one's are for the Host check to judge."""
    head, exts = wire.extensions(wire.client_hello())
    exts = [e for e in exts if e[0] != 0] + ([(0, wire.server_name(name))] if name is not None else [])
    got = answered(gateway, wire.records(wire.with_extensions(head, exts)) + wire.record(wire.ALERT, b"\x02\x50"))
    assert first_kind(got) == (wire.ALERT if refused else wire.HANDSHAKE), got[:40]
    assert honest(gateway)


def test_another_name_is_not_served(gateway):
    c = ssl.create_default_context(cafile=str(gateway.ca))
    c.check_hostname = False
    with c.wrap_socket(socket.create_connection(("127.0.0.1", gateway.port), 10), server_hostname="other.example") as s:
        s.sendall(f"GET /v1/version HTTP/1.1\r\nHost: other.example:{gateway.port}\r\nConnection: close\r\n\r\n".encode())
        assert s.recv(4096).split(b" ")[1] in (b"400", b"421")


# ---- versions and suites ----

AEAD, AES128 = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
CBC = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA"


@pytest.fixture(scope="module")
def older(network, folder):
    """It lets TLS 1.2 in."""
    g = Gateway(network, folder / "older", tls_min="1.2").start()
    yield g
    g.close()


def spoken(port, version, suites):
    """(version, suite) that a client gets who speaks this version only, or the reason that the other end gave for its no."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        c.minimum_version = c.maximum_version = version
    c.set_ciphers(suites + ":@SECLEVEL=0")  # else the client itself refuses to speak it
    try:
        with c.wrap_socket(net.dial(port), server_hostname="localhost") as s:
            return s.version(), s.cipher()[0]
    except ssl.SSLError as e:
        return e.reason


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_old_versions_are_refused(gateway, older, version):
    assert spoken(gateway.port, version, "ALL") == "TLSV1_ALERT_PROTOCOL_VERSION"
    if version != ssl.TLSVersion.TLSv1_2:
        assert spoken(older.port, version, "ALL") == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_tls_12_is_for_aead_only(older):
    assert spoken(older.port, ssl.TLSVersion.TLSv1_2, CBC) == "SSLV3_ALERT_HANDSHAKE_FAILURE"
    assert spoken(older.port, ssl.TLSVersion.TLSv1_2, CBC + ":" + AEAD) == ("TLSv1.2", AEAD)
    assert honest(older)


def faster_cipher():
    """Whether a gateway does AES-128-GCM by Intel's library here: built so, and what that wants of the processor."""
    said = subprocess.run([BUILD / "caponierd", "--version"], capture_output=True, text=True, check=True).stdout
    flags = re.search(r"^flags\s*:(.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    wanted = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512ifma", "vaes", "vpclmulqdq", "gfni", "sha_ni"}
    return "ipsec_mb=true" in said and "OpenSSL 3.0." in said and flags and wanted <= set(flags[1].split())


def test_tls_12_has_no_aes_128_where_the_faster_cipher_does_it(older):
    assert spoken(older.port, ssl.TLSVersion.TLSv1_2, AES128) == ("SSLV3_ALERT_HANDSHAKE_FAILURE" if faster_cipher() else ("TLSv1.2", AES128))
    assert honest(older)


def test_tls_12_has_aes_128_where_openssl_does_it(network, folder):
    g = Gateway(network, folder / "openssl", tls_min="1.2", tls_aes="openssl").start()
    try:
        assert spoken(g.port, ssl.TLSVersion.TLSv1_2, AES128) == ("TLSv1.2", AES128)
        assert spoken(g.port, ssl.TLSVersion.TLSv1_3, AES128) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    finally:
        g.close()


def test_this_client_could_speak_them(folder):
    """Else the refusals above might be its own."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", folder / "any.key", "-out", folder / "any.cert", "-days", "2"], check=True, capture_output=True)
    port = net.free_port()
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", folder / "any.key", "-cert", folder / "any.cert",
                               "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, what="a server that takes anything")
        assert [spoken(port, v, "ALL")[0] for v in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)] == ["TLSv1", "TLSv1.1", "TLSv1.2"]
        assert spoken(port, ssl.TLSVersion.TLSv1_2, CBC)[1] in CBC.split(":")
    finally:
        server.kill()
        server.communicate()


# ---- resumption ----

def s_client(gateway, *args, stdin=b"", timeout=20):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-servername", "localhost", "-CAfile",
                           gateway.ca, *map(str, args)], input=stdin, capture_output=True, timeout=timeout)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def foreign_session(folder):
    """A resumable session with early data, of a server that is not the gateway: to the gateway a forged ticket."""
    d = folder / "foreign"
    d.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", d / "key", "-out", d / "cert", "-days", "2"], check=True, capture_output=True)
    port = net.free_port()
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", d / "key", "-cert", d / "cert", "-tls1_3",
                               "-max_early_data", "16384", "-early_data"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = None

        def made():
            nonlocal client
            if client is None or client.poll() is not None:
                client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-sess_out", d / "session"],
                                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return (d / "session").exists() and b"END SSL SESSION" in (d / "session").read_bytes()
        eventually(made, what="a session of another server")
        client.kill()
        client.communicate()
        yield d / "session"
    finally:
        server.kill()
        server.communicate()


def test_no_ticket_is_ever_given(gateway, tmp_path):
    request = f"GET /v1/version HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nConnection: close\r\n\r\n".encode()
    out = s_client(gateway, "-ign_eof", "-sess_out", tmp_path / "session", stdin=request)
    assert b"HTTP/1.1 200" in out and b"Max Early Data" not in out and not (tmp_path / "session").exists()


def test_early_data_and_a_forged_ticket_are_not_taken(gateway, foreign_session, tmp_path):
    """The handshake is a whole one, and what came before it is never answered: not the first time, not replayed."""
    early = tmp_path / "early"
    early.write_text(f"GET /v1/version HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n")
    request = f"GET /v1/nothing HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nConnection: close\r\n\r\n".encode()
    for _ in range(3):
        out = s_client(gateway, "-ign_eof", "-sess_in", foreign_session, "-early_data", early, stdin=request)
        assert b"Early data was rejected" in out and b"New, TLSv1.3" in out and b"Reused" not in out, out
        assert out.count(b"HTTP/1.1 ") == 1 and b"HTTP/1.1 200" not in out, out
    assert honest(gateway)


def test_tls12_gives_no_ticket_and_does_not_renegotiate(own_gateway, tmp_path):
    own_gateway.stop()
    own_gateway.write_config(tls_min="1.2")
    own_gateway.start()
    out = s_client(own_gateway, "-tls1_2", "-sess_out", tmp_path / "session", stdin=b"R\n")
    assert b"New, TLSv1.2" in out and b"RENEGOTIATING" in out and b"no renegotiation" in out, out
    assert b"TLS session ticket" not in out
    assert b"New, TLSv1.2" in s_client(own_gateway, "-tls1_2", "-sess_in", tmp_path / "session") if (tmp_path / "session").exists() else True
    assert honest(own_gateway)


# ---- records ----

def test_ten_thousand_empty_records(gateway):
    """Thirty-odd in a row are an attack to OpenSSL; the request behind them is not served."""
    r = wire.Records(gateway.port, gateway.ca)
    flood = b"".join(r.seal(b"") for _ in range(10_000))
    request = r.seal(f"GET /v1/version HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nConnection: close\r\n\r\n".encode())
    before = rss_mib(gateway)
    with contextlib.suppress(OSError):
        r.socket.sendall(flood + request)
    assert len(r.ended()) < 200  # an alert, no answer
    assert rss_mib(gateway) - before < 8 * (6 if SANITIZED else 1)
    assert honest(gateway)


@pytest.mark.parametrize("what", ["bad tag", "replayed record", "too long", "unknown kind", "hello again", "no kind at all", "plain text"])
def test_bad_records_end_the_connection(gateway, what):
    r = wire.Records(gateway.port, gateway.ca)
    good = r.seal(b"GET /v1/version HTTP/1.1\r\n")
    bad = {"bad tag": good[:-1] + bytes([good[-1] ^ 1]), "replayed record": good + good,
           "too long": wire.record(wire.APPLICATION, b"x" * 20000), "unknown kind": r.seal(b"x", 99) if what == "unknown kind" else b"",
           "hello again": r.seal(wire.client_hello(), wire.HANDSHAKE) if what == "hello again" else b"",
           "no kind at all": r.seal(b"\0" * 100, 0) if what == "no kind at all" else b"",
           "plain text": b"GET /v1/version HTTP/1.1\r\n\r\n"}[what]
    if what in ("unknown kind", "hello again", "no kind at all"):
        bad = good + bad
    r.socket.sendall(bad + b"")
    began = time.monotonic()
    assert len(r.ended()) < 100
    assert time.monotonic() - began < 8 * PATIENCE
    assert honest(gateway)


# ---- ends ----

def steps(gateway):
    """A connection broken off at each step of a handshake, and in the middle of a request."""
    def step(n):
        s = socket.create_connection(("127.0.0.1", gateway.port), 10)
        hello = wire.records(wire.client_hello())
        if n == 1:
            s.sendall(hello[:3])
        elif n == 2:
            s.sendall(hello[:100])
        elif n == 3:
            s.sendall(hello)
        elif n == 4:
            s.sendall(hello)
            s.recv(1)
        elif n == 5:
            s.sendall(hello + wire.record(20, b"\x01") + wire.record(wire.APPLICATION, b"x" * 53))
        elif n >= 6:
            c = ssl.create_default_context(cafile=str(gateway.ca))
            t = c.wrap_socket(s, server_hostname="localhost")
            if n == 7:
                t.sendall(b"GET /v1/ver")
            elif n == 8:
                t.sendall(f"GET /v1/version HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n".encode())
            s = socket.socket(fileno=t.detach())
        reset(s)
    return [lambda n=n: step(n) for n in range(9)]


def test_reset_at_each_step_of_the_handshake(gateway):
    """Nothing stays behind: each front's connections and slots are given back."""
    eventually(lambda: metric(gateway, "caponier_front_connections") <= 4, what="quiet")
    before = rss_mib(gateway)
    for _ in range(20):
        for step in steps(gateway):
            step()
    eventually(lambda: metric(gateway, "caponier_front_connections") <= 4, what="no connection is left")
    assert rss_mib(gateway) - before < 8 * (6 if SANITIZED else 1)
    assert honest(gateway)


def opened_by_hand(az, gateway, target):
    """A tunnel of the Azure door whose TLS records are ours to cut."""
    t = az.tokens()
    r = wire.Records(gateway.port, gateway.ca)
    r.send((f"GET /webtunnelv2/{t['websocketToken']} HTTP/1.1\r\nUpgrade: websocket\r\nHost: localhost:{gateway.port}\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n\r\n").encode())
    s, _ = target.accept()
    s.settimeout(20)
    assert r.socket.recv(4096)
    r.send(frame(2, b"SSH-2.0-az\r\n"))
    assert s.recv(100) == b"SSH-2.0-az\r\n"
    return r, s


def test_an_end_in_the_middle_of_a_frame(gateway, admin, az, target):
    """TCP ends without close_notify and with half of a frame: what came is delivered, nothing hangs. (That the record calls
    it broken off is a unit test's: the Azure door waits half a minute for the session's next stream.)"""
    r, s = opened_by_hand(az, gateway, target)
    r.send(frame(2, b"y" * 1000)[:500])
    r.socket.shutdown(socket.SHUT_WR)
    r.ended()
    with contextlib.suppress(ConnectionResetError):
        assert set(read_all(s)) <= {ord("y")}
    s.close()
    all_gone(admin)
    assert honest(gateway)


# ---- many ----

def test_ten_thousand_silent_connections(network, tmp_path):
    """From sixty-four addresses and then from one: an honest user gets in while they are held. With fewer descriptors
    than that allowed, as many as there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    want = min(10_000, hard - 2000)
    g = started(network, tmp_path / "gateway")
    held = []

    def hold(source):
        s = socket.socket()
        s.setblocking(False)
        s.bind((source, 0))
        s.connect_ex(("127.0.0.1", g.port))
        held.append(s)

    try:
        before = rss_mib(g)
        for i in range(want):
            hold(f"127.0.{1 + i % 64}.1")
            if i % 500 == 499:
                began = time.monotonic()
                eventually(lambda: quietly(honest, g), 6, f"an honest user gets in beside {i + 1}")
                assert time.monotonic() - began < 2 * PATIENCE
        assert rss_mib(g) - before < 128 * (4 if SANITIZED else 1)
        eventually(lambda: metric(g, "caponier_front_refused_before_sign_in") > want // 2, what="the others were closed")
        for s in held:
            s.close()
        held.clear()
        for i in range(want // 10):
            hold("127.0.200.1")
        assert honest(g)  # from another address
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        g.close()


def quietly(fn, *args):
    try:
        return fn(*args)
    except (OSError, ssl.SSLError):
        return False
