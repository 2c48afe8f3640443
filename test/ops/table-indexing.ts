/** Rows of the table (table.ts): selection by index, padding, rearranging, statistics, sorting. */
import * as rl from "../../src/index.ts";
import type { Domain, Row } from "./table.ts";

const below = (n: number): Domain => ({ low: 0, high: n - 1, integers: true });
const awayFromZero: Domain = { avoid: [0] };
const distinct: Domain = { distinct: true };
const dims = [0, 1, -1, [0, 2], undefined];

const indexing: readonly Row[] = [
  {
    op: "takeRows",
    f: (x, index) => rl.indexSelect(x, 0, index),
    shapes: [
      [[3], [5]],
      [[4, 7], [2]],
      [[3, 2, 5], [40]],
      [[3, 2], [0]],
      [[3, 0], [4]],
      [[300, 33], [1000]],
    ],
    domain: [{}, below(3)],
  },
  {
    op: "takeRows",
    f: (x, index) => rl.indexSelect(x, -1, index),
    shapes: [
      [[3], [5]],
      [[2, 3, 5], [7]],
      [[50, 40], [90]],
    ],
    domain: [{}, below(3)],
  },
  {
    op: "takeRows",
    f: (x, index) => rl.indexSelect(x, 1, index),
    shapes: [[[2, 3, 4], [5]]],
    domain: [{ booleans: true }, below(3)],
  },
  {
    op: "takeRows",
    f: (x, i) => rl.indexSelect(x, 0, i),
    shapes: [[[], [1]]],
    domain: [{}, below(1)],
  },
  {
    op: "takeRows",
    f: (index, weight) => rl.embedding(index, weight),
    shapes: [
      [[], [5, 3]],
      [
        [2, 3],
        [5, 3],
      ],
      [
        [40, 50],
        [5, 64],
      ],
    ],
    domain: [below(5), {}],
  },
  {
    op: "takeRows",
    f: (index, weight) => rl.mul(rl.embedding(index, weight, { scaleGradByFreq: true }), 1),
    shapes: [[[7], [7, 3]]],
    domain: [{ ...below(1) }, {}],
    discrete: true,
  },
  {
    op: "addRows",
    f: (x, index, src) => rl.indexAdd(x, 0, index, src),
    shapes: [
      [[3], [5], [5]],
      [[4, 7], [2], [2, 7]],
      [[70, 33], [200], [200, 33]],
      [[3, 2], [0], [0, 2]],
    ],
    domain: [{}, below(3), {}],
  },
  {
    op: "addRows",
    f: (x, index, src) => rl.indexAdd(x, 1, index, src, { alpha: -2 }),
    shapes: [[[2, 3, 5], [4], [2, 4, 5]]],
    domain: [{}, below(3), {}],
  },
  {
    op: "addRows",
    f: (x, index, src) => rl.indexAdd(x, 0, index, src),
    shapes: [[[3, 6], [5], [5, 6]]],
    domain: [below(9), below(3), below(9)],
  },
  ...[0, 1, -1].flatMap((dim): Row[] => [
    {
      op: "gather",
      f: (x, index) => rl.gather(x, dim, index),
      shapes: [
        [
          [3, 4],
          [2, 4],
        ],
        [
          [3, 4, 5],
          [3, 2, 5],
        ],
        [
          [9, 3, 3],
          [3, 2, 1],
        ],
        [
          [33, 64, 5],
          [30, 60, 4],
        ],
      ].map(([x, index]) => [x, index.map((n, d) => (d === 0 && dim === 0 ? n + 1 : n))]),
      domain: [{}, below(3)],
    },
    {
      op: "scatterAdd",
      f: (x, index, src) => rl.scatterAdd(x, dim, index, src),
      shapes: [
        [
          [3, 4],
          [3, 4],
          [3, 4],
        ],
        [
          [3, 4, 5],
          [2, 3, 5],
          [4, 3, 6],
        ],
        [
          [33, 64, 5],
          [30, 60, 4],
          [33, 64, 5],
        ],
      ],
      domain: [{}, below(3), {}],
    },
    {
      op: "scatter",
      f: (x, index, src) => rl.scatter(x, dim, index, src),
      shapes: [
        [
          [3, 4],
          [3, 4],
          [3, 4],
        ],
        [
          [3, 4, 5],
          [2, 3, 5],
          [4, 3, 6],
        ],
        [
          [33, 64, 5],
          [30, 60, 4],
          [33, 64, 5],
        ],
      ],
      domain: [{}, below(3), {}],
    },
  ]),
  {
    op: "gather",
    f: (x, index) => rl.gather(x, 0, index),
    shapes: [[[3], [0]]],
    domain: [{}, below(3)],
  },
  {
    op: "scatter",
    f: (x, index, src) => rl.scatter(x, 0, index, src),
    shapes: [[[3], [0], [0]]],
    domain: [{}, below(3), {}],
  },
  {
    op: "scatter",
    f: (x, index) => rl.scatter(x, 1, index, 7),
    shapes: [
      [
        [2, 3],
        [2, 2],
      ],
    ],
    domain: [{}, below(3)],
  },
  {
    op: "scatterAdd",
    f: (x, index, src) => rl.scatterAdd(x, 0, index, src),
    shapes: [[[3], [0], [0]]],
    domain: [{}, below(3), {}],
  },
  {
    op: "gather",
    f: (x, index) => rl.gather(x, 1, index),
    shapes: [
      [
        [2, 3],
        [2, 5],
      ],
    ],
    domain: [{ booleans: true }, below(3)],
  },
  {
    op: "scatterAdd",
    f: (index) => rl.oneHot(index, 4),
    shapes: [[[]], [[5]], [[2, 3]], [[0]]],
    domain: below(4),
  },
  {
    op: "takeRows",
    f: (x, mask) => rl.maskedSelect(x, mask),
    later: (x, mask) => rl.maskedSelectAsync(x, mask),
    shapes: [
      [
        [4, 5],
        [4, 5],
      ],
      [[4, 5], [5]],
    ],
    domain: [{}, { booleans: true }],
  },
  {
    op: "nonzero",
    f: rl.nonzero,
    later: rl.nonzeroAsync,
    shapes: [[[4, 5]], [[7]], [[]]],
    domain: { booleans: true },
  },
];

