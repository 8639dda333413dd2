#!/usr/bin/env python3
"""Manual pages made from the argument parser, so that they cannot differ from --help: feedd.1, and feedd-COMMAND.1 for each command,
feedd-COMMAND-SUBCOMMAND.1 for each of a command's own.

    scripts/man.py PROGRAM FOLDER
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

EXITS = [
    ("0", "done"),
    ("1", "the service said no; status found it degraded or the flux stale, health unhealthy; or the output cannot be written"),
    ("2", "wrong usage; or run was given a Redis that answers and cannot be used"),
    ("3", "Redis cannot be reached, no service listens there, or it does not answer in time"),
    ("4", "run has ended, and closed candles that came are not in Redis"),
]
FILES = [
    ("/etc/feedd/feedd.json", "the service's settings: keys are named as the flags of feedd run"),
    ("/etc/feedd/secrets/", "passwords, the token, TLS keys; the service sees NAME as /run/credentials/feedd.service/secrets_NAME"),
    ("/usr/share/feedd/", "Redis configurations, its users, Prometheus rules, Grafana's dashboard, backup and restore"),
    ("/usr/share/doc/feedd/", "operations, commands, continuity"),
]


def text(words):
    """Words as roff shows them unchanged."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    escaped = escaped.replace("'", "\\(aq").replace('"', "\\(dq")
    return re.sub(r"^\.", r"\\&.", escaped, flags=re.M)


def paragraphs(words):
    """A discussion: indented lines are examples."""
    examples = False
    for line in words.split("\n"):
        if line.startswith("  ") != examples:
            examples = not examples
            yield ".PP\n.RS 4\n.EX" if examples else ".EE\n.RE"
        if examples:
            yield text(line[2:])
        else:
            yield text(line) if line else ".PP"
    if examples:
        yield ".EE\n.RE"


def shown(command):
    return [a for a in command.get("arguments", []) if a.get("shouldDisplay")]


def flag(argument):
    """`-h, --help`, `--redis URL`, as roff."""
    names = ", ".join("\\fB%s\\fR" % text(("-" if n["kind"] == "short" else "--") + n["name"]) for n in argument["names"])
    return names if argument["kind"] == "flag" else names + " \\fI%s\\fR" % text(argument["valueName"])


def synopsis(argument):
    if argument["kind"] == "positional":
        shape = "\\fI%s\\fR" % text(argument["valueName"])
    else:
        shape = "\\fB%s\\fR" % text("--" + argument["preferredName"]["name"])
        if argument["kind"] == "option":
            shape += " \\fI%s\\fR" % text(argument["valueName"])
    if argument["isRepeating"]:
        shape += " ..."
    return "[%s]" % shape if argument["isOptional"] else shape


def tagged(title, entries):
    """Entries whose tag is roff already."""
    if entries:
        yield ".SH " + title
    for tag, words in entries:
        yield ".TP\n%s\n%s" % (tag, text(words))


def page(command, version, date):
    parents = command.get("superCommands", [])
    name = "-".join(parents + [command["commandName"]])
    lines = ['.TH %s 1 "%s" "feedd %s" "User Commands"\n.nh\n.ad l' % (text(name.upper()), date, version), ".SH NAME"]
    lines.append("%s \\- %s" % (text(name), text(command["abstract"].rstrip("."))))
    lines.append(".SH SYNOPSIS\n.B " + text(" ".join(parents + [command["commandName"]])))
    arguments = shown(command)
    required = [a for a in arguments if a["kind"] == "positional" or not a["isOptional"]]
    if len(arguments) > len(required):
        lines.append("[\\fIoptions\\fR]")
    lines += [synopsis(a) for a in required]
    children = [c for c in command.get("subcommands", []) if c["commandName"] != "help"]
    if children:
        lines.append("\\fIcommand\\fR ...")
    lines.append(".SH DESCRIPTION\n" + text(command["abstract"]))
    if command.get("discussion"):
        lines.append(".PP")
        lines += paragraphs(command["discussion"])
    lines += tagged("COMMANDS", [("\\fB%s\\fR(1)" % text("%s-%s" % (name, c["commandName"])), c["abstract"]) for c in children])
    lines += tagged("ARGUMENTS", [("\\fI%s\\fR" % text(a["valueName"]), a["abstract"]) for a in arguments if a["kind"] == "positional"])
    lines += tagged("OPTIONS", [(flag(a), a.get("abstract", "")) for a in arguments if a["kind"] != "positional"])
    if not parents:
        lines += tagged("EXIT STATUS", [("\\fB%s\\fR" % code, words) for code, words in EXITS])
        lines += tagged("FILES", [("\\fI%s\\fR" % text(path), words) for path, words in FILES])
    else:
        above = ["-".join(parents[: count + 1]) for count in range(len(parents))]
        lines.append(".SH SEE ALSO\n" + ",\n".join(".BR %s (1)" % text(name) for name in above))
    return name, re.sub(r"(\.PP\n)+(?=\.PP|\.SH|$)", "", "\n".join(lines) + "\n")


def commands(tool):
    """A command and all beneath it; each of these has a help of its own, which needs no page."""
    yield tool
    for command in tool.get("subcommands", []):
        if command["commandName"] != "help":
            yield from commands(command)


def main():
    program, folder = sys.argv[1:]
    tool = json.loads(subprocess.run([program, "--experimental-dump-help"], check=True, stdout=subprocess.PIPE).stdout)["command"]
    version = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.datetime.now().timestamp())
    date = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d")
    for command in commands(tool):
        name, lines = page(command, version, date)
        pathlib.Path(folder, name + ".1").write_text(lines, encoding="utf-8")


main()
