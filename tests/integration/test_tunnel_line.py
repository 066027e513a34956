"""The live line of a tunnel, as a terminal shows it."""
import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
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
    with session(int(m.group(1)), target):
        s.shows("^1 session, 12 B up")
        time.sleep(2)
        assert [n for n in s.text().splitlines() if n.strip()][-1].startswith("1 session, 12 B up")
        assert len(s.last()) <= 23 and s.text().count("1 session") == 1


def drawn(user, target, *args, **env):
    """What is written to a terminal that is stderr while a session runs and ends."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen(user.argv("tunnel", "scripted", *args), env={**user.env, "TERM": "xterm", **env}, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=theirs, text=True, start_new_session=True,
                         preexec_fn=lambda: __import__("fcntl").ioctl(2, 0x540E, 0))  # TIOCSCTTY: its own terminal
    os.close(theirs)
    try:
        port = int(re.search(r"(\d+)( for|\"|\n|,)", p.stdout.readline().split("127.0.0.1:")[-1].split('"port":')[-1]).group(1))
        with session(port, target):
            time.sleep(1)
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait(10)
        p.stdout.close()
    text = b""
    with contextlib.suppress(OSError):
        while select.select([ours], [], [], 0.5)[0] and (more := os.read(ours, 65536)):
            text += more
    os.close(ours)
    return text.decode()


def test_where_there_is_no_line(ada, target):
    assert "\r1 session" in drawn(ada, target)
    assert drawn(ada, target, TERM="dumb") == ""
    assert drawn(ada, target, TERM="") == ""
    assert drawn(ada, target, "-o", "json") == ""
    assert drawn(ada, target, "-o", "tsv") == ""


def test_the_line_is_still_when_nothing_happens(ada, target):
    ours, theirs = pty.openpty()
    p = subprocess.Popen(ada.argv("tunnel", "scripted"), env={**ada.env, "TERM": "xterm"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                         text=True, start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(2, 0x540E, 0))
    os.close(theirs)
    try:
        port = int(re.search(r":(\d+) for", p.stdout.readline()).group(1))
        with session(port, target) as (c, t):
            time.sleep(3)  # drawn, and the rate down to nothing
            os.read(ours, 65536)
            woken = lambda: sum(int(n.split()[1]) for n in open(f"/proc/{p.pid}/status") if "ctxt_switches" in n)
            before = woken()
            assert select.select([ours], [], [], 4)[0] == [] and woken() - before <= 2
            for _ in range(100):  # much happens: a few lines a second, not a hundred
                c.sendall(b"x")
                time.sleep(0.02)
            text = b""
            while select.select([ours], [], [], 0.1)[0]:
                text += os.read(ours, 65536)
            assert 2 <= text.count(b"\r") <= 14 * PATIENCE
    finally:
        p.terminate()
        p.wait(10)
        p.stdout.close()
        os.close(ours)


def test_a_stopped_terminal_does_not_stop_the_tunnel(screen, target):
    s = screen("tunnel", "scripted")
    port = port_of(s)
    s.tmux("send-keys", "C-s")
    for _ in range(3):
        with session(port, target):
            time.sleep(0.5)
    s.tmux("send-keys", "C-q")
    s.shows("^0 sessions, 36 B up")
