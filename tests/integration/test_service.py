"""As a service: the unit names what is installed and gives all that is needed; root's gateway is somebody else's at once."""
import configparser
import os
import pwd
import shutil
import signal
import subprocess

import pytest

from conftest import inventory
from lab.gateway import BUILD, Gateway, eventually
from lab.net import ROOT
from lab.proxies import make_ca
from test_sessions import live

SOMEBODY = pwd.getpwnam("daemon")  # the test makes no users


def unit(path):
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str
    parsed.read(path)
    return parsed["Service"]


@pytest.mark.release_only
def test_it_starts_what_is_installed_as_a_user_who_is_declared(tmp_path):
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], check=True, env={**os.environ, "DESTDIR": str(tmp_path)})
    service = unit(tmp_path / "usr/local/lib/systemd/system/caponierd.service")
    program, *words = service["ExecStart"].split()
    assert os.access(tmp_path / program[1:], os.X_OK) and words == ["-c", "/etc/caponier/caponierd.yaml"]
    declared = (tmp_path / "usr/local/lib/sysusers.d/caponier.conf").read_text().split()
    assert declared[:2] == ["u", service["User"]] and declared[-1] == f"/var/lib/{service['StateDirectory']}"
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert (tmp_path / "usr/local/share/man/man8/caponierd.8").exists()


@pytest.mark.skipif(not ROOT, reason="only root becomes somebody else")
def test_a_gateway_needs_no_more_than_the_unit_gives(network, folder, target):
    """Nobody's root from its first instruction, one capability: it binds a low port and serves; nobody has the capability afterwards."""
    only = "-all,+net_bind_service"
    g = Gateway(network, folder / "service", admin_listen="127.0.0.1:443", under=[
        "setpriv", f"--reuid={SOMEBODY.pw_uid}", f"--regid={SOMEBODY.pw_gid}", "--clear-groups", f"--inh-caps={only}", f"--ambient-caps={only}",
        f"--bounding-set={only}", "--no-new-privs"])
    g.admin_port = 443
    g.program = shutil.copy(g.program, g.dir)  # the checkout may be root's alone
    os.chown(g.state, SOMEBODY.pw_uid, SOMEBODY.pw_gid)
    try:
        g.start().enrol()
        g.apply(inventory())
        assert g.admin_get("/readyz")[0] == 200
        with g.admin.tunnel("--name", "door", "scripted") as t, live(t, target):
            for pid in (pid for role in ("keeper", "control", "front") for pid in g.pids(role)):
                status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status"))
                assert status["Uid"].split() == [str(SOMEBODY.pw_uid)] * 4
                assert [int(status[f"Cap{which}"], 16) for which in ("Inh", "Prm", "Eff", "Amb")] == [0] * 4
    finally:
        g.close()


@pytest.mark.skipif(not ROOT, reason="only root becomes somebody else")
def test_what_root_starts_lives_on_as_the_user(network, folder):
    """Nothing is read with root's rights: a control that is restarted has them no more, and would not come back."""
    ca, leaf = make_ca(folder / "service-ca", "service")
    key = folder / "service-ca/of-the-gateway"
    shutil.copy(leaf, key)
    key.chmod(0o600)
    g = Gateway(network, folder / "dropped", user=SOMEBODY.pw_name, tls_cert=str(leaf), tls_key=str(key))
    g.program = shutil.copy(g.program, g.dir)
    for path in (g.state, leaf.parent):
        os.chown(path, SOMEBODY.pw_uid, SOMEBODY.pw_gid)
    leaf.chmod(0o644)
    g.start(wait=False)
    try:
        assert g.process.wait(20) != 0 and str(key) in g.log_text()  # root's own key
        os.chown(key, SOMEBODY.pw_uid, SOMEBODY.pw_gid)
        g.ca = ca
        g.start().enrol()
        os.kill(g.pids("control")[0], signal.SIGKILL)
        eventually(lambda: g.admin.run("session", "list").code == 0, what="the API is back")
    finally:
        g.close()
