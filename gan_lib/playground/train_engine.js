/* A GAN of two fully connected nets, and its training: what gan_lib/models.py and gan_lib/training.py do, without PyTorch.
   It runs in a worker and in Node. A matrix is a Float32Array, row after row; a batch is a matrix with an image in each row. */


/* 1 · Kernels: the loops that take the time. `plain` has them in JavaScript, `fast` in WebAssembly (train_kernel.ts). */

const plain = () => ({
  name: "plain JavaScript",
  floats: n => new Float32Array(n),
  // c = a · b, or c += a · b: a [m, k], b [k, n]. a's element (i, p) is a[i * rows + p * columns], so a may be transposed.
  multiply(m, n, k, a, rows, columns, b, c, add) {
    if (!add) c.fill(0, 0, m * n)
    const even = k - k % 2, whole = m - m % 4
    for (let i = 0; i < whole; i += 4) for (let p = 0; p < even; p += 2) {  // four rows of c share two rows of b
      const at = i * rows + p * columns, next = at + columns, c0 = i * n, c1 = c0 + n, c2 = c1 + n, c3 = c2 + n
      const x0 = a[at], x1 = a[at + rows], x2 = a[at + 2 * rows], x3 = a[at + 3 * rows]
      const y0 = a[next], y1 = a[next + rows], y2 = a[next + 2 * rows], y3 = a[next + 3 * rows]
      for (let j = 0, row = p * n, below = row + n; j < n; j++) {
        const u = b[row + j], v = b[below + j]
        c[c0 + j] += x0 * u + y0 * v
        c[c1 + j] += x1 * u + y1 * v
        c[c2 + j] += x2 * u + y2 * v
        c[c3 + j] += x3 * u + y3 * v
      }
    }
    for (let i = 0; i < m; i++) for (let p = i < whole ? even : 0; p < k; p++)  // what is left
      for (let j = 0, x = a[i * rows + p * columns]; j < n; j++) c[i * n + j] += x * b[p * n + j]
  },
  transpose(rows, columns, from, to) {
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j]
  },
  adam(n, w, g, m, v, rate, beta1, beta2, epsilon) {
    for (let i = 0; i < n; i++) {
      m[i] += (1 - beta1) * (g[i] - m[i]) + 1e-30  // as in train_kernel.ts
      v[i] += (1 - beta2) * (g[i] * g[i] - v[i]) + 1e-30
      w[i] -= rate * m[i] / (Math.sqrt(v[i]) + epsilon)
    }
  },
  follow(n, average, w, share) { for (let i = 0; i < n; i++) average[i] += share * (w[i] - average[i]) },
})

function fast(code, megabytes = 32) {  // all arrays lie in one memory, and WebAssembly gets their addresses in it
  const memory = new WebAssembly.Memory({initial: 16 * megabytes})
  const {exports} = new WebAssembly.Instance(new WebAssembly.Module(code), {env: {memory}})
  const at = value => value instanceof Float32Array ? value.byteOffset : value
  const call = name => (...values) => exports[name](...values.map(at))
  let end = 1024
  return {
    name: "WebAssembly",
    floats(n) {
      const start = end
      end += 4 * n + 15 & ~15  // each array starts at a multiple of 16 bytes
      return new Float32Array(memory.buffer, start, n)
    },
    multiply: call("multiply"), transpose: call("transpose"), adam: call("adam"), follow: call("follow"),
  }
}

function bestKernel(code) {  // where a policy forbids WebAssembly, or the browser has no vectors, `fast` throws at once
  try { return fast(code) } catch { return plain() }
}


/* 2 · Random numbers */

