"""Limits, driven to n and to one more, on one gateway whose settings are small; SIGHUP moves them."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest
import requests
import websocket

from conftest import GROUP_ID, started
from lab.gateway import ADMIN, ADMIN_PASSWORD, BUILD, Gateway, eventually
from test_azure_door import AzureClient, opened
from test_hostile_http import GOOD, context, dial, raw, tls
from test_sessions import live, one_too_many

OURS = {"Caponier-Client": "1"}  # told by a status, not in SSH's words


@pytest.fixture(scope="module")
def gate(network, folder):
    g = started(network, folder / "limits", fronts=1, streams_per_session=2, carriers_per_user=2, sessions_per_user=2,
                denied_sessions_max=3, ticket_ttl="30s", preauth_source_max=8)
    yield g
    g.close()


def signed_in(gate, name=ADMIN, password=ADMIN_PASSWORD):
    r = requests.post(f"{gate.url}/adfs/oauth2/token", verify=str(gate.ca), data={
        "grant_type": "password", "username": name, "password": password, "client_id": "x", "scope": "openid"})
    assert r.status_code == 200, r.text
    return r.json()


@pytest.fixture(scope="module")
def token(gate):
    return signed_in(gate)["access_token"]


def reader(gate, name):
    """The Azure client of a user of this test's own, who may reach everything in the lab."""
    u = gate.user(name)
    gate.admin.ok("role", "assign", "--assignee", name, "--role", "Reader", "--scope", GROUP_ID)
    return u, AzureClient(gate, signed_in(gate, name, u.password)["access_token"])


def reload(gate, **changes):
    seen = gate.log_text().count("front.serving")
    gate.write_config(**changes)
    os.kill(gate.process.pid, signal.SIGHUP)
    eventually(lambda: gate.log_text().count("front.serving") > seen, what="the front has the new settings")


@contextlib.contextmanager
def changed(gate, **changes):
    before = {k: gate.settings.get(k) for k in changes}
    reload(gate, **changes)
    try:
        yield
    finally:
        for k in [k for k, v in before.items() if v is None]:
            del gate.settings[k], before[k]
        reload(gate, **before)


def head(gate, *fields):
    return (f"GET /v1/version HTTP/1.1\r\nHost: localhost:{gate.port}\r\nConnection: close\r\n" + "".join(f + "\r\n" for f in fields) + "\r\n").encode()


