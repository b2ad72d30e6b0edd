"use strict";
// What every page's plots have in common: they are drawn, follow the window, and fit on paper.
const pagePlots = (() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { displayModeBar: false, responsive: true, showTips: false };
  const plots = [], heights = {}, again = [];
  // The box has the height, not the plot: one that follows the window would else follow its own collapsing box.
  const tall = (place, height) => { place.style.height = `${height}px`; };
  const draw = (name) => {
    const place = document.getElementById("plot-" + name);
    if (!place || !figures[name]) return Promise.resolve(null);
    const { height, ...layout } = figures[name].layout;
    heights[place.id] = height;
    tall(place, height);
    plots.push(place);
    return Plotly.newPlot(place, figures[name].data, layout, config);
  };

  // Paper is narrower than the window; details that are closed would be lost on it.
  const opened = [];
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open])").forEach((part) => { part.open = true; opened.push(part); });
    plots.forEach((plot) => {
      const [width, height] = { "plot-image": [540, 420], "plot-residual": [670, 280], "plot-axis": [670, 200], "plot-descent": [325, 230], "plot-energy": [325, 230] }[plot.id] || [670, 0.8 * heights[plot.id]];
      tall(plot, height);
      Plotly.relayout(plot, { width, height, autosize: false });
    });
  });
  addEventListener("afterprint", () => {
    opened.splice(0).forEach((part) => { part.open = false; });
    plots.forEach((plot) => {
      tall(plot, heights[plot.id]);
      Plotly.relayout(plot, { width: null, height: null, autosize: true });
    });
    again.forEach((refit) => refit());
  });
  return { figures, heights, tall, draw, again };
})();

// Level and width of a grey scale, by presets, numbers and sliders; `show(low, high)` draws.
const pageWindow = (unit, show) => {
  const byId = (id) => document.getElementById(id);
  const level = byId("level"), width = byId("width");
  const levelSlider = byId("level-slider"), widthSlider = byId("width-slider");
  const presets = [...document.querySelectorAll("#presets button")];
  const digits = (value) => (unit === "HU" ? Math.round(value) : Number(value.toPrecision(4)));
  const written = (value) => String(digits(value)).replace("-", "−");
  const look = (l, w, name) => {
    presets.forEach((b) => b.setAttribute("aria-pressed", String(b.textContent === name)));
    byId("window-said").textContent = `Black at ${written(l - w / 2)}, white at ${written(l + w / 2)} ${unit}`;
    return show(l - w / 2, l + w / 2);
  };
  const typed = () => {
    const l = level.valueAsNumber, w = width.valueAsNumber;
    if (!Number.isFinite(l) || !(w > 0)) return;
    levelSlider.value = l; widthSlider.value = w;
    look(l, w, "");
  };
  const slid = () => {
    const l = levelSlider.valueAsNumber, w = Math.max(widthSlider.valueAsNumber, 1e-3 * widthSlider.max);
    level.value = digits(l); width.value = digits(w);
    look(l, w, "");
  };
  const use = (b) => {
    const l = Number(b.dataset.level), w = Number(b.dataset.width);
    level.value = digits(l); width.value = digits(w);
    levelSlider.value = l; widthSlider.value = w;
    return look(l, w, b.textContent);
  };
  presets.forEach((b) => b.addEventListener("click", () => use(b)));
  [level, width].forEach((input) => input.addEventListener("input", typed));
  [levelSlider, widthSlider].forEach((input) => input.addEventListener("input", slid));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  return { first: () => use(presets[0]), written };
};
