/** The masks that attention with heads takes, as one for `scaledDotProductAttention`. */
import { ShapeError } from "../errors.ts";
import { add } from "../ops/arithmetic.ts";
import { reshape } from "../ops/broadcast.ts";
import { cast } from "../ops/common.ts";
import { logicalNot, logicalOr, lt, where } from "../ops/compare.ts";
import { arange, zeros } from "../ops/creation.ts";
import { concat, unsqueeze } from "../ops/movement.ts";
import type { Shape } from "../shape.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { isFloat } from "../tensor.ts";

export interface AttentionMasks {
  /**
   * [l, s] or [batch·heads, l, s] ([heads, l, s] without a batch). bool: true = this key is *not* seen, as in PyTorch's module (and the
   * opposite of `scaledDotProductAttention`); numbers are added to the scores. Default: none.
   */
  attnMask?: Tensor | null;
  /** [batch, s] ([s] without a batch), likewise: true where the sequence has ended. Default: none. */
  keyPaddingMask?: Tensor | null;
  /** Query i sees keys j ≤ i only; no `attnMask` is needed. Default false. */
  isCausal?: boolean;
}

interface Scores {
  batch: number;
  heads: number;
  /** Queries. */
  l: number;
  /** Keys, without those added. */
  s: number;
  /** Keys behind the others, which every query sees. */
  added: number;
  /** On the device and of the dtype that the mask must have. */
  like: Tensor;
}

/** `mask` (true = seen, or numbers) and `isCausal` for scores [batch, heads, l, s + added]. */
export function maskFor(
  masks: AttentionMasks,
  scores: Scores,
): { mask: Tensor | null; isCausal: boolean } {
  const { added, like, l, s } = scores;
  const hidden = checked(masks, scores);
  let { isCausal = false } = masks;
  if (isCausal && added > 0) {
    // By itself it would hide the keys behind the others.
    const line = (n: number): Tensor => arange(n, undefined, 1, { device: like.device });
    hidden.push(lt(unsqueeze(line(l), 1), line(s)));
    isCausal = false;
  }
  if (hidden.length === 0) return { mask: null, isCausal };
  const joined = join(hidden, like);
  if (added === 0) return { mask: joined, isCausal };
  const border = zeros([...joined.shape.slice(0, -1), added], { device: like.device });
  const seen = isFloat(joined.dtype) ? cast(border, joined.dtype) : logicalNot(border);
  return { mask: concat([joined, seen], -1), isCausal };
}

/** The masks in shapes that broadcast to [batch, heads, l, s]. */
function checked(
  { attnMask, keyPaddingMask }: AttentionMasks,
  { batch, heads, l, s }: Scores,
): Tensor[] {
  const found: Tensor[] = [];
  if (attnMask) {
    const every = [batch * heads, l, s];
    if (sameShape(attnMask.shape, every)) found.push(reshape(attnMask, [batch, heads, l, s]));
    else if (sameShape(attnMask.shape, [l, s])) found.push(attnMask);
    else throw misfit("attnMask", attnMask, `${formatShape([l, s])} or ${formatShape(every)}`);
  }
  if (keyPaddingMask) {
    const expected: Shape = [batch, s];
    if (!sameShape(keyPaddingMask.shape, expected)) {
      throw misfit("keyPaddingMask", keyPaddingMask, `${formatShape(expected)}, batch and keys`);
    }
    found.push(reshape(keyPaddingMask, [batch, 1, 1, s]));
  }
  return found;
}

function misfit(name: string, mask: Tensor, expected: string): ShapeError {
  return new ShapeError(
    `MultiheadAttention: ${name} has the shape ${formatShape(mask.shape)}; expected ${expected}`,
  );
}

/** What hides a key in one mask hides it in all. Numbers if one mask has numbers, else true = seen. */
function join(hidden: readonly Tensor[], like: Tensor): Tensor {
  if (!hidden.some((mask) => isFloat(mask.dtype))) {
    return logicalNot(hidden.reduce((a, b) => logicalOr(a, b)));
  }
  const zero = zeros([], { dtype: like.dtype, device: like.device });
  const numbers = hidden.map((mask) => (isFloat(mask.dtype) ? mask : where(mask, -Infinity, zero)));
  return numbers.reduce((a, b) => add(a, b));
}
