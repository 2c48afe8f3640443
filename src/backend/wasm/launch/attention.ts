/** Launchers of kinds `attention` and `attentionGrad`. */
import type { Attrs, View } from "../../backend.ts";
import { collapse } from "../../layout.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { JOB } from "./cut.ts";

/** Chunks per thread: enough to even out a disturbed core. */
const CHUNKS = 4;
/** Queries of a panel (assembly/blocks.ts). */
const COLUMNS = 8;

/** Numbers of the operands (assembly/attention-plan.ts), which are [..., heads, rows, columns]. */
const operand = { q: 0, k: 1, v: 2, mask: 3, y: 4, dy: 5, dq: 6, dk: 7, dv: 8 } as const;
type Operands = Partial<Record<keyof typeof operand, View>>;

interface Plan {
  pointer: number;
  heads: number;
  l: number;
  s: number;
  /** Multiply-adds of one product of all heads. */
  work: number;
  /** Queries of a block. */
  block: number;
}

function makePlan(rt: Runtime, views: Operands, statistics: View, attrs: Attrs): Plan {
  const [q, v] = [views.q!, views.v!];
  const lead = q.shape.slice(0, -2);
  const [l, e] = q.shape.slice(-2);
  const [s, width] = v.shape.slice(-2);
  const names = Object.keys(views) as (keyof Operands)[];
  const { shape: dims, strides } = collapse(
    lead,
    names.map((name) => views[name]!.strides),
  );
  const { isCausal, scale, p, seed, call } = attrs as Record<string, number>;
  // All but the last of 2^32 hashes are dropped for p = 1; the growth makes that one 0 too.
  const threshold = Math.min(Math.ceil(p * 2 ** 32), 2 ** 32 - 1);
  const growth = p === 1 ? 0 : 1 / (1 - p);
  const pointer = rt.scratch(rt.call("attention_bytes", dims.length));
  const sizes = [l, s, e, width, Number(isCausal), scale];
  const random = [threshold, growth, seed, call];
  rt.call("attention_plan", pointer, dims.length, ...sizes, ...random, rt.pointer(statistics));
  names.forEach((name, k) => {
    const i = operand[name];
    const view = views[name]!;
    const [row, column] = view.strides.slice(-2);
    rt.call("attention_operand", pointer, i, rt.pointer(view), row, column);
    dims.forEach((extent, d) => {
      rt.call("attention_dimension", pointer, d, extent, i, strides[k][d]);
    });
  });
  const heads = lead.reduce((product, extent) => product * extent, 1);
  const work = heads * l * s * Math.max(e, width);
  return { pointer, heads, l, s, work, block: rt.call("attention_block", e, width) };
}

/** [..., l, heads, v] as [..., heads, l, v] */
function byHead(view: View): View {
  const swap = (list: readonly number[]): number[] => {
    const n = list.length;
    return [...list.slice(0, n - 3), list[n - 2], list[n - 3], list[n - 1]];
  };
  const { buffer, offset, shape, strides, size, dtype } = view;
  return { buffer, offset, shape: swap(shape), strides: swap(strides), size, dtype };
}

const attention: Launcher = (rt, _kernel, [q, k, v, mask], [y, statistics], attrs) => {
  if (y.size === 0) return;
  const views = { q, k, v, y: byHead(y), ...(mask && { mask }) };
  const plan = makePlan(rt, views, statistics, attrs);
  // A chunk is a number of whole heads, or a block of one.
  const panels = Math.ceil(plan.l / COLUMNS);
  const total = plan.heads * panels;
  const least = Math.ceil((JOB * total) / Math.max(plan.work, 1));
  const even = Math.ceil(total / (rt.threads * CHUNKS));
  const block = Math.min(panels, plan.block / COLUMNS, Math.max(even, 1));
  const grain = block < panels ? block : panels * Math.ceil(least / panels);
  rt.parallel("attention_f32", total, grain, [plan.pointer]);
};

const attentionGrad: Launcher = (rt, _kernel, inputs, [dq, dk, dv], attrs) => {
  const [q, k, v, y, statistics, dy, mask] = inputs;
  const views = { q, k, v, y: byHead(y), dy: byHead(dy), dq, dk, dv, ...(mask && { mask }) };
  const plan = makePlan(rt, views, statistics, attrs);
  const { pointer, heads, l, s, work, block } = plan;
  if (heads === 0) return;
  const [queryBlocks, keyBlocks] = [Math.ceil(l / block), Math.ceil(s / block)];
  if (heads < rt.threads && Math.max(queryBlocks, keyBlocks) > 1) {
    // Too few heads for all threads: more work in all, but in more pieces, and the same bits.
    rt.parallel("attention_grad_queries_f32", heads * queryBlocks, 1, [pointer]);
    rt.parallel("attention_grad_keys_f32", heads * keyBlocks, 1, [pointer]);
    return;
  }
  const grain = Math.ceil((JOB * heads) / Math.max(work, 1));
  rt.parallel("attention_grad_f32", heads, grain, [pointer]);
};

export const attentionLaunchers: Readonly<Record<string, Launcher>> = { attention, attentionGrad };
