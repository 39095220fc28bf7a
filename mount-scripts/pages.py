#!/usr/bin/env python3
"""Pages that are drawn from the program's own help, so that they cannot say anything else than it does.

    pages.py man PROGRAM FOLDER       manual pages: reelfs.1, reelfs-mount.1 …, mount.reelfs.8
    pages.py configuration PROGRAM    docs/CONFIGURATION.md, on standard output
"""
import datetime
import json
import os
import re
import subprocess
import sys
import textwrap


def described(program):
    text = subprocess.run([program, "--experimental-dump-help"], check=True, capture_output=True, text=True).stdout
    root = json.loads(text)["command"]
    root["subcommands"] = [c for c in root.get("subcommands", []) if c["shouldDisplay"] and c["commandName"] != "help"]
    return root


def shown(command):
    return [a for a in command.get("arguments", []) if a["shouldDisplay"]]


def spellings(argument):
    names = sorted(argument["names"], key=lambda name: name["kind"] != "short")
    return [("-" if name["kind"] == "short" else "--") + name["name"] for name in names]


def split_examples(discussion):
    """The text of a command, and its examples, one a line."""
    text, _, examples = discussion.partition("Examples:\n")
    return text.strip(), [line[2:] if line.startswith("  ") else line for line in examples.rstrip().split("\n") if line]


# Manual pages, in mdoc(7).

def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("…", "...")
    return "\\&" + text if text[:1] in (".", "'") else text


def paragraphs(text):
    """New sentence, new line, as mdoc wants it; an empty line is a paragraph."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if lines:
            lines.append(".Pp")
        for sentence in re.split(r"(?<=[.:;])\s+(?=[A-Z])", " ".join(paragraph.split())):
            lines += [escaped(line) for line in textwrap.wrap(sentence, 72, break_long_words=False, break_on_hyphens=False)]
    return lines


def option_list(arguments):
    lines = [".Bl -tag -width Ds"]
    for argument in arguments:
        value = argument["valueName"]
        if argument["kind"] == "positional":
            lines.append(f'.It Ar "{escaped(value)}"')
        else:
            # What follows Fl gets one dash in front.
            item = " , ".join(f"Fl {escaped(name[1:])}" for name in spellings(argument))
            lines.append(f".It {item}" + (f' Ar "{escaped(value)}"' if argument["kind"] == "option" else ""))
        lines += paragraphs(argument.get("abstract", ""))
        if argument.get("defaultValue"):
            lines.append(escaped(f"Default: {argument['defaultValue']}."))
    return lines + [".El"]


def page(name, section, abstract, synopsis, body, others):
    stamp = int(os.environ.get("SOURCE_DATE_EPOCH", datetime.datetime.now().timestamp()))
    date = datetime.datetime.fromtimestamp(stamp, datetime.timezone.utc)
    lines = [
        f".Dd {date:%B} {date.day}, {date.year}", f".Dt {name.upper()} {section}", ".Os", ".Sh NAME", f".Nm {name}",
        f".Nd {escaped(abstract[:1].lower() + abstract[1:].rstrip('.'))}", ".Sh SYNOPSIS",
    ] + synopsis + body
    if others:
        lines.append(".Sh SEE ALSO")
        lines += [f".Xr {other} {number}" + (" ," if index < len(others) - 1 else "") for index, (other, number) in enumerate(others)]
    return "\n".join(lines) + "\n"


FSTAB = r"""
.Sh FSTAB
A line of
.Xr fstab 5
mounts at boot, or with
.Xr mount 8 :
.Bd -literal -offset indent
http://server:8090 /mnt/rec fuse.reelfs defaults,_netdev,nofail,limit=2M 0 0
.Ed
.Pp
The source is a destination;
.Cm none
means a receiver on this machine.
An option
.Ar name Ns = Ns Ar value
or
.Ar name
is the flag of this name; underscores count as dashes.
What is meant for
.Xr mount 8 ,
.Xr systemd.mount 5
or the kernel is accepted and left out.
Root's mounts keep their queue in
.Pa /var/lib/reelfs
and read
.Pa /etc/reelfs/config.yaml
unless
.Cm config Ns = Ns Ar file
says otherwise.
With
.Cm user
an ordinary user may mount the line.
""".strip().split("\n")

SETTINGS = r"""
.Sh ENVIRONMENT
Each setting may also come from a variable: REELFS_ and the flag's name in
capitals, with underscores
.Pq Ev REELFS_UPLOAD_TIMEOUT ,
or from a line of the configuration file
.Pq upload\-timeout: 30 .
A flag wins over a variable, a variable over the file.
.Sh FILES
.Bl -tag -width Ds
.It Pa ~/.config/reelfs/config.yaml
Settings of your mounts.
.It Pa ~/.local/state/reelfs
Recordings that are kept on this machine as plain files, and the journal.
.El
""".strip().split("\n")


UMOUNT = r"""
.Sh DESCRIPTION
Waits until everything in
.Ar mountpoint
is stored at its destination, at most for
.Ar time
.Pq Cm 90 , 15m , 2h ; 10m when left out ,
and unmounts it.
Otherwise it says what is not stored, and the mount stays.
.Sh EXIT STATUS
0: stored and unmounted.
1: a mistake.
3: time was up.
4: something failed or is paused.
""".strip().split("\n")


def manual(program, folder):
    root = described(program)
    pages = [("reelfs", 1)] + [(f"reelfs-{c['commandName']}", 1) for c in root["subcommands"]]

    def write(name, section, text):
        with open(os.path.join(folder, f"{name}.{section}"), "w") as file:
            file.write(text)

    text, examples = split_examples(root["discussion"])
    commands = [".Bl -tag -width Ds"]
    for command in root["subcommands"]:
        commands += [f".It Xr reelfs-{command['commandName']} 1"] + paragraphs(command["abstract"])
    body = [".Sh DESCRIPTION"] + paragraphs(text) + [".Sh COMMANDS"] + commands + [".El"]
    write("reelfs", 1, page("reelfs", 1, root["abstract"], [".Nm", ".Ar command", ".Op Ar arguments ..."], body, sorted(pages[1:])))
    for command in root["subcommands"]:
        name = command["commandName"]
        text, examples = split_examples(command.get("discussion", ""))
        text = text or command["abstract"]
        arguments = shown(command)
        synopsis = [".Nm reelfs", f".Cm {name}"]
        if any(a["kind"] != "positional" for a in arguments):
            synopsis.append(".Op Ar options ...")
        for argument in (a for a in arguments if a["kind"] == "positional"):
            value = escaped(argument["valueName"])
            synopsis.append(f'.Op Ar "{value}"' if argument["isOptional"] else f'.Ar "{value}"')
        body = [".Sh DESCRIPTION"] + paragraphs(text) + [".Pp", "The arguments are:"] + option_list(arguments)
        if name == "mount":
            body += FSTAB + SETTINGS
        if examples:
            body += [".Sh EXAMPLES", ".Bd -literal -offset indent"] + [escaped(line) for line in examples] + [".Ed"]
        write(f"reelfs-{name}", 1, page(f"reelfs-{name}", 1, command["abstract"], synopsis, body, [p for p in pages if p[0] != f"reelfs-{name}"][:1]))
    write("mount.reelfs", 8, page(
        "mount.reelfs", 8, "Mount a recording folder from fstab", [".Nm", ".Ar destination mountpoint", ".Op Fl o Ar option,..."],
        [".Sh DESCRIPTION", "What", ".Xr mount 8", "starts for the types", ".Cm reelfs", "and", ".Cm fuse.reelfs .", "It starts", ".Xr reelfs-mount 1",
         "in the background and returns once the folder can be used."] + FSTAB, [("reelfs-mount", 1)]))
    write("reelfs-umount-safely", 1, page(
        "reelfs-umount-safely", 1, "End a mount once everything is stored", [".Nm", ".Ar mountpoint", ".Op Ar time"], UMOUNT,
        [("reelfs-unmount", 1)]))


# docs/CONFIGURATION.md

CONFIGURATION = """<!-- Generated by `make docs` from the program's own help: do not edit. -->
# Configuration

