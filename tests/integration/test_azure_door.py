"""The Azure door, byte by byte as the Azure CLI's own libraries (requests, websocket-client) put it on the wire.

One test a row of what the real client sends, reads and forgives."""
import contextlib
import json
import re
import select
import socket
import ssl
import subprocess
import threading
import time
from urllib.parse import quote

import pytest
import requests
import websocket

from conftest import GROUP_ID, SUBSCRIPTION, VM, inventory
from lab.gateway import ADMIN, ADMIN_PASSWORD, eventually, every_record
from lab.ssh import ssh
from test_seed_steps import read_all


class AzureClient:
    """What the bastion extension does, with its libraries and its shapes."""

    def __init__(self, gateway, token):
        self.gateway, self.token = gateway, token
        self.base = f"https://localhost:{gateway.port}"
        self.ca = str(gateway.ca)
        self.last_token = self.node = None

    def post(self, resource=VM + "scripted", port=22, hostname=None, headers=None, **over):
        form = {"resourceId": resource, "protocol": "tcptunnel", "workloadHostPort": port, "aztoken": self.token,
                "token": self.last_token, **over}
        if hostname:
            form["hostname"] = hostname
        extra = {"X-Node-Id": self.node} if self.node else {}
        return requests.post(f"{self.base}/api/tokens", data=form, headers={**extra, **(headers or {})}, verify=self.ca, timeout=20)

    def tokens(self, *args, **kw):
        r = self.post(*args, **kw)
        assert r.status_code == 200, r.text
        body = r.json()
        self.last_token, self.node = body["authToken"], body["nodeId"]
        return body

    def ws(self, tokens, path="/webtunnelv2/", headers=None):
        url = f"wss://localhost:{self.gateway.port}{path}{tokens['websocketToken']}?X-Node-Id={tokens['nodeId']}"
        return websocket.create_connection(url, header=headers or {}, sockopt=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
                                           sslopt={"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": self.ca}, timeout=20)

    def delete(self, auth_token):
        return requests.delete(f"{self.base}/api/tokens/{auth_token}", headers={"X-Node-Id": self.node or ""},
                               verify=self.ca, timeout=20)


@pytest.fixture(scope="module")
def token(gateway, ada):
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "ada@example.test", "password": ada.password,
        "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "scope": f"{gateway.url}/.default offline_access openid profile"})
    assert r.status_code == 200, r.text
    assert {"access_token", "refresh_token", "id_token", "client_info", "scope", "expires_in", "token_type"} <= set(r.json())
    return r.json()["access_token"]


@pytest.fixture
def az(gateway, token):
    return AzureClient(gateway, token)


def sessions(admin):
    return [s for s in admin.json("session", "list")["value"] if s["door"] == "azure"]


def opened(az, target, tokens=None):
    ws = az.ws(tokens or az.tokens())
    s, _ = target.accept()
    s.settimeout(20)
    ws.send_binary(b"SSH-2.0-az\r\n")
    assert s.recv(100) == b"SSH-2.0-az\r\n"
    s.sendall(b"SSH-2.0-target\r\n")
    assert ws.recv() == b"SSH-2.0-target\r\n"
    return ws, s


def pumped(c, ws):
    """A TLS object takes one thread at a time: one loop looks at both sides."""
    with contextlib.suppress(websocket.WebSocketException, OSError):
        while True:
            readable = [ws.sock] if ws.sock.pending() else select.select([c, ws.sock], [], [], 60)[0]
            assert readable, "silent for a minute"
            if c in readable:
                if not (chunk := c.recv(4096)):
                    break
                ws.send_binary(chunk)
            if ws.sock in readable:
                if not (got := ws.recv()):
                    break
                c.sendall(got)


