"""The pages in a real browser: `make test-browser`. Pictures go to .build/browser; with PICTURES=1 some of them to docs/pictures."""
import hashlib
import os
import shutil
import subprocess
import sys
import time
import traceback

from browser import Browser, Failure
from world import POISON, World, eventually

PICTURES = os.path.abspath(".build/browser")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-b:v", "6M", "-maxrate", "6M", "-bufsize", "6M",
        "-pix_fmt", "yuv420p", "-c:a", "aac")
tests = []


def test(promise):
    def register(function):
        tests.append((promise, function))
        return function
    return register


def expect(condition, what):
    if not condition:
        raise Failure(what)


def badge(page, name):
    return page.run(f"""[...document.querySelectorAll('.row')].find(row => row.querySelector('[data-part=file]').textContent === '{name}')
        ?.querySelector('[data-part=badge]').textContent ?? ''""")


def wait_badge(page, name, text, seconds=30):
    eventually(f"{name} shows {text}, it shows {badge(page, name)!r}", lambda: badge(page, name).startswith(text), seconds)


def row(page, name):
    """Marks the row of a recording, so that a selector finds it."""
    page.run(f"""for (const row of document.querySelectorAll('.row'))
        row.toggleAttribute('data-wanted', row.querySelector('[data-part=file]').textContent === '{name}')""")
    return "[data-wanted]"


def picture(page, name, full=False):
    page.picture(f"{PICTURES}/{name}.png", full)


@test("badges go through online, offline, online and synced; pause, resume and limit work from the page; a failed one tells why")
def badges(browser):
    with World() as world:
        world.start_receiver()
        address = world.start_mount()
        page = browser.page(address)
        page.wait("document.body.classList.contains('connected') && !document.body.classList.contains('readonly')", "live, with the token")
        expect("token" not in page.run("location.href"), "the token is gone from the address")
        page.wait("headline.textContent === 'Nothing has been recorded'", "an empty mount says so")
        for number in range(1, 7):
            world.write(f"interview/take-{number:02}.wav", os.urandom(900_000 * number))
        recorder = world.record("live/camera-a.mkv", 600, *H264)
        sound = world.record("live/lavalier.wav", 600, "-map", "1:a", "-ac", "1", picture="color=size=16x16:rate=1")
        wait_badge(page, "camera-a.mkv", "⇪ ")
        page.wait("getComputedStyle(document.querySelector('[data-state=uploading] > .badge')).animationName === 'pulse'", "blue and pulsing")
        wait_badge(page, "take-06.wav", "✓ SYNCED")

        world.write("drone/flight-03.mov", POISON + os.urandom(2_000_000))
        wait_badge(page, "flight-03.mov", "❌ FAILED")
        wanted = row(page, "flight-03.mov")
        page.hover(f"{wanted} .badge")
        expect("night desk" in page.run(f"document.querySelector('{wanted} .badge').title"), "the error on hover")
        page.click(f"{wanted} .badge")
        page.wait(f"document.querySelector('{wanted} .error')?.textContent.includes('ask the night desk')", "the error in full on click")
        expect(page.run(f"document.querySelector('{wanted} .badge').getAttribute('aria-expanded')") == "true", "said as opened")
        picture(page, "failed")
        page.click(f"{wanted} .badge")

        wanted = row(page, "camera-a.mkv")
        page.click(f"{wanted} [data-part=more]")
        page.wait(f"document.querySelector('{wanted} .map svg').getAttribute('aria-label').includes(' safe')", "the chunk map")
        page.wait("parseFloat(document.getElementById('rate-stored').textContent) > 0", "the throughput")
        # Some chunks to see.
        eventually("chunks", lambda: int(world.attribute("live/camera-a.mkv", "chunks_synced") or 0) > 20, 90)
        picture(page, "mount")
        page.prefer(dark=True)
        picture(page, "mount-dark")
        expect(brightness(page) < 0.2, "dark is dark")
        page.prefer(dark=False)
        expect(brightness(page) > 0.8, "light is light")
        page.click(f"{wanted} [data-part=more]")

        world.stop_receiver()
        wait_badge(page, "camera-a.mkv", "⏸ PAUSED")
        page.wait("connection.textContent.includes('offline') && !trouble.hidden", "offline is said, with the reason")
        picture(page, "offline")
        world.start_receiver()
        wait_badge(page, "camera-a.mkv", "⇪ ")
        page.wait("connection.textContent.includes('online') && trouble.hidden", "online again")

        page.click("#pause-all")
        wait_badge(page, "camera-a.mkv", "⏸ PAUSED")
        eventually("the mount is paused", lambda: "paused: 1" in open(world.mountpoint + "/.status/summary").read())
        page.wait("document.getElementById('pause-all').textContent === 'Resume all'", "the button resumes now")
        page.click("#pause-all")
        wait_badge(page, "camera-a.mkv", "⇪ ")
        wanted = row(page, "lavalier.wav")
        page.click(f"{wanted} .actions [data-part=pause]")
        wait_badge(page, "lavalier.wav", "⏸ PAUSED")
        expect(badge(page, "camera-a.mkv").startswith("⇪"), "only the one is paused")
        page.click(f"{wanted} .actions [data-part=pause]")
        wait_badge(page, "lavalier.wav", "⇪ ")

        page.click("#limit")
        page.type("3M")
        page.key("Enter", text="\r")
        eventually("limited", lambda: "limit: 3145728" in open(world.mountpoint + "/.status/summary").read())
        page.click(f"{row(page, 'lavalier.wav')} [data-part=more]")
        page.run("""(() => { const select = document.querySelector('[data-wanted] [data-part=priority]'); select.value = 'high';
            select.dispatchEvent(new Event('change')); })()""")
        eventually("priority", lambda: world.attribute("live/lavalier.wav", "priority") == "high")
        page.click("#limit")
        page.run("document.getElementById('limit').select()")
        page.type("off")
        page.key("Enter", text="\r")

        world.proxy.refuses = False
        page.click(f"{row(page, 'flight-03.mov')} .actions [data-part=retry]")
        wait_badge(page, "flight-03.mov", "✓ SYNCED")
        recorder.terminate()
        sound.terminate()
        wait_badge(page, "camera-a.mkv", "✓ SYNCED", 60)
        page.wait("headline.textContent === 'Everything is safe'", "all is safe")
        picture(page, "synced")
        expect(page.complaints() == [], f"the console is silent: {page.complaints()}")
        phone(browser, address)
        keyboard(browser, address)
        page.close()


