// Draws the charts, switches the theme, and asks for changes while the page is in sight.
"use strict";

const REFRESH_MS = 2000;
const NUM_COLORS = 8;
const PLOT_HEIGHT = 340;
const drawn = new Map(); // a container of charts -> the charts that it shows

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// --- charts --------------------------------------------------------------------------------------

function mix(low, high, share) {
  const parts = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const [from, to] = [parts(low), parts(high)];
  const mixed = from.map((value, at) => Math.round(value + share * (to[at] - value)));
  return "#" + mixed.map((value) => value.toString(16).padStart(2, "0")).join("");
}

function colored(trace) {
  const meta = trace.meta || {};
  if (meta.color === undefined && meta.rank === undefined) return trace;
  const color = meta.rank === undefined
    ? css(`--c${meta.color % NUM_COLORS}`)
    : mix(css("--rank-low"), css("--rank-high"), meta.rank);
  const found = { ...trace };
  if (meta.band) return { ...found, fillcolor: color + "30", line: { ...trace.line, color } };
  if (trace.type === "scatter") found.line = { ...trace.line, color };
  found.marker = { ...trace.marker, color };
  return found;
}

function themed(layout) {
  const line = css("--line");
  const axes = {};
  for (const name of ["xaxis", "yaxis"]) {
    axes[name] = { automargin: true, exponentformat: "e", gridcolor: line, zerolinecolor: line, linecolor: line, ...layout[name] };
  }
  return {
    margin: { l: 50, r: 15, t: 10, b: 40 },
    hovermode: "closest",
    ...layout,
    ...axes,
    showlegend: false, // it is a list of buttons below the chart
    font: { color: css("--text"), family: "system-ui, sans-serif", size: 12 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    uirevision: location.search,
  };
}

function legend(plot, chart) {
  const named = [];
  chart.traces.forEach((trace, at) => { if (trace.showlegend !== false) named.push([trace, at]); });
  if (!chart.layout.showlegend || named.length < 2) return [];
  return named.map(([trace]) => {
    const entry = document.createElement("button");
    const swatch = document.createElement("span");
    const { line, marker } = colored(trace);
    swatch.className = "swatch";
    swatch.style.background = (marker || line).color;
    entry.type = "button";
    entry.setAttribute("aria-pressed", "true");
    entry.append(swatch, new DOMParser().parseFromString(trace.name, "text/html").body.textContent);
    entry.addEventListener("click", () => {
      const shown = entry.getAttribute("aria-pressed") !== "true";
      const same = [];
      chart.traces.forEach((each, at) => {
        if (each === trace || (trace.legendgroup && each.legendgroup === trace.legendgroup)) same.push(at);
      });
      entry.setAttribute("aria-pressed", String(shown));
      Plotly.restyle(plot, { visible: shown }, same);
    });
    return entry;
  });
}

function frame(container, chart) {
  const id = `chart-${chart.id}`;
  let figure = document.getElementById(id);
  if (!figure) {
    figure = document.createElement("figure");
    figure.id = id;
    figure.className = "chart";
    figure.innerHTML = '<figcaption></figcaption><div class="plot" role="img"></div><div class="legend"></div><div class="notes"></div>';
  }
  container.append(figure); // in the order of the charts
  figure.querySelector("figcaption").textContent = chart.title;
  figure.querySelector(".plot").setAttribute("aria-label", chart.summary);
  figure.querySelector(".notes").replaceChildren(...chart.notes.map((note) => {
    const line = document.createElement("p");
    line.className = "caption";
    line.textContent = note;
    return line;
  }));
  return figure.querySelector(".plot");
}

async function draw(container, charts) {
  drawn.set(container, charts);
  const wanted = new Set(charts.map((chart) => `chart-${chart.id}`));
  for (const child of [...container.children]) {
    if (!wanted.has(child.id)) {
      const plot = child.querySelector(".plot");
      if (plot) Plotly.purge(plot);
      child.remove();
    }
  }
  const plots = charts.map((chart) => { // all frames first, so that no later one changes a width
    const plot = frame(container, chart);
    plot.style.height = `${chart.layout.height || PLOT_HEIGHT}px`;
    return plot;
  });
  for (const [at, chart] of charts.entries()) {
    const plot = plots[at];
    const options = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
    await Plotly.react(plot, chart.traces.map(colored), themed(chart.layout), options);
    plot.parentElement.querySelector(".legend").replaceChildren(...legend(plot, chart));
    await new Promise((next) => setTimeout(next)); // the page stays responsive in between
  }
  container.setAttribute("aria-busy", "false");
}

async function loadCharts() {
  for (const container of document.querySelectorAll("[data-charts-url]")) {
    const response = await fetch(container.dataset.chartsUrl, { cache: "no-store" });
    if (response.ok) await draw(container, await response.json());
  }
}

async function drawOwnCharts(part) {
  for (const container of part.querySelectorAll(".charts:not([data-charts-url])")) {
    const data = container.querySelector("script");
    if (data && !container.closest("details:not([open])")) {
      await draw(container, JSON.parse(data.textContent));
    }
  }
}

function openTrial() { // the trial that the address names; its charts need its width
  const part = location.hash && document.getElementById(location.hash.slice(1));
  if (part instanceof HTMLDetailsElement) part.open = true;
}

// --- theme ---------------------------------------------------------------------------------------

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

async function redraw() {
  for (const [container, charts] of drawn) await draw(container, charts);
}

document.getElementById("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("theme", theme); } catch { /* it holds for this page */ }
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// --- filters and changes -------------------------------------------------------------------------

const filters = document.getElementById("filters");
if (filters) {
  filters.addEventListener("change", () => filters.requestSubmit());
  filters.addEventListener("submit", () => { // an address without empty fields
    for (const field of filters.elements) if (!field.value) field.disabled = true;
  });
}

function replace(before, after) {
  const open = new Set([...before.querySelectorAll("details")].filter((d) => d.open).map((d) => d.id));
  const closed = new Set([...before.querySelectorAll("details")].filter((d) => !d.open).map((d) => d.id));
  const checked = new Set([...before.querySelectorAll("input:checked")].map((input) => input.value));
  const scrolled = [...before.querySelectorAll(".wide")].map((part) => part.scrollLeft);
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceChildren(...after.childNodes);
  before.querySelectorAll("details").forEach((details) => {
    if (open.has(details.id)) details.open = true;
    if (closed.has(details.id)) details.open = false;
  });
  before.querySelectorAll("input").forEach((input) => { input.checked = checked.has(input.value); });
  before.querySelectorAll(".wide").forEach((part, at) => { part.scrollLeft = scrolled[at] || 0; });
  if (focused) {
    const same = [...before.querySelectorAll(focused.tagName)].find((each) =>
      each.getAttribute("href") === focused.getAttribute("href") &&
      each.getAttribute("aria-label") === focused.getAttribute("aria-label"));
    if (same) same.focus({ preventScroll: true });
  }
}

async function loadRunning() { // the trials that run now: newer than the stored results
  const section = document.getElementById("running");
  if (!section) return;
  const response = document.querySelector("#head [data-runs]")
    ? await fetch(section.dataset.runningUrl, { cache: "no-store" })
    : null;
  const found = response && response.status === 200 ? await response.json() : null;
  section.hidden = !found;
  if (!found) return;
  const table = new DOMParser().parseFromString(found.html, "text/html").body;
  replace(section.querySelector(".table"), table);
  await draw(section.querySelector(".charts"), found.charts);
}

let version = document.body.dataset.version || null; // of what the page shows

async function refresh() {
  const connection = document.getElementById("connection");
  try {
    const headers = version ? { "If-None-Match": version } : {};
    const response = await fetch(location.href, { headers, cache: "no-store" });
    connection.textContent = "";
    if (response.status === 200) {
      version = response.headers.get("ETag");
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const after = page.getElementById(part.id);
        if (after) replace(part, after);
      }
      await loadCharts();
    }
    await loadRunning();
  } catch {
    connection.textContent = "The server does not answer; trying again.";
  }
}

async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(watch, REFRESH_MS);
}

if (document.getElementById("connection")) {
  loadCharts().then(loadRunning).finally(() => setTimeout(watch, REFRESH_MS));
} else {
  for (const details of document.querySelectorAll("details")) {
    details.addEventListener("toggle", () => { if (details.open) drawOwnCharts(details); });
  }
  addEventListener("hashchange", openTrial);
  openTrial();
  drawOwnCharts(document);
}
