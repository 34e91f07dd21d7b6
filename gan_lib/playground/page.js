/* What is on the page's screen, and what a hand, a key or a link does to it. */


/* 4 · What is on the screen. All of it follows from `state` and `settings`; whoever changes them calls `changed`, and the next
   `frame` brings the page up to date. What is left of a frame's time goes into `chore`s: the films under the sliders, and
   candidates for the search. */

const still = matchMedia("(prefers-reduced-motion: reduce)")
const state = {name: "", z: null, seed: 0, origin: "seed", image: null}  // origin: where z comes from, a key of WHERE
const WHERE = {seed: () => `seed ${state.seed}`, walk: () => "on a walk", drawing: () => "found for the drawing",
               link: () => "the point of the link"}
let settings = {}  // what `move` and `render` are told: the strength of each direction, norm, moment
let sliders = [], turn = 0, waiting = false, walking = null, hunting = null, target = null, noting = 0
const times = []  // milliseconds that the last images took

function paintFilm({key, film, input, cells}) {  // the cells, and over them, where the handle is, the digit that it stands for
  for (const {image, column} of cells) if (image) paint(film, image, 28 * column)
  const share = (settings[key] - input.min) / (input.max - input.min)
  paint(film, state.image, Math.round(28 * (cells.length - 1) * share))
}

function picture(settings) {
  const start = performance.now(), pixels = render(state.name, state.z, settings)
  times.push(performance.now() - start)
  if (times.length > 50) times.shift()
  return pixels
}

function frame(now) {
  waiting = false
  const end = performance.now() + 8
  if (walking) walkOn(now)
  if (hunting) huntOn(end + 16)
  show()
  let more = true
  while (performance.now() < end && (more = chore()));
  if (walking || hunting || more) wake()
}

function wake() {
  if (!waiting) requestAnimationFrame(frame)
  waiting = true
}

function changed() {
  state.stale = true
  clearTimeout(noting)
  noting = setTimeout(note, 300)
  wake()
}

function show() {
  if (!state.stale) return
  state.stale = false
  const pixels = picture(settings)
  state.image = toImage(pixels)
  paint(find("stage"), state.image)
  for (const slider of sliders) {
    setSlider(slider, settings[slider.key])
    slider.fresh = JSON.stringify([state.name, [...state.z], {...settings, [slider.key]: null}])
    paintFilm(slider)
  }
  showOpinion(pixels)
}

function chore() {  // does one thing, and says whether there was one to do
  const cells = sliders.flatMap(slider => slider.cells)
  for (let n = 0; n < cells.length; n++) {
    const cell = cells[turn++ % cells.length], {slider} = cell
    if (cell.shown === slider.fresh) continue
    cell.shown = slider.fresh
    cell.image = toImage(picture({...settings, [slider.key]: cell.value}))
    paintFilm(slider)
    return true
  }
  const bank = candidates()
  if (walking || bank.length >= 300) return false
  bank.push(candidate(currentNet(), state.z.length, bank.length))
  return true
}

const currentNet = () => net(state.name, settings.moment, "generator", settings.digit)

const banks = new Map()
function candidates() {  // for the search, by generator, moment and digit
  const key = JSON.stringify([state.name, settings.moment, settings.digit])
  if (!banks.has(key)) banks.set(key, [])
  return banks.get(key)
}

function say(words) {
  find("status").textContent = words
}

function goTo(z, origin) {
  Object.assign(state, {z, origin})
  changed()
}

function goToSeed(seed) {
  rest()
  state.seed = seed
  goTo(draw(generators[state.name], seed), "seed")
  say(WHERE.seed())
}

function rest() {  // no walk, no search
  if (!walking && !hunting) return
  walking = hunting = null
  find("walk").textContent = "Walk"
  say(WHERE[state.origin]())
  changed()
}


/* 5 · The generators, their sliders, and what their discriminators say. */

function choose(name) {
  rest()
  state.name = name
  settings = defaults(generators[name])
  sliders = describeSliders(generators[name]).map(addFilm)
  find("sliders").replaceChildren(...sliders.map(slider => slider.box))
  for (const input of find("choices").querySelectorAll("input")) input.checked = input.value === name
  find("opinion").hidden = !generators[name].moments.every(({discriminator}) => discriminator)
}

