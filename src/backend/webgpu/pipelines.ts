/** From a dispatch to WGSL, pipelines and bind groups, each made once. */
import type { DType, View } from "../backend.ts";
import { BackendError } from "../../errors.ts";
import { computeStage } from "./constants.ts";
import { functionsFor } from "./functions.ts";
import type { Allocation } from "./pool.ts";
import { PARAMETER_BYTES } from "./queue.ts";
import type { Dispatch } from "./runtime.ts";

/** Bind groups that are kept; more than a training step makes. */
const MOST_GROUPS = 8192;
export const ITEM_LANES = 64;

/** What elements are in WGSL. */
export const wgslType: Readonly<Record<DType, "f32" | "i32" | "u32">> = {
  float32: "f32",
  int32: "i32",
  bool: "u32",
  float64: "f32",
};

export interface Binding {
  readonly name: string;
  readonly view: View;
  readonly writable: boolean;
  /** Is it an array of vec4? */
  readonly wide: boolean;
}

export interface Prepared {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export function bindingsOf(dispatch: Dispatch): Binding[] {
  const { reads, writes, wide = [] } = dispatch;
  const bindings: Binding[] = [];
  for (const name in reads) {
    bindings.push({ name, view: reads[name], writable: false, wide: wide.includes(name) });
  }
  for (const name in writes) {
    bindings.push({ name, view: writes[name], writable: true, wide: wide.includes(name) });
  }
  return bindings;
}

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #parameters: GPUBuffer;
  readonly #pipelines = new Map<string, Prepared>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #groups = new Map<string, GPUBindGroup>();

  constructor(device: GPUDevice, parameters: GPUBuffer) {
    this.#device = device;
    this.#parameters = parameters;
  }

  pipeline(dispatch: Dispatch, bindings: readonly Binding[]): Prepared {
    let key = dispatch.key;
    for (const { name, view, wide } of bindings) key += ` ${name}:${view.dtype}${wide ? "4" : ""}`;
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const { limits, features } = this.#device;
    if (bindings.length > limits.maxStorageBuffersPerShaderStage) {
      throw new BackendError(
        `webgpu: ${dispatch.key} needs ${bindings.length} arrays at once; this adapter binds ` +
          `${limits.maxStorageBuffersPerShaderStage}`,
      );
    }
    const layout = this.#layout(bindings.map(({ writable }) => (writable ? "w" : "r")).join(""));
    const code = wgslOf(dispatch, bindings, features.has("subgroups"));
    const pipeline = this.#device.createComputePipeline({
      label: key,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: this.#device.createShaderModule({ label: key, code }),
        entryPoint: "main",
      },
    });
    const prepared = { pipeline, layout };
    this.#pipelines.set(key, prepared);
    return prepared;
  }

  group(layout: GPUBindGroupLayout, buffers: readonly Allocation[]): GPUBindGroup {
    let key = layout.label;
    for (const { id } of buffers) key += ` ${id}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    if (this.#groups.size >= MOST_GROUPS) this.#groups.clear();
    const group = this.make(layout, this.#parameters, buffers);
    this.#groups.set(key, group);
    return group;
  }

  /** A bind group of the caller's own. */
  make(
    layout: GPUBindGroupLayout,
    parameters: GPUBuffer,
    buffers: readonly Allocation[],
  ): GPUBindGroup {
    return this.#device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: parameters, size: PARAMETER_BYTES } },
        ...buffers.map(({ gpu }, i) => ({ binding: i + 1, resource: { buffer: gpu! } })),
      ],
    });
  }

  /** Forgets bind groups, whose buffers are gone. */
  forgetGroups(): void {
    this.#groups.clear();
  }

  #layout(access: string): GPUBindGroupLayout {
    const known = this.#layouts.get(access);
    if (known !== undefined) return known;
    const layout = this.#device.createBindGroupLayout({
      label: access,
      entries: [
        {
          binding: 0,
          visibility: computeStage,
          buffer: { type: "uniform", hasDynamicOffset: true },
        },
        ...[...access].map((kind, i) => ({
          binding: i + 1,
          visibility: computeStage,
          buffer: {
            type: (kind === "w" ? "storage" : "read-only-storage") as GPUBufferBindingType,
          },
        })),
      ],
    });
    this.#layouts.set(access, layout);
    return layout;
  }
}

/** Names and types of the parameters, in the order in which `parametersOf` gives their values. */
function fieldsOf(dispatch: Dispatch, bindings: readonly Binding[]): string[] {
  return [
    "work: u32",
    ...bindings.map(({ name }) => `${name}_at: u32`),
    ...Object.keys(dispatch.u32 ?? {}).map((name) => `${name}: u32`),
    ...Object.keys(dispatch.i32 ?? {}).map((name) => `${name}: i32`),
    ...Object.keys(dispatch.f32 ?? {}).map((name) => `${name}: f32`),
  ];
}

/** Stores the parameters from element `at` on. */
export function writeParameters(
  dispatch: Dispatch,
  bindings: readonly Binding[],
  words: Uint32Array,
  floats: Float32Array,
  at: number,
): void {
  const end = at + PARAMETER_BYTES / 4;
  words[at++] = dispatch.items ?? dispatch.groups!;
  for (const { view, wide } of bindings) words[at++] = wide ? view.offset / 4 : view.offset;
  for (const name in dispatch.u32) words[at++] = dispatch.u32[name];
  for (const name in dispatch.i32) words[at++] = dispatch.i32[name];
  for (const name in dispatch.f32) floats[at++] = dispatch.f32[name];
  if (at > end) {
    throw new BackendError(
      `webgpu: ${dispatch.key}: more than ${PARAMETER_BYTES / 4} parameters; make the operands contiguous() first`,
    );
  }
}

function wgslOf(dispatch: Dispatch, bindings: readonly Binding[], subgroups: boolean): string {
  const made = dispatch.code();
  const { outside, body } = typeof made === "string" ? { outside: "", body: made } : made;
  const arrays = bindings.map(
    ({ name, view, writable, wide }, i) =>
      `@group(0) @binding(${i + 1}) var<storage, ${writable ? "read_write" : "read"}> ` +
      `${name}: array<${wide ? `vec4<${wgslType[view.dtype]}>` : wgslType[view.dtype]}>;`,
  );
  const byItem = dispatch.items !== undefined;
  const lanes = byItem ? ITEM_LANES : (dispatch.lanes ?? 64);
  // Workgroups in two dimensions, as one holds 65535 only.
  const start = byItem
    ? `let i = (id.y * grid.x + id.x) * ${lanes}u + lane;`
    : "let group = id.y * grid.x + id.x;";
  const functions = functionsFor(outside + body, subgroups);
  const extensions = functions.includes("subgroup") ? "enable subgroups;\n" : "";
  return `${outside.includes("vec4h") ? "enable f16;\n" : ""}${extensions}struct Parameters {
  ${fieldsOf(dispatch, bindings).join(",\n  ")},
}
@group(0) @binding(0) var<uniform> p: Parameters;
${arrays.join("\n")}
${functions}
${outside}
@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  ${start}
  if (${byItem ? "i" : "group"} >= p.work) { return; }
${body}
}
`;
}
