import { codeOf, isMissing } from "./errno.ts";
import type { XdpProgram } from "./link-settings.ts";
import { addressOf, bpf, Fd } from "./syscall.ts";

/** `enum bpf_cmd`, `bpf_attach_type` and `bpf_link_type`, include/uapi/linux/bpf.h. */
const BPF_PROG_DETACH = 9;
const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_OBJ_GET_INFO_BY_FD = 15;
const BPF_PROG_QUERY = 16;
const BPF_LINK_GET_FD_BY_ID = 30;
const BPF_LINK_GET_NEXT_ID = 31;
const BPF_LINK_DETACH = 34;
const BPF_LINK_TYPE_XDP = 6;
/** Hooks of a link for incoming and outgoing packets (kernel 6.6); programs there survive a move, unlike clsact's filters. */
const TCX = { ingress: 46, egress: 47 } as const;
/** BPF_MPROG_MAX, kernel/bpf/mprog.c: no hook holds more. */
const MOST = 64;
const ATTR = 64;
/** No such command, no such hook (EINVAL before 6.6), or not permitted. */
const NONE = ["EINVAL", "ENOSYS", "EPERM", "EOPNOTSUPP"];

/**
 * Detaches every tcx program from a link of the calling thread's namespace, whoever attached it and however: no program
 * of a pod stays on its VF. Does nothing where the kernel has no tcx.
 *
 * @returns how many there were.
 */
export function detachTcx(index: number): number {
  let count = 0;
  for (const [hook, type] of Object.entries(TCX)) {
    const { programs, links } = queryTcx(index, type);
    for (const [i, program] of programs.entries())
      if (links[i]) detachLink(links[i], `a tcx program's link off link ${index}`);
      else detachProgram(index, type, program, hook);
    count += programs.length;
  }
  return count;
}

/** Detaches a program held by a bpf_link, which no rtnetlink request can (`EBUSY`): the bpf_link stays, attached to nothing. */
export function detachXdpLink(index: number, { id }: XdpProgram): void {
  for (const link of xdpLinks())
    if (link.index === index && link.program === id) detachLink(link.id, `XDP's link off link ${index}`);
}

function queryTcx(index: number, type: number): { programs: number[]; links: number[] } {
  const [programs, links, attr] = [Buffer.alloc(4 * MOST), Buffer.alloc(4 * MOST), Buffer.alloc(ATTR)];
  attr.writeUInt32LE(index, 0); // target_ifindex
  attr.writeUInt32LE(type, 4);
  attr.writeBigUInt64LE(addressOf(programs), 16);
  attr.writeUInt32LE(MOST, 24);
  attr.writeBigUInt64LE(addressOf(links), 40);
  try {
    bpf(`list the tcx programs of link ${index}`, BPF_PROG_QUERY, attr);
  } catch (error) {
    if (NONE.includes(codeOf(error) ?? "")) return { programs: [], links: [] };
    throw error;
  }
  const count = attr.readUInt32LE(24);
  if (count === 0) return { programs: [], links: [] };
  const read = (ids: Buffer) => Array.from({ length: count }, (_, i) => ids.readUInt32LE(4 * i));
  return { programs: read(programs), links: read(links) };
}

function detachProgram(index: number, type: number, id: number, hook: string): void {
  using program = open(BPF_PROG_GET_FD_BY_ID, id);
  if (!program) return;
  const attr = Buffer.alloc(ATTR);
  attr.writeUInt32LE(index, 0);
  attr.writeUInt32LE(program.n, 4);
  attr.writeUInt32LE(type, 8);
  bpf(`take a tcx program off link ${index} (${hook})`, BPF_PROG_DETACH, attr);
}

function detachLink(id: number, what: string): void {
  using link = open(BPF_LINK_GET_FD_BY_ID, id);
  if (!link) return;
  const attr = Buffer.alloc(8);
  attr.writeUInt32LE(link.n, 0);
  bpf(`take ${what}`, BPF_LINK_DETACH, attr);
}

/** Of all namespaces. */
function* xdpLinks(): Generator<{ id: number; index: number; program: number }> {
  for (let id = nextLink(0); id !== undefined; id = nextLink(id)) {
    using link = open(BPF_LINK_GET_FD_BY_ID, id);
    if (!link) continue;
    const [attr, info] = [Buffer.alloc(16), Buffer.alloc(256)];
    attr.writeUInt32LE(link.n, 0);
    attr.writeUInt32LE(info.length, 4);
    attr.writeBigUInt64LE(addressOf(info), 8);
    bpf(`read bpf link ${id}`, BPF_OBJ_GET_INFO_BY_FD, attr);
    if (info.readUInt32LE(0) === BPF_LINK_TYPE_XDP)
      yield { id, index: info.readUInt32LE(16), program: info.readUInt32LE(8) };
  }
}

function nextLink(id: number): number | undefined {
  const attr = Buffer.alloc(12);
  attr.writeUInt32LE(id, 0);
  try {
    bpf("list bpf links", BPF_LINK_GET_NEXT_ID, attr);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return attr.readUInt32LE(4);
}

/** @returns undefined when it has gone in the meantime. */
function open(command: number, id: number): Fd | undefined {
  const attr = Buffer.alloc(12);
  attr.writeUInt32LE(id, 0);
  try {
    return new Fd(bpf(`open bpf object ${id}`, command, attr));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
