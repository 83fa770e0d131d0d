import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

/** The published API, in the hands of the libraries that everybody uses for it. */
const definition = loader.loadSync(join(import.meta.dirname, "v1beta1.proto"), {
  keepCase: true,
  longs: Number,
  defaults: true,
});

type Methods = Record<string, loader.MethodDefinition<object, object>>;
export const DevicePluginMethods = definition["v1beta1.DevicePlugin"] as unknown as Methods;
export const RegistrationMethods = definition["v1beta1.Registration"] as unknown as Methods;

const services = grpc.loadPackageDefinition(definition)["v1beta1"] as grpc.GrpcObject;
export const DevicePlugin = services["DevicePlugin"] as grpc.ServiceClientConstructor;
export const Registration = services["Registration"] as grpc.ServiceClientConstructor;