@contextlib.contextmanager
def listening(az, *target):
    """The port of a listener as the extension's, for one connection: a token and a WebSocket when it comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            c, _ = listener.accept()
            ws = az.ws(az.tokens(*target))
            with c:
                pumped(c, ws)
            ws.close()
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_reply_has_the_three_fields(az):
    body = az.tokens()
    assert all(isinstance(body[k], str) and body[k] for k in ("authToken", "nodeId", "websocketToken"))
    assert len(body["websocketToken"]) >= 43  # 256 bits


def test_bytes_both_ways_in_4096_byte_frames(az, target):
    ws, s = opened(az, target)
    up = bytes(range(256)) * 16 * 256  # 1 MiB in frames of 4096, as the client sends
    for i in range(0, len(up), 4096):
        ws.send_binary(up[i:i + 4096])
    got = b""
    while len(got) < len(up):
        got += s.recv(1 << 16)
    assert got == up
    down = up[::-1] * 2
    import threading
    threading.Thread(target=s.sendall, args=(down,)).start()
    got, biggest = b"", 0
    while len(got) < len(down):
        opcode, frame = ws.recv_data()
        assert opcode == websocket.ABNF.OPCODE_BINARY and frame  # never text, never empty
        biggest = max(biggest, len(frame))
        got += frame
    assert got == down
    assert 4096 < biggest <= 65536
    ws.close()
    s.close()


@pytest.mark.parametrize("port, pieces", [
    (22, [b"SSH", b"-2.", b"0-m", b"e\r\n"]),
    (3389, [bytes.fromhex("030000130e"), bytes.fromhex("e00000000000" "0100080003000000")]),
], ids=["ssh", "rdp"])
def test_first_bytes_in_pieces(az, network, port, pieces):
    with contextlib.closing(network.machines.listen("10.77.1.5", port)) as listener:
        listener.settimeout(20)
        ws = az.ws(az.tokens(port=port))
        s, _ = listener.accept()
        with contextlib.closing(s):
            s.settimeout(20)
            for piece in pieces:
                ws.send_binary(piece)
                ws.ping("seen")  # the gateway has read the piece when it answers
                assert ws.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"seen")
            said, got = b"".join(pieces), b""
            while len(got) < len(said) and (chunk := s.recv(100)):
                got += chunk
            assert got == said
            ws.close()


def test_targets_end_arrives_as_close_after_the_bytes(az, target):
    ws, s = opened(az, target)
    s.sendall(b"last words")
    s.close()
    assert ws.recv() == b"last words"
    opcode, payload = ws.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and int.from_bytes(payload[:2], "big") == 1000
    ws.close()


def test_clients_close_reaches_the_target(az, target):
    ws, s = opened(az, target)
    ws.close()
    assert read_all(s) == b""
    s.close()


def test_gateway_answers_and_sends_pings(az, target):
    ws, s = opened(az, target)
    ws.ping(b"are you there")
    opcode, frame = ws.recv_data(control_frame=True)
    assert (opcode, frame) == (websocket.ABNF.OPCODE_PONG, b"are you there")
    ws.settimeout(25)
    assert ws.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_PING  # after 20 s: boxes on the way forget what is silent
    ws.close()
    s.close()


def test_upgrade_reply_headers(gateway, az, target):
    t = az.tokens()
    context = ssl.create_default_context(cafile=az.ca)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.port)), server_hostname="localhost") as s:
        s.sendall((f"GET /webtunnelv2/{t['websocketToken']}?X-Node-Id={t['nodeId']} HTTP/1.1\r\nUpgrade: websocket\r\n"
                   f"Host: localhost:{gateway.port}\r\nOrigin: http://localhost:{gateway.port}\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(4096)
        text = head.split(b"\r\n\r\n")[0].decode()
        assert text.startswith("HTTP/1.1 101 ")
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in text
        assert re.search(r"(?im)^upgrade: websocket\r?$", text) and re.search(r"(?im)^connection: upgrade\r?$", text)
        assert "sec-websocket-protocol" not in text.lower() and "sec-websocket-extensions" not in text.lower()


def test_shared_auth_token_is_one_session_with_many_websockets(az, admin, target):
    first = az.tokens()
    one = opened(az, target, first)
    second = az.tokens()  # the client sends `token` now
    assert second["authToken"] == first["authToken"] and second["websocketToken"] != first["websocketToken"]
    two = opened(az, target, second)
    live = [s for s in sessions(admin) if s["userName"] == "ada@example.test" and s["streams"] == 2]
    assert len(live) == 1
    assert az.delete(first["authToken"]).status_code in (200, 204)
    for ws, s in (one, two):
        assert read_all(s) == b""
        s.close()
        ws.close()
    eventually(lambda: not [s for s in sessions(admin) if s["sessionId"] == live[0]["sessionId"]], what="one DELETE ended it")


def test_without_token_each_connection_is_a_session(az, admin, target):
    one = opened(az, target)
    az.last_token = None
    two = opened(az, target)
    assert len({s["sessionId"] for s in sessions(admin) if s["streams"] == 1}) >= 2
    for ws, s in (one, two):
        ws.close()
        s.close()


@pytest.mark.parametrize("again", ["at once", "after use"])
def test_ticket_is_used_once(az, target, again):
    t = az.tokens()
    ws, s = opened(az, target, t)
    if again == "after use":
        ws.close()
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        az.ws(t)
    assert e.value.status_code == 403
    ws.close()
    s.close()


def test_a_thousand_parallel_uses_of_one_ticket(gateway, az, target):
    """Exactly one wins. 40 handshakes at a time, 1,000 in all."""
    import concurrent.futures
    t = az.tokens()
    context = ssl.create_default_context(cafile=az.ca)
    request = (f"GET /webtunnelv2/{t['websocketToken']} HTTP/1.1\r\nUpgrade: websocket\r\nHost: localhost:{gateway.port}\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n\r\n").encode()
    keep = []

    def attempt(_):
        for _ in range(50):
            try:
                s = context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.port), 20), server_hostname="localhost")
                s.sendall(request)
                line = s.recv(4096).split(b" ")[1:2]
            except OSError:
                continue
            if line:
                keep.append(s) if line[0] == b"101" else s.close()
                return line[0]
        return b"none"

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        got = list(pool.map(attempt, range(1000)))
    assert got.count(b"101") == 1, {g: got.count(g) for g in set(got)}
    for s in keep:
        s.close()


def test_ticket_expires(own_gateway, network):
    own_gateway.stop()
    own_gateway.write_config(ticket_ttl="1s")
    own_gateway.start()
    r = requests.post(f"{own_gateway.url}/adfs/oauth2/token", verify=str(own_gateway.ca), data={
        "grant_type": "password", "username": "root@example.test", "password": "a long first password 1",
        "client_id": "x", "scope": "openid"})
    az = AzureClient(own_gateway, r.json()["access_token"])
    t = az.tokens()
    issued = time.monotonic()
    eventually(lambda: time.monotonic() - issued > 1.2, what="the ticket's second passed")
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        az.ws(t)
    assert e.value.status_code == 403


@pytest.mark.parametrize("ticket", ["x", "a" * 43, "../api", "%41" * 43, "a" * 600])
def test_made_up_tickets(az, ticket):
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        az.ws({"websocketToken": ticket, "nodeId": "n"})
    assert e.value.status_code in (400, 403, 404)


def test_denied_without_our_header_is_said_in_ssh(gateway, admin, az):
    eve = gateway.user("eve@example.test")
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=az.ca, data={
        "grant_type": "password", "username": "eve@example.test", "password": eve.password, "client_id": "x", "scope": "openid"})
    denied = AzureClient(gateway, r.json()["access_token"])
    ws = denied.ws(denied.tokens())  # 200 and a ticket of a denied session; then 101
    ws.send_binary(b"SSH-2.0-OpenSSH_9.2\r\n")
    said = b""
    try:
        while len(said) < 4096:
            opcode, frame = ws.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            said += frame
    except websocket.WebSocketException:
        pass
    assert said.startswith(b"SSH-2.0-") and b"Reader" in said and b"scripted" in said.lower()
    ws.close()
    r = denied.post(headers={"Caponier-Client": "1"})
    assert r.status_code == 403 and "Reader" in r.json()["message"]


@pytest.mark.parametrize("change,status", [
    ({"aztoken": ""}, 401), ({"aztoken": "garbage"}, 401), ({"aztoken": None}, 401), ({"protocol": "http"}, 400),
    ({"workloadHostPort": "0"}, 400), ({"workloadHostPort": "65536"}, 400), ({"workloadHostPort": " 22"}, 400),
    ({"workloadHostPort": "22x"}, 400), ({"workloadHostPort": None}, 400), ({"resourceId": "not an id"}, 400),
    ({"resourceId": None}, 400), ({"resourceId": "/subscriptions/../x"}, 400), ({"resourceId": "/" + "a" * 3000}, 400)])
def test_refusals_have_a_message(az, change, status):
    r = az.post(**change)
    assert r.status_code == status
    assert isinstance(r.json()["message"], str) and r.json()["message"]


def said(az, tokens):
    """What an SSH client is told, until the close."""
    ws, text = az.ws(tokens), b""
    ws.send_binary(b"SSH-2.0-OpenSSH_9.2\r\n")
    with contextlib.suppress(websocket.WebSocketException):
        while frame := ws.recv():
            text += frame
    ws.close()
    return text


def test_ip_connect_shape(az, target):
    ip = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/lab/providers/Microsoft.Network/bh-hostConnect/10.77.1.5"
    ws, s = opened(az, target, az.tokens(ip, hostname="10.77.1.5"))
    ws.close()
    s.close()
    r = az.post(ip, port=8080, hostname="10.77.1.5", headers={"Caponier-Client": "1"})
    assert r.status_code == 403
    r = az.post(ip, hostname="10.77.1.6")
    assert r.status_code == 400  # the two addresses differ


def test_delete_is_idempotent_and_needs_no_bearer(az):
    t = az.tokens()
    assert az.delete(t["authToken"]).status_code in (200, 204)
    assert az.delete(t["authToken"]).status_code in (200, 204, 404)
    assert az.delete("never-was").status_code in (204, 404)


def test_foreign_token_is_not_taken(gateway, admin, az, target):
    mine = az.tokens()
    ws, s = opened(az, target, mine)
    other = AzureClient(gateway, None)
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=az.ca, data={
        "grant_type": "password", "username": "root@example.test", "password": "a long first password 1", "client_id": "x",
        "scope": "openid"})
    other.token = r.json()["access_token"]
    other.last_token = mine["authToken"]
    got = other.post()
    assert got.status_code in (200, 403)
    if got.status_code == 200:
        assert got.json()["authToken"] != mine["authToken"]
    ws.close()
    s.close()


def test_a_killed_client_is_reaped(az, admin, target):
    ws, s = opened(az, target)
    live = {x["sessionId"] for x in sessions(admin)}
    ws.sock.shutdown(socket.SHUT_RDWR)
    ws.shutdown()
    assert read_all(s) == b""
    s.close()
    eventually(lambda: {x["sessionId"] for x in sessions(admin)} < live, 5, what="the session ends with its last socket")


DRIVER = """
import socket, ssl, sys, time, requests, websocket
base, ca, token, vm = sys.argv[1:]
def dial():
    t = requests.post(base + "/api/tokens", verify=ca, timeout=20, data={"resourceId": vm, "protocol": "tcptunnel",
                      "workloadHostPort": 22, "aztoken": token}).json()
    return websocket.create_connection(base.replace("https", "wss") + "/webtunnelv2/" + t["websocketToken"] + "?X-Node-Id=" + t["nodeId"],
                                       sslopt={"ca_certs": ca}, timeout=20)
