"""What a session costs the gateway beside the TLS handshakes it needs, at both doors: CPU of all roles, to the nanosecond.

One client, plain sockets and one TLS context, does in turn a handshake alone, a set-up at Caponier's own door (a carrier of its own, a
stream, one echoed byte) and a set-up as the Azure CLI makes it (POST, upgrade, echo, DELETE: three connections). All three are taken
from the same front in the same seconds, so that caches are as warm for one as for the other.

One after the other says what a lonely user costs: every process is woken anew, and every record has a flush of its own. Sixteen at
once (setups.c) say what a set-up costs the gateway that is full, as its goals and the peers' figures do.
"""
import base64
import json
import os
import pathlib
import re
import socket
import ssl
import statistics
import struct
import tempfile
import time
import urllib.parse

from azdoor import MACHINE, client_of
from chains import BUILD, CLIENT_CPU, cpu_seconds
from measures import run
from report import interleaved

TITLE = "set-ups with TLS connections of their own"
TITLE_AT_ONCE = TITLE + ", 16 at once"
AT_ONCE = 16
HANDSHAKE, OWN, AZURE = "handshake alone", "own door", "azure door"
AZURE_HANDSHAKES = 3
SETUPS = BUILD / "benchmarks/setups"
BASTION = MACHINE[:MACHINE.index("/Microsoft.Compute")] + "/Microsoft.Network/bastionHosts/door0"
OPEN, REFUSED, DATA, RESET = 1, 3, 4, 6  # frames of caponier.v1: docs/protocol.md
CREDIT = 65536


def masked(opcode, body):
    """A WebSocket frame of a client whose mask is zero."""
    n = len(body)
    return bytes([0x80 | opcode]) + (bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n)) + bytes(4) + body


class Connection:
    """One TLS connection, read with what lies over from the read before."""

    def __init__(self, port, context):
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 30), server_hostname="localhost")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, piece):
        self.socket.sendall(piece)

    def take(self, n):
        while len(self.left) < n:
            self._more()
        out, self.left = self.left[:n], self.left[n:]
        return out

    def _more(self):
        got = self.socket.recv(16384)
        if not got:
            raise RuntimeError("the gateway closed")
        self.left += got

    def request(self, whole, status):
        self.send(whole)
        while b"\r\n\r\n" not in self.left:
            self._more()
        answer, _, self.left = self.left.partition(b"\r\n\r\n")
        if answer.split()[1] != str(status).encode():
            raise RuntimeError(f"{whole.splitlines()[0]}: {answer} {self.left}")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", answer)
        return self.take(int(length.group(1))) if length else b""

    def frame(self):
        """The payload of the next frame, which is shorter than 64 KiB."""
        n = self.take(2)[1]
        return self.take(struct.unpack(">H", self.take(2))[0] if n == 126 else n)


class Way:
    """One way to spend CPU of the gateway: a row's chain."""

    def __init__(self, name, gateway, once, words):
        self.name, self.once, self.words = name, once, words
        self.pids = {role: gateway.pids(role) for role in ("front", "control", "keeper")}

    def cpu(self):
        return {role: cpu_seconds(pids) for role, pids in self.pids.items()}

    def cells(self, before, n, p50_s):
        spent = {role: (s - before[role]) / n * 1e6 for role, s in self.cpu().items()}
        return {"gateway us": sum(spent.values()), **{f"{role} us": us for role, us in spent.items()}, "p50 us": p50_s * 1e6}


