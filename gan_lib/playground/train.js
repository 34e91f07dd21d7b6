/* The page's screen for the digits: buttons, pictures, curves and words. The training is in a worker (train_worker.js). */


/* 1 · The worker: its program is text in this page, so that the page is one file. */

const facts = JSON.parse(find("facts").textContent)
const decode = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
const waiting = new Map(), listeners = {}  // answers that are waited for; who takes the reports of a world
let worker, calls = 0

function ask(what, values = {}) {
  return new Promise((go, fail) => {
    waiting.set(++calls, {go, fail})
    worker.postMessage({id: calls, what, ...values})
  })
}

function startWorker() {
  worker = new Worker(URL.createObjectURL(new Blob([find("engine").textContent], {type: "text/javascript"})))
  worker.onmessage = ({data}) => {
    if (!data.id) { listeners[data.world](data); return }
    const {go, fail} = waiting.get(data.id)
    waiting.delete(data.id)
    data.error ? fail(new Error(data.error)) : go(data.answer)
  }
  worker.onerror = () => say("This place lets no page train: it forbids workers. Open the page by itself, as a file.")
}


/* 2 · What the user may choose. The address keeps it after #, so a link restores it. */

const RATES = ["0.0001", "0.0003", "0.001", "0.002", "0.004", "0.01"], STOP = 4000
const CHOICES = {
  dRate: ["learning rate of D", RATES], gRate: ["learning rate of G", RATES],
  batch: ["batch size", ["8", "16", "32", "64", "128"]],
  loss: ["loss", ["non-saturating", "minimax", "relativistic"]],
}
const FAULTS = {
  "range": "The real images are scaled to mean 0 and variance 1, as for a classifier. G's tanh ends at −1 and 1.",
  "one optimiser": "D's optimiser holds G's weights as well, and the fakes aren't detached: D's step changes G in D's favour.",
  "learning rate": "Both learning rates are 20 times too high.",
  "swapped labels": "In D's loss, real and generated images have each other's label.",
  "sigmoid twice": "D ends in a sigmoid, and its loss applies another one.",
  "discriminator too strong": "G's learning rate is a hundredth of D's.",
}
const settings = {dRate: 0.002, gRate: 0.002, batch: 64, loss: "non-saturating", seed: 1, fault: "", ...readLink()}
const state = {rows: [], film: [], every: 0, from: 0, last: null, running: false, ready: false, z: null, directions: []}

function readLink() {
  const found = {}
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    if (CHOICES[key]?.[1].includes(value)) found[key] = key === "loss" ? value : Number(value)
    if (key === "seed" && /^\d{1,9}$/.test(value)) found.seed = Number(value)
    if (key === "fault" && value in FAULTS) found.fault = value
  }
  return found
}

const link = () => `#${new URLSearchParams(Object.entries(settings).filter(([, value]) => value !== ""))}`

function note() {
  try { history.replaceState(null, "", link()) } catch {}  // a frame in a notebook has no address
}

function makeChoice(key, label, values, value, change) {
  const box = document.createElement("label"), select = document.createElement("select")
  box.className = "field"
  select.name = key
  box.append(label, select)
  for (const each of values) select.add(new Option(each, each))
  select.value = value
  select.addEventListener("change", () => change(select.value))
  return box
}

function makeSettings() {
  for (const [key, [label, values]] of Object.entries(CHOICES)) {
    const take = value => change(key, key === "loss" ? value : Number(value))
    find("settings").append(makeChoice(key, label, values, String(settings[key]), take))
  }
  const box = document.createElement("label"), input = document.createElement("input")
  box.className = "field"
  Object.assign(input, {type: "number", name: "seed", min: 0, max: 999999999, value: settings.seed})
  input.addEventListener("change", () => {
    settings.seed = Math.min(999999999, Math.max(0, Math.round(Number(input.value) || 0)))
    input.value = settings.seed
    note()
  })
  box.append("seed", input)
  find("settings").append(box)
  for (const name of Object.keys(FAULTS)) {
    const button = document.createElement("button")
    button.textContent = name
    button.addEventListener("click", () => change("fault", settings.fault === name ? "" : name))
    find("faults").append(button)
  }
  showFault()
}