function addFilm(about) {  // a slider with a film below its handle, and the steps of training below their pictures
  const {key, values} = about, film = document.createElement("canvas"), ticks = document.createElement("div")
  const slider = makeSlider(about, value => {
    const again = hunting && ["moment", "digit"].includes(key)  // another net, another search
    if (!walking) { rest(); say(WHERE[state.origin]()) }
    settings[key] = value
    changed()
    if (again) hunt(target)
  })
  slider.box.style.setProperty("--cells", values.length)
  Object.assign(film, {width: 28 * values.length, height: 28, ariaHidden: "true"})
  slider.track.prepend(film)
  if (key === "moment") {
    Object.assign(ticks, {className: "ticks soft", ariaHidden: "true"})
    const steps = generators[state.name].moments.map(({step}) => step.toLocaleString("en", {notation: "compact"}))
    ticks.innerHTML = steps.map(step => `<span>${step}</span>`).join("")
    slider.box.append(ticks)
  }
  slider.film = film
  slider.cells = values.map((value, column) => ({slider, value, column}))
  return slider
}

function showOpinion(pixels) {
  const judge = generators[state.name].moments[settings.moment].discriminator
  if (!judge) return
  const [logit] = net(state.name, settings.moment, "discriminator").forward(Float32Array.from(pixels, v => v / 127.5 - 1))
  const low = Math.min(judge.real[0], judge.fake[0]), high = Math.max(judge.real.at(-1), judge.fake.at(-1))
  const bins = 40, width = 400 / bins, heaps = [judge.real, judge.fake].map(logits => {
    const counts = new Array(bins).fill(0)
    for (const value of logits) counts[Math.min(bins - 1, Math.floor((value - low) / (high - low || 1) * bins))]++
    return counts
  })
  const tallest = Math.max(...heaps.flat())
  const bars = (counts, sign) => counts.map((count, i) => {
    const height = 70 * count / tallest
    return count ? `M${i * width + 1} 85v${-sign * height}h${width - 2}v${sign * height}z` : ""
  }).join("")
  const x = 4 + 392 * Math.min(1, Math.max(0, (logit - low) / (high - low || 1)))
  find("heaps").innerHTML = `
    <path d="${bars(heaps[0], 1)}" fill="var(--real)"/><path d="${bars(heaps[1], -1)}" fill="var(--generator)"/>
    <path d="M0 85H400" stroke="var(--theory)"/><path d="M${x} 4V166" stroke="var(--card)" stroke-width="8"/>
    <path d="M${x} 4V166" stroke="var(--focus)" stroke-width="4" stroke-linecap="round"/>`
  const below = logits => Math.round(100 * logits.filter(value => value < logit).length / logits.length)
  find("opinion-text").textContent = `Logit ${logit.toFixed(2).replace("-", "−")}: higher than ${below(judge.real)} % of ` +
    `${judge.real.length} real digits, and than ${below(judge.fake)} % of ${judge.fake.length} generated ones.`
}


/* 6 · A walk: along the sphere from one random point to the next, two seconds each. */

const someSeed = () => Math.floor(10_000 * Math.random())

function slerp(a, b, t) {
  const cosine = a.reduce((sum, value, i) => sum + value * b[i], 0) / (length(a) * length(b))
  const omega = Math.acos(Math.min(1, Math.max(-1, cosine))), sine = Math.sin(omega)
  const [p, q] = sine < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * omega) / sine, Math.sin(t * omega) / sine]
  return a.map((value, i) => p * value + q * b[i])
}

function startWalk() {
  rest()
  walking = {from: state.z, to: draw(generators[state.name], someSeed()), since: performance.now()}
  find("walk").textContent = "Pause"
  say("walking")
  wake()
}

function walkOn(now) {
  const t = Math.max(0, now - walking.since) / 2000
  if (t >= 1) walking = {from: walking.to, to: draw(generators[state.name], someSeed()), since: now}
  else if (still.matches) return  // from point to point, with nothing in between
  goTo(t >= 1 ? walking.from : slerp(walking.from, walking.to, t), "walk")
}


/* 7 · The drawing. Strokes are kept as lines, so that they can be drawn anew as MNIST holds its digits: 20 pixels at most,
   the centre of their ink in the middle, and as thick as its pen. */

