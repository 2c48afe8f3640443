/** Ranges of arguments of every elementary function: for its accuracy, and for its pinned bits. */
import * as elementary from "../../src/elementary/index.ts";
import { powerOfTwo } from "../../src/elementary/index.ts";
import { philox4x32 } from "../../src/random.ts";

/** Numbers in [0, 1) with 53 bits. */
type Random = () => number;

export interface Range {
  of: string;
  /** Largest error in ulp. */
  bound: number;
  draw: (random: Random) => number;
  /** The exponent, for pow. */
  second?: (random: Random) => number;
}

export interface Function {
  name: string;
  f: (x: number, y: number) => number;
  ranges: readonly Range[];
}

/** Draws `count` arguments of a range, always the same. */
export function* draws({ draw, second }: Range, count: number): Generator<[x: number, y: number]> {
  let i = 0;
  const random = (): number => {
    const words = philox4x32([i++, 0, 0, 0], [2026, 0]);
    return (words[0] * 2097152 + (words[1] >>> 11)) / 9007199254740992;
  };
  for (let n = 0; n < count; n++) yield [draw(random), second ? second(random) : 0];
}

const between = (low: number, high: number) => (random: Random) => low + (high - low) * random();
/** ±2^e with e spread evenly, exactly computed. */
const sizes =
  (low: number, high: number, signed = true) =>
  (random: Random) => {
    const e = low + Math.floor((high - low) * random());
    const x = (1 + random()) * powerOfTwo(e);
    return signed && random() < 0.5 ? -x : x;
  };
const aroundOne = (random: Random): number => 1 + sizes(-52, -2)(random);
/** The float64 nearest to a multiple of π/2, below 2^e. */
const quarterTurns = (e: number) => (random: Random) =>
  Math.round(sizes(0, e)(random)) * (Math.PI / 2);
const rounded = (draw: (random: Random) => number) => (random: Random) => Math.round(draw(random));

function ranges(bound: number, draws: Record<string, Range["draw"]>): Range[] {
  return Object.entries(draws).map(([of, draw]) => ({ of, bound, draw }));
}

const circle = (bound: number): Range[] =>
  ranges(bound, {
    "small numbers": sizes(-50, 0),
    "a few turns": between(-10, 10),
    "up to 1e6": between(-1e6, 1e6),
    "up to the largest number": sizes(20, 1023),
    "beside multiples of π/2": quarterTurns(19),
    "beside multiples of π/2 beyond 2^20": quarterTurns(52),
    "beside multiples of π/2 up to 1e300": quarterTurns(995),
  });
const logarithm = ranges(0.51, {
  "every size": sizes(-1022, 1023, false),
  subnormal: (random) => Math.ceil(random() * 4503599627370496) * Number.MIN_VALUE,
  "around 1": aroundOne,
  "½ to 2": between(0.5, 2),
});

/** Where √(1 − x²) loses digits. */
const besideOne = {
  "beside ±1": (random: Random): number => {
    const x = 1 - sizes(-53, -3, false)(random);
    return random() < 0.5 ? -x : x;
  },
};

