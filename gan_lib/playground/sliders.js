/* What the page and the frame in a notebook share of the screen: pictures and sliders. */

const find = id => document.getElementById(id)

function toImage(pixels) {  // 784 greys → what a canvas takes
  const image = new ImageData(28, 28), grey = new Uint32Array(image.data.buffer)
  for (let i = 0; i < 784; i++) grey[i] = 0xFF000000 | pixels[i] * 0x010101
  return image
}

function paint(canvas, image, x = 0) {
  canvas.getContext("2d").putImageData(image, x, 0)
}

function draw({latent_dim, truncation}, seed) {  // a random z, as short as ψ has it: the directions were found among such
  return noise(seed, latent_dim).map(value => truncation * value)
}

// What a generator's sliders start with, by their keys; `render` takes these settings.
function defaults({latent_dim, truncation, classes, directions, moments}) {
  const zeros = Object.fromEntries([...directions.map(({name}) => [name, 0]), ...(classes ? [["digit", 0]] : [])])
  return {...zeros, norm: Math.round(10 * truncation * Math.sqrt(latent_dim)) / 10, moment: moments.length - 1}
}

// A generator's sliders from top to bottom: key, label, the values of the pictures below it, and `words` for a value.
function describeSliders({latent_dim, classes, directions, moments}) {
  const evenly = (low, high) => Array.from({length: 9}, (_, i) => low + (high - low) * i / 8)
  const signed = value => value.toFixed(1).replace("-", "−").replace(/^(?=[1-9]|0\.[1-9])/, "+")
  const digit = {key: "digit", label: "digit", step: 1, values: Array.from({length: classes}, (_, label) => label),
                 words: label => `a ${label}`}
  const training = {
    key: "moment", label: "training", step: 1, values: moments.map((_, i) => i),
    words: moment => moments[moment].step ? `after ${moments[moment].step.toLocaleString("en")} steps` : "untrained",
  }
  const strengths = directions.map(({name}) => ({key: name, label: name, step: 0.1, values: evenly(-3, 3), words: signed}))
  const norm = {key: "norm", label: "length |z|", step: 0.1, values: evenly(0, 2 * Math.sqrt(latent_dim)),
                words: value => value.toFixed(1)}
  return [...(classes ? [digit] : []), ...(moments.length > 1 ? [training] : []), ...strengths, norm]
}

function makeSlider(about, move) {  // `move` is called with each new value
  const box = document.createElement("div"), id = `slider-${about.key}`
  box.className = "slider"
  box.innerHTML = `<label></label><output></output><span class="track"><input type="range"></span>`
  const [label, output, track, input] = box.querySelectorAll("label, output, .track, input")
  label.textContent = about.label
  label.htmlFor = output.htmlFor = input.id = id
  Object.assign(input, {min: about.values[0], max: about.values.at(-1), step: about.step})
  input.addEventListener("input", () => move(Number(input.value)))
  return {...about, box, output, track, input}
}

function setSlider({input, output, words}, value) {
  if (Number(input.value) !== value) input.value = value
  output.textContent = words(value)
  input.setAttribute("aria-valuetext", words(value))
}
