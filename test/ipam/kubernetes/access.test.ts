import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import t from "tap";
import { accessBy } from "../../../ipam/kubernetes/access.ts";

const folder = mkdtempSync(`${tmpdir()}/railnet-access-`);
t.teardown(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(`${folder}/${name}`, text);
  return `${folder}/${name}`;
};
const PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
const base64 = Buffer.from(PEM).toString("base64");

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly current?: string;
}

const config = ({ cluster, user, context, current = "c" }: Parts): string =>
  JSON.stringify({
    clusters: [{ name: "k", cluster: { server: "https://10.0.0.1:6443/", ...cluster } }],
    users: [{ name: "u", user: { ...user } }],
    contexts: [{ name: "c", context: { cluster: "k", user: "u", ...context } }],
    "current-context": current,
  });
const readOnce = (parts: Parts) => accessBy(file("config", config(parts)))(false);

for (const { what, parts, want } of [
  { what: "server and namespace", parts: { context: { namespace: "team" } }, want: { server: "https://10.0.0.1:6443", namespace: "team" } },
  { what: "no namespace where the context has none", parts: {}, want: { namespace: undefined } },
  { what: "a CA in the file", parts: { cluster: { "certificate-authority-data": base64 } }, want: { tls: { ca: PEM, rejectUnauthorized: true } } },
  { what: "a CA beside the file", parts: { cluster: { "certificate-authority": "ca.crt" } }, want: { tls: { ca: PEM } } },
  { what: "another name of the server", parts: { cluster: { "tls-server-name": "api.local" } }, want: { tls: { serverName: "api.local" } } },
  { what: "that the certificate is not checked, only where it says so", parts: { cluster: { "insecure-skip-tls-verify": true } }, want: { tls: { rejectUnauthorized: false } } },
  { what: "a client certificate", parts: { user: { "client-certificate-data": base64, "client-key-data": base64 } }, want: { tls: { cert: PEM, key: PEM }, headers: {} } },
  { what: "a token", parts: { user: { token: "abc" } }, want: { headers: { Authorization: "Bearer abc" } } },
  { what: "a token file, without its newline", parts: { user: { tokenFile: `${folder}/token` } }, want: { headers: { Authorization: "Bearer from-file" } } },
  { what: "name and password", parts: { user: { username: "a", password: "b" } }, want: { headers: { Authorization: "Basic YTpi" } } },
  { what: "whom to act as", parts: { user: { token: "abc", as: "other" } }, want: { headers: { "Impersonate-User": "other" } } },
]) // biome-ignore format: a table
  t.test(`accessBy() reads ${what}`, async (t) => {
    file("ca.crt", PEM);
    file("token", "from-file\n");
    t.match(await readOnce(parts), want);
  });

for (const { what, parts, message } of [
  { what: "http", parts: { cluster: { server: "http://10.0.0.1:8080" } }, message: "is not an https:// address" },
  { what: "a proxy", parts: { cluster: { "proxy-url": "http://p:1" } }, message: "proxy-url, which is not supported" },
  { what: "a context that is not there", parts: { current: "other" }, message: 'current-context "other"' },
  { what: "a CA file that is not there", parts: { cluster: { "certificate-authority": "none.crt" } }, message: "none.crt" },
]) // biome-ignore format: a table
  t.test(`accessBy() refuses ${what}`, async (t) => {
    await t.rejects(readOnce(parts), { name: "ApiError", isUnclear: false, message });
    await t.rejects(readOnce(parts), { message: `cannot read kubeconfig ${folder}/config: ` });
  });

t.test("accessBy() names a kubeconfig that is not there, or is none", async (t) => {
  await t.rejects(accessBy(`${folder}/none`)(false), {
    name: "ApiError",
    message: `kubeconfig ${folder}/none: ENOENT`,
  });
  await t.rejects(accessBy(file("broken", "a: [b"))(false), { name: "ApiError", message: "broken: " });
  await t.rejects(accessBy(file("empty", ""))(false), { name: "ApiError", message: "empty: " });
});

t.test("accessBy() reads a kubeconfig again when it has changed", async (t) => {
  const path = file("changing", config({ user: { token: "first" } }));
  const read = accessBy(path);
  t.match(await read(false), { headers: { Authorization: "Bearer first" } });
  file("changing", config({ user: { token: "second" } }));
  utimesSync(path, new Date(), new Date(Date.now() + 5000));
  t.match(await read(false), { headers: { Authorization: "Bearer second" } });
});

t.test("accessBy() reads a token file at once when its token was refused", async (t) => {
  const tokenFile = file("rotating", "first");
  const read = accessBy(file("config", config({ user: { tokenFile } })));
  t.match(await read(false), { headers: { Authorization: "Bearer first" } });
  file("rotating", "second");
  t.match(await read(true), { headers: { Authorization: "Bearer second" } });
});