const rearranging: readonly Row[] = [
  { op: "slice", f: (x) => rl.flip(x, [0, -1]), shapes: [[[2, 3, 5]], [[0, 3]]] },
  { op: "slice", f: (x) => rl.flip(x, 0), shapes: [[[5]], [[33, 17]]] },
  {
    op: "concat",
    f: (x) => rl.roll(x, [1, -8], [0, -1]),
    shapes: [[[2, 3]], [[5, 7, 9]], [[0, 3]]],
  },
  { op: "concat", f: (x) => rl.roll(x, 3), shapes: [[[5]], [[2, 3, 5]], [[]]] },
  { op: "expand", f: (x) => rl.tile(x, [2, 3]), shapes: [[[]], [[5]], [[2, 1]], [[2, 3, 5]]] },
  { op: "expand", f: (x) => rl.tile(x, [2, 0, 3]), shapes: [[[2, 5]]] },
  { op: "slice", f: (x) => rl.chunk(x, 3, -1)[1], shapes: [[[7]], [[2, 5]], [[3, 0]]] },
  { op: "where", f: (x) => rl.tril(x, 1), shapes: [[[3, 4]], [[2, 5, 3]]] },
  { op: "where", f: (x) => rl.triu(x, -1), shapes: [[[3, 4]], [[2, 5, 3]]] },
  {
    op: "concat",
    f: (x) => rl.pad(x, [1, 2, -1, 3], { value: 7 }),
    shapes: [[[2, 3]], [[4, 1, 5]]],
  },
  { op: "slice", f: (x) => rl.pad(x, [-1, 0, 0, -1]), shapes: [[[2, 3]], [[4, 1, 5]]] },
  ...(["reflect", "replicate", "circular"] as const).flatMap((mode): Row[] => [
    {
      op: "takeRows",
      f: (x) => rl.pad(x, [2, 1, 0, 3], { mode }),
      shapes: [[[4, 3]], [[2, 5, 7]]],
    },
    { op: "takeRows", f: (x) => rl.pad(x, [-1, 2], { mode }), shapes: [[[4]], [[2, 5, 7]]] },
  ]),
];

