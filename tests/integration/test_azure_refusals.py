"""What is known only at the upgrade is told where the user's program hears it: in SSH's words or RDP's. Azure's clients print
nothing of an HTTP refusal there, and the program behind them hangs."""
import socket
import ssl

import pytest
import requests
import websocket

from conftest import GROUP_ID, VM, inventory, started
from lab.gateway import ADMIN, ADMIN_PASSWORD
from lab.ssh import ssh
from test_azure_door import AzureClient, listening, opened

CLOSED = 2299  # nothing listens there
RDP_REQUEST = bytes.fromhex("030000130ee00000000000" "0100080003000000")


@pytest.fixture(scope="module")
def gate(network, folder):
    g = started(network, folder / "azure-refusals", fronts=1, dial_timeout="1s", streams_per_session=1, denied_sessions_max=2)
    inv = inventory()
    inv["networks"][0]["prefixes"].append("10.77.0.0/28")  # the gateway's own address among them
    g.apply(inv)
    yield g
    g.close()


@pytest.fixture
def az(gate):
    r = requests.post(f"{gate.url}/adfs/oauth2/token", verify=str(gate.ca), timeout=20, data={
        "grant_type": "password", "username": ADMIN, "password": ADMIN_PASSWORD, "client_id": "x", "scope": "openid"})
    return AzureClient(gate, r.json()["access_token"])


def said(ws, hello):
    """What the gateway says to these first bytes, and the code of its Close."""
    ws.send_binary(hello)
    words = b""
    while True:
        opcode, frame = ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            ws.close()
            return words, int.from_bytes(frame[:2], "big")
        words += frame


def own_address(az):
    return az.tokens(f"{GROUP_ID}/providers/Microsoft.Network/bh-hostConnect/10.77.0.1", 22, hostname="10.77.0.1")


def nobody(az):
    return az.tokens(f"{GROUP_ID}/providers/Microsoft.Network/bh-hostConnect/10.77.1.99", 22, hostname="10.77.1.99")


CASES = {"refused": (lambda az: az.tokens(VM + "scripted", CLOSED), b"the machine refused the connection", 502),
         "fenced": (own_address, b"the address is one that the gateway never dials", 403),
         "no answer": (nobody, b"the machine ", 504)}


@pytest.mark.parametrize("case", CASES)
def test_a_dial_that_fails_is_told_in_ssh(az, case):
    tokens, sentence, _ = CASES[case]
    words, code = said(az.ws(tokens(az)), b"SSH-2.0-OpenSSH_9.2\r\n")
    assert words.startswith(b"SSH-2.0-") and sentence in words and code == 1008


def test_a_dial_that_fails_is_told_in_rdp(network, az):
    words, code = said(az.ws(az.tokens(VM + "scripted", 3389)), RDP_REQUEST)
    assert words[:2] == b"\x03\x00" and words[5] & 0xf0 == 0xd0 and words[11] == 3 and code == 1008


@pytest.mark.parametrize("case", CASES)
def test_our_own_client_is_told_in_http(az, case):
    tokens, sentence, status = CASES[case]
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        az.ws(tokens(az), headers={"Caponier-Client": "1"})
    assert e.value.status_code in {status, 502 if status == 504 else status}


def test_one_connection_too_many(network, az):
    with network.machines.listen("10.77.1.5", 22) as target:
        target.settimeout(20)
        ws, s = opened(az, target)
        words, code = said(az.ws(az.tokens()), b"SSH-2.0-OpenSSH_9.2\r\n")
        assert b"this session has reached its limit of connections" in words and code == 1008
        ws.close()
        s.close()


def test_above_the_bound_it_is_http(az):
    waiting = [az.ws(az.tokens(VM + "scripted", CLOSED)) for _ in range(2)]  # they say nothing, and are waited for
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        az.ws(az.tokens(VM + "scripted", CLOSED))
    assert e.value.status_code == 502
    for ws in waiting:
        ws.close()


def test_a_ticket_that_is_not_good_is_http(az):
    t = az.tokens(VM + "scripted", CLOSED)
    said(az.ws(t), b"SSH-2.0-OpenSSH_9.2\r\n")
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        az.ws(t)
    assert e.value.status_code == 403


def test_ssh_prints_it_and_ends(sshd, az):
    with listening(az, VM + "scripted", CLOSED) as port:
        r = ssh(sshd, port, "true", timeout=20)
    assert r.returncode == 255 and "the machine refused the connection" in r.stderr, r


def test_bytes_before_the_101_are_no_upgrade(gate, az):
    """A client that does not wait for the answer: what it sends beside its request is never taken for the program's bytes."""
    t = az.tokens(VM + "scripted", CLOSED)
    context = ssl.create_default_context(cafile=az.ca)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", gate.port), 20), server_hostname="localhost") as s:
        s.sendall((f"GET /webtunnelv2/{t['websocketToken']} HTTP/1.1\r\nUpgrade: websocket\r\nHost: localhost:{gate.port}\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n\r\n").encode()
                  + b"\x82\x85\0\0\0\0SSH-2")
        assert s.recv(4096).split(b" ")[1] == b"400"
