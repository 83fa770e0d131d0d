const PREFIX = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME = /^[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/;
/** A quota is called `requests.<resource>`, and must be a qualified name, too. */
const MAX_PREFIX = 253 - "requests.".length;

/**
 * The name of an extended resource, as a kubelet accepts it (`IsExtendedResourceName`, k8s.io/kubernetes
 * pkg/apis/core/v1/helper).
 *
 * @throws {Error} whose message is the fix.
 */
export function readResourceName(value: unknown): string {
  const example = "such as railnet.io/rail0";
  if (typeof value !== "string") throw new Error(`want a name ${example}`);
  const [prefix = "", name, ...more] = value.split("/");
  if (name === undefined || more.length > 0) throw new Error(`want a domain, one "/" and a name, ${example}`);
  if (!PREFIX.test(prefix) || prefix.length > MAX_PREFIX)
    throw new Error(`before the "/" want a domain in lower case, ${example}`);
  if (prefix.endsWith("kubernetes.io") || prefix.startsWith("requests."))
    throw new Error(`Kubernetes keeps ${prefix} for itself; want a domain of your own, ${example}`);
  if (!NAME.test(name))
    throw new Error(`after the "/" want at most 63 letters, digits, "-", "_" and ".", a letter or digit at both ends`);
  return value;
}
