"""Debian's chromium, driven over its own protocol (CDP) through a pair of pipes: nothing listens, nothing is installed."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class Failure(Exception):
    """Something is not as a promise says."""


class Browser:
    """One headless browser with a profile of its own; `with Browser() as browser:` ends it."""

    def __init__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            raise Failure("no chromium: apt-get install chromium")
        self.profile = tempfile.mkdtemp(prefix="reelfs-browser-")
        to_browser, from_us = os.pipe()
        to_us, from_browser = os.pipe()

        def pipes():
            # The browser reads commands from descriptor 3 and writes answers to 4.
            high = os.dup2(to_browser, 60), os.dup2(from_browser, 61)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--mute-audio",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars",
             "--force-color-profile=srgb", f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(3, 4, to_browser, from_browser), preexec_fn=pipes, close_fds=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.commands, self.answers = from_us, to_us
        self.buffer = b""
        self.last = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, seconds=30, **parameters):
        """Sends a command and waits for its answer; events that come meanwhile are kept in `events`."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            answer = self.receive(end - time.monotonic())
            if answer is None:
                raise Failure(f"the browser did not answer {method}")
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise Failure(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def receive(self, seconds):
        end = time.monotonic() + max(0, seconds)
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                return None
            part = os.read(self.answers, 1 << 20)
            if not part:
                raise Failure("the browser has ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def page(self, address, width=1180, height=860, dark=False, scale=1, reduced=False):
        return Page(self, address, width, height, dark, scale, reduced)


class Page:
    """One tab."""

    def __init__(self, browser, address, width, height, dark, scale, reduced):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.size(width, height, scale)
        self.prefer(dark, reduced)
        self.open(address)

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def size(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 500)

    def prefer(self, dark, reduced=False):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced else "no-preference"}])

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'", "the page is loaded")

    def reload(self):
        # Marked, so that the old document is not taken for the new one.
        self.run("window.isOld = true")
        # Not waited for: the page may ask whether it is meant, which is answered here.
        self.call("Page.enable")
        self.run("setTimeout(() => location.reload(), 0)")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            event = self.browser.receive(0.2)
            if event is None:
                continue
            self.browser.events.append(event)
            if event.get("method") == "Page.javascriptDialogOpening":
                self.call("Page.handleJavaScriptDialog", accept=True)
            if event.get("method") == "Page.loadEventFired":
                break
        self.wait("!window.isOld && document.readyState === 'complete'", "the page is loaded again")

    def run(self, script):
        """The value of an expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failure(f"{script}: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    def wait(self, condition, what, seconds=30):
        """Until an expression is true. - Returns its value."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = self.run(condition)
            except Failure:
                # Between two documents there is nothing to ask.
                value = None
            if value:
                return value
            if time.monotonic() > end:
                raise Failure(f"not in {seconds} s: {what}\n  {condition}\n  the page says: {self.run('document.body?.innerText ?? null')}")
            # Between two looks.
            time.sleep(0.1)

    def click(self, selector):
        """A real click in the middle of an element."""
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null", f"{selector} is there")
        x, y = self.run(f"""(() => {{ const node = document.querySelector({json.dumps(selector)});
            node.scrollIntoView({{ block: 'center', behavior: 'instant' }}); const box = node.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def hover(self, selector):
        x, y = self.run(f"""(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def key(self, name, code=None, text=None):
        for kind in ("keyDown", "keyUp"):
            parameters = {"type": kind, "key": name, "code": code or name}
            parameters["windowsVirtualKeyCode"] = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}.get(name, ord(name[0].upper()))
            if text and kind == "keyDown":
                parameters["text"] = text
            self.call("Input.dispatchKeyEvent", **parameters)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def drop(self, selector, files):
        """Drops files from outside the browser."""
        x, y = self.run(f"""(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        data = {"items": [], "files": files, "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def picture(self, path, full=False):
        # Moves that have begun are over, so that two pictures of one state are alike.
        # Those of rows outside the window stand still until they are scrolled in: they are not waited for.
        self.run("""Promise.race([new Promise(resolve => setTimeout(resolve, 1500)),
            Promise.allSettled(document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished))]).then(() => 1)""")
        bytes_ = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)["data"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(bytes_))

    def complaints(self):
        """What the browser's console says in red: errors, and refusals of the content security policy."""
        told = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                told.append(details.get("exception", {}).get("description", details["text"]))
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                entry = event["params"]["entry"]
                # Requests that failed while a server was away are part of the tests.
                if entry["source"] != "network":
                    told.append(entry["text"])
        return told

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
