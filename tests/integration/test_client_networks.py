"""The client on networks as they are: proxies, proxies that read along, dead IPv6, links that go away and come back."""
import base64
import json
import select
import subprocess
import time

import pytest

from conftest import inventory
from lab import net, proxies
from lab.gateway import PATIENCE, Gateway, Result, eventually
from lab.greeting import greeting
from lab.roaming import Roaming

PASSWORD, SECRET = "hunter2home", "hunter2%68ome"  # the second as a URL may have it


@pytest.fixture(scope="module")
def target(network):
    s = network.machines.listen("10.77.1.5", 22)
    s.settimeout(20)
    yield s
    s.close()


def run(user, *args, wrap=lambda argv: argv, env={}, **kw):
    kw.setdefault("timeout", 60)
    return Result(subprocess.run(wrap(user.argv(*args)), env={**user.env, **env}, text=True, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw))


def greets(user, target, env, *args):
    """A line each way through `connect`, which does not tell the proxy's password."""
    with greeting(user, target, *args, env=env) as said:
        pass
    assert b"hunter2" not in said[0]


def test_through_tinyproxy(ada, gateway, target, tmp_path):
    p = proxies.Tinyproxy(tmp_path, ports=[gateway.port])
    try:
        for n, env in enumerate([{"https_proxy": f"http://127.0.0.1:{p.port}"}, {"HTTPS_PROXY": f"localhost:{p.port}/"},
                                 {"ALL_PROXY": f"http://127.0.0.1:{p.port}", "no_proxy": "example.org,10.0.0.0/8"}], 1):
            before = p.connects()
            assert run(ada, "vm", "list", "-o", "json", env=env).code == 0
            greets(ada, target, env)
            assert p.connects() >= before + 2
        for spared in ("localhost", "*", f"x y localhost:{gateway.port}"):
            before = p.connects()
            assert run(ada, "vm", "list", env={"https_proxy": f"http://127.0.0.1:{p.port}", "NO_PROXY": spared}).code == 0
            assert p.connects() == before
    finally:
        p.close()


def test_tinyproxy_that_does_not_let_us(ada, gateway, tmp_path):
    p = proxies.Tinyproxy(tmp_path, ports=[1])
    try:
        r = run(ada, "vm", "list", env={"https_proxy": f"http://127.0.0.1:{p.port}"})
        assert r.code == 3 and f"caponier: the proxy 127.0.0.1:{p.port} does not let us connect to localhost port {gateway.port}: 403 Forbidden\n" == r.err, r
    finally:
        p.close()


def test_basic(ada, gateway, target, tmp_path):
    p = proxies.Tinyproxy(tmp_path, basic=("me", PASSWORD), ports=[gateway.port])
    try:
        at = f"127.0.0.1:{p.port}"
        env = {"https_proxy": f"http://me:{SECRET}@{at}"}
        assert run(ada, "vm", "list", env=env).code == 0
        greets(ada, target, env)
        r = run(ada, "vm", "list", env={"https_proxy": f"http://me:hunter2wrong@{at}"})
        assert r.code != 0 and r.err.count("\n") == 1 and "hunter2" not in r.err and at in r.err, r
        r = run(ada, "vm", "list", env={"https_proxy": f"http://{at}"})
        assert r.code == 3 and r.err.count("\n") == 1 and "wants a sign-in (407)" in r.err, r
    finally:
        p.close()


def test_the_password_is_nowhere_but_in_the_environment(ada, target):
    """Not in arguments, not in what is written down; the proxy alone is told, once a connection."""
    p = proxies.Scripted(b"HTTP/1.1 407 no\r\nProxy-Authenticate: Basic realm=x\r\n\r\n")
    try:
        r = run(ada, "vm", "list", wrap=lambda argv: ["strace", "-f", "-s", "4096", "-e", "trace=execve,write,openat,unlink,rename", *argv],
                env={"https_proxy": f"http://me:{SECRET}@127.0.0.1:{p.port}"})
        assert "refuses the user name and password (407)" in r.err
        assert "hunter2" not in r.err.replace("https_proxy=http://me:" + SECRET, "")
        assert [h.count(b"Proxy-Authorization: Basic " + base64.b64encode(b"me:" + PASSWORD.encode()) + b"\r\n") for h in p.heads] == [1] * len(p.heads)
        assert b"Bearer" not in b"".join(p.heads)
    finally:
        p.close()


