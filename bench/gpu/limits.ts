/** What the adapter can do through WebGPU: multiply-adds in registers, and copying. Nothing of the library takes part. */

/** A dispatch that can be repeated, and what one does. */
export interface Limit {
  readonly name: string;
  readonly unit: "GFLOP/s" | "GB/s";
  readonly amount: number;
  /** Makes that many dispatches and waits for them. */
  run(times: number): Promise<void>;
  release(): void;
}

const LANES = 256;
/** Chains of vec4 multiply-adds in each lane: more than the latency of one needs, few enough for registers. */
const CHAINS = 8;

const peakCode = (steps: number): string => {
  const chains = Array.from({ length: CHAINS }, (_, i) => i);
  return `@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = source[0];
  let b = source[1];
${chains.map((i) => `  var c${i} = vec4f(f32(id.x + ${i}u));`).join("\n")}
  for (var k = 0u; k < ${steps}u; k++) {
${chains.map((i) => `    c${i} = fma(c${i}, a, b);`).join("\n")}
  }
  y[id.x] = ${chains.map((i) => `c${i}`).join(" + ")};
}`;
};

/** `groups` workgroups of `steps` steps. */
export function peakOf(device: GPUDevice, groups: number, steps: number): Limit {
  const operations = groups * LANES * CHAINS * 4 * 2 * steps;
  return limitOf(device, {
    name: "multiply-add",
    unit: "GFLOP/s",
    amount: operations,
    code: peakCode(steps),
    sourceBytes: 32,
    targetBytes: groups * LANES * 16,
    groups,
  });
}

/** Reads and writes that many bytes each; a multiple of 4096. */
export function copyOf(device: GPUDevice, byteLength: number): Limit {
  return limitOf(device, {
    name: `copy of ${byteLength / 2 ** 20} MiB`,
    unit: "GB/s",
    amount: 2 * byteLength,
    code: `@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.y * grid.x * ${LANES}u + id.x;
  y[i] = source[i];
}`,
    sourceBytes: byteLength,
    targetBytes: byteLength,
    groups: byteLength / 16 / LANES,
  });
}

interface Kernel extends Pick<Limit, "name" | "unit" | "amount"> {
  readonly code: string;
  readonly sourceBytes: number;
  readonly targetBytes: number;
  readonly groups: number;
}

function limitOf(device: GPUDevice, kernel: Kernel): Limit {
  const { name, unit, amount, code, groups } = kernel;
  const storage = 0x80;
  const source = device.createBuffer({ size: kernel.sourceBytes, usage: storage });
  const target = device.createBuffer({ size: kernel.targetBytes, usage: storage });
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module, entryPoint: "main" },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [source, target].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const rows = Math.ceil(groups / 32768);
  return {
    name,
    unit,
    amount,
    async run(times) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(Math.ceil(groups / rows), rows);
      pass.end();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    },
    release() {
      source.destroy();
      target.destroy();
    },
  };
}
