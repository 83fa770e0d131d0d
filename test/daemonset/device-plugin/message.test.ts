import t from "tap";
import {
  AllocateRequest,
  AllocateResponse,
  DevicePluginOptions,
  Empty,
  ListAndWatchResponse,
  PreferredAllocationRequest,
  PreferredAllocationResponse,
  RegisterRequest,
} from "../../../daemonset/device-plugin/api.ts";
import { integer, message, type ProtoMessage, text, texts } from "../../../daemonset/device-plugin/grpc/message.ts";
import * as fc from "../../../lab/properties.ts";
import { DevicePluginMethods, RegistrationMethods } from "./support/api.ts";

/** protobufjs' reading and writing of the published API. */
const theirs = {
  register: RegistrationMethods["Register"]!,
  options: DevicePluginMethods["GetDevicePluginOptions"]!,
  list: DevicePluginMethods["ListAndWatch"]!,
  prefer: DevicePluginMethods["GetPreferredAllocation"]!,
  allocate: DevicePluginMethods["Allocate"]!,
};

/** All that was given; what we never say, they fill in. */
function holds(read: unknown, given: unknown): boolean {
  if (typeof given !== "object" || given === null) return read === given;
  const entries = Object.entries(given).map(([key, value]) => holds((read as Record<string, unknown>)[key], value));
  return entries.every(Boolean) && (!Array.isArray(given) || (read as unknown[]).length === given.length);
}

const name = fc.string({ maxLength: 200, unit: "binary" }).map((s) => s.toWellFormed());
const names = fc.array(name, { maxLength: 5 });
const options = fc.record({ pre_start_required: fc.boolean(), get_preferred_allocation_available: fc.boolean() });
const node = fc.record({ ID: fc.integer({ min: 0, max: 2 ** 31 }) });
const device = fc.record({
  ID: name,
  health: name,
  topology: fc.option(fc.record({ nodes: fc.array(node, { maxLength: 3 }) })),
});
const spec = fc.record({ container_path: name, host_path: name, permissions: name });
const envs = fc.dictionary(
  name.filter((key) => key !== "__proto__"),
  name,
  { noNullPrototype: true },
);

for (const { what, ours, write, values } of [
  { what: "RegisterRequest", ours: RegisterRequest, write: theirs.register.requestDeserialize, values: fc.record({ version: name, endpoint: name, resource_name: name, options }) },
  { what: "DevicePluginOptions", ours: DevicePluginOptions, write: theirs.options.responseDeserialize, values: options },
  { what: "ListAndWatchResponse", ours: ListAndWatchResponse, write: theirs.list.responseDeserialize, values: fc.record({ devices: fc.array(device, { maxLength: 70 }) }) },
  { what: "PreferredAllocationResponse", ours: PreferredAllocationResponse, write: theirs.prefer.responseDeserialize, values: fc.record({ container_responses: fc.array(fc.record({ deviceIDs: names })) }) },
  { what: "AllocateResponse", ours: AllocateResponse, write: theirs.allocate.responseDeserialize, values: fc.record({ container_responses: fc.array(fc.record({ envs, devices: fc.array(spec, { maxLength: 5 }) })) }) },
  { what: "Empty", ours: Empty, write: theirs.register.responseDeserialize, values: fc.constant({}) },
]) // biome-ignore format: rows
  t.test(`${what} is written as protobufjs reads it`, async () => {
    fc.assert(
      fc.property(values as fc.Arbitrary<object>, (value) => {
        return holds(write((ours as ProtoMessage<object>).encode(value)), value);
      }),
      { numRuns: 100 },
    );
  });

const requests = {
  prefer: fc.record({ container_requests: fc.array(fc.record({ available_deviceIDs: names, must_include_deviceIDs: names, allocation_size: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) })) }),
  allocate: fc.record({ container_requests: fc.array(fc.record({ devices_ids: names })) }),
}; // biome-ignore format: rows
for (const { what, ours, write, values } of [
  { what: "PreferredAllocationRequest", ours: PreferredAllocationRequest, write: theirs.prefer.requestSerialize, values: requests.prefer },
  { what: "AllocateRequest", ours: AllocateRequest, write: theirs.allocate.requestSerialize, values: requests.allocate },
]) // biome-ignore format: rows
  t.test(`${what} is read as protobufjs writes it`, async () => {
    fc.assert(
      fc.property(values as fc.Arbitrary<object>, (value) => {
        return holds((ours as ProtoMessage<object>).decode(write(value)), value);
      }),
      { numRuns: 100 },
    );
  });

const Sample = message<{ a: string; n: number; list: readonly string[] }>({
  a: text(1),
  n: integer(2),
  list: texts(3),
});

for (const { what, bytes, want } of [
  { what: "nothing: defaults", bytes: "", want: { a: "", n: 0, list: [] } },
  { what: "the last of two", bytes: "0a0161 0a0162", want: { a: "b", n: 0, list: [] } },
  { what: "what is unknown: skipped", bytes: "7801 8201026868 8d0101020304 910101020304050607 08 1007", want: { a: "", n: 7, list: [] } },
]) // biome-ignore format: rows
  t.test(`message() reads ${what}`, async (t) => {
    t.same(Sample.decode(Buffer.from(bytes.replaceAll(" ", ""), "hex")), want);
  });

for (const { what, bytes, message } of [
  { what: "a cut field", bytes: "0a0561", message: "cannot read a message: it ends within a field" },
  { what: "a cut number", bytes: "10ff", message: "cannot read a message: it ends within a number" },
  { what: "a number without end", bytes: `10${"ff".repeat(11)}`, message: "cannot read a message: a number has more than ten bytes" },
  { what: "a group", bytes: "0b", message: "cannot read a message: it has wire type 3" },
  { what: "bytes for a number", bytes: "120161", message: "cannot read a message: bytes stand where a number should" },
  { what: "a number for bytes", bytes: "0801", message: "cannot read a message: a number stands where bytes should" },
]) // biome-ignore format: rows
  t.test(`message() refuses ${what}`, async (t) => {
    t.throws(() => Sample.decode(Buffer.from(bytes, "hex")), { name: "RangeError", message });
  });

t.test("message() reads or refuses whatever bytes it gets", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        return typeof AllocateRequest.decode(bytes) === "object";
      } catch (error) {
        return error instanceof RangeError;
      }
    }),
    { numRuns: 2000 },
  );
});
