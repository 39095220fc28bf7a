"""Short bursts into mounts that are all there at once, in turn: what else the machine does meets all of them."""
import os, shutil, time
from data import MIB, write_all
from measures import BLOCK_SIZES, SYNC_SECONDS_MAX, make_files, report
from processes import wait_for

# Bytes of a burst, or files of 16 KiB.
BURSTS = {"1M": 256 * MIB, "128K": 64 * MIB, "4K": 16 * MIB, "files": 500}


def turns(ours, marks, labels, rounds, is_paused=False):
    """Reports what `ours` needed as multiples of what each mark needed in the same round."""
    peers = [ours, *marks]
    if is_paused:
        ours.control("pause")
    for round_ in range(1, rounds + 1):
        for label in labels:
            first = round_ % len(peers)
            seconds = {peer: burst(peer, label, round_, is_paused) for peer in peers[first:] + peers[:first]}
            for mark in marks:
                report(
                    ours.name, "turns", kind=kind(label, mark.name, is_paused), round=round_,
                    times=round(seconds[ours] / seconds[mark], 3))


def kind(label, mark, is_paused=False):
    return f"{label} of {mark}" + (" paused" if is_paused else "")


def burst(peer, label, round_, is_paused):
    """Seconds for it. Returns when nothing of it is on its way any more."""
    name, count, size = f"turn-{round_}-{label}", BURSTS[label], 16 << 10
    if label == "files":
        os.mkdir(peer.path(name))
        start = time.monotonic()
        make_files(peer.path(name), count, size, round_)
        seconds = time.monotonic() - start
        is_synced = lambda: peer.has_all(name, count, size)
    else:
        start, written, _ = write_all(peer.path(name), count, BLOCK_SIZES[label], round_)
        seconds = written - start
        is_synced = lambda: peer.is_synced(name, count)
    if peer.synchronizes and not is_paused:
        wait_for(f"{name} is synced", is_synced, SYNC_SECONDS_MAX)
    shutil.rmtree(peer.path(name)) if label == "files" else os.unlink(peer.path(name))
    return seconds
