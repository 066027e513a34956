"""Clients and targets that misbehave once they are connected, and processes that die at the worst moment: nothing
leaks, memory is bounded, others do not notice."""
import contextlib
import ctypes
import os
import select
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

from lab.gateway import PATIENCE, SANITIZED, eventually
from test_azure_door import az, opened, sessions, token  # noqa: F401
from test_hostile_http import honest, raw
from test_seed_steps import read_all
from test_sessions import audit, live


def rss_mib(gateway):
    """Of the largest front."""
    return max(int(next(x for x in open(f"/proc/{p}/status") if x.startswith("VmRSS")).split()[1]) for p in gateway.pids("front")) >> 10


def frame(opcode, payload=b"", fin=True):
    n = len(payload)
    length = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n) if n < 65536 else b"\xff" + struct.pack(">Q", n)
    return bytes([opcode | (0x80 if fin else 0)]) + length + b"\0\0\0\0" + payload


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def exchanged(tls, out, want):
    """Send `out` while `want` bytes are read; how many came before the end. In one thread: an SSL object is not for two at once."""
    tls.setblocking(False)
    rest, got, ended = memoryview(out), 0, time.monotonic() + 60 * PATIENCE
    while got < want and time.monotonic() < ended:
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if rest:
                rest = rest[tls.send(rest[:1 << 16]):]
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while chunk := tls.recv(65536):
                got += len(chunk)
            break  # it has closed
        select.select([tls], [tls] if rest else [], [], 1)
    tls.settimeout(20)
    return got


def all_gone(admin):
    eventually(lambda: not [x for x in sessions(admin) if x["streams"]], what="no stream is left")


# ---- bytes ----

def test_a_client_that_never_reads_costs_bounded_memory(gateway, admin, az, target):
    ws, s = opened(az, target)
    before = rss_mib(gateway)
    s.settimeout(2 * PATIENCE)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 1 << 30:
            sent += s.send(b"f" * (1 << 20))
    assert sent < 64 << 20  # back-pressure has reached the target
    assert rss_mib(gateway) - before < 16 * (6 if SANITIZED else 1)
    assert honest(gateway)
    ws.shutdown()
    s.close()
    all_gone(admin)


def test_fragments_of_one_byte_without_end(gateway, admin, az, target):
    """What came before the bound on fragments arrives; then the client is left alone."""
    ws, s = opened(az, target)
    before = rss_mib(gateway)
    with contextlib.suppress(OSError):
        ws.sock.sendall(frame(2, b"x", fin=False) + frame(0, b"x", fin=False) * 200_000)
    with contextlib.suppress(ConnectionError):
        assert set(read_all(s)) <= {ord("x")}
    assert rss_mib(gateway) - before < 16 * (6 if SANITIZED else 1)
    assert honest(gateway)
    ws.shutdown()
    s.close()
    all_gone(admin)


def test_a_flood_of_pings(gateway, admin, az, target):
    """Read, they are all answered; unread, the client is left alone."""
    ws, s = opened(az, target)
    n, ping = 50_000, frame(9, b"p")
    assert exchanged(ws.sock, ping * n, 3 * n) == 3 * n  # a pong of one byte has three
    before = rss_mib(gateway)
    ws.sock.settimeout(20)
    with pytest.raises(OSError):
        for _ in range(400):
            ws.sock.sendall(ping * 10_000)
    assert rss_mib(gateway) - before < 16 * (6 if SANITIZED else 1)
    s.settimeout(20)
    with contextlib.suppress(ConnectionError):
        assert read_all(s) == b""
    all_gone(admin)
    assert honest(gateway)


@pytest.mark.release_only  # it bounds memory, and a sanitizer keeps what was freed
def test_a_flood_of_key_updates(gateway):
    """Each asks for an answer, and nothing is read."""
    lib = ctypes.CDLL("libssl.so.3")
    for f in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(lib, f).restype = ctypes.c_void_p
    before = rss_mib(gateway)
    with socket.create_connection(("127.0.0.1", gateway.port), 20) as raw_socket:
        raw_socket.settimeout(None)
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 8, 0))
        ctx = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        t = ctypes.c_void_p(lib.SSL_new(ctx))
        lib.SSL_set_fd(t, raw_socket.fileno())
        assert lib.SSL_connect(t) == 1
        updates = 0
        while updates < 100_000 and lib.SSL_key_update(t, 1) == 1 and lib.SSL_do_handshake(t) == 1:
            updates += 1
        lib.SSL_free(t)
        lib.SSL_CTX_free(ctx)
    assert updates > 100
    assert rss_mib(gateway) - before < 16 * (6 if SANITIZED else 1)
    assert honest(gateway)


# ---- ends ----

