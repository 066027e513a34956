"""SSH and RDP only: web servers are refused from either side's first bytes, silence is closed."""
import contextlib
import pathlib
import socket
import subprocess
import time
import urllib.request

import pytest

from conftest import inventory
from lab.gateway import eventually
from test_seed_steps import read_all


@pytest.fixture(scope="module")
def tunnel(ada):
    with ada.tunnel("--name", "door", "scripted") as t:
        yield t


def test_an_http_client_is_refused_and_the_target_sees_nothing(tunnel, target):
    c = socket.create_connection(("127.0.0.1", tunnel.port))
    c.settimeout(20)
    c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    s, _ = target.accept()
    s.settimeout(20)
    try:
        assert read_all(s) == b""
    except ConnectionError:
        pass
    try:
        read_all(c)
    except ConnectionError:
        pass
    assert "neither SSH nor RDP" in tunnel.stderr()


def test_a_web_servers_answer_is_refused(tunnel, target):
    c = socket.create_connection(("127.0.0.1", tunnel.port))
    c.settimeout(20)
    c.sendall(b"SSH-2.0-pretender\r\n")
    s, _ = target.accept()
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
    try:
        got = read_all(c)
    except ConnectionError:
        got = b""
    assert b"secret" not in got
    s.close()


def test_lines_before_the_banner_pass(tunnel, target):
    c = socket.create_connection(("127.0.0.1", tunnel.port))
    c.settimeout(20)
    c.sendall(b"SSH-2.0-me\r\n")
    s, _ = target.accept()
    s.settimeout(20)
    assert s.recv(100) == b"SSH-2.0-me\r\n"  # unread, it would make a reset of the close
    s.sendall(b"Authorised use only.\r\nSSH-2.0-x\r\n")
    s.close()
    assert read_all(c) == b"Authorised use only.\r\nSSH-2.0-x\r\n"


def test_silence_is_closed(own_gateway, network):
    own_gateway.stop()
    own_gateway.write_config(first_bytes_timeout="1s")
    own_gateway.start()
    target = network.machines.listen("10.77.1.5", 22)
    target.settimeout(20)
    try:
        with own_gateway.admin.tunnel("--name", "door", "scripted") as t:
            c = socket.create_connection(("127.0.0.1", t.port))
            c.settimeout(20)
            s, _ = target.accept()
            s.settimeout(20)
            started = time.monotonic()
            for side in (s, c):
                try:
                    read_all(side)
                except ConnectionError:
                    pass
            assert 0.5 < time.monotonic() - started < 15
            assert "neither side spoke in time" in t.stderr() or "silent" in t.stderr()
    finally:
        target.close()


@pytest.fixture
def web_server(network, tmp_path):
    """Python's own, on the machine `scripted`: what it was asked."""
    (tmp_path / "page").write_text("a page of the intranet")
    log = open(tmp_path / "log", "w+")
    p = subprocess.Popen(network.machines.argv("/usr/bin/python3", "-u", "-m", "http.server", "8081", "--bind", "10.77.1.5", "--directory", tmp_path),
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def listens():
        with contextlib.suppress(OSError):
            network.machines.connect("10.77.1.5", 8081, 1).close()
            return True
    eventually(listens, what="the web server listens")
    yield lambda: pathlib.Path(log.name).read_text().split("...", 1)[1]
    p.kill()
    p.wait()
    log.close()


def page(tunnel):
    with urllib.request.urlopen(f"http://127.0.0.1:{tunnel.port}/page", timeout=20) as r:
        return r.read()


def test_a_real_web_server_is_reached_by_nobody(ada, web_server):
    """Neither by a browser, nor by who begins as SSH does and hopes for the server's answer."""
    with ada.tunnel("--name", "door", "scripted", "--resource-port", 8081) as t:
        with pytest.raises(OSError):
            page(t)
        with socket.create_connection(("127.0.0.1", t.port)) as c:
            c.settimeout(20)
            c.sendall(b"SSH-2.0-pretender\r\n\r\n")
            got = b""
            with contextlib.suppress(ConnectionError):
                got = read_all(c)
        assert b"HTTP" not in got and b"<html" not in got.lower() and b"Error" not in got, got
        eventually(lambda: "neither SSH nor RDP" in t.stderr(), what="the tunnel says it")
    assert "GET" not in web_server()


def test_any_lets_a_real_web_server_be_reached(own_gateway, web_server):
    inv = inventory()
    inv["bastions"][0]["protocols"] = ["any"]
    own_gateway.apply(inv)
    with own_gateway.admin.tunnel("--name", "door", "scripted", "--resource-port", 8081) as t:
        assert page(t) == b"a page of the intranet"
    assert "GET /page" in web_server()


def test_any_lifts_it(gateway, network, ada):
    inv = inventory()
    inv["bastions"][0]["protocols"] = ["any"]
    gateway.apply(inv)
    web = network.machines.listen("10.77.1.5", 8080)
    web.settimeout(20)
    try:
        with ada.tunnel("--name", "door", "scripted", "--resource-port", 8080) as t:
            c = socket.create_connection(("127.0.0.1", t.port))
            c.settimeout(20)
            c.sendall(b"GET / HTTP/1.0\r\n\r\n")
            s, _ = web.accept()
            assert s.recv(100).startswith(b"GET /")
            s.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
            s.close()
            assert read_all(c).endswith(b"hello")
    finally:
        web.close()
        gateway.apply(inventory())