const statistics: readonly Row[] = [
  ...dims.flatMap((dim): Row[] => [
    { op: "logsumexp", f: (x) => rl.logsumexp(x, dim), shapes: [[[2, 3, 5]], [[9, 8, 17]]] },
    { op: "variance", f: (x) => rl.variance(x, dim), shapes: [[[2, 3, 5]], [[9, 8, 17]]] },
    {
      op: "std",
      f: (x) => rl.std(x, dim, { correction: 0, keepdim: true }),
      shapes: [[[2, 3, 5]], [[9, 8, 17]]],
    },
    {
      op: "prod",
      f: (x) => rl.prod(x, dim),
      shapes: [[[2, 3, 5]], [[3, 8, 3]]],
      domain: { low: 0.5, high: 1.5 },
    },
    ...[0, 1, 2, 3, 1.5, 0.5, -1, Infinity, -Infinity].map((ord): Row => ({
      op: "norm",
      f: (x) => rl.norm(x, ord, dim, { keepdim: true }),
      shapes: [[[2, 3, 5]], [[3, 4, 5]]],
      domain: { low: 0.3, high: 2 },
    })),
  ]),
  {
    op: "prod",
    f: (x) => rl.prod(x, 0),
    shapes: [[[3]], [[]], [[0]]],
    domain: { low: -2, high: 2 },
  },
  { op: "prod", f: (x) => rl.prod(x), shapes: [[[6]]], domain: below(4) },
  { op: "norm", f: (x) => rl.norm(x, 1), shapes: [[[]], [[5]], [[0]]], domain: awayFromZero },
  ...[0, 1, -1].flatMap((dim): Row[] => [
    { op: "cumsum", f: (x) => rl.cumsum(x, dim), shapes: [[[2, 3, 5]], [[40, 33]], [[3, 0]]] },
    { op: "cumsum", f: (x) => rl.cumsum(x, dim), shapes: [[[4, 7]]], domain: below(9) },
  ]),
  { op: "cumsum", f: (x) => rl.cumsum(x, 0), shapes: [[[]], [[7]], [[1031]]] },
];

const sorting: readonly Row[] = [
  ...[0, 1, -1].flatMap((dim): Row[] =>
    [false, true].flatMap((descending): Row[] => [
      {
        op: "argsort",
        f: (x) => rl.argsort(x, dim, { descending }),
        shapes: [[[2, 3]], [[4, 33, 5]], [[3, 0]]],
        domain: below(3),
      },
      {
        op: "argsort",
        f: (x) => rl.sort(x, dim, { descending }).values,
        shapes: [[[2, 3]], [[5, 33, 4]], [[7, 260]]],
        domain: distinct,
      },
      {
        op: "argsort",
        f: (x) => rl.topk(x, 2, dim, { largest: descending }).values,
        shapes: [[[2, 3]], [[5, 33, 4]]],
        domain: distinct,
      },
    ]),
  ),
  { op: "argsort", f: (x) => rl.sort(x).values, shapes: [[[]], [[1]], [[131]]], domain: distinct },
];

const sums = (equation: string, ...shapes: Row["shapes"]): Row => ({
  op: "einsum",
  f: (...operands) => rl.einsum(equation, ...operands),
  shapes,
});

const einsums: readonly Row[] = [
  sums("ij,jk->ik", [
    [2, 3],
    [3, 4],
  ]),
  sums("bij,bjk->bki", [
    [2, 3, 4],
    [2, 4, 5],
  ]),
  sums("i,i->", [[5], [5]]),
  sums("i,j", [[2], [3]]),
  sums("ii->i", [[4, 4]]),
  sums("bii->", [[2, 3, 3]]),
  sums("ji", [[2, 3]]),
  sums("...ij->...", [[2, 5, 3, 4]]),
  sums("...ij,...jk->...ik", [
    [2, 1, 3, 4],
    [5, 4, 2],
  ]),
  sums("bhqd,bhkd->bhqk", [
    [2, 3, 4, 5],
    [2, 3, 6, 5],
  ]),
  sums("ab,bc,cd->ad", [
    [2, 3],
    [3, 4],
    [4, 2],
  ]),
  sums("abc,cd,b->ad", [[2, 3, 4], [4, 5], [3]]),
  sums("ij,jk->", [
    [2, 3],
    [3, 4],
  ]),
  sums("ij,ij->ij", [
    [2, 3],
    [2, 3],
  ]),
  sums("ij,jk->ik", [
    [2, 1],
    [3, 4],
  ]),
];

export const indexingRows: readonly Row[] = [
  ...einsums,
  ...indexing,
  ...rearranging,
  ...statistics,
  ...sorting,
];
