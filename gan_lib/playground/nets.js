/* What the page and the frame compute, and nothing that is on the screen: nets and points z. The facts are page.py's. */

const facts = JSON.parse(document.getElementById("facts").textContent), {generators} = facts


/* 1 · Nets. A net is a list of steps, an image a Float32Array [height, width, channels], the channels of a pixel side by side.
   A linear step joins a small image to a big one: small pixel (y, x) to the big ones from (y, x) · stride - padding on, as far
   as the kernel reaches. `weight` is [channels of small, kernel, kernel, channels of big], so that the innermost loops below
   run along memory, over the channels of neighbouring pixels at once. */

function bytes(text) {  // of base64
  const letters = atob(text), found = new Uint8Array(letters.length)
  for (let i = 0; i < found.length; i++) found[i] = letters.charCodeAt(i)
  return found
}

const floats = text => new Float32Array(bytes(text).buffer)

function weights({kind, small: [,, c], big: [,, C], kernel, weight, unit, bits}) {  // page.py: quantised
  const packed = bytes(weight), units = floats(unit), found = new Float32Array(c * kernel * kernel * C)
  const each = found.length / units.length, zero = 2 ** (bits - 1)  // `each` weights share a unit
  for (let i = 0, at = 0, held = 0, buffer = 0; i < found.length; i++) {
    for (; held < bits; held += 8) buffer = buffer << 8 | packed[at++]
    held -= bits
    found[i] = ((buffer >> held) - zero) * units[kind === "up" ? i % C : Math.floor(i / each)]
    buffer &= (1 << held) - 1
  }
  return found
}

// big += what each small pixel, times the kernel, lays over it. Four channels at a time; those at 0, half of them after a
// ReLU, cost nothing.
function spread(small, big, {small: [h, w, c], big: [H, W, C], kernel, stride, padding, weight, rows, values}) {
  const row = kernel * C
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    let n = 0
    for (let i = 0; i < c; i++) {
      const value = small[(y * w + x) * c + i]
      if (value !== 0) { rows[n] = i * kernel; values[n++] = value }
    }
    while (n % 4) { rows[n] = 0; values[n++] = 0 }
    const top = y * stride - padding, left = x * stride - padding
    const from = Math.max(0, -left) * C, to = Math.min(kernel, W - left) * C
    const first = Math.max(0, -top), last = Math.min(kernel, H - top)
    for (let m = 0; m < n; m += 4) {
      const v0 = values[m], v1 = values[m + 1], v2 = values[m + 2], v3 = values[m + 3]
      for (let ky = first; ky < last; ky++) {
        const at = ((top + ky) * W + left) * C
        const w0 = (rows[m] + ky) * row, w1 = (rows[m + 1] + ky) * row
        const w2 = (rows[m + 2] + ky) * row, w3 = (rows[m + 3] + ky) * row
        for (let j = from; j < to; j++)
          big[at + j] += v0 * weight[w0 + j] + v1 * weight[w1 + j] + v2 * weight[w2 + j] + v3 * weight[w3 + j]
      }
    }
  }
}

// small += the product of the kernel with the big pixels under it. Where `mask` is 0 nobody asks for the sum.
function gather(big, small, {small: [h, w, c], big: [H, W, C], kernel, stride, padding, weight}, mask) {
  const row = kernel * C
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const top = y * stride - padding, left = x * stride - padding
    const from = Math.max(0, -left) * C, to = Math.min(kernel, W - left) * C
    const first = Math.max(0, -top), last = Math.min(kernel, H - top)
    for (let i = 0; i < c; i++) {
      const pixel = (y * w + x) * c + i
      if (mask && mask[pixel] === 0) continue
      let sum = 0
      for (let ky = first; ky < last; ky++) {
        const at = ((top + ky) * W + left) * C, weights = (i * kernel + ky) * row
        for (let j = from; j < to; j++) sum += big[at + j] * weight[weights + j]
      }
      small[pixel] += sum
    }
  }
}

