"use strict";
(() => {
  const { figures, heights, tall, draw, again } = pagePlots;
  const byId = (id) => document.getElementById(id);

  // On a phone the image takes the whole width; what black and white stand for is said in words below it.
  const narrow = matchMedia("(max-width: 560px)");
  const fit = () => {
    const place = byId("plot-image"), small = narrow.matches;
    tall(place, small ? place.clientWidth - 6 : heights[place.id]);
    const margin = small ? { l: 44, r: 12, t: 8, b: 44 } : figures.image.layout.margin;
    return Plotly.update(place, { showscale: !small }, { margin, autosize: true }, [0]);
  };
  again.push(fit);

  // A finger that scrolls past the image must not zoom it; the buttons do.
  const coarse = matchMedia("(pointer: coarse)").matches;
  if (coarse) figures.image.layout.dragmode = false;

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

  Promise.all([draw("image"), draw("ranges"), draw("members"), draw("residual"), draw("axis"), draw("descent"), draw("energy")]).then(() => {
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
        (figures.image.layout.annotations || []).forEach((note, k) => {
          if (note.name !== "side") notes[`annotations[${k}].visible`] = outlines.checked;
        });
        Plotly.update("plot-image", { visible: outlines.checked }, notes, marks);
      });
    }
    narrow.addEventListener("change", fit);
    return fit();
  }).then(() => {
    const unit = figures.image.data[0].colorbar.title.text;
    return pageWindow(unit, (low, high) => Plotly.restyle("plot-image", { zmin: low, zmax: high }, [0])).first();
  }).then(() => { document.documentElement.dataset.ready = "yes"; });
})();
