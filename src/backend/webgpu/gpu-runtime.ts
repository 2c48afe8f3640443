/** What launchers see (runtime.ts), on a queue. */
import type { Attrs, DType, Kernel, View } from "../backend.ts";
import { BackendError } from "../../errors.ts";
import { isContiguous, stridesOf } from "../../shape.ts";
import type { Faults } from "./faults.ts";
import { faultView } from "./faults.ts";
import { launchers } from "./launch/index.ts";
import type { Binding, Pipelines } from "./pipelines.ts";
import { bindingsOf, ITEM_LANES, writeParameters } from "./pipelines.ts";
import type { Pool } from "./pool.ts";
import { Allocation } from "./pool.ts";
import type { Noted, Prepared, Recorder } from "./program.ts";
import type { Queue } from "./queue.ts";
import { PARAMETER_BYTES } from "./queue.ts";
import type { Dispatch, IndexCheck, Runtime } from "./runtime.ts";

const copyKernel: Kernel = { name: "copy", kind: "copy", wasm: "copy", reference: () => {} };
const noAttrs: Attrs = {};

/** Runs launchers, and what they ask for. */
export class GpuRuntime implements Runtime {
  readonly group: Runtime["group"];
  readonly halves: boolean;
  readonly #pool: Pool;
  readonly #queue: Queue;
  readonly #faults: Faults;
  readonly #fault: Allocation;
  readonly #pipelines: Pipelines;
  /** Workgroups in one dimension. */
  readonly #most: number;
  readonly #held: Allocation[] = [];
  /** Notes what the launcher does; null outside of programs. */
  #recorder: Recorder | null = null;
  #operation = "";

  constructor(
    { limits, features }: GPUDevice,
    pool: Pool,
    queue: Queue,
    pipelines: Pipelines,
    faults: Faults,
    fault: Allocation,
  ) {
    this.#most = limits.maxComputeWorkgroupsPerDimension;
    this.group = {
      lanes: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
      bytes: limits.maxComputeWorkgroupStorageSize,
    };
    this.halves = features.has("shader-f16");
    this.#pool = pool;
    this.#queue = queue;
    this.#pipelines = pipelines;
    this.#faults = faults;
    this.#fault = fault;
  }

  /** One operation from beginning to end: its scratch arrays are free afterwards. */
  operate(
    kernel: Kernel,
    inputs: readonly View[],
    outputs: readonly View[],
    attrs: Attrs,
    recorder: Recorder | null,
  ): void {
    this.#recorder = recorder;
    try {
      this.launch(kernel, inputs, outputs, attrs);
    } finally {
      this.#release();
      this.#recorder = null;
    }
  }

  launch(kernel: Kernel, inputs: readonly View[], outputs: readonly View[], attrs: Attrs): void {
    const launcher = Object.hasOwn(launchers, kernel.kind) ? launchers[kernel.kind] : undefined;
    if (launcher === undefined) {
      throw new BackendError(
        `webgpu: no kernels of kind ${kernel.kind} yet, which ${kernel.name} needs; ` +
          'use await init({ device: "cpu" }) for models with it',
      );
    }
    this.#operation = kernel.name;
    launcher(this, kernel, inputs, outputs, attrs);
  }