let strokes = [], pausing = 0
const pad = find("pad").getContext("2d"), small = find("target").getContext("2d", {willReadFrequently: true})

function drawStrokes(context, lineWidth, place) {
  context.fillStyle = "#000"
  context.fillRect(0, 0, context.canvas.width, context.canvas.height)
  Object.assign(context, {lineWidth, lineCap: "round", lineJoin: "round", strokeStyle: "#fff"})
  context.beginPath()
  for (const stroke of strokes) {
    context.moveTo(...place(stroke[0]))
    for (const point of stroke) context.lineTo(...place(point))
  }
  context.stroke()
}

function asMnistHoldsIt() {  // the strokes → float [784] in [-1, 1], and on the small canvas
  const points = strokes.flat(), xs = points.map(([x]) => x), ys = points.map(([, y]) => y)
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  const pen = 2.4, scale = Math.min((20 - pen) / Math.max(right - left, bottom - top, 1e-6), 60)
  let dx = 14 - scale * (left + right) / 2, dy = 14 - scale * (top + bottom) / 2
  const place = ([x, y]) => [scale * x + dx, scale * y + dy]
  const ink = () => {  // [784] in [0, 255]
    drawStrokes(small, pen, place)
    return small.getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 0)
  }
  let sum = 0, x = 0, y = 0
  ink().forEach((value, i) => { sum += value; x += value * (i % 28); y += value * Math.floor(i / 28) })
  dx += 14 - x / sum
  dy += 14 - y / sum
  return Float32Array.from(ink(), value => value / 127.5 - 1)
}

function hunt(image) {
  rest()
  target = image
  hunting = {steps: search(currentNet(), state.z.length, target, candidates()), until: performance.now() + 1300}
  say("searching …")
  wake()
}

function huntOn(end) {
  let told
  do told = hunting.steps.next(); while (!told.done && performance.now() < end)
  const best = told.value, done = told.done || performance.now() > hunting.until
  if (best.z && (done || !still.matches)) {
    for (const {name} of generators[state.name].directions) settings[name] = 0
    settings.norm = Math.min(Math.round(10 * length(best.z)) / 10, 2 * Math.sqrt(best.z.length))
    goTo(best.z, "drawing")
  }
  if (!done) return
  hunting = null
  say(`found, with a mean squared error of ${best.error.toFixed(3)}`)
}

const placeOf = event => {  // [x, y] in [0, 1]
  const box = event.target.getBoundingClientRect(), inside = share => Math.min(1, Math.max(0, share))
  return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)]
}
const onPad = ([x, y]) => [x * pad.canvas.width, y * pad.canvas.height]

find("pad").addEventListener("pointerdown", event => {
  if (!event.isPrimary) return  // a second finger
  clearTimeout(pausing)
  rest()
  event.target.setPointerCapture(event.pointerId)
  strokes.push([placeOf(event)])
  drawStrokes(pad, 36, onPad)
})
find("pad").addEventListener("pointermove", event => {
  if (!event.target.hasPointerCapture(event.pointerId)) return
  strokes.at(-1).push(placeOf(event))
  drawStrokes(pad, 36, onPad)
})
find("pad").addEventListener("lostpointercapture", () => {  // after a moment, for there may be another stroke
  pausing = setTimeout(() => hunt(asMnistHoldsIt()), 350)
})

function clearPad() {
  clearTimeout(pausing)
  strokes = []
  target = null
  drawStrokes(small, 1, onPad)
  drawStrokes(pad, 1, onPad)
  Object.assign(pad, {fillStyle: "#999", font: "32px system-ui, sans-serif", textAlign: "center"})
  pad.fillText("draw here", pad.canvas.width / 2, pad.canvas.height / 2)
}

find("clear").addEventListener("click", clearPad)
find("digits").append(...Array.from({length: 10}, (_, digit) => {
  const button = document.createElement("button"), canvas = document.createElement("canvas")
  const pixels = bytes(facts.digits).subarray(784 * digit, 784 * (digit + 1))
  Object.assign(canvas, {width: 28, height: 28})
  paint(canvas, toImage(pixels))
  button.append(canvas)
  button.setAttribute("aria-label", `a handwritten ${digit}`)
  button.addEventListener("click", () => {
    clearPad()
    paint(small.canvas, toImage(pixels))
    hunt(Float32Array.from(pixels, value => value / 127.5 - 1))
  })
  return button
}))


