"""Running it: readiness, metrics, a full disk, no descriptors, a stopped clock source, settings that are wrong."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

from conftest import started
from lab.gateway import BUILD, SANITIZED, Gateway, eventually
from test_sessions import audit, live


def test_health_readiness_metrics(gateway):
    assert gateway.admin_get("/healthz")[0] == 200
    assert gateway.admin_get("/readyz")[0] == 200
    status, text = gateway.admin_get("/metrics")
    assert status == 200 and "caponier_sessions" in text
    r = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    assert r.returncode == 0, r.stdout + r.stderr
    assert gateway.admin_get("/v1/sessions")[0] in (403, 404)


def test_readiness_while_control_is_stopped(own_gateway):
    control = own_gateway.pids("control")[0]
    os.kill(control, signal.SIGKILL)
    assert own_gateway.admin_get("/healthz")[0] == 200  # alive while control restarts
    eventually(lambda: own_gateway.admin_get("/readyz")[0] == 200, what="ready again")


def caponierd(*args):
    return subprocess.run([BUILD / "caponierd", *args], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("text,says", [
    ("listn: [\"127.0.0.1:1\"]\n", "listn"), ("", "empty"), ("fronts: two\n", "fronts"), ("fronts: 022\n", "fronts"),
    ("az_clients: flase\n", "az_clients"), ("az_clients: yes\n", "az_clients"), ("fence_allow_loopback: 1\n", "fence_allow_loopback"),
    ("public_url: http://x\n", "public_url"), ("tls_min: \"1.1\"\n", "tls_min"), ("tls_aes: intel\n", "tls_aes"), ("tls_aes: \"\"\n", "tls_aes"), ("drain: 30\n", "drain"),
    ("listen: [\"127.0.0.1:70000\"]\n", "listen"), ("listen: 5\n", "listen"), ("a: 1\n---\nb: 2\n", "document"),
    ("x: &a 1\ny: *a\n", "a"), ("fence_deny: [\"10.0.0.1/8\"]\n", "fence_deny"), ("log_level: loud\n", "log_level"),
    ("fronts: 1\nfronts: 2\n", "fronts"), ("tls_cert: \"\"\n", "tls_cert"), ("\x00", "1")])
def test_wrong_settings_stop_the_start(tmp_path, text, says):
    f = tmp_path / "c.yaml"
    f.write_text(text)
    for args in (("--check", "-c", f), ("-c", f)):
        r = caponierd(*args)
        assert r.returncode in (1, 2), (args, r)
        assert says in r.stderr and str(f) in r.stderr, r.stderr


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_asked(tmp_path):
    """Without a terminal OpenSSL would take it from standard input."""
    cert, key, state = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "state"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-passout", "pass:open sesame",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
    state.mkdir(mode=0o700)
    f = tmp_path / "c.yaml"
    f.write_text(f"listen: [\"127.0.0.1:0\"]\nadmin_listen: \"127.0.0.1:0\"\nstate_dir: {state}\ntls_cert: {cert}\ntls_key: {key}\n")
    r = subprocess.run([BUILD / "caponierd", "-c", f], input="open sesame\n", capture_output=True, text=True, timeout=20, start_new_session=True)
    assert r.returncode not in (0, None) and "not an unencrypted PEM key" in r.stderr and "pass phrase" not in r.stderr, r


def test_defaults_are_a_file_that_checks(tmp_path):
    f = tmp_path / "c.yaml"
    f.write_text(caponierd("--print-defaults").stdout)
    r = caponierd("--check", "-c", f)
    assert r.returncode == 0, r.stderr


def test_version_names_libraries():
    out = caponierd("--version").stdout
    for lib in ("OpenSSL", "libuv", "SQLite", "jansson", "libyaml", "libseccomp", "cjose"):
        assert lib.lower() in out.lower()
    for option in ("buildtype=", "leakcheck=", "b_sanitize=address" if SANITIZED else "b_sanitize=none"):
        assert option in out
    assert ("for tests only" in out) == SANITIZED
    out = subprocess.run([BUILD / "caponier", "--version"], capture_output=True, text=True).stdout
    assert "openssl" in out.lower()


def test_own_certificates_state_is_private(gateway):
    for f in gateway.state.iterdir():
        mode = f.stat().st_mode & 0o777
        assert mode == (0o700 if f.is_dir() else 0o600) or (f.suffix in (".pem", ".pub") and "key" not in f.name and mode == 0o644), (f, oct(mode))


def test_state_folder_open_to_others_is_refused(network, tmp_path):
    g = Gateway(network, tmp_path / "g")
    g.state.chmod(0o777)
    with pytest.raises(AssertionError):
        g.start()
    assert "state" in g.log_text()
    g.stop()
    g.listener.close()


def test_full_disk(network, tmp_path, target):
    """State on a small tmpfs that is filled: new sessions get the reason, the running one goes on, and it recovers."""
    state = tmp_path / "g" / "state"
    state.mkdir(parents=True, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(state)], check=True)
    try:
        g = started(network, tmp_path / "g")
        with g.admin.tunnel("--name", "door", "scripted") as t:
            with live(t, target) as (c, s):
                with open(state / "filler", "wb", buffering=0) as f:
                    with pytest.raises(OSError):
                        while True:
                            f.write(b"x" * 4096)
                refused = socket.create_connection(("127.0.0.1", t.port))
                refused.sendall(b"SSH-2.0-me\r\n")
                refused.settimeout(20)
                with contextlib.suppress(ConnectionError):
                    while refused.recv(4096):
                        pass
                assert "disk is full" in t.stderr()
                s.sendall(b"still here")
                assert c.recv(100) == b"still here"
                target.accept()[0].close()  # dialled while the row was being refused
            (state / "filler").unlink()
            with live(t, target):
                pass
        assert g.admin.ok("audit", "verify")
        g.close()
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def test_no_descriptors_left_in_a_front(own_gateway, target):
    admin = own_gateway.admin
    with admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        for pid in own_gateway.pids("front"):
            n = len(os.listdir(f"/proc/{pid}/fd"))
            subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={n}:"], check=True)
        idle = [socket.create_connection(("127.0.0.1", own_gateway.port)) for _ in range(20)]
        used = lambda: sum(float(x) for p in own_gateway.pids("front")
                           for x in open(f"/proc/{p}/stat").read().rsplit(") ", 1)[1].split()[11:13])
        before, at = used(), time.monotonic()
        eventually(lambda: time.monotonic() - at > 1, what="a second of it")
        assert used() - before < 30 * (4 if SANITIZED else 1)  # ticks of 10 ms: no busy loop
        s.sendall(b"still here")
        assert c.recv(100) == b"still here"
        for pid in own_gateway.pids("front"):
            subprocess.run(["prlimit", "--pid", str(pid), "--nofile=10000:"], check=True)
        for x in idle:
            x.close()
        eventually(lambda: admin.run("session", "list").code == 0, what="new connections again")


def test_a_stream_for_a_front_without_descriptors_ends_that_front(own_gateway, target):
    """Its socket has no place there, so the message is lost: the front is not left behind cut off from control."""
    admin = own_gateway.admin
    with admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, _):
        fronts = own_gateway.pids("front")
        for pid in fronts:
            n = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd")) + 1
            subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={n}:"], check=True)
        with socket.create_connection(("127.0.0.1", t.port)) as further:
            further.sendall(b"SSH-2.0-me\r\n")
            with contextlib.suppress(ConnectionError):
                assert c.recv(100) == b""  # in that front, too
            eventually(lambda: len(own_gateway.pids("front")) == 2 and own_gateway.pids("front") != fronts, what="a new front")
        target.accept()[0].close()
        for pid in fronts:  # one of them has gone
            subprocess.run(["prlimit", "--pid", str(pid), "--nofile=10000:"], capture_output=True)
        eventually(lambda: [r for r in audit(admin, reason="front_died") if r["bytesUp"]], what="the end record")

        def again():
            with contextlib.suppress(OSError, AssertionError), live(t, target):
                return True
        target.settimeout(2)
        assert eventually(again, what="the running tunnel takes new connections again")


def test_streams_leave_keeper_what_a_new_control_needs(own_gateway, target):
    """Where its descriptors run out the next stream is refused: without one nothing that dies could be started again."""
    g = own_gateway
    keeper, control = g.pids("keeper")[0], g.pids("control")[0]
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s), contextlib.ExitStack() as stack:
        subprocess.run(["prlimit", "--pid", str(keeper), "--nofile=256:"], check=True)
        while "at one of its limits" not in t.stderr():
            further = stack.enter_context(socket.create_connection(("127.0.0.1", t.port)))
            further.sendall(b"SSH-2.0-me\r\n")
            further.settimeout(20)
            made = target.accept()[0]
            stack.enter_context(made)
            made.settimeout(20)
            made.sendall(b"SSH-2.0-it\r\n")
            with contextlib.suppress(ConnectionError):
                further.recv(100)
            assert len(os.listdir(f"/proc/{keeper}/fd")) < 200
        os.kill(control, signal.SIGKILL)
        eventually(lambda: g.pids("control") not in ([], [control]), what="another control")
        s.sendall(b"still here")
        assert c.recv(100) == b"still here"
        assert g.admin.ok("session", "list")


def test_connections_leave_descriptors_for_streams(network, tmp_path, target):
    g = started(network, tmp_path / "g", fronts=1, under=("prlimit", "--nofile=256:256"))
    front = g.pids("front")
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s), contextlib.ExitStack() as stack:
        for _ in range(240):
            stack.enter_context(socket.create_connection(("127.0.0.1", g.port)))
        assert g.admin_get("/readyz")[0] == 200  # served by the only front, which has seen them all
        assert len(os.listdir(f"/proc/{front[0]}/fd")) <= 128
        for _ in range(20):
            stack.enter_context(live(t, target))
        s.sendall(b"still here")
        assert c.recv(100) == b"still here"
        assert g.pids("front") == front
    g.close()


@pytest.mark.release_only
@pytest.mark.parametrize("call", ["open", "socket", "exec", "linger"])
def test_front_dies_of_what_it_may_not_do(call):
    r = caponierd(f"--role=front-selftest={call}")
    assert r.returncode == -signal.SIGSYS, r


@pytest.mark.release_only
def test_roles_have_given_up_what_they_can(gateway):
    for role in ("front", "control", "keeper"):
        for pid in gateway.pids(role):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            assert "NoNewPrivs:\t1" in status, role
            if role == "front":
                assert "Seccomp:\t2" in status
            assert open(f"/proc/{pid}/limits").read().split("Max core file size")[1].split()[0] == "0", role


def rss(pid):
    """Bytes."""
    return int(next(x for x in open(f"/proc/{pid}/status") if x.startswith("VmRSS")).split()[1]) << 10


def stands_still(socket_of_the_writer):
    """Nothing more goes into it, and what is in it goes nowhere."""
    def queued():
        return int.from_bytes(fcntl.ioctl(socket_of_the_writer, termios.TIOCOUTQ, b"\0" * 4), "little")
    seen = []

    def quiet():
        seen.append(queued())
        return len(seen) > 20 and seen[-1] > 0 and len(set(seen[-20:])) == 1
    eventually(quiet, 20, "the writer stands still")


def test_a_stalled_reader_is_back_pressure_not_loss(ada, gateway, target):
    """The target stops reading for a while, then the local program does: memory is bounded at both ends of the carrier, no byte is lost."""
    total, block = 64 << 20, os.urandom(1 << 20)
    fronts, slack = gateway.pids("front"), 8 if SANITIZED else 1
    before = {p: rss(p) for p in fronts}

    def stalled(tunnel, writer, reader):
        writer.settimeout(120)
        reader.settimeout(60)
        th = threading.Thread(target=lambda: [writer.sendall(block) for _ in range(total >> 20)])
        th.start()
        stands_still(writer)
        assert rss(tunnel.process.pid) < (64 << 20) * slack
        for p in fronts:
            assert rss(p) - before[p] < (24 << 20) * slack
        got, want, n = hashlib.sha256(), hashlib.sha256(), 0
        for _ in range(total >> 20):
            want.update(block)
        while n < total:
            chunk = reader.recv(1 << 20)
            got.update(chunk)
            n += len(chunk)
        th.join()
        assert got.digest() == want.digest()
    with ada.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        stalled(t, c, s)
        stalled(t, s, c)