function reorder(from, to, [c, h, w], channelsFirst) {
  for (let i = 0; i < c; i++) for (let p = 0; p < h * w; p++)
    channelsFirst ? to[i * h * w + p] = from[p * c + i] : to[p * c + i] = from[i * h * w + p]
  return to
}

const repeat = (bias, out) => { for (let i = 0; i < out.length; i++) out[i] = bias[i % bias.length] }
const size = ([h, w, c]) => h * w * c

// Of each kind of step: what leaves it, given what enters (`step.x`). The last three work in place.
const KINDS = {
  up(step) { repeat(step.bias, step.y); spread(step.x, step.y, step); return step.y },
  down(step) { repeat(step.bias, step.y); gather(step.x, step.y, step); return step.y },
  flatten: ({x, y, shape}) => reorder(x, y, shape, true),
  unflatten: ({x, y, shape}) => reorder(x, y, shape, false),
  scale({x, scale, bias}) {
    for (let i = 0; i < x.length; i++) x[i] = x[i] * scale[i % scale.length] + bias[i % bias.length]
    return x
  },
  leaky({x, slope}) { for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] *= slope; return x },
  tanh({x, gain}) { for (let i = 0; i < x.length; i++) x[i] = Math.tanh(gain * x[i]); return x },
}

class Net {
  constructor(steps) {
    this.steps = steps.map(about => {
      const step = {...about}, {kind, small, big, shape} = about
      for (const key of ["bias", "scale"]) if (key in about) step[key] = floats(about[key])
      if (about.weight) step.weight = weights(about)
      const leaves = {up: big, down: small}[kind] ?? shape
      if (leaves) step.y = new Float32Array(size(leaves))
      if (small) { step.rows = new Int32Array(small[2] + 3); step.values = new Float32Array(small[2] + 3) }
      return step
    })
    this.weights = this.steps.reduce((sum, {weight, bias}) => sum + (weight?.length ?? 0) + (bias?.length ?? 0), 0)
  }
  forward(x) {
    for (const step of this.steps) { step.x = x; x = KINDS[step.kind](step) }
    return x
  }
}

const nets = new Map()  // decoded when they are first asked for
function net(name, moment, role, label) {  // label: the class, of a class-conditional generator
  const key = JSON.stringify([name, moment, role, label])
  if (!nets.has(key)) {
    const {layers: [first, ...others], biases, discriminator} = generators[name].moments[moment]
    const layers = [biases ? {...first, bias: biases[label ?? 0]} : first, ...others]
    nets.set(key, new Net(role === "generator" ? layers : discriminator.layers))
  }
  return nets.get(key)
}


/* 2 · Points z, as in gan_lib/latent.py. */

const length = z => Math.hypot(...z)

function noise(seed, n) {  // n numbers from N(0, 1): Box and Muller's way, on a small generator of uniform ones (mulberry32)
  const uniform = () => {
    seed = seed + 0x6D2B79F5 | 0
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
  return Float32Array.from({length: n}, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()))
}

function move(z, directions, settings) {  // z + Σ strength · direction, scaled to the length that is set
  const moved = z.slice()
  for (const {name, vector} of directions) for (let i = 0; i < moved.length; i++) moved[i] += (settings[name] ?? 0) * vector[i]
  if (settings.norm === undefined) return moved
  const scale = settings.norm / Math.max(length(moved), 1e-6)
  return moved.map(value => scale * value)
}

function toPixels(image) {  // [-1, 1] → 0 to 255
  const found = new Uint8ClampedArray(image.length)
  for (let i = 0; i < image.length; i++) found[i] = (image[i] + 1) * 127.5
  return found
}

// What the sliders show, a pure function: the 784 pixels of generator `name` at z, moved as the settings say.
function render(name, z, settings = {}) {
  const {directions, moments} = generators[name]
  const moment = settings.moment ?? moments.length - 1
  return toPixels(net(name, moment, "generator", settings.digit).forward(move(Float32Array.from(z), directions, settings)))
}
