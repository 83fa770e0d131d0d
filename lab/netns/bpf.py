"""Attaches a program that lets nothing through to a link, or counts those that are there:
xdp LINK, xdp-link LINK (held until standard input ends), tcx LINK, tcx-count LINK."""
import ctypes, os, socket, struct, sys

PROG_LOAD, PROG_ATTACH, PROG_QUERY, LINK_CREATE = 5, 8, 16, 28
SCHED_CLS, XDP = 3, 6  # enum bpf_prog_type
TCX_INGRESS, XDP_HOOK = 46, 37  # enum bpf_attach_type
SKB_MODE = 2
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    buffer = ctypes.create_string_buffer(attr, 144)
    result = libc.syscall({"x86_64": 321}.get(os.uname().machine, 280), command, buffer, 144)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, buffer.raw


def load(kind, answer, hook=0):
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, answer, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    where = ctypes.addressof(code), ctypes.addressof(licence)
    return bpf(PROG_LOAD, struct.pack("<IIQQIIQII16sII", kind, 2, *where, 0, 0, 0, 0, 0, b"", 0, hook))[0]


def set_xdp(index, program):
    attributes = struct.pack("<HHiHHI", 8, 1, program, 8, 3, SKB_MODE)
    body = struct.pack("<BBHiIIHH", 0, 0, 0, index, 0, 0, 20, 43 | 0x8000) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as rtnl:
        rtnl.send(struct.pack("<IHHII", 16 + len(body), 19, 5, 1, 0) + body)
        (error,) = struct.unpack("<i", rtnl.recv(4096)[16:20])
    if error:
        raise OSError(-error, os.strerror(-error))


what, index = sys.argv[1], socket.if_nametoindex(sys.argv[2])
if what == "xdp":
    set_xdp(index, load(XDP, 1))
elif what == "xdp-link":
    link = bpf(LINK_CREATE, struct.pack("<IIII", load(XDP, 1, XDP_HOOK), index, XDP_HOOK, SKB_MODE))
    print("attached", flush=True)
    sys.stdin.read()
elif what == "tcx":
    bpf(PROG_ATTACH, struct.pack("<IIII", index, load(SCHED_CLS, 2, TCX_INGRESS), TCX_INGRESS, 0))
elif what == "tcx-count":
    print(struct.unpack_from("<I", bpf(PROG_QUERY, struct.pack("<II", index, TCX_INGRESS))[1], 24)[0])
else:
    sys.exit(f"unknown: {what}")
