/** Where a GPU comes from: the platform's navigator.gpu, or the optional package `webgpu` in Node. */
import { BackendError } from "../../errors.ts";

/** What `init` passes on. */
export interface GpuOptions {
  precision?: "strict" | "fast";
  /** A GPU object to use instead of the platform's. */
  gpu?: object;
}

/** Kept alive: Dawn crashes when the object that made an adapter is collected. */
const gpus = new Set<GPU>();
let dawn: GPU | undefined;

/** What code may use beyond the language's core: both change the last bits, and halves more than those. */
const optional: GPUFeatureName[] = ["shader-f16", "subgroups"];

/**
 * A device with the adapter's limits. It has optional features in precision "fast" alone, so that nothing can be compiled
 * for a strict one that uses them.
 *
 * @throws BackendError when there is no WebGPU or no adapter
 */
export async function openDevice(
  options: GpuOptions,
): Promise<{ adapter: GPUAdapter; device: GPUDevice }> {
  const gpu = (options.gpu as GPU | undefined) ?? (await findGpu());
  gpus.add(gpu);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) {
    throw new BackendError(
      "webgpu: the platform has WebGPU, but offers no adapter; check the graphics driver (Vulkan, Metal or " +
        'Direct3D 12) and the browser\'s flags, or use await init({ device: "cpu" })',
    );
  }
  const wanted = options.precision === "fast" ? optional : [];
  const requiredFeatures = wanted.filter((feature) => adapter.features.has(feature));
  const device = await adapter
    .requestDevice({ requiredFeatures, requiredLimits: limitsOf(adapter) })
    .catch((cause: unknown) => {
      throw new BackendError(
        `webgpu: the adapter ${nameOf(adapter)} gives no device: ${String(cause)}`,
        { cause },
      );
    });
  return { adapter, device };
}

/** What messages and benchmarks call the adapter. */
export function nameOf(adapter: GPUAdapter): string {
  const { vendor, architecture, device, description } = adapter.info;
  return description || [vendor, architecture, device].filter(Boolean).join(" ") || "(unnamed)";
}

async function findGpu(): Promise<GPU> {
  const platform = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  if (platform !== undefined) return platform;
  if (dawn !== undefined) return dawn;
  // In a variable, so that bundlers do not look for what is optional.
  const name = "webgpu";
  try {
    const made = (await import(name)) as { create(flags: string[]): GPU };
    return (dawn = made.create([]));
  } catch (cause) {
    throw new BackendError(
      "webgpu: there is no navigator.gpu here, and the package webgpu cannot be loaded; use a browser with " +
        'WebGPU (on https or localhost), Deno, or npm install webgpu; await init({ device: "cpu" }) works everywhere',
      { cause },
    );
  }
}

/** The standard's defaults are far below what most adapters can do. */
function limitsOf({ limits }: GPUAdapter): Record<string, number> {
  return {
    maxBufferSize: limits.maxBufferSize,
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
  };
}
