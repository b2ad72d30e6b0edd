"use strict";
// Three planes through one point of a volume: a slider each, and a click in one plane moves the other two.
(() => {
  const { figures, draw } = pagePlots;
  const byId = (id) => document.getElementById(id);
  const volume = JSON.parse(byId("volume").textContent);
  const [slices, rows, columns] = volume.shape;
  const bytes = Uint8Array.from(atob(volume.values), (c) => c.charCodeAt(0));
  const little = new DataView(bytes.buffer), values = new Uint16Array(bytes.length / 2);
  for (let k = 0; k < values.length; k += 1) values[k] = little.getUint16(2 * k, true);
  const value = (z, r, c) => volume.low + (volume.high - volume.low) * values[(z * rows + r) * columns + c] / 65535;

  // Across and down the picture as (axis, size, whether the index falls): z and y grow upwards, x to the right.
  const last = { z: slices - 1, y: rows - 1, x: columns - 1 };
  const planes = [
    { name: "z", across: ["x", columns, false], down: ["y", rows, false] },
    { name: "y", across: ["x", columns, false], down: ["z", slices, true] },
    { name: "x", across: ["y", rows, true], down: ["z", slices, true] },
  ];
  const at = { z: slices >> 1, y: rows >> 1, x: columns >> 1 };
  const seen = { low: volume.low, high: volume.high };
  const place = (axis, index) => volume.first[axis] + volume.step[axis] * index;
  const number = (n) => String(Number(n.toPrecision(4))).replace("-", "−");

  const paint = (plane) => {
    const canvas = byId("plane-" + plane.name), context = canvas.getContext("2d");
    const [a, wide, aFalls] = plane.across, [d, high, dFalls] = plane.down;
    const picture = context.createImageData(wide, high), index = { ...at };
    const scale = 255 / Math.max(seen.high - seen.low, 1e-300);
    for (let j = 0, k = 0; j < high; j += 1) {
      index[d] = dFalls ? last[d] - j : j;
      for (let i = 0; i < wide; i += 1, k += 4) {
        index[a] = aFalls ? last[a] - i : i;
        const grey = (value(index.z, index.y, index.x) - seen.low) * scale;
        picture.data[k] = picture.data[k + 1] = picture.data[k + 2] = grey;
        picture.data[k + 3] = 255;
      }
    }
    context.putImageData(picture, 0, 0);
    const lines = canvas.parentElement;
    const share = (index_, size, falls) => 100 * ((falls ? size - 1 - index_ : index_) + 0.5) / size;
    lines.querySelector(".upright").style.left = `${share(at[a], wide, aFalls)}%`;
    lines.querySelector(".level").style.top = `${share(at[d], high, dFalls)}%`;
  };

  // What is said of the slices that a position of the z slider shows; of a reduced volume there may be several.
  const shownSlices = (k) => volume.slices.slice(k * volume.factors[0], (k + 1) * volume.factors[0]);
  const say = () => {
    for (const { name } of planes) {
      const where = `${name} = ${number(place(name, at[name]))} ${volume.unit_of_length}`;
      byId("said-" + name).textContent = `${volume.called[name]} ${at[name] + 1} of ${last[name] + 1}, ${where}`;
      byId("slide-" + name).value = at[name];
    }
    byId("said-point").textContent = `At the crossing of the lines: ${number(value(at.z, at.y, at.x))} ${volume.unit}`;
    const state = byId("said-state");
    if (!state) return;
    const told = shownSlices(at.z), worst = ["refused", "not certified", "certified"].find((s) => told.some((one) => one.status === s));
    const bad = told.filter((one) => one.status === worst);
    state.textContent = `${told.length > 1 ? "Slices" : "Slice"} ${told.map((one) => one.number).join(", ")}: ${worst}` +
      (worst === "certified" ? "" : ` (${bad.map((one) => one.number).join(", ")})`) +
      `, residual ${bad.map((one) => number(one.residual)).join(", ")} of delta ${bad.map((one) => number(one.delta)).join(", ")}`;
    byId("plane-z").closest(".plane").dataset.state = worst;
  };
  const move = (to) => {
    for (const [name, index] of Object.entries(to)) at[name] = Math.min(Math.max(index, 0), last[name]);
    planes.forEach(paint);
    say();
  };

  for (const plane of planes) {
    const slide = byId("slide-" + plane.name), canvas = byId("plane-" + plane.name);
    slide.addEventListener("input", () => move({ [plane.name]: slide.valueAsNumber }));
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect(), to = {};
      const put = ([axis, size, falls], share) => {
        const index = Math.floor(share * size);
        to[axis] = falls ? size - 1 - index : index;
      };
      put(plane.across, (event.clientX - box.left) / box.width);
      put(plane.down, (event.clientY - box.top) / box.height);
      move(to);
    });
  }
  document.querySelectorAll("[data-slice]").forEach((button) => {
    button.addEventListener("click", () => {
      move({ z: Math.floor((Number(button.dataset.slice) - 1) / volume.factors[0]) });
      byId("planes").scrollIntoView();
    });
  });

  const strip = byId("strip");
  if (strip) {
    strip.width = slices;
    const context = strip.getContext("2d"), style = getComputedStyle(document.documentElement);
    for (let k = 0; k < slices; k += 1) {
      context.fillStyle = style.getPropertyValue(shownSlices(k).every((one) => one.status === "certified") ? "--good" : "--bad");
      context.fillRect(k, 0, 1, 1);
    }
  }
  Promise.all(Object.keys(figures).map(draw)).then(() => {
    say();
    pageWindow(volume.unit, (low, high) => { Object.assign(seen, { low, high }); planes.forEach(paint); }).first();
    document.documentElement.dataset.ready = "yes";
  });
})();
