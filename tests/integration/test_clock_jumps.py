"""The wall clock jumps while everything runs. What has a deadline keeps it by the monotonic clock; only what is a point
in time (tokens, certificates, records) goes with the wall clock."""
import datetime
import os
import select
import signal
import ssl
import threading
import time

import pytest
import requests

from conftest import GROUP_ID, started
from lab.clock import DAY, HOUR, MINUTE, WallClock
from lab.gateway import ADMIN, ADMIN_PASSWORD, eventually, every_record
from test_azure_door import AzureClient, opened
from test_deaths import echo
from test_seed_steps import read_all
from test_sessions import live

HALF_HOUR = HOUR // 2  # far enough for every window, and a token still counts
JUMPS = (HOUR, DAY, -HOUR, -DAY, 0)


@pytest.fixture(scope="module")
def clock(folder):
    return WallClock(folder / "clock")


@pytest.fixture(scope="module")
def gate(network, folder, clock):
    g = started(network, folder / "clocks", under=clock.under, fronts=1, penalty_threshold="10m", refresh_token_ttl="2d")
    yield g
    clock.set(0)
    g.close()


@pytest.fixture(autouse=True)
def the_true_time(clock):
    yield
    clock.set(0)


def moved(gate, clock, seconds):
    """Set the clock; wait until control has noticed, where it is far enough to be said."""
    far = abs(seconds - clock.shift) > 5 * MINUTE
    seen = gate.log_text().count("clock.jumped")
    clock.set(seconds)
    if far:
        eventually(lambda: gate.log_text().count("clock.jumped") > seen, what="the jump is logged")


def signed_in(gate, **form):
    r = requests.post(f"{gate.url}/adfs/oauth2/token", verify=str(gate.ca), timeout=20, data={
        "grant_type": "password", "username": ADMIN, "password": ADMIN_PASSWORD, "client_id": "x", "scope": "openid offline_access",
        **form})
    return r


def reader(gate, name):
    """A user with Reader on the lab."""
    user = gate.user(name)
    gate.admin.ok("role", "assign", "--assignee", name, "--role", "Reader", "--scope", GROUP_ID)
    return user


def asks(gate, token):
    """(status, reason) of a call with this token."""
    r = requests.get(f"{gate.url}/v1/sessions", headers={"Authorization": "Bearer " + token}, verify=str(gate.ca), timeout=20)
    return r.status_code, None if r.ok else r.json()["error"]["code"]


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# ---- what runs goes on ----

