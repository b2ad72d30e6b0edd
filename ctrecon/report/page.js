"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { displayModeBar: false, responsive: true, showTips: false };
  const plots = [];
  // The box has the height, not the plot: one that follows the window would else follow its own collapsing box.
  const heights = {};
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

  // On a phone the image takes the whole width; what black and white stand for is said in words below it.
  const narrow = matchMedia("(max-width: 560px)");
  const fit = () => {
    const place = document.getElementById("plot-image"), small = narrow.matches;
    tall(place, small ? place.clientWidth - 6 : heights[place.id]);
    const margin = small ? { l: 44, r: 12, t: 8, b: 44 } : figures.image.layout.margin;
    return Plotly.update(place, { showscale: !small }, { margin, autosize: true }, [0]);
  };

  // A finger that scrolls past the image must not zoom it; the buttons do.
  const coarse = matchMedia("(pointer: coarse)").matches;
  if (coarse) figures.image.layout.dragmode = false;

  const byId = (id) => document.getElementById(id);
  const level = byId("level"), width = byId("width");
  const levelSlider = byId("level-slider"), widthSlider = byId("width-slider");
  const presets = [...document.querySelectorAll("#presets button")];
  const unit = figures.image.data[0].colorbar.title.text;
  const digits = (value) => (unit === "HU" ? Math.round(value) : Number(value.toPrecision(4)));
  const written = (value) => String(digits(value)).replace("-", "−");

  const show = (l, w, name) => {
    const low = l - w / 2, high = l + w / 2;
    presets.forEach((b) => b.setAttribute("aria-pressed", String(b.textContent === name)));
    byId("window-said").textContent = `Black at ${written(low)}, white at ${written(high)} ${unit}`;
    return Plotly.restyle("plot-image", { zmin: low, zmax: high }, [0]);
  };
  const set = (l, w, name) => {
    level.value = digits(l); width.value = digits(w);
    levelSlider.value = l; widthSlider.value = w;
    return show(l, w, name);
  };
  const typed = () => {
    const l = level.valueAsNumber, w = width.valueAsNumber;
    if (!Number.isFinite(l) || !(w > 0)) return;
    levelSlider.value = l; widthSlider.value = w;
    show(l, w, "");
  };
  const slid = () => {
    const l = levelSlider.valueAsNumber, w = Math.max(widthSlider.valueAsNumber, 1e-3 * widthSlider.max);
    level.value = digits(l); width.value = digits(w);
    show(l, w, "");
  };
  const usePreset = (b) => set(Number(b.dataset.level), Number(b.dataset.width), b.textContent);

  const whole = figures.image.layout.meta;
  const zoom = (factor, dx, dy) => {
    const layout = byId("plot-image")._fullLayout, update = {};
    for (const [axis, shift] of [["x", dx], ["y", dy]]) {
      const [a, b] = layout[axis + "axis"].range, [from, to] = whole[axis];
      const most = Math.abs(to - from), length = Math.min(Math.abs(b - a) * factor, most);
      const sign = Math.sign(to - from);
      const lowest = Math.min(from, to) + length / 2, highest = Math.max(from, to) - length / 2;
      let middle = (a + b) / 2 + sign * shift * length;
      middle = lowest > highest ? (lowest + highest) / 2 : Math.min(Math.max(middle, lowest), highest);
      update[axis + "axis.range"] = [middle - sign * length / 2, middle + sign * length / 2];
    }
    return Plotly.relayout("plot-image", update);
  };
  const all = () => Plotly.relayout("plot-image", { "xaxis.range": [...whole.x], "yaxis.range": [...whole.y] });
  const keys = {
    "+": () => zoom(0.7, 0, 0), "=": () => zoom(0.7, 0, 0), "-": () => zoom(1 / 0.7, 0, 0), "0": all,
    ArrowLeft: () => zoom(1, -0.15, 0), ArrowRight: () => zoom(1, 0.15, 0),
    ArrowUp: () => zoom(1, 0, 0.15), ArrowDown: () => zoom(1, 0, -0.15),
  };

  Promise.all([draw("image"), draw("ranges"), draw("residual"), draw("axis"), draw("descent"), draw("energy")]).then(() => {
    presets.forEach((b) => b.addEventListener("click", () => usePreset(b)));
    [level, width].forEach((input) => input.addEventListener("input", typed));
    [levelSlider, widthSlider].forEach((input) => input.addEventListener("input", slid));
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    byId("zoom-in").addEventListener("click", () => zoom(0.7, 0, 0));
    byId("zoom-out").addEventListener("click", () => zoom(1 / 0.7, 0, 0));
    byId("zoom-all").addEventListener("click", all);
    byId("plot-image").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    const outlines = byId("outlines");
    if (outlines) {
      const marks = figures.image.data.map((_, k) => k).slice(1);
      outlines.addEventListener("change", () => {
        const notes = {};
        (figures.image.layout.annotations || []).forEach((_, k) => { notes[`annotations[${k}].visible`] = outlines.checked; });
        Plotly.update("plot-image", { visible: outlines.checked }, notes, marks);
      });
    }
    narrow.addEventListener("change", fit);
    return fit();
  }).then(() => usePreset(presets[0])).then(() => { document.documentElement.dataset.ready = "yes"; });

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
    fit();
  });
})();