/* 8 · The link: what comes after # is the state, as far as it is not what one starts with. */

function encode(z) {  // 16 bits a number, in steps of 1 / 4096
  const numbers = Int16Array.from(z, value => 4096 * Math.max(-8, Math.min(7.999, value)))
  const text = btoa(String.fromCharCode(...new Uint8Array(numbers.buffer)))
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}

function decode(text, n) {  // null where the text is none of n numbers
  try {
    const found = bytes(text.replaceAll("-", "+").replaceAll("_", "/"))
    return found.length === 2 * n ? Float32Array.from(new Int16Array(found.buffer), value => value / 4096) : null
  } catch { return null }
}

function note() {
  if (walking || hunting || !times.length) return
  const usual = defaults(generators[state.name]), words = new URLSearchParams({g: state.name})
  words.set(...(state.origin === "seed" ? ["seed", state.seed] : ["z", encode(state.z)]))
  for (const key in settings) if (settings[key] !== usual[key]) words.set(key, settings[key])
  try { history.replaceState(null, "", `#${words}`) } catch {}  // a page in `srcdoc` has no address
  const moved = sliders.map(({key, input, words}) => `${input.labels[0].textContent} ${words(settings[key])}`)
  find("stage").setAttribute("aria-label", `a digit that ${state.name} made, ${WHERE[state.origin]()}, ${moved.join(", ")}`)
  const typical = times.slice().sort((a, b) => a - b)[times.length >> 1]
  find("speed").textContent = `${state.name}: ${state.z.length} numbers in, 784 pixels out, ` +
    `${currentNet().weights.toLocaleString("en")} weights, ${typical.toFixed(1)} ms an image.`
}

function restore() {
  const words = new URLSearchParams(location.hash.slice(1)), asked = words.get("g")
  choose(Object.hasOwn(generators, asked) ? asked : Object.keys(generators)[0])
  for (const {key, input} of sliders) {
    if (!words.has(key)) continue
    input.value = words.get(key)  // the browser brings it into the slider's range
    settings[key] = Number(input.value)
  }
  const z = words.has("z") && decode(words.get("z"), generators[state.name].latent_dim)
  goToSeed(Math.abs(parseInt(words.get("seed"))) || 0)
  if (z) goTo(z, "link")
  say(WHERE[state.origin]())
}


/* 9 · Buttons, and the start. */

find("choices").append(...Object.keys(generators).map(name => {
  const label = document.createElement("label"), input = document.createElement("input"), words = document.createElement("span")
  label.className = "choice"
  Object.assign(input, {type: "radio", name: "generator", value: name})
  words.textContent = name
  input.addEventListener("change", () => {
    const drawn = (hunting || state.origin === "drawing") && target
    choose(name)
    goToSeed(state.seed)
    if (drawn) hunt(drawn)
  })
  label.append(input, words)
  return label
}))
find("choices").hidden = Object.keys(generators).length === 1

find("random").addEventListener("click", () => goToSeed(someSeed()))
find("walk").addEventListener("click", () => {
  if (walking) rest()
  else startWalk()
})
find("reset").addEventListener("click", () => {
  Object.assign(settings, defaults(generators[state.name]), {moment: settings.moment})
  changed()
})
find("save").addEventListener("click", () => {
  const large = document.createElement("canvas")
  large.width = large.height = 280
  const context = large.getContext("2d")
  context.imageSmoothingEnabled = false
  context.drawImage(find("stage"), 0, 0, 280, 280)
  large.toBlob(blob => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = `${state.name} ${WHERE[state.origin]()}.png`.replaceAll(" ", "-")
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
    say(`saved as ${link.download}`)
  })
})
find("link").addEventListener("click", async () => {
  rest()
  note()
  try {
    await navigator.clipboard.writeText(location.href)
    say("link copied")
  } catch {
    say("the link is in the address bar")
  }
})
addEventListener("hashchange", restore)

clearPad()
restore()
window.playground = {  // for the tests, and for who opens the console
  generators, render, noise, slerp, state,
  search: (name, image, candidates = []) =>
    search(net(name, generators[name].moments.length - 1, "generator"), generators[name].latent_dim, image, candidates),
}
