/** Storages: counted backend memory, and how much of it is alive. */
import type { Backend, Buffer, DType } from "./backend/backend.ts";
import type { Arena } from "./capture.ts";
import { currentCapture } from "./capture.ts";

/** Of all devices; tensors count their handles here. */
export const counts = { bytes: 0, peak: 0, storages: 0, tensors: 0 };

/** Notes that so many bytes more are alive. */
export function countBytes(bytes: number): void {
  counts.bytes += bytes;
  if (counts.bytes > counts.peak) counts.peak = counts.bytes;
}

/** Reference-counted backend memory with a version that in-place writes raise. */
export class Storage {
  readonly backend: Backend;
  readonly buffer: Buffer;
  readonly dtype: DType;
  /** Where the elements start in the buffer (parts of a block share its buffer). */
  readonly offset: number;
  /** Raised by every in-place write, so that backward can refuse stale saved values. */
  version = 0;
  /** The arena of the capture that it was made under. */
  readonly arena: Arena | null;
  private readonly block: Storage | null;
  private references = 1;

  constructor(
    backend: Backend,
    buffer: Buffer,
    dtype: DType,
    block: Storage | null = null,
    offset = 0,
    arena: Arena | null = null,
  ) {
    this.backend = backend;
    this.buffer = buffer;
    this.dtype = dtype;
    this.block = block;
    this.offset = offset;
    this.arena = arena;
    if (block !== null) block.retain();
    else {
      counts.storages++;
      if (arena === null) countBytes(buffer.byteLength);
    }
  }

  static allocate(backend: Backend, size: number, dtype: DType): Storage {
    const capture = currentCapture();
    if (capture === null || capture.backend !== backend) {
      return new Storage(backend, backend.alloc(size, dtype), dtype);
    }
    const { arena } = capture;
    return new Storage(backend, arena.take(size, dtype), dtype, null, 0, arena);
  }

  /** A part of this storage with a version of its own: a parameter in a flat block. */
  part(offset: number): Storage {
    return new Storage(this.backend, this.buffer, this.dtype, this, this.offset + offset);
  }

  /** True when one holder alone can see the memory, so that it may be overwritten. */
  get exclusive(): boolean {
    return this.references === 1 && this.block === null;
  }

  get freed(): boolean {
    return this.references === 0;
  }

  retain(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references > 0) return;
    if (this.block !== null) {
      this.block.release();
      return;
    }
    counts.storages--;
    if (this.arena !== null) {
      this.arena.give(this.buffer);
      return;
    }
    countBytes(-this.buffer.byteLength);
    this.backend.free(this.buffer);
  }
}

/** Live memory of all devices. */
export interface MemoryInfo {
  /** Bytes of live storages (not what the backends have reserved). */
  bytes: number;
  /** The most `bytes` has been since the start or the last `resetPeak`. */
  peakBytes: number;
  /** Tensor handles that have not been released. */
  tensors: number;
  /** Distinct blocks of memory behind them and behind what graphs saved. */
  storages: number;
}

/** Bytes, tensors and peak now. `resetPeak` starts measuring the peak anew. */
export function memory(options: { resetPeak?: boolean } = {}): MemoryInfo {
  const info = {
    bytes: counts.bytes,
    peakBytes: counts.peak,
    tensors: counts.tensors,
    storages: counts.storages,
  };
  if (options.resetPeak) counts.peak = counts.bytes;
  return info;
}
