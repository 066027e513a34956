"""caponier login with Chromium: its spare connections and its request for an icon included."""
import json

import pytest

from lab.browser import Browser
from lab.gateway import PATIENCE, User
from lab.terminal import OnTerminal, opened, opener


@pytest.fixture
def browser(gateway, outside):
    b = Browser(outside, gateway.state / "tls.pem")
    yield b
    b.close()


@pytest.fixture
def waiting(gateway, tmp_path):
    u = User(gateway, tmp_path / "person")
    return OnTerminal(u, "login", "--ca", gateway.ca, "-o", "json", **opener(u))


def person_page(waiting, browser, ada):
    browser.open(opened(waiting))
    assert "caponier" in browser.text and "127.0.0.1" in browser.text, browser.text
    browser.fill(username="ada@example.test", password=ada.password).press("Sign in")
    return browser


def test_chromium_signs_in(waiting, browser, ada):
    person_page(waiting, browser, ada).press("Approve")
    assert "You can close this window" in browser.text and browser.url.startswith("http://127.0.0.1:")
    assert waiting.end(60 * PATIENCE) == 0, waiting.err
    assert json.loads(waiting.out)["user"] == "ada@example.test"
    assert waiting.user.json("account", "show")["name"] == "ada@example.test"


def test_chromium_brings_a_no(waiting, browser, ada):
    person_page(waiting, browser, ada).press("Deny")
    assert "You can close this window" in browser.text
    assert waiting.end(60 * PATIENCE) == 5 and "sign-in refused" in waiting.err
