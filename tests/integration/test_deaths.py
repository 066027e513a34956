"""The death table: what dies, and what goes on."""
import concurrent.futures
import contextlib
import os
import signal
import socket
import ssl
import statistics
import time

import pytest
import requests

from lab.gateway import ADMIN, ADMIN_PASSWORD, PATIENCE, Gateway, eventually
from test_azure_door import AzureClient
from test_seed_steps import read_all
from test_sessions import audit, front_pid, live


def echo(c, s):
    s.sendall(b"down")
    assert c.recv(10) == b"down"
    c.sendall(b"up")
    assert s.recv(10) == b"up"


def handshake(gateway, timeout=10):
    context = ssl.create_default_context(cafile=str(gateway.ca))
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.port), timeout), server_hostname="localhost")
    s.close()


def test_front_killed(own_gateway, target):
    admin = own_gateway.admin
    with contextlib.ExitStack() as stack:
        pairs, rows = [], []
        while len(pairs) < 8 or len({x["front"] for x in rows}) < 2:  # each front carries some
            assert len(pairs) < 40
            pairs.append(stack.enter_context(live(stack.enter_context(admin.tunnel("--name", "door", "scripted")), target)))
            rows = admin.json("session", "list")["value"]
        dead = {x["sessionId"] for x in rows if x["front"] == rows[0]["front"]}
        victim = front_pid(own_gateway, rows[0])
        os.kill(victim, signal.SIGKILL)
        survivors = 0
        for c, s in pairs:
            with contextlib.suppress(OSError, AssertionError):
                echo(c, s)
                survivors += 1
        assert survivors == len(rows) - len(dead)  # no session of another front felt it
        eventually(lambda: len(own_gateway.pids("front")) == 2 and victim not in own_gateway.pids("front"), what="a new front")
        ends = eventually(lambda: (lambda r: r if len(r) >= len(dead) else None)(audit(admin, reason="front_died")), what="end records")
        assert {r["tunnelId"] for r in ends} == dead and len(ends) == len(dead)
        assert all(r["bytesUp"] > 0 for r in ends)  # the tally's bytes outlived the process


@pytest.mark.release_only
def test_new_connection_after_a_fronts_death_median_of_twenty(network, tmp_path):
    """Four gateways of one front, five deaths each: keeper restarts that many at once in ten seconds."""
    times = []
    for n in range(4):
        g = Gateway(network, tmp_path / f"g{n}", fronts=1).start()
        for _ in range(5):
            victim = eventually(lambda: g.pids("front"), what="a front")[0]
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            handshake(g)  # queued in the listener until a new front serves it: not lost
            times.append(time.monotonic() - killed)
        g.close()
    print("median of 20: %.0f ms" % (statistics.median(times) * 1000))
    assert len(times) == 20 and statistics.median(times) < 0.2


def test_control_killed(own_gateway, target):
    admin = own_gateway.admin
    with admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        before = own_gateway.pids("control")
        os.kill(before[0], signal.SIGKILL)
        killed = time.monotonic()
        echo(c, s)  # the relay goes on
        eventually(lambda: admin.run("session", "list").code == 0, what="the API is back")
        back = time.monotonic() - killed
        print("API back after %.0f ms" % (back * 1000))
        assert back <= 1 * PATIENCE
        echo(c, s)
        assert own_gateway.pids("control") != before
        rows = admin.json("session", "list")["value"]
        assert len(rows) == 1  # still known after control's restart
        admin.ok("session", "disconnect", "--id", rows[0]["sessionId"])
        assert read_all(s) == b""

        def again():
            with contextlib.suppress(OSError, AssertionError), live(t, target):
                return True
        target.settimeout(2)
        assert eventually(again, what="the running tunnel takes new connections again")
    assert admin.ok("audit", "verify")


@pytest.mark.parametrize("carriers", [1, 3])
def test_a_new_connection_beside_old_ones_after_controls_death(own_gateway, target, carriers):
    """Carriers that control no longer knows stay for the old ones; the new one gets another, at once."""
    admin = own_gateway.admin
    with contextlib.ExitStack() as stack:
        t = stack.enter_context(admin.tunnel("--name", "door", "scripted", "--carriers", carriers))
        c, s = [stack.enter_context(live(t, target)) for _ in range(carriers)][0]
        os.kill(own_gateway.pids("control")[0], signal.SIGKILL)
        eventually(lambda: admin.run("session", "list").code == 0, what="the API is back")
        with live(t, target) as pair:  # the first of them, with what it said at once
            echo(*pair)
        echo(c, s)


@contextlib.contextmanager
def without_control(gateway):
    """Control is dead, and keeper held so that no new one comes meanwhile."""
    keeper = gateway.process.pid
    control, = gateway.pids("control")
    fronts, told = len(gateway.pids("front")), gateway.log_text().count("control.away")
    os.kill(keeper, signal.SIGSTOP)
    try:
        os.kill(control, signal.SIGKILL)
        eventually(lambda: gateway.log_text().count("control.away") == told + fronts, what="its fronts know")
        yield
    finally:
        os.kill(keeper, signal.SIGCONT)


def az_client(gateway):
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), timeout=20, data={
        "grant_type": "password", "username": ADMIN, "password": ADMIN_PASSWORD, "client_id": "x", "scope": "openid"})
    return AzureClient(gateway, r.json()["access_token"])


def test_requests_wait_for_the_next_control(own_gateway, target):
    """The Azure CLI prints nothing of a token request that fails, and its user's ssh waits for ever."""
    az = az_client(own_gateway)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        with without_control(own_gateway):
            token, = waiting = [pool.submit(az.tokens)]
            waiting.append(pool.submit(requests.get, f"{own_gateway.url}/v1/version", verify=str(own_gateway.ca), timeout=20))
            waiting.append(pool.submit(own_gateway.admin.run, "session", "list"))
            assert not concurrent.futures.wait(waiting, 0.5 * PATIENCE, concurrent.futures.FIRST_COMPLETED).done
        ws = az.ws(token.result())
        c, _ = target.accept()
        ws.send_binary(b"SSH-2.0-az\r\n")
        assert c.recv(100) == b"SSH-2.0-az\r\n"
        assert waiting[1].result().status_code == 200 and waiting[2].result().code == 0
    ws.close()
    c.close()


def test_requests_do_not_wait_for_ever(own_gateway):
    az = az_client(own_gateway)
    with without_control(own_gateway):
        began = time.monotonic()
        r = az.post()
        assert r.status_code == 503 and "control" in r.json()["message"] and r.headers["Retry-After"]
        assert 4 < time.monotonic() - began < 10 * PATIENCE
    assert eventually(lambda: az.post().status_code == 200, what="it is back")


def test_keeper_killed(own_gateway, target):
    admin = own_gateway.admin
    with admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        others = own_gateway.pids("front") + own_gateway.pids("control")
        own_gateway.process.kill()
        own_gateway.process.wait()
        eventually(lambda: not [p for p in others if os.path.exists(f"/proc/{p}") and
                                open(f"/proc/{p}/stat").read().split(") ")[1][0] != "Z"], what="everything ended")
        try:
            read_all(s)
        except ConnectionError:
            pass
        own_gateway.start()
    assert admin.ok("audit", "verify")
    ends = eventually(lambda: [r for r in audit(admin) if r.get("reason") == "keeper_died"], what="the missing end record")
    assert len(ends) == 1