function change(key, value) {
  settings[key] = value
  if (key === "fault") showFault()
  const {dRate, gRate, batch, loss, fault} = settings
  ask("set", {world: "digits", settings: {dRate, gRate, batch, loss, fault}})
  state.from = state.rows.length  // what the curves say from here on
  note()
}

function showFault() {
  for (const button of find("faults").children) button.setAttribute("aria-pressed", button.textContent === settings.fault)
  find("fault-text").textContent = FAULTS[settings.fault] ?? ""
}


/* 3 · Training */

const say = words => { find("status").textContent = words }

async function restart() {
  Object.assign(state, {rows: [], film: [], every: 0, from: 0, last: null, asked: 0})
  find("after").hidden = true
  find("film").value = find("film").max = 0
  await ask("new", {world: "digits", settings: {...settings}})
  drawCurves()
}

function run() { ask("run", {world: "digits", end: state.last.step < STOP ? STOP : Infinity}) }

function receive(report) {
  const was = state.running
  Object.assign(state, {last: report, running: report.running})
  if (report.means) {
    state.rows.push([report.step, ...report.means, report.found?.low, report.found?.high])
    if (state.rows.length === 600) {  // two rows become one
      const pair = i => state.rows[2 * i].map((value, j) => j ? (value + state.rows[2 * i + 1][j]) / 2 : state.rows[2 * i + 1][0])
      state.rows = Array.from({length: 300}, (_, i) => pair(i))
      state.from = Math.ceil(state.from / 2)
    }
  }
  keep(report)
  drawCurves()
  if (!state.running || report.step - (state.asked ?? 0) > 100 || report.step < 100) tell()
  const {step, seconds, steps: [d, g]} = report
  const speed = seconds && step ? ` · ${(1000 * seconds / step).toFixed(1)} ms each` : ""
  const what = state.running ? "Training" : step >= STOP ? "Done" : step ? "Paused" : "Ready to start"
  say(`${what}: ${step.toLocaleString("en")} iterations${speed}${d === g ? "" : ` · D has made ${d} steps, G ${g}`}`)
  find("start").textContent = state.running ? "Pause" : step ? "Continue" : "Start training"
  find("speed").textContent = `Computed by ${report.engine}, in one worker.`
  if (was && !state.running && step > 0 && Number.isFinite(state.rows.at(-1)[1])) finish()
}

function keep(report) {  // a picture for the film; when there are many, every second one goes
  const {film} = state, live = Number(find("film").value) >= film.length - 1
  if (film.length > 1 && report.step < film.at(-2).step + state.every) film[film.length - 1] = report
  else film.push(report)
  if (film.length > 120) {
    state.film = film.filter((_, i) => i % 2 === 0)
    state.every = 2 * (state.every || 25)
  }
  find("film").max = state.film.length - 1
  if (live) find("film").value = state.film.length - 1
  showFilm()
}

function tile(canvas, images) {
  for (let i = 0; i < 16; i++)
    canvas.getContext("2d").putImageData(toImage(images.subarray(784 * i, 784 * (i + 1))), 28 * (i % 4), 28 * Math.floor(i / 4))
}

function showFilm() {
  const {film} = state, at = Number(find("film").value), {step, samples} = film[at], count = Math.min(14, film.length)
  tile(find("samples"), samples)
  find("when").textContent = `after ${step.toLocaleString("en")} iterations`
  find("film").setAttribute("aria-valuetext", `after ${step} iterations`)
  for (let i = 0; i < count; i++) {
    const {samples} = film[Math.round(i * (film.length - 1) / Math.max(1, count - 1))]
    paint(find("strip"), toImage(samples.subarray(0, 784)), 28 * i)
  }
}


/* 4 · Curves */

