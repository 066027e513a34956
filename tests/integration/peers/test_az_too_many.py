"""An address with a penalty, as Debian's azure-cli shows it."""
import subprocess

from conftest import GROUP_ID
from lab.az import Azure
from lab.gateway import Gateway


def test_too_many_wrong_tokens(network, folder, outside):
    g = Gateway(network, folder / "penalty-gateway", outside=outside).start()
    try:
        g.enrol()
        az = Azure(g, folder / "az-penalty").register()
        url = f"{g.url}{GROUP_ID}?api-version=2021-04-01"
        subprocess.run(g.from_outside("sh", "-c", f"for i in $(seq 60); do curl -s -o /dev/null --cacert {g.ca} "
                                      f"-H 'Authorization: Bearer wrong' '{url}'; done"), check=True, timeout=60)
        r = az.run("rest", "--skip-authorization-header", "--method", "get", "--url", url, "--headers", "Authorization=Bearer wrong", check=1)
        assert "Too Many Requests" in r.err and "TooManyRequests" in r.err and "Traceback" not in r.err, r
    finally:
        g.close()
