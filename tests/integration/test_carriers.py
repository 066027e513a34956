"""tunnel --carriers: several connections to the gateway that share the local ones among them."""
import collections
import contextlib

import pytest

from lab import net
from lab.gateway import eventually
from test_tunnel_background import session

STREAMS = 256  # of one carrier


@pytest.mark.parametrize("n", ["0", "65", "-1", "x", ""])
def test_numbers_that_cannot_be(ada, n):
    r = ada.run("tunnel", "scripted", "--carriers", n)
    assert r.code == 2 and "--carriers" in r.err, r


def test_each_carries_as_many_streams(ada, gateway, target):
    with ada.tunnel("scripted", "--carriers", "3") as t, contextlib.ExitStack() as stack:
        ours = lambda: net.connections(t.process.pid, gateway.port)  # noqa: E731
        eventually(lambda: len(ours()) == 3, what="three carriers")
        before = ours()
        for _ in range(6):
            stack.enter_context(session(t.port, target))
        rows = [r for r in gateway.admin.json("session", "list")["value"] if r["clientPort"] in before]
        assert sorted(collections.Counter(r["clientPort"] for r in rows).values()) == [2, 2, 2]
        assert ours() == before


def test_more_than_the_gateway_allows_still_serve(own_gateway, network):
    """carriers_per_user bounds them; those that there are do the work, and it is said once."""
    own_gateway.write_config(carriers_per_user=2)
    own_gateway.stop()
    own_gateway.start()
    with own_gateway.admin.tunnel("scripted", "--carriers", "4") as t, network.machines.listen("10.77.1.5", 22) as s:
        s.settimeout(20)
        eventually(lambda: "carriers" in t.stderr() or "limit" in t.stderr(), what="it is said")
        eventually(lambda: len(net.connections(t.process.pid, own_gateway.port)) == 2, what="the third is over")
        for _ in range(3):  # and is not tried again for each
            with session(t.port, s):
                assert len(net.connections(t.process.pid, own_gateway.port)) == 2
        assert t.stderr().count("\n") == 1, t.stderr()


def test_who_found_no_room_is_served_when_a_stream_ends(own_gateway, network):
    """The only carrier is full and the gateway lets us have no other: whoever waits takes the first place that is free."""
    own_gateway.write_config(carriers_per_user=1, sessions_per_user=1000)
    own_gateway.stop()
    own_gateway.start()
    with own_gateway.admin.tunnel("scripted") as t, network.machines.listen("10.77.1.5", 22) as s, contextlib.ExitStack() as stack:
        s.settimeout(20)
        sessions = [stack.enter_context(session(t.port, s)) for _ in range(STREAMS)]
        with net.dial(t.port) as c:
            c.sendall(b"SSH-2.0-me\r\n")
            eventually(lambda: "carriers" in t.stderr() or "limit" in t.stderr(), what="a second carrier is refused")
            for end in sessions[0]:
                end.close()
            far, _ = s.accept()
            with far:
                far.settimeout(20)
                assert far.recv(100) == b"SSH-2.0-me\r\n"
