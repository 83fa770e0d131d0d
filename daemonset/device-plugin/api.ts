import { boolean, integer, message, nested, repeated, text, textMap, texts } from "./grpc/message.ts";

/**
 * The kubelet's device plugin API, v1beta1: names and numbers as in
 * k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/api.proto, without what this plugin never uses.
 */
export const VERSION = "v1beta1";

/** The kubelet's service, on its `kubelet.sock`. */
export const REGISTER = "/v1beta1.Registration/Register";

/** The plugin's service, on a socket of its own. */
export const METHODS = {
  options: "/v1beta1.DevicePlugin/GetDevicePluginOptions",
  listAndWatch: "/v1beta1.DevicePlugin/ListAndWatch",
  prefer: "/v1beta1.DevicePlugin/GetPreferredAllocation",
  allocate: "/v1beta1.DevicePlugin/Allocate",
  preStart: "/v1beta1.DevicePlugin/PreStartContainer",
} as const;

export interface PluginDevice {
  /** PCI address of the VF. */
  readonly ID: string;
  readonly health: string;
  readonly topology: { readonly nodes?: readonly { readonly ID?: number }[] } | undefined;
}

/** A character device that a container gets. */
export interface DeviceSpec {
  readonly container_path: string;
  readonly host_path: string;
  /** `rw`. */
  readonly permissions: string;
}

/** A directory of the node that a container gets; of several at one place the kubelet keeps the first. */
export interface MountSpec {
  readonly container_path: string;
  readonly host_path: string;
  readonly read_only: boolean;
}

export interface ContainerAllocation {
  readonly envs: Readonly<Record<string, string>>;
  readonly mounts: readonly Partial<MountSpec>[];
  readonly devices: readonly Partial<DeviceSpec>[];
}

export interface PreferenceRequest {
  readonly available_deviceIDs: readonly string[];
  readonly must_include_deviceIDs: readonly string[];
  readonly allocation_size: number;
}

export const Empty = message<object>({});

export const DevicePluginOptions = message<{
  pre_start_required: boolean;
  get_preferred_allocation_available: boolean;
}>({ pre_start_required: boolean(1), get_preferred_allocation_available: boolean(2) });

export const RegisterRequest = message<{
  version: string;
  endpoint: string;
  resource_name: string;
  options: Parameters<typeof DevicePluginOptions.encode>[0] | undefined;
}>({ version: text(1), endpoint: text(2), resource_name: text(3), options: nested(4, DevicePluginOptions) });

const NumaNode = message<{ ID: number }>({ ID: integer(1) });
const Topology = message<{ nodes: readonly { ID?: number }[] }>({ nodes: repeated(1, NumaNode) });
const DeviceMessage = message<PluginDevice>({ ID: text(1), health: text(2), topology: nested(3, Topology) });

export const ListAndWatchResponse = message<{ devices: readonly Partial<PluginDevice>[] }>({
  devices: repeated(1, DeviceMessage),
});

export const PreferredAllocationRequest = message<{ container_requests: readonly Partial<PreferenceRequest>[] }>({
  container_requests: repeated(
    1,
    message<PreferenceRequest>({
      available_deviceIDs: texts(1),
      must_include_deviceIDs: texts(2),
      allocation_size: integer(3),
    }),
  ),
});

export const PreferredAllocationResponse = message<{
  container_responses: readonly { deviceIDs?: readonly string[] }[];
}>({
  container_responses: repeated(1, message<{ deviceIDs: readonly string[] }>({ deviceIDs: texts(1) })),
});

export const AllocateRequest = message<{ container_requests: readonly { devices_ids?: readonly string[] }[] }>({
  container_requests: repeated(1, message<{ devices_ids: readonly string[] }>({ devices_ids: texts(1) })),
});

export const PreStartContainerRequest = message<{ devices_ids: readonly string[] }>({ devices_ids: texts(1) });

const MountMessage = message<MountSpec>({ container_path: text(1), host_path: text(2), read_only: boolean(3) });
const DeviceSpecMessage = message<DeviceSpec>({ container_path: text(1), host_path: text(2), permissions: text(3) });

export const AllocateResponse = message<{ container_responses: readonly Partial<ContainerAllocation>[] }>({
  container_responses: repeated(
    1,
    message<ContainerAllocation>({
      envs: textMap(1),
      mounts: repeated(2, MountMessage),
      devices: repeated(3, DeviceSpecMessage),
    }),
  ),
});
