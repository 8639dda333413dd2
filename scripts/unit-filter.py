#!/usr/bin/python3
"""A systemd unit's system call filter, without systemd: its lines are read, its groups asked of systemd-analyze, and a program is written
that starts another one under it. For scripts/seccomp.sh.

    unit-filter.py UNIT STARTER PROGRAM    writes STARTER: as PROGRAM, but under the filter of UNIT
"""
import errno
import os
import re
import socket
import subprocess
import sys

import seccomp

# No libseccomp where it runs: the filters are there as the kernel takes them.
STARTER = """#!/usr/bin/python3 -IS
import ctypes, os, sys

class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

libc = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVS, SECCOMP, FILTER = 38, 22, 2
assert libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
for code in ({codes}):
    text = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.addressof(text))
    if libc.prctl(SECCOMP, FILTER, ctypes.byref(program)) != 0:
        sys.exit("the filter is refused: " + os.strerror(ctypes.get_errno()))
os.execv({program!r}, [{program!r}] + sys.argv[1:])
"""


def values(unit, name):
    """What the lines of a unit say of one setting, in their order."""
    return re.findall(rf"^{name}=(.*)$", open(unit, encoding="utf-8").read(), re.M)


def calls(word):
    """The calls of a group, and of those in it."""
    if not word.startswith("@"):
        return {word}
    said = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True, capture_output=True, text=True).stdout
    lines = [line.strip() for line in said.splitlines()[1:]]
    return set().union(*(calls(line) for line in lines if line and not line.startswith("#")))


def allowed(unit):
    """As systemd reads them: the first line makes it a list of what is allowed, each further one adds or takes away."""
    found = set()
    for line in values(unit, "SystemCallFilter"):
        words = set().union(*(calls(word) for word in line.lstrip("~").split()))
        found = found - words if line.startswith("~") else found | words
    assert found, f"{unit} has no SystemCallFilter"
    return found


def code(rules):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        rules.export_bpf(end)
    with os.fdopen(reading, "rb") as end:
        return end.read()


def of_calls(unit):
    (error,) = values(unit, "SystemCallErrorNumber")
    rules, known = seccomp.SyscallFilter(seccomp.ERRNO(getattr(errno, error))), 0
    for name in sorted(allowed(unit)):
        try:
            rules.add_rule(seccomp.ALLOW, name)
            known += 1
        except (RuntimeError, OSError, ValueError):
            pass  # another processor's
    print(f"{known} calls are allowed, others give {error}")
    return code(rules)


def of_arguments(unit):
    """RestrictAddressFamilies and MemoryDenyWriteExecute, which systemd keeps by seccomp, too."""
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    families = {getattr(socket, name).value for line in values(unit, "RestrictAddressFamilies") for name in line.split()}
    for family in set(range(46)) - families if families else ():
        rules.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", seccomp.Arg(0, seccomp.EQ, family))
    if values(unit, "MemoryDenyWriteExecute")[-1:] == ["yes"]:
        rules.add_rule(seccomp.ERRNO(errno.EPERM), "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, 6, 6))
        for name in ("mprotect", "pkey_mprotect"):
            rules.add_rule(seccomp.ERRNO(errno.EPERM), name, seccomp.Arg(2, seccomp.MASKED_EQ, 4, 4))
    return code(rules)


unit, starter, program = sys.argv[1:]
text = STARTER.format(codes=", ".join(map(repr, (of_arguments(unit), of_calls(unit)))), program=os.path.abspath(program))
with open(starter, "w", encoding="utf-8") as file:
    file.write(text)
os.chmod(starter, 0o755)
