"""What signals do to a gateway that people are inside of: SIGTERM waits for them, a second one does not, SIGHUP touches nobody."""
import contextlib
import os
import shlex
import signal
import socket
import ssl
import time

import pytest

from conftest import inventory
from lab.gateway import PATIENCE, Gateway, eventually, every_record
from lab.proxies import make_ca
from test_deaths import echo
from test_seed_steps import read_all
from test_sessions import audit, live

STOPS = "the gateway is shutting down"


@pytest.fixture
def gate(network, tmp_path):
    """Its certificate comes from files, whose CA the clients know; `renew` writes another one of a second CA, which they know, too."""
    gates, files = [], tmp_path / "tls"
    made = [make_ca(tmp_path / name, name) for name in ("first", "second")]
    files.mkdir()
    (files / "ca").write_text("".join(ca.read_text() for ca, _ in made))

    def use(leaf):
        certificate, key = leaf.read_text().split("-----BEGIN PRIVATE KEY", 1)
        (files / "cert").write_text(certificate)
        (files / "key").touch(mode=0o600)
        (files / "key").write_text("-----BEGIN PRIVATE KEY" + key)

    def start(**settings):
        g = Gateway(network, tmp_path / "gateway", tls_cert=str(files / "cert"), tls_key=str(files / "key"), **settings)
        g.ca, g.renew = files / "ca", lambda: use(made[1][1])
        gates.append(g.start())
        g.enrol()
        g.apply(inventory())
        return g
    use(made[0][1])
    yield start
    for g in gates:
        g.close()


def end_of(s):
    """The machine's socket was ended, in order or not."""
    with contextlib.suppress(ConnectionError):
        assert read_all(s) == b""


def says_it_is_not_ready(g):
    def red():
        with contextlib.suppress(OSError, IndexError):  # a front without sessions is on its way out, and may say nothing
            return g.admin_get("/readyz")[0] == 503
    eventually(red, what="it is said not to be ready")


# ---- SIGTERM ----

def test_sigterm_waits_for_those_inside(gate, target):
    g = gate(drain="30s")
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        g.process.send_signal(signal.SIGTERM)
        says_it_is_not_ready(g)
        echo(c, s)
        with socket.create_connection(("127.0.0.1", t.port)) as late:  # nobody new
            late.settimeout(20)
            late.sendall(b"SSH-2.0-late\r\n")
            with contextlib.suppress(ConnectionError):
                read_all(late)
        target.settimeout(0.2)
        with pytest.raises(TimeoutError):
            target.accept()
        echo(c, s)
        assert g.process.poll() is None
        c.close()
        end_of(s)
        s.close()
        left = time.monotonic()
        assert g.process.wait(timeout=20) == 0
        assert time.monotonic() - left < 3 * PATIENCE


def test_sigterm_waits_for_drain_and_no_longer(gate, target):
    g = gate(drain="4s")
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        g.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        says_it_is_not_ready(g)
        echo(c, s)
        end_of(s)
        assert 2.5 < time.monotonic() - told < 4 + 1 * PATIENCE  # the last second is for the goodbye
        assert g.process.wait(timeout=20) == 0
        assert time.monotonic() - told < 4 + 3 * PATIENCE
        eventually(lambda: STOPS in t.stderr(), what="the client is told why")
    g.start()
    assert len(audit(g.admin, operationName="session.end", reason="shutdown")) == 1
    assert g.admin.ok("audit", "verify")


def test_sigterm_while_control_restarts(gate, target):
    """The next control drains in the place of the one that died."""
    g = gate(drain="3s")
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        os.kill(g.pids("control")[0], signal.SIGKILL)
        g.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        echo(c, s)
        says_it_is_not_ready(g)
        echo(c, s)
        end_of(s)
        assert 1.5 < time.monotonic() - told < 3 + 2 * PATIENCE
        assert g.process.wait(timeout=20) == 0
        eventually(lambda: STOPS in t.stderr(), what="the client is told why")
    g.start()
    assert len(audit(g.admin, operationName="session.end", reason="shutdown")) == 1
    assert g.admin.ok("audit", "verify")


def test_control_dies_while_it_drains(gate, target):
    g = gate(drain="30s")
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        control = g.pids("control")
        g.process.send_signal(signal.SIGTERM)
        says_it_is_not_ready(g)
        os.kill(control[0], signal.SIGKILL)
        eventually(lambda: len(lines(g, "gateway.drain")) == 2, what="the next control drains")
        echo(c, s)
        c.close()
        end_of(s)
        s.close()
        assert g.process.wait(timeout=20) == 0
    g.start()
    assert len(audit(g.admin, operationName="session.end", reason="closed")) == 1
    assert g.admin.ok("audit", "verify")


def test_a_second_sigterm_ends_it_at_once(gate, target):
    g = gate(drain="30s")
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        g.process.send_signal(signal.SIGTERM)
        says_it_is_not_ready(g)
        echo(c, s)
        g.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        end_of(s)
        assert g.process.wait(timeout=20) == 0
        assert time.monotonic() - told < 3 * PATIENCE
    g.start()
    assert len(audit(g.admin, operationName="session.end")) == 1
    assert g.admin.ok("audit", "verify")


# ---- SIGHUP ----

def lines(g, event):
    """The log's lines of one event, as dictionaries."""
    split = [dict(w.partition("=")[::2] for w in shlex.split(x)) for x in g.log_text().splitlines() if f"event={event} " in x + " "]
    return split


def hup(g, event="config.reloaded"):
    before = len(lines(g, event))
    g.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(lines(g, event)) > before, what=event)


def test_sighup_logs_the_difference_and_touches_nobody(gate, target):
    g = gate()
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        roles = [g.pids(role) for role in ("front", "control", "keeper")]
        hup(g)
        assert lines(g, "config.changed") == []
        g.write_config(log_level="debug", dial_timeout="7s", tls_min="1.2")
        hup(g)
        said = {x["setting"]: (x["was"], x["now"], x["applied"]) for x in lines(g, "config.changed")}
        assert said == {"log_level": ('"info"', '"debug"', "yes"), "dial_timeout": ("10s", "7s", "yes"), "tls_min": ('"1.3"', '"1.2"', "at restart")}
        g.config.write_text("listen: nowhere\n")
        hup(g, "config.reload_failed")
        g.write_config()
        echo(c, s)
        assert [g.pids(role) for role in ("front", "control", "keeper")] == roles
        with live(t, target):
            pass


def shown_certificate(g):
    context = ssl.create_default_context(cafile=str(g.ca))
    with context.wrap_socket(socket.create_connection(("127.0.0.1", g.port), 10), server_hostname="localhost") as s:
        return s.getpeercert(binary_form=True)


def test_sighup_shows_a_new_certificate_to_those_who_come(gate, target):
    g = gate()
    old = shown_certificate(g)
    with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        g.renew()
        hup(g)
        eventually(lambda: shown_certificate(g) != old, what="the new one is shown")
        new = shown_certificate(g)
        assert all(shown_certificate(g) == new for _ in range(20))  # by each front
        echo(c, s)
        with live(t, target):  # the carrier that is there goes on
            pass
        with g.admin.tunnel("--name", "door", "scripted") as fresh, live(fresh, target):
            pass
        broken = g.config.parent.parent / "tls/cert"
        broken.write_text("-----BEGIN CERTIFICATE-----\nbroken\n")
        hup(g, "config.reload_failed")
        assert shown_certificate(g) == new
    told = [r["message"] for r in every_record(g.admin) if r["operationName"] == "gateway.reload"]
    assert told == ["settings and certificate were read again", "settings were read again; the log says what failed"]
