/* Run by test_train_engine.py in Node, with a folder, the program's own folder, and {recipe, losses} as JSON. For each kernel and
   loss it saves a game before and after ten iterations, and prints {"kernel loss": {rows, moved, slow}}: the z, images and
   statistics of each iteration, which nets each single step moves, and how many subnormal numbers Adam has after 200 iterations
   with high rates. */

const fs = require("fs"), [folder, program, options] = process.argv.slice(2), {recipe, losses} = JSON.parse(options)
const {plain, fast, uniform, Game} = require(`${program}/train_engine.js`), {checkpoint} = require(`${program}/train_results.js`)
const code = Buffer.from(fs.readFileSync(`${program}/train_kernel.txt`, "ascii"), "base64"), result = {}

function squares(random) {  // sixteen squares in each image, and a little noise
  return (out, n) => {
    for (let i = 0; i < n; i++) {
      const levels = Array.from({length: 16}, () => random() < 0.5 ? -0.9 : 0.9)
      for (let y = 0; y < 28; y++) for (let x = 0; x < 28; x++)
        out[784 * i + 28 * y + x] = levels[4 * Math.floor(y / 7) + Math.floor(x / 7)] + 0.1 * random()
    }
  }
}

async function save(game, name) {
  fs.writeFileSync(`${folder}/${name}.safetensors`, Buffer.from(await checkpoint(game, recipe, 0).arrayBuffer()))
}

async function main() {
  const {width, batch_size: batch} = recipe
  for (const [kernel, make] of [["plain", plain], ["WebAssembly", () => fast(code)]]) for (const loss of losses) {
    const name = `${kernel} ${loss}`, rows = []
    const game = new Game(make(), squares(uniform(5)), {width, batch, loss, dRate: 4e-4, gRate: 8e-4, seed: 3})
    await save(game, `${name}, before`)
    for (let i = 0; i < 10; i++) {
      const stats = game.iteration()
      rows.push({stats, z: [...game.z.subarray(0, batch * 64)], real: [...game.both.subarray(0, batch * 784)]})
    }
    await save(game, `${name}, after`)
    const weights = () => ({G: game.generator.w.slice(), D: game.discriminator.w.slice(), EMA: game.generator.average.slice()})
    const moved = ["discriminatorStep", "generatorStep"].map(step => {
      const before = weights()
      game.draw()
      game[step]()
      return Object.entries(weights()).filter(([net, w]) => w.some((value, i) => value !== before[net][i])).map(([net]) => net)
    })
    game.settings.dRate = game.settings.gRate = 0.1  // too high: D becomes sure, and gradients vanish
    for (let i = 0; i < 200; i++) game.iteration()
    const slow = value => value && Math.abs(value) < 2 ** -126  // a subnormal number
    const states = [game.generator, game.discriminator].flatMap(({mean, square}) => [mean, square])
    result[name] = {rows, moved, slow: states.map(values => values.filter(slow).length)}
  }
  console.log(JSON.stringify(result))
}

main()
