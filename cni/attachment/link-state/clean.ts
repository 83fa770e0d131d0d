import { codeOf } from "../../../kernel/errno.ts";
import { type Link, setLink } from "../../../kernel/link.ts";
import type { NetlinkConnection } from "../../../kernel/netlink/message.ts";
import type { Host } from "../../host.ts";
import { CLEAN, COMPARED, settingsToChange } from "./table.ts";

type Kernel = Pick<Host, "bpf" | "log"> & { readonly rtnl: NetlinkConnection };

/** Clears a link's settings and programs for the pod: at DEL the host gets its settings back, but no programs. */
export function cleanLink(link: Link, host: Kernel): void {
  const settings = settingsToChange(CLEAN, link.settings);
  if (Object.keys(settings).length > 0)
    host.rtnl.request(setLink(link.index, { settings }, `clear ${Object.keys(settings).join(", ")} of ${link.name}`));
  takeProgramsOff(link, host);
}

/** Detaches XDP and tcx programs: they outlive the namespace of whoever attached them. */
export function takeProgramsOff(link: Link, host: Kernel): void {
  const tcx = host.bpf?.detachTcx(link.index) ?? 0;
  for (const program of link.xdp)
    try {
      host.rtnl.request(
        setLink(link.index, { xdpOff: program.mode }, `take the ${program.mode} XDP program off ${link.name}`),
      );
    } catch (error) {
      if (codeOf(error) !== "EBUSY" || !host.bpf) throw error;
      host.bpf.detachXdpLink(link.index, program);
    }
  if (tcx + link.xdp.length > 0)
    host.log.warn({ link: link.name, xdp: link.xdp, tcx }, "programs were left on a VF's link: detached");
}

/** For CHECK: what makes a link deaf or mute, one line each. */
export function settingDifferences({ settings }: Link): string[] {
  return COMPARED.filter((name) => settings[name] !== undefined && settings[name] !== CLEAN[name]).map(
    (name) => `its ${name} is ${say(settings[name])}, ADD set ${say(CLEAN[name])}`,
  );
}

const say = (value: unknown): unknown => (typeof value === "boolean" ? (value ? "on" : "off") : value);
