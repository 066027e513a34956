"""What a command leaves behind. Run as: traces.py REPORT [--term-after TEXT] COMMAND..., in a mount namespace of its own.

Files: the usual places outside the clone are empty when it starts, so what is in them afterwards is its own. Processes: orphans of
it are handed to us. Namespaces: those that its processes were in, and that exist yet."""
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/root")
KINDS = ("net", "mnt", "user", "pid")


def empty_places(clone):
    """A tmpfs over each place; a clone that lies in one of them stays where it is."""
    kept = os.open(clone, os.O_PATH | os.O_DIRECTORY)
    for place in PLACES:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", place], check=True)
        if clone.is_relative_to(place):
            clone.mkdir(parents=True)
            subprocess.run(["mount", "-c", "--bind", f"/proc/self/fd/{kept}", clone], pass_fds=[kept], check=True)
    os.close(kept)
    os.chdir(clone)


def files(clone):
    """Everything in the places and the build folder, but the clone itself and what a build writes."""
    out = set()
    for place in (*PLACES, str(clone / "build")):
        for folder, folders, names in os.walk(place):
            folders[:] = [f for f in folders if pathlib.Path(folder, f) != clone]
            if pathlib.Path(folder) == clone / "build":
                folders[:] = [f for f in folders if f.startswith("demo-")]
                names = []
            out |= {os.path.join(folder, n) for n in [*folders, *names] if not clone.is_relative_to(os.path.join(folder, n))}
    return out


def parents():
    out = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(") ", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            out[int(stat.parent.name)] = int(parent)
    return out


def below(pid):
    tree, found = parents(), {pid}
    while more := {p for p, parent in tree.items() if parent in found} - found:
        found |= more
    return found - {pid}


def namespaces(pids):
    out = set()
    for pid in pids:
        for kind in KINDS:
            try:
                out.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
            except OSError:
                pass
    return out


def run(argv, term_after):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    began, seen, said = time.monotonic(), set(), []
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in p.stdout:
        said.append(line)
        seen |= namespaces(below(os.getpid()))
        if term_after and term_after in line:
            p.send_signal(signal.SIGTERM)
            term_after = None
    status = p.wait()
    seconds = time.monotonic() - began
    left = {pid: pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in below(os.getpid())}
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    seen -= namespaces([os.getpid()])
    return {"status": status, "seconds": seconds, "said": "".join(said), "processes": list(left.values()), "made": len(seen),
            "namespaces": sorted(seen & namespaces(parents()))}


def mounts():
    """Of namespaces, too: a name of `ip netns` is one."""
    return {line.split()[4] for line in open("/proc/self/mountinfo")}


def main(report, *argv):
    clone = pathlib.Path.cwd()
    term_after = argv[1] if argv[0] == "--term-after" else None
    empty_places(clone)
    before = files(clone) | mounts()
    got = run(argv[2 if term_after else 0:], term_after)
    got["files"] = sorted((files(clone) | mounts()) - before)
    os.write(int(report), json.dumps(got).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
