"""A wall clock that a test moves under running programs, and time that they slept through; CLOCK_MONOTONIC stays as it is."""
import mmap
import os
import struct
import time

from .gateway import BUILD

MINUTE, HOUR, DAY = 60, 3600, 86400


class WallClock:
    """`env` is what a program must be started with; all that have it see the same time."""

    def __init__(self, path):
        path.write_bytes(bytes(mmap.PAGESIZE))
        path.chmod(0o644)
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.env = {"LD_PRELOAD": str(BUILD / "tests/integration/clockshift.so"), "CPN_CLOCK_SHIFT": str(path)}
        assert os.access(self.env["LD_PRELOAD"], os.R_OK)
        self.shift = 0

    def set(self, seconds):
        """So many seconds from the true time, at once."""
        self.shift = seconds
        self.page[:8] = struct.pack("=q", seconds * 10**9)

    def sleep(self, seconds):
        """After this the machine has been suspended for so long: the wall clock and CLOCK_BOOTTIME have gone on, CLOCK_MONOTONIC has not."""
        self.set(self.shift + seconds)
        (slept,) = struct.unpack("=q", self.page[8:16])
        self.page[8:16] = struct.pack("=q", slept + seconds * 10**9)

    def now(self):
        return time.time() + self.shift

    @property
    def under(self):
        """The words before a program's name that start it with this clock."""
        return ["env", *(f"{k}={v}" for k, v in self.env.items())]
