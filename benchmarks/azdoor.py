"""The Azure door: what fifty connections at once and bulk through a client in Python cost the gateway, all roles together."""
import concurrent.futures
import pathlib
import statistics
import subprocess
import time

import requests

from azclient import AzClient
from chains import CLIENT_CPU, cpu_seconds, net, pin
from lab.gateway import ADMIN, ADMIN_PASSWORD
from measures import LOAD, WARM_UP, run

MACHINE = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Compute/virtualMachines/target"


def client_of(chain):
    r = requests.post(f"{chain.gw.url}/adfs/oauth2/token", verify=str(chain.gw.ca), timeout=30, data={
        "grant_type": "password", "username": ADMIN, "password": ADMIN_PASSWORD, "client_id": "bench", "scope": "openid"})
    r.raise_for_status()
    return AzClient(chain.gw.url, chain.gw.ca, r.json()["access_token"], MACHINE, chain.target)


def echoed(ws):
    """The target answers: the tunnel is whole."""
    ws.send_binary(b"E" + b"x" * 64)
    assert ws.recv()


def at_once(chain, n=50):
    """n threads of one client at the same moment; until each has its first bytes back."""
    client = client_of(chain)
    before, began = cpu_seconds(chain.gateway_pids()), time.monotonic()

    def one(_):
        auth, ws = client.dial()
        echoed(ws)
        return auth, ws
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        held = list(pool.map(one, range(n)))
    out = {"gateway s": cpu_seconds(chain.gateway_pids()) - before, "wall s": time.monotonic() - began, "served": len(held)}
    for auth in {auth for auth, _ in held}:
        client.delete(auth)
    for _, ws in held:
        ws.close()
    return out


class PythonClient:
    """azclient.py as a chain through the Azure door of that chain's gateway."""

    name = "python client"

    def __init__(self, chain):
        self.chain, self.port = chain, net.free_port()
        client = client_of(chain)
        self.process = subprocess.Popen(["/usr/bin/python3", "-B", str(pathlib.Path(__file__).with_name("azclient.py")), str(self.port), client.base,
                                         client.ca, MACHINE, str(chain.target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(client.token + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("azclient.py does not listen")
        pin([self.process.pid], CLIENT_CPU)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ports(self, _n):
        return [self.port]

    def gateway_pids(self):
        return self.chain.gateway_pids()

    def client_pids(self):
        return [self.process.pid]


def bulk(chain, seconds, repetitions=3):
    """{way: CPU of the gateway / wall, and a GiB} through a client in Python; a GiB through our own client in turn with it."""
    out = {}
    with PythonClient(chain) as client:
        for way in ("down", "up"):
            runs = [[moved(chain, way, port, seconds / repetitions) for port in (client.port, chain.port)] for _ in range(repetitions)]
            out[way] = {what: statistics.median(python[what] for python, _ in runs) for what in runs[0][0]}
            out[way]["s/GiB / own door's"] = statistics.median(python["s/GiB"] / own["s/GiB"] for python, own in runs)
    return out


def moved(chain, way, port, seconds):
    before, began = cpu_seconds(chain.gateway_pids()), time.monotonic()
    took, *_ = run([LOAD, way, 1, port, seconds])
    spent, wall = cpu_seconds(chain.gateway_pids()) - before, time.monotonic() - began
    return {"MiB/s": took / 2**20 / seconds, "CPU/wall": spent / wall, "s/GiB": spent * seconds / (seconds + WARM_UP) / took * 2**30}


def measure(chain, seconds):
    return {"fifty at once": at_once(chain), "bulk": bulk(chain, seconds)}


def judge(cells, goals):
    goals.most("az door: gateway CPU s, fifty connections at once", cells["fifty at once"]["gateway s"], 1.0)
    for way in ("down", "up"):
        goals.most(f"az door: gateway CPU / wall, {way} through the Python client", cells["bulk"][way]["CPU/wall"], 0.5)
    goals.most("az door: gateway CPU a GiB, down through the Python client / through ours at the own door", cells["bulk"]["down"]["s/GiB / own door's"], 1.1)