@pytest.mark.parametrize("pieces,close,says,code", [
    ([b"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\n\r\n"], False, "of a kind that is not supported; only Basic is", 3),
    ([b"HTTP/1.1 403 \r\n\r\n"], False, "does not let us connect to localhost", 3),
    ([b"HTTP/1.1 301 x\r\nLocation: http://elsewhere/\r\n\r\n"], False, "does not let us connect to localhost", 3),
    ([b"HTTP/1.1 503 \033[2Jevil\r\n\r\n"], False, "its answer is not HTTP", 1),
    ([b"HTTP/1.1 502 evil words\r\n\r\n"], False, "cannot reach localhost", 1),
    ([b"SSH-2.0-OpenSSH\r\n"], False, "its answer is not HTTP", 1),
    ([b"\x15\x03\x01\x00\x02\x02\x46"], False, "its answer is not HTTP", 1),
    ([b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 20000], False, "longer than 8192 bytes", 1),
    ([b"HTTP/1.1 200 OK\r\n\r\nmore"], False, "sent more than its answer", 1),
    ([], True, "ended the connection without an answer", 1),
    ([b"HTTP/1.1 200 O"], True, "ended the connection without an answer", 1),
    ([b"HTTP/1.1 200 OK\r\n\r\n"], True, "localhost", 1),
])
def test_answers_of_a_hostile_proxy(ada, pieces, close, says, code):
    p = proxies.Scripted(*pieces, close=close)
    try:
        r = run(ada, "vm", "list", env={"https_proxy": f"http://127.0.0.1:{p.port}"})
        assert r.code == code and says in r.err and r.err.count("\n") == 1 and "evil" not in r.err and "\033" not in r.err, r
    finally:
        p.close()


def test_a_proxy_that_says_nothing_is_given_up(ada):
    p = proxies.Scripted()
    try:
        start = time.monotonic()
        r = run(ada, "vm", "list", env={"https_proxy": f"http://127.0.0.1:{p.port}"})
        assert r.code == 1 and "the proxy 127.0.0.1 gave no answer in time" in r.err and time.monotonic() - start < 20 * PATIENCE, r
    finally:
        p.close()


@pytest.mark.parametrize("value,says", [
    (f"socks5h://me:{SECRET}@p:1080", "no SOCKS"), (f"https://me:{SECRET}@p", "over TLS"), (f"http://me:{SECRET}@p:0", "HOST:PORT"),
    (f"http://me:{SECRET}@no-such-name.invalid:3128", "the name of the proxy no-such-name.invalid cannot be resolved"),
    (f"http://me:{SECRET}@127.0.0.1:1", "the proxy 127.0.0.1 refuses connections on port 1"),
])
def test_proxies_that_cannot_be_used(ada, value, says):
    r = run(ada, "vm", "list", env={"https_proxy": value})
    assert r.code != 0 and says in r.err and "hunter2" not in r.err and r.err.count("\n") == 1, r
    if "://me" in value and not value.startswith("http:"):
        assert "NO_PROXY" in r.err  # what to do about it, and it helps
        assert run(ada, "vm", "list", env={"https_proxy": value, "NO_PROXY": "localhost"}).code == 0


# ---- a proxy that reads along ----

@pytest.fixture(scope="module")
def eavesdropper(gateway, folder):
    ca, leaf = proxies.make_ca(folder / "eavesdropper", "Reading Along CA")
    p = proxies.Interceptor(leaf, gateway.ca)
    p.ca = ca
    yield p
    p.close()


def test_interception_is_refused_and_named(ada, eavesdropper):
    r = run(ada, "vm", "list", env={"https_proxy": f"http://127.0.0.1:{eavesdropper.port}"})
    assert r.code == 1 and "not trusted" in r.err and "(issued by CN=Reading Along CA,O=Example)" in r.err and r.err.count("\n") == 1, r
    assert not any(b"Bearer" in x for x in eavesdropper.seen)


def test_interception_that_one_agreed_to(ada, eavesdropper, target):
    env = {"https_proxy": f"http://127.0.0.1:{eavesdropper.port}"}
    assert run(ada, "vm", "list", "--ca", eavesdropper.ca, env=env).code == 0
    greets(ada, target, env, "--ca", str(eavesdropper.ca))


def test_interception_by_the_system_store(gateway, eavesdropper, target, tmp_path):
    """The machine trusts the proxy's CA; who signed in without --ca goes by that."""
    store = tmp_path / "certs"
    store.mkdir()
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", eavesdropper.ca], check=True, capture_output=True, text=True).stdout.strip()
    (store / f"{name}.0").write_bytes(eavesdropper.ca.read_bytes())
    user = gateway.user("ina@example.test")
    there = user.dir / "config/caponier/contexts.json"
    kept = json.loads(there.read_text())
    text = json.dumps(kept).replace(json.dumps(str(gateway.ca)), "null")
    assert text != json.dumps(kept)
    there.write_text(text)
    wrap = lambda argv: proxies.with_files(argv, {"/etc/ssl/certs": store})  # noqa: E731
    env = {"https_proxy": f"http://127.0.0.1:{eavesdropper.port}"}
    assert run(user, "vm", "list", wrap=wrap, env=env).code == 0
    assert run(user, "vm", "list", env=env).code == 1


