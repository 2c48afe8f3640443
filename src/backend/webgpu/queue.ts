/**
 * One command encoder that collects many dispatches, copies and uploads, and is submitted when somebody reads,
 * waits, or a batch is full.
 *
 * Parameters and small uploads are gathered in JavaScript memory and written once per batch, just before it is
 * submitted. Queue operations run in order, so the two buffers behind them serve all batches.
 */
import { mapRead, usage } from "./constants.ts";
import type { Allocation } from "./pool.ts";

/** Dispatches in a batch. */
const MOST_DISPATCHES = 256;
/** Bytes of parameters of one dispatch; dynamic offsets are multiples of it. */
export const PARAMETER_BYTES = 256;
/** Bytes of uploads that a batch carries; larger ones go straight to the queue. */
const UPLOAD_BYTES = 1 << 18;

export class Queue {
  readonly parameters: GPUBuffer;
  readonly #device: GPUDevice;
  readonly #words = new Uint32Array((MOST_DISPATCHES * PARAMETER_BYTES) / 4);
  readonly #floats = new Float32Array(this.#words.buffer);
  readonly #uploads: GPUBuffer;
  readonly #upload = new Uint8Array(UPLOAD_BYTES);
  #uploaded = 0;
  #dispatches = 0;
  /** Dispatches of the batch that have parameters in it. */
  #slots = 0;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  /** Number of the batch that is being recorded. */
  #batch = 0;
  #recorded = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.parameters = device.createBuffer({
      size: MOST_DISPATCHES * PARAMETER_BYTES,
      usage: usage.uniform | usage.copyTarget,
    });
    this.#uploads = device.createBuffer({
      size: UPLOAD_BYTES,
      usage: usage.copySource | usage.copyTarget,
    });
  }

  /** Dispatches so far. */
  get recorded(): number {
    return this.#recorded;
  }

  /** Records a dispatch. `write` stores its parameters, as words or floats from element `at` on. */
  dispatch(
    pipeline: GPUComputePipeline,
    group: GPUBindGroup,
    buffers: readonly Allocation[],
    groups: readonly [number, number],
    write: (words: Uint32Array, floats: Float32Array, at: number) => void,
  ): void {
    if (this.#dispatches === MOST_DISPATCHES) this.submit();
    const offset = this.#slots * PARAMETER_BYTES;
    write(this.#words, this.#floats, offset / 4);
    this.#slots++;
    this.replay(pipeline, group, offset, buffers, groups);
  }

  /** Records a dispatch whose parameters are there already, `offset` bytes into the buffer that `group` has for them. */
  replay(
    pipeline: GPUComputePipeline,
    group: GPUBindGroup,
    offset: number,
    buffers: readonly Allocation[],
    groups: readonly [number, number],
  ): void {
    if (this.#dispatches === MOST_DISPATCHES) this.submit();
    this.#dispatches++;
    this.#recorded++;
    const pass = (this.#pass ??= this.#open().beginComputePass());
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group, [offset]);
    pass.dispatchWorkgroups(groups[0], groups[1]);
    for (let i = 0; i < buffers.length; i++) buffers[i].usedIn = this.#batch;
  }

  /** Records a copy; bytes, all multiples of 4. */
  copy(
    from: Allocation,
    fromByte: number,
    to: Allocation,
    toByte: number,
    byteLength: number,
  ): void {
    this.#endPass();
    this.#open().copyBufferToBuffer(from.gpu!, fromByte, to.gpu!, toByte, byteLength);
    from.usedIn = this.#batch;
    to.usedIn = this.#batch;
  }

  /** Records an upload; a multiple of 4 bytes at a multiple of 4. */
  write(to: Allocation, byteOffset: number, data: Uint8Array<ArrayBuffer>): void {
    if (data.byteLength === 0) return;
    if (to.usedIn !== this.#batch || data.byteLength > UPLOAD_BYTES) {
      if (to.usedIn === this.#batch) this.submit();
      this.#device.queue.writeBuffer(to.gpu!, byteOffset, data);
      return;
    }
    if (this.#uploaded + data.byteLength > UPLOAD_BYTES) this.submit();
    this.#upload.set(data, this.#uploaded);
    this.#endPass();
    this.#open().copyBufferToBuffer(
      this.#uploads,
      this.#uploaded,
      to.gpu!,
      byteOffset,
      data.byteLength,
    );
    this.#uploaded += data.byteLength;
    to.usedIn = this.#batch;
  }

  /** Copies of windows of buffers, once all that is recorded has run. */
  async read(
    windows: readonly { from: Allocation; at: number; byteLength: number }[],
  ): Promise<ArrayBuffer[]> {
    const total = windows.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const staging = this.#device.createBuffer({
      size: Math.max(total, 4),
      usage: usage.mapRead | usage.copyTarget,
    });
    this.#endPass();
    let to = 0;
    for (const { from, at, byteLength } of windows) {
      if (byteLength > 0) {
        this.#open().copyBufferToBuffer(from.gpu!, at, staging, to, byteLength);
        from.usedIn = this.#batch;
      }
      to += byteLength;
    }
    this.submit();
    try {
      await staging.mapAsync(mapRead);
      const mapped = staging.getMappedRange();
      let start = 0;
      return windows.map(({ byteLength }) => {
        const copy = mapped.slice(start, start + byteLength);
        start += byteLength;
        return copy;
      });
    } finally {
      staging.destroy();
    }
  }

  /** Hands over what is recorded. */
  submit(): void {
    if (this.#encoder === null) return;
    this.#endPass();
    const { queue } = this.#device;
    if (this.#slots > 0) {
      queue.writeBuffer(this.parameters, 0, this.#words, 0, (this.#slots * PARAMETER_BYTES) / 4);
    }
    if (this.#uploaded > 0) queue.writeBuffer(this.#uploads, 0, this.#upload, 0, this.#uploaded);
    queue.submit([this.#encoder.finish()]);
    this.#encoder = null;
    this.#dispatches = 0;
    this.#slots = 0;
    this.#uploaded = 0;
    this.#batch++;
  }

  #open(): GPUCommandEncoder {
    return (this.#encoder ??= this.#device.createCommandEncoder());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }
}
