import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Certificates of a cluster, as files NAME.crt and NAME.key of one folder; `ca` signs the others. */
export class Pki {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    const extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
    this.#openssl(
      "req",
      "-x509",
      ...EC,
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-days",
      "30",
      "-subj",
      "/CN=test-ca",
      ...extensions.flatMap((e) => ["-addext", e]),
    );
  }

  /** Certificate of a server on loopback, which a test machine sees as 10.0.2.2. */
  server(name: string): void {
    this.#sign(
      name,
      `/CN=${name}`,
      "subjectAltName=IP:127.0.0.1,IP:10.96.0.1,IP:10.0.2.2,DNS:localhost\nextendedKeyUsage=serverAuth",
    );
  }

  /** Certificate of a user; `group` such as `system:masters`. */
  client(name: string, group: string): void {
    this.#sign(name, `/O=${group}/CN=${name}`, "extendedKeyUsage=clientAuth");
  }

  /** A key pair to sign service account tokens with: NAME.key and NAME.pub. */
  keyPair(name: string): void {
    this.#openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.key`);
    this.#openssl("ec", "-in", `${name}.key`, "-pubout", "-out", `${name}.pub`);
  }

  path(file: string): string {
    return `${this.folder}/${file}`;
  }

  #sign(name: string, subject: string, extensions: string): void {
    writeFileSync(this.path(`${name}.ext`), extensions);
    this.#openssl("req", "-new", ...EC, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
    this.#openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "30",
      "-out",
      `${name}.crt`,
      "-extfile",
      `${name}.ext`,
    );
  }

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
  }
}