Every setting of a mount has one name in three spellings. A flag wins over a variable, a variable over the file.

| spelling | for example |
|---|---|
| a flag of `reelfs mount` | `--upload-timeout 30` |
| a variable; an empty one counts as not set | `REELFS_UPLOAD_TIMEOUT=30` |
| a line of `$XDG_CONFIG_HOME/reelfs/config.yaml` (else `~/.config/reelfs/config.yaml`), or of the file after `--config` | `upload-timeout: 30` |
| an option in fstab (see `man mount.reelfs`) | `upload-timeout=30` |

In the file underscores may stand for dashes, a name that is not known is an error, and flags without a value are `true` or `false`.
Sizes are written as `512K`, `2M`, `1.5G` (binary), times as `90`, `90s`, `15m`, `2h`, rates as `2M` (bytes a second) or `off`.
`reelfs mount` says at once what is wrong with a value, and where it came from.
"""


def clean(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def default_of(argument):
    """The default and what is left of the help text without it."""
    text = argument.get("abstract", "")
    found = re.search(r"\s*\bDefault: (.*?)\.(?=\s|$)", text)
    if found:
        return found.group(1), (text[: found.start()] + text[found.end():]).strip()
    if argument.get("defaultValue"):
        return argument["defaultValue"], text
    return ("off" if argument["kind"] == "flag" else ""), text


def configuration(program):
    commands = {c["commandName"]: c for c in described(program)["subcommands"]}
    print(CONFIGURATION)
    print("## Settings of a mount\n\n| in config.yaml | flag | variable | default | what it sets |\n|---|---|---|---|---|")
    print("| `destination` | the first word | `REELFS_DESTINATION` | a receiver on this machine | Where recordings go. |")
    for argument in shown(commands["mount"]):
        if argument["kind"] == "positional":
            continue
        flag = spellings(argument)[-1]
        name = "mount-options" if flag == "-o" else flag[2:]
        if name in ("config", "help", "version"):
            continue
        default, text = default_of(argument)
        variable = "REELFS_" + name.upper().replace("-", "_")
        value = f" {argument['valueName']}" if argument["kind"] == "option" else ""
        print(f"| `{name}` | `{flag}{clean(value)}` | `{variable}` | {clean(default)} | {clean(text)} |")
    print("\n## Flags of the receiver\n\nFor `reelfs receive`; as a service they stand in `/etc/default/reelfs-receive`.\n")
    print("| flag | default | what it sets |\n|---|---|---|")
    for argument in shown(commands["receive"]):
        if argument["kind"] == "positional" or spellings(argument)[-1] in ("--help", "--version"):
            continue
        default, text = default_of(argument)
        value = f" {argument['valueName']}" if argument["kind"] == "option" else ""
        print(f"| `{spellings(argument)[-1]}{clean(value)}` | {clean(default)} | {clean(text)} |")


def main(words):
    if len(words) == 3 and words[0] == "man":
        os.makedirs(words[2], exist_ok=True)
        manual(words[1], words[2])
    elif len(words) == 2 and words[0] == "configuration":
        configuration(words[1])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
