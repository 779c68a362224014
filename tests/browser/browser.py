# SPDX-License-Identifier: GPL-2.0-or-later
"""A headless Chromium, told what to do by its DevTools protocol over a pipe, behind a proxy that reaches
nothing and remembers what was asked of it. Needs no Python package."""
import fcntl
import json
import os
import select
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading
import time

PATIENCE_S = 240  # for one answer: a loaded machine starts Chromium in half a minute


def program():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Proxy(socketserver.ThreadingTCPServer):
    """Takes every request, answers none; asked: the first line of each."""
    daemon_threads = True
    allow_reuse_address = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.server.asked.append(self.rfile.readline(2000).decode(errors="replace").strip())
            self.wfile.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Browser:
    def __init__(self):
        self.proxy = Proxy()
        self.home = tempfile.mkdtemp(prefix="tcptape-browser.")
        its_in, self.to = os.pipe()
        self.back, its_out = os.pipe()
        # DevTools reads 3 and writes 4; away from these before they are made
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (its_in, its_out)]

        def place():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.log = open(os.path.join(self.home, "log"), "w+", encoding="utf-8", errors="replace")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
                 "--disable-extensions", "--no-default-browser-check", "--force-color-profile=srgb",
                 "--proxy-server=http://127.0.0.1:%d" % self.proxy.server_address[1], "--proxy-bypass-list=<-loopback>",
                 "--user-data-dir=" + os.path.join(self.home, "profile"), "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen([program(), *flags], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        preexec_fn=place, pass_fds=(3, 4), start_new_session=True,
                                        env={**os.environ, "HOME": self.home})
        for fd in (its_in, its_out, *ends):
            os.close(fd)
        self.buffer, self.next_id, self.events = b"", 0, []

    def receive(self, until):
        """The next message, or None at that time."""
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.back], [], [], max(until - time.monotonic(), 0))
            data = os.read(self.back, 1 << 16) if ready else b""
            if not data:
                if ready:
                    raise RuntimeError("Chromium ended")
                return None
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while True:
            m = self.receive(until)
            if m is None:
                raise RuntimeError("no answer to " + method)
            if m.get("id") == self.next_id:
                if "error" in m:
                    raise RuntimeError("%s: %s" % (method, m["error"]))
                return m["result"]
            self.events.append(m)

    def wait(self, method):
        until = time.monotonic() + PATIENCE_S
        while not any(e.get("method") == method for e in self.events):
            m = self.receive(until)
            if m is None:
                raise RuntimeError("no " + method)
            self.events.append(m)

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(20)
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.proxy.shutdown()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)


class Page:
    """One tab. What its console said and what it asked for since it was opened: said(), requests()."""

    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(domain + ".enable")

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def open(self, path):
        self.browser.events.clear()
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self.browser.wait("Page.loadEventFired")
        self.settle()

    def settle(self):
        """After two frames everything is laid out, drawn and reported."""
        self.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def js(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in r:
            raise RuntimeError("%s: %s" % (expression[:200], r["exceptionDetails"]))
        return r["result"].get("value")

    def told(self, method):
        return [e["params"] for e in self.browser.events if e.get("method") == method and e.get("sessionId") == self.session]

    def said(self):
        return ([" ".join(str(a.get("value", a.get("description"))) for a in p["args"]) for p in self.told("Runtime.consoleAPICalled")] +
                [p["exceptionDetails"]["text"] for p in self.told("Runtime.exceptionThrown")] +
                [p["entry"]["text"] for p in self.told("Log.entryAdded")])

    def requests(self):
        return [p["request"]["url"] for p in self.told("Network.requestWillBeSent")]

    def look(self, width, height, scheme="light", media=""):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
        time.sleep(0.3)  # the page draws its charts anew 150 ms after a change of size
        self.settle()

    def key(self, key, code=None, text=None, shift=False):
        event = {"key": key, "code": code or key, "modifiers": 8 if shift else 0,
                 "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13}.get(key, 0)}
        if text:
            event["text"] = text
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **{k: v for k, v in event.items() if k != "text"})
