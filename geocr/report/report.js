"use strict";
for (const figure of document.querySelectorAll("figure.swipe")) {
  const stage = figure.querySelector(".stage");
  const position = figure.querySelector("input.position");
  const chip = figure.classList.contains("chip");

  const move = (percent) => {
    const value = Math.min(100, Math.max(0, percent));
    stage.style.setProperty("--x", value + "%");
    position.value = String(Math.round(value));
    position.setAttribute("aria-valuetext", Math.round(value) + " percent before, " + Math.round(100 - value) + " percent after");
  };
  if (position) {
    position.addEventListener("input", () => move(Number(position.value)));
    for (const button of figure.querySelectorAll("button[data-to]")) button.addEventListener("click", () => move(Number(button.dataset.to)));
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      move((100 * (event.clientX - box.left)) / box.width);
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest("a")) return;
      stage.setPointerCapture(event.pointerId);
      follow(event);
    });
    stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) follow(event); });
    move(50);
  }
  for (const box of figure.querySelectorAll("input[data-layer]")) {
    const layer = stage.querySelector("." + box.dataset.layer);
    const show = () => { if (layer) layer.toggleAttribute("hidden", !box.checked); };
    box.addEventListener("change", show);
    show();
  }
  const opacity = figure.querySelector("input.opacity");
  const fade = () => { for (const layer of stage.querySelectorAll(".overlay")) layer.style.opacity = String(Number(opacity.value) / 100); };
  opacity.addEventListener("input", fade);
  fade();
  if (chip) {
    const zooms = figure.querySelectorAll("button[data-zoom]");
    const enlarge = (factor) => {
      stage.style.width = factor * Number(figure.dataset.width) + "px";
      for (const button of zooms) button.setAttribute("aria-pressed", String(Number(button.dataset.zoom) === factor));
    };
    for (const button of zooms) button.addEventListener("click", () => enlarge(Number(button.dataset.zoom)));
    enlarge(1);
  }
}
const copy = document.querySelector("button.copy");
if (copy && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.querySelector("#command").textContent);
    copy.textContent = "Copied";
  });
}
