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
  dRate: ["learning rate of D", RATES, "size of each step"], gRate: ["learning rate of G", RATES, "size of each step"],
  batch: ["batch size", ["8", "16", "32", "64", "128"], "images per step"],
  loss: ["loss", ["non-saturating", "minimax", "relativistic"], "what G is scored by"],
}
const FAULTS = {
  "range": ["Real digits in another pixel range",
    "The real images are scaled to mean 0 and variance 1, as for a classifier. G's tanh ends at −1 and 1."],
  "one optimiser": ["D's training also moves G",
    "D's optimiser holds G's weights as well, and the fakes aren't detached: D's step changes G in D's favour."],
  "learning rate": ["Both take steps 20 times too large",
    "Both learning rates are 20 times too high."],
  "swapped labels": ["D is told that real is fake",
    "In D's loss, real and generated images have each other's label."],
  "sigmoid twice": ["D can never say fake",
    "D ends in a sigmoid, and its loss applies another one."],
  "discriminator too strong": ["G learns 100 times slower than D",
    "G's learning rate is a hundredth of D's."],
}
const settings = {dRate: 0.002, gRate: 0.002, batch: 64, loss: "non-saturating", seed: 1, fault: "", ...readLink()}
const state = {rows: [], last: null, running: false, ready: false, z: null, directions: []}

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

function makeLabel(text, hint) {  // two lines, the second one small
  const label = document.createElement("span"), small = document.createElement("small")
  small.textContent = hint
  label.append(`${text} `, small)
  return label
}

function makeChoice(key, label, values, value, change, hint = "") {
  const box = document.createElement("label"), select = document.createElement("select")
  box.className = "field"
  select.name = key
  box.append(makeLabel(label, hint), select)
  for (const each of values) select.add(new Option(each, each))
  select.value = value
  select.addEventListener("change", () => change(select.value))
  return box
}

