"use strict";
// Pictures side by side that share one view: each pane paints its values through the window, then the view's part of them.
const deskPanes = (() => {
  const { make } = deskList;
  const LEAST = 1, MOST = 64;
  // In shares of the picture: its middle, and how many times it is enlarged.
  const view = { x: 0.5, y: 0.5, zoom: 1 };
  const panes = [];
  let listeners = { pointer: () => {}, key: () => false };

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const settle = () => {
    view.zoom = clamp(view.zoom, LEAST, MOST);
    const half = 0.5 / view.zoom;
    view.x = clamp(view.x, half, 1 - half);
    view.y = clamp(view.y, half, 1 - half);
    for (const pane of panes) pane.canvas.classList.toggle("closer", view.zoom > 1);
  };

  const draw = (pane) => {
    const { canvas, source } = pane, ratio = window.devicePixelRatio || 1;
    const wide = Math.max(Math.round(canvas.clientWidth * ratio), 1), high = Math.max(Math.round(canvas.clientHeight * ratio), 1);
    if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, wide, high);
    if (!source.width) return;
    context.imageSmoothingEnabled = false;
    const part = 1 / view.zoom;
    context.drawImage(
      source, (view.x - part / 2) * source.width, (view.y - part / 2) * source.height, part * source.width, part * source.height,
      0, 0, wide, high,
    );
  };
  const drawAll = () => { settle(); panes.forEach(draw); };

  // Where a pointer is, as shares of the whole picture.
  const place = (pane, event) => {
    const box = pane.canvas.getBoundingClientRect();
    return {
      x: view.x + ((event.clientX - box.left) / box.width - 0.5) / view.zoom,
      y: view.y + ((event.clientY - box.top) / box.height - 0.5) / view.zoom,
    };
  };
  const zoomAbout = (at, times) => {
    const before = view.zoom;
    view.zoom = clamp(view.zoom * times, LEAST, MOST);
    view.x = at.x + (view.x - at.x) * before / view.zoom;
    view.y = at.y + (view.y - at.y) * before / view.zoom;
    drawAll();
  };
  const zoom = (times) => zoomAbout({ x: view.x, y: view.y }, times);
  const move = (x, y) => { view.x += x / view.zoom; view.y += y / view.zoom; drawAll(); };
  const whole = () => { Object.assign(view, { x: 0.5, y: 0.5, zoom: 1 }); drawAll(); };

  const KEYS = {
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": whole,
    ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0), ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1),
  };

  const add = (name, title) => {
    const figure = make("figure", "", "pane"), frame = make("div", "", "frame"), canvas = make("canvas");
    figure.id = `pane-${name}`;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", title);
    frame.append(canvas);
    for (const side of ["left", "right", "top", "bottom"]) frame.append(make("span", "", `side ${side}`));
    const caption = make("figcaption", title);
    figure.append(caption, frame);
    document.getElementById("panes").append(figure);
    const pane = { name, canvas, frame, caption, source: document.createElement("canvas") };
    panes.push(pane);

    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomAbout(place(pane, event), 1.2 ** Math.sign(-event.deltaY));
      listeners.pointer(place(pane, event));
    }, { passive: false });
    // One finger or button moves the picture, two fingers enlarge it.
    const held = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      held.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      listeners.pointer(place(pane, event));
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = held.get(event.pointerId), box = canvas.getBoundingClientRect();
      if (last && held.size === 1) move(-(event.clientX - last.clientX) / box.width, -(event.clientY - last.clientY) / box.height);
      if (last && held.size === 2) {
        const other = [...held].find(([id]) => id !== event.pointerId)[1];
        const away = (from) => Math.hypot(from.clientX - other.clientX, from.clientY - other.clientY);
        const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
        if (away(last) > 0) zoomAbout(place(pane, middle), away(event) / away(last));
      }
      if (last) held.set(event.pointerId, event);
      listeners.pointer(place(pane, event));
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => held.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => listeners.pointer(null));
    canvas.addEventListener("dblclick", whole);
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (KEYS[event.key]) KEYS[event.key](); else if (!listeners.key(event.key)) return;
      event.preventDefault();
    });
    return pane;
  };

  // ``colours`` puts red, green and blue of a pixel into an array.
  const paint = (pane, plane, colours) => {
    const { rows, columns } = plane, context = pane.source.getContext("2d");
    if (pane.source.width !== columns || pane.source.height !== rows) [pane.source.width, pane.source.height] = [columns, rows];
    const picture = context.createImageData(columns, rows);
    for (let k = 0; k < rows * columns; k += 1) {
      colours(plane.values, k, picture.data, 4 * k);
      picture.data[4 * k + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
    draw(pane);
  };
  const shape = (pane, aspect) => { pane.canvas.style.aspectRatio = String(aspect); };
  const sides = (pane, letters) => {
    for (const side of ["left", "right", "top", "bottom"]) {
      const mark = pane.frame.querySelector(`.${side}`);
      mark.textContent = letters ? letters[side] : "";
      mark.hidden = !letters;
    }
  };
  const clear = () => { panes.length = 0; document.getElementById("panes").replaceChildren(); };
  const listen = (to) => { listeners = to; };
  new ResizeObserver(drawAll).observe(document.getElementById("panes"));

  return { add, clear, drawAll, listen, paint, shape, sides, view, whole, zoom };
})();
