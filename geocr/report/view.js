"use strict";
const map = document.getElementById("map");
const place = document.getElementById("place");
const position = document.getElementById("position");
const divider = map.querySelector(".divider");
const facts = map.dataset;
const rows = Number(facts.rows), cols = Number(facts.cols), levels = Number(facts.levels), side = Number(facts.tile);
const [a, b, c, d, e, f] = facts.transform.split(" ").map(Number);
// `scale`: pixels of the screen for a pixel of the scene. `left`, `top`: the scene's pixel in the corner of the map.
const view = { scale: 1, left: 0, top: 0 };

const layers = facts.layers.split(" ").map((name) => {
  const element = document.createElement("div");
  element.className = "layer " + name;
  element.hidden = name === "provenance" || name === "std";
  map.insertBefore(element, divider);
  return { name, element, tiles: new Map() };
});
divider.hidden = !position;

function wantedTiles() {
  const level = Math.min(levels - 1, Math.max(0, Math.floor(-Math.log2(view.scale * window.devicePixelRatio) + 1e-6)));
  const span = side * 2 ** level;
  const first = { row: Math.max(0, Math.floor(view.top / span)), col: Math.max(0, Math.floor(view.left / span)) };
  const last = {
    row: Math.min(Math.ceil(rows / span), Math.ceil((view.top + map.clientHeight / view.scale) / span)),
    col: Math.min(Math.ceil(cols / span), Math.ceil((view.left + map.clientWidth / view.scale) / span)),
  };
  const wanted = [];
  for (let row = first.row; row < last.row; row++) for (let col = first.col; col < last.col; col++) wanted.push([level, row, col]);
  return wanted;
}

function lay(tile) {
  const span = side * 2 ** tile.level;
  const x = tile.col * span, y = tile.row * span;
  const width = Math.min(span, cols - x), height = Math.min(span, rows - y);
  const at = (value) => Math.round(value);  // whole pixels of the screen: no lines between tiles
  const left = at((x - view.left) * view.scale), top = at((y - view.top) * view.scale);
  const style = tile.image.style;
  style.left = left + "px";
  style.top = top + "px";
  style.width = at((x + width - view.left) * view.scale) - left + "px";
  style.height = at((y + height - view.top) * view.scale) - top + "px";
  style.zIndex = String(levels - tile.level);
}

function draw() {
  const wanted = wantedTiles();
  const keys = new Set(wanted.map((key) => key.join("/")));
  for (const layer of layers) {
    if (layer.element.hidden) continue;
    layer.element.classList.toggle("sharp", view.scale >= 1);
    for (const [level, row, col] of wanted) {
      const key = [level, row, col].join("/");
      if (layer.tiles.has(key)) continue;
      const image = new Image();
      const tile = { level, row, col, image, done: false };
      image.alt = "";
      image.draggable = false;
      image.onload = () => { tile.done = true; sweep(layer); };
      image.onerror = () => { tile.done = true; image.remove(); };
      image.src = "/tile/" + facts.token + "/" + layer.name + "/" + key + ".png";
      layer.tiles.set(key, tile);
      layer.element.append(image);
    }
    for (const tile of layer.tiles.values()) lay(tile);
    layer.wanted = keys;
    sweep(layer);
  }
}

// Tiles of other levels stay until those that replace them are there.
function sweep(layer) {
  const ready = [...layer.wanted].every((key) => layer.tiles.get(key).done);
  map.dataset.ready = String(layers.every((each) => each.element.hidden || [...(each.wanted || [])].every((key) => each.tiles.get(key).done)));
  if (!ready) return;
  for (const [key, tile] of layer.tiles) {
    if (layer.wanted.has(key)) continue;
    tile.image.onload = tile.image.onerror = null;
    tile.image.remove();
    layer.tiles.delete(key);
  }
}

let queued = false;
function redraw() {
  if (queued) return;
  queued = true;
  map.dataset.ready = "false";
  requestAnimationFrame(() => { queued = false; draw(); });
}

function clampView() {
  const across = map.clientWidth / view.scale, down = map.clientHeight / view.scale;
  view.left = across >= cols ? (cols - across) / 2 : Math.min(cols - across, Math.max(0, view.left));
  view.top = down >= rows ? (rows - down) / 2 : Math.min(rows - down, Math.max(0, view.top));
}

