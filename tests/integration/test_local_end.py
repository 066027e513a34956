"""The local end of a tunnel: the user's own programs and root's come in, nobody else's."""
import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import stat
import subprocess

import pytest

from lab import net
from lab.gateway import eventually
from lab.ssh import OPTIONS, ssh
from test_tunnel_background import session

needs_root = pytest.mark.skipif(not net.ROOT, reason="a second user id needs root")
SECOND = 65534


def as_second(body, *args):
    """Run Python code as another user; what it prints is returned."""
    code = f"import os, socket, sys\nos.setgroups([])\nos.setgid({SECOND})\nos.setuid({SECOND})\n" + body
    return subprocess.run(["/usr/bin/python3", "-c", code, *map(str, args)], capture_output=True, text=True, timeout=120)


TRIES = """
n, port, got = int(sys.argv[1]), int(sys.argv[2]), 0
for i in range(n):
    try:
        s = socket.create_connection(('127.0.0.1', port), 20)
        s.sendall(b'SSH-2.0-thief\\r\\n')
        if i % 2:
            got += len(s.recv(100))
        s.close()
    except OSError:
        pass
print(got)
"""


def streams(gateway):
    """How many streams were ever asked for, refused ones included."""
    text = gateway.admin_get("/metrics")[1]
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("caponier_opens_total"))


@needs_root
def test_ten_thousand_tries_of_another_user_reach_nothing(ada, gateway, sshd):
    with ada.tunnel("web1") as t:
        assert ssh(sshd, t.port, "true").returncode == 0
        before = streams(gateway)
        r = as_second(TRIES, 10000, t.port)
        assert r.stdout == "0\n", r.stderr
        assert streams(gateway) == before
        assert ssh(sshd, t.port, "echo", "mine").stdout == "mine\n"
        assert t.stderr().count(f"uid {SECOND}") == 1  # told once, not ten thousand times


@needs_root
def test_a_named_user_is_let_in_and_no_third_one(ada, sshd):
    hello = "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20); s.sendall(b'SSH-2.0-x\\r\\n'); print(s.recv(4).decode())"
    with ada.tunnel("web1", "--allow-uid", f"4242,{SECOND}") as t:
        assert as_second(hello, t.port).stdout == "SSH-\n"
    with ada.tunnel("web1", "--allow-uid", "4242") as t:
        assert as_second(hello, t.port).stdout != "SSH-\n"


RDP_HELLO = bytes.fromhex("030000130ee000000000000100080003000000")  # a connection request of X.224


@needs_root
def test_the_port_of_rdp_is_no_other_users_either(ada, gateway, network, tmp_path):
    """FreeRDP is replaced by a program that says its port and waits."""
    os.mkfifo(tmp_path / "wait")
    os.mkfifo(tmp_path / "said")
    (tmp_path / "xfreerdp").write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/said\nread x < {tmp_path}/wait\n')
    (tmp_path / "xfreerdp").chmod(0o755)
    with network.machines.listen("10.77.1.5", 3389) as desktop:
        desktop.settimeout(20)
        p = subprocess.Popen(ada.argv("rdp", "scripted"), env={**ada.env, "PATH": f"{tmp_path}:/usr/bin:/bin"}, text=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        port = int((tmp_path / "said").read_text().strip().rsplit(":", 1)[1])
        before = streams(gateway)
        r = as_second(TRIES, 500, port)
        assert r.stdout == "0\n" and streams(gateway) == before, r.stderr
        with socket.create_connection(("127.0.0.1", port), 20) as mine:
            mine.sendall(RDP_HELLO)
            s, _ = desktop.accept()
            assert s.recv(100) == RDP_HELLO
            s.close()
        (tmp_path / "wait").write_text("go\n")
        _, err = p.communicate(timeout=20)
        assert p.returncode == 0 and f"uid {SECOND}" in err, err


def test_own_connections_are_never_refused(ada, sshd):
    with ada.tunnel("web1") as t:
        for i in range(200):
            family, host = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1"))[i % 2]
            with socket.socket(family) as s:
                s.settimeout(20)
                s.connect((host, t.port))
                s.sendall(b"SSH-2.0-x\r\n")
                assert s.recv(4) == b"SSH-", (i, t.stderr())


@contextlib.contextmanager
def unix_tunnel(ada, path, *args):
    p = subprocess.Popen(ada.argv("tunnel", "web1", "--socket", path, "-o", "tsv", *args), env=ada.env, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        readable, _, _ = select.select([p.stdout], [], [], 20)
        assert readable and p.stdout.readline() == f"{path}\n"
        yield p
    finally:
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=20)


def test_unix_socket(ada, sshd, folder):
    path = folder / "web1.sock"  # others may reach the folder
    with unix_tunnel(ada, path):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(path))
            s.sendall(b"SSH-2.0-x\r\n")
            assert s.recv(4) == b"SSH-"
        r = ada.run("tunnel", "web1", "--socket", path)
        assert r.code == 1 and "something already" in r.err
        if net.ROOT:
            body = "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'SSH-2.0-x\\r\\n'); print(s.recv(4))"
            assert "PermissionError" in as_second(body, path).stderr
            path.chmod(0o666)  # even then
            r = as_second(body, path)
            assert r.stdout == "b''\n" or "ConnectionResetError" in r.stderr or "BrokenPipeError" in r.stderr
    assert not path.exists()