function drawCurve(svg, columns, top, marks) {  // columns: [class, index in a row]; marks: [value, text] of dashed lines
  const {width, height} = svg.viewBox.baseVal, last = Math.max(100, state.rows.at(-1)?.[0] ?? 0), right = width - 46
  const x = step => 30 + (right - 30) * step / last
  const y = value => height - 16 - (height - 24) * Math.min(1, Math.max(0, value / top))
  const lines = columns.map(([name, i]) => {
    const rows = state.rows.filter(row => Number.isFinite(row[i]))
    const points = rows.map(row => `${x(row[0]).toFixed(1)},${y(row[i]).toFixed(1)}`)
    return `<polyline class="${name}" points="${points.join(" ")}"/>`
  })
  const level = (value, name) => `<line class="${name}" x1="30" x2="${right}" y1="${y(value)}" y2="${y(value)}"/>`
  const dashes = marks.map(([value, text]) => `${level(value, "")}<text x="${right + 4}" y="${y(value) + 4}">${text}</text>`)
  const labels = `<text x="8" y="${y(0) + 4}">0</text><text x="8" y="${y(top) + 6}">${top}</text>
    <text x="${right}" y="${height - 2}" text-anchor="end">${last.toLocaleString("en")} iterations</text>`
  svg.innerHTML = [level(0, "axis"), labels, ...dashes, ...lines].join("")
}

function drawCurves() {
  const marks = settings.loss === "relativistic" ? [[Math.log(2), "log 2"]] : [[Math.log(4), "log 4"], [Math.log(2), "log 2"]]
  drawCurve(find("losses"), [["d-line", 1], ["fake-line", 2]], 4, marks)
  drawCurve(find("answers"), [["real-line", 3], ["fake-line", 4]], 1, [[0.5, "½"]])
}


/* 5 · The diagnosis, from what can be seen: curves, and one iteration looked at closely. It doesn't know which bug is on. */

const two = value => value.toFixed(2).replace("-", "−")

function diagnose({rows, from, last: {range, movesBoth, samples, step}}, {dRate, gRate}) {
  const recent = rows.slice(Math.max(from, rows.length - 8))
  if (!recent.length) return "No iteration yet: D and G have random weights, and G's images are grey noise."
  const mean = i => recent.reduce((sum, row) => sum + row[i], 0) / recent.length
  const dLoss = mean(1), dReal = mean(3), dFake = mean(4)
  const answers = `D answers ${two(dReal)} for real digits and ${two(dFake)} for generated ones.`
  if (!recent.every(row => Number.isFinite(row[1] + row[2])))
    return "Diverged: a loss is no longer a number. The learning rates are too high. Lower them, then restart."
  if (range[0] < -1.05 || range[1] > 1.05)
    return `Range: real pixels go from ${two(range[0])} to ${two(range[1])}, but G's tanh stays between −1 and 1. D knows real
      digits by pixels that G can't make. Scale the real images to [−1, 1]. ${answers}`
  if (movesBoth)
    return `One optimiser: D's step also changes G, and makes its images easier to recognise. Give each network its own optimiser,
      and detach the fakes in D's step. ${answers}`
  if (step > 200 && recent.length > 3 && recent.every(row => row[5] >= 0 && row[6] <= 1))
    return `Sigmoid twice: D's logits stay between 0 and 1, so its answers stay between 0.50 and
      0.73, and it can't say “generated”. End D in a linear layer. ${answers}`
  if (dFake - dReal > 0.2)
    return `Swapped labels: D takes generated images for real ones. ${answers} In D's loss, real images need the label 1, and
      generated images the label 0.`
  const highest = Math.max(...rows.slice(from).map(row => row[1]))
  if (dLoss > 3 || highest > 8)
    return `Learning rate: d_loss went up to ${two(highest)}; a D that can't tell has 1.39. The steps are so large that both
      networks overshoot. Lower both rates, and restart.`
  if (dReal > 0.98 && dFake < 0.02)
    return `D is sure: ${answers} So G learns little from D. D is too strong for G: compare the rates of their steps. The
      settings say ${dRate} for D and ${gRate} for G.`
  if (step > 300 && alike(samples)) return `Collapse: all generated images are nearly equal. ${answers} Restart with other rates.`
  const stage = step < 300 ? "G has learnt where the ink is, but its images are still alike."
    : step < 1000 ? "The images differ now, and strokes appear."
    : step < 2500 ? "More and more of them can be read." : "You can read most of them."
  return `Healthy. ${answers} D is right more often than not, but not always, so G learns from it. ${stage}`
}

