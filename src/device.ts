/** Which backend runs what: the registered ones, the running ones, and the default. */
import type { Backend, DeviceName } from "./backend/backend.ts";
import { log } from "./debug.ts";
import { BackendError, ValueError } from "./errors.ts";

/** Options of `init`; each backend takes those that concern it. */
export interface DeviceOptions {
  /** Threads that share the work, or "auto" (default): one per available core. */
  threads?: number | "auto";
  /** "strict" (default): the same bits on every runtime. "fast": relaxed SIMD, subgroups and f16 where there are any. */
  precision?: "strict" | "fast";
  /** The kernel module, where the embedded one is refused (a Module, its bytes, or a Response). */
  wasm?: WebAssembly.Module | BufferSource | Response;
  /**
   * The GPU of device "webgpu" where it is not navigator.gpu: what `create([])` of the package webgpu returns.
   * In Node that package is found by itself where it is installed.
   */
  gpu?: object;
}

/** How to start a backend. `create` is absent where starting needs waiting. */
export interface BackendFactory {
  create?(options: DeviceOptions): Backend;
  createAsync(options: DeviceOptions): Promise<Backend>;
}

const factories = new Map<DeviceName, BackendFactory>();
const running = new Map<DeviceName, Backend>();
let defaultDevice: DeviceName = "cpu";

export function registerBackend(device: DeviceName, factory: BackendFactory): void {
  factories.set(device, factory);
}

function factoryOf(op: string, device: string): BackendFactory {
  const factory = factories.get(device as DeviceName);
  if (factory === undefined) {
    const known = [...factories.keys()].map((name) => `"${name}"`).join(", ");
    throw new ValueError(`${op}: device is "${device}"; expected one of ${known}`);
  }
  return factory;
}

/** The running backend of a device (the default device if none is named); starts it if it can. */
export function backendOf(device: DeviceName = defaultDevice): Backend {
  const backend = running.get(device);
  if (backend !== undefined) return backend;
  const factory = factoryOf("device", device);
  if (factory.create === undefined) {
    throw new BackendError(
      `device "${device}" is not started; call \`await init({ device: "${device}" })\` first`,
    );
  }
  const started = factory.create({});
  running.set(device, started);
  log(1, `device "${device}": ${JSON.stringify(started.capabilities())}`);
  return started;
}

/**
 * Chooses and starts the device that new tensors live on. Not needed on Node, Deno and Bun for the
 * defaults (device "cpu", threads "auto", precision "strict"). Calling it again starts a fresh
 * backend: tensors made before stay on the old one and do not mix with new ones.
 */
export async function init(options: DeviceOptions & { device?: DeviceName } = {}): Promise<void> {
  const { device = defaultDevice, ...rest } = options;
  for (const key of Object.keys(rest)) {
    if (key !== "threads" && key !== "precision" && key !== "wasm" && key !== "gpu") {
      throw new ValueError(
        `init: unknown option "${key}"; expected device, threads, precision, wasm or gpu`,
      );
    }
  }
  const started = await factoryOf("init", device).createAsync(rest);
  running.set(device, started);
  defaultDevice = device;
  log(1, `device "${device}": ${JSON.stringify(started.capabilities())}`);
}

/** The device that new tensors live on. */
export function currentDevice(): DeviceName {
  return defaultDevice;
}

/** Runs `fn` with another default device; `fn` must be synchronous. */
export function withDevice<T>(device: DeviceName, fn: () => T): T {
  backendOf(device);
  const before = defaultDevice;
  defaultDevice = device;
  try {
    return fn();
  } finally {
    defaultDevice = before;
  }
}
