/**
 * Buffers by size class. A freed buffer is handed out again at once: whatever is recorded later runs later on
 * the queue, so that the next user cannot disturb what is still to run.
 */
import type { Buffer } from "../backend.ts";
import { BackendError } from "../../errors.ts";
import { usage } from "./constants.ts";

/** Memory of a storage. All elements take four bytes: bool is a u32, 0 or 1. */
export class Allocation implements Buffer {
  readonly byteLength: number;
  /** null once it is freed. */
  gpu: GPUBuffer | null;
  /** Names the GPU buffer in keys of bind groups. */
  readonly id: number;
  /** The batch that used it last: see Queue. */
  usedIn = -1;

  constructor(gpu: GPUBuffer, id: number, byteLength: number) {
    this.gpu = gpu;
    this.id = id;
    this.byteLength = byteLength;
  }
}

interface Pooled {
  readonly gpu: GPUBuffer;
  readonly id: number;
  readonly usedIn: number;
}

const SMALLEST = 256;
/** Bytes of free buffers beyond which the largest go back to the system. */
const KEEP = 2 ** 30;

export interface PoolStats {
  bytesInUse: number;
  buffersInUse: number;
  reservedBytes: number;
}

export class Pool {
  readonly #device: GPUDevice;
  readonly #free = new Map<number, Pooled[]>();
  readonly #largest: number;
  #nextId = 0;
  #freeBytes = 0;
  #reserved = 0;
  #bytesInUse = 0;
  #buffersInUse = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
    const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
    this.#largest = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  }

  /** @throws BackendError when no binding of this device is that large */
  alloc(byteLength: number): Allocation {
    if (byteLength > this.#largest) {
      throw new BackendError(
        `webgpu: alloc: ${byteLength} bytes in one tensor; this adapter binds at most ${this.#largest}: ` +
          "use smaller batches, or split the tensor",
      );
    }
    const size = Math.min(classOf(byteLength), this.#largest);
    const pooled = this.#free.get(size)?.pop();
    this.#bytesInUse += byteLength;
    this.#buffersInUse++;
    if (pooled !== undefined) {
      this.#freeBytes -= size;
      const allocation = new Allocation(pooled.gpu, pooled.id, byteLength);
      allocation.usedIn = pooled.usedIn;
      return allocation;
    }
    this.#reserved += size;
    const gpu = this.#device.createBuffer({
      size,
      // Parameters of programs lie in such buffers too.
      usage: usage.storage | usage.uniform | usage.copySource | usage.copyTarget,
    });
    return new Allocation(gpu, this.#nextId++, byteLength);
  }

  free(allocation: Allocation): void {
    const { gpu, id, usedIn } = allocation;
    if (gpu === null) return;
    allocation.gpu = null;
    this.#bytesInUse -= allocation.byteLength;
    this.#buffersInUse--;
    const { size } = gpu;
    let list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, (list = []));
    list.push({ gpu, id, usedIn });
    this.#freeBytes += size;
  }

  /** Gives free buffers back while there are too many. Call it when nothing is being recorded. */
  trim(keep: number = KEEP): boolean {
    if (this.#freeBytes <= keep) return false;
    const sizes = [...this.#free.keys()].sort((a, b) => b - a);
    for (const size of sizes) {
      const list = this.#free.get(size)!;
      while (list.length > 0 && this.#freeBytes > keep) {
        list.pop()!.gpu.destroy();
        this.#freeBytes -= size;
        this.#reserved -= size;
      }
    }
    return true;
  }

  stats(): PoolStats {
    return {
      bytesInUse: this.#bytesInUse,
      buffersInUse: this.#buffersInUse,
      reservedBytes: this.#reserved,
    };
  }
}

/** The next size of 1, 1.25, 1.5, 1.75 times a power of two: at most a quarter is wasted. */
function classOf(byteLength: number): number {
  if (byteLength <= SMALLEST) return SMALLEST;
  let step = SMALLEST / 4;
  while (8 * step <= byteLength) step *= 2;
  return Math.ceil(byteLength / step) * step;
}