function zoomTo(scale, x = map.clientWidth / 2, y = map.clientHeight / 2) {
  const kept = { col: view.left + x / view.scale, row: view.top + y / view.scale };
  view.scale = Math.min(16, Math.max(fitScale() / 2, scale));
  view.left = kept.col - x / view.scale;
  view.top = kept.row - y / view.scale;
  clampView();
  redraw();
}
const fitScale = () => Math.min(map.clientWidth / cols, map.clientHeight / rows);
const pan = (x, y) => { view.left += x / view.scale; view.top += y / view.scale; clampView(); redraw(); };

function moveDivider(percent) {
  const value = Math.min(100, Math.max(0, percent));
  map.style.setProperty("--x", value + "%");
  position.value = String(Math.round(value));
  position.setAttribute("aria-valuetext", Math.round(value) + " percent before, " + Math.round(100 - value) + " percent after");
}
if (position) {
  position.addEventListener("input", () => moveDivider(Number(position.value)));
  for (const button of document.querySelectorAll("button[data-to]")) button.addEventListener("click", () => moveDivider(Number(button.dataset.to)));
  moveDivider(50);
}

const zooms = { in: () => zoomTo(view.scale * 2), out: () => zoomTo(view.scale / 2), fit: () => zoomTo(fitScale()), one: () => zoomTo(1) };
for (const button of document.querySelectorAll("button[data-zoom]")) button.addEventListener("click", zooms[button.dataset.zoom]);
for (const box of document.querySelectorAll("input[data-layer]")) {
  const show = () => {
    for (const layer of layers) if (layer.name === box.dataset.layer) layer.element.hidden = !box.checked;
    redraw();
  };
  box.addEventListener("change", show);
  show();
}
const opacity = document.getElementById("opacity");
const fade = () => { for (const layer of layers) if (layer.name === "provenance" || layer.name === "std") layer.element.style.opacity = String(Number(opacity.value) / 100); };
opacity.addEventListener("input", fade);
fade();

map.addEventListener("keydown", (event) => {
  const step = 80;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const keys = { "+": zooms.in, "=": zooms.in, "-": zooms.out, "0": zooms.fit, "1": zooms.one };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (moves[event.key]) pan(...moves[event.key]);
  else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});

// One finger or the mouse moves the map, or the divider where it was taken there; two fingers zoom.
const fingers = new Map();
const inside = (event) => { const box = map.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
let onDivider = false;
map.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  onDivider = event.target === divider;
  fingers.set(event.pointerId, inside(event));
  map.setPointerCapture(event.pointerId);
});
map.addEventListener("pointermove", (event) => {
  const now = inside(event);
  tell(now);
  const before = fingers.get(event.pointerId);
  if (!before) return;
  if (fingers.size === 2) {
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    const spread = (point) => Math.hypot(point.x - other.x, point.y - other.y);
    zoomTo((view.scale * spread(now)) / Math.max(1, spread(before)), other.x, other.y);
  } else if (onDivider) moveDivider((100 * now.x) / map.clientWidth);
  else pan(before.x - now.x, before.y - now.y);
  fingers.set(event.pointerId, now);
});
for (const kind of ["pointerup", "pointercancel"]) map.addEventListener(kind, (event) => fingers.delete(event.pointerId));
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = inside(event);
  zoomTo(view.scale * 2 ** (-event.deltaY / 300), at.x, at.y);
}, { passive: false });

function tell(at) {
  const col = view.left + at.x / view.scale, row = view.top + at.y / view.scale;
  if (col < 0 || row < 0 || col >= cols || row >= rows) { place.textContent = ""; return; }
  const x = a * col + b * row + c, y = d * col + e * row + f;
  const digits = Math.abs(a) < 0.01 ? 6 : 1;
  place.textContent = `row ${Math.floor(row)}, column ${Math.floor(col)}; x ${x.toFixed(digits)}, y ${y.toFixed(digits)} ${facts.crs}; ${view.scale.toFixed(2)}:1`;
}

new ResizeObserver(() => { clampView(); redraw(); }).observe(map);
zoomTo(fitScale());
