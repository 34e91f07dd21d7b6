/* What a trained generator gives: directions for sliders, and a checkpoint for gan_lib. It runs in the worker. */

const ATTRIBUTES = ["slant", "thickness", "width", "height"]

function measure(image) {  // of 784 pixels in [-1, 1]: the formulas of gan_lib/attributes.py
  const ink = (x, y) => x < 0 || y < 0 || x > 27 || y > 27 ? 0 : (image[28 * y + x] + 1) / 2
  let sum = 0, sx = 0, sy = 0, xx = 0, yy = 0, xy = 0, outline = 0
  for (let y = -1; y < 28; y++) for (let x = -1; x < 28; x++) {
    const value = ink(x, y)
    sum += value; sx += x * value; sy += y * value
    xx += x * x * value; yy += y * y * value; xy += x * y * value
    outline += Math.hypot(ink(x + 1, y) - value, ink(x, y + 1) - value)
  }
  sum = Math.max(sum, 1e-6)
  const varX = xx / sum - (sx / sum) ** 2, varY = Math.max(yy / sum - (sy / sum) ** 2, 1e-6), cov = xy / sum - sx * sy / sum ** 2
  const width = Math.sqrt(12 * Math.max(varX - cov ** 2 / varY, 0))
  return [Math.atan(-cov / varY) * 180 / Math.PI, 2 * sum / Math.max(outline, 1e-6), width, Math.sqrt(12 * varY)]
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0)

/* z is normal with variance 1 in each coordinate, so the slope of an attribute along a coordinate is their covariance. A step
   along a direction raises its attribute by one standard deviation. Each is made orthogonal to those before it. */
function findDirections(game, n = 4000) {
  const {latent} = game, z = normal(uniform(1), new Float32Array(n * latent)), images = game.render(z), found = []
  const values = Array.from({length: n}, (_, i) => measure(images.subarray(784 * i, 784 * (i + 1))))
  ATTRIBUTES.forEach((name, k) => {
    const mean = values.reduce((sum, row) => sum + row[k], 0) / n
    const deviation = Math.sqrt(values.reduce((sum, row) => sum + (row[k] - mean) ** 2, 0) / n)
    const covariance = j => values.reduce((sum, row, i) => sum + z[i * latent + j] * (row[k] - mean), 0) / n
    const slope = Array.from({length: latent}, (_, j) => covariance(j))
    let vector = slope
    for (const other of found) {
      const share = dot(vector, other.vector) / dot(other.vector, other.vector)
      vector = vector.map((value, j) => value - share * other.vector[j])
    }
    found.push({name, vector: vector.map(value => value * deviation / dot(vector, slope))})
  })
  return found
}

/* A checkpoint as gan_lib/checkpoint.py writes it: the bytes of a .safetensors file, which are the length of a JSON header (8
   bytes), the header with the place of each tensor, and the tensors. PyTorch keeps a weight as [outputs, inputs]. */
function checkpoint({generator, discriminator, settings, step}, recipe, seconds) {
  const tensors = {rng: {dtype: "U8", shape: [1], bytes: new Uint8Array(1)}}  // gan_lib seeds its random numbers anew
  const add = (name, shape, values) => {
    tensors[name] = {dtype: "F32", shape, bytes: new Uint8Array(Float32Array.from(values).buffer)}
  }
  const transposed = (array, rows, columns) => array.map((_, i) => array[i % rows * columns + Math.floor(i / rows)])
  const parts = (net, array, use) => net.layers.forEach(({into, out, weight, bias}, i) => {
    use(2 * i, "weight", [out, into], transposed(weight(array), into, out))
    use(2 * i + 1, "bias", [out], bias(array))
  })
  for (const [name, net, which, first] of [["generator", generator, "w", 0], ["average", generator, "average", 0],
                                           ["discriminator", discriminator, "w", 1]])  // D starts with a Flatten layer
    parts(net, net[which], (i, kind, shape, values) => add(`${name}.${2 * (i >> 1) + first}.${kind}`, shape, values))
  for (const [name, net] of [["g_optimizer", generator], ["d_optimizer", discriminator]]) if (net.steps) {
    for (const [slot, array] of [["exp_avg", net.mean], ["exp_avg_sq", net.square]])
      parts(net, array, (i, kind, shape, values) => add(`${name}.${i}.${slot}`, shape, values))
    for (let i = 0; i < 2 * net.layers.length; i++) add(`${name}.${i}.step`, [], [net.steps])
  }
  const {loss, batch, gRate, dRate, betas, seed} = settings
  const notes = {recipe: {...recipe, name: "trained-in-a-tab", loss, batch_size: batch, g_lr: gRate, d_lr: dRate, betas}}
  const about = {step, seconds, seed, rates: [gRate, dRate], horizon: null, betas: [betas, betas], notes}
  const header = {__metadata__: {gan_lib: JSON.stringify(about)}}
  let end = 0
  for (const [name, {dtype, shape, bytes}] of Object.entries(tensors))
    header[name] = {dtype, shape, data_offsets: [end, end += bytes.length]}
  let text = JSON.stringify(header)
  text = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer)
  return new Blob([length, text, ...Object.values(tensors).map(({bytes}) => bytes)])
}

if (typeof module !== "undefined") module.exports = {checkpoint, findDirections}
