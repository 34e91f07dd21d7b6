"""Generators with sliders in one HTML file. `page.py` writes the file, `page.js` and `page_nets.js` run in it."""
