/**
 * Rows and elements by index, running sums and sorted order. Arrays are dense: [outer, n, inner]
 * with an int32 index that the launcher has checked. Results are added in the order of the index,
 * however the work is cut. In- and outputs do not overlap.
 */

/** Place of the first of `size` indices that is outside [0, n), or -1. */
export function find_bad_index(index: usize, size: i32, n: i32): i32 {
  for (let k = 0; k < size; k++) {
    if (<u32>load<i32>(index + ((<usize>k) << 2)) >= <u32>n) return k;
  }
  return -1;
}

/**
 * y[o, j] = x[o, index[j]]: x [outer, n, bytes], index [m], y [outer, m, bytes]. begin … end counts
 * the rows of y.
 */
export function take_rows(
  x: usize,
  index: usize,
  y: usize,
  n: i32,
  m: i32,
  bytes: i32,
  begin: i32,
  end: i32,
): void {
  const width = <usize>bytes;
  for (let row = begin; row < end; row++) {
    const o = row / m;
    const from = <usize>(o * n + load<i32>(index + ((<usize>(row - o * m)) << 2)));
    if (bytes == 4) store<u32>(y + <usize>row * 4, load<u32>(x + from * 4));
    else memory.copy(y + <usize>row * width, x + from * width, width);
  }
}

function addRows<T extends number>(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  skip: i32,
  begin: i32,
  end: i32,
): void {
  const width = (<usize>inner) << 2;
  for (let o = begin / n; o * n < end; o++) {
    const first = max(begin - o * n, 0);
    const last = min(end - o * n, n);
    for (let j = 0; j < m; j++) {
      const r = load<i32>(index + ((<usize>j) << 2));
      if (r < first || r >= last || r == skip) continue;
      let to = y + <usize>(o * n + r) * width;
      let from = src + <usize>(o * m + j) * width;
      const stop = to + width;
      if (isFloat<T>()) {
        for (; to + 16 <= stop; to += 16, from += 16) {
          v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
        }
      }
      for (; to < stop; to += 4, from += 4) store<T>(to, <T>(load<T>(to) + load<T>(from)));
    }
  }
}

/**
 * y[o, index[j]] += src[o, j] for every j in order, but for index[j] = skip: index [m],
 * src [outer, m, inner], y [outer, n, inner]. begin … end counts the rows of y.
 */
export function add_rows_f32(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  skip: i32,
  begin: i32,
  end: i32,
): void {
  addRows<f32>(index, src, y, n, m, inner, skip, begin, end);
}

export function add_rows_i32(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  skip: i32,
  begin: i32,
  end: i32,
): void {
  addRows<i32>(index, src, y, n, m, inner, skip, begin, end);
}

/**
 * y[index[j], i] = src[j, i] for every j in order, so that the last of several stays: index [m], src [m, inner], y of any strides,
 * which are in elements. begin … end counts columns.
 */
export function put_rows_f32(
  index: usize,
  src: usize,
  y: usize,
  m: i32,
  inner: i32,
  rowStride: i32,
  columnStride: i32,
  begin: i32,
  end: i32,
): void {
  for (let j = 0; j < m; j++) {
    const row = <isize>load<i32>(index + ((<usize>j) << 2)) * rowStride;
    const from = src + ((<usize>(j * inner)) << 2);
    for (let i = begin; i < end; i++) {
      const to = y + ((<usize>(row + <isize>i * columnStride)) << 2);
      store<f32>(to, load<f32>(from + ((<usize>i) << 2)));
    }
  }
}

function gather<T>(
  x: usize,
  index: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  for (let row = begin; row < end; row++) {
    const base = (row / m) * n;
    for (let i = 0; i < inner; i++) {
      const at = <usize>(row * inner + i);
      const from = <usize>((base + load<i32>(index + (at << 2))) * inner + i);
      store<T>(y + at * sizeof<T>(), load<T>(x + from * sizeof<T>()));
    }
  }
}

/**
 * y[o, j, i] = x[o, index[o, j, i], i]: x [outer, n, inner], index and y [outer, m, inner],
 * elements of 4 bytes (or 1). begin … end counts rows of y: [outer, m].
 */
export function gather_4(
  x: usize,
  index: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  gather<u32>(x, index, y, n, m, inner, begin, end);
}

export function gather_1(
  x: usize,
  index: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  gather<u8>(x, index, y, n, m, inner, begin, end);
}

function scatterAdd<T extends number>(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  for (let o = begin / inner; o * inner < end; o++) {
    const first = max(begin - o * inner, 0);
    const last = min(end - o * inner, inner);
    for (let j = 0; j < m; j++) {
      for (let i = first; i < last; i++) {
        const at = (<usize>((o * m + j) * inner + i)) << 2;
        const to = y + ((<usize>((o * n + load<i32>(index + at)) * inner + i)) << 2);
        store<T>(to, <T>(load<T>(to) + load<T>(src + at)));
      }
    }
  }
}

