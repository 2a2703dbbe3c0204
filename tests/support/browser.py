"""A headless Chromium, driven over its DevTools protocol."""

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--hide-scrollbars", "--remote-debugging-port=0"),
    "--remote-allow-origins=*",
)


class Browser:
    """One page of it."""

    def __init__(self, socket: Any) -> None:  # websocket-client has no types
        self._socket, self._last = socket, 0
        self.complaints: list[str] = []
        """Errors of the console, exceptions and requests to the network, as they come."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What a method of the protocol answers."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        name, about = event["method"], event["params"]
        if name == "Runtime.exceptionThrown":
            self.complaints.append(str(about["exceptionDetails"]))
        elif name == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.complaints.append(about["entry"]["text"])
        elif name == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
            self.complaints.append(str(about["args"]))
        elif name == "Network.requestWillBeSent" and about["request"]["url"].startswith("http"):
            self.complaints.append(about["request"]["url"])

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, file: Path) -> None:
        """Open a page and wait until it is loaded."""
        self.call("Page.navigate", url=file.resolve().as_uri())
        self.wait_for("document.readyState == 'complete'")

    def wait_for(self, condition: str, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(f"!!({condition})"):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def prefer(self, scheme: str) -> None:
        """Ask for `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """What is seen, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))

    def print(self, file: Path) -> None:
        """The page as PDF."""
        file.write_bytes(base64.b64decode(self.call("Page.printToPDF")["data"]))


@contextlib.contextmanager
def chromium(program: str, profile: Path) -> Iterator[Browser]:
    """A browser with a new profile; it ends with the context."""
    from websocket import create_connection

    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port_file = profile / "DevToolsActivePort"
            end = time.monotonic() + 60
            while not port_file.exists() or not port_file.read_text().strip():
                assert process.poll() is None and time.monotonic() < end, "it does not start"
                time.sleep(0.05)
            port = port_file.read_text().split()[0]
            with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                (page,) = [each for each in json.load(answer) if each["type"] == "page"]
            socket = create_connection(page["webSocketDebuggerUrl"], timeout=120)
            with contextlib.closing(socket):
                yield Browser(socket)
        finally:
            process.terminate()
