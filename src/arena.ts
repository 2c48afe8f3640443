/** The memory of a compiled step: what is freed in it is kept, for the same call of the next step. */
import type { Backend, Buffer, DType } from "./backend/backend.ts";
import { bytesPerElement } from "./backend/backend.ts";
import type { Arena as ArenaLike } from "./capture.ts";
import { countBytes } from "./storage.ts";

export class Arena implements ArenaLike {
  readonly #backend: Backend;
  /** Buffers that nothing uses now, by dtype and length. */
  readonly #free = new Map<string, Buffer[]>();
  #open = true;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  take(size: number, dtype: DType): Buffer {
    const free = this.#list(size * bytesPerElement[dtype], dtype).pop();
    if (free !== undefined) return free;
    const buffer = this.#backend.alloc(size, dtype);
    this.#dtypes.set(buffer, dtype);
    countBytes(buffer.byteLength);
    return buffer;
  }

  give(buffer: Buffer): void {
    if (this.#open) this.#list(buffer.byteLength, this.#dtypes.get(buffer)!).push(buffer);
    else this.#drop(buffer);
  }

  /** Frees what is unused, and all else as soon as it is given back. */
  close(): void {
    this.#open = false;
    for (const list of this.#free.values()) for (const buffer of list) this.#drop(buffer);
    this.#free.clear();
  }

  readonly #dtypes = new WeakMap<Buffer, DType>();

  #list(byteLength: number, dtype: DType): Buffer[] {
    const key = `${dtype} ${byteLength}`;
    const known = this.#free.get(key);
    if (known !== undefined) return known;
    const list: Buffer[] = [];
    this.#free.set(key, list);
    return list;
  }

  #drop(buffer: Buffer): void {
    countBytes(-buffer.byteLength);
    this.#backend.free(buffer);
  }
}
