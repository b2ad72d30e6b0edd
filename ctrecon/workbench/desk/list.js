"use strict";
// The list of files: a group a folder, filtered as one types; what is certified is asked for as a line comes into view.
const deskList = (() => {
  const byId = (id) => document.getElementById(id);
  const KINDS = { scan: "scan", image: "image", volume: "volume", series: "series", picture: "picture", report: "report" };
  const COMPARED = new Set(["image", "volume", "series", "picture"]);
  const STATED = new Set(["image", "volume", "series", "picture", "report"]);
  let entries = [], rows = new Map();

  // All text of files goes in as text, never as markup.
  const make = (tag, text = "", name = "") => {
    const found = document.createElement(tag);
    if (text) found.textContent = text;
    if (name) found.className = name;
    return found;
  };
  const ask = async (where, method = "GET") => {
    const answer = await fetch(where, { method, cache: "no-store" });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.why);
    return said;
  };

  // Few at a time: the server reads the evidence of each.
  const waiting = [];
  let running = 0;
  const pump = () => {
    while (running < 3 && waiting.length) {
      const number = waiting.shift();
      running += 1;
      ask(`status/${number}`).then((said) => tag(number, said), (why) => tag(number, { tag: "cannot be shown", mood: "bad", said: [], why: why.message }))
        .finally(() => { running -= 1; pump(); });
    }
  };
  const seen = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      waiting.push(Number(target.dataset.number));
    }
    pump();
  }, { rootMargin: "100px" });

  const tag = (number, said) => {
    const row = rows.get(number);
    if (!row) return;
    const place = row.querySelector(".tag");
    place.textContent = said.tag;
    place.className = `tag ${said.mood}`;
    place.title = said.said.join(" ");
    if (!said.why) return;
    row.querySelector(".why")?.remove();
    row.querySelector(".name").append(make("span", said.why, "soft why"));
  };

  const row = (one, act) => {
    const line = make("li");
    line.dataset.number = one.number;
    const open = make("button", "", "name");
    open.type = "button";
    open.append(make("span", one.name, "file"), make("span", KINDS[one.kind], "kind"), make("span", "", "tag"));
    open.addEventListener("click", () => act.open(one.number));
    line.append(open);
    if (COMPARED.has(one.kind)) {
      const beside = make("button", "Compare", "beside");
      beside.type = "button";
      beside.setAttribute("aria-label", `Compare with ${one.name}`);
      beside.addEventListener("click", () => act.compare(one.number));
      line.append(beside);
    }
    if (STATED.has(one.kind)) seen.observe(line);
    rows.set(one.number, line);
    return line;
  };

  const filter = () => {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean), kind = byId("kind").value;
    let shown = 0;
    for (const one of entries) {
      if (one.why) continue;
      const text = `${one.group}/${one.name}`.toLowerCase();
      const good = words.every((word) => text.includes(word)) && (!kind || kind === one.kind);
      rows.get(one.number).hidden = !good;
      shown += good;
    }
    for (const group of document.querySelectorAll("#list section")) {
      group.hidden = !group.querySelector("li:not([hidden])");
    }
    return shown;
  };

  const fill = (said, act) => {
    seen.disconnect();
    waiting.length = 0;
    rows = new Map();
    entries = said.entries;
    byId("folder").textContent = said.folder;
    const list = byId("list"), groups = new Map();
    list.replaceChildren();
    for (const one of entries.filter((e) => !e.why)) {
      if (!groups.has(one.group)) {
        const section = make("section");
        section.append(make("h2", one.group ? `${one.group}/` : "This folder"), make("ul"));
        groups.set(one.group, section.lastChild);
        list.append(section);
      }
      groups.get(one.group).append(row(one, act));
    }
    const others = byId("others"), not = entries.filter((e) => e.why);
    others.hidden = !not.length;
    others.querySelector("summary").textContent = `Not shown: ${not.length}`;
    others.querySelector("ul").replaceChildren(...not.map((e) => {
      const line = make("li", e.group ? `${e.group}/${e.name}` : e.name);
      line.append(make("span", e.why, "soft why"));
      return line;
    }));
    const left = said.left_out ? ` ${said.left_out} more were left out: open the desk on a smaller folder.` : "";
    const count = () => {
      byId("counted").textContent = `${filter()} of ${entries.length - not.length} shown; ${said.evidence} files of evidence belong to them.${left}`;
    };
    byId("filter").oninput = byId("kind").onchange = count;
    byId("search").onsubmit = (event) => event.preventDefault();
    count();
  };

  const mark = (first, second) => {
    for (const [number, line] of rows) {
      line.classList.toggle("first", number === first);
      line.classList.toggle("second", number === second);
      line.querySelector(".name").setAttribute("aria-current", String(number === first || number === second));
      const beside = line.querySelector(".beside");
      if (beside) beside.disabled = first === null || number === first;
    }
  };

  return { ask, fill, make, mark, tag };
})();
