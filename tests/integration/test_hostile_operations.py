"""What the surroundings do to a running gateway: targets that are no use, a log nobody reads, logins by the thousand."""
import contextlib
import fcntl
import http.client
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from conftest import started
from lab.gateway import BUILD, PATIENCE, SANITIZED, Gateway, eventually
from test_azure_door import az, opened, token  # noqa: F401
from test_hostile_http import honest
from test_hostile_peers import all_gone, frame
from test_seed_steps import read_all
from test_sessions import audit, live


# ---- frames ----

def test_pongs_nobody_asked_for(gateway, admin, az, target):
    ws, s = opened(az, target)
    ws.sock.sendall(frame(10, b"x") * 20_000 + frame(2, b"after"))
    assert s.recv(100) == b"after"
    ws.close()
    assert read_all(s) == b""
    all_gone(admin)


def test_bytes_after_a_close_frame_go_nowhere(gateway, admin, az, target):
    ws, s = opened(az, target)
    ws.sock.sendall(frame(2, b"before") + frame(8, struct.pack(">H", 1000)) + frame(2, b"after") * 100 + b"\xff" * 1000)
    assert read_all(s) == b"before"
    ws.shutdown()
    s.close()
    all_gone(admin)
    assert honest(gateway)


# ---- targets ----

def test_a_target_of_one_byte(own_gateway, target):
    """It says one byte and no more, and its client nothing: the person is told why within the setting. (Once one side has
    spoken, waiting for the other is between the two: SSH has its own patience.)"""
    own_gateway.stop()
    own_gateway.write_config(first_bytes_timeout="1s")
    own_gateway.start()
    with own_gateway.admin.tunnel("--name", "door", "scripted") as t:
        c = socket.create_connection(("127.0.0.1", t.port))
        c.settimeout(20)
        s, _ = target.accept()
        s.settimeout(20)
        s.sendall(b"S")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            read_all(c)
        assert time.monotonic() - began < 6 * PATIENCE
        with contextlib.suppress(ConnectionError):
            read_all(s)
        s.close()
        eventually(lambda: "neither side spoke in time" in t.stderr(), what="the tunnel says it")
        with live(t, target):
            pass
    eventually(lambda: not own_gateway.admin.json("session", "list")["value"], what="no session is left")


@pytest.fixture
def filtered(network):
    """Port 2022 of the machine `scripted`: packets to it are dropped."""
    rules = """table inet filtered {
        chain c {
            type filter hook input priority 0; policy accept;
            ip daddr 10.77.1.5 tcp dport 2022 drop
        }
    }
    """
    network.machines.run("nft", "-f", "-", input=rules, text=True)
    yield 2022
    network.machines.run("nft", "delete", "table", "inet", "filtered")


def knock(tunnel):
    c = socket.create_connection(("127.0.0.1", tunnel.port))
    c.settimeout(20)
    c.sendall(b"SSH-2.0-me\r\n")
    return c


