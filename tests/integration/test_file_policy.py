"""How much a session may move: a limit of a role assignment, kept to the byte, up and down, at both doors."""
import contextlib
import os
import select
import signal
import socket
import ssl
import threading

import pytest
import requests
import websocket

from conftest import GROUP_ID, VM, inventory
from lab import net
from lab.gateway import eventually, every_record
from lab.ssh import scp, ssh
from test_azure_door import AzureClient
from test_seed_steps import big_file, read_all, sha256

MIB = 1 << 20
UP, DOWN = 2 * MIB, 3 * MIB


@pytest.fixture(scope="module")
def eve(gateway):
    u = gateway.user("limited@example.test")
    gateway.admin.ok("role", "assign", "--assignee", "limited@example.test", "--role", "Reader", "--scope", GROUP_ID,
                     "--max-upload", "2MiB", "--max-download", "3MiB")
    return u


def last_end(admin, user="limited@example.test"):
    ends = [r for r in every_record(admin)
            if r["operationName"] == "session.end" and r.get("userEmail") == user]
    return ends


def end_with(admin, reason):
    def found():
        return [r for r in last_end(admin) if r["reason"] == reason]
    return eventually(found, what=f"an end for {reason}")[-1]


def test_wrong_limits_are_refused(gateway, eve):
    for flags in (["--max-upload", "12"], ["--max-upload", "-1MiB"], ["--max-download", "0B"], ["--max-download", "1TiB"]):
        r = gateway.admin.run("role", "assign", "--assignee", "limited@example.test", "--scope", "/", *flags)
        assert r.code == 2 and "a size such as 100MiB" in r.err, r
    r = gateway.admin.run("role", "assign", "--assignee", "limited@example.test", "--scope", "/", "--deny", "--max-upload", "1MiB")
    assert r.code != 0 and "denied" in r.err, r


def test_role_list_and_can_i_tell_them(gateway, eve):
    row = gateway.admin.json("role", "list", "--assignee", "limited@example.test")[0]
    assert row["maxUploadBytes"] == UP and row["maxDownloadBytes"] == DOWN
    answer = eve.json("can-i", "web1", "--name", "door")
    assert answer["maxUploadBytes"] == UP and answer["maxDownloadBytes"] == DOWN


def test_a_session_within_its_limits_is_left_alone(eve, sshd, tmp_path):
    f = big_file(tmp_path / "small", 1)
    with eve.tunnel("--name", "door", "web1") as t:
        assert scp(sshd, t.port, str(f), "guest@127.0.0.1:small").returncode == 0
        assert sha256(sshd.home / "small") == sha256(f)
        assert scp(sshd, t.port, "guest@127.0.0.1:small", str(tmp_path / "back")).returncode == 0
        assert sha256(tmp_path / "back") == sha256(f)
        assert "limit" not in t.stderr()


def test_scp_up_over_the_limit(gateway, eve, sshd, tmp_path):
    f = big_file(tmp_path / "big", 8)
    with eve.tunnel("--name", "door", "web1") as t:
        assert scp(sshd, t.port, str(f), "guest@127.0.0.1:big").returncode != 0
        said = eventually(lambda: "limit" in t.stderr() and t.stderr(), what="the client says why")
        assert said.count("this session has reached the limit of 2MiB that your role may upload") == 1
        assert ssh(sshd, t.port, "echo on").stdout == "on\n"  # the next session has its own
    assert (sshd.home / "big").stat().st_size <= UP
    record = end_with(gateway.admin, "limit_upload")
    assert record["bytesUp"] == UP and "2MiB" in record["message"]


def test_scp_down_over_the_limit(gateway, eve, sshd, tmp_path):
    big_file(sshd.home / "store", 8)
    (sshd.home / "store").chmod(0o644)
    with eve.tunnel("--name", "door", "web1") as t:
        assert scp(sshd, t.port, "guest@127.0.0.1:store", str(tmp_path / "got")).returncode != 0
        said = eventually(lambda: "limit" in t.stderr() and t.stderr(), what="the client says why")
        assert said.count("this session has reached the limit of 3MiB that your role may download") == 1
    assert (tmp_path / "got").stat().st_size <= DOWN
    assert end_with(gateway.admin, "limit_download")["bytesDown"] == DOWN