function uniform(seed) {  // mulberry32: numbers in [0, 1), the same for the same seed in every browser
  return () => {
    seed = seed + 0x6D2B79F5 | 0
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
}

function normal(random, out, n = out.length) {  // from N(0, 1), by Box and Muller
  for (let i = 0; i < n; i++) out[i] = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return out
}


/* 3 · A net: linear layers, each but the last followed by a ReLU that keeps `slope` of what is below 0. */

const OUTPUTS = {  // the function after the last layer, unless it is linear, and its derivative in terms of its result
  tanh: [Math.tanh, y => 1 - y * y],
  sigmoid: [a => a < -40 ? 0 : 1 / (1 + Math.exp(-a)), y => y * (1 - y)],  // numbers of 1e-38 are slow to compute with
}

class Net {
  constructor(kernel, sizes, slope, output, batch, random) {  // sizes [256, 64, 1]: 256 inputs, 64 hidden units, 1 output
    Object.assign(this, {kernel, sizes, slope, output, steps: 0, size: 0})
    for (let i = 1; i < sizes.length; i++) this.size += (sizes[i - 1] + 1) * sizes[i]
    const room = this.size + 3 & ~3  // the kernel works on four at a time
    // Weights of all layers, their gradients, Adam's mean and mean square of these, and the moving average of the weights:
    for (const name of ["w", "gradient", "mean", "square", "average"]) this[name] = kernel.floats(room)
    let at = 0
    this.layers = sizes.slice(1).map((out, i) => {
      const into = sizes[i], middle = at + into * out, part = (from, to) => array => array.subarray(from, to)
      const layer = {into, out, weight: part(at, middle), bias: part(middle, middle + out)}
      Object.assign(layer, {y: kernel.floats(batch * out), back: kernel.floats(batch * into)})
      layer.transposed = kernel.floats(into * out)
      at = middle + out
      const bound = 1 / Math.sqrt(into)  // as in nn.Linear
      for (const array of [layer.weight(this.w), layer.bias(this.w)])
        for (let j = 0; j < array.length; j++) array[j] = bound * (2 * random() - 1)
      return layer
    })
    this.average.set(this.w)
  }

  forward(x, n, w = this.w) {  // x [n, inputs] → [n, outputs]; each layer remembers its input x and its output y
    for (const layer of this.layers) {
      const {into, out, y} = layer, bias = layer.bias(w)
      for (let i = 0; i < n; i++) y.set(bias, i * out)
      this.kernel.multiply(n, out, into, x, into, 1, layer.weight(w), y, 1)
      if (layer !== this.layers.at(-1)) { for (let i = 0; i < n * out; i++) if (y[i] < 0) y[i] *= this.slope }
      else if (this.output !== "linear") { for (let i = 0, f = OUTPUTS[this.output][0]; i < n * out; i++) y[i] = f(y[i]) }
      layer.x = x
      x = y
    }
    return x
  }

  // Backpropagation: from the gradient g of the loss with respect to the outputs (which is overwritten) to the gradient with
  // respect to the weights where `own`, and to the inputs where `inputs`: these are returned.
  backward(g, n, {own = false, inputs = false}) {
    for (const layer of this.layers.toReversed()) {
      const {into, out, x, y} = layer, weight = layer.weight(this.gradient), bias = layer.bias(this.gradient)
      if (layer !== this.layers.at(-1)) { for (let i = 0; i < n * out; i++) if (y[i] <= 0) g[i] *= this.slope }
      else if (this.output !== "linear") for (let i = 0, f = OUTPUTS[this.output][1]; i < n * out; i++) g[i] *= f(y[i])
      if (own) {
        this.kernel.multiply(into, out, n, x, 1, into, g, weight, 0)
        bias.fill(0)
        for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < out; j++) bias[j] += g[at++]
      }
      if (layer === this.layers[0] && !inputs) return
      this.kernel.transpose(into, out, layer.weight(this.w), layer.transposed)
      this.kernel.multiply(n, into, out, g, out, 1, layer.transposed, layer.back, 0)
      g = layer.back
    }
    return g
  }

  step(rate, [beta1, beta2]) {  // Adam, for the gradient that `backward` has left
    this.steps++
    const {kernel, w, gradient, mean, square} = this  // its two means start at 0, and are too small at first: correct for that
    const small = 1 - beta1 ** this.steps, large = Math.sqrt(1 - beta2 ** this.steps)
    kernel.adam(w.length, w, gradient, mean, square, rate * large / small, beta1, beta2, 1e-8 * large)
  }
}


/* 4 · Losses of a real and a fake logit: of D, of G, and their derivatives, as in gan_lib/losses.py. */

const softplus = a => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)))
const sigmoid = OUTPUTS.sigmoid[0]
const crossEntropy = {
  d: (real, fake) => softplus(-real) + softplus(fake),  // -log D(x) - log(1 - D(G(z)))
  dReal: real => -sigmoid(-real),
  dFake: (real, fake) => sigmoid(fake),
}
const LOSSES = {
  "non-saturating": {...crossEntropy, g: (real, fake) => softplus(-fake), gFake: (real, fake) => -sigmoid(-fake)},
  minimax: {...crossEntropy, g: (real, fake) => -softplus(fake), gFake: (real, fake) => -sigmoid(fake)},
  relativistic: {
    d: (real, fake) => softplus(fake - real),
    dReal: (real, fake) => -sigmoid(fake - real),
    dFake: (real, fake) => sigmoid(fake - real),
    g: (real, fake) => softplus(real - fake), gFake: (real, fake) => -sigmoid(real - fake),
  },
}


/* 5 · The game. `world` fills an array with the next n real images or points: world(array, n, fault). */

const MOST = 128  // the largest batch

