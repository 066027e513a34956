"""caponier doctor and can-i --why: each fault made for real, each named with what would mend it."""
import datetime
import email.utils
import json
import re
import shutil
import subprocess

import pytest

from conftest import BASTION, VM
from lab import net, proxies
from lab.gateway import Gateway, Result


def doctor(user, *args, wrap=lambda argv: argv, env={}):
    """({check: [line]}, advice); the exit status and the table are held against the lines."""
    run = lambda *a: Result(subprocess.run(wrap(user.argv("doctor", *args, *a)), env={**user.env, **env}, text=True, timeout=90,  # noqa: E731
                                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    r = run("-o", "json")
    assert r.err == "", r
    said = r.json()
    states = {line["state"] for line in said["value"]}
    assert states <= {"ok", "warn", "fail"} and said["ok"] == ("fail" not in states) == (r.code == 0) and r.code in (0, 1), r
    assert all(("hint" in line) == (line["state"] != "ok") for line in said["value"]), said
    assert said["advice"]
    lines = {}
    for line in said["value"]:
        lines.setdefault(line["check"], []).append(line)
    print("\n".join(f"{x['check']:8} {x['state']:5} {x['detail']} | {x.get('hint', '')}" for x in said["value"]), "\n=>", said["advice"])
    return lines, said["advice"]


def one_fault(lines, check, says, hint=""):
    """This one alone is wrong; nothing behind it was tried."""
    faults = [x for rows in lines.values() for x in rows if x["state"] != "ok"]
    assert [x["check"] for x in faults] == [check], faults
    assert re.search(says, faults[0]["detail"]) and hint in faults[0]["hint"], faults
    assert list(lines)[-1] == check


@pytest.fixture(scope="module")
def target(network):
    s = network.machines.listen("10.77.1.5", 22)
    yield s
    s.close()


def test_all_is_well(ada, target, gateway):
    lines, advice = doctor(ada)
    assert list(lines) == ["dns", "route", "tcp", "proxy", "tls", "gateway", "clock", "token", "tunnel", "binding"] and "All is well" in advice
    lines, advice = doctor(ada, "scripted")
    assert list(lines) == ["dns", "route", "tcp", "proxy", "tls", "gateway", "clock", "token", "roles", "tunnel", "binding", "port"] and "scripted" in advice
    assert "CN=Caponier gateway CA" in lines["tls"][0]["detail"] and "ada@example.test" in lines["token"][0]["detail"]
    text = ada.ok("doctor", "scripted").out
    assert text.startswith("Check") and text.rstrip().splitlines()[-1] == advice, text
    assert ada.ok("doctor", "-o", "tsv").out.splitlines()[0].startswith("dns\tok\t")


def test_the_check_of_the_port_is_a_session_of_no_length(ada, admin, target):
    doctor(ada, "scripted")
    s, _ = target.accept()
    with s:
        s.settimeout(20)
        assert s.recv(10) == b""
    assert not [r for r in admin.json("session", "list")["value"] if r["userName"] == "ada@example.test" and r["state"] == "Disconnected"]


# ---- the network ----

@pytest.fixture(scope="module")
def far(network, folder):
    """A gateway whose users are in a namespace of their own."""
    outside = net.Namespace()
    void = net.Namespace(inside=outside)
    g = None
    try:
        outside.run("ip", "link", "add", "far", "type", "veth", "peer", "name", "far", "netns", void.pid)
        for ns, a in ((outside, "192.0.2.1/24"), (void, "192.0.2.2/24")):
            ns.run("ip", "link", "set", "far", "up")
            ns.run("ip", "addr", "add", a, "dev", "far")
        g = Gateway(network, folder / "doctor-far", outside=outside).start()
        g.enrol()
        g.void = void
        yield g
    finally:
        if g:
            g.close()
        void.close()
        outside.close()


def at(g, name):
    return ["--gateway", f"https://{name}:{g.port}"]


def test_no_dns(far, tmp_path):
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 198.51.100.53\n")
    lines, advice = doctor(far.admin, *at(far, "gw.example.org"), wrap=lambda argv: proxies.with_files(argv, {"/etc/resolv.conf": resolv}))
    one_fault(lines, "dns", "the name gw.example.org cannot be resolved", "resolv.conf")
    assert "resolver" in advice


def test_no_route(far):
    lines, _ = doctor(far.admin, *at(far, "198.51.100.1"))
    one_fault(lines, "route", "no way leads to 198.51.100.1: Network is unreachable", "connect this machine to a network")


def test_nobody_listens(far):
    lines, _ = doctor(far.admin, "--gateway", "https://localhost:1")
    one_fault(lines, "tcp", "refuses connections on port 1", "check that the gateway runs")


def test_a_firewall_drops(far):
    far.void.run("nft", "-f", "-", input="table inet f { chain i { type filter hook input priority 0; policy accept; tcp dport 443 drop; }; }", text=True)
    lines, _ = doctor(far.admin, "--gateway", "https://192.0.2.2")
    one_fault(lines, "tcp", "does not answer on port 443", "firewall")


def test_something_else_listens(far):
    plain = proxies.Server(lambda s: s.sendall(b"SSH-2.0-OpenSSH\r\n"), far.outside.listen("127.0.0.1"))
    try:
        lines, _ = doctor(far.admin, "--gateway", f"https://localhost:{plain.port}")
        one_fault(lines, "tls", "localhost port", "speaks no TLS")
    finally:
        plain.close()


# ---- proxies ----

def test_proxies_that_refuse(ada):
    for answer, says, hint in [
            (b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=x\r\n\r\n", "wants a sign-in", "https_proxy=http://USER:PASSWORD"),
            (b"HTTP/1.1 403 x\r\n\r\n", "does not let us connect", "no_proxy"), (b"SSH-2.0-x\r\n", "not HTTP", "no_proxy")]:
        p = proxies.Scripted(answer)
        try:
            lines, _ = doctor(ada, env={"https_proxy": f"http://127.0.0.1:{p.port}"})
            one_fault(lines, "proxy", says, hint)
        finally:
            p.close()
    lines, _ = doctor(ada, env={"https_proxy": "http://127.0.0.1:1"})
    one_fault(lines, "tcp", "the proxy 127.0.0.1 refuses", "https_proxy")
    lines, _ = doctor(ada, env={"https_proxy": "socks5://me:hunter2@x"})
    one_fault(lines, "proxy", "^https_proxy: .*SOCKS", "environment variable")
    assert "hunter2" not in json.dumps(lines)


@pytest.fixture(scope="module")
def eavesdropper(gateway, folder):
    ca, leaf = proxies.make_ca(folder / "doctor-eavesdropper", "Reading Along CA")
    p = proxies.Interceptor(leaf, gateway.ca)
    p.ca, p.leaf = ca, leaf
    yield p
    p.close()


def test_interception_names_the_issuer(ada, eavesdropper, target):
    env = {"https_proxy": f"http://127.0.0.1:{eavesdropper.port}"}
    lines, _ = doctor(ada, env=env)
    one_fault(lines, "tls", r"not trusted.*issued by CN=Reading Along CA,O=Example", "reads along")
    lines, advice = doctor(ada, "scripted", "--ca", eavesdropper.ca, env=env)
    assert lines["tls"][0]["state"] == "warn" and "issued by CN=Reading Along CA,O=Example" in lines["tls"][0]["detail"]
    assert lines["port"][0]["state"] == "ok" and "reads along" in advice
    assert {x["state"] for rows in lines.values() for x in rows} == {"ok", "warn"}  # and so the exit status was 0


# ---- time ----

def test_clock_skew(ada, gateway, eavesdropper):
    """A gateway whose answers have another date."""
    def shifted(by):
        def change(chunk):
            return re.sub(rb"Date: ([^\r]*)", lambda m: b"Date: " + email.utils.format_datetime(
                email.utils.parsedate_to_datetime(m[1].decode()) + by, usegmt=True).encode(), chunk)
        return change
    for by, says in [(datetime.timedelta(hours=3), "behind"), (datetime.timedelta(days=-40), "40 days ahead of|39 days ahead of"),
                     (datetime.timedelta(seconds=-50), None)]:
        p = proxies.Interceptor(eavesdropper.leaf, gateway.ca, shifted(by))
        try:
            lines, advice = doctor(ada, "--ca", eavesdropper.ca, env={"https_proxy": f"http://127.0.0.1:{p.port}"})
            assert lines["clock"][0]["state"] == ("fail" if says else "ok")
            if says:
                assert re.search(says, lines["clock"][0]["detail"]) and "timedatectl" in lines["clock"][0]["hint"] and "clocks" in advice
        finally:
            p.close()


def test_no_date_and_another_server(ada, gateway, eavesdropper):
    p = proxies.Interceptor(eavesdropper.leaf, gateway.ca, lambda chunk: re.sub(rb"Date: [^\r]*\r\n", b"", chunk))
    try:
        lines, _ = doctor(ada, "--ca", eavesdropper.ca, env={"https_proxy": f"http://127.0.0.1:{p.port}"})
        assert lines["clock"][0]["state"] == "warn"
    finally:
        p.close()
    p = proxies.Interceptor(eavesdropper.leaf, gateway.ca, lambda chunk: chunk.replace(b'"caponier"', b'"\\u001b[2J3"'))
    try:
        lines, _ = doctor(ada, "--ca", eavesdropper.ca, env={"https_proxy": f"http://127.0.0.1:{p.port}"})
        assert lines["gateway"][0]["state"] == "fail" and "no Caponier gateway" in lines["gateway"][0]["detail"]
    finally:
        p.close()


def test_the_date_of_an_answer_is_now(gateway):
    r = subprocess.run(["curl", "-sSI", "-X", "GET", "--cacert", gateway.ca, gateway.url + "/v1/version"], capture_output=True, text=True, check=True)
    said = email.utils.parsedate_to_datetime(re.search(r"(?i)^date: (.*)$", r.stdout, re.M)[1])
    assert abs((datetime.datetime.now(datetime.timezone.utc) - said).total_seconds()) < 60


# ---- sign-in and rights ----

def with_tokens(user, tmp_path, **changes):
    """The user's sign-in, altered, in another folder."""
    shutil.copytree(user.dir / "config", tmp_path / "config")
    f = tmp_path / "config/caponier/contexts.json"
    text = f.read_text()
    for key, value in changes.items():
        text, n = re.subn(rf'("{key}"\s*:\s*)("[^"]*"|\d+)', lambda m: m[1] + json.dumps(value), text)
        assert n, (key, text)
    f.write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def test_not_signed_in(ada, gateway, tmp_path):
    lines, advice = doctor(ada, "--ca", gateway.ca, env={"XDG_CONFIG_HOME": str(tmp_path)})
    one_fault(lines, "token", "not signed in", "caponier login")
    assert "caponier login" in advice


def test_expired_token(gateway, tmp_path):
    user = gateway.user("doc@example.test")
    keys = set(re.findall(r'"(\w+)"\s*:', (user.dir / "config/caponier/contexts.json").read_text()))
    expires = next(k for k in keys if "expires" in k.lower())
    refresh = next(k for k in keys if "refresh" in k.lower())
    lines, _ = doctor(user, env=with_tokens(user, tmp_path, **{expires: 1, refresh: "x" * 43}))
    one_fault(lines, "token", "has ended", "caponier login")


def test_missing_role(gateway):
    user = gateway.user("norole@example.test")
    lines, advice = doctor(user, "--target-resource-id", VM + "web1", "--name", "door", "-g", "lab")
    assert {x["state"] for x in lines["roles"]} == {"fail"} and list(lines)[-1] == "roles"
    said = {x["detail"] for x in lines["roles"]}
    assert f"a role is missing: Reader on {BASTION}door" in said and any("/virtualmachines/web1" in x.lower() for x in said), said
    assert advice.startswith("caponier role assign --assignee norole@example.test --role Reader --scope /subscriptions/"), advice
    text = user.run("doctor", "--target-resource-id", VM + "web1", "--name", "door", "-g", "lab", check=1).out
    assert text.splitlines()[-1] == f"Advice: {advice}", text  # it ends in a command, which can be pasted
    lines, _ = doctor(user, "web1")
    one_fault(lines, "roles", "no such", "vm list")


def test_a_closed_port(ada, network):
    lines, _ = doctor(ada, "scripted", "--resource-port", "2299")
    one_fault(lines, "port", "scripted port 2299: .*refused", "start the service")


# ---- can-i --why ----

def test_why_names_each_role_as_a_command_that_mends_it(gateway, admin):
    user = gateway.user("why@example.test")
    asked = ["can-i", "--target-resource-id", VM + "web1", "--name", "door", "-g", "lab", "--why"]
    done = []
    for _ in range(6):
        r = user.run(*asked, "-o", "json")
        if r.code == 0:
            break
        assert r.code == 3 and r.err == "", r
        rows = r.json()["value"]
        assert rows and all(x["role"] == "Reader" and x["scope"] and x["reason"] == "role_missing" for x in rows), rows
        for row in rows:
            words = row["mend"].split()
            assert words[:4] == ["caponier", "role", "assign", "--assignee"]
            admin.ok(*words[1:])
            done.append(row["scope"].lower())
    assert r.code == 0 and r.json()["allowed"] is True
    assert len(set(done)) == 3 and {(BASTION + "door").lower(), (VM + "web1").lower()} < set(done), done


def test_why_without_a_role_that_helps(ada, admin):
    r = ada.run("can-i", "lonely", "--name", "door", "--why")
    assert r.code == 3 and r.err == "" and "peer the machine's network" in r.out and r.out.startswith("Reason"), r
    r = ada.run("can-i", "--target-ip-address", "10.99.0.1", "--why", "-o", "tsv")
    assert r.code == 3 and "add a prefix" in r.out and r.out.count("\n") == 1, r
    assert ada.ok("can-i", "web1", "--why").out == ada.ok("can-i", "web1").out
    other = admin.run("can-i", "web1", "--user", "norole@example.test", "--why")
    assert other.code == 3 and "--assignee norole@example.test" in other.out, other