def test_caponier_scp_says_why(gateway, eve, sshd, tmp_path):
    """Nobody holds a tunnel there: the connect below scp says it."""
    f = big_file(tmp_path / "own", 8)
    machines = inventory()["machines"]
    machines[0]["host_keys"] = [sshd.public_host_key()]
    gateway.apply(inventory(machines=machines))
    try:
        r = eve.run("scp", "--name", "door", "-i", sshd.key, f, "guest@web1:own")
        assert r.code != 0 and r.err.count("this session has reached the limit of 2MiB that your role may upload") == 1, r
        big_file(sshd.home / "own-store", 8).chmod(0o644)
        r = eve.run("scp", "--name", "door", "-i", sshd.key, "guest@web1:own-store", tmp_path / "own-got")
        assert r.code != 0 and r.err.count("this session has reached the limit of 3MiB that your role may download") == 1, r
    finally:
        gateway.apply(inventory())
    assert (sshd.home / "own").stat().st_size <= UP and (tmp_path / "own-got").stat().st_size <= DOWN


# ---- the Azure door ----


@pytest.fixture
def az(gateway, eve):
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "limited@example.test", "password": eve.password,
        "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "scope": f"{gateway.url}/.default offline_access openid profile"})
    assert r.status_code == 200, r.text
    return AzureClient(gateway, r.json()["access_token"])


@contextlib.contextmanager
def bridged(az, resource):
    """What `az network bastion tunnel` does: a local port, each connection through a WebSocket."""
    listener = net.bound_socket()
    listener.listen()
    ended = []

    def relay(c, ws):
        while True:
            ready = [ws.sock] if ws.sock.pending() else select.select([c, ws.sock], [], [], 30)[0]
            if c in ready:
                chunk = c.recv(4096)
                if not chunk:
                    ws.close()
                    return
                ws.send_binary(chunk)
            if ws.sock in ready:
                opcode, frame = ws.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    ended.append((int.from_bytes(frame[:2], "big"), frame[2:].decode()))
                    return
                c.sendall(frame)

    def serve():  # one after another
        with contextlib.suppress(OSError):
            while True:
                c, _ = listener.accept()
                with c, contextlib.suppress(OSError, websocket.WebSocketException):
                    relay(c, az.ws(az.tokens(resource)))
    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], ended
    listener.close()


def test_azure_scp_up_and_down(gateway, az, eve, sshd, tmp_path):
    f = big_file(tmp_path / "azbig", 8)
    small = big_file(tmp_path / "azsmall", 1)
    before = len(last_end(gateway.admin))
    with bridged(az, VM + "web1") as (port, ended):
        assert scp(sshd, port, str(small), "guest@127.0.0.1:azsmall", timeout=30).returncode == 0
        az.last_token = None
        assert scp(sshd, port, str(f), "guest@127.0.0.1:azbig", timeout=30).returncode != 0
        eventually(lambda: (1008, "this session has reached the limit of 2MiB that your role may upload") in ended, what="the close")
        az.last_token = None
        big_file(sshd.home / "azstore", 8).chmod(0o644)
        assert scp(sshd, port, "guest@127.0.0.1:azstore", str(tmp_path / "azgot"), timeout=30).returncode != 0
    assert sha256(sshd.home / "azsmall") == sha256(small)
    assert (sshd.home / "azbig").stat().st_size <= UP
    assert (tmp_path / "azgot").stat().st_size <= DOWN
    eventually(lambda: len(last_end(gateway.admin)) >= before + 2, what="both ends")
    assert end_with(gateway.admin, "limit_upload")["bytesUp"] == UP
    assert end_with(gateway.admin, "limit_download")["bytesDown"] == DOWN


