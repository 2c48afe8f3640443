/** The memory of a compiled step: what is freed in it is kept, for the same call of the next step. */
import type { Backend, Buffer, DType } from "./backend/backend.ts";
import type { Arena as ArenaLike } from "./capture.ts";
import { countBytes } from "./storage.ts";

export class Arena implements ArenaLike {
  readonly #backend: Backend;
  /** Buffers that nothing uses now, by dtype and number of elements. */
  readonly #free = new Map<string, Buffer[]>();
  /** What each buffer was made for; how many bytes that takes is the backend's affair. */
  readonly #kinds = new WeakMap<Buffer, string>();
  #open = true;
  given: ((buffer: Buffer) => void) | null = null;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  take(size: number, dtype: DType): Buffer {
    const kind = `${dtype} ${size}`;
    const free = this.#free.get(kind)?.pop();
    if (free !== undefined) return free;
    const buffer = this.#backend.alloc(size, dtype);
    this.#kinds.set(buffer, kind);
    countBytes(buffer.byteLength);
    return buffer;
  }

  give(buffer: Buffer): void {
    this.given?.(buffer);
    if (!this.#open) {
      this.#drop(buffer);
      return;
    }
    const kind = this.#kinds.get(buffer)!;
    const list = this.#free.get(kind);
    if (list === undefined) this.#free.set(kind, [buffer]);
    else list.push(buffer);
  }

  /** Frees what is unused, and all else as soon as it is given back. */
  close(): void {
    this.#open = false;
    for (const list of this.#free.values()) for (const buffer of list) this.#drop(buffer);
    this.#free.clear();
  }

  #drop(buffer: Buffer): void {
    countBytes(-buffer.byteLength);
    this.#backend.free(buffer);
  }
}