@pytest.mark.parametrize("args,says", [
    (["--bind", "0.0.0.0"], "--allow-everybody"), (["--bind", "::"], "--allow-everybody"),
    (["--allow-everybody"], "--bind"), (["--bind", "localhost"], "--bind"), (["--allow-uid", "nobody"], "--allow-uid"),
    (["--socket", "s", "--port", "0"], "--socket"), (["--socket", "s", "--allow-everybody"], "--socket"), (["--socket", ""], "--socket"),
])
def test_usage(ada, args, says):
    r = ada.run("tunnel", "web1", *args)
    assert r.code == 2 and says in r.err and not os.path.exists("s")


def test_an_open_tunnel_says_so_and_serves_others(ada, sshd):
    with ada.tunnel("web1", "--bind", "0.0.0.0", "--allow-everybody") as t:
        assert t.ready["address"] == "0.0.0.0"
        eventually(lambda: "everybody" in t.stderr(), what="a warning")
        if net.ROOT:
            hello = "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20); s.sendall(b'SSH-2.0-x\\r\\n'); print(s.recv(4).decode())"
            assert as_second(hello, t.port).stdout == "SSH-\n"


# ---- many connections, one carrier ----

@contextlib.contextmanager
def forwards(user, *args):
    p = subprocess.Popen(user.argv("tunnel", *args, "-o", "json"), env=user.env, text=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield p, [json.loads(p.stdout.readline()) for a in args if a == "-L"]
    finally:
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=20)


def carriers(p, gateway):
    """The process's connections to the gateway: (local address, inode)."""
    inodes = set()
    for fd in os.listdir(f"/proc/{p.pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{p.pid}/fd/{fd}"))
    rows = [line.split() for line in open("/proc/net/tcp").readlines()[1:]]
    return {(r[1], r[9]) for r in rows if r[2].endswith(f":{gateway.port:04X}") and f"socket:[{r[9]}]" in inodes}


def test_many_machines_and_connections_cost_one_handshake(admin, gateway, sshd, network, folder):
    path = folder / "many.sock"
    with network.machines.listen("10.77.2.4", 22) as db, forwards(admin, "-L", "0:web1:22", "-L", f"{path}:db1:22", "-L", "0:[10.77.1.4]:22") as (p, (web, sock, ip)):
        db.settimeout(20)
        assert sock["socket"] == str(path) and "db1" in sock["target"] and ip["target"] == "10.77.1.4"
        assert ssh(sshd, web["port"], "true").returncode == 0  # the carrier is there
        warm = carriers(p, gateway)
        assert len(warm) == 1
        copy = subprocess.Popen(["ssh", *OPTIONS, "-i", str(sshd.key), "-p", str(web["port"]), "guest@127.0.0.1", "head -c 200000000 /dev/zero"],
                                stdout=subprocess.DEVNULL)
        for port in [web["port"], ip["port"]] * 5:
            assert ssh(sshd, port, "echo", "beside").stdout == "beside\n"
            assert carriers(p, gateway) == warm
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
            s.sendall(b"SSH-2.0-x\r\n")
            c, _ = db.accept()
            with c:
                assert c.recv(100) == b"SSH-2.0-x\r\n"
        assert copy.wait(120) == 0
        assert carriers(p, gateway) == warm
    assert not path.exists()


@pytest.mark.parametrize("args", [["-L", "web1"], ["-L", "50022:web1"], ["-L", "x:web1:22"], ["-L", "0:web1:0"], ["-L", "0::22"], ["-L", ""], ["-L", "0:web1:22", "web1"],
                                  ["-L", "0:web1:22", "--port", "1"], ["-L", "70000:web1:22"], ["-L", ":web1:22"], sum((["-L", "0:web1:22"] for _ in range(33)), [])])
def test_forwards_that_are_no_forwards(ada, args):
    r = ada.run("tunnel", *args)
    assert r.code == 2 and "-L" in r.err, r


def test_more_connections_than_descriptors_cost_no_processor(ada, target, monkeypatch):
    """What cannot be taken waits in the backlog; the tunnel sleeps meanwhile and has descriptors left for itself."""
    plain = ada.argv
    monkeypatch.setattr(ada, "argv", lambda *args, **kw: ["prlimit", "--nofile=64:64", *plain(*args, **kw)])
    with ada.tunnel("scripted") as t, contextlib.ExitStack() as stack:
        c, s = stack.enter_context(session(t.port, target))
        for _ in range(64):
            stack.enter_context(net.dial(t.port))
        taken = lambda: len(os.listdir(f"/proc/{t.process.pid}/fd"))  # noqa: E731
        state = lambda: pathlib.Path(f"/proc/{t.process.pid}/stat").read_text().rsplit(") ", 1)[1][0]  # noqa: E731
        eventually(lambda: taken() >= 32, what="half of the descriptors are taken")
        eventually(lambda: all(state() == "S" for _ in range(100)), what="the tunnel sleeps")
        assert taken() < 60
        c.sendall(b"ping")
        assert s.recv(100) == b"ping"
