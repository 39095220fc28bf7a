"""A storm of names and attributes, with a model of what must be there."""
import copy, os
from recorder import Recorder
from world import Failure

FILES_MAX = 40
ATTRIBUTE = "user.torture"


class Storm(Recorder):
    """create, mkdir-less renames over and beside, hard links, unlink, setxattr, truncate, append: one at a time.

    The model: names -> number of a file, number -> its bytes and attribute. An operation that the death of the mount
    interrupted has happened or has not: either state is right, and no other.
    """

    def __init__(self, world, name, seed):
        super().__init__(world, name, seed)
        self.model, self.next_model, self.count, self.made = {"names": {}, "files": {}}, None, 0, False

    def at(self, name):
        return self.world.path(f"{self.name}/{name}")

    def step(self):
        if not self.made:
            os.makedirs(self.at(""), exist_ok=True)
            self.made = True
        names = sorted(self.model["names"])
        kinds = ["create"] if not names else ["create", "rename", "over", "link", "unlink", "attribute", "truncate", "append"]
        if len(names) >= FILES_MAX:
            kinds = ["unlink", "over"]
        self.next_model = copy.deepcopy(self.model)
        getattr(self, self.random.choice(kinds))(self.next_model, self.random.choice(names) if names else None)
        self._drop_nameless(self.next_model)
        self.model, self.next_model = self.next_model, None
        self.nap(0.03)

    def _drop_nameless(self, model):
        used = set(model["names"].values())
        model["files"] = {number: file for number, file in model["files"].items() if number in used}

    # Each changes the model first: while its calls run, `model` is what holds if they succeed.
    def new_name(self):
        self.count += 1
        return f"n{self.count}"

    def create(self, model, _):
        name, data = self.new_name(), self.random.randbytes(self.random.randrange(1, 3000))
        model["names"][name], model["files"][self.count] = self.count, {"data": data, "attribute": None}
        file = self.call(f"create {name}", lambda: os.open(self.at(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        try:
            self.call(f"write {name}", lambda: os.write(file, data))
            self.bytes += len(data)
        finally:
            self.close(file)

    def rename(self, model, name):
        new = self.new_name()
        model["names"][new] = model["names"].pop(name)
        self.call(f"rename {name} {new}", lambda: os.rename(self.at(name), self.at(new)))

    def over(self, model, name):
        other = self.random.choice(sorted(model["names"]))
        if model["names"][other] != model["names"][name]:  # Two names of one file: rename(2) does nothing.
            model["names"][other] = model["names"].pop(name)
        self.call(f"rename {name} over {other}", lambda: os.rename(self.at(name), self.at(other)))

    def link(self, model, name):
        new = self.new_name()
        model["names"][new] = model["names"][name]
        self.call(f"link {name} {new}", lambda: os.link(self.at(name), self.at(new)))

    def unlink(self, model, name):
        del model["names"][name]
        self.call(f"unlink {name}", lambda: os.unlink(self.at(name)))

    def attribute(self, model, name):
        value = self.random.randbytes(20).hex().encode()
        model["files"][model["names"][name]]["attribute"] = value
        self.call(f"setxattr {name}", lambda: os.setxattr(self.at(name), ATTRIBUTE, value))

    def truncate(self, model, name):
        file = model["files"][model["names"][name]]
        size = self.random.randrange(0, 4000)
        file["data"] = file["data"][:size].ljust(size, b"\0")
        self.call(f"truncate {name} to {size}", lambda: os.truncate(self.at(name), size), fetches=True)

    def append(self, model, name):
        data = self.random.randbytes(500)
        model["files"][model["names"][name]]["data"] += data
        file = self.call(f"open {name}", lambda: os.open(self.at(name), os.O_WRONLY | os.O_APPEND))
        try:
            self.call(f"append to {name}", lambda: os.write(file, data), fetches=True)
            self.bytes += len(data)
        finally:
            self.close(file)

    def close(self, file):
        try:
            os.close(file)
        except OSError as error:
            if not self.world.dying.is_set():
                raise Failure(f"close: {error}") from error

    # -- what is there
    def difference(self, model):
        """What is in the mount and not in `model`, or the other way; nil if nothing."""
        there = sorted(self.call("list", lambda: os.listdir(self.at(""))))
        if there != sorted(model["names"]):
            return f"names: {sorted(set(there) ^ set(model['names']))} are only on one side"
        for name, number in model["names"].items():
            file = model["files"][number]
            data = self.call(f"read {name}", lambda: open(self.at(name), "rb").read(), fetches=True)
            if data != file["data"]:
                return f"{name}: {len(data)} bytes, not the {len(file['data'])} expected ones"
            attributes = self.call("listxattr", lambda: os.listxattr(self.at(name)))
            value = self.call("getxattr", lambda: os.getxattr(self.at(name), ATTRIBUTE)) if ATTRIBUTE in attributes else None
            if value != file["attribute"]:
                return f"{name}: attribute {value!r}, not {file['attribute']!r}"
        return None

    def after_death(self):
        if not os.path.isdir(self.at("")):
            if self.model["names"]:
                raise Failure("the folder is gone after the death of the mount")
            return
        self.made = True
        candidates = [self.model] + self._halves()
        differences = []
        for model in candidates:
            difference = self.difference(model)
            if difference is None:
                self.model, self.next_model = model, None
                return
            differences.append(difference)
        raise Failure(f"after the death of the mount neither as before nor as after the last step: {differences}")

    def _halves(self):
        """The states between the last one and the one that was being made."""
        if self.next_model is None:
            return []
        after = copy.deepcopy(self.next_model)
        self._drop_nameless(after)
        created = copy.deepcopy(after)  # Created and not yet written.
        for number in set(created["files"]) - set(self.model["files"]):
            created["files"][number]["data"] = b""
        return [after, created]

    def verify(self, copies):
        if difference := self.difference(self.model):
            raise Failure(f"{self.name}: {difference}")
        for name, number in self.model["names"].items():
            copies.bytes(f"{self.name}/{name}", self.model["files"][number]["data"])
