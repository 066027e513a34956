"""The seed article's steps, verbatim but for the program's name, then everything people do inside."""
import hashlib
import os
import pty
import select
import signal
import socket
import subprocess
import time

import pytest

from conftest import GROUP_ID, SUBSCRIPTION, VM
from lab import net
from lab.gateway import PATIENCE, SANITIZED, eventually
from lab.ssh import OPTIONS, scp, ssh, ssh_argv, ssh_password
from lab.sshd import PASSWORD


def big_file(path, mib):
    block = os.urandom(1 << 20)
    with open(path, "wb") as f:
        for i in range(mib):
            f.write(block[i % 997:] + block[:i % 997])
    return path


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()


@pytest.fixture(scope="module")
def web1(ada, sshd):
    with ada.tunnel("--name", "door", "--resource-group", "lab", "--target-resource-id", VM + "web1",
                    "--resource-port", 22) as t:
        yield t


def test_the_five_commands_verbatim(gateway, ada, sshd, tmp_path):
    assert SUBSCRIPTION in ada.ok("account", "list").out
    ada.ok("account", "set", "--subscription", SUBSCRIPTION)
    port = net.free_port()
    t = subprocess.Popen(ada.argv("network", "bastion", "tunnel", "--name", "door", "--resource-group", "lab",
                                  "--target-resource-id", VM + "web1", "--resource-port", "22", "--port", port),
                         env=ada.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, what="the tunnel listens")
        assert ssh(sshd, port, "hostname; exit 7").returncode == 7
        f = big_file(tmp_path / "upload", 1)
        r = scp(sshd, port, str(f), "guest@127.0.0.1:upload")
        assert r.returncode == 0, r.stderr
        assert sha256(sshd.home / "upload") == sha256(f)
    finally:
        t.send_signal(signal.SIGINT)
        assert t.wait(timeout=10) == 0


def test_port_zero_says_which(web1):
    assert web1.ready["port"] == web1.port > 0


def test_port_in_use_is_told_before_anything_else(ada, gateway):
    with net.bound_socket() as s:
        port = s.getsockname()[1]
        nobody = {**ada.env, "CAPONIER_GATEWAY": "https://127.0.0.1:9", "XDG_CONFIG_HOME": "/nonexistent"}
        r = subprocess.run(ada.argv("tunnel", "web1", "--name", "door", "--port", port), env=nobody, text=True,
                           capture_output=True, stdin=subprocess.DEVNULL, timeout=10)
        assert r.returncode == 1
        assert str(port) in r.stderr and "in use" in r.stderr


@pytest.mark.parametrize("target", [["web1"], ["--target-resource-id", VM + "web1"],
                                    ["--target-resource-id", (VM + "web1").upper().replace("/SUBSCRIPTIONS", "/subscriptions")],
                                    ["--target-ip-address", "10.77.1.4"]])
def test_every_way_to_name_the_machine(ada, sshd, target):
    with ada.tunnel("--name", "door", *target, "--resource-port", 22) as t:
        assert ssh(sshd, t.port, "echo in").stdout == "in\n"


def test_scale_set_instance(ada, network, folder):
    from lab.sshd import Sshd
    s = Sshd(network.machines, folder / "pool0", "10.77.1.20")
    try:
        vmss = GROUP_ID + "/providers/Microsoft.Compute/virtualMachineScaleSets/pool/virtualMachines/0"
        with ada.tunnel("--name", "door", "--target-resource-id", vmss) as t:
            assert ssh(s, t.port, "echo pool").stdout == "pool\n"
    finally:
        s.close()


