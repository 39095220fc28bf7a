#!/usr/bin/env python3
"""A recording session of misery against the real program: at its end every byte must be where it belongs.

Several recorders write into one mount at once, with a spool that is much too small, while workers, mounts and receivers
are killed and the network fails. Then the faults stop, and every file must be the same in the mount, at the receiver and
in a shadow copy that was kept outside; also after all of it was evicted and is fetched back. No recorder may have seen an
error but those of a mount that was killed as a whole. The last line is a JSON summary; exit code 1 with kept logs if not.

Environment:
  REELFS       the program                             (.build/release/reelfs)
  MINUTES      how long the faults last                (60)
  SEED         what goes wrong and when                (drawn, and printed; the threads' timing is the machine's)
  TORTURE_DIR  where mount, spool, receiver and shadows lie; some 300 MiB a minute  (the temporary folder)
"""
import json, os, random, shutil, signal, subprocess, sys, tempfile, time
from chaos import Chaos
from copies import Copies
from database import Database
from programs import FORMATS, Film, Robust, Tree, make_source
from storm import Storm
from world import Failure, World, wait_for
from writers import Logger, Patcher

# What is written in an hour through a spool of 64 MiB has to be fetched back once.
QUOTA, DRAIN_SECONDS = "64MiB", 900


def recorders_for(world, seed):
    source = make_source(world.folder)
    films = [Film(world, name, seed, source) for name in FORMATS]
    if Robust.is_possible():
        films.append(Robust(world, "robust", seed))
    return films + [
        Patcher(world, "patcher", seed), Logger(world, "logger", seed), Storm(world, "storm", seed),
        Tree(world, "rsync", seed), Database(world, "wal", seed, "WAL"), Database(world, "rollback", seed, "DELETE")]


def stop_if_failed(world):
    if world.failures:
        raise Failure("; ".join(world.failures))


def rage(world, recorders, seed, seconds):
    chaos, end = Chaos(world, recorders, seed, seconds), time.monotonic() + seconds
    while time.monotonic() < end:
        chaos.turn()
        stop_if_failed(world)
        time.sleep(0.02)
    chaos.heal()
    world.stopping.set()
    wait_for("every recorder has ended", lambda: not any(recorder.is_alive() for recorder in recorders))
    stop_if_failed(world)


def settle(world):
    world.command("retry", "--force", world.mnt)
    wait_for("all is synced", lambda: os.getxattr(world.mnt, "user.sync.status") == b"synced", DRAIN_SECONDS, 0.2)


def compare(world, recorders):
    """In the mount as it is, then as the receiver gives it back."""
    for evicted in (False, True):
        if evicted:
            world.command("evict", world.mnt)
            wait_for("the spool is almost empty", lambda: is_almost_empty(world))
        copies = Copies(world)
        for recorder in recorders:
            recorder.verify(copies)
        copies.nothing_else()
    return copies


def is_almost_empty(world):
    """An evicted file still has blocks for its attributes and for what was punched out."""
    total = count = 0
    for folder, _, names in os.walk(os.path.join(world.state, "recordings")):
        total += sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for name in names)
        count += len(names)
    return total < (8 << 20) + count * (16 << 10)


def end(world):
    """Unmounts once all is stored, and lets the receiver read every byte again."""
    world.command("unmount", world.mnt, "--wait", "--timeout", "120")
    world.receiver.send_signal(signal.SIGTERM)
    if code := world.receiver.wait(60):
        raise Failure(f"the receiver ended with {code}: see receiver.log")
    done = world.command("receive", "--verify", "--data", world.data)
    return done.stdout.strip().splitlines()[-1:]


def clean_up(world, keep):
    for process in (world.mount, world.receiver):
        if process and process.poll() is None:
            process.kill()
            process.wait()
    world.dying.set()
    world.nobody_serves()
    subprocess.run(["umount", "-l", world.mnt], stderr=subprocess.DEVNULL)
    if not keep and not os.path.ismount(world.mnt):
        shutil.rmtree(world.folder)


def asked_to_end(number, frame):
    raise Failure("asked to end before its time")


def main():
    minutes = float(os.environ.get("MINUTES") or 60)
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    reelfs = os.path.abspath(os.environ.get("REELFS") or ".build/release/reelfs")
    world = World(reelfs, tempfile.mkdtemp(prefix="reelfs-torture-", dir=os.environ.get("TORTURE_DIR")), QUOTA, seed)
    summary = {"seed": seed, "minutes": minutes, "result": "failed"}
    print(f"torture: seed {seed}, {minutes:g} minutes, in {world.folder}", flush=True)
    recorders, begun = [], time.monotonic()
    signal.signal(signal.SIGTERM, asked_to_end)
    try:
        world.start_receiver()
        world.start_mount()
        recorders = recorders_for(world, seed)
        for recorder in recorders:
            recorder.start()
        rage(world, recorders, seed, minutes * 60)
        settle(world)
        summary["drained_s"] = round(time.monotonic() - begun - minutes * 60, 1)
        copies = compare(world, recorders)
        summary |= {"files": len(copies.files), "compared_bytes": copies.bytes_compared, "verify": end(world)}
        summary["result"] = "passed"
    except (Failure, OSError, subprocess.SubprocessError, KeyboardInterrupt) as failure:
        print(f"torture: FAILED after {time.monotonic() - begun:.1f} s: {failure}\n"
              f"torture: the latest faults: {', '.join(world.latest)}\n"
              f"torture: logs, spool, receiver and shadows are kept in {world.folder}", file=sys.stderr, flush=True)
    failed = summary["result"] == "failed"
    clean_up(world, keep=failed)
    summary |= {
        "kills": world.kills, "recorders": {recorder.name: recorder.bytes for recorder in recorders},
        "written_bytes": sum(recorder.bytes for recorder in recorders),
        "longest_stall_s": {recorder.name: round(recorder.longest, 2) for recorder in recorders if recorder.longest},
        "unreachable": sum(recorder.unreachable for recorder in recorders)}
    print(json.dumps(summary), flush=True)
    # Threads that hang in a dead mount must not keep the program.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
