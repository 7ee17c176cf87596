"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { outcomes, files, projects, workers } = data;
  const CHUNK = 200;
  const body = document.querySelector("#table tbody");
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  const tests = data.name.map((name, index) => {
    const file = files[data.file[index]];
    // Tenths of a millisecond.
    const [setup, call, teardown] = ["setup", "call", "teardown"].map((when) => data[when][index] / 10);
    return {
      index, name, file, setup, call, teardown,
      total: setup + call + teardown,
      outcome: data.outcome[index],
      text: [file, name, data.message[index] || ""].join("::").toLowerCase(),
    };
  });
  const wanted = new Set();
  let order = { key: "outcome", down: false };
  let list = tests;
  let drawn = 0;

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const time = (ms) => {
    if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
    if (ms < 60000) return `${(ms / 1000).toFixed(2)} s`;
    return `${Math.floor(ms / 60000)} min ${String(Math.floor(ms / 1000) % 60).padStart(2, "0")} s`;
  };

  const number = (value) => value.toLocaleString("en");

  const row = (test) => {
    const name = element("button", { className: "name", type: "button" }, test.name);
    name.setAttribute("aria-expanded", "false");
    const tag = element("span", { className: `tag ${outcomes[test.outcome]}` }, outcomes[test.outcome]);
    const cells = [test.total, test.setup, test.call, test.teardown];
    const made = element(
      "tr", { className: "test" },
      element("td", {}, tag),
      element("td", {}, name, element("div", { className: "file" }, test.file)),
      ...cells.map((ms) => element("td", { className: "number" }, time(ms))),
    );
    made.addEventListener("click", () => toggle(made, name, test));
    return made;
  };

  const toggle = (made, name, test) => {
    const open = name.getAttribute("aria-expanded") === "true";
    name.setAttribute("aria-expanded", String(!open));
    if (open) {
      made.nextSibling.remove();
    } else {
      made.after(element("tr", { className: "more" }, element("td", { colSpan: 6 }, facts(test))));
    }
  };

  const facts = ({ index }) => {
    const list = element("dl");
    const add = (term, ...told) => list.append(element("dt", {}, term), element("dd", {}, ...told));
    const code = (text) => element("code", {}, text);
    const line = data.line[index];
    add("Where", code(files[data.file[index]] + (line ? `:${line}` : "")));
    if (projects.length > 1) add("Project", projects[data.project[index]]);
    if (workers.length > 1) add("Worker", workers[data.worker[index]]);
    if (data.attempts[index] > 1) add("Attempts", String(data.attempts[index]));
    if (data.message[index]) add("Message", code(data.message[index]));
    if (data.card[index]) add("Details", element("a", { href: `#${data.card[index]}`, onclick: openCard }, "Traceback and output"));
    return list;
  };

  const openCard = (event) => {
    const card = document.getElementById(event.target.hash.slice(1));
    // The card, and the fold that it may be in.
    for (let one = card; one; one = one.parentElement.closest("details")) one.open = true;
  };

  const draw = () => {
    const next = list.slice(drawn, drawn + CHUNK);
    body.append(...next.map(row));
    drawn += next.length;
    more.textContent = drawn < list.length ? `${number(list.length - drawn)} more below` : "";
  };

  const compare = {
    outcome: (a, b) => a.outcome - b.outcome || a.index - b.index,
    name: (a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0),
  };

  const update = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    list = tests.filter((test) =>
      (!wanted.size || wanted.has(test.outcome)) && words.every((word) => test.text.includes(word)));
    const by = compare[order.key] || ((a, b) => a[order.key] - b[order.key]);
    list.sort((a, b) => (order.down ? by(b, a) : by(a, b)));
    shown.textContent = list.length === tests.length
      ? `${number(tests.length)} tests` : `${number(list.length)} of ${number(tests.length)} tests`;
    if (data.missing) shown.textContent += `, ${number(data.missing)} more in the events file`;
    body.replaceChildren();
    drawn = 0;
    draw();
  };

  for (const button of document.querySelectorAll("#table th button")) {
    button.addEventListener("click", () => {
      const key = button.dataset.key;
      // Who sorts by time wants the longest first.
      order = { key, down: key === order.key ? !order.down : !(key in compare) };
      for (const head of document.querySelectorAll("#table th")) head.removeAttribute("aria-sort");
      button.parentElement.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      update();
    });
  }

  const counts = outcomes.map(() => 0);
  for (const test of tests) counts[test.outcome] += 1;
  outcomes.forEach((outcome, index) => {
    if (!counts[index]) return;
    const chip = element("button", { type: "button", className: `tag ${outcome}` }, `${number(counts[index])} ${outcome}`);
    chip.setAttribute("aria-pressed", "false");
    chip.addEventListener("click", () => {
      const on = !wanted.delete(index);
      if (on) wanted.add(index);
      chip.setAttribute("aria-pressed", String(on));
      update();
    });
    document.getElementById("chips").append(chip);
  });

  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 120);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    }
  });
  new IntersectionObserver((seen) => {
    if (seen.some((one) => one.isIntersecting) && drawn < list.length) draw();
  }, { rootMargin: "600px" }).observe(more);
  if (location.hash) openCard({ target: location });
  update();
})();
