"""The live line of a tunnel, as a terminal shows it."""
import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time

import pytest

from lab.gateway import PATIENCE, eventually
from test_tunnel_background import session

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux")


class Screen:
    """`caponier ARGS` of a user in a terminal of its own."""

    def __init__(self, user, tmp_path, *args, columns=80, **env):
        self.socket = str(tmp_path / "tmux")
        command = subprocess.list2cmdline(map(str, user.argv(*args)))
        words = " ".join(f"{k}='{v}'" for k, v in {**user.env, **env}.items())
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", "20", "sh")
        self.tmux("send-keys", f"clear; env {words} {command}; echo ended with $?", "Enter")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, *args], capture_output=True, text=True, timeout=20, env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "LANG": "C.UTF-8"}).stdout

    def text(self):
        return self.tmux("capture-pane", "-p")

    def last(self):
        """The last line that is not empty."""
        return ([""] + [n for n in self.text().splitlines() if n.strip()])[-1]

    def shows(self, pattern, seconds=10):
        return eventually(lambda: re.search(pattern, self.text(), re.M), seconds, f"{pattern} in\n{self.text()}")

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def screen(ada, tmp_path):
    with contextlib.ExitStack() as stack:
        def start(*args, **kw):
            s = Screen(ada, tmp_path, *args, **kw)
            stack.callback(s.close)
            return s
        yield start


def port_of(s):
    return int(s.shows(r"Listening on 127\.0\.0\.1:(\d+) for").group(1))


def test_the_line_counts_and_goes_away(screen, target):
    s = screen("tunnel", "scripted")
    port = port_of(s)
    assert "session" not in s.text()  # nothing has happened yet
    with session(port, target) as (c, t):
        s.shows(r"^1 session, 12 B up( \(\d+ B/s\))?, 11 B down")
        c.sendall(b"u" * 2_000_000)
        got = 0
        while got < 2_000_000:
            got += len(t.recv(1 << 20))
        s.shows(r"^1 session, 2\.0 MB up \([\d.]+ [kM]?B/s\), 11 B down")
        s.shows(r"^1 session, 2\.0 MB up, 11 B down$")  # the rate has come down to nothing
    s.shows(r"^0 sessions, 2\.0 MB up, 11 B down$")
    assert len([n for n in s.text().splitlines() if "session" in n]) == 1  # one line, drawn over itself
    s.tmux("send-keys", "C-c")
    s.shows("^ended with 0")
    assert not re.search(r"\d sessions", s.text()), s.text()


def test_a_message_erases_the_line_first(screen, admin, target):
    s = screen("tunnel", "scripted", columns=100)
    port = port_of(s)
    with session(port, target):
        s.shows("^1 session,")
        admin.ok("session", "disconnect", "--user", "ada@example.test")
        s.shows(r"^caponier: scripted, port 22: session ended: an administrator ended the session, by root@example.test$")
        s.shows(r"^0 sessions, ")
    lines = [n for n in s.text().splitlines() if n.strip()]
    assert lines[-1].startswith("0 sessions") and lines[-2].startswith("caponier: scripted")
    assert len([n for n in lines if re.match(r"\d sessions?,", n)]) == 1


def test_a_narrow_terminal_is_never_wrapped(screen, target):
    s = screen("tunnel", "scripted", "-o", "table", columns=24)
    m = eventually(lambda: re.search(r"127\.0\.0\.1:(\d+)", s.text().replace("\n", "")), 10)
    with session(int(m.group(1)), target) as (c, t):
        for n in range(12, 15):
            s.shows(f"^1 session, {n} B up")
            c.sendall(b"x")
            assert t.recv(1) == b"x"
        s.shows("^1 session, 15 B up")
        assert [n for n in s.text().splitlines() if n.strip()][-1].startswith("1 session, 15 B up")
        assert len(s.last()) <= 23 and s.text().count("1 session") == 1


class Terminal:
    """`caponier tunnel scripted ARGS` whose standard error is a terminal of its own."""

    def __init__(self, user, *args, **env):
        self.ours, theirs = pty.openpty()
        self.text = b""
        self.process = subprocess.Popen(
            user.argv("tunnel", "scripted", *args), env={**user.env, "TERM": "xterm", **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=theirs, text=True, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(2, termios.TIOCSCTTY, 0))
        os.close(theirs)
        said = self.process.stdout.readline().split("127.0.0.1:")[-1].split('"port":')[-1]
        self.port = int(re.search(r"(\d+)( for|\"|\n|,)", said).group(1))

    def more(self, seconds):
        """Whether something came; at its end the terminal is broken."""
        with contextlib.suppress(OSError):
            if select.select([self.ours], [], [], seconds)[0] and (more := os.read(self.ours, 65536)):
                self.text += more
                return True
        return False

    def until(self, words):
        while words not in self.text:
            assert self.more(20 * PATIENCE), self.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10 * PATIENCE)
        self.process.stdout.close()
        while self.more(0.5):
            pass
        os.close(self.ours)


def drawn(user, target, *args, **env):
    """What is written to a terminal while a session runs and ends, in the time in which another tunnel's line is drawn."""
    with Terminal(user, *args, **env) as t, Terminal(user) as other:
        with session(t.port, target), session(other.port, target):
            other.until(b"\r1 session")
    return t.text.decode()


def chatter(c, t, seconds):
    """A byte there and back without pause; the longest that one took."""
    worst, end = 0, time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        c.sendall(b"x")
        assert t.recv(1) == b"x"
        worst = max(worst, time.monotonic() - began)
    return worst


def test_where_there_is_no_line(ada, target):
    with Terminal(ada) as t, session(t.port, target):
        t.until(b"\r1 session")
    assert drawn(ada, target, TERM="dumb") == ""
    assert drawn(ada, target, TERM="") == ""
    assert drawn(ada, target, "-o", "json") == ""
    assert drawn(ada, target, "-o", "tsv") == ""


def test_the_line_is_still_when_nothing_happens(ada, target):
    with Terminal(ada) as line, session(line.port, target) as (c, t):
        line.until(b"12 B up, 11 B down")  # drawn, and the rate down to nothing
        while line.more(1):
            pass
        woken = lambda: sum(int(n.split()[1]) for n in open(f"/proc/{line.process.pid}/status") if "ctxt_switches" in n)  # noqa: E731
        before = woken()
        assert not line.more(4) and woken() - before <= 2
        line.text = b""
        chatter(c, t, 2)  # much happens: a few lines a second, not a hundred
        while line.more(0.1):
            pass
        assert 2 <= line.text.count(b"\r") <= 14 * PATIENCE


def test_a_stopped_terminal_does_not_stop_the_tunnel(screen, target):
    s = screen("tunnel", "scripted")
    port = port_of(s)
    s.tmux("send-keys", "C-s")
    for _ in range(3):
        with session(port, target) as (c, t):
            assert chatter(c, t, 0.5) < 0.5 * PATIENCE
    s.tmux("send-keys", "C-q")
    s.shows(r"^0 sessions, [\d.]+ k?B up")
