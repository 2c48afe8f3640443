/** The GPU that is measured, and whether it is one. */
import { UsageError } from "../options.ts";

export interface Gpu {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  /** As drivers call it. */
  readonly name: string;
  /** Is it a program on the CPU? Then its times say nothing about GPUs. */
  readonly software: boolean;
}

/** Where the package `webgpu` lies, if it is not among the project's own: its index.js. The tests read it too. */
const packagePath = "ROADLESS_WEBGPU";

/** Dawn crashes when the object that made an adapter is collected. */
let dawn: GPU | undefined;

/** @throws UsageError where there is no WebGPU or no adapter */
export async function findGpu(): Promise<Gpu> {
  const gpu =
    (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu ?? (dawn ??= await loadDawn());
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new UsageError("--device webgpu: WebGPU is here, but has no adapter");
  const { vendor, architecture, device, description } = adapter.info;
  const name = description || [vendor, architecture, device].filter(Boolean).join(" ") || "unnamed";
  return { gpu, adapter, name, software: isSoftware(name, adapter.info.isFallbackAdapter) };
}

async function loadDawn(): Promise<GPU> {
  const from = process.env[packagePath] ?? "webgpu";
  try {
    const { create } = (await import(from)) as { create(flags: string[]): GPU };
    return create([]);
  } catch (error) {
    throw new UsageError(
      `--device webgpu: no navigator.gpu and no package webgpu (npm install webgpu): ${(error as Error).message.split("\n")[0]}`,
    );
  }
}

/** By what the browser says, and by the names of the renderers that there are. */
export const isSoftware = (name: string, fallback: boolean | undefined): boolean =>
  fallback === true || /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i.test(name);
