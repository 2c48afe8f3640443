/**
 * What the CPU refuses at once, a GPU notices later: indices outside of their range. Kernels that use indices
 * keep within the array; a check before them notes the first bad index in a small buffer, which comes back
 * with every read.
 */
import type { View } from "../backend.ts";
import type { Allocation } from "./pool.ts";
import type { Dispatch, IndexCheck } from "./runtime.ts";

/** [noted, number of the check, place, value], as int32. */
export const FAULT_WORDS = 4;
/** No index that anybody means. */
const NOTHING = -2147483648;

export class Faults {
  readonly #checks: IndexCheck[] = [];
  readonly #numbers = new Map<string, number>();
  /** Has anything been checked since the last look? */
  pending = false;

  /** The dispatch that looks at all of `index`: one workgroup, so that the first bad place is known. */
  check(index: View, fault: View, check: IndexCheck): Dispatch {
    this.pending = true;
    return {
      key: "check index",
      reads: { index },
      writes: { fault },
      u32: { size: index.size },
      i32: { number: this.#number(check), n: check.n, exempt: check.except ?? NOTHING },
      groups: 1,
      code: () => ({
        outside: "var<workgroup> first: array<u32, 64>;",
        body: `  first[lane] = p.size;
  for (var k = lane; k < p.size; k += 64u) {
    let value = index[p.index_at + k];
    if ((value < 0 || value >= p.n) && value != p.exempt) { first[lane] = k; break; }
  }
  workgroupBarrier();
  if (lane > 0u) { return; }
  var at = p.size;
  for (var k = 0u; k < 64u; k++) { at = min(at, first[k]); }
  if (at == p.size || fault[0] != 0) { return; }
  fault[0] = 1;
  fault[1] = p.number;
  fault[2] = i32(at);
  fault[3] = index[p.index_at + at];`,
      }),
    };
  }

  /** The error that the words tell of; null if all was well. */
  explain(words: Int32Array): Error | null {
    this.pending = false;
    if (words[0] === 0) return null;
    const { label, n, except = 0, explain } = this.#checks[words[1]];
    return explain(label, words[3], words[2], n, except);
  }

  /** Equal checks have one number. */
  #number(check: IndexCheck): number {
    const key = `${check.label} ${check.n} ${check.except ?? ""}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.#checks.length);
    return this.#checks.push(check) - 1;
  }
}

export function faultView(buffer: Allocation): View {
  return {
    buffer,
    offset: 0,
    shape: [FAULT_WORDS],
    strides: [1],
    size: FAULT_WORDS,
    dtype: "int32",
  };
}
