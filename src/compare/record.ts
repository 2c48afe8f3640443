/** An operation's run with all its values, taken down on one device and repeated on another. */
import type { Attrs, Backend, DeviceName, DType, Kernel, TypedArray } from "../backend/backend.ts";
import { arrayOf } from "../backend/backend.ts";
import { withDevice } from "../device.ts";
import type { TraceEvent } from "../op.ts";
import { setTracer } from "../op.ts";
import { defaultGenerator, manualSeed } from "../random.ts";
import { runScoped } from "../scope.ts";
import type { Shape, Strides } from "../shape.ts";
import { stridesOf } from "../shape.ts";
import { isFloat, Storage, Tensor } from "../tensor.ts";

/** An array as it was: its values in row-major order, and how they lay. */
export interface Snapshot {
  readonly shape: Shape;
  readonly strides: Strides;
  readonly dtype: DType;
  readonly data: TypedArray;
}

/** One operation with the values that it saw and left. */
export interface Recorded {
  readonly kernel: Kernel;
  readonly attrs: Attrs;
  readonly inPlace: boolean;
  readonly inputs: readonly Snapshot[];
  /** What the outputs held before, where the kernel overwrites them. */
  readonly overwritten: readonly Snapshot[];
  readonly outputs: readonly Snapshot[];
}

/** Runs `fn` on a device; every operation with the values that it saw and left. */
export async function record(
  device: DeviceName,
  fn: () => unknown,
  seed: number,
): Promise<Recorded[]> {
  const pending: Promise<Recorded>[] = [];
  let overwritten: Promise<Snapshot[]>;
  let inputs: Promise<Snapshot[]>;
  const generator = defaultGenerator().getState();
  const observer = setTracer({
    before(event: TraceEvent) {
      inputs = Promise.all(event.inputs.map(snapshot));
      overwritten = Promise.all(event.inPlace ? event.outputs.map(snapshot) : []);
    },
    after({ kernel, attrs, inPlace, outputs }: TraceEvent) {
      const parts = [inputs, overwritten, Promise.all(outputs.map(snapshot))] as const;
      pending.push(
        Promise.all(parts).then((values) => ({
          kernel,
          attrs,
          inPlace,
          inputs: values[0],
          overwritten: values[1],
          outputs: values[2],
        })),
      );
    },
  });
  try {
    manualSeed(seed);
    withDevice(device, () =>
      runScoped("compare", () => {
        const result = fn();
        // Nothing is kept; but a promise must be refused, as every scope does.
        return result instanceof Promise ? result : undefined;
      }),
    );
  } finally {
    setTracer(observer);
    defaultGenerator().setState(generator);
  }
  return Promise.all(pending);
}

/** The values now: devices copy, or put the copy in line, before `data()` returns. */
async function snapshot(x: Tensor): Promise<Snapshot> {
  const { shape, strides, dtype } = x;
  return { shape, strides, dtype, data: await x.data() };
}

/** Each operation again, on another backend, from the values that it had; layouts as they were. */
export async function replay(backend: Backend, run: readonly Recorded[]): Promise<Recorded[]> {
  const results: Recorded[] = [];
  for (const recorded of run) {
    const inputs = recorded.inputs.map((x) => place(backend, x));
    const outputs = (recorded.inPlace ? recorded.overwritten : recorded.outputs).map((x) =>
      place(backend, x),
    );
    try {
      const before = await Promise.all(inputs.map(snapshot));
      backend.run(recorded.kernel, inputs, outputs, recorded.attrs);
      const after = await Promise.all(outputs.map(snapshot));
      results.push({ ...recorded, inputs: before, outputs: after });
    } finally {
      for (const x of [...inputs, ...outputs]) x.dispose();
    }
  }
  return results;
}

/** A tensor of these values and strides in no scope; floats as the backend has them. */
function place(backend: Backend, { shape, strides, dtype, data }: Snapshot): Tensor {
  const type = isFloat(dtype) ? backend.capabilities().float : dtype;
  let [low, high] = [0, 0];
  shape.forEach((extent, d) => {
    const reach = data.length === 0 ? 0 : (extent - 1) * strides[d];
    if (reach < 0) low += reach;
    else high += reach;
  });
  const memory = arrayOf(type, data.length === 0 ? 0 : high - low + 1);
  const dense = stridesOf(shape);
  for (let i = 0; i < data.length; i++) {
    let at = -low;
    shape.forEach((extent, d) => {
      at += (Math.floor(i / dense[d]) % extent) * strides[d];
    });
    memory[at] = data[i];
  }
  const storage = Storage.allocate(backend, memory.length, type);
  backend.write(storage.buffer, 0, memory);
  return new Tensor(storage, shape, strides, -low, "compare");
}
