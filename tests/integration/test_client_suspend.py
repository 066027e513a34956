"""The client's machine sleeps, and what led to the gateway is gone when it wakes."""
import contextlib
import signal
import subprocess
import time

import pytest

from conftest import inventory
from lab import net
from lab.clock import MINUTE, WallClock
from lab.gateway import PATIENCE, Gateway, eventually
from lab.roaming import Roaming
from lab.ssh import ssh_argv

pytestmark = pytest.mark.skipif(not net.ROOT, reason="the lab's guest account needs root")
PING_MISSED_S = 60  # after so long a carrier whose pings are not answered is given up (net/carrier.c)


@pytest.fixture(scope="module")
def clock(folder):
    return WallClock(folder / "suspend-clock")


@pytest.fixture(scope="module")
def far(network, folder, clock):
    """A gateway whose users are in a namespace of their own and have its time: it does not sleep, they do."""
    outside = net.Namespace()
    g = None
    try:
        g = Gateway(network, folder / "suspend", outside=outside, under=clock.under).start()
        g.enrol()
        g.apply(inventory())
        g.admin.env = {**g.admin.env, **clock.env}
        yield g
    finally:
        if g:
            g.close()
        outside.close()


@pytest.fixture
def roaming(far, tmp_path):
    r = Roaming(far, tmp_path)
    r.tunnel("web1")
    yield r
    r.close()


def sessions(far):
    return far.admin.json("session", "list")["value"]


@contextlib.contextmanager
def asleep(roaming, clock, seconds):
    """The tunnel's process and its cable are dead for a moment, and then it is so much later."""
    roaming.process.send_signal(signal.SIGSTOP)
    roaming.link("down")
    yield
    clock.sleep(seconds)
    roaming.link("up")
    roaming.process.send_signal(signal.SIGCONT)


def ssh(roaming, sshd, *command):
    return subprocess.run(roaming.here.argv(*ssh_argv(sshd, roaming.port, *command)), capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def shell(roaming, sshd):
    """One that answers a line with a line."""
    argv = roaming.here.argv(*ssh_argv(sshd, roaming.port, "exec cat"))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        try:
            says(p, "awake")
            yield p
        finally:
            p.kill()


def says(p, line):
    p.stdin.write(line + "\n")
    p.stdin.flush()
    assert p.stdout.readline() == line + "\n"


def test_the_listener_outlives_the_sleep_of_the_machine(roaming, far, sshd, clock):
    """The gateway has given the carrier up meanwhile and no packet of it comes through any more. The next ssh takes a new one at once: it
    neither fails nor waits for the pings of the old one to be missed."""
    with shell(roaming, sshd):
        assert len(sessions(far)) == 1
        with asleep(roaming, clock, 5 * MINUTE):
            roaming.forget()
            roaming.front.cut()
            eventually(lambda: not sessions(far), what="the gateway has ended the session")
        start = time.monotonic()
        r = ssh(roaming, sshd, "echo through; exit 3")
        assert (r.returncode, r.stdout) == (3, "through\n"), r
        assert time.monotonic() - start < 10 * PATIENCE < PING_MISSED_S
        assert roaming.process.poll() is None


def test_after_a_nap_the_carrier_is_as_good_as_before(roaming, far, sshd, clock):
    """The gateway still waits for who sleeps shorter than a ping takes to be missed: nothing ends, and nothing is made anew."""
    with shell(roaming, sshd) as old:
        made = roaming.front.made
        with asleep(roaming, clock, 20):
            pass
        says(old, "still here")
        assert ssh(roaming, sshd, "echo through").stdout == "through\n"
        assert roaming.front.made == made