class Game {
  constructor(kernel, world, {latent = 64, width = 256, size = 784, output = "tanh", seed = 0, ...settings} = {}) {
    const random = uniform(seed)
    const usual = {loss: "non-saturating", batch: 32, dRate: 1e-3, gRate: 1e-3, betas: [0.5, 0.99], ema: 0.999, fault: ""}
    this.settings = {...usual, seed, ...settings}  // these may change at any time
    Object.assign(this, {world, latent, size, random, step: 0})
    this.generator = new Net(kernel, [latent, width, width, size], 0, output, MOST, random)
    this.discriminator = new Net(kernel, [size, width, width, 1], 0.2, "linear", 2 * MOST, random)
    for (const name of ["z", "shown"]) this[name] = kernel.floats(MOST * latent)  // for training, and for `render`
    this.both = kernel.floats(2 * MOST * size)  // the real batch, and after it the fakes
    this.g = kernel.floats(2 * MOST)  // the gradient with respect to the logits
  }

  iteration() {  // a step of each net, with the same fakes: [d_loss, g_loss, mean D(x), mean D(G(z))]
    this.draw()
    const {loss, real, fake} = this.discriminatorStep()
    return [loss, this.generatorStep(), real, fake]
  }

  draw() {  // the next real batch, and fakes
    const n = this.n = this.settings.batch
    normal(this.random, this.z, n * this.latent)
    this.world(this.both, n, this.settings.fault)
    this.fake()
  }

  fake() {
    const {generator, n, size, z, both} = this
    both.set(generator.forward(z, n).subarray(0, n * size), n * size)
  }

  discriminatorStep() {  // D learns to give the real batch high logits, and the fakes low ones. G stays as it is.
    const {generator, discriminator, n, g, settings: {fault, dRate, betas}} = this, {d, dReal, dFake} = LOSSES[this.settings.loss]
    discriminator.output = fault === "sigmoid twice" ? "sigmoid" : "linear"
    const [high, low] = fault === "swapped labels" ? [n, 0] : [0, n]  // where in the batch the "real" images start
    const logits = discriminator.forward(this.both, 2 * n), found = {loss: 0, real: 0, fake: 0, low: Infinity, high: -Infinity}
    for (let i = 0; i < n; i++) {
      const real = logits[high + i], fake = logits[low + i]
      found.loss += d(real, fake) / n
      found.real += sigmoid(logits[i]) / n
      found.fake += sigmoid(logits[n + i]) / n
      found.low = Math.min(found.low, real, fake)
      found.high = Math.max(found.high, real, fake)
      g[high + i] = dReal(real, fake) / n
      g[low + i] = dFake(real, fake) / n
    }
    const joint = fault === "one optimiser"  // D's optimiser holds G's weights too, and nothing is detached
    const back = discriminator.backward(g, 2 * n, {own: true, inputs: joint})
    if (joint) {
      generator.backward(back.subarray(n * this.size), n, {own: true})
      generator.step(dRate, betas)
      this.fake()
    }
    discriminator.step((fault === "learning rate" ? 20 : 1) * dRate, betas)
    return this.found = found
  }

  generatorStep() {  // G learns to make fakes with high logits. The gradient passes through D, and D stays as it is.
    const {generator, discriminator, n, size, g, settings: {fault, dRate, gRate, betas, ema}} = this
    const paired = this.settings.loss === "relativistic", first = paired ? n : 0  // whether it needs the real logits too
    const logits = discriminator.forward(paired ? this.both : this.both.subarray(n * size), n + first)
    let loss = 0
    for (let i = 0; i < n; i++) {
      loss += LOSSES[this.settings.loss].g(logits[i], logits[first + i]) / n
      g[i] = 0
      g[first + i] = LOSSES[this.settings.loss].gFake(logits[i], logits[first + i]) / n
    }
    const back = discriminator.backward(g, n + first, {inputs: true})
    generator.backward(back.subarray(first * size), n, {own: true})
    generator.step({"learning rate": 20 * gRate, "discriminator too strong": dRate / 100}[fault] ?? gRate, betas)
    const share = 1 - Math.min(ema, (1 + this.step) / (10 + this.step))
    generator.kernel.follow(generator.w.length, generator.average, generator.w, share)
    this.step++
    return loss
  }

  render(z, n = z.length / this.latent, w = this.generator.average) {  // the averaged generator's images of z [n, latent]
    const out = new Float32Array(n * this.size)
    for (let i = 0; i < n; i += MOST) {
      const m = Math.min(MOST, n - i)
      this.shown.set(z.subarray(i * this.latent, (i + m) * this.latent))
      const images = this.generator.forward(this.shown, m, w)
      out.set(images.subarray(0, m * this.size), i * this.size)
    }
    return out
  }
}

if (typeof module !== "undefined") module.exports = {plain, fast, bestKernel, uniform, normal, Net, Game, LOSSES}