def test_resets_reach_the_other_side(admin, az, target):
    ws, s = opened(az, target)
    reset(socket.socket(fileno=ws.sock.detach()))
    with contextlib.suppress(ConnectionError):
        assert read_all(s) == b""
    s.close()
    all_gone(admin)
    ws, s = opened(az, target)
    reset(s)
    opcode, data = ws.recv_data()
    assert opcode == 8 and data[:2] == struct.pack(">H", 1011)
    ws.shutdown()
    all_gone(admin)


def test_a_target_that_accepts_and_resets(admin, az, target):
    for _ in range(20):
        ws = az.ws(az.tokens())
        s, _ = target.accept()
        reset(s)
        with contextlib.suppress(Exception):
            ws.send_binary(b"SSH-2.0-az\r\n")
            ws.recv()
        ws.shutdown()
    all_gone(admin)


# ---- tickets ----

def test_a_ticket_counts_in_the_path_alone(gateway, az, target):
    t = az.tokens()
    ticket = t["websocketToken"]
    upgrade = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    for path, extra in [(f"/webtunnelv2/?websocketToken={ticket}", ""), (f"/webtunnelv2/x?websocketToken={ticket}", ""),
                        ("/webtunnelv2/", f"Cookie: websocketToken={ticket}\r\n"), ("/webtunnelv2/x", f"Authorization: Bearer {ticket}\r\n"),
                        ("/webtunnelv2/x", f"Referer: https://localhost/webtunnelv2/{ticket}\r\n"),
                        (f"/webtunnelv2/{ticket[:-1]}", ""), (f"/webtunnelv2/{ticket}/", ""), (f"/v1/tunnel/{ticket}", "")]:
        status, got = raw(gateway, f"GET {path} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n{upgrade}{extra}\r\n".encode())
        assert 400 <= status < 500, (path, got[:100])
    ws, s = opened(az, target, t)  # and none of that has used it up
    ws.close()
    s.close()
    assert ticket not in gateway.log_text()


# ---- processes ----

def test_a_storm_of_hangups(own_gateway, target):
    admin = own_gateway.admin
    with admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        before = own_gateway.pids("control") + own_gateway.pids("front")
        for _ in range(300):
            own_gateway.process.send_signal(signal.SIGHUP)
            time.sleep(0.003)
        s.sendall(b"down")
        assert c.recv(10) == b"down"
        eventually(lambda: admin.run("session", "list").code == 0, what="the API answers")
        assert len(admin.json("session", "list")["value"]) == 1
        assert own_gateway.pids("control") + own_gateway.pids("front") == before
    assert admin.ok("audit", "verify")


def test_a_front_and_control_die_together(own_gateway, target):
    """Nobody is left to tell of the front's sessions: control's successor finds that out."""
    admin = own_gateway.admin
    with contextlib.ExitStack() as stack:
        tunnels = [stack.enter_context(admin.tunnel("--name", "door", "scripted")) for _ in range(8)]
        pairs = [stack.enter_context(live(t, target)) for t in tunnels]
        rows = admin.json("session", "list")["value"]
        front = own_gateway.pids("front")[0]
        for pid in own_gateway.pids("control") + [front]:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: admin.run("session", "list").code == 0, what="the API is back")
        survivors = 0
        for c, s in pairs:
            with contextlib.suppress(OSError):
                s.sendall(b"down")
                survivors += c.recv(10) == b"down"
        eventually(lambda: len(admin.json("session", "list")["value"]) == survivors, what="the dead front's sessions are gone")
        eventually(lambda: len([r for r in audit(admin) if r.get("reason") == "front_died"]) == len(rows) - survivors, what="end records")
    eventually(lambda: not admin.json("session", "list")["value"], what="no session is left")


@pytest.mark.parametrize("role", ["control", "front"])
def test_killed_at_every_step_of_a_connect(own_gateway, target, role):
    """Whatever was half done is undone: no session stays, no place in a limit."""
    admin = own_gateway.admin
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                s, _ = target.accept()
                s.sendall(b"SSH-2.0-t\r\n")
    target.settimeout(0.2)
    th = threading.Thread(target=serve)
    th.start()
    try:
        with admin.tunnel("--name", "door", "scripted") as t:
            for i in range(12):
                c = [socket.create_connection(("127.0.0.1", t.port)) for _ in range(4)]
                for x in c:
                    x.sendall(b"SSH-2.0-me\r\n")
                time.sleep(0.001 * i)
                for pid in own_gateway.pids(role):
                    os.kill(pid, signal.SIGKILL)
                for x in c:
                    x.close()
                eventually(lambda: admin.run("session", "list").code == 0, 20, "the API is back")
        eventually(lambda: not admin.json("session", "list")["value"], 20, "no session is left")
        starts = [r["tunnelId"] for r in audit(admin) if r.get("operationName") == "session.start"]
        ends = [r["tunnelId"] for r in audit(admin) if r.get("operationName") == "session.end"]
        assert sorted(starts) == sorted(ends)
        assert admin.ok("audit", "verify")
    finally:
        stop.set()
        th.join()
