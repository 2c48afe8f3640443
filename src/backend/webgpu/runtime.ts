/** What a launcher may use: see docs/webgpu.md. */
import type { Attrs, DType, Kernel, View } from "../backend.ts";

type Numbers = Readonly<Record<string, number>>;
type Views = Readonly<Record<string, View>>;

/** One dispatch. Names are those that the WGSL uses. */
export interface Dispatch {
  /** With the names and dtypes of the arrays, says which WGSL it is: the same key, the same code. */
  readonly key: string;
  /** Arrays; the place of a view's first element is `p.NAME_at`. */
  readonly reads?: Views;
  /** Arrays that are written, and may be read. */
  readonly writes: Views;
  /** Names of arrays that are of vec4; their views begin at a multiple of four, and `p.NAME_at` counts vec4. */
  readonly wide?: readonly string[];
  /** Parameters: `p.NAME`. Whole numbers are taken mod 2^32, so that negative strides add up. */
  readonly u32?: Numbers;
  readonly i32?: Numbers;
  readonly f32?: Numbers;
  /** The body of one invocation: `i` counts them. */
  readonly items?: number;
  /** Or of one of 64 lanes of a workgroup: `group` counts workgroups, `lane` is 0 to 63. */
  readonly groups?: number;
  /** Lanes of a workgroup, for `groups`; default 64. */
  readonly lanes?: number;
  /** The body, and what stands outside of it: workgroup memory. */
  readonly code: () => string | { readonly outside: string; readonly body: string };
}

/** What a bad index is reported as: see faults.ts. */
export interface IndexCheck {
  readonly label: string;
  /** Indices are in [0, n) … */
  readonly n: number;
  /** … or this. */
  readonly except?: number;
  readonly explain: (label: string, found: number, at: number, n: number, except: number) => Error;
}

export interface Runtime {
  /** What a workgroup may have at most. */
  readonly group: { readonly lanes: number; readonly bytes: number };
  /** May code use f16, and give up precision for it? */
  readonly halves: boolean;
  run(dispatch: Dispatch): void;
  /** A row-major copy of the view; the view itself where it is dense already. */
  dense(view: View): View;
  /** A dense array that lives until the launcher returns. */
  scratch(size: number, dtype: DType): View;
  /** Runs another launcher's kind. */
  launch(kernel: Kernel, inputs: readonly View[], outputs: readonly View[], attrs: Attrs): void;
  /** Notes a bad index, if there is one, for the next read or sync. `index` is dense. */
  verify(index: View, check: IndexCheck): void;
}

export type Launcher = (
  rt: Runtime,
  kernel: Kernel,
  inputs: readonly View[],
  outputs: readonly View[],
  attrs: Attrs,
) => void;
