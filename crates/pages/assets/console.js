// Live parts of the console: charts that draw the last minutes, and tables that follow.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const say = (on) => {
    if (!live) return;
    live.className = "live " + (on ? "on" : "off");
    live.textContent = on ? live.dataset.on : live.dataset.off;
  };
  const colours = ["#0b57d0", "#0a8f4f", "#d0021b", "#8e44ad", "#b26a00", "#00838f", "#5b6270"];
  const charts = document.querySelector("[data-series]");
  const plots = new Map();

  const units = {
    share: (v) => (v == null ? "–" : (100 * v).toFixed(1) + " %"),
    rate: (v) => (v == null ? "–" : v.toFixed(1) + "/s"),
    ms: (v) => (v == null ? "–" : Math.round(v) + " ms"),
    count: (v) => (v == null ? "–" : String(v)),
  };

  // One answer has every figure: {times: [s], channels: [{name, figures: {success: [..], ..}}]}.
  const draw = (answer) => {
    for (const figure of charts.querySelectorAll("figure")) {
      const name = figure.dataset.figure, unit = units[figure.dataset.unit] || units.count;
      const data = [answer.times, ...answer.channels.map((c) => c.figures[name])];
      const known = plots.get(name);
      const shape = answer.channels.map((c) => c.name).join();
      if (known && known.shape === shape) { known.plot.setData(data); continue; }
      if (known) known.plot.destroy();
      const box = figure.querySelector(".plot");
      const ink = getComputedStyle(document.body).color;
      const line = getComputedStyle(document.documentElement).getPropertyValue("--line");
      const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
      const plot = new uPlot({
        width: box.clientWidth, height: 176,
        scales: figure.dataset.unit === "share" ? { y: { range: [0, 1] } } : { y: { range: (u, lo, hi) => [0, Math.max(1, hi * 1.1 || 1)] } },
        axes: [axis, { ...axis, size: 58, values: (u, ticks) => ticks.map(unit) }],
        series: [{}, ...answer.channels.map((c, i) => ({
          label: c.name, stroke: colours[i % colours.length], width: 1.5, spanGaps: false,
          points: { show: false }, value: (u, v) => unit(v),
        }))],
      }, data, box);
      plots.set(name, { plot, shape });
    }
  };

  const refresh = async () => {
    try {
      if (charts) {
        const answer = await fetch(charts.dataset.series, { cache: "no-store" });
        if (answer.status === 401) { location.assign("/console"); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        draw(await answer.json());
      }
      for (const part of document.querySelectorAll("[data-part]")) {
        const answer = await fetch(part.dataset.part, { cache: "no-store" });
        if (!answer.ok) throw new Error(String(answer.status));
        const html = await answer.text();
        // What somebody is typing into is left alone.
        if (!part.contains(document.activeElement)) part.innerHTML = html;
      }
      say(true);
    } catch { say(false); }
  };

  const source = charts || document.querySelector("[data-events]");
  if (source) {
    const events = new EventSource(source.dataset.events);
    let asked = 0;
    // At most one refresh a second however often things change.
    events.onmessage = () => {
      const wait = Math.max(0, asked + 1000 - Date.now());
      if (wait > 0) return;
      asked = Date.now();
      refresh();
    };
    events.onopen = () => say(true);
    events.onerror = () => say(false);
    refresh();
    window.addEventListener("resize", () => {
      for (const { plot } of plots.values()) {
        plot.setSize({ width: plot.root.parentElement.clientWidth, height: 176 });
      }
    });
  }
})();