def words(c):
    """What the local program reads until the end."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while chunk := c.recv(4096):
            got += chunk
    c.close()
    return got


def test_a_target_that_is_filtered(network, filtered, target, tmp_path):
    """dial_timeout, and the reason reaches the person; a machine beside it is reached meanwhile."""
    g = started(network, tmp_path / "gateway", dial_timeout="1s")
    try:
        with g.admin.tunnel("--name", "door", "scripted", "--resource-port", filtered) as t, g.admin.tunnel("--name", "door", "scripted") as fine:
            began = time.monotonic()
            c = knock(t)
            with live(fine, target):
                pass
            assert b"did not answer in time" in words(c)
            assert 0.9 < time.monotonic() - began < 5 * PATIENCE
            eventually(lambda: "did not answer in time" in t.stderr(), what="the tunnel says it")
        assert not g.admin.json("session", "list")["value"]
        assert eventually(lambda: [r for r in audit(g.admin) if r.get("reason") == "dial_timeout"], what="the record")
    finally:
        g.close()


def test_more_dials_than_dials_max(network, filtered, target, tmp_path):
    """Two wait for a machine that does not answer: a third is refused at once and told why; when they are over, there is room."""
    g = started(network, tmp_path / "gateway", dial_timeout="3s", dials_max=2)
    try:
        with g.admin.tunnel("--name", "door", "scripted", "--resource-port", filtered) as t, g.admin.tunnel("--name", "door", "scripted") as fine:
            held = [knock(t) for _ in range(2)]
            eventually(lambda: len(g.admin.json("session", "list")["value"]) == 2, what="both are being dialled")
            began = time.monotonic()
            assert b"at one of its limits" in words(knock(fine))
            assert time.monotonic() - began < 1 * PATIENCE
            eventually(lambda: "at one of its limits" in fine.stderr(), what="the tunnel says it")
            for c in held:
                assert b"did not answer in time" in words(c)
            with live(fine, target):
                pass
        assert len([r for r in audit(g.admin) if r.get("reason") == "busy"]) == 1
    finally:
        g.close()


def test_the_257th_connection_through_one_tunnel(gateway, admin, ada, target):
    """A session of Caponier's own door is one OPEN, so no number of connections makes one session of 257 streams; what 257
    at once need is places on a carrier, and all are served."""
    with ada.tunnel("--name", "door", "scripted") as t, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(live(t, target)) for _ in range(257)]
        for i, (c, s) in enumerate(pairs):
            c.sendall(b"%d" % i)
            assert s.recv(10) == b"%d" % i
        rows = admin.json("session", "list")["value"]
        assert len([r for r in rows if r["userName"] == "ada@example.test" and r["streams"] == 1]) >= 257
    all_gone(admin)


# ---- the log ----

def test_a_log_that_nobody_reads(network, tmp_path):
    """Standard error is a full pipe: lines are lost and counted, nothing waits for it."""
    g = Gateway(network, tmp_path / "gateway", log_level="debug")
    g.write_config()
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
    ready_r, ready_w = os.pipe()
    lfd = g.listener.fileno()
    g.log = open(os.devnull, "ab")
    (g.dir / "caponierd.log").touch()
    g.process = subprocess.Popen(network.gateway.argv(BUILD / "caponierd", "-c", g.config, "--listen-fd", lfd, "--ready-fd", ready_w),
                                 pass_fds=[lfd, ready_w], stdin=subprocess.DEVNULL, stdout=g.log, stderr=w)
    os.close(ready_w)
    os.close(w)
    try:
        assert b"READY" in os.read(ready_r, 4096)
        for _ in range(200):
            assert honest(g)
        with socket.create_connection(("127.0.0.1", g.port)) as s:  # warnings, too
            s.sendall(b"no TLS at all\r\n" * 10)
        g.enrol()
        for sig in (signal.SIGHUP, signal.SIGHUP):
            g.process.send_signal(sig)
        pids = g.pids("front") + g.pids("control")
        for _ in range(100):
            assert honest(g)
        for pid in g.pids("front"):
            os.kill(pid, signal.SIGKILL)  # keeper and control have something to warn of
        eventually(lambda: quietly(g), what="served again")
        assert g.admin.run("session", "list").code == 0
        lost = eventually(lambda: sum(float(x.split()[-1]) for x in g.admin_get("/metrics")[1].splitlines() if x.startswith("caponier_log")), what="counted")
        assert lost > 0 and set(g.pids("control")) <= set(pids)
    finally:
        os.close(ready_r)
        g.stop()
        os.close(r)
        g.listener.close()


def quietly(g):
    with contextlib.suppress(OSError):
        return honest(g)


# ---- logins ----

def test_failing_logins_by_the_thousand(own_gateway):
    """Each source is put off after a few; records are merged, so the audit grows by far less than was asked; an honest
    user signs in from elsewhere all the time."""
    context = ssl.create_default_context(cafile=str(own_gateway.ca))
    before = len(audit(own_gateway.admin))
    n, codes, lock = 150 if SANITIZED else 1500, {}, threading.Lock()

    def attacker(number):
        c = http.client.HTTPSConnection("localhost", own_gateway.port, timeout=20, source_address=(f"127.5.{number}.1", 0), context=context)
        for i in range(n // 6):
            c.request("POST", "/adfs/oauth2/token", f"grant_type=password&client_id=x&username=root%40example.test&password=wrong{i}",
                      {"Content-Type": "application/x-www-form-urlencoded"})
            r = c.getresponse()
            r.read()
            with lock:
                codes[r.status] = codes.get(r.status, 0) + 1
        c.close()
    threads = [threading.Thread(target=attacker, args=(k,)) for k in range(6)]
    began = time.monotonic()
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    # A source may try three times, then once every 5 s, however slow the machine is; 5 s of records are two.
    spans = (time.monotonic() - began) / 5 + 2
    assert set(codes) <= {400, 429} and sum(codes.values()) == n and codes[400] <= 6 * (3 + spans), (codes, spans)
    r = own_gateway.admin.ok("session", "list")
    eventually(lambda: own_gateway.admin.run("audit", "verify").code == 0, what="the chain is whole")
    records = [x for x in audit(own_gateway.admin) if x.get("operationName") == "login.token" and x.get("status") in (400, 429)]
    assert 0 < len(records) <= 24 * spans and len(audit(own_gateway.admin)) - before < 24 * spans + 50, (len(records), spans)
    assert r.code == 0
