// The loops that take the time of training, in AssemblyScript: TypeScript for WebAssembly, with 128-bit vectors of four floats.
// Arguments are addresses of float32 arrays. After a change, compile it with: python tools/make_playground.py --kernel

// c = a · b, or c += a · b where `add`: a [m, k], b [k, n], c [m, n]. a's element (i, p) is i * rows + p * columns floats from
// its start, so a transposed a needs no copy. Each round computes 4 rows × 8 columns of c, which stay in 8 vectors meanwhile.
export function multiply(m: i32, n: i32, k: i32, a: usize, rows: i32, columns: i32, b: usize, c: usize, add: bool): void {
  const down = rows << 2, right = columns << 2, next = n << 2, zero = f32x4.splat(0)
  let j = 0
  for (; j + 8 <= n; j += 8) {
    let i = 0
    for (; i + 4 <= m; i += 4) {
      const c0 = c + ((i * n + j) << 2), c1 = c0 + next, c2 = c1 + next, c3 = c2 + next
      let l0 = add ? v128.load(c0) : zero, r0 = add ? v128.load(c0, 16) : zero  // the left and the right half of a row
      let l1 = add ? v128.load(c1) : zero, r1 = add ? v128.load(c1, 16) : zero
      let l2 = add ? v128.load(c2) : zero, r2 = add ? v128.load(c2, 16) : zero
      let l3 = add ? v128.load(c3) : zero, r3 = add ? v128.load(c3, 16) : zero
      let from = a + i * down, row = b + (j << 2)
      for (let p = 0; p < k; p++) {
        const left = v128.load(row), half = v128.load(row, 16)
        let x = v128.load32_splat(from)
        l0 = f32x4.add(l0, f32x4.mul(x, left)); r0 = f32x4.add(r0, f32x4.mul(x, half))
        x = v128.load32_splat(from + down)
        l1 = f32x4.add(l1, f32x4.mul(x, left)); r1 = f32x4.add(r1, f32x4.mul(x, half))
        x = v128.load32_splat(from + 2 * down)
        l2 = f32x4.add(l2, f32x4.mul(x, left)); r2 = f32x4.add(r2, f32x4.mul(x, half))
        x = v128.load32_splat(from + 3 * down)
        l3 = f32x4.add(l3, f32x4.mul(x, left)); r3 = f32x4.add(r3, f32x4.mul(x, half))
        from += right; row += next
      }
      v128.store(c0, l0); v128.store(c0, r0, 16); v128.store(c1, l1); v128.store(c1, r1, 16)
      v128.store(c2, l2); v128.store(c2, r2, 16); v128.store(c3, l3); v128.store(c3, r3, 16)
    }
    for (; i < m; i++) dot(i, j, j + 8, n, k, a + i * down, right, b, c, add)  // the rows that are left
  }
  for (let i = 0; i < m; i++) dot(i, j, n, n, k, a + i * down, right, b, c, add)  // the columns that are left
}

// Row i of c from column j to `end`, one number at a time.
function dot(i: i32, j: i32, end: i32, n: i32, k: i32, a: usize, right: i32, b: usize, c: usize, add: bool): void {
  for (; j < end; j++) {
    const at = c + ((i * n + j) << 2)
    let sum: f32 = add ? load<f32>(at) : 0
    for (let p = 0; p < k; p++) sum += load<f32>(a + p * right) * load<f32>(b + ((p * n + j) << 2))
    store<f32>(at, sum)
  }
}

// to [columns, rows] = from [rows, columns], transposed.
export function transpose(rows: i32, columns: i32, from: usize, to: usize): void {
  for (let i = 0; i < rows; i += 8) for (let j = 0; j < columns; j++) for (let r = i; r < i + 8 && r < rows; r++)
    store<f32>(to + ((j * rows + r) << 2), load<f32>(from + ((r * columns + j) << 2)))
}

// One step of Adam for n weights (a multiple of 4), with gradient g and its running mean m and mean square v. Where
// gradients vanish, both settle near 1e-30: below 1e-38 a processor takes many times as long for each operation.
export function adam(n: i32, w: usize, g: usize, m: usize, v: usize, rate: f32, beta1: f32, beta2: f32, epsilon: f32): void {
  const b1 = f32x4.splat(1 - beta1), b2 = f32x4.splat(1 - beta2), r = f32x4.splat(rate), e = f32x4.splat(epsilon)
  const tiny = f32x4.splat(1e-30)
  for (let i = 0; i < n << 2; i += 16) {
    const gradient = v128.load(g + i), mean = v128.load(m + i), square = v128.load(v + i)
    const new_mean = f32x4.add(f32x4.add(mean, tiny), f32x4.mul(b1, f32x4.sub(gradient, mean)))
    const new_square = f32x4.add(f32x4.add(square, tiny), f32x4.mul(b2, f32x4.sub(f32x4.mul(gradient, gradient), square)))
    v128.store(m + i, new_mean)
    v128.store(v + i, new_square)
    const change = f32x4.div(f32x4.mul(r, new_mean), f32x4.add(f32x4.sqrt(new_square), e))
    v128.store(w + i, f32x4.sub(v128.load(w + i), change))
  }
}

// average += share · (w - average), for n weights (a multiple of 4).
export function follow(n: i32, average: usize, w: usize, share: f32): void {
  const s = f32x4.splat(share)
  for (let i = 0; i < n << 2; i += 16) {
    const a = v128.load(average + i)
    v128.store(average + i, f32x4.add(a, f32x4.mul(s, f32x4.sub(v128.load(w + i), a))))
  }
}
