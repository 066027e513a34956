"""Chromium, headless, with an empty profile, where the gateway's users are."""
import base64
import shutil
import subprocess
import tempfile

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

# It resolves nothing but the gateway's names, so that what its vendor built in reaches nobody.
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--host-resolver-rules=MAP bastion.example.org 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
            "--window-size=1000,800"]


def spki_pin(certificate):
    """SHA-256 of a certificate's public key, as --ignore-certificate-errors-spki-list wants it."""
    import hashlib
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Browser:
    """One person's browser, in the namespace `ns`; it accepts the key of `certificate` and no other stranger."""

    def __init__(self, ns, certificate):
        self.ns = ns
        self.profile = tempfile.mkdtemp(prefix="caponier-chromium-", dir="/var/tmp")
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for s in [*SWITCHES, f"--user-data-dir={self.profile}", f"--ignore-certificate-errors-spki-list={spki_pin(certificate)}"]:
            options.add_argument(s)
        self.driver = ns.call(lambda: webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options))

    def open(self, url):
        self.ns.call(lambda: self.driver.get(url))
        return self

    def fill(self, **fields):
        """Type into the fields of these names."""
        for name, text in fields.items():
            box = self._element(By.NAME, name)
            self.ns.call(box.clear)
            self.ns.call(lambda box=box, text=text: box.send_keys(text))
        return self

    def press(self, words):
        """Press the button with these words and wait for the next page."""
        button = self._element(By.XPATH, f"//button[normalize-space()='{words}']")
        self.ns.call(button.click)
        self.ns.call(lambda: WebDriverWait(self.driver, 20).until(lambda d: _is_gone(button)))
        return self

    def _element(self, how, what):
        return self.ns.call(lambda: WebDriverWait(self.driver, 20).until(lambda d: d.find_element(how, what)))

    @property
    def text(self):
        return self._element(By.TAG_NAME, "body").text

    @property
    def url(self):
        return self.driver.current_url

    def picture(self, path):
        self.ns.call(lambda: self.driver.save_screenshot(str(path)))

    def close(self):
        self.ns.call(self.driver.quit)
        shutil.rmtree(self.profile, ignore_errors=True)


def _is_gone(element):
    try:
        element.is_enabled()
        return False
    except WebDriverException:  # stale, or of no document in the moment of the change
        return True
