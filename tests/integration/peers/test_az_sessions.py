"""Live sessions, seen and cut by Debian's azure-cli."""
import json

import pytest

from conftest import BASTION


@pytest.fixture
def session(gateway, ada, network, outside):
    """Ada's connection through the gateway; her end of it."""
    target = network.machines.listen("10.77.1.5", 22)
    with ada.tunnel("scripted", "--resource-port", 22) as t:
        c = outside.connect("127.0.0.1", t.port)
        c.settimeout(20)
        c.sendall(b"SSH-2.0-me\r\n")
        s, _ = target.accept()
        s.sendall(b"SSH-2.0-you\r\n")
        assert c.recv(100) == b"SSH-2.0-you\r\n"
        yield c
        c.close()
        s.close()
    target.close()


def active(az):
    """What the Location of the POST leads to."""
    return az.get(BASTION + "door/getActiveSessions")["value"]


def adas(az):
    return [s for s in active(az) if s["userName"] == "ada@example.test"]


def test_asked_for_as_a_long_running_operation(root, session):
    shown = root.json("resource", "invoke-action", "--action", "getActiveSessions", "--ids", BASTION + "door", "--api-version", "2022-01-01")
    mine, = [s for s in shown["value"] if s["userName"] == "ada@example.test"]
    assert mine["protocol"] == "SSH" and mine["targetIpAddress"] == "10.77.1.5"


def test_az_rest_shows_the_list_at_once(root, session):
    shown = root.rest("post", BASTION + "door/getActiveSessions", check=0).json()["value"]
    assert [s["sessionId"] for s in shown] == [s["sessionId"] for s in active(root)]


def test_cut_as_a_long_running_operation(root, session):
    mine, = adas(root)
    cut = root.json("resource", "invoke-action", "--action", "disconnectActiveSessions", "--ids", BASTION + "door", "--api-version", "2022-01-01",
                    "--request-body", json.dumps({"sessionIds": [mine["sessionId"]]}))
    assert [(c["sessionId"], c["state"]) for c in cut["value"]] == [(mine["sessionId"], "Disconnected")]
    assert adas(root) == []


def test_seen_and_cut(root, session):
    mine, = adas(root)
    assert mine["protocol"] == "SSH" and mine["targetIpAddress"] == "10.77.1.5" and mine["clientAddress"] == "127.0.0.1"
    assert (mine["bytesUp"], mine["bytesDown"]) == (12, 13)
    cut = root.rest("post", BASTION + "door/disconnectActiveSessions", {"sessionIds": [mine["sessionId"]]}, check=0).json()["value"]
    assert [(c["sessionId"], c["state"]) for c in cut] == [(mine["sessionId"], "Disconnected")]
    try:
        assert session.recv(100) == b""
    except ConnectionResetError:
        pass
    assert adas(root) == []


def test_others_sessions_are_not_a_readers_to_cut(ada_cli, root, session):
    mine, = adas(root)
    r = ada_cli.rest("post", BASTION + "door/disconnectActiveSessions", {"sessionIds": [mine["sessionId"]]}, check=1)
    assert "AuthorizationFailed" in r.err and "Traceback" not in r.err, r
    assert [s["sessionId"] for s in adas(root)] == [mine["sessionId"]]
