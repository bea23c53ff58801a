"""Runs a program as on a system without IPv6: a filter of system calls answers
socket(AF_INET6, ...) with EAFNOSUPPORT, as a kernel without it does.

    python3 without_ipv6.py PROGRAM [ARGUMENT]...
"""

import ctypes
import os
import platform
import struct
import sys

NUMBER_OF_SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
AF_INET6 = 10
EAFNOSUPPORT = 97
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUALS, ANSWER = 0x20, 0x15, 0x06
NUMBER_AT, FIRST_ARGUMENT_AT = 0, 16
ERROR, ALLOW = 0x00050000, 0x7FFF0000


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


program = b"".join([
    instruction(LOAD, NUMBER_AT),
    instruction(EQUALS, NUMBER_OF_SOCKET, 0, 3),
    instruction(LOAD, FIRST_ARGUMENT_AT),
    instruction(EQUALS, AF_INET6, 0, 1),
    instruction(ANSWER, ERROR | EAFNOSUPPORT),
    instruction(ANSWER, ALLOW),
])
buffer = ctypes.create_string_buffer(program)
description = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
for call in [
    (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, description),
]:
    if libc.prctl(*call) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
