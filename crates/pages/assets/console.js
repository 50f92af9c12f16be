// What makes the console live: times in the reader's zone, charts that draw the last minutes,
// and blocks that are renewed as things change. Every page says the same without it.
(() => {
  "use strict";
  const $ = (what, within = document) => [...within.querySelectorAll(what)];

  // Times, and the zone that times are typed in.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const two = (n) => String(n).padStart(2, "0");
  const clock = (at) => two(at.getHours()) + ":" + two(at.getMinutes()) + ":" + two(at.getSeconds());
  const day = (at) => at.getFullYear() + "-" + two(at.getMonth() + 1) + "-" + two(at.getDate());
  // Today is left out: what people compare are times.
  const format = (at) => (day(at) === day(new Date()) ? "" : day(at) + " ") + clock(at);
  const localise = (within) => {
    for (const time of $("time[datetime]", within)) {
      const at = new Date(time.dateTime);
      if (isNaN(at)) continue;
      time.title = time.textContent;
      time.textContent = format(at);
    }
    for (const input of $("input[type=datetime-local]", within)) {
      const sent = input.form && input.form.elements[input.name.replace(/_at$/, "_zone")];
      const set = () => {
        const at = input.value ? new Date(input.value) : new Date();
        if (sent) sent.value = String(at.getTimezoneOffset());
      };
      set();
      input.addEventListener("input", () => {
        set();
        const until = input.closest(".picks")?.querySelector("input[value=at]");
        if (until) until.checked = true;
      });
      const told = input.closest(".when")?.querySelector(".zone");
      if (told) told.textContent = told.dataset.zone + (zone ? " (" + zone + ")" : "");
    }
    for (const told of $(".zones", within)) told.textContent = told.dataset.zone + " " + zone;
  };
  localise(document);

  // Charts.
  const units = {
    share: (v) => (v == null ? "–" : (100 * v).toFixed(v > 0.995 || v === 0 ? 0 : 1) + " %"),
    rate: (v) => (v == null ? "–" : (v < 10 ? v.toFixed(1) : Math.round(v)) + "/s"),
    ms: (v) => (v == null ? "–" : v < 1000 ? Math.round(v) + " ms" : (v / 1000).toFixed(1) + " s"),
    count: (v) => (v == null ? "–" : String(Math.round(v))),
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const light = ["#0b57d0", "#0a7f45", "#b3261e", "#8430a5", "#96590a", "#00707c", "#5b6270"];
  const bright = ["#8ab4f8", "#6fdc9f", "#ff9a9a", "#d7aefb", "#ffcf8a", "#78d9ec", "#c4c9d4"];
  const dashes = [[], [], [], [6, 3], [6, 3], [2, 3], [2, 3]];
  const plots = new Map();
  const range = { share: () => [0, 1], count: (u, lo, hi) => [0, Math.max(4, Math.ceil((hi || 0) * 1.15))] };
  const least = { rate: 1, ms: 100 };
  // A step with calls between steps without would be no line at all: it is a point.
  const alone = (u, index) => {
    const data = u.data[index], none = (v) => v == null;
    const lone = data.map((v, i) => i).filter((i) => !none(data[i]) && none(data[i - 1]) && none(data[i + 1]));
    return lone.length ? lone : null;
  };
  const draw = (charts, answer) => {
    for (const figure of $("figure", charts)) {
      const { figure: name, unit: kind } = figure.dataset;
      const unit = units[kind] || units.count;
      const data = [answer.times, ...answer.channels.map((c) => c.figures[name])];
      const shape = answer.channels.map((c) => c.name).join() + dark.matches;
      const known = plots.get(name);
      if (known && known.shape === shape) { known.plot.setData(data); continue; }
      if (known) known.plot.destroy();
      const box = figure.querySelector(".plot");
      const style = getComputedStyle(document.documentElement);
      const ink = style.getPropertyValue("--soft").trim(), line = style.getPropertyValue("--line").trim();
      const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11px system-ui" };
      const colours = dark.matches ? bright : light;
      const y = range[kind] || ((u, lo, hi) => [0, Math.max(least[kind] || 1, (hi || 0) * 1.15)]);
      const plot = new uPlot({
        width: box.clientWidth, height: 170,
        cursor: { sync: { key: "console" } },
        scales: { y: { range: y } },
        axes: [
          { ...axis, space: 70, values: (u, ticks) => ticks.map((t) => clock(new Date(t * 1000)).slice(0, 5)) },
          { ...axis, size: 56, values: (u, ticks) => ticks.map(unit) },
        ],
        series: [
          { label: document.documentElement.lang.startsWith("zh") ? "时间" : "Time", value: (u, t) => (t == null ? "–" : clock(new Date(t * 1000))) },
          ...answer.channels.map((c, i) => ({
            label: c.name, stroke: colours[i % 7], dash: dashes[i % 7], width: 2, spanGaps: false,
            points: { show: false, size: 5, filter: alone }, value: (u, v) => unit(v),
          })),
        ],
      }, data, box);
      plots.set(name, { plot, shape });
    }
  };
  const resize = () => {
    for (const { plot } of plots.values()) {
      plot.setSize({ width: plot.root.parentElement.clientWidth, height: 170 });
    }
  };
  addEventListener("resize", resize);

  // Live.
  const live = document.getElementById("live");
  const charts = document.querySelector("[data-series]");
  if (!live) return;
  const say = (how) => {
    live.className = "live " + how;
    const text = live.dataset[how];
    if (live.textContent !== text) live.textContent = text;
  };
  const asked = { headers: { "X-Console-Live": "1" }, cache: "no-store", redirect: "error" };
  const get = async (path) => {
    const answer = await fetch(path, asked);
    if (answer.status === 401) { over(); throw new Error("signed out"); }
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  };
  let ended = false;
  const over = () => {
    ended = true;
    close();
    live.className = "live gone";
    live.replaceChildren(Object.assign(document.createElement("a"), {
      href: "/console/sign-in?next=" + encodeURIComponent(location.pathname + location.search),
      textContent: live.dataset.gone,
    }));
  };
  const renew = (page) => {
    for (const part of $("[data-part]")) {
      const fresh = page.querySelector('[data-part="' + part.dataset.part + '"]');
      if (!fresh) continue;
      localise(fresh);
      // What somebody is using is left alone, and what did not change is not touched.
      const busy = part.contains(document.activeElement) && document.activeElement.closest("form,a,button");
      if (!busy && part.innerHTML !== fresh.innerHTML) part.innerHTML = fresh.innerHTML;
    }
  };
  let last = 0, running = false, again = false, timer = 0;
  const refresh = async () => {
    if (ended) return;
    if (running) { again = true; return; }
    running = true;
    last = Date.now();
    try {
      const jobs = [];
      if (charts) jobs.push(get(charts.dataset.series).then((a) => a.json()).then((a) => draw(charts, a)));
      if (document.querySelector("[data-part]")) {
        jobs.push(get(location.pathname + location.search).then((a) => a.text())
          .then((text) => renew(new DOMParser().parseFromString(text, "text/html"))));
      }
      await Promise.all(jobs);
      heard();
    } catch { if (!ended) say("off"); }
    running = false;
    if (again) { again = false; soon(); }
  };
  // At most one refresh a second however often things change, and none is lost.
  const soon = () => {
    if (timer) return;
    timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(0, last + 1000 - Date.now()));
  };

  let source = null, beat = 0, poll = 0;
  // The server speaks every few seconds; silence means that the figures are old.
  const heard = () => {
    clearTimeout(beat);
    if (ended) return;
    say(source && source.readyState === EventSource.OPEN ? "on" : "slow");
    beat = setTimeout(() => { say("off"); reopen(); }, 20000);
  };
  const close = () => {
    clearTimeout(beat); clearInterval(poll); poll = 0;
    if (source) { source.close(); source = null; }
  };
  const reopen = () => {
    if (ended || document.hidden) return;
    close();
    source = new EventSource(live.dataset.events);
    source.addEventListener("change", () => { heard(); soon(); });
    source.addEventListener("beat", () => { heard(); if (Date.now() - last > 9000) soon(); });
    source.addEventListener("gone", over);
    source.onopen = heard;
    source.onerror = () => {
      // Closed for good: there are too many streams, or nobody is signed in.
      if (source && source.readyState === EventSource.CLOSED && !poll) {
        refresh();
        poll = setInterval(() => { refresh(); }, 10000);
        setTimeout(reopen, 60000);
      } else { say("off"); }
    };
  };
  // A page that nobody sees holds no connection.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); } else { reopen(); refresh(); }
  });
  dark.addEventListener("change", () => refresh());
  reopen();
  refresh();
})();
