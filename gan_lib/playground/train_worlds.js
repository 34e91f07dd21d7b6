/* The small worlds: a ring of eight, which the worker trains, and two numbers, which are computed here. */

const tabs = [...document.querySelectorAll("[role=tab]")]

function choose(tab) {
  for (const each of tabs) {
    const chosen = each === tab
    each.setAttribute("aria-selected", chosen)
    each.tabIndex = chosen ? 0 : -1
    find(each.getAttribute("aria-controls")).hidden = !chosen
  }
  ask("stop")
  numbers.mode = ""
  tab.focus()
  if (tab.id === "tab-worlds" && !ring.last) restartRing()
  if (tab.id === "tab-worlds") drawNumbers()
}
for (const [i, tab] of tabs.entries()) {
  tab.addEventListener("click", () => choose(tab))
  tab.addEventListener("keydown", ({key}) => {
    if (key === "ArrowRight" || key === "ArrowLeft") choose(tabs[(i + 1) % tabs.length])
  })
}

const context = canvas => canvas.getContext("2d")

function colour(answer) {  // of D: from G's pink for 0 over white to the green of real points for 1
  const share = Math.abs(2 * answer - 1), [r, g, b] = answer < 0.5 ? [204, 121, 167] : [0, 158, 115]
  return [r, g, b].map(value => 255 + 0.75 * share * (value - 255))
}

function paintField(canvas, answers, cells) {
  const small = Object.assign(document.createElement("canvas"), {width: cells, height: cells})
  const image = new ImageData(cells, cells)
  for (let i = 0; i < cells * cells; i++) image.data.set([...colour(answers[i]), 255], 4 * i)
  context(small).putImageData(image, 0, 0)
  context(canvas).drawImage(small, 0, 0, canvas.width, canvas.height)
}

const place = (canvas, reach) => (x, y) => [canvas.width * (x / reach + 1) / 2, canvas.height * (1 - y / reach) / 2]

function dots(canvas, at, points, colour, radius) {
  const pen = context(canvas)
  pen.fillStyle = colour
  for (let i = 0; i < points.length; i += 2) {
    pen.beginPath()
    pen.arc(...at(points[i], points[i + 1]), radius, 0, 7)
    pen.fill()
  }
}


/* The ring */

const ring = {last: null, dRate: 0.004, gRate: 0.004, loss: "non-saturating"}
function restartRing() {
  const {dRate, gRate, loss} = ring
  ask("new", {world: "ring", settings: {dRate, gRate, loss, batch: 128, seed: 1}})
}

listeners.ring = report => {
  ring.last = report
  const canvas = find("ring"), at = place(canvas, 3.2), {points, real} = report, caught = new Set()
  paintField(canvas, report.field, 48)
  dots(canvas, at, real, "#00704f", 2)
  dots(canvas, at, points, "#a03d74", 3)
  for (let i = 0; i < points.length; i += 2) for (let mode = 0; mode < 8; mode++) {
    const angle = Math.PI / 4 * mode
    if (Math.hypot(points[i] - 2 * Math.cos(angle), points[i + 1] - 2 * Math.sin(angle)) < 0.3) caught.add(mode)
  }
  const collapse = caught.size < 4 && report.step > 300 ? ": mode collapse" : ""
  const words = `G has points in ${caught.size} of the eight clusters${collapse}`
  find("ring-status").textContent = `${report.step} iterations: ${words}`
  canvas.setAttribute("aria-label", `the plane of the ring: ${words}`)
  find("ring-start").textContent = report.running ? "Pause" : "Start"
}

press("ring-start", () => ring.last?.running ? ask("stop") : ask("run", {world: "ring"}))
press("ring-slow", () => ask("run", {world: "ring", slowly: true}))
press("ring-d", () => ask("step", {world: "ring", player: "D"}))
press("ring-g", () => ask("step", {world: "ring", player: "G"}))
press("ring-restart", restartRing)
for (const [key, [label, values]] of Object.entries({dRate: ["learning rate of D", ["0.0005", "0.001", "0.004"]],
                                                     gRate: ["learning rate of G", ["0.001", "0.004"]], loss: CHOICES.loss}))
  find("ring-settings").append(makeChoice(`ring-${key}`, label, values, String(ring[key]), value => {
    ring[key] = key === "loss" ? value : Number(value)
    ask("set", {world: "ring", settings: {[key]: ring[key]}})
  }))