export const functions: readonly Function[] = [
  {
    name: "exp",
    f: elementary.exp,
    ranges: [
      ...ranges(0.51, { "small numbers": sizes(-52, 0), "whole range": between(-708, 709.78) }),
      ...ranges(0.76, { "subnormal results": between(-745.1, -708.4) }),
    ],
  },
  {
    name: "expm1",
    f: elementary.expm1,
    ranges: ranges(0.53, {
      "small numbers": sizes(-60, -1),
      "-3 to 3": between(-3, 3),
      "whole range": between(-40, 709.78),
    }),
  },
  { name: "log", f: elementary.log, ranges: logarithm },
  { name: "log2", f: elementary.log2, ranges: logarithm },
  { name: "log10", f: elementary.log10, ranges: logarithm },
  {
    name: "log1p",
    f: elementary.log1p,
    ranges: ranges(0.51, {
      "small numbers": sizes(-60, -1),
      "-1 to 3": between(-1, 3),
      "large numbers": sizes(0, 1023, false),
    }),
  },
  { name: "sin", f: elementary.sin, ranges: circle(0.54) },
  { name: "cos", f: elementary.cos, ranges: circle(0.54) },
  { name: "tan", f: elementary.tan, ranges: circle(0.54) },
  {
    name: "cosPi",
    f: elementary.cosPi,
    ranges: ranges(0.54, { "-4 to 4": between(-4, 4), "small numbers": sizes(-30, -1) }),
  },
  {
    name: "asin",
    f: elementary.asin,
    ranges: ranges(0.51, {
      "small numbers": sizes(-60, 0),
      "-1 to 1": between(-1, 1),
      ...besideOne,
    }),
  },
  {
    name: "acos",
    f: elementary.acos,
    ranges: ranges(0.51, {
      "small numbers": sizes(-60, 0),
      "-1 to 1": between(-1, 1),
      ...besideOne,
    }),
  },
  {
    name: "atan",
    f: elementary.atan,
    ranges: ranges(0.51, {
      "small numbers": sizes(-60, 0),
      "large numbers": sizes(0, 60),
      "-4 to 4": between(-4, 4),
    }),
  },
  {
    name: "atan2",
    f: elementary.atan2,
    ranges: [
      { of: "around the circle", bound: 0.51, draw: between(-1, 1), second: between(-1, 1) },
      { of: "every size", bound: 0.51, draw: sizes(-1000, 1000), second: sizes(-20, 20) },
      { of: "large and small", bound: 0.51, draw: sizes(1000, 1023), second: sizes(990, 1023) },
      {
        of: "next to nothing",
        bound: 0.51,
        draw: sizes(-1074, -1040),
        second: sizes(-1074, -1040),
      },
    ],
  },
  {
    name: "tanh",
    f: elementary.tanh,
    ranges: ranges(0.54, { "small numbers": sizes(-50, 1), "-20 to 20": between(-20, 20) }),
  },
  {
    name: "sigmoid",
    f: elementary.sigmoid,
    ranges: ranges(0.53, {
      "small numbers": sizes(-50, 2),
      "-45 to 45": between(-45, 45),
      tail: between(-708, -36),
    }),
  },
  {
    name: "logOnePlusExp",
    f: elementary.logOnePlusExp,
    ranges: ranges(0.53, {
      "small numbers": sizes(-50, 2),
      "-45 to 45": between(-45, 45),
      tail: between(-708, -36),
    }),
  },
  {
    name: "erf",
    f: elementary.erf,
    ranges: ranges(0.7, { "small numbers": sizes(-60, 0), "-6 to 6": between(-6, 6) }),
  },
  {
    name: "erfc",
    f: elementary.erfc,
    ranges: [
      ...ranges(0.7, { "-6 to 6": between(-6, 6), tail: between(0.4, 26.5) }),
      ...ranges(1, { "subnormal results": between(26.6, 27.2) }),
    ],
  },
  {
    name: "normalCdf",
    f: elementary.normalCdf,
    ranges: [
      ...ranges(0.7, { "-5 to 5": between(-5, 5), tail: between(-37.5, 0) }),
      ...ranges(1.3, { "subnormal results": between(-38.4, -37.6) }),
    ],
  },
  {
    name: "normalDensity",
    f: elementary.normalDensity,
    ranges: [
      ...ranges(0.53, { "whole range": between(-37.5, 37.5) }),
      ...ranges(0.8, { "subnormal results": between(37.6, 38.4) }),
    ],
  },
  {
    name: "pow",
    f: elementary.pow,
    ranges: [
      { of: "every size", bound: 0.52, draw: sizes(-1000, 1000, false), second: between(-1, 1) },
      { of: "½ to 2", bound: 0.52, draw: between(0.5, 2), second: between(-1000, 1000) },
      { of: "around 1", bound: 0.52, draw: aroundOne, second: sizes(0, 20) },
      { of: "whole", bound: 0.5001, draw: between(0.5, 2), second: rounded(between(-900, 900)) },
      { of: "large", bound: 0.52, draw: between(2, 1e6), second: between(30, 51) },
      { of: "subnormal", bound: 0.8, draw: between(2, 4), second: between(-1073, -1023) },
    ],
  },
];
