/** Launchers of ScheduleFreeWrapper's steps; all views are dense and as long as the first. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { copy, lerpInPlace } from "./optim.ts";
import { optimBaseLaunchers } from "./optim-base.ts";

/** Elements a thread takes at a time: about 10 µs of work. */
const GRAIN = 16384;

function before(rt: Runtime, p: View, z: View, attrs: Attrs): void {
  const { zDecay, yDecay, toX } = attrs as Record<string, number>;
  const args = [rt.pointer(p), rt.pointer(z), zDecay, yDecay, toX];
  rt.parallel("wrapper_before_f32", p.size, GRAIN, args);
}

function after(rt: Runtime, p: View, z: View, attrs: Attrs): void {
  const { ckp1, toY } = attrs as Record<string, number>;
  rt.parallel("wrapper_after_f32", p.size, GRAIN, [rt.pointer(p), rt.dense(z), ckp1, toY]);
}

/** p, z */
const wrapperBefore: Launcher = (rt, _kernel, _inputs, [p, z], attrs) => before(rt, p, z, attrs);

/** z → p */
const wrapperAfter: Launcher = (rt, _kernel, [z], [p], attrs) => after(rt, p, z, attrs);

/**
 * grad → p, z, state, and x where it is kept; the base's step, which moves z in between. Three passes: over chunks that stay in the second
 * cache they take longer (1.1 to 1.4 times, 10^5 to 4·10^6 elements on EPYC), because every loop starts its streams anew.
 */
const wrapped =
  (base: Launcher): Launcher =>
  (rt, kernel, inputs, [p, z, ...others], attrs) => {
    const mean = attrs.keepsX ? others.pop() : undefined;
    before(rt, p, z, attrs);
    base(rt, kernel, inputs, [z, ...others], attrs.step as Attrs);
    if (mean === undefined) {
      after(rt, p, z, attrs);
      return;
    }
    lerpInPlace(rt, mean, z, attrs.ckp1 as number);
    copy(rt, z, p);
  };

export const optimWrapperLaunchers: Readonly<Record<string, Launcher>> = {
  wrapperBefore,
  wrapperAfter,
  ...Object.fromEntries(
    Object.entries(optimBaseLaunchers).map(([kind, base]) => [`${kind}Wrapped`, wrapped(base)]),
  ),
};
