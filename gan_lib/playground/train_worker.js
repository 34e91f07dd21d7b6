/* The worker: it trains until it is told to stop, and reports what the page shows. It runs after train_engine.js.
   The page sends {id, what, ...values} and gets {id, answer}, where `what` is a function of `actions`. Reports have no id. */

const games = {}  // by the name of their world: "digits", "ring"
let images, code, running = "", until = Infinity, slow = false, seconds = 0

const pause = time => new Promise(go => setTimeout(go, time))

async function unpack(packed) {  // gzip of two pixels a byte, 16 greys → a grey of 0 to 255 for each pixel
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))
  const pairs = new Uint8Array(await new Response(stream).arrayBuffer()), found = new Uint8Array(2 * pairs.length)
  pairs.forEach((pair, i) => { found[2 * i] = 17 * (pair >> 4); found[2 * i + 1] = 17 * (pair & 15) })
  return found
}

const WORLDS = {
  digits(random) {  // the images in a random order, again and again
    const order = Uint32Array.from({length: images.length / 784}, (_, i) => i)
    let at = order.length
    return (out, n, fault) => {
      for (let i = 0; i < n; i++) {
        if (at === order.length) {
          for (let j = at - 1; j > 0; j--) {
            const other = Math.floor(random() * (j + 1)), held = order[j]
            order[j] = order[other]
            order[other] = held
          }
          at = 0
        }
        const from = 784 * order[at++]
        for (let j = 0; j < 784; j++) {
          const pixel = images[from + j] / 255
          out[784 * i + j] = fault === "range" ? (pixel - 0.1307) / 0.3081 : 2 * pixel - 1
        }
      }
    }
  },
  ring: random => (out, n) => {  // eight clusters of points around a circle
    normal(random, out, 2 * n)
    for (let i = 0; i < n; i++) {
      const angle = Math.PI / 4 * Math.floor(8 * random())
      out[2 * i] = 2 * Math.cos(angle) + 0.1 * out[2 * i]
      out[2 * i + 1] = 2 * Math.sin(angle) + 0.1 * out[2 * i + 1]
    }
  },
}
const NETS = {digits: {}, ring: {latent: 2, width: 64, size: 2, output: "linear"}}
const greys = values => Uint8Array.from(values, value => Math.round(127.5 * (value + 1)))

function make(world, {plain: slowly, ...settings} = {}) {
  const kernel = slowly ? plain() : bestKernel(code)
  return Object.assign(new Game(kernel, WORLDS[world](uniform(settings.seed + 1)), {...NETS[world], ...settings}), {rows: []})
}

function keep(game, row) {  // for the curves, and, since the last change of a setting, for the diagnosis
  game.rows.push(row)
  if (!game.found) return
  const seen = game.seen ??= {n: 0, means: [0, 0, 0, 0], highest: 0, inside: true}
  const share = 1 / Math.min(++seen.n, 50)  // the mean of 50 iterations, and then a moving one
  seen.means = seen.means.map((mean, i) => mean + share * (row[i] - mean))
  if (seen.n > 20) seen.highest = Math.max(seen.highest, seen.means[0])  // a change makes it jump
  seen.inside &&= game.found.low >= 0 && game.found.high <= 1  // all logits
}

function step(game, player) {  // of one net; G's step uses the fakes of D's, and the pictures drawn since then were in its way
  if (player === "D" || !game.n) game.draw()
  else game.fake()
  if (player === "D") { game.discriminatorStep(); return }
  const {loss = NaN, real = NaN, fake = NaN} = game.found ?? {}
  keep(game, [loss, game.generatorStep(), real, fake])
}

function report(world) {
  const game = games[world], {generator, discriminator, latent, rows, size} = game
  const real = game.both.subarray(0, (game.n ?? 0) * size)
  game.fixed ??= normal(uniform(0), new Float32Array((size === 2 ? 256 : 16) * latent))  // the z of the samples
  const shown = game.render(game.fixed), pictures = size === 2
    ? {points: shown, real: real.slice(), field: field(game)}
    : {samples: greys(shown), range: [extreme(real, -1), extreme(real, 1)]}
  postMessage({
    world, seconds, step: game.step, steps: [discriminator.steps, generator.steps], running: running === world,
    engine: generator.kernel.name, seen: game.seen, movesBoth: game.movesBoth, ...pictures,
    means: rows.length ? [0, 1, 2, 3].map(i => rows.reduce((sum, row) => sum + row[i], 0) / rows.length) : null,
  })
  game.rows = []
}

function extreme(values, sign) {  // the largest of sign · value, with its sign
  let most = -Infinity
  for (let i = 0; i < values.length; i++) if (sign * values[i] > most) most = sign * values[i]
  return sign * most
}

function field({discriminator, generator: {kernel}}, cells = 48, reach = 3.2) {  // D(x) of a grid of points, from the top left on
  const row = kernel.row ??= kernel.floats(2 * cells), out = new Float32Array(cells * cells)
  const at = i => reach * ((2 * i + 1) / cells - 1)
  for (let y = 0; y < cells; y++) {
    for (let x = 0; x < cells; x++) { row[2 * x] = at(x); row[2 * x + 1] = -at(y) }
    out.set(discriminator.forward(row, cells).subarray(0, cells), cells * y)
  }
  return out.map(sigmoid)
}

async function train(world) {
  const game = games[world]
  for (let turn = "D"; running === world && games[world] === game;) {
    const start = performance.now()
    if (slow) {
      step(game, turn)
      turn = turn === "D" ? "G" : "D"
    } else {
      const last = game.generator.layers.at(-1).bias(game.generator.w), before = last.slice()
      step(game, "D")
      game.movesBoth = last.some((value, i) => value !== before[i])  // D's step should leave G alone
      step(game, "G")
      while (performance.now() < start + 90 && game.step < until) keep(game, game.iteration())
    }
    seconds += (performance.now() - start) / 1000
    const failed = game.rows.length && !game.rows.at(-1).every(Number.isFinite)
    if (game.step >= until || failed) running = ""
    report(world)
    await pause(slow ? 400 : 0)
  }
  if (games[world] === game) report(world)
}

const actions = {
  async open({digits, kernel}) {
    images = await unpack(digits)
    code = kernel
    return images.slice(0, 16 * 784)
  },
  new({world, settings}) {  // a new game from its seed
    games[world] = make(world, settings)
    seconds = 0
    if (running === world) running = ""
    report(world)
  },
  set({world, settings}) {
    Object.assign(games[world].settings, settings)
    games[world].seen = null
  },
  run({world, end = Infinity, slowly = false}) {
    const already = running === world
    until = end
    slow = slowly
    running = world
    if (!already) train(world)
  },
  stop() { running = "" },
  step({world, player}) {
    running = ""
    step(games[world], player)
    report(world)
  },
  render: ({z}) => greys(games.digits.render(Float32Array.from(z))),
  noise: () => normal(Math.random, new Float32Array(games.digits.latent)),
  directions: () => findDirections(games.digits),
  save: ({recipe}) => checkpoint(games.digits, recipe, seconds),
  time({plain: slowly, n, batch = 32}) {  // the median milliseconds of an iteration
    const game = make("digits", {seed: 0, plain: slowly, batch}), times = []
    for (let i = 0; i < n; i++) {
      const start = performance.now()
      game.iteration()
      times.push(performance.now() - start)
    }
    return times.sort((a, b) => a - b)[n >> 1]
  },
}

onmessage = async ({data: {id, what, ...values}}) => {
  try { postMessage({id, answer: await actions[what](values)}) } catch (error) { postMessage({id, error: String(error)}) }
}
