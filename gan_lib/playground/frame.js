/* The sliders in a notebook's output: one generator, one image. */

const [[name, generator]] = Object.entries(generators), stage = find("stage"), root = document.documentElement
let seed = 0, z = draw(generator, seed), settings = defaults(generator)
const sliders = describeSliders(generator).map(about => makeSlider(about, value => {
  settings[about.key] = value
  show()
}))

function show() {
  paint(stage, toImage(render(name, z, settings)))
  for (const slider of sliders) setSlider(slider, settings[slider.key])
  find("status").textContent = `seed ${seed}`
  const values = sliders.map(({key, label, words}) => `${label} ${words(settings[key])}`)
  stage.setAttribute("aria-label", `the image of seed ${seed}, ${values.join(", ")}`)
}

// Dark or light, as the text around the frame is. Where that can't be read the system decides, and the frame covers the still
// picture below it; elsewhere it lets the background through, and the picture is hidden.
function followHost() {
  try {
    const {parentElement, style} = frameElement, [r, g, b] = getComputedStyle(parentElement).color.match(/[\d.]+/g).map(Number)
    style.colorScheme = root.style.colorScheme = r + g + b > 384 ? "dark" : "light"
    for (const still of parentElement.querySelectorAll("p, img")) still.style.visibility = "hidden"
    root.classList.add("seamless")
  } catch {}
}

find("new").addEventListener("click", () => {
  z = draw(generator, ++seed)
  show()
})
find("reset").addEventListener("click", () => {
  settings = defaults(generator)
  show()
})
find("sliders").append(...sliders.map(slider => slider.box))
followHost()
setInterval(followHost, 1000)
show()
root.classList.add("ready")
window.playground = {generator, get z() { return z }, render: (z, settings) => render(name, z, settings)}  // for the tests
