"""RDP: FreeRDP signs in to a real xrdp through the tunnel, and the picture shows the remote desktop."""
import os
import pathlib
import random
import shutil
import socket
import subprocess
import time

import pytest
import requests

from conftest import VM
from lab.gateway import PATIENCE, eventually
from lab.sshd import PASSWORD


@pytest.fixture(scope="module")
def display():
    number = random.randint(100, 999)  # not :0, which another X server of this machine may have
    p = subprocess.Popen(["Xvfb", f":{number}", "-screen", "0", "1280x800x24", "-nolisten", "tcp"], stderr=subprocess.DEVNULL)

    def up():
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(f"/tmp/.X11-unix/X{number}") == 0
    eventually(up, 15, "the X server listens")
    yield f":{number}"
    p.terminate()
    p.wait()


@pytest.fixture(scope="module")
def xrdp(network, folder, sshd):
    """A real xrdp and sesman on 10.77.1.5:3389, in a mount namespace with the lab's own accounts."""
    d = folder / "xrdp"
    d.mkdir()
    etc = d / "etc"
    shutil.copytree("/etc/xrdp", etc, symlinks=False, ignore_dangling_symlinks=True, ignore=lambda *_: ["key.pem", "cert.pem"])
    ini = (etc / "xrdp.ini").read_text()
    ini = ini.replace("port=3389", "port=tcp://10.77.1.5:3389", 1).replace("security_layer=negotiate", "security_layer=tls", 1)
    ini = ini.replace("certificate=\n", f"certificate={etc}/cert.pem\n", 1).replace("key_file=\n", f"key_file={etc}/key.pem\n", 1)
    (etc / "xrdp.ini").write_text(ini)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", etc / "key.pem", "-out", etc / "cert.pem",
                    "-days", "2", "-subj", "/CN=xrdp"], check=True, capture_output=True)
    start = etc / "startwm.sh"
    start.write_text("#!/bin/sh\nexec xterm -geometry 120x40+10+10 -fa Monospace -fs 12 -e sh -c 'echo REMOTE DESKTOP OF SCRIPTED; sleep 1000'\n")
    start.chmod(0o755)
    pam = d / "pam"
    pam.write_text("auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n")
    binds = [*(f"mount --bind {sshd.dir}/{f} /etc/{f}" for f in ("passwd", "shadow", "group")),
             f"mount --bind {etc} /etc/xrdp", f"mount --bind {pam} /etc/pam.d/xrdp-sesman",
             "mount -t tmpfs tmpfs /run", "mkdir -p /run/xrdp/sockdir", "chmod 3777 /run/xrdp/sockdir",
             "mount -t tmpfs -o mode=1777 tmpfs /tmp", "mkdir -m 1777 /tmp/.X11-unix", "mount -t tmpfs tmpfs /var/log"]
    log = open(d / "log", "wb")
    p = subprocess.Popen(network.machines.argv(
        "unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c",
        " && ".join(binds) + " && (/usr/sbin/xrdp-sesman --nodaemon & exec /usr/sbin/xrdp --nodaemon)"),
        stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def up():
        assert p.poll() is None, (d / "log").read_text()
        try:
            network.machines.connect("10.77.1.5", 3389, 1).close()
            return True
        except OSError:
            return False
    eventually(up, 15, "xrdp listens")
    yield p
    p.kill()
    p.wait()
    log.close()


def freerdp(display, port, *args, **kw):
    return subprocess.Popen(["xfreerdp", f"/v:127.0.0.1:{port}", "/u:guest", f"/p:{PASSWORD}", "/cert:ignore", "/log-level:WARN", *args],
                            env={**os.environ, "DISPLAY": display, "HOME": "/tmp"}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)


def test_auth_only(ada, xrdp, display):
    with ada.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        p = freerdp(display, t.port, "+auth-only", "/sec:tls")
        out, _ = p.communicate(timeout=60)
        assert p.returncode == 0, out


def test_the_gateways_rdp_file_opens_through_a_tunnel(gateway, ada, xrdp, display, folder):
    """What az saves of /api/rdpfile, line by line, is a file that FreeRDP reads and that leads to the tunnel."""
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "ada@example.test", "password": ada.password, "client_id": "x", "scope": "openid"})
    with ada.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        r = requests.get(f"{gateway.url}/api/rdpfile?resourceId={VM}scripted&format=rdp&rdpport=3389&enablerdsaad=False&localport={t.port}",
                         headers={"Authorization": f"Bearer {r.json()['access_token']}"}, verify=str(gateway.ca), timeout=20)
        assert r.status_code == 200, r.text
        f = folder / "conn.rdp"
        with open(f, "w") as out:
            for line in r.text.splitlines():
                out.write(line + "\n")
        p = subprocess.Popen(["xfreerdp", str(f), "/u:guest", f"/p:{PASSWORD}", "/cert:ignore", "/log-level:WARN", "+auth-only", "/sec:tls"],
                             env={**os.environ, "DISPLAY": display, "HOME": "/tmp"}, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = p.communicate(timeout=60)
        assert p.returncode == 0, out


def test_desktop_in_a_picture(ada, xrdp, display, folder):
    shot = pathlib.Path(os.environ.get("CPN_SHOTS", folder)) / "desktop.png"
    with ada.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        p = freerdp(display, t.port, "/sec:tls", "/size:1024x700", "/bpp:24")
        try:
            def drawn():
                assert p.poll() is None, p.stdout.read()
                subprocess.run(["import", "-display", display, "-window", "root", str(shot)], check=True, capture_output=True)
                colours = subprocess.run(["identify", "-format", "%k", str(shot)], capture_output=True, text=True).stdout
                return int(colours or 0) > 30  # text on a terminal: anti-aliased glyphs
            eventually(drawn, 60, "the remote desktop is drawn")
        finally:
            p.terminate()
            p.wait(timeout=20)
    assert shot.stat().st_size > 2000


def test_refusal_ends_freerdp_within_five_seconds(gateway, display):
    eve = gateway.user("eve@example.test")
    gid = gateway.admin.json("role", "assign", "--assignee", "eve@example.test", "--role", "Reader", "--scope", VM + "scripted")["id"]
    bob = gateway.user("rdp@example.test")
    from conftest import GROUP_ID
    a = gateway.admin.json("role", "assign", "--assignee", "rdp@example.test", "--role", "Reader", "--scope", GROUP_ID)["id"]
    with bob.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        gateway.admin.ok("role", "remove", "--ids", a)
        started = time.monotonic()
        p = freerdp(display, t.port, "+auth-only")
        p.communicate(timeout=30)
        assert p.returncode != 0
        assert time.monotonic() - started < 5 * PATIENCE
        assert eventually(lambda: t.stderr().count("Reader") >= 1, what="tunnel prints the reason")
    gateway.admin.ok("role", "remove", "--ids", gid)
