"""A headless Chromium at the end of a pipe: opens a page and tells what it found. No driver, no port."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


LONGEST = 120  # seconds that a browser may take for all it is asked


def found() -> str | None:
    """The browser, where one is installed that starts."""
    return next((path for name in NAMES if (path := shutil.which(name)) and _starts(path)), None)


def _starts(path: str) -> bool:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True)
    return answer.returncode == 0 and "Chrom" in answer.stdout


class Browser:
    """Speaks the DevTools protocol over two pipes: messages end with a zero byte."""

    def __init__(self, writer: RawIOBase | BinaryIO, reader: BinaryIO) -> None:
        self.writer, self.reader, self.count = writer, reader, 0
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and waits for its answer; what happens meanwhile goes to `events`."""
        self.count += 1
        session = {"sessionId": self.session} if hasattr(self, "session") else {}
        self.writer.write(json.dumps({"id": self.count, "method": method, "params": params, **session}).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == self.count:
                assert "error" not in message, message
                return dict(message["result"])

    def open(self, path: Path, width: int, height: int = 800, dark: bool = False, media: str = "") -> None:
        """Loads a file at a width, as a phone does where that is narrow."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.ask("Page.navigate", url=path.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._read()
        self.events = [event for event in self.events if event["method"] != "Page.loadEventFired"]

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def complaints(self) -> list[str]:
        """Errors and warnings of the console so far: blocked styles and missing files are among them."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [json.dumps(event["params"]) for event in self.events if event["method"] in kinds]

    def picture(self, path: Path, whole: bool = False) -> None:
        """A screenshot of what is seen, or of the whole page."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]))

    def pages(self, width: float, height: float) -> int:
        """Pages of paper of a size in inches that it prints on."""
        printed = self.ask("Page.printToPDF", paperWidth=width, paperHeight=height, preferCSSPageSize=True)["data"]
        return len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed)))

    def close(self) -> None:
        """Ends the browser."""
        del self.session
        self.ask("Browser.close")

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self.reader.read(1)) != b"\0":
            assert byte, "the browser is gone"
            text += byte
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message


# Chromium reads its descriptor 3 and writes its descriptor 4; the pipes' own numbers are moved out of the way first.
_LAUNCHER = """
import fcntl, os, sys
pair = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for place, number in zip((3, 4), pair):
    os.dup2(number, place)
os.execv(sys.argv[3], sys.argv[3:])
"""


@contextmanager
def browser(binary: str) -> Iterator[Browser]:
    """A browser, closed at the end."""
    child_reads, we_write = os.pipe()
    we_read, child_writes = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
        ]
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []  # which the superuser cannot have
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, str(child_reads), str(child_writes), binary, *flags, "about:blank"],
            pass_fds=(child_reads, child_writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(child_reads)
        os.close(child_writes)
        watch = threading.Timer(LONGEST, process.kill)
        watch.start()
        with os.fdopen(we_write, "wb", buffering=0) as writer, os.fdopen(we_read, "rb") as reader:
            try:
                yield (one := Browser(writer, reader))
                one.close()
            finally:
                watch.cancel()
                process.terminate()
                process.wait(30)
