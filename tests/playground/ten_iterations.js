/* Run by test_train_engine.py in Node, with the engine, the kernel as base64, and {width, batch, iterations, losses} as JSON:
   prints {"kernel, loss": what ten iterations do, and then which nets each single step moves}. */

const fs = require("fs"), [engine, kernel, options] = process.argv.slice(2)
const {plain, fast, uniform, Game} = require(engine), {width, batch, iterations, losses} = JSON.parse(options)
const code = Buffer.from(fs.readFileSync(kernel, "ascii"), "base64"), result = {}

function squares(random) {  // sixteen squares in each image, and a little noise
  return (out, n) => {
    for (let i = 0; i < n; i++) {
      const levels = Array.from({length: 16}, () => random() < 0.5 ? -0.9 : 0.9)
      for (let y = 0; y < 28; y++) for (let x = 0; x < 28; x++)
        out[784 * i + 28 * y + x] = levels[4 * Math.floor(y / 7) + Math.floor(x / 7)] + 0.1 * random()
    }
  }
}

for (const [name, make] of [["plain", plain], ["WebAssembly", () => fast(code)]]) for (const loss of losses) {
  const game = new Game(make(), squares(uniform(5)), {width, batch, loss, dRate: 4e-4, gRate: 8e-4, seed: 3})
  const {generator, discriminator} = game, part = (net, which) => [...net[which].subarray(0, net.size)]
  const nets = () => ({G: part(generator, "w"), D: part(discriminator, "w"), EMA: part(generator, "average")})
  const before = nets(), rows = []
  for (let i = 0; i < iterations; i++) {
    const stats = game.iteration()
    rows.push({stats, z: [...game.z.subarray(0, batch * 64)], real: [...game.both.subarray(0, batch * 784)]})
  }
  const after = nets(), moved = ["discriminatorStep", "generatorStep"].map(step => {
    const start = nets()
    game.draw()
    game[step]()
    return Object.entries(nets()).filter(([key, values]) => values.some((value, i) => value !== start[key][i])).map(([key]) => key)
  })
  result[`${name}, ${loss}`] = {before, rows, after, moved}
}
console.log(JSON.stringify(result))
