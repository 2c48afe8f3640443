/** What a launcher may use: see docs/kernels.md. */
import type { Attrs, Kernel, View } from "../backend.ts";

export interface Runtime {
  readonly threads: number;
  /** Address of the view's first element. */
  pointer(view: View): number;
  /** Address of a row-major copy of the view; of the view itself where it is dense already. */
  dense(view: View): number;
  /** 64-byte aligned memory that lives until the launcher returns. */
  scratch(byteLength: number): number;
  has(name: string): boolean;
  /** Calls one export on the calling thread. */
  call(name: string, ...args: number[]): number;
  /**
   * Calls an export that looks for something wrong in the data and returns its place, or less than 0: then
   * throws what `explain` makes of it.
   */
  verify(name: string, args: readonly number[], explain: (bad: number) => Error): void;
  /** Runs `name(...args, begin, end)` over [0, total) in chunks of `grain`, on several threads where that pays. */
  parallel(name: string, total: number, grain: number, args: readonly number[]): void;
}

export type Launcher = (
  rt: Runtime,
  kernel: Kernel,
  inputs: readonly View[],
  outputs: readonly View[],
  attrs: Attrs,
) => void;