function alike(samples) {  // whether no pixel differs by 40 of 255 from its like in the first image
  return samples.every((grey, i) => Math.abs(grey - samples[i % 784]) < 40)
}

function tell() {
  state.asked = state.last.step
  const words = diagnose(state, settings).replace(/\s+/g, " ")
  if (find("diagnosis").textContent !== words) find("diagnosis").textContent = words
  const row = state.rows.at(-1)
  if (!row) return
  find("losses").setAttribute("aria-label", `losses: d_loss ${two(row[1])}, g_loss ${two(row[2])} after ${row[0]} iterations`)
  find("answers").setAttribute("aria-label", `answers of D: ${two(row[3])} for real, ${two(row[4])} for generated images`)
}


/* 6 · The generator afterwards: sliders, files and a link */

async function finish() {
  state.directions = await ask("directions")
  find("after").hidden = false
  find("sliders").replaceChildren(...state.directions.map(({name}) => {
    const about = {key: name, label: name, step: 0.1, values: [-3, 3], words: value => value.toFixed(1).replace("-", "−")}
    const slider = makeSlider(about, value => {
      state.strengths[name] = value
      setSlider(slider, value)
      steer()
    })
    setSlider(slider, 0)
    return slider.box
  }))
  state.strengths = {}
  state.z ??= newZ()
  steer()
}

function newZ() {  // from N(0, 1), by Box and Muller
  const {sqrt, log, cos, PI, random} = Math
  return Array.from({length: 64}, () => sqrt(-2 * log(1 - random())) * cos(2 * PI * random()))
}

async function steer() {  // z plus strength · direction, as long as it was: what latent.render does
  const {z, directions, strengths} = state, long = Math.hypot(...z)
  const moved = z.map((value, j) => directions.reduce((sum, {name, vector}) => sum + (strengths[name] ?? 0) * vector[j], value))
  const shrink = long / Math.max(Math.hypot(...moved), 1e-6)
  state.steered = await ask("render", {z: moved.map(value => value * shrink)})
  paint(find("steered"), toImage(state.steered))
}

function offer(url, name) {
  Object.assign(document.createElement("a"), {href: url, download: name}).click()
  find("saved").textContent = `Saved as ${name}, if this place allows downloads.`
}

function savePng() {
  const canvas = Object.assign(document.createElement("canvas"), {width: 448, height: 448}), context = canvas.getContext("2d")
  context.imageSmoothingEnabled = false
  context.drawImage(find("samples"), 0, 0, 448, 448)
  offer(canvas.toDataURL("image/png"), "trained-in-a-tab.png")
}

async function saveWeights() {
  const url = URL.createObjectURL(await ask("save", {recipe: facts.recipe}))
  offer(url, "trained-in-a-tab.safetensors")
}

async function copyLink() {
  const address = location.href.split("#")[0] + link()
  try {
    await navigator.clipboard.writeText(address)
    find("saved").textContent = "The link is in the clipboard."
  } catch { find("saved").textContent = address }
}


/* 7 · Start */

const press = (id, act) => find(id).addEventListener("click", act)
press("start", () => state.running ? ask("stop") : run())
press("step-d", () => ask("step", {world: "digits", player: "D"}))
press("step-g", () => ask("step", {world: "digits", player: "G"}))
press("restart", restart)
press("new-z", () => { state.z = newZ(); steer() })
press("save-png", savePng)
press("save-weights", saveWeights)
press("copy-link", copyLink)
find("film").addEventListener("input", showFilm)

let resume = null  // what to go on with when the tab is seen again
document.addEventListener("visibilitychange", () => {
  if (document.hidden && state.running) {
    resume = run
    ask("stop")
  } else if (!document.hidden && resume) {
    resume()
    resume = null
  }
})

listeners.digits = receive
makeSettings()
startWorker()
tile(find("real"), await ask("open", {digits: decode(facts.digits), kernel: decode(find("kernel").textContent)}))
await restart()
state.ready = true
window.trainer = {state, settings, ask, run, diagnose}
