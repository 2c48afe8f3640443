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
  readonly #report: () => void;
  /** Buffers in use that there was no memory for. */
  readonly #missing = new Set<number>();
  /** Not to be handed out again, and not destroyed yet. */
  readonly #dying: GPUBuffer[] = [];
  /** Resolves when it is known of all buffers made so far whether there was memory for them. */
  #settled: Promise<void> = Promise.resolve();

  /** `report` is told when there is no memory for a buffer that was handed out. */
  constructor(device: GPUDevice, report: () => void) {
    this.#device = device;
    this.#report = report;
    const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
    const largest = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    this.#largest = largest - (largest % 16); // whole vec4, see launch/optim.ts
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
    const id = this.#nextId++;
    return new Allocation(this.#create(size, id), id, byteLength);
  }

  #create(size: number, id: number): GPUBuffer {
    const device = this.#device;
    device.pushErrorScope("out-of-memory");
    const gpu = device.createBuffer({
      size,
      // Parameters of programs lie in such buffers too.
      usage: usage.storage | usage.uniform | usage.copySource | usage.copyTarget,
    });
    const before = this.#settled;
    this.#settled = device.popErrorScope().then(
      (error) => {
        if (error !== null) this.#refuse(id);
        return before;
      },
      () => before, // the device is lost
    );
    return gpu;
  }

  /** Without memory for a buffer: it is not handed out again, and all that nobody uses goes back to the system. */
  #refuse(id: number): void {
    this.#missing.add(id);
    for (const [size, list] of this.#free) {
      for (const pooled of list.splice(0)) {
        this.#missing.delete(pooled.id);
        this.#dying.push(pooled.gpu);
        this.#freeBytes -= size;
        this.#reserved -= size;
      }
    }
    this.#report();
  }

  free(allocation: Allocation): void {
    const { gpu, id, usedIn } = allocation;
    if (gpu === null) return;
    allocation.gpu = null;
    this.#bytesInUse -= allocation.byteLength;
    this.#buffersInUse--;
    const { size } = gpu;
    if (this.#missing.delete(id)) {
      this.#reserved -= size;
      this.#dying.push(gpu);
      return;
    }
    let list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, (list = []));
    list.push({ gpu, id, usedIn });
    this.#freeBytes += size;
  }

  /** Waits until it is known of all buffers made so far whether there was memory for them. */
  settled(): Promise<void> {
    return this.#settled;
  }

  /** Are there buffers in use that there was no memory for? */
  get starved(): boolean {
    return this.#missing.size > 0;
  }

  /** Has `trim` anything to do? */
  get excessive(): boolean {
    return this.#dying.length > 0 || this.#freeBytes > KEEP;
  }

  /** Gives missing buffers back, and free ones while there are too many. Call it when nothing is being recorded. */
  trim(keep: number = KEEP): void {
    for (const gpu of this.#dying.splice(0)) gpu.destroy();
    const sizes = [...this.#free.keys()].sort((a, b) => b - a);
    for (const size of sizes) {
      const list = this.#free.get(size)!;
      while (list.length > 0 && this.#freeBytes > keep) {
        list.pop()!.gpu.destroy();
        this.#freeBytes -= size;
        this.#reserved -= size;
      }
    }
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
