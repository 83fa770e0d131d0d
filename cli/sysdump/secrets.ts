import { smallFile } from "./files.ts";

/** Secret values of a kubeconfig, in YAML or JSON. */
const VALUES =
  /(?:token|client-key-data|client-certificate-data|password|id-token|refresh-token|client-secret)["']?:[ \t]*["']?([\w.~+/=-]{8,})/gi;

const SECRET_VARIABLE = /token|passw|secret|key|credential|auth/i;

/** Secrets of this machine by value, so that they are found wherever they occur. A file that cannot be read has none. */
export function secretsOf(files: readonly string[], env: Readonly<Record<string, string | undefined>>): string[] {
  const ofFiles = files.flatMap((path) => {
    const text = textOf(path);
    const values = [...text.matchAll(VALUES)].map(([, value]) => value!);
    return text.includes(":") || text.includes("\n\n") ? values : [text.trim()]; // a token alone, or a kubeconfig
  });
  const ofVariables = Object.entries(env).flatMap(([key, value]) =>
    value && SECRET_VARIABLE.test(key) ? [value] : [],
  );
  return [...ofFiles, ...ofVariables].filter(Boolean);
}

function textOf(path: string): string {
  try {
    return smallFile(path);
  } catch {
    return "";
  }
}

/** Variables whose values are not secret: Railnet's own, and where the pod is. */
const OPEN =
  /^(RAILNET_|NODENAME$|POD_NAME$|POD_NAMESPACE$|KUBERNETES_SERVICE_|PATH$|BUN_JSC_|MIMALLOC_|SSL_CERT_FILE$)/;

/** The environment: for most variables only the name. Pure. */
export const environmentText = (env: Readonly<Record<string, string | undefined>>): string =>
  Object.keys(env)
    .toSorted()
    .map((key) => (OPEN.test(key) && !SECRET_VARIABLE.test(key) ? `${key}=${env[key]}\n` : `${key} (value left out)\n`))
    .join("");