ws = dial()
ws.send_binary(b"SSH-2.0-az\\r\\n")
print("up", flush=True)
time.sleep(1000)
"""


def test_sigterm_sends_no_delete_and_is_reaped_all_the_same(gateway, az, admin, target):
    """The client process itself dies, as az does by SIGTERM: nothing is said, the socket goes."""
    before = {x["sessionId"] for x in sessions(admin)}
    p = subprocess.Popen(["/usr/bin/python3", "-c", DRIVER, az.base, az.ca, az.token, VM + "scripted"], stdout=subprocess.PIPE, text=True)
    s, _ = target.accept()
    s.settimeout(20)
    assert p.stdout.readline() == "up\n" and s.recv(100) == b"SSH-2.0-az\r\n"
    fresh = {x["sessionId"] for x in sessions(admin)} - before
    assert len(fresh) == 1
    p.terminate()
    p.wait()
    p.stdout.close()
    assert read_all(s) == b""
    s.close()
    eventually(lambda: not fresh & {x["sessionId"] for x in sessions(admin)}, 5, what="the session is reaped")
    ends = eventually(lambda: [r for r in every_record(admin) if r["operationName"] == "session.end"
                               and r.get("tunnelId") in fresh], what="its end record")
    assert len(ends) == 1


def test_a_session_waits_for_a_ticket_that_is_still_good(az, admin, target):
    """The last WebSocket ends between a POST and its upgrade: the ticket still works."""
    ws, s = opened(az, target)
    again = az.tokens()
    ws.close()
    assert read_all(s) == b""
    s.close()
    waited = time.monotonic()
    eventually(lambda: time.monotonic() - waited > 2.5, what="longer than an idle session lives")
    ws, s = opened(az, target, again)
    ws.close()
    s.close()


def test_an_ended_authtoken_begins_a_session_anew(az, admin, target):
    ws, s = opened(az, target)
    first = az.last_token
    assert az.delete(first).status_code == 204
    again = az.tokens()  # sends the old one beside the aztoken
    assert again["authToken"] != first
    two, s2 = opened(az, target, again)
    for x in (ws, s, two, s2):
        x.close()


def refused_in_some_words(az, ticket, target):
    """By status, or by a session that says no; the machine is not dialled."""
    try:
        ws = az.ws(ticket)
    except websocket.WebSocketBadStatusException as e:
        assert e.status_code == 403
    else:
        ws.send_binary(b"SSH-2.0-az\r\n")
        assert b"SSH-2.0-" in ws.recv()  # the gateway's own words, not the machine's
        ws.close()
    patience = target.gettimeout()
    target.settimeout(0.2)
    with pytest.raises(TimeoutError):
        target.accept()
    target.settimeout(patience)


def signed_in(gateway, name=ADMIN, password=ADMIN_PASSWORD):
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": name, "password": password, "client_id": "x", "scope": "openid"})
    return r.json()["access_token"]


def test_a_reused_token_is_decided_again(gateway, admin, target):
    """The role goes between two POSTs of one authToken: the second is refused, and so is a ticket of before."""
    who = gateway.user("reuse@example.test")
    role = admin.json("role", "assign", "--assignee", "reuse@example.test", "--role", "Reader", "--scope", GROUP_ID)["id"]
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "reuse@example.test", "password": who.password, "client_id": "x", "scope": "openid"})
    az = AzureClient(gateway, r.json()["access_token"])
    first = az.tokens()
    assert az.tokens()["authToken"] == first["authToken"]
    ticket = az.tokens()
    admin.ok("role", "remove", "--ids", role)
    r = az.post(headers={"Caponier-Client": "1"})
    assert r.status_code == 403 and "Reader" in r.json()["message"]
    denied = az.post()  # without our header: a ticket of a session that will say no
    assert denied.status_code == 200 and denied.json()["authToken"] != first["authToken"]
    refused_in_some_words(az, ticket, target)


@pytest.mark.parametrize("change", [{"port": 2222}, {"resource": VM + "web1"}])
def test_a_token_of_another_target_is_not_taken(az, target, change):
    first = az.tokens()
    assert az.tokens(**change)["authToken"] != first["authToken"]


def test_a_token_of_another_bastion_is_not_taken(own_gateway, target):
    """No request of this door names a bastion: the gateway chooses. When its choice is another one, neither authToken nor ticket of before serves."""
    az = AzureClient(own_gateway, signed_in(own_gateway))
    first = az.tokens()
    assert az.tokens()["authToken"] == first["authToken"]
    own_gateway.apply(inventory(bastions=[{**inventory()["bastions"][0], "name": "gate"}]))
    second = az.tokens()
    assert second["authToken"] != first["authToken"]
    refused_in_some_words(az, first, target)
    ws, s = opened(az, target, second)
    assert [x["bastion"].rsplit("/", 1)[1].lower() for x in sessions(own_gateway.admin) if x["streams"]] == ["gate"]
    ws.close()
    s.close()


def test_fifty_connections_at_once(gateway, az, admin, network):
    """As 1.0.1 and newer do it: a thread a connection, one authToken for all of them once there is one."""
    import concurrent.futures
    s = network.machines.listen("10.77.1.5", 22)
    s.settimeout(20)
    az.tokens()

    def serve():
        for _ in range(50):
            c, _ = s.accept()
            threading.Thread(target=lambda c=c: (c.settimeout(20), c.sendall(c.recv(100)))).start()
            held.append(c)

    held, echoed = [], []
    server = threading.Thread(target=serve)
    server.start()

    def one(n):
        ws = az.ws(az.tokens())
        said = b"SSH-2.0-az%02d\r\n" % n
        ws.send_binary(said)
        echoed.append(ws.recv() == said)
        return ws
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        sockets = list(pool.map(one, range(50)))
    server.join()
    assert echoed == [True] * 50
    live = [x for x in sessions(admin) if x["streams"] == 50]
    assert len(live) == 1
    assert az.delete(az.last_token).status_code == 204  # one DELETE ends them all
    for ws in sockets:
        opcode, _ = ws.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        ws.close()
    for c in [s, *held]:
        c.close()


def test_refusals_inside_rdp(gateway, admin):
    """Port 3389 and an RDP client: the no is an X.224 negotiation failure, then close 1008."""
    eve = gateway.user("eve@example.test")
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "eve@example.test", "password": eve.password, "client_id": "x", "scope": "openid"})
    denied = AzureClient(gateway, r.json()["access_token"])
    ws = denied.ws(denied.tokens(port=3389))
    ws.send_binary(bytes.fromhex("030000130ee00000000000" "0100080003000000"))
    opcode, frame = ws.recv_data()
    assert opcode == websocket.ABNF.OPCODE_BINARY
    assert frame[:2] == b"\x03\x00" and frame[5] & 0xf0 == 0xd0  # TPKT, connection confirm
    assert frame[11] == 3  # RDP_NEG_FAILURE
    opcode, payload = ws.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and int.from_bytes(payload[:2], "big") == 1008
    ws.close()


def test_another_protocols_client_is_told_by_the_close(gateway, admin):
    eve = gateway.user("eve@example.test")
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "eve@example.test", "password": eve.password, "client_id": "x", "scope": "openid"})
    denied = AzureClient(gateway, r.json()["access_token"])
    ws = denied.ws(denied.tokens(port=8080))
    ws.send_binary(b"GET / HTTP/1.1\r\n\r\n")
    opcode, payload = ws.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and int.from_bytes(payload[:2], "big") == 1008 and b"denied" in payload
    ws.close()


@pytest.mark.parametrize("node", ["", "somebody-else", "a" * 300, "%00", "x; y=z"])
def test_node_ids_are_information_only(az, target, node):
    """Behind a TCP balancer POST, upgrade and DELETE land anywhere: a wrong, long or absent node changes nothing."""
    az.node = node if node.isascii() and len(node) < 200 else "n"
    t = az.tokens()
    assert t["nodeId"]
    ws, s = opened(az, target, {**t, "nodeId": quote(node)})
    az.node = "another"
    assert az.delete(t["authToken"]).status_code == 204
    assert az.delete(t["authToken"]).status_code in (204, 404)
    assert read_all(s) == b""
    ws.close()
    s.close()


def test_delete_takes_no_bearer_and_minds_none(az):
    """The client sends no token; one that has run out must not make it a 401."""
    t = az.tokens()
    r = requests.delete(f"{az.base}/api/tokens/{t['authToken']}", verify=az.ca, timeout=20, headers={"Authorization": "Bearer expired"})
    assert r.status_code == 204
    r = requests.delete(f"{az.base}/api/tokens/{t['authToken']}", verify=az.ca, timeout=20, headers={"Authorization": "Bearer expired"})
    assert r.status_code in (204, 404)


# ---- rdpfile, connection, omni ----

def rdpfile(az, resource=VM + "scripted", more="", token=None, port=3389):
    url = f"{az.base}/api/rdpfile?resourceId={resource}&format=rdp&rdpport={port}&enablerdsaad=False{more}"
    return requests.get(url, headers={"Authorization": f"Bearer {token or az.token}", "Accept": "*/*", "Content-Type": "application/json"},
                        verify=az.ca, timeout=20)


def test_rdpfile_is_a_file_for_the_near_end_of_a_tunnel(az):
    r = rdpfile(az)
    assert r.status_code == 200, r.text
    lines = r.text.split("\r\n")
    assert lines.pop() == "" and all(re.fullmatch(r"[a-z ]+:[is]:[^\r\n]*", line) for line in lines)
    got = {line.split(":", 2)[0]: line.split(":", 2)[2] for line in lines}
    assert len(got) == len(lines)
    assert got["full address"] == "127.0.0.1:53389" and got["gatewayusagemethod"] == "0" and got["gatewayhostname"] == ""
    assert got["caponier machine"] == "scripted" and got["caponier note"].endswith("tunnel --resource-port 3389 --port 53389")
    assert "--resource-port 3390 --port 40000" in rdpfile(az, more="&localport=40000", port=3390).text
    assert "127.0.0.1:40000" in rdpfile(az, more="&localport=40000").text
    assert VM not in r.text


@pytest.mark.parametrize("resource,more,status", [
    (VM + "scripted", "&localport=0", 400), (VM + "scripted", "&localport=1%0d%0afull", 400), (VM + "scripted%0d%0ax:s:y", "", 400),
    ("", "", 400), ("x", "", 400), (VM + "ghost%0a", "", 400), (VM + "scripted", "&localport=65536", 400)])
def test_rdpfile_refusals(az, resource, more, status):
    r = rdpfile(az, resource, more)
    assert r.status_code == status and r.json()["message"]


def test_rdpfile_says_no_in_a_message(gateway, az):
    assert rdpfile(az, token="garbage").status_code == 401
    r = requests.get(f"{az.base}/api/rdpfile?resourceId={VM}scripted&format=rdp&rdpport=3389&enablerdsaad=True",
                     headers={"Authorization": f"Bearer {az.token}"}, verify=az.ca, timeout=20)
    assert r.status_code == 400 and "--auth-type password" in r.json()["message"]
    eve = gateway.user("eve@example.test")
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=az.ca, data={
        "grant_type": "password", "username": "eve@example.test", "password": eve.password, "client_id": "x", "scope": "openid"})
    r = rdpfile(az, token=r.json()["access_token"])
    assert r.status_code == 403 and "Reader" in r.json()["message"]


@pytest.mark.parametrize("sku", ["Developer", "QuickConnect"])
def test_small_skus_by_their_own_way(own_gateway, network, sku):
    """/api/connection, /api/tokens there, /omni/webtunnel: one session at a time, 22 and 3389, the bastion's own network."""
    inv = inventory()
    inv["bastions"] = [{"name": "door", "group": "lab", "network": "hub", "sku": sku}]
    own_gateway.apply(inv)
    r = requests.post(f"{own_gateway.url}/adfs/oauth2/token", verify=str(own_gateway.ca), data={
        "grant_type": "password", "username": "root@example.test", "password": "a long first password 1", "client_id": "x", "scope": "openid"})
    az = AzureClient(own_gateway, r.json()["access_token"])
    asked = {"resourceId": VM + "scripted", "bastionResourceId": GROUP_ID + "/providers/Microsoft.Network/bastionHosts/door",
             "vmPort": 22, "azToken": az.token, "connectionType": "nativeclient"}
    for change in ({"azToken": "x"}, {"azToken": None}, {"vmPort": "22x"}, {"vmPort": 0}, {"resourceId": "x"}, {"connectionType": "web"},
                   {"bastionResourceId": "x"}):
        r = requests.post(f"{az.base}/api/connection", json={**asked, **change}, verify=az.ca, timeout=20)
        assert r.status_code in (400, 401) and r.json()["message"], change
    for port in (22, "22"):
        r = requests.post(f"{az.base}/api/connection", json={**asked, "vmPort": port}, verify=az.ca, timeout=20)
        assert (r.status_code, r.text) == (200, f"localhost:{own_gateway.port}")
    s = network.machines.listen("10.77.1.5", 22)
    s.settimeout(20)
    try:
        ws = az.ws(az.tokens(), "/omni/webtunnel/")
        c, _ = s.accept()
        ws.send_binary(b"SSH-2.0-az\r\n")
        assert c.recv(100) == b"SSH-2.0-az\r\n"
        az.last_token = None
        says = {"Caponier-Client": "1"}
        assert az.post(headers=says).json()["reason"] == "limit_bastion"  # one at a time
        ws.close()
        c.close()
        assert "port" in az.post(port=2222, headers=says).json()["message"]
        assert "network" in az.post(VM + "db1", headers=says).json()["message"]
        own = own_gateway.admin.run("tunnel", "--name", "door", "--resource-group", "lab", "--target-resource-id", VM + "scripted", "--port", "0")
        assert own.code == 3 and "SKU" in own.err
    finally:
        s.close()


