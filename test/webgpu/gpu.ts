/** The GPU that tests run on: the platform's, or Dawn's in Node, perhaps on a software adapter. */
import * as rl from "../../src/index.ts";

/** Where the package `webgpu` lies, if it is not among the project's own: its index.js. */
const packagePath = "ROADLESS_WEBGPU";
/**
 * Set where an adapter must be there: without one, tests fail instead of being skipped. "1", or names of features that it
 * must have, separated by commas.
 */
const required = "ROADLESS_WEBGPU_REQUIRED";

/** Pages have none. */
const environment = (globalThis as { process?: typeof process }).process?.env ?? {};

let running = false;
let device: GPUDevice | null = null;

/** The same GPU; the device that it gives last is kept at hand. */
function watched(gpu: GPU): object {
  return {
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await gpu.requestAdapter(options);
      const request = adapter?.requestDevice.bind(adapter);
      if (adapter === null || request === undefined) return null;
      adapter.requestDevice = async (wanted) => (device = await request(wanted));
      return adapter;
    },
  };
}

/** The device that was started last, to do things with it behind the library's back. */
export function currentDevice(): GPUDevice {
  return device!;
}

/** The GPU goes away, as when its driver is restarted. */
export function loseDevice(): void {
  device!.destroy();
}

/** Is it Dawn in Node, which takes flags? */
export const isDawn = environment[packagePath] !== undefined;

/** `init` for the GPU that tests run on, which becomes the default device; Dawn with these flags. */
export async function initWebGpu(
  precision: "strict" | "fast" = "strict",
  flags: string[] = [],
): Promise<void> {
  const path = environment[packagePath];
  const platform = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  const gpu = path === undefined ? platform : (await load(path)).create(flags);
  await rl.init({
    device: "webgpu",
    precision,
    ...(gpu === undefined ? {} : { gpu: watched(gpu) }),
  });
}

/** Starts a new device in place of the last one, Dawn with these flags; why there is none, or null. */
export async function startWebGpu(
  precision: "strict" | "fast" = "strict",
  flags: string[] = [],
): Promise<string | null> {
  stopWebGpu();
  try {
    await initWebGpu(precision, flags);
    running = true;
    if (precision === "fast") checkFeatures();
    return null;
  } catch (error) {
    if (environment[required] !== undefined) throw error;
    return String(error);
  } finally {
    await rl.init({ device: "cpu" });
  }
}

/** A device in fast precision has what must be there. */
function checkFeatures(): void {
  const { features = [] } = rl.backend("webgpu").capabilities();
  const names = (environment[required] ?? "1").split(",").filter((name) => name !== "1");
  const missing = names.filter((name) => !features.includes(name));
  if (missing.length > 0) throw new Error(`${required}: the adapter lacks ${missing.join(", ")}`);
}

const load = (path: string): Promise<{ create(flags: string[]): GPU }> => import(path);

export function stopWebGpu(): void {
  if (running) rl.backend("webgpu").close();
  running = false;
}

/** Why there is no device "webgpu". The default device stays "cpu"; suites start one of their own. */
export const unavailable: string | null = await startWebGpu();

/** What the GPU calls itself. */
export const adapter: string = unavailable ?? rl.backend("webgpu").capabilities().adapter ?? "";