function makeSettings() {
  for (const [key, [label, values, hint]] of Object.entries(CHOICES)) {
    const take = value => change(key, key === "loss" ? value : Number(value))
    find("settings").append(makeChoice(key, label, values, String(settings[key]), take, hint))
  }
  const box = document.createElement("label"), input = document.createElement("input")
  box.className = "field"
  Object.assign(input, {type: "number", name: "seed", min: 0, max: 999999999, value: settings.seed})
  input.addEventListener("change", () => {
    settings.seed = Math.min(999999999, Math.max(0, Math.round(Number(input.value) || 0)))
    input.value = settings.seed
    note()
  })
  box.append(makeLabel("seed", "same seed, same run"), input)
  find("settings").append(box)
  for (const [name, [label]] of Object.entries(FAULTS)) {
    const button = document.createElement("button")
    button.dataset.fault = name
    button.append(makeLabel(label, name))
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
  note()
}

function showFault() {
  for (const button of find("faults").children) button.setAttribute("aria-pressed", button.dataset.fault === settings.fault)
  find("fault-text").textContent = FAULTS[settings.fault]?.[1] ?? ""
}


/* 3 · Training */

const say = words => { find("status").textContent = words }

async function restart() {
  Object.assign(state, {rows: [], inLast: 1, share: 1, film: [], every: 25, last: null, asked: 0, pace: 0})
  find("after").hidden = true
  find("film").value = find("film").max = 0
  await ask("new", {world: "digits", settings: {...settings}})
  drawCurves()
}

function run() { ask("run", {world: "digits", end: state.last.step < STOP ? STOP : Infinity}) }

function receive(report) {
  const was = state.running
  measurePace(report, was)
  Object.assign(state, {last: report, running: report.running})
  if (report.means) addRow([report.step, ...report.means])
  keep(report)
  drawCurves()
  if (!state.running || report.step - (state.asked ?? 0) > 100 || report.step < 100) tell()
  const {step, seconds, steps: [d, g]} = report, done = step.toLocaleString("en")
  const speed = seconds && step ? ` ${(1000 * seconds / step).toFixed(1)} ms for an iteration.` : ""
  const what = state.running ? "Training" : step >= STOP ? "Done" : step ? "Paused" : "Ready to start"
  if (state.running && step < STOP) say(`Training: ${done} of ${STOP.toLocaleString("en")} iterations${timeLeft(step)}`)
  else say(`${what}: ${done} iterations${d === g ? "" : ` · D has made ${d} steps, G ${g}`}`)
  find("start").textContent = state.running ? "Pause" : step ? "Continue" : "Start training"
  find("speed").textContent = `Computed by ${report.engine}, in one worker.${speed}`
  if (was && !state.running && step > 0 && Number.isFinite(state.rows.at(-1)[1])) finish()
}

// The mean of n reports and one more. The first number of a row is the step: the later one counts.
const join = (row, n, more) => row.map((value, j) => j ? (n * value + more[j]) / (n + 1) : more[0])

function addRow(row) {  // a row is the mean of `share` reports
  const {rows, inLast, share} = state
  if (inLast < share) {
    rows.push(join(rows.pop(), inLast, row))
    state.inLast++
  } else {
    if (rows.length === 300) {  // two rows become one
      state.rows = Array.from({length: 150}, (_, i) => join(rows[2 * i], 1, rows[2 * i + 1]))
      state.share *= 2
    }
    state.rows.push(row)
    state.inLast = 1
  }
}

function measurePace({step}, was) {  // milliseconds for an iteration
  const now = performance.now(), done = step - (state.last?.step ?? step)
  if (was && done > 0) {
    const latest = (now - state.clock) / done
    state.pace = state.pace ? 0.95 * state.pace + 0.05 * latest : latest
  }
  state.clock = now
}

function timeLeft(step) {
  const seconds = state.pace * (STOP - step) / 1000, halves = Math.round(seconds / 30)
  if (!state.pace) return ""
  if (seconds < 50) return `, about ${Math.max(10, 10 * Math.round(seconds / 10))} seconds left`
  return `, about ${Math.floor(halves / 2)}${halves % 2 ? "½" : ""} minute${halves > 2 ? "s" : ""} left`
}

function keep(report) {  // a picture for the film each `every` iterations; when there are many, every second one goes
  const {film} = state, slider = find("film"), live = Number(slider.value) >= film.length - 1
  if (film.length > 1 && report.step < film.at(-2).step + state.every) film[film.length - 1] = report
  else film.push(report)
  if (film.length > 120) {
    state.film = film.filter((_, i) => i % 2 === 0)
    state.every *= 2
    slider.value = Math.floor(slider.value / 2)
  }
  slider.max = state.film.length - 1
  if (live) slider.value = state.film.length - 1
  find("film-card").hidden = film.length < 2
  showFilm()
}

function tile(canvas, images) {
  for (let i = 0; i < 16; i++)
    canvas.getContext("2d").putImageData(toImage(images.subarray(784 * i, 784 * (i + 1))), 28 * (i % 4), 28 * Math.floor(i / 4))
}

function showFilm() {
  const {film} = state, {step, samples} = film[Number(find("film").value)], last = film.at(-1).step
  const moment = `iteration ${step.toLocaleString("en")}`, ofAll = `${moment} of ${last.toLocaleString("en")}`
  tile(find("samples"), samples)
  find("when").textContent = moment
  find("moment").textContent = ofAll
  find("film").setAttribute("aria-valuetext", ofAll)
  for (let i = 0; i < 14; i++) {  // evenly in iterations
    const {samples} = film.findLast(({step}) => step <= last * i / 13)
    paint(find("strip"), toImage(samples.subarray(0, 784)), 28 * i)
  }
}


/* 4 · Curves */

function drawCurve(svg, columns, bottom, top, marks) {  // columns: [class, index in a row]; marks: [value, text]
  const {height} = svg.viewBox.baseVal, width = Math.round(svg.getBoundingClientRect().width) || 480, right = width - 40
  const last = Math.max(100, state.rows.at(-1)?.[0] ?? 0), x = step => 30 + (right - 30) * step / last
  const y = value => height - 18 - (height - 38) * Math.min(1, Math.max(0, (value - bottom) / (top - bottom)))
  let above = ""
  const lines = columns.map(([name, i]) => {
    const rows = state.rows.filter(row => Number.isFinite(row[i]))
    const points = rows.map(row => `${x(row[0]).toFixed(1)},${y(row[i]).toFixed(1)}`)
    const high = rows.filter((row, k) => row[i] > top && !(rows[k - 1]?.[i] > top))
    if (high.length) above = `<text x="${right}" y="10" text-anchor="end">▲ above ${top}</text>`
    const tips = high.map(row => `<path class="${name}" d="M${x(row[0]) - 4} ${y(top)}h8l-4-7z"/>`)
    return `<polyline class="${name}" points="${points.join(" ")}"/>${tips.join("")}`
  })
  const level = (value, name) => `<line class="${name}" x1="30" x2="${right}" y1="${y(value)}" y2="${y(value)}"/>`
  const dashes = marks.map(([value, text]) => `${level(value, "")}<text x="${right + 4}" y="${y(value) + 4}">${text}</text>`)
  const number = value => `<text x="24" y="${y(value) + 4}" text-anchor="end">${String(value).replace("-", "−")}</text>`
  const labels = `${number(bottom)}${number(top)}${bottom ? number(0) : ""}
    <text x="${right}" y="${height - 3}" text-anchor="end">${last.toLocaleString("en")} iterations</text>`
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`)  // in pixels: labels keep their size
  svg.innerHTML = [level(0, "axis"), labels, ...dashes, ...lines, above].join("")
}

const GUESSING = {  // the losses where D answers 1/2 to everything
  "non-saturating": "1.39 (log 4) and 0.69 (log 2)",
  minimax: "1.39 (log 4) and −0.69 (−log 2)",
  relativistic: "0.69 (log 2) for both",
}

function drawCurves() {
  const words = GUESSING[settings.loss], marks = words.match(/−?\d\.\d+/g).map(text => [Number(text.replace("−", "-")), text])
  drawCurve(find("losses"), [["d", 1], ["g", 2]], words.includes("−") ? -2 : 0, 4, marks)
  drawCurve(find("answers"), [["r", 3], ["g", 4]], 0, 1, [[0.5, "½"]])
  find("guessing").textContent = words
}
addEventListener("resize", drawCurves)


/* 5 · The diagnosis, from what can be seen: curves, and one iteration looked at closely. It doesn't know which bug is on. */

const two = value => value.toFixed(2).replace("-", "−")

function diagnose({range, movesBoth, samples, seen, step}, {dRate, gRate}) {
  if (!step) return "No iteration yet: D and G have random weights, and G's images are grey noise."
  if (!seen) return "No iteration yet with these settings."
  const {n, means: [dLoss, gLoss, dReal, dFake], highest, inside} = seen
  const answers = `D answers ${two(dReal)} for real digits and ${two(dFake)} for generated ones.`
  if (!Number.isFinite(dLoss + gLoss))
    return "Diverged: a loss is no longer a number. The learning rates are too high. Lower them, then restart."
  if (range[0] < -1.05 || range[1] > 1.05)
    return `Range: real pixels go from ${two(range[0])} to ${two(range[1])}, but G's tanh stays between −1 and 1. D knows real
      digits by pixels that G can't make. Scale the real images to [−1, 1]. ${answers}`
  if (movesBoth)
    return `One optimiser: D's step also changes G, and makes its images easier to recognise. Give each network its own optimiser,
      and detach the fakes in D's step. ${answers}`
  if (n > 100 && inside)
    return `Sigmoid twice: D's logits stay between 0 and 1, so its answers stay between 0.50 and
      0.73, and it can't say “generated”. End D in a linear layer. ${answers}`
  if (dFake - dReal > 0.2)
    return `Swapped labels: D takes generated images for real ones. ${answers} In D's loss, real images need the label 1, and
      generated images the label 0.`
  if (dLoss > 3 || highest > 8)
    return `Learning rate: d_loss went up to ${two(highest)}; a D that can't tell has 1.39. The steps are so large that both
      networks overshoot. Lower both rates, and restart.`
  const gap = dReal - dFake
  if (gap > 0.85)
    return `D is sure: ${answers} So G learns little from D. D is too strong for G: compare the rates of their steps. The
      settings say ${dRate} for D and ${gRate} for G.`
  if (step > 300 && alike(samples)) return `Collapse: all generated images are nearly equal. ${answers} Restart with other rates.`
  const skill = gap < 0.02 ? "D only guesses now."
    : gap < 0.4 ? "D is a little better than guessing: G fools it often, and still learns from it."
    : "D is mostly right, but not sure: G learns from it."
  const stage = step < 300 ? "clouds where the ink of digits is, all alike"
    : step < 1000 ? "strokes and blots that differ"
    : step < 2500 ? "some readable digits and some blots" : "more readable digits than blots"
  return `Healthy. ${answers.slice(0, -1)} (1: surely real). ${skill} By now, most runs show ${stage}.`
}

function alike(samples) {  // whether no pixel differs by 40 of 255 from its like in the first image
  return samples.every((grey, i) => Math.abs(grey - samples[i % 784]) < 40)
}

function tell() {
  state.asked = state.last.step
  const words = diagnose(state.last, settings).replace(/\s+/g, " ")
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
  state.z ??= await ask("noise")
  steer()
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
press("new-z", async () => { state.z = await ask("noise"); steer() })
press("save-png", savePng)
press("save-weights", saveWeights)
press("copy-link", copyLink)
find("film").addEventListener("input", showFilm)

let waits = false  // for the tab to be seen again
document.addEventListener("visibilitychange", () => {
  if (waits) run()
  waits = document.hidden && state.running
  if (waits) ask("stop")
})

listeners.digits = receive
makeSettings()
startWorker()
tile(find("real"), await ask("open", {digits: decode(facts.digits), kernel: decode(find("kernel").textContent)}))
await restart()
state.ready = true
window.trainer = {state, ask}
