"""relay_memory, driven to n and to one more by clients that do not read: what their machines send stays at the gateway."""
import contextlib
import json
import re
import time

import pytest

from conftest import started
from lab.gateway import ADMIN, ADMIN_PASSWORD, PATIENCE, eventually
from test_azure_door import AzureClient, opened
from test_hostile_http import honest, raw
from test_limits import signed_in
from test_sessions import live, one_too_many

pytestmark = pytest.mark.release_only  # forty seconds of filling up
MEMORY = 16 << 20  # the least that can be set
SMALL, LARGE = 67584, 299008  # CPN_BLOCK_…: what a request is read into, and the most that a client who reads nothing holds


@pytest.fixture
def gate(network, tmp_path):
    g = started(network, tmp_path / "memory", fronts=1, relay_memory="16MiB", stall_timeout="10m")
    yield g
    g.close()


def used(gate):
    return int(re.search(r'caponier_front_relay_memory_bytes\{front="\d+"} (\d+)', gate.admin_get("/metrics")[1])[1])


def deaf(az, target):
    az.last_token = None
    ws, s = opened(az, target)
    s.setblocking(False)
    return ws, s


def settled(gate, held):
    """What relay_memory has in use when everybody has sent what the gateway takes; fronts say it once a second."""
    seen, since = None, 0

    def quiet():
        nonlocal seen, since
        for _, s in held:
            with contextlib.suppress(BlockingIOError):
                while True:
                    s.send(b"f" * (1 << 20))
        now = used(gate)
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 1.5
    eventually(quiet, 30, "relay_memory has settled")
    return seen


def refused(gate, tokens):
    """The sentence with which an upgrade at the Azure door is answered 503."""
    status, got = raw(gate, (f"GET /webtunnelv2/{tokens['websocketToken']}?X-Node-Id={tokens['nodeId']} HTTP/1.1\r\n"
                             f"Host: localhost:{gate.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
    assert status == 503, got
    return json.loads(got.split(b"\r\n\r\n", 1)[1])["message"]


def test_relay_memory_at_n_and_one_more(gate, target):
    """As long as there is a block left to read the request into, one more is served. At the bound it is refused by name at
    both doors, and whoever is connected goes on. When one leaves there is room again."""
    az = AzureClient(gate, signed_in(gate, ADMIN, ADMIN_PASSWORD)["access_token"])
    with gate.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, far):
        held, now = [], 0
        while now + SMALL < MEMORY:
            assert "relay_memory.full" not in gate.log_text()
            held += [deaf(az, target) for _ in range(max((MEMORY - now) // LARGE, 1))]
            now = settled(gate, held)
        assert now < MEMORY + LARGE

        az.last_token = None
        assert refused(gate, az.tokens()) == "the gateway is at one of its limits; try again shortly"
        one_too_many(t, "at one of its limits")
        assert re.search(r"level=warn .*event=relay_memory\.full", gate.log_text())
        c.sendall(b"still here")
        assert far.recv(100) == b"still here"
        far.sendall(b"so am I")
        assert c.recv(100) == b"so am I"
        assert honest(gate)
        assert settled(gate, held) == now  # nobody who was refused took any

        while now + SMALL + LARGE >= MEMORY:  # a carrier that has something to say holds a large one for that moment
            ws, s = held.pop(0)
            ws.shutdown()
            s.close()
            now = settled(gate, held)
        with live(t, target):
            pass
    for ws, s in held:
        ws.shutdown()
        s.close()
