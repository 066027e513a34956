"""What a session costs the gateway beside the TLS handshakes it needs, at both doors: CPU of all roles, to the nanosecond.

One client, plain sockets and one TLS context, does in turn a handshake alone, a set-up at Caponier's own door (a carrier of its own, a
stream, one echoed byte) and a set-up as the Azure CLI makes it (POST, upgrade, echo, DELETE: three connections). All three are taken
from the same front in the same seconds, so that caches are as warm for one as for the other.
"""
import base64
import json
import os
import re
import socket
import ssl
import statistics
import struct
import time
import urllib.parse

from azdoor import MACHINE, client_of
from chains import CLIENT_CPU, cpu_seconds
from report import interleaved

TITLE = "set-ups with TLS connections of their own"
HANDSHAKE, OWN, AZURE = "handshake alone", "own door", "azure door"
AZURE_HANDSHAKES = 3
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

    def request(self, head, status, body=b""):
        self.send("\r\n".join([*head, "", ""]).encode() + body)
        while b"\r\n\r\n" not in self.left:
            self._more()
        answer, _, self.left = self.left.partition(b"\r\n\r\n")
        if answer.split()[1] != str(status).encode():
            raise RuntimeError(f"{head[0]}: {answer} {self.left}")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", answer)
        return self.take(int(length.group(1))) if length else b""

    def frame(self):
        """The payload of the next frame, which is shorter than 64 KiB."""
        n = self.take(2)[1]
        return self.take(struct.unpack(">H", self.take(2))[0] if n == 126 else n)


class Way:
    """One way to spend CPU of the gateway: a row's chain."""

    def __init__(self, name, gateway, once):
        self.name, self.once = name, once
        self.pids = {role: gateway.pids(role) for role in ("front", "control", "keeper")}

    def cpu(self):
        return {role: cpu_seconds(pids) for role, pids in self.pids.items()}


def ways(chain):
    gateway, token = chain.gw, client_of(chain).token
    context = ssl.create_default_context(cafile=str(gateway.ca))
    host = f"Host: localhost:{gateway.port}"
    want = json.dumps({"bastion": BASTION, "targetResourceId": MACHINE, "port": chain.target}).encode()
    form = urllib.parse.urlencode({"resourceId": MACHINE, "protocol": "tcptunnel", "workloadHostPort": chain.target, "aztoken": token}).encode()

    def upgrade(path, *more):
        return [f"GET {path} HTTP/1.1", host, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", *more]

    def handshake():
        Connection(gateway.port, context).socket.close()

    def own():
        with Connection(gateway.port, context) as c:
            c.request(upgrade("/v1/tunnel", "Sec-WebSocket-Protocol: caponier.v1", f"Authorization: Bearer {token}"), 101)
            c.send(masked(2, struct.pack(">BBHIQH", OPEN, 0, 0, 1, CREDIT, len(want)) + want + b"E"))
            while (frame := c.frame())[0] != DATA:
                if frame[0] in (REFUSED, RESET):
                    raise RuntimeError(frame)

    def azure():
        with Connection(gateway.port, context) as c:
            issued = json.loads(c.request(["POST /api/tokens HTTP/1.1", host, "Content-Type: application/x-www-form-urlencoded",
                                           f"Content-Length: {len(form)}"], 200, form))
        with Connection(gateway.port, context) as c:
            c.request(upgrade(f"/webtunnelv2/{issued['websocketToken']}?X-Node-Id={issued['nodeId']}"), 101)
            c.send(masked(2, b"E"))
            if c.frame() != b"E":
                raise RuntimeError("another echo")
            c.send(masked(8, struct.pack(">H", 1000)))
            c.frame()
        with Connection(gateway.port, context) as c:
            c.request([f"DELETE /api/tokens/{issued['authToken']} HTTP/1.1", host], 204)

    return [Way(HANDSHAKE, gateway, handshake), Way(OWN, gateway, own), Way(AZURE, gateway, azure)]


def measure(chain, repetitions, n=60):
    """The row; n of each way a repetition."""
    def block(way):
        times, before = [], way.cpu()
        for _ in range(n):
            began = time.monotonic()
            way.once()
            times.append(time.monotonic() - began)
        spent = {role: (s - before[role]) / n * 1e6 for role, s in way.cpu().items()}
        return {"gateway us": sum(spent.values()), **{f"{role} us": us for role, us in spent.items()}, "p50 us": statistics.median(times) * 1e6}

    all_ways, mine = ways(chain), os.sched_getaffinity(0)
    if len(mine) > 1:
        os.sched_setaffinity(0, {CLIENT_CPU})
    try:
        for way in all_ways:
            way.once()
        return interleaved(TITLE, all_ways, block, repetitions, HANDSHAKE)
    finally:
        os.sched_setaffinity(0, mine)


def judge(row, goals):
    alone = row.values(HANDSHAKE, "gateway us")
    over = statistics.median((own - 100) / h for own, h in zip(row.values(OWN, "gateway us"), alone))
    goals.most("own door: (gateway CPU of a set-up - 100 us) / its TLS handshake", over, 1.35)
    goals.most("az door: gateway CPU of a set-up / its three TLS handshakes", row.ratio(AZURE, "gateway us") / AZURE_HANDSHAKES, 1.6)
