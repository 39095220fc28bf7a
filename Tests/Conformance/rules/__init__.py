"""The list of rules: each a function of a `Place`, with one sentence that says what holds there."""
RULES = []


class Rule:
    def __init__(self, body, sentence, root, differs):
        self.body, self.sentence, self.needs_root, self.differs = body, sentence, root, differs
        self.name = f"{body.__module__.rpartition('.')[2]}.{body.__name__}"


def rule(sentence, root=False, differs=None):
    """Adds a rule to the list.

    root: it makes other users, and needs root for it.
    differs: the sentence of docs/SEMANTICS.md that says how the mount differs, on purpose. Then it must differ.
    """
    def add(body):
        RULES.append(Rule(body, sentence, root, differs))
        return body
    return add
