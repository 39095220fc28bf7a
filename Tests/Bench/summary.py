"""Medians over the runs, and ratios to the peers that set the mark."""
import json, statistics

MARK = {"reelfs": "passthrough_ll", "rclone": "passthrough_ll", "reelfs_writeback": "passthrough_ll_writeback"}
# measure, figure, what tells several lines of one measure apart
FIGURES = (
    ("write", "MBps", "bs"), ("write", "synced_s", "bs"), ("write", "synced_of_write", "bs"),
    ("write", "last_byte_to_synced_s", "bs"), ("write", "daemon_cpu_s", "bs"), ("write", "daemon_peak_rss_mib", "bs"),
    ("write", "server_cpu_s", "bs"), ("write", "server_peak_rss_mib", "bs"), ("read", "MBps", None),
    ("files", "create_s", None), ("files", "list_s", None), ("files", "synced_s", None), ("names", "list_s", None), ("lag", "p50_ms", None),
    ("lag", "p99_ms", None), ("closing", "p50_ms", None), ("closing", "p99_ms", None), ("outage", "p50_ms", "phase"),
    ("outage", "p999_ms", "phase"), ("outage", "p999_of_quiet", "phase"), ("outage", "max_ms", "phase"), ("sessions", "synced_s", None),
    ("sessions", "daemon_peak_rss_mib", None), ("idle", "daemon_cpu_s", None), ("turns", "times", "kind"))
# Compared with the mark of the same run, or with this peer: whatever else the machine does meets both.
COMPARED = {
    ("write", "MBps"): None, ("read", "MBps"): None, ("files", "create_s"): None, ("files", "list_s"): None,
    ("names", "list_s"): None, ("write", "synced_s"): "rclone", ("files", "synced_s"): "rclone"}


def summarize(results):
    """Prints one line for each peer, figure and kind: median, least and greatest over the runs, and the ratio to the mark."""
    for peer in dict.fromkeys(result["peer"] for result in results):
        for measure, figure, key in FIGURES:
            lines = [line for line in results if line["peer"] == peer and line["measure"] == measure and figure in line]
            for kind in dict.fromkeys(line[key] if key else None for line in lines):
                values = [line[figure] for line in lines if not key or line[key] == kind]
                summary = dict(
                    peer=peer, measure="summary", of=measure, figure=figure, kind=kind, median=round(statistics.median(values), 3),
                    least=min(values), greatest=max(values), runs=len(values))
                if (measure, figure) in COMPARED and (mark := COMPARED[measure, figure] or MARK.get(peer)):
                    if (base := median(results, mark, measure, figure, key, kind)):
                        summary["ratio"] = round(summary["median"] / base, 2)
                print(json.dumps(summary), flush=True)


def median(results, peer, measure, figure, key, kind):
    values = [
        line[figure] for line in results
        if line["peer"] == peer and line["measure"] == measure and figure in line and (not key or line[key] == kind)]
    return statistics.median(values) if values else None
