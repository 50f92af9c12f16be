// Marks which ways to pay work now on a shop's own page. Documented at /docs and in the
// handbook. Whatever fails here, every way counts as available: the shop goes on selling.
(() => {
  "use strict";
  const own = document.currentScript;
  if (!own || !window.fetch) return;
  const feed = own.dataset.feed || new URL("v1/availability", own.src).href;
  const every = 1000 * Math.max(2, Number(own.dataset.every) || 5);
  const said = own.dataset.lang || document.documentElement.lang || navigator.language || "";
  const lang = /^zh/i.test(said) ? "zh" : "en";
  const all = (name) => document.querySelectorAll("[" + name + "]");
  let misses = 0;

  const mark = (methods) => {
    const known = new Map(methods.map((one) => [one.method, one]));
    for (const element of all("data-evergate-method")) {
      const one = known.get(element.dataset.evergateMethod);
      const works = !one || one.available !== false;
      element.dataset.evergateAvailable = String(works);
      element.setAttribute("aria-disabled", String(!works));
      if ("disabled" in element) element.disabled = !works;
    }
    // Only what the page itself lists is told of, and only that is recommended.
    const listed = methods.filter((one) =>
      document.querySelector(`[data-evergate-method="${CSS.escape(one.method)}"]`));
    const instead = listed.find((one) => one.available !== false);
    const text = (one) => {
      const other = instead && instead.name[lang];
      const out = one.name[lang];
      if (lang === "zh") return out + "暂时不可用" + (other ? "，请使用" + other : "");
      return out + " is unavailable right now" + (other ? ", please use " + other : "");
    };
    const out = listed.filter((one) => one.available === false);
    for (const element of all("data-evergate-prompt")) {
      const about = element.dataset.evergatePrompt;
      const said = out.filter((one) => !about || one.method === about).map(text).join("\n");
      if (element.textContent !== said) element.textContent = said;
      element.hidden = !said;
    }
    document.dispatchEvent(new CustomEvent("evergate:availability", { detail: methods }));
  };

  const look = async () => {
    try {
      const answer = await fetch(feed, { credentials: "omit", signal: AbortSignal.timeout(4000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const methods = (await answer.json()).methods;
      if (!Array.isArray(methods)) throw new Error("no list");
      misses = 0;
      mark(methods);
    } catch {
      // One miss may be the network's; then nothing is known, and nothing is switched off.
      misses += 1;
      if (misses > 1) mark([]);
    }
  };

  const go = () => {
    look();
    setInterval(() => { if (!document.hidden) look(); }, every);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", go);
  else go();
})();
