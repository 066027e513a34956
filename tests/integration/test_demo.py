"""./demo as a stranger types it: the tour is whole, quick the second time, and nothing is left behind, however it ends."""
import json
import os
import pathlib
import subprocess

import pytest

from lab import traces

CLONE = pathlib.Path(__file__).parents[2].resolve()
LAST = "That was all"
MIDDLE = "3. Ada, outside, signs in"
KEPT = "Ctrl-C ends it and leaves nothing behind."

pytestmark = pytest.mark.release_only  # it builds and runs the release build, whatever build is under test


def demo(*args, term_after=None):
    report, ours = os.pipe()
    env = {k: v for k, v in os.environ.items() if not k.startswith("CPN_")}
    try:
        r = subprocess.run(["unshare", "-m", "--propagation", "private", "/usr/bin/python3", "-B", traces.__file__, str(ours),
                            *(["--term-after", term_after] if term_after else []), "./demo", *args], cwd=CLONE, env=env,
                           pass_fds=[ours], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        os.close(ours)
        with open(report, closefd=False) as f:
            text = f.read()
    finally:
        os.close(report)
    assert r.returncode == 0, r.stdout
    got = json.loads(text)
    assert (got["processes"], got["namespaces"], got["files"]) == ([], [], []), got["said"]
    return got


def test_twice_and_the_second_within_ten_seconds():
    """Once nothing is to be installed or built; the least of three counts. Alone it must be ten seconds; where ./test runs
    four tests at once on two cores, thirty."""
    bound = 30 if "PYTEST_XDIST_WORKER" in os.environ else 10
    quickest = 60
    for run in range(4):
        got = demo()
        assert got["status"] == 0 and LAST in got["said"], got["said"]
        assert got["made"] >= 3, "it stands on loopback: nothing private was shown"
        quickest = min(quickest, got["seconds"]) if run else quickest
        if quickest <= bound:
            break
    print(f"the second run: {quickest:.1f} s")
    assert quickest <= bound


def test_sigterm_in_the_middle():
    got = demo(term_after=MIDDLE)
    assert got["status"] == 143 and MIDDLE in got["said"] and LAST not in got["said"], got["said"]


def test_sigterm_while_it_is_kept():
    got = demo("--keep", term_after=KEPT)
    assert got["status"] == 0 and LAST in got["said"] and KEPT in got["said"], got["said"]
