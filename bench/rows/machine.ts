/** The limits: arithmetic in registers, memory beyond the caches. */
import { peakName, triadName } from "../ratios.ts";
import type { Row } from "../row.ts";

/** About eight milliseconds, so that starting and joining threads costs nothing. */
const peakCount = 1 << 22;
const peakOperations = 96 * peakCount;
/** Three arrays of 32 MB for each thread: beyond the caches. */
const triadCount = 1 << 23;
const triadBytes = 12 * triadCount;

export function machineRows(threads: readonly number[]): Row[] {
  const groups = ["machine"] as const;
  const section = "machine";
  return threads.flatMap((count): Row[] => [
    ...[true, false].map((fused): Row => ({
      section,
      name: peakName(fused, count),
      work: { kind: "peak", fused, threads: count, count: peakCount },
      unit: "GFLOP/s",
      amount: peakOperations * count,
      groups,
    })),
    {
      section,
      name: triadName(count),
      work: { kind: "triad", threads: count, count: triadCount },
      unit: "GB/s",
      amount: triadBytes * count,
      groups,
    },
  ]);
}
