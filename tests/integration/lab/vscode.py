"""What VS Code Remote does with ssh: one `ssh -T` with -D and a control socket, several channels over it, no terminal anywhere."""
import socket
import subprocess

from . import net
from .gateway import eventually


def go(user, config, host, control, address, meanwhile):
    """Through `host` of the configuration to its own sshd at `address`; `meanwhile` is called while all of it runs."""
    port = net.free_port()
    ssh = ["ssh", "-F", str(config), "-o", f"ControlPath={control}"]
    master = subprocess.Popen([*ssh, "-T", "-D", str(port), "-o", "ControlMaster=yes", host, "cat"], env=user.env,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        eventually(lambda: control.exists() or master.poll() is not None, what="the control socket")
        assert master.poll() is None, master.stderr.read()
        for i in range(5):
            r = subprocess.run([*ssh, host, f"echo {i}"], env=user.env, capture_output=True, text=True, timeout=60)
            assert r.stdout == f"{i}\n", r.stderr
        master.stdin.write(b"line\n")
        master.stdin.flush()
        assert master.stdout.readline() == b"line\n"
        with socket.create_connection(("127.0.0.1", port), 20) as s:  # SOCKS5 to the machine's own sshd
            s.sendall(b"\5\1\0")
            assert s.recv(2) == b"\5\0"
            s.sendall(b"\5\1\0\1" + socket.inet_aton(address) + b"\0\x16")
            assert s.recv(10)[:2] == b"\5\0" and s.recv(4) == b"SSH-"
        meanwhile()
    finally:
        master.stdin.close()
        assert master.wait(20) == 0
        master.stdout.close()
        master.stderr.close()