def test_tickets_are_rate_limited(own_gateway):
    own_gateway.stop()
    own_gateway.write_config(tickets_per_minute=5)
    own_gateway.start()
    r = requests.post(f"{own_gateway.url}/adfs/oauth2/token", verify=str(own_gateway.ca), data={
        "grant_type": "password", "username": "root@example.test", "password": "a long first password 1", "client_id": "x",
        "scope": "openid"})
    az = AzureClient(own_gateway, r.json()["access_token"])
    asked = [az.post() for _ in range(6)]
    assert [r.status_code for r in asked] == [200] * 6 and b"too many" in said(az, asked[5].json())
    assert az.post(headers={"Caponier-Client": "1"}).status_code == 429
    own_gateway.write_config(denied_sessions_max=1)
    own_gateway.stop()
    own_gateway.start()
    codes = [az.post().status_code for _ in range(7)]
    assert codes == [200] * 6 + [429]  # no more tickets for it than for any other no


def test_the_door_can_be_closed(own_gateway):
    own_gateway.stop()
    own_gateway.write_config(az_clients=False)
    own_gateway.start()
    r = requests.post(f"{own_gateway.url}/api/tokens", data={"x": "y"}, verify=str(own_gateway.ca))
    assert r.status_code == 404


def test_real_ssh_through_the_drivers_shape(az, sshd, ada):
    with listening(az, VM + "web1") as port:
        r = ssh(sshd, port, "echo az; exit 3")
    assert (r.returncode, r.stdout) == (3, "az\n"), r.stderr


