import { readFileSync } from "node:fs";
import type { ApiServer } from "../cluster/api-server.ts";
import { SERVICE_IP } from "./service-address.ts";

/** Who asks: a client certificate of this name and group, or a token. */
export type Identity = { readonly user: string; readonly group: string } | { readonly token: string };

/** Text of a kubeconfig that names no other file, for a node and what runs there. */
export function kubeconfigFor({ pki }: ApiServer, identity: Identity, server = `https://${SERVICE_IP}`): string {
  const base64 = (file: string) => readFileSync(pki.path(file)).toString("base64");
  if ("user" in identity) pki.client(identity.user, identity.group);
  const user =
    "token" in identity
      ? { token: identity.token }
      : {
          "client-certificate-data": base64(`${identity.user}.crt`),
          "client-key-data": base64(`${identity.user}.key`),
        };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority-data": base64("ca.crt") } }],
    users: [{ name: "user", user }],
    contexts: [{ name: "test", context: { cluster: "test", user: "user" } }],
    "current-context": "test",
  });
}
