"""A refusal reaches the person: through our tunnel ssh and scp print the reason, the tunnel prints it once."""
import re
import subprocess

from conftest import GROUP_ID, VM
from lab.gateway import eventually, every_record
from lab.ssh import OPTIONS, scp


def test_ssh_and_scp_print_the_reason(gateway, sshd, tmp_path):
    u = gateway.user("carol@example.test")
    a = gateway.admin.json("role", "assign", "--assignee", "carol@example.test", "--role", "Reader", "--scope", GROUP_ID)["id"]
    with u.tunnel("--name", "door", "web1") as t:
        gateway.admin.ok("role", "remove", "--ids", a)
        noisy = [o for o in OPTIONS if o not in ("LogLevel=ERROR",)]
        argv = ["ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(sshd.key)]
        for _ in range(3):
            r = subprocess.run([*argv, "-p", str(t.port), "guest@127.0.0.1", "true"], capture_output=True, text=True, timeout=30,
                               stdin=subprocess.DEVNULL)
            assert r.returncode == 255
            assert "Reader" in r.stderr, r.stderr
        f = tmp_path / "f"
        f.write_text("x")
        r = subprocess.run(["scp", *argv[1:], "-P", str(t.port), str(f), "guest@127.0.0.1:f"], capture_output=True, text=True,
                           timeout=30, stdin=subprocess.DEVNULL)
        assert r.returncode != 0 and "Reader" in r.stderr
        eventually(lambda: "decision: " in t.stderr(), what="the tunnel says it")
        # Once, not once a connection: four were refused alike.
        assert t.stderr().count("refused:") == 1 and t.stderr().count("decision: ") == 1, t.stderr()
        assert t.process.poll() is None  # it keeps listening
        b = gateway.admin.json("role", "assign", "--assignee", "carol@example.test", "--role", "Reader", "--scope", GROUP_ID)["id"]
        r = subprocess.run([*argv, "-p", str(t.port), "guest@127.0.0.1", "echo again"], capture_output=True, text=True, timeout=30)
        assert r.stdout == "again\n"
        gateway.admin.ok("role", "remove", "--ids", b)


def test_refused_at_start_exits_3(gateway):
    u = gateway.user("mallory@example.test")
    r = u.run("tunnel", "--name", "door", "--resource-group", "lab", "--target-resource-id", VM + "web1", "--port", 0)
    assert r.code == 3
    assert r.err.count("Reader on") >= 2 and VM.lower() in r.err.lower()
    assert r.err.count("refused:") == 1 and len(set(r.err.splitlines())) == len(r.err.splitlines()), r.err
    # What the person quotes is what the record has.
    (decision,) = re.findall("decision: ([0-9a-f-]{36})", r.err)
    record = eventually(lambda: [e for e in every_record(gateway.admin) if e.get("decisionId") == decision], 15, "the refusal is on record")[0]
    assert record["operationName"] == "session.refused" and record["userEmail"] == "mallory@example.test", record


def test_asking_whether_one_may_leaves_no_refusal(gateway):
    u = gateway.user("curious@example.test")
    r = u.run("can-i", "--name", "door", "--target-resource-id", VM + "web1", "-o", "json")
    assert r.code == 3 and "decisionId" not in r.out
    assert not [e for e in every_record(gateway.admin) if e.get("userEmail") == "curious@example.test" and e["operationName"] == "session.refused"]


def test_target_that_refuses(gateway, network):
    import socket
    with gateway.admin.tunnel("--name", "door", "scripted", "--resource-port", 2022) as t:
        c = socket.create_connection(("127.0.0.1", t.port))
        c.sendall(b"SSH-2.0-me\r\n")
        c.settimeout(20)
        got = b""
        try:
            while chunk := c.recv(4096):
                got += chunk
        except ConnectionError:
            pass
        assert b"refused the connection" in got
        eventually(lambda: "refused the connection" in t.stderr(), what="said on standard error")
        assert t.stderr().count("refused:") == 1, t.stderr()
