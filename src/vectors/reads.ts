/**
 * Runs that look at tensors on the way, written once for devices that tell at once and for those that do not
 * (`capabilities().syncReads`): a run is a generator that yields what it has asked for and gets the values.
 */
import type { DeviceName, Tensor, TypedArray } from "../index.ts";
import { backend, BackendError, withDevice } from "../index.ts";

/** A tensor's values as they were when they were asked for; perhaps on their way. */
export type Asked = TypedArray | Promise<TypedArray>;

/** Yields what it has asked for, gets the values, and ends with a T. */
export type Run<T> = Generator<readonly Asked[], T, readonly TypedArray[]>;

/** Asks for the values that a tensor has now. */
export function ask(x: Tensor): Asked {
  return backend(x.device).capabilities().syncReads ? x.dataSync() : x.data();
}

/** In a run, the values of tensors: `const [x] = yield* read([a])`. */
export function* read(tensors: readonly Tensor[]): Run<readonly TypedArray[]> {
  return yield tensors.map(ask);
}

/** In a run, the number that a tensor of one element holds. */
export function* readNumber(x: Tensor): Run<number> {
  return (yield [ask(x)])[0][0];
}

/**
 * Plays a run with the device as the default one.
 *
 * @throws BackendError on a device whose values are not told at once; whatever the run throws
 */
export function runNow<T>(device: DeviceName, run: Run<T>): T {
  let state = withDevice(device, () => run.next());
  while (!state.done) {
    const values = state.value;
    const told = values.filter((value): value is TypedArray => !(value instanceof Promise));
    state = withDevice(device, () =>
      told.length === values.length ? run.next(told) : run.throw(notNow(device)),
    );
  }
  return state.value;
}

/** Plays a run and waits wherever it asks. No other scope may be opened or ended meanwhile. */
export async function runLater<T>(device: DeviceName, run: Run<T>): Promise<T> {
  let state = withDevice(device, () => run.next());
  while (!state.done) {
    const asked = Promise.all(state.value);
    const resume = await asked.then(
      (told) => () => run.next(told),
      (error: unknown) => () => run.throw(error),
    );
    state = withDevice(device, resume);
  }
  return state.value;
}

function notNow(device: DeviceName): BackendError {
  return new BackendError(
    `vectors: results of device "${device}" are not there at once; expected "cpu" or "reference"`,
  );
}
