"""A program that speaks SSH's first line through `caponier connect`, to the machine `scripted` that the test plays."""
import contextlib
import subprocess


@contextlib.contextmanager
def greeting(user, target, *args, env={}):
    """A line each way; the session lives while the block runs. Yields a list that has the client's stderr after it."""
    said = []
    p = subprocess.Popen(user.argv("connect", "scripted", *args), env={**user.env, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    try:
        p.stdin.write(b"SSH-2.0-me\r\n")
        p.stdin.flush()
        s, _ = target.accept()
        with s:
            assert s.recv(100) == b"SSH-2.0-me\r\n"
            s.sendall(b"SSH-2.0-t\r\n")
            assert p.stdout.read(11) == b"SSH-2.0-t\r\n"
            yield said
    finally:
        p.kill()
        said.append(p.communicate()[1])