def test_azure_many_connections_share_one_limit(gateway, az, eve, target):
    """Four WebSockets of one session, on whichever fronts they land, send at once: together to the byte."""
    first = az.tokens(VM + "scripted")
    wss = [az.ws(first)] + [az.ws(az.tokens(VM + "scripted")) for _ in range(3)]
    got = [0] * 4

    def sink(i, s):
        with contextlib.suppress(OSError):
            while chunk := s.recv(65536):
                got[i] += len(chunk)

    def send(ws):
        with contextlib.suppress(OSError, websocket.WebSocketException, ssl.SSLError):
            ws.send_binary(b"SSH-2.0-az\r\n")
            for _ in range(2 * UP // 4096):
                ws.send_binary(b"u" * 4096)

    peers = [target.accept()[0] for _ in wss]
    threads = [threading.Thread(target=sink, args=(i, s)) for i, s in enumerate(peers)]
    threads += [threading.Thread(target=send, args=(ws,)) for ws in wss]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert sum(got) == UP and sum(n > 0 for n in got) >= 2, got
    for s in [*peers, *wss]:
        s.close()
    assert end_with(gateway.admin, "limit_upload")["bytesUp"] == UP


def test_a_new_limit_holds_for_running_sessions(own_gateway, network, target):
    admin = own_gateway.admin
    bob = own_gateway.user("bob@example.test")
    admin.ok("role", "assign", "--assignee", "bob@example.test", "--role", "Reader", "--scope", "/", "--max-upload", "1GiB")
    with bob.tunnel("--name", "door", "scripted") as t:
        c = socket.create_connection(("127.0.0.1", t.port))
        c.sendall(b"SSH-2.0-me\r\n" + b"u" * 88)
        s, _ = target.accept()
        s.settimeout(20)
        assert len(s.recv(100, socket.MSG_WAITALL)) == 100
        row = admin.json("role", "list", "--assignee", "bob@example.test")[0]
        r = requests.put(f"{own_gateway.url}{row['id']}?api-version=2022-04-01", verify=str(own_gateway.ca),
                         headers={"Authorization": "Bearer " + token_of(own_gateway)},
                         json={"properties": {"principalId": row["principalId"], "maxUploadBytes": 150,
                                              "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/"
                                                                  "acdd72a7-3385-48ef-bd42-f606fba81ae7"}})
        assert r.status_code == 201 and r.json()["properties"]["maxUploadBytes"] == 150, r.text
        c.sendall(b"v" * 50)
        assert len(s.recv(50, socket.MSG_WAITALL)) == 50
        c.sendall(b"w")
        assert read_all(s) == b""
        eventually(lambda: "150B" in t.stderr(), what="the client says why")
        c.close()
        s.close()


def token_of(gateway):
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "root@example.test", "password": "a long first password 1",
        "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "scope": f"{gateway.url}/.default offline_access openid profile"})
    return r.json()["access_token"]


def test_control_dies_while_a_session_runs(own_gateway, network, target):
    """The limit is still that, to the byte, under the next control process."""
    admin = own_gateway.admin
    bob = own_gateway.user("bob@example.test")
    admin.ok("role", "assign", "--assignee", "bob@example.test", "--role", "Reader", "--scope", "/", "--max-upload", "1MiB")
    with bob.tunnel("--name", "door", "scripted") as t:
        c = socket.create_connection(("127.0.0.1", t.port))
        c.sendall(b"SSH-2.0-me\r\n")
        s, _ = target.accept()
        s.settimeout(20)
        assert s.recv(100) == b"SSH-2.0-me\r\n"
        old = own_gateway.pids("control")
        os.kill(old[0], signal.SIGKILL)
        eventually(lambda: own_gateway.pids("control") not in ([], old), what="another control")
        eventually(lambda: admin.run("session", "list").code == 0, what="it answers")
        got = [len(b"SSH-2.0-me\r\n")]

        def sink():
            with contextlib.suppress(OSError):
                while chunk := s.recv(65536):
                    got[0] += len(chunk)
        th = threading.Thread(target=sink)
        th.start()
        with contextlib.suppress(OSError):
            for _ in range(2 * 1024):
                c.sendall(b"u" * 1024)
        th.join(30)
        assert got[0] == MIB
        eventually(lambda: "1MiB" in t.stderr(), what="the client says why")
        c.close()
        s.close()
