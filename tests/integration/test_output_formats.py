"""-o json, tsv and table of every command that has it, as the command table says which those are."""
import contextlib
import json
import subprocess

import pytest

from conftest import VM, inventory, started
from lab import net
from lab.gateway import ADMIN, ADMIN_PASSWORD, BUILD
from lab.greeting import greeting

PASSWORD = "another long password 2"


@pytest.fixture(scope="module")
def lab(network, folder, sshd):
    """One to change as the commands do; web1 is a real machine."""
    g = started(network, folder / "formats")
    more = {"name": "one-more", "group": "lab", "network": "hub", "address": "10.77.1.99"}
    (g.dir / "inventory.yaml").write_text(json.dumps(inventory(machines=[*inventory()["machines"], more])))
    g.fingerprint = subprocess.run(["ssh-keygen", "-lf", sshd.dir / "host_key.pub"], capture_output=True, text=True, check=True).stdout.split()[1]
    yield g
    g.close()


def table():
    return json.loads(subprocess.run([BUILD / "caponier", "help", "--dump-json"], capture_output=True, text=True, check=True).stdout)["commands"]


PRINTING = [c["name"] for c in table() if any(o["long"] == "output" for o in c["options"])]

# what each needs behind its name, and on standard input; FORMAT makes names of one's own
NEEDS = {
    "login": (["--username", ADMIN, "--password-stdin", "--ca", "CA"], ADMIN_PASSWORD + "\n"),
    "account list": ([], None), "account show": ([], None),
    "tunnel": (["scripted", "--detach", "--idle-timeout", "1"], None), "tunnel list": ([], None), "tunnel stop": (["--all"], None),
    "can-i": (["web1"], None), "doctor": (["web1"], None),
    "vm list": ([], None), "vm show": (["web1"], None), "vm hostkey approve": (["web1", "--fingerprint", "FINGERPRINT"], None),
    "bastion list": ([], None), "bastion show": (["door"], None),
    "session list": ([], None), "session disconnect": (["--target", "scripted"], None),
    "apply": (["-f", "INVENTORY", "--dry-run"], None),
    "role list": ([], None), "role assign": (["--assignee", ADMIN, "--role", "Reader", "--scope", "SCOPE"], None),
    "audit list": ([], None), "audit verify": ([], None),
    "user add": (["FORMAT@example.test", "--password-stdin"], PASSWORD + "\n"), "user list": ([], None), "sp add": (["FORMAT"], None), "version": ([], None),
}


def test_each_of_them_is_asked_here():
    assert set(PRINTING) == set(NEEDS)


@pytest.mark.skipif(not net.ROOT, reason="the lab's sshd has accounts of its own only for root")
@pytest.mark.parametrize("name", PRINTING)
def test_the_three_formats_and_no_fourth(lab, target, name):
    args, said = NEEDS[name]
    out = {}
    with contextlib.ExitStack() as running:
        if name.startswith("tunnel "):
            running.callback(lab.admin.run, "tunnel", "stop", "--all")
        for format in ("json", "tsv", "table"):
            here = {"CA": lab.ca, "FINGERPRINT": lab.fingerprint, "INVENTORY": lab.dir / "inventory.yaml",
                    "SCOPE": VM + {"json": "web1", "tsv": "db1", "table": "lonely"}[format]}
            words = [here.get(a, a.replace("FORMAT", format)) for a in args]
            if name.startswith("session"):
                running.enter_context(greeting(lab.admin, target))
            if name.startswith("tunnel "):
                lab.admin.ok("tunnel", "scripted", "--detach")
            out[format] = lab.admin.ok(*name.split(), *words, "-o", format, input=said).out
    r = lab.admin.run(*name.split(), *words, "-o", "xml", input=said)
    assert r.code == 2 and r.out == "" and "json, table, tsv" in r.err, r
    assert isinstance(json.loads(out["json"]), (dict, list)), out
    rows = out["tsv"].splitlines()
    assert rows and len({row.count("\t") for row in rows}) == 1 and "\t" not in out["table"] and out["table"].strip(), out
    assert out["tsv"][0] not in "{[" and out["table"][0] not in "{[", out
