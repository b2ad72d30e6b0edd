"use strict";
// Joins list and pictures: what is chosen, what is said of it, checks, reports, and the slices that play.
(() => {
  const byId = (id) => document.getElementById(id);
  const { ask, fill, make, mark, tag } = deskList;
  const PICTURED = new Set(["image", "volume", "series", "picture"]);
  let first = null, second = null, playing = 0;

  const trouble = (why) => {
    byId("trouble").hidden = !why;
    byId("trouble").textContent = why ? why.message || String(why) : "";
  };

  const report = (one) => {
    const link = make("a", one.kind === "report" ? "Open the report" : "Open its report", "action");
    link.href = `../report/${one.report}/${one.number}`;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    return link;
  };
  const check = (one) => {
    const button = make("button", "Verify", "check");
    button.type = "button";
    button.addEventListener("click", async () => {
      button.disabled = true;
      button.textContent = "Checking …";
      trouble(null);
      try {
        const said = await ask(`check/${one.number}`, "POST");
        Object.assign(one, said);
        tag(one.number, said);
      } catch (why) { trouble(why); }
      heads();
    });
    return button;
  };
  const head = (one, which) => {
    const card = make("section", "", "card head"), title = make("h2", one.name);
    if (which) title.prepend(make("span", `${which}: `, "soft"));
    card.append(title);
    if (one.tag) card.append(make("p", one.tag, `tag ${one.mood}`));
    for (const line of one.said) card.append(make("p", line, "said"));
    if (one.checked) {
      const lines = make("details");
      lines.append(make("summary", "What the checker says"), make("pre", one.checked.join("\n")));
      card.append(lines);
    }
    const actions = make("p", "", "actions");
    if (one.checkable) actions.append(check(one));
    if (one.report) actions.append(report(one));
    if (which === "Second") {
      const away = make("button", "Take away", "away");
      away.type = "button";
      away.addEventListener("click", () => go(first, null));
      actions.append(away);
    }
    if (actions.childElementCount) card.append(actions);
    return card;
  };
  const heads = () => {
    const both = Boolean(second);
    byId("heads").replaceChildren(...[first, second].filter(Boolean).map((one, k) => head(one, both ? ["First", "Second"][k] : "")));
  };
  const facts = () => {
    byId("facts").replaceChildren(...[first, second].filter((one) => one && one.facts && (one.facts.length || one.note)).map((one) => {
      const card = make("section", "", "card"), list = make("dl", "", "facts");
      card.append(make("h2", one.name));
      if (one.note) card.append(make("p", one.note, "soft"));
      for (const [name, text] of one.facts) {
        const line = make("div");
        line.append(make("dt", name), make("dd", text));
        list.append(line);
      }
      card.append(list);
      return card;
    }));
  };

  const stop = () => {
    clearTimeout(playing);
    playing = 0;
    byId("play").setAttribute("aria-pressed", "false");
    byId("play").textContent = "Play";
  };
  const step = async () => {
    const began = performance.now();
    try {
      await deskLook.load((deskLook.at() + 1) % deskLook.depth());
    } catch (why) { stop(); trouble(why); return; }
    if (playing) playing = setTimeout(step, Math.max(1000 / Number(byId("speed").value) - (performance.now() - began), 0));
  };
  const play = () => {
    if (playing) { stop(); return; }
    byId("play").setAttribute("aria-pressed", "true");
    byId("play").textContent = "Stop";
    playing = setTimeout(step, 0);
  };
  const to = (k) => {
    stop();
    if (k >= 0 && k < deskLook.depth()) deskLook.load(k).catch(trouble);
  };
  const key = (name) => {
    if (deskLook.depth() === 1) return false;
    if (name === " ") play();
    else if (name === "PageUp") to(deskLook.at() - 1);
    else if (name === "PageDown") to(deskLook.at() + 1);
    else return false;
    return true;
  };

  const go = async (a, b) => {
    stop();
    trouble(null);
    [first, second] = [a, b];
    mark(a ? a.number : null, b ? b.number : null);
    byId("welcome").hidden = Boolean(a);
    heads();
    facts();
    byId("sinogram").hidden = !a || a.kind !== "scan";
    if (a && a.kind === "scan") byId("sinogram").querySelector("img").src = `sinogram/${a.number}`;
    if (!a || !PICTURED.has(a.kind)) { deskLook.hide(); return; }
    try {
      await deskLook.show(a, b, key);
    } catch (why) { deskLook.hide(); trouble(why); }
  };

  // The one that was asked for last is shown, whichever answer comes last.
  let asked = 0;
  const fetched = async (number) => {
    const mine = ++asked;
    document.body.setAttribute("aria-busy", "true");
    try {
      const found = await ask(`look/${number}`);
      found.state = mine;
      return mine === asked ? found : null;
    } catch (why) {
      if (mine === asked) trouble(why);
      return null;
    } finally {
      if (mine === asked) document.body.removeAttribute("aria-busy");
    }
  };
  const open = async (number) => {
    const found = await fetched(number);
    if (found) await go(found, null);
    else if (!byId("trouble").hidden) {
      const why = byId("trouble").textContent;
      await go(null, null);
      byId("welcome").hidden = true;
      trouble(why);
    }
    if (window.matchMedia("(max-width: 820px)").matches) byId("look").scrollIntoView();
  };
  const compare = async (number) => {
    const found = await fetched(number);
    if (found && first && PICTURED.has(first.kind)) await go(first, found);
    else if (found) await go(found, null);
  };

  byId("closer").addEventListener("click", () => deskPanes.zoom(1.5));
  byId("farther").addEventListener("click", () => deskPanes.zoom(1 / 1.5));
  byId("whole").addEventListener("click", () => deskPanes.whole());
  byId("slice").addEventListener("input", () => to(byId("slice").valueAsNumber - 1));
  byId("play").addEventListener("click", play);
  byId("again").addEventListener("click", async () => {
    deskLook.forget();
    try {
      fill(await ask("again", "POST"), { open, compare });
      mark(first ? first.number : null, second ? second.number : null);
    } catch (why) { trouble(why); }
  });

  ask("list").then(async (said) => {
    fill(said, { open, compare });
    mark(null, null);
    if (said.chosen !== null) await open(said.chosen);
    document.documentElement.dataset.ready = "yes";
  }, trouble);
})();