def brightness(page):
    red, green, blue = page.run("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
    return (red + green + blue) / 765


def phone(browser, address):
    page = browser.page(address, 360, 780, scale=2)
    page.wait("document.querySelectorAll('.row').length > 5", "the list")
    page.click(f"{row(page, 'camera-a.mkv')} [data-part=more]")
    page.wait("document.querySelector('.map svg').getAttribute('aria-label').includes(' safe')", "the chunk map")
    for width in (360, 320):
        page.size(width, 780, 2)
        expect(page.run("document.documentElement.scrollWidth") <= width, f"no sideways scrolling at {width} pixels")
    page.size(360, 780, 2)
    page.run("scrollTo(0, 0)")
    picture(page, "phone")
    small = page.run("""[...document.querySelectorAll('.steer button')].filter(node => node.offsetParent)
        .filter(node => node.getBoundingClientRect().height < 36).length""")
    expect(small == 0, "buttons are large enough for a thumb")
    page.prefer(dark=False, reduced=True)
    expect(page.run("getComputedStyle(document.querySelector('.badge')).animationName") == "none", "nothing moves for who wants it so")
    page.close()


def keyboard(browser, address):
    page = browser.page(address)
    page.wait("document.querySelectorAll('.row').length > 5", "the list")
    for _ in range(40):
        page.key("Tab")
        if page.run("document.activeElement.matches('.row .badge')"):
            break
    expect(page.run("document.activeElement.matches('.row:first-child .badge')"), "Tab comes to the first recording")
    expect(page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid", "and shows where it is")
    page.key("Enter", text="\r")
    page.wait("document.querySelector('.row:first-child .details') !== null", "Enter opens its details")
    page.key("/", "Slash", text="/")
    expect(page.run("document.activeElement.id") == "search", "a slash goes to the search")
    page.type("lavalier")
    page.wait("document.querySelectorAll('.row').length === 1", "the search finds one")
    accessible(page)
    page.close()


def accessible(page):
    """What a screen reader is told."""
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    for node in nodes:
        role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value", "")
        if role in ("button", "textbox", "searchbox", "combobox", "progressbar", "link", "image") and not node.get("ignored"):
            expect(name.strip(), f"a {role} has a name: {node}")
    expect(page.run("document.getElementById('announcement').getAttribute('aria-live')") == "polite", "changes are told politely")
    expect(page.run("document.documentElement.lang") == "en", "the language is known")


@test("hundreds of recordings stay smooth, and only what changed is drawn")
def hundreds(browser):
    with World() as world:
        world.start_receiver()
        address = world.start_mount()
        for number in range(400):
            world.write(f"bulk/day-{number // 50}/take-{number:03}.wav", os.urandom(2_000))
        page = browser.page(address)
        page.wait("document.querySelectorAll('.row').length === 400", "all are listed", 60)
        page.wait("headline.textContent === 'Everything is safe'", "all are synced", 120)
        picture(page, "hundreds")
        world.write("bulk/one-more.wav", os.urandom(3_000_000))
        page.run("""window.drawn = 0; new MutationObserver(changes => { window.drawn += changes.length; })
            .observe(document.getElementById('list'), { childList: true, subtree: true, characterData: true, attributes: true })""")
        frames = page.run("""new Promise(done => { const times = []; let last = performance.now(), y = 0;
            function frame(now) { times.push(now - last); last = now; scrollTo(0, y += 60); times.length < 120 ? requestAnimationFrame(frame) : done(times); }
            requestAnimationFrame(frame); })""")
        frames.sort()
        expect(frames[len(frames) // 2] < 50, f"scrolling is smooth: half of the frames take more than {frames[len(frames) // 2]:.0f} ms")
        wait_badge(page, "one-more.wav", "✓ SYNCED")
        drawn = page.run("window.drawn")
        expect(drawn < 400, f"a change of one recording draws no other: {drawn} changes of the list")
        page.run("scrollTo(0, 0)")
        page.click("#search")
        page.type("take-399")
        page.wait("document.querySelectorAll('.row').length === 1", "one is found")
        expect(page.complaints() == [], f"the console is silent: {page.complaints()}")
        page.close()


@test("a page without the token shows everything and steers nothing; one that lost the mount says so, and comes back")
def reading(browser):
    with World() as world:
        world.start_receiver()
        address = world.start_mount()
        world.write("take.wav", os.urandom(1000))
        bare = address.split("#")[0].replace("127.0.0.1", "localhost")
        page = browser.page(bare)
        wait_badge(page, "take.wav", "✓ SYNCED")
        expect(page.run("[...document.querySelectorAll('.steer button')].every(node => node.offsetParent === null)"), "no buttons")
        expect(page.run("fetch('/api/control', { method: 'POST', body: 'pause' }).then(answer => answer.status)") == 401, "refused")
        # The page's process dies: the supervisor brings another.
        process = subprocess.run(["pgrep", "-f", f"page-server --mountpoint {world.mountpoint} "], capture_output=True, text=True, check=True)
        os.kill(int(process.stdout.split()[0]), 9)
        page.wait("document.body.classList.contains('connected')", "it comes back by itself")
        world.write("second.wav", os.urandom(1000))
        wait_badge(page, "second.wav", "✓ SYNCED")
        world.end_mount()
        page.wait("!trouble.hidden && connection.textContent.includes('no answer')", "a mount that has ended is said")
        page.close()


PLAYING = """(() => { const media = document.querySelector('.player video, .player audio');
    return media && !media.error && media.currentTime > %s ? media.currentTime : 0 })()"""


@test("the receiver's page shows recordings while they arrive, and plays them: a running one as far as it has come, and on")
def playing(browser):
    with World() as world:
        receiver = world.start_receiver()
        world.start_mount()
        world.write("take.wav", os.urandom(3_000_000))
        world.write("notes/photo.txt", b"text")
        recorder = world.record("live/program.mkv", 600, *H264)
        page = browser.page(receiver)
        wait_badge(page, "program.mkv", "⇣ ARRIVING")
        wait_badge(page, "take.wav", "✓ COMPLETE")
        before = page.run("document.querySelector('[data-state=receiving] [data-part=amount]').textContent")
        page.wait(f"document.querySelector('[data-state=receiving] [data-part=amount]').textContent !== {before!r}", "it grows while it arrives")
        page.wait("parseFloat(document.querySelector('[data-state=receiving] [data-part=amount]').textContent) > 2", "some of it is there")
        page.click(f"{row(page, 'program.mkv')} [data-part=play]")
        page.wait(PLAYING % 1.5, "a running recording plays")
        picture(page, "receiver-playing")
        first = page.run("document.querySelector('.player video').src")
        page.wait(f"document.querySelector('.player video').src !== {first!r}", "at the end of what had come it takes what has come since", 60)
        expect(page.wait(PLAYING % 1, "and plays on") > 1.5, "from where it was, not from the start")
        recorder.terminate()
        wait_badge(page, "program.mkv", "✓ COMPLETE", 60)
        page.click(f"{row(page, 'program.mkv')} [data-part=play]")
        page.click(f"{row(page, 'program.mkv')} [data-part=play]")
        page.wait(PLAYING % 1, "a finished recording plays")
        page.run("(() => { const media = document.querySelector('.player video'); media.currentTime = media.duration - 2; })()")
        page.wait("document.querySelector('.player video').ended", "to its end, also after a leap")
        page.click(f"{row(page, 'program.mkv')} [data-part=play]")

        world.record("tone.wav", 5, "-map", "1:a", picture="color=size=16x16:rate=1").wait()
        wait_badge(page, "tone.wav", "✓ COMPLETE")
        page.click(f"{row(page, 'tone.wav')} [data-part=play]")
        page.wait(PLAYING % 0.5, "sound plays")
        picture(page, "receiver")
        page.prefer(dark=True)
        picture(page, "receiver-dark")
        page.prefer(dark=False)
        for width in (360, 320):
            page.size(width, 780, 2)
            expect(page.run("document.documentElement.scrollWidth") <= width, f"no sideways scrolling at {width} pixels")
        page.size(360, 780, 2)
        picture(page, "receiver-phone")
        accessible(page)
        expect(page.complaints() == [], f"the console is silent: {page.complaints()}")
        page.close()


@test("files are uploaded by drag and drop; after a reload the same file goes on where it was")
def uploading(browser):
    with World() as world:
        receiver = world.start_receiver()
        page = browser.page(receiver)
        page.wait("!main.hidden", "the page is live")
        file = world.folder + "/archive of 1998.mov"
        content = os.urandom(48 << 20)
        with open(file, "wb") as opened:
            opened.write(content)
        small = world.folder + "/empty.txt"
        open(small, "wb").close()
        page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=6 << 20)
        page.drop("#drop", [file, small])
        wait_badge(page, "empty.txt", "✓ UPLOADED")
        page.wait("""[...document.querySelectorAll('#uploads .badge')].some(node => parseInt(node.textContent.slice(2)) >= 35)""", "a third is there")
        picture(page, "upload")
        page.browser.events.clear()
        page.reload()
        page.wait("!unfinished.hidden && unfinished.textContent.includes('archive of 1998.mov')", "what is unfinished is named")
        page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        page.browser.events.clear()
        page.drop("#drop", [file])
        wait_badge(page, "archive of 1998.mov", "✓ UPLOADED", 60)
        patches = [event["params"]["request"]["headers"].get("Upload-Offset") for event in page.browser.events
                   if event["method"] == "Network.requestWillBeSent" and event["params"]["request"]["method"] == "PATCH"]
        expect(patches and int(patches[0]) >= 8 << 20, f"it went on where it was: {patches}")
        expect(all("Upload-Checksum" in event["params"]["request"]["headers"] for event in page.browser.events
                   if event["method"] == "Network.requestWillBeSent" and event["params"]["request"]["method"] == "PATCH"), "with digests")
        wait_badge(page, "archive of 1998.mov", "✓")
        with open(f"{world.data}/recordings/uploads/archive of 1998.mov", "rb") as stored:
            expect(hashlib.sha256(stored.read()).digest() == hashlib.sha256(content).digest(), "byte by byte the same")
        page.wait("unfinished.hidden", "nothing is unfinished")

        # The receiver goes away in the middle.
        page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=6 << 20)
        again = world.folder + "/second.mov"
        with open(again, "wb") as opened:
            opened.write(content[::-1])
        page.drop("#drop", [again])
        page.wait("""[...document.querySelectorAll('#uploads .row')].some(node => node.textContent.includes('second.mov') && /⇪ [1-9]/.test(node.textContent))""", "it has begun")
        world.receiver.kill()
        world.receiver.wait()
        page.wait("document.getElementById('uploads').textContent.includes('it is tried again')", "a break is said")
        page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        world.start_receiver()
        page.wait("""[...document.querySelectorAll('#uploads .row')].some(node => node.textContent.includes('second.mov') && node.textContent.includes('✓ UPLOADED'))""", "it goes on by itself", 90)
        with open(f"{world.data}/recordings/uploads/second.mov", "rb") as stored:
            expect(stored.read() == content[::-1], "byte by byte the same after the break")
        page.close()


@test("a receiver with a token asks for it, and then plays and uploads as well")
def token(browser):
    with World() as world:
        with open(world.folder + "/token", "w") as file:
            file.write("open-sesame-1234\n")
        os.chmod(world.folder + "/token", 0o600)
        receiver = world.start_receiver("--token-file", world.folder + "/token")
        sound = world.folder + "/tone.wav"
        subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "sine=frequency=300", "-t", "5", sound], check=True)
        page = browser.page(receiver)
        page.wait("!document.getElementById('sign-in').hidden", "the token is asked for")
        picture(page, "token")
        page.type("wrong")
        page.key("Enter", text="\r")
        page.wait("!document.getElementById('token-wrong').hidden", "a wrong one is said")
        page.type("open-sesame-1234")
        page.key("Enter", text="\r")
        page.wait("!main.hidden", "the right one opens")
        page.drop("#drop", [sound])
        page.wait("[...document.querySelectorAll('#devices .row')].some(node => node.textContent.includes('✓ COMPLETE'))", "it is uploaded")
        page.click("#devices .row [data-part=play]")
        page.wait(PLAYING % 0.5, "it plays, with a ticket")
        expect(page.run("""fetch(new URL(document.querySelector('.player audio').src).pathname).then(answer => answer.status)""") == 401, "and not without")
        page.reload()
        page.wait("!main.hidden", "a reload keeps the token")
        expect(page.run("localStorage.length") == 0 and "token" not in page.run("location.href"), "and only this tab has it")
        expect(page.complaints() == [], f"the console is silent: {page.complaints()}")
        page.close()


def main():
    wanted = sys.argv[1:]
    if not wanted:
        shutil.rmtree(PICTURES, ignore_errors=True)
    failures = 0
    for promise, function in tests:
        if wanted and function.__name__ not in wanted:
            continue
        began = time.monotonic()
        try:
            with Browser() as browser:
                function(browser)
            print(f"ok    {promise} ({time.monotonic() - began:.0f} s)", flush=True)
        except Exception:
            failures += 1
            print(f"FAIL  {promise}\n{traceback.format_exc()}", flush=True)
    print(f"pictures: {PICTURES}")
    if os.environ.get("PICTURES") and not failures:
        os.makedirs("docs/pictures", exist_ok=True)
        for name in ("mount", "mount-dark", "phone", "receiver"):
            shutil.copy(f"{PICTURES}/{name}.png", "docs/pictures")
    if failures:
        sys.exit(f"{failures} of the promises did not hold")


main()
