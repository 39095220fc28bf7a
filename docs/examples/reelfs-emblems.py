"""Emblems in GNOME Files (nautilus-python 4) for recordings in a reelfs mount, from the attribute user.sync.status.

Copy it to ~/.local/share/nautilus-python/extensions/. Files asks for each file that it shows; a file in no reelfs mount has no such
attribute and gets no emblem. While a folder is open, what is not synced is asked again every two seconds.
"""
import os

from gi.repository import GLib, GObject, Nautilus

EMBLEMS = {
    b"synced": "emblem-default",  # a check mark
    b"uploading": "emblem-synchronizing",
    b"paused": "emblem-important",
    b"failed": "emblem-unreadable",
}
SECONDS = 2


def attribute(path, name):
    try:
        return os.getxattr(path, f"user.sync.{name}")
    except OSError:
        return None


class ReelfsEmblems(GObject.GObject, Nautilus.InfoProvider, Nautilus.ColumnProvider):
    def get_columns(self):
        return (Nautilus.Column(name="reelfs::badge", attribute="reelfs_badge", label="Upload", description="Badge of a recording"),)

    def update_file_info(self, file):
        path = file.get_location().get_path()
        status = attribute(path, "status") if path else None
        if status is None:
            return
        if emblem := EMBLEMS.get(status):
            file.add_emblem(emblem)
        file.add_string_attribute("reelfs_badge", (attribute(path, "badge") or b"").decode())
        if status != b"synced":
            # False: once; Files asks anew for what was invalidated.
            GLib.timeout_add_seconds(SECONDS, lambda: file.invalidate_extension_info() and False)
