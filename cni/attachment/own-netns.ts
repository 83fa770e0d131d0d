import { codeOf } from "../../kernel/errno.ts";
import { netnsInode, openNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import type { Host } from "../host.ts";
import { onHost } from "../host-root.ts";
import type { Attachment } from "./record.ts";

/** The pod's namespace if it is still the one that ADD saw. */
export function openOwnNetns(a: Attachment, { paths }: Host): Fd | undefined {
  if (!a.netns) return undefined;
  let netns: Fd;
  try {
    netns = openNetns(onHost(paths.hostRoot, a.netns));
  } catch (error) {
    if (["ENOENT", "ENOTNETNS", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
  if (a.netnsInode === 0 || netnsInode(netns) === a.netnsInode) return netns;
  netns[Symbol.dispose]();
  return undefined;
}