def test_timeout_ends_the_command(ada):
    started = time.monotonic()
    with ada.tunnel("--name", "door", "web1", "--timeout", 2) as t:
        assert t.process.wait(timeout=10) == 0
    assert time.monotonic() - started >= 2


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_session_on_the_server(ada, admin, sshd, sig):
    with ada.tunnel("--name", "door", "web1") as t:
        shell = subprocess.Popen(ssh_argv(sshd, t.port, "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
        shell.stdin.write(b"hello\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == b"hello\n"
        mine = lambda: [s for s in admin.json("session", "list")["value"]
                        if s["userName"] == "ada@example.test" and s["door"] == "own"]
        assert len(mine()) >= 1
        before = {s["sessionId"] for s in mine()}
        t.process.send_signal(sig)
        signalled = time.monotonic()
        eventually(lambda: not before & {s["sessionId"] for s in mine()}, 5, "the session ended on the server")
        assert time.monotonic() - signalled < 1 * PATIENCE
        assert t.process.wait(timeout=5) == 0
        shell.kill()
        shell.wait()


def test_terminal_shows_the_line_to_paste(ada, sshd):
    primary, secondary = pty.openpty()
    t = subprocess.Popen(ada.argv("tunnel", "--name", "door", "web1", "--port", "0"), env=ada.env,
                         stdin=secondary, stdout=secondary, stderr=secondary, start_new_session=True)
    os.close(secondary)
    text = b""
    try:
        deadline = time.monotonic() + 15
        while b"HostKeyAlias=web1" not in text and time.monotonic() < deadline:
            if select.select([primary], [], [], 1)[0]:
                text += os.read(primary, 4096)
        line = next(li for li in text.decode().splitlines() if "HostKeyAlias=web1" in li)
        assert "ssh " in line and "127.0.0.1" in line and "-p " in line
    finally:
        t.terminate()
        t.wait(timeout=10)
        os.close(primary)


def test_two_machines_on_one_local_port_raise_no_alarm(ada, sshd, network, folder, tmp_path):
    """The line that the tunnel shows names the machine by HostKeyAlias; without it ssh takes the second one for an impostor."""
    from lab.sshd import Sshd
    other = Sshd(network.machines, folder / "db1", "10.77.2.4")
    port, known = net.free_port(), tmp_path / "known_hosts"

    def inside(s, strict, *alias):
        return subprocess.run(["ssh", "-o", f"StrictHostKeyChecking={strict}", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes",
                               "-o", "BatchMode=yes", *alias, "-i", str(s.key), "-p", str(port), "guest@127.0.0.1", "echo in"],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def visit(name, s, strict):
        with ada.tunnel("--name", "door", name, port=port):
            r = inside(s, strict, "-o", f"HostKeyAlias={name}")
            assert r.stdout == "in\n" and "IDENTIFICATION" not in r.stderr, r.stderr
    try:
        for strict in ("accept-new", "yes"):
            visit("web1", sshd, strict)
            visit("db1", other, strict)
        for name, s, status in (("web1", sshd, 0), ("db1", other, 255)):
            with ada.tunnel("--name", "door", name, port=port):
                r = inside(s, "accept-new")
                assert r.returncode == status, r.stderr
        assert "HOST IDENTIFICATION HAS CHANGED" in r.stderr
    finally:
        other.close()


def test_password_and_key_and_exit_status(web1, sshd):
    r = ssh_password(web1.port, PASSWORD, "id -un")
    assert (r.returncode, r.stdout) == (0, "guest\n")
    assert ssh_password(web1.port, "wrong", "true").returncode != 0
    assert ssh(sshd, web1.port, "exit 42").returncode == 42


def test_interactive_shell(web1, sshd):
    primary, secondary = pty.openpty()
    p = subprocess.Popen(ssh_argv(sshd, web1.port, options=["-tt"]), stdin=secondary, stdout=secondary, stderr=secondary,
                         start_new_session=True)
    os.close(secondary)
    os.write(primary, b"echo $((6*7))-here; exit 5\n")
    text = b""
    try:
        while True:
            text += os.read(primary, 4096)
    except OSError:
        pass
    assert b"42-here" in text
    assert p.wait(timeout=10) == 5
    os.close(primary)


def test_scp_sftp_rsync_both_ways(web1, sshd, tmp_path):
    f = big_file(tmp_path / "f", 8)
    want = sha256(f)
    assert scp(sshd, web1.port, str(f), "guest@127.0.0.1:up-scp").returncode == 0
    assert scp(sshd, web1.port, "guest@127.0.0.1:up-scp", str(tmp_path / "down-scp")).returncode == 0
    assert scp(sshd, web1.port, str(f), "guest@127.0.0.1:up-legacy", "-O").returncode == 0
    batch = tmp_path / "batch"
    batch.write_text(f"put {f} up-sftp\nget up-sftp {tmp_path}/down-sftp\n")
    r = subprocess.run(["sftp", "-q", *OPTIONS, "-i", str(sshd.key), "-P", str(web1.port), "-b", str(batch), "guest@127.0.0.1"],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    shell = " ".join(["ssh", *OPTIONS, "-i", str(sshd.key), "-p", str(web1.port)])
    for a, b in ((str(f), "guest@127.0.0.1:up-rsync"), ("guest@127.0.0.1:up-rsync", str(tmp_path / "down-rsync"))):
        r = subprocess.run(["rsync", "-e", shell, a, b], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
    for p in (sshd.home / "up-scp", sshd.home / "up-legacy", sshd.home / "up-sftp", sshd.home / "up-rsync",
              tmp_path / "down-scp", tmp_path / "down-sftp", tmp_path / "down-rsync"):
        assert sha256(p) == want, p


def test_forwardings_inside(web1, sshd, network):
    service = network.machines.listen("10.77.1.4")
    inner = service.getsockname()[1]
    local, socks = net.free_port(), net.free_port()
    p = subprocess.Popen(ssh_argv(sshd, web1.port, options=["-N", "-L", f"{local}:10.77.1.4:{inner}", "-D", str(socks)]))
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", local)) == 0 and
                   socket.socket().connect_ex(("127.0.0.1", socks)) == 0, what="forwardings listen")
        service.settimeout(10)
        service.accept()[0].close()  # the probe's own connection
        with socket.create_connection(("127.0.0.1", local)) as c:
            s, _ = service.accept()
            s.sendall(b"through -L")
            assert c.recv(100) == b"through -L"
            s.close()
        with socket.create_connection(("127.0.0.1", socks)) as c:
            c.sendall(b"\x05\x01\x00")
            assert c.recv(2) == b"\x05\x00"
            c.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("10.77.1.4") + inner.to_bytes(2, "big"))
            assert c.recv(10)[:2] == b"\x05\x00"
            s, _ = service.accept()
            s.sendall(b"through -D")
            assert c.recv(100) == b"through -D"
            s.close()
    finally:
        p.terminate()
        p.wait()
        service.close()


@pytest.mark.release_only
def test_one_gib_each_way_byte_identical(web1, sshd, tmp_path):
    f = big_file(tmp_path / "gib", 1024)
    want = sha256(f)
    with open(f, "rb") as src:
        r = subprocess.run(ssh_argv(sshd, web1.port, "cat > gib", options=["-c", "aes128-gcm@openssh.com"]),
                           stdin=src, capture_output=True, timeout=300)
    assert r.returncode == 0, r.stderr
    assert sha256(sshd.home / "gib") == want
    with open(tmp_path / "back", "wb") as dst:
        r = subprocess.run(ssh_argv(sshd, web1.port, "cat gib", options=["-c", "aes128-gcm@openssh.com"]),
                           stdin=subprocess.DEVNULL, stdout=dst, stderr=subprocess.PIPE, timeout=300)
    assert r.returncode == 0, r.stderr
    assert sha256(tmp_path / "back") == want
    (sshd.home / "gib").unlink()
    f.unlink()


@pytest.mark.release_only  # of what it costs, nearly all is ssh and sshd; test_the_257th_connection has as many streams
def test_two_hundred_connections_beside_a_copy_and_three_tunnels(ada, web1, sshd, tmp_path):
    f = big_file(tmp_path / "copy", 128 if SANITIZED else 1024)
    want = sha256(f)
    with ada.tunnel("--name", "door", "web1") as second, ada.tunnel("--name", "door", "web1") as third:
        copy = subprocess.Popen(["scp", "-q", *OPTIONS, "-i", str(sshd.key), "-P", str(web1.port), str(f),
                                 "guest@127.0.0.1:copy"])
        shells = [subprocess.Popen(ssh_argv(sshd, web1.port, "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                  for _ in range(40 if SANITIZED else 200)]
        for i, p in enumerate(shells):  # signed in, all open at once, each answers
            p.stdin.write(f"{i}\n")
            p.stdin.flush()
        for i, p in enumerate(shells):
            assert p.stdout.readline() == f"{i}\n"
        assert copy.poll() is None  # all of them beside it
        runs = [subprocess.Popen(ssh_argv(sshd, p, f"echo {i}"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                for i, p in enumerate([web1.port, second.port, third.port] * 4)]
        for i, r in enumerate(runs):
            assert r.communicate(timeout=60)[0] == f"{i}\n"
        for p in shells:
            p.stdin.close()
            assert p.wait(timeout=60) == 0
        assert copy.wait(timeout=200) == 0
    assert sha256(sshd.home / "copy") == want
    (sshd.home / "copy").unlink()


def test_more_streams_than_a_carrier_holds(ada, scripted):
    """300 connections at once: the tunnel makes a second carrier when the first has its 256 streams."""
    with ada.tunnel("--name", "door", "scripted") as t:
        pairs = []
        for _ in range(300):
            c = connect(t.port)
            pairs.append((c, scripted.accept()))
        for c, s in pairs:
            assert c.recv(100) == b"SSH-2.0-scripted\r\n"
        for c, s in pairs:
            c.close()
            s.close()


class Scripted:
    """A TCP target on web address 10.77.1.5 that speaks an SSH banner and then as told."""

    def __init__(self, network, port=22):
        self.listener = network.machines.listen("10.77.1.5", port)
        self.listener.settimeout(20)

    def accept(self):
        s, _ = self.listener.accept()
        s.settimeout(20)
        s.sendall(b"SSH-2.0-scripted\r\n")
        return s


@pytest.fixture
def scripted(network):
    s = Scripted(network)
    yield s
    s.listener.close()


def connect(port):
    c = socket.create_connection(("127.0.0.1", port))
    c.settimeout(20)
    c.sendall(b"SSH-2.0-me\r\n")
    return c


def read_all(s):
    got = b""
    while chunk := s.recv(65536):
        got += chunk
    return got


def test_half_close_is_carried_both_ways(ada, scripted):
    with ada.tunnel("--name", "door", "scripted") as t:
        c = connect(t.port)
        s = scripted.accept()
        c.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"SSH-2.0-me\r\n"  # the target sees our EOF …
        s.sendall(b"late answer")                # … and can still answer
        s.close()
        assert read_all(c) == b"SSH-2.0-scripted\r\nlate answer"
        c.close()
        c = connect(t.port)
        s = scripted.accept()
        s.shutdown(socket.SHUT_WR)
        assert read_all(c) == b"SSH-2.0-scripted\r\n"  # the target's EOF reaches the local program
        c.sendall(b"still going up")
        c.close()
        assert read_all(s) == b"SSH-2.0-me\r\nstill going up"
        s.close()


def test_targets_reset_reaches_the_local_program(ada, scripted):
    import struct
    with ada.tunnel("--name", "door", "scripted") as t:
        c = connect(t.port)
        s = scripted.accept()
        assert s.recv(100) == b"SSH-2.0-me\r\n"
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        with pytest.raises(ConnectionResetError):  # an end of file would be taken for an orderly end
            read_all(c)
        c.close()


def test_custom_port_on_a_resource_target(ada, network):
    s = Scripted(network, 2222)
    try:
        with ada.tunnel("--name", "door", "scripted", "--resource-port", 2222) as t:
            c = connect(t.port)
            x = s.accept()
            assert c.recv(100).startswith(b"SSH-2.0-scripted")
            x.close()
            c.close()
    finally:
        s.listener.close()


def test_ip_target_takes_only_22_and_3389(ada):
    r = ada.run("tunnel", "--name", "door", "--target-ip-address", "10.77.1.5", "--resource-port", 2222, "--port", 0)
    assert r.code == 3
    assert "port" in r.err and "2222" in r.err