/* Two numbers: lesson 06 has the formulas. D moves first, then G. */

const numbers = {theta: 1, psi: 1, path: [], steps: 0, mode: "", loss: "non-saturating", h: 0.2}
const answer = (theta, psi) => 1 / (1 + Math.exp(-theta * psi))
const pushD = (theta, psi) => -answer(theta, psi) * theta - (numbers.loss === "non-saturating, R1 + R2" ? 0.4 * psi : 0)
const pushG = (theta, psi) => (numbers.loss === "minimax" ? answer(theta, psi) : 1 - answer(theta, psi)) * psi

function stepNumbers(player) {
  if (player === "D") numbers.psi += numbers.h * pushD(numbers.theta, numbers.psi)
  else numbers.theta += numbers.h * pushG(numbers.theta, numbers.psi)
  numbers.steps++
  numbers.path.push(numbers.theta, numbers.psi)
  drawNumbers()
}

function drawNumbers() {
  const canvas = find("numbers"), at = place(canvas, 2), pen = context(canvas), cells = 40, {theta, psi, path} = numbers
  const middle = i => 2 * ((2 * i + 1) / cells - 1)
  paintField(canvas, Array.from({length: cells ** 2}, (_, i) => answer(middle(i % cells), -middle(Math.floor(i / cells)))), cells)
  pen.lineWidth = 1
  pen.strokeStyle = "#777"
  for (let x = -1.8; x < 2; x += 0.4) for (let y = -1.8; y < 2; y += 0.4) {
    pen.beginPath()
    pen.moveTo(...at(x, y))
    pen.lineTo(...at(x + 0.2 * pushG(x, y), y + 0.2 * pushD(x, y)))
    pen.stroke()
  }
  pen.strokeStyle = "#222"
  pen.lineWidth = 1.5
  pen.beginPath()
  for (let i = 0; i < path.length; i += 2) pen.lineTo(...at(path[i], path[i + 1]))
  pen.stroke()
  dots(canvas, at, [0, 0], "#00704f", 6)
  dots(canvas, at, [theta, psi], "#222", 6)
  const far = Math.hypot(theta, psi).toFixed(2)
  const words = `${numbers.steps} steps: θ ${theta.toFixed(2)}, ψ ${psi.toFixed(2)}, distance ${far} from (0, 0)`
  find("numbers-status").textContent = words.replaceAll("-", "−")
  canvas.setAttribute("aria-label", `the plane of θ and ψ: the two numbers are ${far} from the equilibrium`)
}

function runNumbers(mode) {
  numbers.mode = numbers.mode === mode ? "" : mode
  find("numbers-start").textContent = numbers.mode === "fast" ? "Pause" : "Start"
  const started = numbers.mode && !numbers.timer
  if (started) turnNumbers()
}

function turnNumbers() {
  numbers.timer = 0
  if (!numbers.mode || document.hidden) return
  stepNumbers(numbers.steps % 2 ? "G" : "D")
  if (numbers.mode === "fast") stepNumbers(numbers.steps % 2 ? "G" : "D")
  numbers.timer = setTimeout(turnNumbers, numbers.mode === "fast" ? 30 : 400)
}

function restartNumbers() {
  Object.assign(numbers, {theta: 1, psi: 1, path: [1, 1], steps: 0})
  drawNumbers()
}

press("numbers-start", () => runNumbers("fast"))
press("numbers-slow", () => runNumbers("slow"))
press("numbers-d", () => stepNumbers("D"))
press("numbers-g", () => stepNumbers("G"))
press("numbers-restart", restartNumbers)
find("numbers-settings").append(makeChoice("numbers-loss", "loss", ["non-saturating", "minimax", "non-saturating, R1 + R2"],
                                           numbers.loss, value => { numbers.loss = value; restartNumbers() }))
restartNumbers()