def test_live_sessions_run_over_every_jump(gate, clock, target):
    """Through both doors: bytes, counts, the list. Nothing ends, nothing is doubled, and a cut cuts."""
    admin = gate.admin
    began = time.monotonic()
    az = AzureClient(gate, signed_in(gate).json()["access_token"])
    with admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        ws, far = opened(az, target)
        rows = {x["sessionId"]: x["startTime"] for x in admin.json("session", "list")["value"]}
        assert len(rows) == 2
        for jump in JUMPS:
            moved(gate, clock, jump)
            echo(c, s)
            far.sendall(b"down")
            assert ws.recv() == b"down"
            ws.send_binary(b"up")
            assert far.recv(10) == b"up"
        assert {x["sessionId"]: x["startTime"] for x in admin.json("session", "list")["value"]} == rows
        moved(gate, clock, HOUR // 2)
        ended = clock.now()
        admin.ok("session", "disconnect", "--user", ADMIN)
        assert read_all(s) == b"" and read_all(far) == b""
        ws.shutdown()
        far.close()
    ends = eventually(lambda: [r for r in every_record(admin) if r.get("operationName") == "session.end" and r["tunnelId"] in rows][:2],
                      what="the end records")
    for r in ends:
        assert r["reason"] == "cut_admin" and r["cutMilliseconds"] < 1000
        assert when(r["sessionStartTime"]) == pytest.approx(when(rows[r["tunnelId"]]), abs=0.01)
        assert abs(when(r["sessionEndTime"]) - ended) < 10 + time.monotonic() - began  # of the wall clock that the records go by
        assert r["duration"] <= (time.monotonic() - began) * 1000


def test_a_copy_over_jumps(gate, clock, target):
    """Every byte, once, in order, while the clock goes to and fro."""
    block, n = bytes(range(256)) * 4096, 48
    with gate.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        def send():
            for i in range(n):
                if i % 8 == 0:
                    clock.set(JUMPS[i // 8 % len(JUMPS)])
                s.sendall(block)
        th = threading.Thread(target=send)
        th.start()
        left = n
        while left:
            got = b""
            while len(got) < len(block):
                chunk = c.recv(len(block) - len(got))
                assert chunk
                got += chunk
            assert got == block
            left -= 1
        th.join()


# ---- control's death in between ----

@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_session_keeps_its_age_over_controls_death(gate, clock, target, jump):
    admin = gate.admin
    began = time.monotonic()
    with admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        row = admin.json("session", "list")["value"][0]
        moved(gate, clock, jump)
        assert signed_in(gate).status_code == 200  # its record is on the disk, and those before it
        os.kill(gate.pids("control")[0], signal.SIGKILL)
        eventually(lambda: admin.run("session", "list").code == 0, what="the API is back")
        echo(c, s)
        again = admin.json("session", "list")["value"]
        assert [(x["sessionId"], x["startTime"]) for x in again] == [(row["sessionId"], row["startTime"])]
    end = eventually(lambda: [r for r in every_record(admin) if r.get("operationName") == "session.end" and r["tunnelId"] == row["sessionId"]],
                     what="the end record")[0]
    assert 0 < end["duration"] <= (time.monotonic() - began) * 1000


# ---- certificates: the wall clock ----

def test_the_gateways_own_certificate_is_made_anew_in_time(network, folder):
    """Of 90 days; under a gateway that nobody restarts. Neither do its fronts."""
    clock = WallClock(folder / "renewal-clock")
    g = started(network, folder / "renewal", under=clock.under, fronts=1)
    try:
        def shown():
            return ssl.get_server_certificate(("127.0.0.1", g.port))
        first, fronts = shown(), g.pids("front")
        moved(g, clock, 59 * DAY)
        assert shown() == first  # more than 30 days are left
        moved(g, clock, 61 * DAY)
        eventually(lambda: shown() != first, what="another certificate")
        ahead = shown()
        moved(g, clock, 0)
        eventually(lambda: shown() != ahead, what="one that is valid already")
        assert requests.get(f"{g.url}/v1/version", verify=str(g.ca), timeout=20).status_code == 200
        assert g.pids("front") == fronts
    finally:
        clock.set(0)
        g.close()


# ---- tokens: the wall clock ----

def test_a_tokens_end_is_a_point_in_time(gate, clock):
    token = signed_in(gate).json()["access_token"]
    for shift, want in [(HOUR - 10, 200), (HOUR + MINUTE + 1, 401), (0, 200), (DAY, 401), (-HOUR, 200)]:
        clock.set(shift)
        assert asks(gate, token) == (want, None if want == 200 else "token_expired"), shift


def test_a_token_of_the_future(gate, clock):
    """A minute is forgiven; nobody has shown this token before, so nothing is remembered of it."""
    near, far = (signed_in(gate).json()["access_token"] for _ in range(2))
    clock.set(-HOUR)
    assert asks(gate, far) == (401, "token_invalid")
    clock.set(-MINUTE + 20)
    assert asks(gate, near)[0] == 200


# ---- tickets: the monotonic clock ----

@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_ticket_is_good_for_seconds_that_pass(gate, clock, target, jump):
    az = AzureClient(gate, signed_in(gate).json()["access_token"])
    t = az.tokens()
    moved(gate, clock, jump)
    ws, s = opened(az, target, t)  # no time has passed
    ws.close()
    s.close()


def test_no_jump_revives_a_ticket(network, tmp_path, clock, target):
    g = started(network, tmp_path / "gateway", under=clock.under, ticket_ttl="1s")
    try:
        az = AzureClient(g, signed_in(g).json()["access_token"])
        used, late = az.tokens(), az.tokens()
        ws, s = opened(az, target, used)
        ws.close()
        s.close()
        select.select([], [], [], 1.2)  # the second that it is good for
        for jump in JUMPS:
            clock.set(jump)
            for t in (used, late):
                with pytest.raises(Exception, match="403|404"):
                    az.ws(t)
    finally:
        clock.set(0)
        g.close()


# ---- rates and penalties: the monotonic clock ----

def test_rates_and_penalties_are_not_fooled(network, tmp_path, clock):
    g = started(network, tmp_path / "gateway", under=clock.under, tickets_per_minute=3, penalty_wrong_secret="1m")
    try:
        az = AzureClient(g, signed_in(g).json()["access_token"])
        ours = {"Caponier-Client": "1"}  # others are told inside a session
        assert [az.post(headers=ours).status_code for _ in range(4)] == [200, 200, 200, 429]
        eventually(lambda: signed_in(g, password="wrong").status_code == 429, 20, "put off")
        for jump in (HALF_HOUR, -DAY):
            clock.set(jump)
            assert az.post(headers=ours).status_code == 429
            assert signed_in(g, password="wrong").status_code == 429
    finally:
        clock.set(0)
        g.close()


def test_a_clock_set_back_prolongs_no_penalty(network, tmp_path, clock):
    g = started(network, tmp_path / "gateway", under=clock.under, penalty_wrong_secret="3s", penalty_threshold="1s")
    try:
        eventually(lambda: signed_in(g, password="wrong").status_code == 429, 20, "put off")
        clock.set(-DAY)
        eventually(lambda: signed_in(g).status_code == 200, 20, "the penalty is over")
    finally:
        clock.set(0)
        g.close()


# ---- the client ----

def test_the_client_renews_when_the_gateways_clock_jumps(gate, clock, target):
    """Its own clock says that the token is good; the gateway's says that it is not. Nobody has to sign in."""
    user = reader(gate, "jumper@example.test")
    with user.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        moved(gate, clock, 2 * HOUR)
        user.ok("vm", "list")
        echo(c, s)
        with live(t, target) as pair:  # the one that finds out
            echo(*pair)
        with live(t, target) as pair:
            echo(*pair)
        echo(c, s)
        assert "expired" not in t.stderr()
    moved(gate, clock, 0)
    user.ok("vm", "list")


def test_a_tunnel_outlives_its_token(gate, clock, target):
    """Both clocks go on for two hours: the next connection through the same tunnel is served like the first."""
    user = reader(gate, "stayer@example.test")
    user.env = {**user.env, **clock.env}
    with user.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        moved(gate, clock, 2 * HOUR)
        with live(t, target) as pair:
            echo(*pair)
        echo(c, s)
        assert "expired" not in t.stderr()


@pytest.mark.parametrize("jump", [DAY, -4 * MINUTE])
def test_the_client_renews_when_its_own_clock_jumps(gate, tmp_path, target, jump):
    own = WallClock(tmp_path / "clock")
    user = reader(gate, f"traveller{abs(jump)}@example.test")
    user.env = {**user.env, **own.env}
    with user.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        for shift in (jump, 0):
            own.set(shift)
            echo(c, s)
            user.ok("vm", "list")
            with live(t, target) as pair:
                echo(*pair)


def test_a_clock_of_yesterday_is_named(gate, tmp_path):
    own = WallClock(tmp_path / "clock")
    user = reader(gate, "yesterday@example.test")
    user.env = {**user.env, **own.env}
    own.set(-DAY)
    assert "not yet valid" in user.run("vm", "list", check=1).err


def test_past_the_refresh_tokens_end_one_signs_in(gate, clock, target):
    user = gate.user("sleeper@example.test")
    moved(gate, clock, 3 * DAY)
    r = user.run("vm", "list")
    assert r.code == 5 and "caponier login" in r.err
    user.login("sleeper@example.test", user.password)
    user.ok("vm", "list")


def refresh(gate, kept):
    return requests.post(f"{gate.url}/adfs/oauth2/token", verify=str(gate.ca), timeout=20,
                         data={"grant_type": "refresh_token", "refresh_token": kept, "client_id": "x"})


def test_a_sign_in_that_is_used_all_the_time_ends_too(gate, clock):
    kept = signed_in(gate).json()["refresh_token"]
    for after in (DAY, 2 * DAY - HOUR):
        moved(gate, clock, after)
        kept = refresh(gate, kept).json()["refresh_token"]
    moved(gate, clock, 2 * DAY + MINUTE)
    assert refresh(gate, kept).json()["error"] == "invalid_grant"


def test_a_used_refresh_token_is_a_copy_after_a_minute(gate, clock):
    first = signed_in(gate).json()["refresh_token"]
    second, third = (refresh(gate, first).json()["refresh_token"] for _ in range(2))
    second = refresh(gate, second).json()["refresh_token"]
    clock.set(MINUTE + 30)
    assert refresh(gate, third).status_code == 200  # never used before: its own minute begins now
    for kept in (first, second, third):
        r = refresh(gate, kept)
        assert r.status_code == 400 and r.json()["error"] == "invalid_grant"


def test_sign_ins_end_whatever_the_clock_says(gate, clock):
    """A new password under a clock of tomorrow: what began before ends, what begins later, by the right clock, goes on."""
    def sign_in(password):
        return signed_in(gate, username="turned@example.test", password=password).json()["refresh_token"]

    def new_password(word):
        gate.admin.ok("user", "password", "turned@example.test", "--password-stdin", input=word + "\n")
        return word

    word = gate.user("turned@example.test").password
    moved(gate, clock, DAY)
    of_tomorrow, word = sign_in(word), new_password("a password of tomorrow 4")
    moved(gate, clock, 0)
    assert refresh(gate, of_tomorrow).status_code == 400
    assert refresh(gate, sign_in(word)).status_code == 200
    moved(gate, clock, DAY)
    of_tomorrow = sign_in(word)
    moved(gate, clock, 0)
    new_password("a password of today 5")
    assert refresh(gate, of_tomorrow).status_code == 400


# ---- the record ----

def test_the_record_is_whole_and_tells_of_the_jumps(gate, clock):
    for jump in (HOUR, -DAY, 0):
        moved(gate, clock, jump)
    clock.set(4 * MINUTE)  # not worth a word

    def logged():  # the last jump of the test before may be among them late
        return [int(x.split("seconds=")[1].split()[0]) for x in gate.log_text().splitlines() if "event=clock.jumped" in x]
    assert len(logged()) >= 3
    eventually(lambda: [r["message"] for r in every_record(gate.admin) if r.get("operationName") == "gateway.clock"] == [
        f"the wall clock jumped {'forward' if s > 0 else 'back'} by {abs(s)} s" for s in logged()], what="a record of each")
    gate.admin.ok("audit", "verify")
