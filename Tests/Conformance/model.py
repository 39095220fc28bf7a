"""A folder as it should be: names, nodes and open files in memory, and the outcome of every operation on them."""
import os

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
NOREPLACE, EXCHANGE = 1, 2


class Node:
    def __init__(self, is_folder, how=0o644):
        self.is_folder, self.mode, self.names = is_folder, how, 0
        self.entries, self.data, self.attributes = {}, bytearray(), {}


def possible(how):
    """A mode as it is set: the model knows no permissions, so nobody but root takes his own away."""
    return how if os.geteuid() == 0 else how | 0o700


class Refused(Exception):
    """The operation ends with this errno's name."""


class Model:
    """One method an operation, named as it is in the list of operations. Each returns what a program sees."""

    def __init__(self):
        self.root = Node(True, 0o755)
        self.handles = {}  # slot: (node, flags)

    # -- finding
    def _folder(self, path):
        """The folder that holds the last name of `path`, and that name."""
        *way, name = path.split("/")
        node = self.root
        for step in way:
            node = node.entries.get(step)
            if node is None:
                raise Refused("ENOENT")
            if not node.is_folder:
                raise Refused("ENOTDIR")
        return node, name

    def _node(self, path):
        folder, name = self._folder(path)
        if name not in folder.entries:
            raise Refused("ENOENT")
        return folder.entries[name]

    def _open(self, slot, access=None):
        if slot not in self.handles:
            return None, 0
        node, flags = self.handles[slot]
        how = flags & os.O_ACCMODE
        if access == "read" and how == os.O_WRONLY or access == "write" and how == os.O_RDONLY:
            raise Refused("EBADF")
        return node, flags

    # -- names
    def _add(self, folder, name, node):
        folder.entries[name] = node
        node.names += 1

    def _drop(self, folder, name):
        folder.entries.pop(name).names -= 1

    def mkdir(self, path):
        folder, name = self._folder(path)
        if name in folder.entries:
            raise Refused("EEXIST")
        self._add(folder, name, Node(True, 0o755))

    def rmdir(self, path):
        node = self._node(path)
        if not node.is_folder:
            raise Refused("ENOTDIR")
        if node.entries:
            raise Refused("ENOTEMPTY")
        self._drop(*self._folder(path))

    def unlink(self, path):
        if self._node(path).is_folder:
            raise Refused("EISDIR")
        self._drop(*self._folder(path))

    def link(self, path, new_path):
        node = self._node(path)
        folder, name = self._folder(new_path)
        if name in folder.entries:
            raise Refused("EEXIST")
        if node.is_folder:
            raise Refused("EPERM")
        self._add(folder, name, node)

    def rename(self, path, new_path, flags):
        (folder, name), (new_folder, new_name) = self._folder(path), self._folder(new_path)
        node, target = folder.entries.get(name), new_folder.entries.get(new_name)
        if node is None or flags == EXCHANGE and target is None:
            raise Refused("ENOENT")
        if flags == NOREPLACE and target is not None:
            raise Refused("EEXIST")
        if new_path.startswith(path + "/"):
            raise Refused("EINVAL")
        if path.startswith(new_path + "/"):
            raise Refused("EINVAL" if flags == EXCHANGE else "ENOTEMPTY")
        if node is target:
            return
        if flags == EXCHANGE:
            folder.entries[name], new_folder.entries[new_name] = target, node
            return
        if target is not None:
            if node.is_folder != target.is_folder:
                raise Refused("ENOTDIR" if node.is_folder else "EISDIR")
            if target.entries:
                raise Refused("ENOTEMPTY")
            self._drop(new_folder, new_name)
        self._add(new_folder, new_name, node)
        self._drop(folder, name)

    def list(self, path):
        node = self._node(path) if path else self.root
        if not node.is_folder:
            raise Refused("ENOTDIR")
        return sorted(node.entries)

    def stat(self, path):
        node = self._node(path)
        if node.is_folder:
            return "folder", node.mode, 2 + sum(entry.is_folder for entry in node.entries.values())
        return "file", node.mode, node.names, len(node.data)

    def chmod(self, path, how):
        self._node(path).mode = possible(how)

    def setxattr(self, path, name, value):
        self._node(path).attributes[name] = value

    def getxattr(self, path, name):
        attributes = self._node(path).attributes
        if name not in attributes:
            raise Refused("ENODATA")
        return attributes[name]

    # -- open files
    def open(self, slot, path, flags):
        self.close(slot)
        folder, name = self._folder(path)
        node = folder.entries.get(name)
        if node is None:
            if not flags & os.O_CREAT:
                raise Refused("ENOENT")
            node = Node(False)
            self._add(folder, name, node)
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise Refused("EEXIST")
        elif node.is_folder:
            raise Refused("EISDIR")
        if flags & os.O_TRUNC:
            del node.data[:]
        self.handles[slot] = node, flags

    def close(self, slot):
        self.handles.pop(slot, None)

    def fstat(self, slot):
        node, _ = self._open(slot)
        return node and (node.names, len(node.data), node.mode)

    def _place(self, node, offset, content):
        if offset > len(node.data):
            node.data.extend(bytes(offset - len(node.data)))
        node.data[offset:offset + len(content)] = content

    def write(self, slot, offset, content):
        node, flags = self._open(slot, "write")
        if node:
            self._place(node, len(node.data) if flags & os.O_APPEND else offset, content)
            return len(content)

    def map(self, slot, offset, content):
        node, flags = self._open(slot)
        if node and flags & os.O_ACCMODE == os.O_RDWR and offset + len(content) <= len(node.data):
            self._place(node, offset, content)

    def read(self, slot, offset, count):
        node, _ = self._open(slot, "read")
        if node:
            return bytes(node.data[offset:offset + count])

    def _resize(self, node, size):
        if size < len(node.data):
            del node.data[size:]
        else:
            node.data.extend(bytes(size - len(node.data)))

    def truncate(self, path, size):
        node = self._node(path)
        if node.is_folder:
            raise Refused("EISDIR")
        self._resize(node, size)

    def ftruncate(self, slot, size):
        node, flags = self._open(slot)
        if node:
            if flags & os.O_ACCMODE == os.O_RDONLY:
                raise Refused("EINVAL")
            self._resize(node, size)

    def fallocate(self, slot, how, offset, count):
        node, _ = self._open(slot, "write")
        if not node:
            return
        end = offset + count
        if how & (PUNCH_HOLE | ZERO_RANGE) and offset < len(node.data):
            last = min(end, len(node.data))
            node.data[offset:last] = bytes(last - offset)
        if not how & KEEP_SIZE and end > len(node.data):
            self._resize(node, end)

    def copy(self, slot, other, offset, new_offset, count):
        if slot not in self.handles or other not in self.handles:
            return
        node, _ = self._open(slot, "read")
        target, flags = self._open(other, "write")
        if flags & os.O_APPEND:
            raise Refused("EBADF")
        count = min(count, max(0, len(node.data) - offset))
        if node is target and new_offset + count > offset and new_offset < offset + count:
            raise Refused("EINVAL")
        if count:
            self._place(target, new_offset, bytes(node.data[offset:offset + count]))
        return count

    def fsync(self, slot):
        pass

    # -- trouble, of which nothing is seen
    def kill(self):
        pass

    def evict(self):
        pass

    # -- the whole
    def tree(self):
        """Every path with what can be seen of it but its content."""
        found = {}

        def walk(folder, path):
            for name, node in folder.entries.items():
                found[path + name] = self.stat(path + name)
                if node.is_folder:
                    walk(node, path + name + "/")
        walk(self.root, "")
        return found

    def files(self):
        return {path: bytes(self._node(path).data) for path, facts in self.tree().items() if facts[0] == "file"}