/**
 * y[o, index[o, j, i], i] += src[o, j, i] for every j in order: index and src [outer, m, inner],
 * y [outer, n, inner]. begin … end counts lanes: [outer, inner].
 */
export function scatter_add_f32(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  scatterAdd<f32>(index, src, y, n, m, inner, begin, end);
}

export function scatter_add_i32(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  scatterAdd<i32>(index, src, y, n, m, inner, begin, end);
}

function scatter<T extends number>(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  for (let o = begin / inner; o * inner < end; o++) {
    const first = max(begin - o * inner, 0);
    const last = min(end - o * inner, inner);
    for (let j = 0; j < m; j++) {
      for (let i = first; i < last; i++) {
        const at = (<usize>((o * m + j) * inner + i)) << 2;
        const to = y + ((<usize>((o * n + load<i32>(index + at)) * inner + i)) << 2);
        store<T>(to, load<T>(src + at));
      }
    }
  }
}

/** As scatter_add_f32, but y[o, index[o, j, i], i] = src[o, j, i]: the last of several stays. */
export function scatter_f32(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  scatter<f32>(index, src, y, n, m, inner, begin, end);
}

export function scatter_i32(
  index: usize,
  src: usize,
  y: usize,
  n: i32,
  m: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  scatter<i32>(index, src, y, n, m, inner, begin, end);
}

function runningSum<T extends number, Sum extends number>(
  x: usize,
  y: usize,
  n: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const step = (<usize>inner) << 2;
  for (let lane = begin; lane < end; lane++) {
    const o = lane / inner;
    let at = (<usize>(o * n * inner + lane - o * inner)) << 2;
    let sum = <Sum>0;
    for (let k = 0; k < n; k++, at += step) {
      sum = <Sum>(sum + load<T>(x + at));
      store<T>(y + at, <T>(<f64>sum)); // exact for i32, too
    }
  }
}

/** y[o, k, i] = Σ x[o, 0 … k, i], summed in float64. begin … end counts lanes: [outer, inner]. */
export function cumsum_f32(x: usize, y: usize, n: i32, inner: i32, begin: i32, end: i32): void {
  runningSum<f32, f64>(x, y, n, inner, begin, end);
}

export function cumsum_i32(x: usize, y: usize, n: i32, inner: i32, begin: i32, end: i32): void {
  runningSum<i32, i32>(x, y, n, inner, begin, end);
}

/** Does a come before b in ascending order? NaN is larger than everything. */
function less<T extends number>(a: T, b: T): bool {
  if (isFloat<T>()) return a < b || (b != b && a == a);
  return a < b;
}

/** Bottom-up merge sort of places: equal elements keep their order. */
function argsort<T extends number>(
  x: usize,
  y: usize,
  spare: usize,
  n: i32,
  descending: i32,
  begin: i32,
  end: i32,
): void {
  for (let row = begin; row < end; row++) {
    const base = (<usize>(row * n)) << 2;
    const values = x + base;
    let from = y + base;
    let to = spare + base;
    for (let k = 0; k < n; k++) store<i32>(from + ((<usize>k) << 2), k);
    for (let width = 1; width < n; width <<= 1) {
      for (let start = 0; start < n; start += width << 1) {
        const middle = min(start + width, n);
        const stop = min(middle + width, n);
        let a = start;
        let b = middle;
        for (let k = start; k < stop; k++) {
          let second: bool = a == middle;
          if (!second && b < stop) {
            const left = load<T>(values + ((<usize>load<i32>(from + ((<usize>a) << 2))) << 2));
            const right = load<T>(values + ((<usize>load<i32>(from + ((<usize>b) << 2))) << 2));
            second = descending != 0 ? less<T>(left, right) : less<T>(right, left);
          }
          const next = second ? b++ : a++;
          store<i32>(to + ((<usize>k) << 2), load<i32>(from + ((<usize>next) << 2)));
        }
      }
      const swap = from;
      from = to;
      to = swap;
    }
    if (from != y + base) memory.copy(y + base, from, (<usize>n) << 2);
  }
}

/**
 * y [rows, n] = the places of x's elements in ascending (descending) order, row by row. `spare` has
 * room for as many. NaN counts as the largest. begin … end counts rows.
 */
export function argsort_f32(
  x: usize,
  y: usize,
  spare: usize,
  n: i32,
  descending: i32,
  begin: i32,
  end: i32,
): void {
  argsort<f32>(x, y, spare, n, descending, begin, end);
}

export function argsort_i32(
  x: usize,
  y: usize,
  spare: usize,
  n: i32,
  descending: i32,
  begin: i32,
  end: i32,
): void {
  argsort<i32>(x, y, spare, n, descending, begin, end);
}
