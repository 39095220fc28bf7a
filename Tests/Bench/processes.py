"""Other processes: waiting for them, and what they use."""
import os, socket, time

MIB = 1 << 20
HZ = os.sysconf("SC_CLK_TCK")


def wait_for(what, condition, seconds=30, every=0.01):
    """The first truthy answer of `condition`; ends the program after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
        except OSError:
            pass
        time.sleep(every)
    raise RuntimeError(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def peak_bytes(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))


def reset_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")


def children(pid):
    found = []
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/stat") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(other))
        except (OSError, IndexError, ValueError):
            pass
    return found


class Meter:
    """CPU and peak memory of the two processes of a peer, from its making to `read`."""

    def __init__(self, peer):
        self.roles = {"daemon": peer.daemon(), "server": peer.server_pid()}
        self.roles = {role: pid for role, pid in self.roles.items() if pid}
        for pid in self.roles.values():
            reset_peak(pid)
        self.before = {role: cpu_seconds(pid) for role, pid in self.roles.items()}

    def read(self):
        figures = {}
        for role, pid in self.roles.items():
            figures[f"{role}_cpu_s"] = round(cpu_seconds(pid) - self.before[role], 2)
            figures[f"{role}_peak_rss_mib"] = round(peak_bytes(pid) / MIB, 1)
        return figures
