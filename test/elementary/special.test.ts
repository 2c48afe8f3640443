/** Elementary functions at the ends of their domains, as IEEE 754 and C (annex F) have them. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as elementary from "../../src/elementary/index.ts";

const special = suite("elementary functions: special values");

const { PI } = Math;
const inf = Infinity;
const tiny = Number.MIN_VALUE;
const powerOf = elementary.powerOfTwo;
/** The float64 nearest to a multiple of π/2 (Muller et al.). */
const nearest = 6381956970095103 * powerOf(797);

type Values = readonly (readonly [x: number, y: number])[];

const ofLogarithms: Values = [
  [1, 0],
  [0, -inf],
  [-0, -inf],
  [-1, NaN],
  [-tiny, NaN],
  [inf, inf],
  [-inf, NaN],
  [NaN, NaN],
];
const ofSines: Values = [
  [0, 0],
  [-0, -0],
  [tiny, tiny],
  [1e-300, 1e-300],
  [inf, NaN],
  [-inf, NaN],
  [NaN, NaN],
];

const table: readonly [f: (x: number) => number, values: Values][] = [
  [
    elementary.exp,
    [
      [0, 1],
      [-0, 1],
      [1, Math.E],
      [tiny, 1],
      [inf, inf],
      [-inf, 0],
      [709.782712893384, 1.7976931348622732e308],
      [709.7827128933841, inf],
      [-745.1332191019411, tiny],
      [-745.1332191019412, 0],
      [NaN, NaN],
    ],
  ],
  [
    elementary.expm1,
    [
      [0, 0],
      [-0, -0],
      [tiny, tiny],
      [1e-300, 1e-300],
      [-50, -1],
      [-inf, -1],
      [inf, inf],
      [710, inf],
      [NaN, NaN],
    ],
  ],
  [elementary.log, ofLogarithms],
  [elementary.log2, ofLogarithms],
  [elementary.log10, ofLogarithms],
  [
    elementary.log1p,
    [
      [0, 0],
      [-0, -0],
      [tiny, tiny],
      [-1, -inf],
      [-1.5, NaN],
      [inf, inf],
      [NaN, NaN],
    ],
  ],
  [elementary.sin, ofSines],
  [elementary.tan, ofSines],
  [
    elementary.sin,
    [
      [PI, 1.2246467991473532e-16], // π − the float64 next to it
      [1e22, -0.8522008497671888],
      [nearest, 1],
    ],
  ],
  [
    elementary.cos,
    [
      [0, 1],
      [-0, 1],
      [tiny, 1],
      [PI / 2, 6.123233995736766e-17],
      [nearest, -4.687165924254628e-19],
      [inf, NaN],
      [NaN, NaN],
    ],
  ],
  [
    elementary.cosPi,
    [
      [0, 1],
      [0.5, 0],
      [-1.5, 0],
      [1, -1],
      [1 / 3, 0.5],
      [1e300, 1],
      [NaN, NaN],
      [inf, NaN],
    ],
  ],
  [
    elementary.asin,
    [
      [0, 0],
      [-0, -0],
      [tiny, tiny],
      [1, PI / 2],
      [-1, -PI / 2],
      [0.5, 0.5235987755982989],
      [1.0000000000000002, NaN],
      [-inf, NaN],
      [NaN, NaN],
    ],
  ],
  [
    elementary.acos,
    [
      [0, PI / 2],
      [-0, PI / 2],
      [tiny, PI / 2],
      [1, 0],
      [-1, PI],
      [0.5, 1.0471975511965979],
      [-1.0000000000000002, NaN],
      [inf, NaN],
      [NaN, NaN],
    ],
  ],
  [
    elementary.atan,
    [
      [0, 0],
      [-0, -0],
      [tiny, tiny],
      [1, PI / 4],
      [-1, -PI / 4],
      [1e300, PI / 2],
      [inf, PI / 2],
      [-inf, -PI / 2],
      [NaN, NaN],
    ],
  ],
  [
    elementary.tanh,
    [
      [0, 0],
      [-0, -0],
      [tiny, tiny],
      [25, 1],
      [-25, -1],
      [inf, 1],
      [-inf, -1],
      [NaN, NaN],
    ],
  ],
  [
    elementary.sigmoid,
    [
      [0, 0.5],
      [50, 1],
      [inf, 1],
      [-inf, 0],
      [-745, tiny],
      [NaN, NaN],
    ],
  ],
  [
    elementary.logOnePlusExp,
    [
      [0, Math.LN2],
      [1000, 1000],
      [inf, inf],
      [-inf, 0],
      [-745, tiny],
      [NaN, NaN],
    ],
  ],
  [
    elementary.erf,
    [
      [0, 0],
      [-0, -0],
      [6, 1],
      [-7, -1],
      [inf, 1],
      [-inf, -1],
      [NaN, NaN],
    ],
  ],
  [
    elementary.erfc,
    [
      [0, 1],
      [-8, 2],
      [28, 0],
      [inf, 0],
      [-inf, 2],
      [NaN, NaN],
    ],
  ],
  [
    elementary.normalCdf,
    [
      [0, 0.5],
      [9, 1],
      [-40, 0],
      [-inf, 0],
      [inf, 1],
      [NaN, NaN],
    ],
  ],
  [
    elementary.normalDensity,
    [
      [0, 0.3989422804014327],
      [41, 0],
      [inf, 0],
      [-inf, 0],
      [NaN, NaN],
    ],
  ],
];

