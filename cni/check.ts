import { traitsOfPf } from "./attachment/drivers.ts";
import { lockAttachment } from "./attachment/exclusion.ts";
import { identityOf } from "./attachment/identity.ts";
import { Journal } from "./attachment/journal.ts";
import { openOwnNetns } from "./attachment/own-netns.ts";
import { type Attachment, runtimeName } from "./attachment/record.ts";
import { podDifferences } from "./attachment/verify.ts";
import { isCutOff, lookAtOwnPf } from "./attachment/vf-at-pf.ts";
import { ATTACH_CODE } from "./codes.ts";
import { readConfig } from "./config.ts";
import type { Host } from "./host.ts";
import { CniError, CODE } from "./protocol/error.ts";
import type { Call } from "./protocol/request.ts";
import type { Interface } from "./protocol/result.ts";
import { onRail, railCalls } from "./rail-calls.ts";

/** CHECK: compares everything that ADD set with the current state, and names every difference. Changes nothing. */
export async function check(call: Call, host: Host): Promise<void> {
  for (const one of railCalls(call)) await onRail(one, () => checkOne(one, host));
}

async function checkOne(call: Call, host: Host): Promise<void> {
  const config = readConfig(call);
  const expected = call.prevResult?.interfaces.find((i) => i.name === call.ifname && i.sandbox === call.netns);
  if (!call.prevResult) throw new CniError(CODE.INVALID_CONFIG, "cannot check: prevResult is missing");
  if (!expected)
    throw new CniError(
      CODE.INVALID_CONFIG,
      `cannot check: prevResult has no interface ${call.ifname} in ${call.netns}`,
    );
  using _attachment = await lockAttachment(call, "ADD", host);
  const record = new Journal(host.paths.stateDir).find(call.containerId, call.ifname);
  if (record?.phase !== "attached" || runtimeName(record) !== runtimeName(call))
    throw new CniError(
      CODE.UNKNOWN_CONTAINER,
      `cannot check ${call.ifname}: no ADD of container ${call.containerId} is on record`,
    );
  using netns = openOwnNetns({ ...record, netns: call.netns }, host);
  if (!netns)
    throw new CniError(
      ATTACH_CODE.DIFFERS,
      `cannot confirm ${call.ifname}: ${call.netns} is not the namespace that ADD saw`,
    );
  const differences = [
    ...(record.fenced ? ["it is down: its node lost the API server (fence)"] : []),
    ...podDifferences(record, identityOf(record, host), config, expected, call, netns),
    ...(await pfDifferences(record, expected, host)),
  ];
  if (differences.length > 0)
    throw new CniError(ATTACH_CODE.DIFFERS, `cannot confirm ${call.ifname}: ${differences.join("; ")}`);
  const type = call.config.ipam?.type;
  if (type) await host.ipam.ask("CHECK", type, call);
}

/**
 * Differences at the PF. A MAC that a later plugin gave the link, and reports in the result, is that plugin's.
 *
 * @throws {CniError} 11 while the PF hides the VF, which is in reset.
 */
async function pfDifferences(a: Attachment, { mac }: Interface, host: Host): Promise<string[]> {
  const { ignoresEnable } = traitsOfPf(a.device, host);
  const isOthers = mac !== undefined && mac.toLowerCase() !== a.applied.mac;
  const wanted = Object.entries(a.applied).filter(
    ([key, value]) => !(ignoresEnable && value === "enable") && !(key === "mac" && isOthers),
  );
  const { pf } = a.device;
  if (!pf || wanted.length === 0) return [];
  const view = await lookAtOwnPf(a, host, host);
  if (view?.isHidden && isCutOff(pf.vf)) return []; // it cannot be seen
  if (view?.isHidden)
    throw new CniError(CODE.TRY_AGAIN_LATER, `cannot check VF ${pf.vf} of ${view.pf.name}: it is in reset`);
  const now = view?.state;
  if (!now) return [`PF ${view?.pf.name ?? pf.name} has no VF ${pf.vf}`];
  return wanted
    .filter(([key, value]) => now[key as keyof typeof now] !== value)
    .map(
      ([key, value]) => `${key} of VF ${pf.vf} at ${view.pf.name} is ${now[key as keyof typeof now]}, ADD set ${value}`,
    );
}
