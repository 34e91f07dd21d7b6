/* Inversion, from an image [784] in [-1, 1] to the z whose image comes nearest. Of many candidates the best three go a few steps
   of Adam, the best of those goes on, and then the next ones try, as long as somebody asks: `search` is a generator function,
   which can be left and taken up again between two pictures. It yields the best so far, {z, error}; error is the mean squared
   one. */

// Of each kind of step: the gradient of its input, given that of its output. Where a ReLU lies before it, no gradient passes
// the input's zeros. The last three work in place: y, which is x now, is all they know of themselves.
const GRADIENTS = {
  up: (step, g, afterReLU) => { gather(g, step.gradient.fill(0), step, afterReLU && step.x); return step.gradient },
  down(step, g) { spread(g, step.gradient.fill(0), step); return step.gradient },
  flatten: ({gradient, shape}, g) => reorder(g, gradient, shape, false),
  unflatten: ({gradient, shape}, g) => reorder(g, gradient, shape, true),
  scale({scale}, g) { for (let i = 0; i < g.length; i++) g[i] *= scale[i % scale.length]; return g },
  leaky({x, slope}, g) { for (let i = 0; i < g.length; i++) if (x[i] <= 0) g[i] *= slope; return g },
  tanh({x, gain}, g) { for (let i = 0; i < g.length; i++) g[i] *= gain * (1 - x[i] * x[i]); return g },
}

function backward({steps}, gradient) {  // of what the net's last `forward` returned → of its input
  for (let i = steps.length - 1; i >= 0; i--) {
    steps[i].gradient ??= new Float32Array(steps[i].x.length)
    gradient = GRADIENTS[steps[i].kind](steps[i], gradient, steps[i - 1]?.slope === 0)
  }
  return gradient
}

function meanSquare(a, b) {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return sum / a.length
}

function candidate(net, n, i) {
  const z = noise(1e6 + i, n)
  return {z, image: net.forward(z).slice()}
}

// One step of Adam (rate 0.1, β = 0.9 and 0.99) down the slope of the error, and of 0.1 (|z| / radius - 1)², which holds z
// where the noise of training lies. Returns the error before the step.
function descend(net, at, target) {
  const image = net.forward(at.z), error = meanSquare(image, target), g = new Float32Array(image.length)
  for (let i = 0; i < g.length; i++) g[i] = 2 * (image[i] - target[i]) / g.length
  const slope = backward(net, g), far = length(at.z), radius = Math.sqrt(at.z.length)
  at.steps++
  for (let i = 0; i < slope.length; i++) {
    const down = slope[i] + 0.2 * (far / radius - 1) * at.z[i] / (far * radius)
    at.mean[i] += 0.1 * (down - at.mean[i])
    at.square[i] += 0.01 * (down * down - at.square[i])
    const mean = at.mean[i] / (1 - 0.9 ** at.steps), square = at.square[i] / (1 - 0.99 ** at.steps)
    at.z[i] -= 0.1 * mean / (Math.sqrt(square) + 1e-8)
  }
  return error
}

function* search(net, n, target, candidates) {
  while (candidates.length < 100) {
    candidates.push(candidate(net, n, candidates.length))
    yield {z: null, error: Infinity}
  }
  const starts = candidates
    .map(({z, image}) => ({z, error: meanSquare(image, target)}))
    .sort((a, b) => a.error - b.error)
    .slice(0, 16)
    .map(({z, error}) => ({z: z.slice(), error, steps: 0, mean: new Float64Array(n), square: new Float64Array(n)}))
  let best = {z: starts[0].z.slice(), error: starts[0].error}
  const go = function* (at, steps) {
    for (let i = 0; i < steps; i++) {
      const z = at.z.slice()
      at.error = descend(net, at, target)
      if (at.error < best.error) best = {z, error: at.error}
      yield best
    }
  }
  const few = starts.splice(0, 3)
  for (const start of few) yield* go(start, 15)
  yield* go(few.reduce((a, b) => a.error < b.error ? a : b), 75)
  for (const start of starts) yield* go(start, 75)
  return best
}
