"""The relay's costs that have no noise: system calls, bytes a call, instructions. Of the release build's relay code, both
ends in processes of their own (benchmarks/relaybench.c); the gateway is the process that is counted."""
import fcntl
import os
import pathlib
import re
import signal
import subprocess
import termios

import pytest

from lab.gateway import BUILD

pytestmark = pytest.mark.release_only
RELAYBENCH = BUILD / "benchmarks/relaybench"
MOVES = ("recvfrom", "readv", "sendto", "sendmsg")


def counted(tmp_path, direction, mib, *words):
    """How often each system call was made from the moment the gateway was let go."""
    p = subprocess.Popen([str(RELAYBENCH), direction, str(mib), *words, "held"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    gateway = int(re.search(r"gateway (\d+)", p.stderr.readline()).group(1))
    counter = subprocess.Popen(["strace", "-c", "-o", tmp_path / "counts", "-p", str(gateway)], stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in counter.stderr.readline()
        if "raw" in words and mib:
            wait_queued(gateway, mib << 20)
    finally:
        os.kill(gateway, signal.SIGCONT)
    _, err = p.communicate(timeout=120)
    counter.wait(timeout=30)
    assert p.returncode == 0 and "missing" not in err, err
    rows = (tmp_path / "counts").read_text().splitlines()[2:-2]
    return {fields[-1]: int(fields[3]) for fields in map(str.split, rows)}


def wait_queued(pid, n):
    """Until that many bytes lie unread in one of the stopped process's sockets."""
    while True:
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            if os.readlink(fd).startswith("socket:") and unread(pid, int(fd.name)) >= n:
                return


def unread(pid, fd):
    pidfd = os.pidfd_open(pid)
    try:
        ours = pidfd_getfd(pidfd, fd)
    finally:
        os.close(pidfd)
    try:
        return int.from_bytes(fcntl.ioctl(ours, termios.FIONREAD, b"\0" * 4), "little")
    except OSError:
        return 0
    finally:
        os.close(ours)


def pidfd_getfd(pidfd, fd):
    import ctypes
    got = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, fd, 0)
    if got < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return got


@pytest.mark.parametrize("direction", ["down", "up"])
def test_system_calls_a_relayed_mebibyte(tmp_path, direction):
    """Least of three runs: what the other processes do in between is not the gateway's."""
    runs = [sum(counted(tmp_path, direction, 256).values()) / 256 for _ in range(3)]
    print(f"system calls a MiB, {direction}: {runs}")
    assert min(runs) <= 24


def test_bytes_a_call_when_four_mebibytes_wait(tmp_path):
    """Less what the handshake and the end take, which a run without bytes shows. Only down: the other way nothing can
    wait before the handshake, and from then on the gateway reads."""
    waiting, none = (sum(counted(tmp_path, "down", mib, "raw").get(c, 0) for c in MOVES) for mib in (4, 0))
    print(f"bytes a call, down: {(8 << 20) // (waiting - none)} in {waiting} - {none} calls")
    assert (8 << 20) / (waiting - none) >= 200 * 1024


def instructions(tmp_path, direction, mib):
    """Instructions of the gateway's process: {object: count}."""
    for old in tmp_path.glob("cg.*"):
        old.unlink()
    p = subprocess.run(["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={tmp_path}/cg.%p", RELAYBENCH, direction,
                        str(mib)], capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stderr
    gateway = re.search(r"gateway (\d+)", p.stderr).group(1)
    out = {}
    current = None
    names = {}
    for line in (tmp_path / f"cg.{gateway}").read_text().splitlines():
        if line.startswith("ob="):
            number, _, name = line[3:].partition(" ")
            names.setdefault(number, pathlib.Path(name).name)
            current = names[number]
            calls = False
        elif line.startswith("cob="):
            number, _, name = line[4:].partition(" ")
            if name:
                names[number] = pathlib.Path(name).name
        elif line.startswith("calls="):
            calls = True  # the next line is what the call cost in all: it is counted where it is spent
        elif line[:1] in "+-*0123456789" and line and current:
            if calls:
                calls = False
            else:
                out[current] = out.get(current, 0) + int(line.split()[1])
    return out


@pytest.mark.parametrize("direction, most", [("down", 0.03), ("up", 0.10)])
def test_our_own_instructions_beside_the_ciphers(tmp_path, direction, most):
    """Between 8 and 24 MiB, so that start and handshake drop out. Up is dearer by the client's mask, which RFC 6455 wants
    taken off every byte."""
    small, large = (instructions(tmp_path, direction, mib) for mib in (8, 24))
    spent = {name: large[name] - small.get(name, 0) for name in large}
    crypto = sum(n for name, n in spent.items() if name.startswith("libcrypto"))
    share = spent["relaybench"] / crypto
    print(f"our instructions / libcrypto's, {direction}: {share:.4f} ({spent})")
    assert share <= most