# ---- addresses ----

@pytest.fixture(scope="module")
def far(network, folder):
    """A gateway whose users are in a namespace of their own."""
    outside = net.Namespace()
    void = net.Namespace(inside=outside)
    g = None
    try:
        outside.run("ip", "link", "add", "nowhere", "type", "veth", "peer", "name", "nowhere", "netns", void.pid)
        void.run("ip", "link", "set", "nowhere", "up")
        outside.run("ip", "link", "set", "nowhere", "up")
        outside.run("ip", "addr", "add", "2001:db8::1/64", "dev", "nowhere", "nodad")
        for n in range(2, 8):  # what is sent to them is not answered
            outside.run("ip", "-6", "neigh", "add", f"2001:db8::{n}", "lladdr", "02:00:00:00:00:02", "dev", "nowhere", "nud", "permanent")
        g = Gateway(network, folder / "far", outside=outside).start()
        g.enrol()
        yield g
    finally:
        if g:
            g.close()
        void.close()
        outside.close()


def hosts(tmp_path, *lines):
    f = tmp_path / "hosts"
    f.write_text("\n".join(lines) + "\n")
    return lambda argv: proxies.with_files(argv, {"/etc/hosts": f})


def test_ipv6_only(far, tmp_path):
    six = proxies.Forward(lambda: far.outside.connect("127.0.0.1", far.port), far.outside.listen("::1", far.port))
    try:
        r = run(far.admin, "vm", "list", wrap=hosts(tmp_path, "::1 localhost"))
        assert r.code == 0, r
    finally:
        six.close()


def test_ipv6_that_leads_nowhere(far, tmp_path):
    """Six dead addresses in front of the live one cost one pause of 250 ms, not six."""
    wrap = hosts(tmp_path, *(f"2001:db8::{n} localhost" for n in range(2, 8)), "127.0.0.1 localhost")
    r = run(far.admin, "vm", "list", wrap=lambda argv: ["strace", "-f", "-e", "trace=connect", *wrap(argv)])
    tried = [line for line in r.err.splitlines() if "connect(" in line and f"htons({far.port})" in line and "EINPROGRESS" in line]
    families = ["AF_INET6" in line for line in tried]
    assert r.code == 0 and families == [True, False] * (len(families) // 2) and families, r
    r = run(far.admin, "vm", "list", wrap=hosts(tmp_path, "127.0.0.2 localhost", "127.0.0.1 localhost"))
    assert r.code == 0, r


# ---- links that go away and come back ----

@pytest.fixture
def roaming(far, tmp_path):
    far.apply(inventory())
    r = Roaming(far, tmp_path)
    yield r
    r.close()


@pytest.mark.release_only  # it only waits
def test_a_box_on_the_way_does_not_end_what_is_idle(roaming, target):
    """It ends what says nothing for 30 s; the carrier's pings come every 20."""
    roaming.front.silence = 30
    roaming.tunnel("scripted")
    c, s = roaming.meet(target)
    with c, s:
        assert select.select([c, s], [], [], 45)[0] == []  # neither end has been told of an end
        c.sendall(b"still here")
        assert s.recv(100) == b"still here"


def test_a_link_that_is_away_for_a_moment_drops_nothing(roaming, target):
    roaming.tunnel("scripted")
    c, s = roaming.meet(target)
    with c, s:
        roaming.link("down")
        c.sendall(b"said while the link was down")
        eventually(lambda: roaming.unheard() > 0, what="it was sent in vain")
        roaming.link("up")
        assert s.recv(100) == b"said while the link was down"
        s.sendall(b"heard")
        assert c.recv(100) == b"heard"
        c2, s2 = roaming.meet(target)
        c2.close()
        s2.close()


def test_another_network_and_the_listener_goes_on(roaming, target):
    """The address is gone for good: the next connection takes a new way at once, without waiting for the old one to be found dead."""
    roaming.tunnel("scripted")
    c, s = roaming.meet(target)
    with c, s:
        roaming.move("10.66.0.3", old="10.66.0.2")
        start = time.monotonic()
        c2, s2 = roaming.meet(target)
        c2.close()
        s2.close()
        assert time.monotonic() - start < 10 * PATIENCE