def ways(chain, folder):
    """The three of them; their requests are in files of that folder as well, for setups.c."""
    gateway, token = chain.gw, client_of(chain).token
    context = ssl.create_default_context(cafile=str(gateway.ca))
    host = f"localhost:{gateway.port}"
    want = json.dumps({"bastion": BASTION, "targetResourceId": MACHINE, "port": chain.target}).encode()
    form = urllib.parse.urlencode({"resourceId": MACHINE, "protocol": "tcptunnel", "workloadHostPort": chain.target, "aztoken": token}).encode()

    def upgrade(path, *more):
        return request(f"GET {path} HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                       f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", *more)

    def request(first, *more):
        return "\r\n".join([first, f"Host: {host}", *more, "", ""]).encode()

    carrier = upgrade("/v1/tunnel", "Sec-WebSocket-Protocol: caponier.v1", f"Authorization: Bearer {token}")
    opening = masked(2, struct.pack(">BBHIQH", OPEN, 0, 0, 1, CREDIT, len(want)) + want + b"E")
    post = request("POST /api/tokens HTTP/1.1", "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(form)}") + form

    def handshake():
        Connection(gateway.port, context).socket.close()

    def own():
        with Connection(gateway.port, context) as c:
            c.request(carrier, 101)
            c.send(opening)
            while (frame := c.frame())[0] != DATA:
                if frame[0] in (REFUSED, RESET):
                    raise RuntimeError(frame)

    def azure():
        with Connection(gateway.port, context) as c:
            issued = json.loads(c.request(post, 200))
        with Connection(gateway.port, context) as c:
            c.request(upgrade(f"/webtunnelv2/{issued['websocketToken']}?X-Node-Id={issued['nodeId']}"), 101)
            c.send(masked(2, b"E"))
            if c.frame() != b"E":
                raise RuntimeError("another echo")
            c.send(masked(8, struct.pack(">H", 1000)))
            c.frame()
        with Connection(gateway.port, context) as c:
            c.request(request(f"DELETE /api/tokens/{issued['authToken']} HTTP/1.1"), 204)

    def words(way, seconds, *texts):
        files = [folder / f"{way}{i}" for i in range(len(texts))]
        for file, text in zip(files, texts):
            file.write_bytes(text)
        return [SETUPS, way, gateway.port, gateway.ca, AT_ONCE, seconds, *files]

    return [Way(HANDSHAKE, gateway, handshake, lambda s: words("handshake", s)), Way(OWN, gateway, own, lambda s: words("own", s, carrier, opening)),
            Way(AZURE, gateway, azure, lambda s: words("azure", s, post, host.encode()))]


def one_by_one(n):
    def measure(way):
        times, before = [], way.cpu()
        for _ in range(n):
            began = time.monotonic()
            way.once()
            times.append(time.monotonic() - began)
        return way.cells(before, n, statistics.median(times))
    return measure


def at_once(seconds):
    def measure(way):
        before = way.cpu()
        n, took, p50_us = run(way.words(seconds))
        return {**way.cells(before, n, p50_us / 1e6), "per s": n / took}
    return measure


def measure(chain, repetitions, seconds, n=60):
    """The two rows: n of each way one by one, and sixteen at once for so many seconds, a repetition."""
    mine = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="caponier-setups-") as folder:
        all_ways = ways(chain, pathlib.Path(folder))
        if len(mine) > 1:
            os.sched_setaffinity(0, {CLIENT_CPU})
        try:
            for way in all_ways:
                way.once()
            return [interleaved(title, all_ways, measure, repetitions, HANDSHAKE)
                    for title, measure in ((TITLE, one_by_one(n)), (TITLE_AT_ONCE, at_once(seconds)))]
        finally:
            os.sched_setaffinity(0, mine)


def judge(row, goals):
    """Of either row."""
    alone, when = row.values(HANDSHAKE, "gateway us"), row.title[len(TITLE):] or ", one by one"
    over = statistics.median((own - 100) / h for own, h in zip(row.values(OWN, "gateway us"), alone))
    goals.most(f"own door{when}: (gateway CPU of a set-up - 100 us) / its TLS handshake", over, 1.35)
    goals.most(f"az door{when}: gateway CPU of a set-up / its three TLS handshakes", row.ratio(AZURE, "gateway us") / AZURE_HANDSHAKES, 1.6)
