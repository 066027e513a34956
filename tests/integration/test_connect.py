"""caponier connect: one stream on standard input and output, whatever they are."""
import contextlib
import fcntl
import os
import pty
import select
import socket
import subprocess
import threading

import pytest

from lab import net
from lab import ssh as labssh
from lab.gateway import SANITIZED, eventually


def start(user, *args, **kw):
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kw}
    return subprocess.Popen(user.argv("connect", *args), env=user.env, **streams)


@contextlib.contextmanager
def met(user, target, *args, **kw):
    """A running connect that has greeted the target, and the target's socket."""
    p = start(user, *args, **kw)
    try:
        p.stdin.write(b"SSH-2.0-me\r\n")
        p.stdin.flush()
        s, _ = target.accept()
        s.settimeout(20)
        with s:
            assert s.recv(100) == b"SSH-2.0-me\r\n"
            s.sendall(b"SSH-2.0-t\r\n")
            assert p.stdout.read(11) == b"SSH-2.0-t\r\n"
            yield p, s
    finally:
        p.kill()
        p.wait()
        for stream in (p.stdin, p.stdout, p.stderr):
            with contextlib.suppress(OSError):
                stream.close()


def test_half_close_each_way_and_status_0(ada, target):
    with met(ada, target, "scripted") as (p, s):
        p.stdin.close()
        assert s.recv(100) == b""
        s.sendall(b"still here\n")
        s.close()
        assert p.stdout.read() == b"still here\n"
        assert p.wait(20) == 0 and p.stderr.read() == b""
    with met(ada, target, "scripted", "22") as (p, s):
        s.shutdown(socket.SHUT_WR)
        assert p.stdout.read() == b""
        p.stdin.write(b"and I\n")
        p.stdin.close()
        assert s.recv(100) == b"and I\n" and s.recv(100) == b""
        assert p.wait(20) == 0


@pytest.mark.parametrize("way", ["up", "down"])
def test_bytes_arrive_whole(ada, target, way):
    size = (2 if SANITIZED else 16) << 20
    block = os.urandom(size)
    with met(ada, target, "scripted") as (p, s):
        if way == "down":
            t = threading.Thread(target=lambda: (s.sendall(block), s.shutdown(socket.SHUT_WR)))
            t.start()
            assert p.stdout.read() == block
            t.join()
        else:
            t = threading.Thread(target=lambda: (p.stdin.write(block), p.stdin.close()))
            t.start()
            got = bytearray()
            while chunk := s.recv(1 << 20):
                got += chunk
            t.join()
            assert got == block
            s.close()
            assert p.wait(20) == 0


def test_files_as_input_and_output(ada, target, tmp_path):
    (tmp_path / "in").write_bytes(b"SSH-2.0-file\r\n" + b"x" * 300000)
    with open(tmp_path / "in", "rb") as i, open(tmp_path / "out", "wb") as o:
        p = start(ada, "scripted", stdin=i, stdout=o)
        s, _ = target.accept()
        with s:
            got = bytearray()
            while chunk := s.recv(1 << 20):
                got += chunk
            assert got == (tmp_path / "in").read_bytes()
            s.sendall(b"SSH-2.0-t\r\n" + b"y" * 300000)
        assert p.wait(20) == 0, p.stderr.read()
        assert (tmp_path / "out").read_bytes() == b"SSH-2.0-t\r\n" + b"y" * 300000
        p.communicate()


def test_a_socket_and_a_terminal_keep_their_flags(ada, target):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(20)
        p = start(ada, "scripted", stdin=theirs, stdout=theirs)
        ours.sendall(b"SSH-2.0-me\r\n")
        s, _ = target.accept()
        s.settimeout(20)
        with s:
            assert s.recv(100) == b"SSH-2.0-me\r\n"
            s.sendall(b"SSH-2.0-t\r\n")
            assert ours.recv(100) == b"SSH-2.0-t\r\n"
            assert not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK
            ours.shutdown(socket.SHUT_WR)
            assert s.recv(100) == b""
        assert p.wait(20) == 0
        p.communicate()
    master, slave = pty.openpty()
    p = start(ada, "scripted", stdin=slave, stdout=slave)
    os.write(master, b"SSH-2.0-me\n")
    s, _ = target.accept()
    with s:
        s.settimeout(20)
        assert s.recv(100) == b"SSH-2.0-me\n"
        assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
    p.kill()
    p.communicate()
    os.close(master)
    os.close(slave)


def test_a_reader_that_leaves_and_closed_descriptors(ada, target):
    with met(ada, target, "scripted") as (p, s):
        p.stdout.close()
        s.sendall(b"z" * 100000)
        assert p.wait(20) == 255
    p = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&- >&-', "sh", *ada.argv("connect", "scripted")], env=ada.env, stderr=subprocess.PIPE)
    s, _ = target.accept()
    with s:
        assert s.recv(100) == b""
    assert p.wait(20) == 0 and b"anitizer" not in p.communicate()[1]


def test_a_cut_is_told_and_ends_with_255(ada, admin, target):
    with met(ada, target, "scripted") as (p, s):
        row = eventually(lambda: [r for r in admin.json("session", "list")["value"] if r["targetHostName"] == "scripted"], what="the session")[0]
        admin.ok("session", "disconnect", "--id", row["sessionId"])
        assert p.wait(20) == 255
        assert b"session ended" in p.stderr.read()


@pytest.mark.parametrize("args,says", [
    (["nowhere"], "no such"), (["web1", "0"], "not a port"), (["web1", "22x"], "not a port"), (["web1", "22", "--resource-port", "22"], "once"),
    ([], "name the machine"), (["--", "-oProxyCommand=touch /tmp/caponier-was-here"], "no such"), (["web1\n"], "no such"), (["$(id)"], "no such"),
    (["web1", "--known-hosts", "x"], "--known-hosts"), (["web1", "--gateway", "https://127.0.0.1:1"], "127.0.0.1"),
])
def test_ours_is_255_with_a_reason_on_stderr(ada, args, says):
    r = ada.run("connect", *args)
    assert r.code == 255 and says in r.err and r.out == "", r
    assert not os.path.exists("/tmp/caponier-was-here")


def test_refusals_name_the_missing_role(gateway):
    eve = gateway.user("eve@example.test")
    r = eve.run("connect", "--target-resource-id", "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Compute/virtualMachines/web1", "--name", "door", "--resource-group", "lab", input="SSH-2.0-x\r\n")
    assert r.code == 255 and "Reader" in r.err and r.out == "", r


def test_ssh_through_proxycommand(ada, sshd):
    proxy = " ".join(ada.argv("connect", "%h", "%p"))
    r = labssh.ssh(sshd, 22, "exit 7", options=["-o", f"ProxyCommand={proxy}", "-o", "HostName=web1"], env=ada.env)
    assert r.returncode == 7, r.stderr


def test_one_connection_and_one_handshake_for_everything(ada, gateway, target):
    """The call that resolves the name and the carrier share one TLS connection."""
    trace = subprocess.run(["strace", "-f", "-e", "trace=connect", "-o", "/dev/stdout", *ada.argv("connect", "scripted", "1")],
                           env=ada.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout
    assert trace.count(f"htons({gateway.port})") == 1, trace
    with met(ada, target, "scripted") as (p, s):
        assert len(net.connections(p.pid, gateway.port)) == 1
