"""A client on a terminal of its own."""
import fcntl
import os
import pty
import select
import subprocess
import termios
import threading

from .gateway import eventually


def opener(user):
    """What makes the page that `user`'s client opens a file's text, instead of opening it; for the environment."""
    program = user.dir / "opener"
    program.write_text(f'#!/bin/sh\necho "$1" > {user.dir}/opened.part && mv {user.dir}/opened.part {user.dir}/opened\n')
    program.chmod(0o755)
    return {"BROWSER": str(program)}


def opened(terminal):
    """The page that it wanted to open."""
    path = terminal.user.dir / "opened"
    return eventually(lambda: path.exists() and path.read_text().strip(), 30, f"a page is opened: {terminal.err}")


class OnTerminal:
    """`caponier ARGS` of `user` with a terminal as standard input; stdout and stderr are kept apart from it."""

    def __init__(self, user, *args, **env):
        self.user = user
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(user.argv(*args), cwd=user.dir, env={**user.env, **env}, text=True, start_new_session=True,
                                        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(theirs)
        self.lines, self._more = [], threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()

    def said(self, word, timeout=20):
        """The first line of standard error with this word in it."""
        with self._more:
            found = self._more.wait_for(lambda: [n for n in self.lines if word in n] or self.process.poll() is not None, timeout)
            hits = [n for n in self.lines if word in n]
        assert found and hits, f"{word!r} was not said: {self.err}"
        return hits[0]

    @property
    def err(self):
        return "".join(self.lines)

    def end(self, timeout=30):
        """Its exit code."""
        try:
            self.process.wait(timeout=timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.ours)
        self._reader.join(5)
        self.out = self.process.stdout.read()
        self.process.stdout.close()
        return self.process.returncode


class AllOnTerminal:
    """Words with everything of theirs on one terminal, which they belong to: what is typed reaches them, Ctrl-C as a signal."""

    def __init__(self, argv, env):
        self.ours, self.theirs = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen([str(a) for a in argv], env=env, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def _drain(self):
        while select.select([self.ours], [], [], 0)[0]:
            self.text += os.read(self.ours, 65536).decode(errors="replace")
        return self.text

    def shows(self, word):
        eventually(lambda: word in self._drain() or self.process.poll() is not None, 20, f"{word!r} is shown: {self.text!r}")
        assert word in self._drain(), self.text
        return self

    def type(self, text):
        os.write(self.ours, text.encode())
        return self

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def end(self):
        """Its exit status."""
        try:
            eventually(lambda: (self._drain(), self.process.poll())[1] is not None, 30, f"the end: {self.text!r}")
        finally:
            self.process.kill()
            self.process.wait()
        self._drain()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)
