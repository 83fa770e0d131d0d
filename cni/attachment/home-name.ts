import { deleteAltname, type Link, setLink } from "../../kernel/link.ts";
import { isVf } from "../../kernel/sysfs.ts";
import type { Host } from "../host.ts";
import { Debts } from "./debts.ts";
import { tryLockDevice } from "./exclusion.ts";
import { Journal } from "./journal.ts";
import { linkNamed } from "./link-at.ts";
import { awaitAnswer } from "./patience.ts";
import type { Attachment } from "./record.ts";

/** At most 15 bytes, the kernel's limit: `vf0000af060`. */
const spareName = (pci: string): string => `vf${pci.replaceAll(/[:.]/g, "")}`;

/**
 * The VF's name at home: its old one, or one made from its PCI address while another link has that name: new VFs take the
 * kernel's names as soon as they are free. DEL must not wait until that one is renamed.
 *
 * @param self the VF's link, once it is at home.
 */
export function homeName({ device, original }: Attachment, self: Link | undefined, host: Host): string {
  const name = original.name!;
  const holder = linkNamed(host.rtnl, name);
  if (!holder || holder.index === self?.index || stepsAside(holder, name, host)) return name;
  const spare = spareName(device.pci);
  host.log.warn({ ...device, name, spare }, "another link has the VF's name: the VF is named after its PCI address");
  return spare;
}

/**
 * Gives the VF its own name back as soon as another VF that fell out of a pod with it has been restored, too: many are
 * restored at the same time. The caller has given this one another name before, so that none waits for a name that it holds.
 *
 * @param self the VF's link at home.
 * @throws {Error} when another process holds that VF for too long.
 */
export async function takeOwnName({ original, device }: Attachment, self: Link, host: Host): Promise<void> {
  const name = original.name!;
  const take = () => host.rtnl.request(setLink(self.index, { name, up: false }, `name VF ${device.pci} ${name} again`));
  const tryIt = (): true | undefined => {
    const holder = linkNamed(host.rtnl, name);
    if (!holder || stepsAside(holder, name, host)) take();
    else if (isFallenVf(holder, name, host)) return undefined;
    return true;
  };
  if (!(await awaitAnswer(tryIt, { clock: host.clock })))
    throw new Error(`cannot name VF ${device.pci} ${name} again: another VF has that name, and is in use`);
}

/**
 * Takes a name from another VF that has fallen out of a pod, where it was given that name. That VF's own record or debt
 * says what it is to be called.
 */
function stepsAside(holder: Link, name: string, host: Host): boolean {
  if (!isFallenVf(holder, name, host)) return false;
  const pci = holder.parent;
  using lock = tryLockDevice(pci, host);
  if (!lock || !isFallenVf(holder, name, host)) return false;
  const isAltname = holder.name !== name;
  const change = isAltname
    ? deleteAltname(holder.index, name)
    : setLink(holder.index, { name: spareName(pci), up: false }, `take the name ${name} from VF ${pci}`);
  try {
    host.rtnl.request(change);
    return true;
  } catch (err) {
    host.log.warn({ err, pci, name }, "a VF that returned from a pod keeps another VF's name");
    return false;
  }
}

/** Its record, or what it is owed, says that its name is another. */
function isFallenVf({ parent: pci }: Link, name: string, { paths, bootId }: Host): boolean {
  if (!pci || !isVf(paths.sysfs, pci)) return false;
  const debt = new Debts(paths.stateDir).of(pci);
  const known = [...new Journal(paths.stateDir).activeOwners(pci, bootId), ...(debt?.bootId === bootId ? [debt] : [])];
  return known.some(({ original }) => original.name !== undefined && original.name !== name);
}
