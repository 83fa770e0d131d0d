import { toCniError } from "./error.ts";
import { type Call, type CniRequest, type CniResponse, readRequest } from "./request.ts";
import { formatResult, type Result } from "./result.ts";

export interface Plugin<Host> {
  readonly name: string;
  readonly about: string;
  readonly verbs: {
    ADD(call: Call, host: Host): Promise<Result>;
    CHECK(call: Call, host: Host): Promise<void>;
    DEL(call: Call, host: Host): Promise<void>;
    GC(call: Call, host: Host): Promise<void>;
    STATUS(call: Call, host: Host): Promise<void>;
  };
}
export async function dispatch<Host>(plugin: Plugin<Host>, request: CniRequest, host: Host): Promise<CniResponse> {
  if (!request.env.CNI_COMMAND) return { exit: 0, stdout: "", stderr: `${plugin.about}\n` };
  if (request.env.CNI_COMMAND === "VERSION")
    return {
      exit: 0,
      stdout: JSON.stringify({
        cniVersion: "1.1.0",
        supportedVersions: ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
      }),
      stderr: "",
    };
  let cniVersion = "1.1.0";
  try {
    const call = readRequest(request);
    cniVersion = call.config.cniVersion;
    const result = await plugin.verbs[call.verb as "ADD"](call, host);
    return { exit: 0, stdout: result ? JSON.stringify(formatResult(result, cniVersion)) : "", stderr: "" };
  } catch (error) {
    const { code, message: msg, details } = toCniError(error);
    return { exit: 1, stdout: JSON.stringify({ cniVersion, code, msg, ...(details && { details }) }), stderr: "" };
  }
}
