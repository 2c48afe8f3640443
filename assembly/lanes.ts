/** How four elements travel between memory and vectors: 4-byte numbers, or bools of one byte. */
import { F32x4 } from "./simd";

export interface Lanes {
  /** log2 of the bytes per element. */
  shift(): usize;
  load(p: usize): v128;
  /** 1 to 3 elements; the other lanes are 0. */
  loadTail(p: usize, n: i32): v128;
  /** One element in every lane. */
  splat(p: usize): v128;
  store(p: usize, v: v128): void;
  storeTail(p: usize, v: v128, n: i32): void;
}

@final
export class Words implements Lanes {
  @inline
  shift(): usize {
    return 2;
  }
  @inline
  load(p: usize): v128 {
    return v128.load(p);
  }
  @inline
  loadTail(p: usize, n: i32): v128 {
    return F32x4.loadTail(p, n);
  }
  @inline
  splat(p: usize): v128 {
    return v128.load32_splat(p);
  }
  @inline
  store(p: usize, v: v128): void {
    v128.store(p, v);
  }
  @inline
  storeTail(p: usize, v: v128, n: i32): void {
    F32x4.storeTail(p, v, n);
  }
}

/** In vectors a bool is an i32 lane; stored is its lowest bit, so comparison masks will do. */
@final
export class Bools implements Lanes {
  @inline
  shift(): usize {
    return 0;
  }
  @inline
  load(p: usize): v128 {
    return F32x4.loadBools(p);
  }
  @inline
  loadTail(p: usize, n: i32): v128 {
    let v = i32x4.splat(0);
    v = i32x4.replace_lane(v, 0, load<u8>(p));
    if (n > 1) v = i32x4.replace_lane(v, 1, load<u8>(p, 1));
    if (n > 2) v = i32x4.replace_lane(v, 2, load<u8>(p, 2));
    return v;
  }
  @inline
  splat(p: usize): v128 {
    return i32x4.splat(load<u8>(p));
  }
  @inline
  store(p: usize, v: v128): void {
    const bits = v128.and(v, i32x4.splat(1));
    const halves = i16x8.narrow_i32x4_u(bits, bits);
    v128.store32_lane(p, i8x16.narrow_i16x8_u(halves, halves), 0);
  }
  @inline
  storeTail(p: usize, v: v128, n: i32): void {
    store<u8>(p, i32x4.extract_lane(v, 0) & 1);
    if (n > 1) store<u8>(p, i32x4.extract_lane(v, 1) & 1, 1);
    if (n > 2) store<u8>(p, i32x4.extract_lane(v, 2) & 1, 2);
  }
}

/** Up to four floats; where `n` is the constant 4, no branch is left. */
@final
export class Quad {
  @inline
  static load(p: usize, n: i32): v128 {
    return n == 4 ? v128.load(p) : F32x4.loadTail(p, n);
  }

  @inline
  static store(p: usize, v: v128, n: i32): void {
    if (n == 4) v128.store(p, v);
    else F32x4.storeTail(p, v, n);
  }
}