  run(dispatch: Dispatch): void {
    if (countOf(dispatch) === 0) return;
    const bindings = bindingsOf(dispatch);
    const prepared = this.#prepare(dispatch, bindings);
    const { pipeline, layout, buffers, grid } = prepared;
    const twins = this.#separate(bindings, buffers);
    const group = this.#pipelines.group(layout, buffers);
    this.#queue.dispatch(pipeline, group, buffers, grid, (words, floats, at) => {
      writeParameters(dispatch, bindings, words, floats, at);
      const own = this.#recorder === null ? null : words.slice(at, at + PARAMETER_BYTES / 4);
      if (own !== null) this.#recorder!.dispatch({ ...prepared, parameters: own });
    });
    for (const [twin, own, { view }] of twins) {
      this.#copy(twin, own, 4 * view.offset, 4 * view.size);
    }
  }

  /** What the dispatch would be, if it ran; it binds no array twice. */
  note(dispatch: Dispatch): Noted {
    const bindings = bindingsOf(dispatch);
    const parameters = new Uint32Array(PARAMETER_BYTES / 4);
    writeParameters(dispatch, bindings, parameters, new Float32Array(parameters.buffer), 0);
    return { ...this.#prepare(dispatch, bindings), parameters };
  }

  dense(view: View): View {
    if (isContiguous(view.shape, view.strides)) return view;
    const flat = this.scratch(view.size, view.dtype);
    const copy = { ...flat, shape: view.shape, strides: stridesOf(view.shape) };
    const operation = this.#operation;
    this.launch(copyKernel, [view], [copy], noAttrs);
    this.#operation = operation;
    return copy;
  }

  scratch(size: number, dtype: DType): View {
    const buffer = this.#hold(4 * size);
    return { buffer, offset: 0, shape: [size], strides: [1], size, dtype };
  }

  verify(index: View, check: IndexCheck): void {
    this.#recorder?.expectFaults();
    this.run(this.#faults.check(index, faultView(this.#fault), check));
  }

  #prepare(
    dispatch: Dispatch,
    bindings: readonly Binding[],
  ): Prepared & { readonly buffers: Allocation[] } {
    const { pipeline, layout } = this.#pipelines.pipeline(dispatch, bindings);
    const buffers = bindings.map(({ view }) => this.#bufferOf(view));
    const count = countOf(dispatch);
    const groups = dispatch.items === undefined ? count : Math.ceil(count / ITEM_LANES);
    const rows = Math.ceil(groups / this.#most);
    return { pipeline, layout, buffers, grid: [Math.ceil(groups / rows), rows] };
  }

  #release(): void {
    for (let block = this.#held.pop(); block !== undefined; block = this.#held.pop()) {
      if (this.#recorder === null) this.#pool.free(block);
      else this.#recorder.give(block);
    }
  }

  /** Copies bytes to the same place in another buffer. */
  #copy(from: Allocation, to: Allocation, at: number, byteLength: number): void {
    this.#queue.copy(from, at, to, at, byteLength);
    this.#recorder?.copy(from, to, at, byteLength);
  }

  /**
   * WebGPU refuses a buffer that is bound twice where one of the bindings is written: the others get a copy.
   * Returns the copies whose content must come back.
   */
  #separate(
    bindings: readonly Binding[],
    buffers: Allocation[],
  ): [twin: Allocation, own: Allocation, binding: Binding][] {
    const back: [Allocation, Allocation, Binding][] = [];
    for (let w = bindings.length - 1; w >= 0 && bindings[w].writable; w--) {
      const own = buffers[w];
      for (let k = 0; k < w; k++) {
        if (buffers[k] !== own) continue;
        const twin = this.#hold(own.byteLength);
        this.#copy(own, twin, 0, own.byteLength);
        buffers[k] = twin;
        if (bindings[k].writable) back.push([twin, own, bindings[k]]);
      }
    }
    return back;
  }

  #bufferOf(view: View): Allocation {
    const { buffer } = view;
    if (buffer instanceof Allocation && buffer.gpu !== null) return buffer;
    const freed = buffer instanceof Allocation;
    throw new BackendError(
      `webgpu: ${this.#operation}: ${freed ? "the buffer is freed already" : "the buffer belongs to another backend"}`,
    );
  }

  #hold(byteLength: number): Allocation {
    const block = this.#recorder?.take(byteLength) ?? this.#pool.alloc(byteLength);
    this.#held.push(block);
    return block;
  }
}

/** Invocations or workgroups. */
const countOf = ({ items, groups }: Dispatch): number => items ?? groups!;