def can_i(gate, token, size, path="/v1/can-i"):
    """Status of a question whose body has `size` bytes."""
    body = json.dumps({"bastion": "door", "targetIpAddress": "10.77.1.5", "port": 22}).ljust(size)
    return raw(gate, (f"POST {path} HTTP/1.1\r\nHost: localhost:{gate.port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
                      f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())[0]


def test_a_body_over_64_kib(gate, token):
    assert can_i(gate, token, 65536) not in (0, 413)
    assert can_i(gate, token, 65537) == 413


def test_body_max_goes_up_and_down(gate, token):
    with changed(gate, body_max="128KiB"):
        assert can_i(gate, token, 131072) not in (0, 413)
        assert can_i(gate, token, 131073) == 413
    with changed(gate, body_max="1KiB"):
        assert can_i(gate, token, 1024) not in (0, 413)
        assert can_i(gate, token, 1025) == 413
    assert can_i(gate, token, 65536) not in (0, 413)


def test_the_body_of_an_inventory(gate, token):
    with changed(gate, apply_body_max="128KiB"):
        assert can_i(gate, token, 131072, "/v1/apply") == 400  # read, and no inventory
        assert can_i(gate, token, 131073, "/v1/apply") == 413
        assert can_i(gate, token, 65537) == 413  # of no other


def test_a_head_over_16_kib(gate):
    rest = 16384 - len(head(gate, "A: "))
    assert raw(gate, head(gate, "A: " + "b" * rest))[0] == 200
    assert raw(gate, head(gate, "A: " + "b" * (rest + 1)))[0] == 431


def test_more_than_64_fields(gate):
    assert raw(gate, head(gate, *["A: b"] * 62))[0] == 200  # beside Host and Connection
    assert raw(gate, head(gate, *["A: b"] * 63))[0] == 431


def test_more_than_32_fields_of_a_form(gate):
    def status(n):
        return requests.post(f"{gate.url}/api/tokens", data={f"f{i}": "x" for i in range(n)}, verify=str(gate.ca)).status_code
    assert status(32) == 401  # read, and no token found in it
    assert status(33) == 400


def test_streams_of_a_session(gate, target):
    _, az = reader(gate, "streams@example.test")
    one = opened(az, target)
    two = opened(az, target, az.tokens())
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        az.ws(az.tokens(), headers=OURS)
    assert e.value.status_code == 429
    one[0].close()
    one[1].close()

    def again():
        with contextlib.suppress(websocket.WebSocketBadStatusException):
            return az.ws(az.tokens(), headers=OURS)
    eventually(again, what="a place is free").close()
    two[0].close()
    two[1].close()


def carrier(gate, token):
    """(status, connection) of an upgrade at our own door."""
    s = tls(gate)
    s.sendall(f"GET /v1/tunnel HTTP/1.1\r\nHost: localhost:{gate.port}\r\nAuthorization: Bearer {token}\r\n{GOOD}\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = s.recv(4096)
        assert chunk, got
        got += chunk
    return int(got.split(b" ")[1]), s


def test_carriers_of_a_user(gate, token):
    held = [carrier(gate, token) for _ in range(2)]
    assert [status for status, _ in held] == [101, 101]
    status, s = carrier(gate, token)
    s.close()
    assert status == 429
    held.pop()[1].close()

    def again():
        status, s = carrier(gate, token)
        if status != 101:
            s.close()
        return s if status == 101 else None
    eventually(again, what="a place is free").close()
    held.pop()[1].close()


def test_connections_of_one_source_before_they_prove_themselves(gate):
    def silent():
        return socket.create_connection(("127.0.0.1", gate.port), 10)

    def closed_at_once(s):
        s.settimeout(2)  # the gateway's patience with the others is five seconds
        try:
            return s.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def all_eight():
        held = [silent() for _ in range(8)]
        with silent() as ninth:
            if closed_at_once(ninth) and not any(ended(s) for s in held):
                return held
        for s in held:
            s.close()

    def ended(s):
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return s.recv(1) == b""
        return False
    held = eventually(all_eight, what="eight wait, the ninth is closed")
    held.pop().close()

    def honest():
        with contextlib.suppress(OSError, ssl.SSLError):
            return raw(gate, head(gate))[0] == 200
    assert eventually(honest, what="a place is free")
    for s in held:
        s.close()


@pytest.mark.parametrize("says", [None, b"", b"G", b"POST /v1/enrol HTTP/1.1\r\nHost: localhost:%d\r\n"
                                  b"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"],
                         ids=["nothing", "tls", "head", "body"])
def test_connections_of_all_before_they_prove_themselves(gate, says):
    """Who comes when all places are taken gets that of whoever has most of them, if that is more than he would have. However
    far those have come: in the handshake, in a head, in a body."""
    def waiting(source):
        s = dial(gate.port, source=(f"127.0.4.{source}", 0))
        if says is not None:
            s = context(gate).wrap_socket(s, server_hostname="localhost")
            s.sendall(says % gate.port if b"%" in says else says)
        return s

    def ended(s, within):
        s.settimeout(within)
        with contextlib.suppress(TimeoutError):
            try:
                return s.recv(1) == b""
            except (ConnectionError, ssl.SSLError):
                return True
        return False

    def six():
        """Four of one source and two of another: all are here, and wait."""
        held = []
        with contextlib.suppress(OSError):  # places that were not free yet
            for source in (1, 1, 1, 1, 2, 2):
                held.append(waiting(source))
            if not any([ended(s, 0.05) for s in held]):
                return held
        for s in held:
            s.close()

    def refused(source):
        try:
            s = waiting(source)
        except OSError:
            return True
        with s:
            return ended(s, 2)  # the gateway's patience with the others is five seconds
    with changed(gate, preauth_max=6, preauth_source_max=4), contextlib.ExitStack() as stack:
        held = [stack.enter_context(s) for s in eventually(six, what="six wait")]
        assert refused(1)
        third_of_two = stack.enter_context(waiting(2))
        assert ended(held[0], 2) and not any([ended(s, 0.05) for s in [*held[1:], third_of_two]])
        assert refused(2)  # three each
        assert not any([ended(s, 0.05) for s in [*held[1:], third_of_two]])


def sign_in_begun(gate, source):
    """Status and head of the answer to whoever wants a device code."""
    context = ssl.create_default_context(cafile=str(gate.ca))
    c = http.client.HTTPSConnection("localhost", gate.port, timeout=30, source_address=(f"127.0.5.{source}", 0), context=context)
    with contextlib.closing(c):
        c.request("POST", "/adfs/oauth2/devicecode", "client_id=x&scope=openid", {"Content-Type": "application/x-www-form-urlencoded"})
        r = c.getresponse()
        return r.status, r.headers, r.read()


def test_sign_ins_that_wait(gate):
    """As many of one source, and as many of all, as the settings say; passwords go on."""
    with changed(gate, signin_max=3, signin_source_max=2):
        assert [sign_in_begun(gate, 1)[0] for _ in range(2)] == [200, 200]
        status, headers, _ = sign_in_begun(gate, 1)
        assert (status, headers["Retry-After"]) == (429, "60")
        assert sign_in_begun(gate, 2)[0] == 200
        status, _, body = sign_in_begun(gate, 3)
        assert status == 503 and b"too many sign-ins wait already" in body
        assert signed_in(gate)["access_token"]
    assert sign_in_begun(gate, 3)[0] == 200


def test_denied_sessions(gate):
    u = gate.user("denied@example.test")
    az = AzureClient(gate, signed_in(gate, "denied@example.test", u.password)["access_token"])
    held = [az.ws(az.tokens()) for _ in range(3)]  # each is answered 101 and waits
    r = az.post()
    assert r.status_code == 403 and "Reader" in r.json()["message"]
    with changed(gate, denied_sessions_max=4):
        held.append(az.ws(az.tokens()))
        assert az.post().status_code == 403
    for ws in held:
        ws.close()


def test_sessions_of_a_user_at_the_azure_door(gate, target):
    _, az = reader(gate, "sessions@example.test")
    tickets = []
    for _ in range(3):  # none is used yet: none counts
        az.last_token = None
        tickets.append(az.tokens())
    held = [opened(az, target, t) for t in tickets[:2]]
    ws = az.ws(tickets[2])  # what counts is decided again when it is used
    ws.send_binary(b"SSH-2.0-one-too-many\r\n")
    assert b"limit of sessions" in ws.recv()
    ws.close()
    az.last_token = None
    r = az.post(headers={"Caponier-Client": "1"})
    assert (r.status_code, r.json()["code"], r.headers["Retry-After"]) == (429, "limit_user", "5") and "limit of sessions" in r.json()["message"]
    for w, s in held:
        w.close()
        s.close()


def test_opens_of_a_user_per_minute(gate, target):
    u, _ = reader(gate, "rate@example.test")
    with changed(gate, tickets_per_minute=2), u.tunnel("--name", "door", "scripted") as t, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(live(t, target))
        one_too_many(t, "too many connect requests")


def test_a_machine_that_takes_nothing(gate, target):
    """stall_timeout is the gateway's patience, not thirty seconds."""
    _, az = reader(gate, "stall@example.test")
    with changed(gate, stall_timeout="1s"):
        ws, s = opened(az, target)
        ws.settimeout(15)
        with pytest.raises((ConnectionError, ssl.SSLError, websocket.WebSocketConnectionClosedException)):
            while True:
                ws.send_binary(b"x" * 65536)
        s.close()
        ws.shutdown()


def test_lifetimes_of_tokens_follow_a_reload(gate):
    with changed(gate, access_token_ttl="2m"):
        assert signed_in(gate)["expires_in"] == 120
    assert signed_in(gate)["expires_in"] == 3600


def test_log_format_and_level_reach_every_role(network, tmp_path):
    g = Gateway(network, tmp_path / "json", log_format="json").start()
    g.close()
    lines = g.log_text().splitlines()
    assert {json.loads(line)["role"] for line in lines if line[0] == "{"} == {"keeper", "control", "front"}
    assert all("role=keeper" in line for line in lines if line[0] != "{")  # before it has the settings
    g = Gateway(network, tmp_path / "quiet", log_level="error").start()
    g.close()
    assert not {"front.serving", "keeper.root", "control.start"} & set(re.findall(r"event=(\S+)", g.log_text()))


def test_more_than_the_table_allows_is_refused(tmp_path):
    f = tmp_path / "c.yaml"
    for text in ("body_max: 1025KiB", "apply_body_max: 33MiB", "streams_per_session: 257", "denied_sessions_max: 4097", "ticket_ttl: 31s"):
        f.write_text(text + "\n")
        r = subprocess.run([BUILD / "caponierd", "--check", "-c", f], capture_output=True, text=True)
        assert r.returncode != 0 and text.split(":")[0] in r.stderr, r
