"""A client on a terminal of its own."""
import os
import pty
import subprocess
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