def test_a_mass_cut_tells_every_client_why(own_gateway, network):
    """Keeper shuts the machines' sockets too: no client may take that for the machine's own end."""
    own_gateway.stop()
    own_gateway.write_config(fronts=1, sessions_per_user=300)
    own_gateway.start()
    eve = own_gateway.user("eve@example.test")
    role = own_gateway.admin.json("role", "assign", "--assignee", "eve@example.test", "--role", "Reader", "--scope", GROUP_ID)
    az = AzureClient(own_gateway, signed_in(own_gateway, "eve@example.test", eve.password))
    held = []
    with contextlib.closing(network.machines.listen("10.77.1.5", 22)) as listener, contextlib.ExitStack() as stack:
        listener.settimeout(20)
        for _ in range(300):
            az.last_token = None  # a session each
            ws = az.ws(az.tokens())
            s, _ = listener.accept()
            stack.enter_context(s)
            ws.send_binary(b"SSH-2.0-az\r\n")
            held.append(ws)
        own_gateway.admin.ok("role", "remove", "--ids", role["id"])
        codes = []
        for ws in held:
            while (frame := ws.recv_data())[0] != websocket.ABNF.OPCODE_CLOSE:
                assert frame[0] == websocket.ABNF.OPCODE_BINARY  # no in SSH's words
            codes.append(int.from_bytes(frame[1][:2], "big"))
            ws.shutdown()
        assert {c: codes.count(c) for c in codes} == {1008: 300}
