"use strict";
// What is shown: one image or two of them, their difference, the window, the slice; values come plane by plane.
const deskLook = (() => {
  const byId = (id) => document.getElementById(id);
  const MOST_HELD = 48, UNSAID = "image units";
  let first = null, second = null, unit = null, slice = 0, low = 0, high = 1, limit = 1, token = 0;
  let shown = {};
  const held = new Map();

  const number = (value, digits = 4) => {
    if (value === 0) return "0";
    const text = Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 1);
    return text.replace("-", "−");
  };

  const plane = async (one, k) => {
    const key = `${one.number}/${k}/${one.state}`;
    if (!held.has(key)) {
      held.set(key, (async () => {
        const answer = await fetch(`plane/${one.number}/${k}`, { cache: "no-store" });
        if (!answer.ok) throw new Error((await answer.json()).why);
        const [rows, columns, channels = 1] = answer.headers.get("Desk-Shape").split(",").map(Number);
        const bytes = await answer.arrayBuffer(), view = new DataView(bytes), values = new Float32Array(bytes.byteLength / 4);
        for (let i = 0; i < values.length; i += 1) values[i] = view.getFloat32(4 * i, true);
        return { rows, columns, channels, values };
      })());
      while (held.size > MOST_HELD) held.delete(held.keys().next().value);
    }
    try {
      return await held.get(key);
    } catch (why) {
      held.delete(key);
      throw why;
    }
  };

  // A unit that both are shown in: the same Hounsfield units, else what both store, else none.
  const common = (a, b) => {
    if (!b || (a.unit === b.unit && a.water === b.water)) return { name: a.unit, of: (v, one) => turn(v, one.water), windows: a.windows };
    if (a.stored && a.stored === b.stored) return { name: a.stored, of: (v) => v, windows: [] };
    if (a.unit === b.unit) return { name: a.unit, of: (v, one) => turn(v, one.water), windows: a.windows };
    // An array without any word on its unit is taken to be in that of the other, which is said.
    const [bare, known] = a.stored === UNSAID ? [a, b] : [b, a];
    if (bare.stored !== UNSAID) return null;
    const note = `${bare.name} does not say its unit: its values are taken to be in ${known.stored}, as those of ${known.name} are.`;
    return { name: known.unit, of: (v) => turn(v, known.water), windows: known.windows, note };
  };
  const turn = (value, water) => (water === null ? value : 1000 * (value - water) / water);

  // Why there is no difference; empty where there is one.
  const apart = (a, b) => {
    const shape = (one) => one.shape.join(" × ");
    if (shape(a) !== shape(b) || a.channels !== b.channels) return `No difference: ${shape(a)} and ${shape(b)} pixels are not of one shape.`;
    if (a.grid && b.grid && a.grid.some((value, k) => Math.abs(value - b.grid[k]) > 1e-6 * Math.max(1, Math.abs(value)))) return "No difference: both are of one shape, but their grids stand elsewhere.";
    if (!common(a, b)) return `No difference: one is in ${a.unit}, the other in ${b.unit}.`;
    return "";
  };

  const grey = (one, plane_) => {
    const step = 255 / Math.max(high - low, 1e-300), { channels } = plane_;
    return (values, k, to, at) => {
      for (let c = 0; c < 3; c += 1) to[at + c] = (unit.of(values[channels === 3 ? 3 * k + c : k], one) - low) * step;
    };
  };
  // Blue where the second is less, red where it is more, white where they are equal.
  const blueRed = (values, k, to, at) => {
    const share = Math.max(-1, Math.min(values[k] / limit, 1)), less = 255 * (1 - Math.abs(share));
    to[at] = share >= 0 ? 255 - 75 * share * share : less;
    to[at + 1] = less;
    to[at + 2] = share <= 0 ? 255 - 75 * share * share : less;
  };
  const mean = (plane_, one, k) => {
    const { channels, values } = plane_;
    let sum = 0;
    for (let c = 0; c < channels; c += 1) sum += unit.of(values[channels * k + c], one);
    return sum / channels;
  };

  const difference = (a, b) => {
    const values = new Float32Array(a.rows * a.columns);
    for (let k = 0; k < values.length; k += 1) values[k] = mean(b, second, k) - mean(a, first, k);
    return { rows: a.rows, columns: a.columns, channels: 1, values };
  };
  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

  const paint = () => {
    if (!shown.a) return;
    deskPanes.paint(shown.paneA, shown.a, grey(first, shown.a));
    if (shown.b) deskPanes.paint(shown.paneB, shown.b, grey(second, shown.b));
    if (shown.d) deskPanes.paint(shown.paneD, shown.d, blueRed);
  };

  // The newest request wins: an older one that comes later is let go.
  const load = async (k) => {
    const mine = ++token;
    const depth = first.shape[0], of = (one) => Math.min(k, one.shape[0] - 1);
    const [a, b] = await Promise.all([plane(first, of(first)), second ? plane(second, of(second)) : null]);
    if (mine !== token) return false;
    slice = k;
    Object.assign(shown, { a, b, d: shown.paneD ? difference(a, b) : null });
    if (shown.d && shown.auto) setLimit(largest(shown.d.values) || 1);
    paint();
    byId("slice").value = k + 1;
    const at = first.steps ? `, z = ${number(first.steps[0] + k * first.steps[1])} ${first.length}` : "";
    byId("slice-said").textContent = `${k + 1} of ${depth}${at}`;
    between();
    if (depth > 1) plane(first, (k + 1) % depth).catch(() => {});
    return true;
  };

  const between = () => {
    if (!second) { byId("between").textContent = shown.reduced; return; }
    if (!shown.d) { byId("between").textContent = `${apart(first, second)} ${shown.reduced}`.trim(); return; }
    let sum = 0;
    for (const value of shown.d.values) sum += value * value;
    const most = largest(shown.d.values), root = Math.sqrt(sum / shown.d.values.length);
    byId("between").textContent = (most === 0 ? "The two are equal here, value by value." :
      `Second minus first: at most ${number(most)} ${unit.name} in size, root mean square ${number(root)} ${unit.name}.`) + ` ${shown.reduced}`;
  };

  const pointer = (at) => {
    const say = byId("pointer");
    const { a, b, d } = shown;
    if (!at || !a || at.x < 0 || at.x >= 1 || at.y < 0 || at.y >= 1) { say.textContent = "Point at a picture for its numbers."; return; }
    const values = (p, one) => {
      const k = Math.floor(at.y * p.rows) * p.columns + Math.floor(at.x * p.columns);
      return [...p.values.slice(p.channels * k, p.channels * (k + 1))].map((v) => number(unit.of(v, one))).join(", ");
    };
    const place = `row ${Math.floor(at.y * a.rows) * first.factor}, column ${Math.floor(at.x * a.columns) * first.factor}`;
    const parts = [`${place}: ${b ? "first " : ""}${values(a, first)} ${unit.name}`];
    if (b) parts.push(`second ${values(b, second)} ${unit.name}`);
    if (d) parts.push(`difference ${number(d.values[Math.floor(at.y * d.rows) * d.columns + Math.floor(at.x * d.columns)])} ${unit.name}`);
    say.textContent = parts.join(" · ");
  };

  const setWindow = (level, width) => {
    if (!Number.isFinite(level) || !(width > 0)) return;
    [low, high] = [level - width / 2, level + width / 2];
    byId("level").value = Number(level.toPrecision(6));
    byId("width").value = Number(width.toPrecision(6));
    for (const button of document.querySelectorAll("#windows button")) {
      const pressed = Number(button.dataset.level) === level && Number(button.dataset.width) === width;
      button.setAttribute("aria-pressed", String(pressed));
    }
    paint();
  };
  const setLimit = (value) => {
    if (!(value > 0)) return;
    limit = value;
    byId("limit").value = Number(value.toPrecision(3));
    paint();
  };

  const windowsOf = () => {
    if (unit.windows.length) return unit.windows;
    let least = Infinity, most = -Infinity;
    for (const [p, one] of [[shown.a, first], [shown.b, second]]) {
      for (const value of p ? p.values : []) { const v = unit.of(value, one); least = Math.min(least, v); most = Math.max(most, v); }
    }
    return [{ name: "Full range", level: (least + most) / 2, width: Math.max(most - least, 1e-9 * Math.abs(most) || 1e-12) }];
  };
  const buttons = () => {
    const found = windowsOf(), place = byId("windows");
    place.replaceChildren(...found.map((one) => {
      const button = deskList.make("button", one.name);
      button.type = "button";
      button.dataset.level = one.level;
      button.dataset.width = one.width;
      button.addEventListener("click", () => setWindow(one.level, one.width));
      return button;
    }));
    setWindow(found[0].level, found[0].width);
  };

  const show = async (a, b, onKey) => {
    const sameUnit = unit && !b === !second && common(a, b) && common(a, b).name === unit.name && a === first;
    const start = first && a.number === first.number ? Math.min(slice, a.shape[0] - 1) : a.shape[0] >> 1;
    [first, second] = [a, b];
    unit = common(a, b) || { name: "", of: (v) => v, windows: [] };
    deskPanes.clear();
    deskPanes.listen({ pointer, key: onKey });
    const why = b ? apart(a, b) : "", reduced = Math.max(a.factor, b ? b.factor : 1);
    shown = { auto: true, reduced: reduced > 1 ? `Each point shown is the mean of ${a.factor} × ${a.factor} pixels; so are the numbers.` : "" };
    if (unit.note) shown.reduced = `${unit.note} ${shown.reduced}`.trim();
    const title = (one, which) => (b ? `${which}: ${one.name}` : one.name);
    shown.paneA = deskPanes.add("first", title(a, "First"));
    if (b) shown.paneB = deskPanes.add("second", title(b, "Second"));
    if (b && !why) shown.paneD = deskPanes.add("difference", "Second minus first, blue less, red more");
    for (const [pane, one] of [[shown.paneA, a], [shown.paneB, b], [shown.paneD, a]]) {
      if (!pane) continue;
      deskPanes.shape(pane, one.shape[2] * one.spacing[1] / (one.shape[1] * one.spacing[0]));
      deskPanes.sides(pane, one.sides);
    }
    byId("panes").dataset.count = 1 + Boolean(b) + Boolean(b && !why);
    byId("slicing").hidden = a.shape[0] === 1;
    byId("slice").max = a.shape[0];
    byId("limit-field").hidden = !shown.paneD;
    byId("unit").textContent = unit.name;
    byId("viewer").hidden = false;
    if (!sameUnit) deskPanes.whole();
    if (await load(start)) buttons();
  };
  const hide = () => { token += 1; [first, second, shown] = [null, null, {}]; byId("viewer").hidden = true; };

  byId("level").addEventListener("input", () => setWindow(byId("level").valueAsNumber, high - low));
  byId("width").addEventListener("input", () => setWindow((low + high) / 2, byId("width").valueAsNumber));
  byId("limit").addEventListener("input", () => { shown.auto = false; setLimit(byId("limit").valueAsNumber); });

  return { hide, load, show, depth: () => (first ? first.shape[0] : 1), at: () => slice, forget: () => held.clear() };
})();