for (const [f, values] of table) {
  for (const [x, y] of values) {
    special(`${f.name}(${Object.is(x, -0) ? "-0" : x})`, () => {
      const found = f(x);
      assert.ok(Object.is(found, y), `found ${found}, expected ${y}`);
    });
  }
}

special("atan2: special values as in C, annex F", () => {
  const rows: [y: number, x: number, result: number][] = [
    [0, 1, 0],
    [-0, 1, -0],
    [0, 0, 0],
    [-0, 0, -0],
    [0, -0, PI],
    [-0, -0, -PI],
    [0, -1, PI],
    [-0, -1, -PI],
    [1, 0, PI / 2],
    [-1, -0, -PI / 2],
    [tiny, tiny, PI / 4],
    [tiny, -tiny, (3 * PI) / 4],
    [tiny, -1, PI],
    [1, inf, 0],
    [-1, inf, -0],
    [1, -inf, PI],
    [-1, -inf, -PI],
    [inf, 1, PI / 2],
    [-inf, -1, -PI / 2],
    [inf, inf, PI / 4],
    [-inf, inf, -PI / 4],
    [inf, -inf, (3 * PI) / 4],
    [-inf, -inf, (-3 * PI) / 4],
    [1e308, 1e308, PI / 4],
    [1e-300, 1e300, 0],
    [1e300, -1e-300, PI / 2],
    [NaN, 1, NaN],
    [1, NaN, NaN],
    [NaN, inf, NaN],
  ];
  for (const [y, x, result] of rows) {
    const found = elementary.atan2(y, x);
    assert.ok(Object.is(found, result), `atan2(${y}, ${x}) = ${found}, not ${result}`);
  }
});

special("pow: special values as in C, annex F", () => {
  const rows: [x: number, y: number, result: number][] = [
    [0, -3, inf],
    [-0, -3, -inf],
    [-0, -2, inf],
    [0, -0.5, inf],
    [-0, -inf, inf],
    [-1, inf, 1],
    [-1, -inf, 1],
    [1, NaN, 1],
    [1, inf, 1],
    [NaN, 0, 1],
    [NaN, -0, 1],
    [-2, 0.5, NaN],
    [-2, 3, -8],
    [-2, 2, 4],
    [-2, -3, -0.125],
    [0.5, -inf, inf],
    [2, -inf, 0],
    [0.5, inf, 0],
    [-2, inf, inf],
    [-inf, -3, -0],
    [-inf, -2, 0],
    [-inf, 3, -inf],
    [-inf, 2, inf],
    [-inf, 0.5, inf],
    [inf, -1, 0],
    [inf, 0.5, inf],
    [-0, 3, -0],
    [-0, 2, 0],
    [-0, 0.5, 0],
    [NaN, 1, NaN],
    [2, NaN, NaN],
    [-1, 9007199254740994, 1], // an even number, as float64
    [-1, 4503599627370497, -1],
    [-8, 1 / 3, NaN],
    [2, 1023, powerOf(1023)],
    [2, 1024, inf],
    [2, -1074, tiny],
    [2, -1075, 0],
    [-2, 1025, -inf],
    [-2, -1077, -0],
    [1 + 2.220446049250313e-16, 1e300, inf],
    [1 - 1.1102230246251565e-16, 1e300, 0],
    [2, 1e-300, 1],
    [4, 1.5, 8],
    [10, 22, 1e22],
    [10, -5, 1e-5],
  ];
  for (const [x, y, result] of rows) {
    const found = elementary.pow(x, y);
    assert.ok(Object.is(found, result), `pow(${x}, ${y}) = ${found}, not ${result}`);
  }
});

special.run();
