// Keeps the checkout page current. The page works without it.
(() => {
  "use strict";
  const panel = document.getElementById("panel");
  const line = document.getElementById("line");
  const said = document.getElementById("said");
  if (!panel) return;
  let due = 0, polling = 0, failed = 0, asking = false, again = false;

  // Countdown, copying: bound again whenever the panel was replaced.
  const bind = () => {
    const left = panel.querySelector("[data-left]");
    due = left ? Date.now() + 1000 * Number(left.dataset.left) : 0;
    for (const button of panel.querySelectorAll("[data-copy]")) {
      if (!navigator.clipboard) continue;
      button.hidden = false;
      button.addEventListener("click", async () => {
        const from = document.getElementById(button.dataset.copy);
        try { await navigator.clipboard.writeText(from.textContent); } catch { return; }
        const before = button.textContent;
        button.textContent = panel.dataset.copied;
        setTimeout(() => { button.textContent = before; }, 1500);
      });
    }
    // A second click is the same wish; after a while without an answer it is a new one.
    for (const form of panel.querySelectorAll("form")) {
      form.addEventListener("submit", (event) => {
        if (form.dataset.sent) event.preventDefault();
        form.dataset.sent = "1";
        setTimeout(() => { delete form.dataset.sent; }, 15000);
      });
    }
    wallet();
  };

  // Inside WeChat its own script asks the customer to confirm.
  const wallet = () => {
    const button = panel.querySelector("[data-wallet]");
    if (!button || !window.WeixinJSBridge) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      const parameters = JSON.parse(button.dataset.wallet);
      window.WeixinJSBridge.invoke("getBrandWCPayRequest", parameters, refresh);
    });
  };
  document.addEventListener("WeixinJSBridgeReady", wallet);

  const tick = () => {
    const left = panel.querySelector("[data-left]");
    if (!left || !due) return;
    const seconds = Math.max(0, Math.round((due - Date.now()) / 1000));
    left.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
    if (seconds === 0) { due = 0; refresh(); }
  };

  const replace = (html, version) => {
    const focused = document.activeElement && document.activeElement.value;
    panel.innerHTML = html;
    // What the page may send a form to was fixed when it was loaded.
    if (panel.querySelector("form[data-outside]")) return location.reload();
    panel.dataset.version = version;
    if (focused) panel.querySelector(`button[value="${CSS.escape(focused)}"]`)?.focus();
    const heading = panel.querySelector("h1");
    if (heading) said.textContent = heading.textContent;
    bind();
  };

  // One question at a time; what changes meanwhile is asked for again.
  const refresh = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(panel.dataset.panel, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const version = answer.headers.get("x-version");
      const html = await answer.text();
      failed = 0;
      line.hidden = true;
      if (version !== panel.dataset.version) replace(html, version);
    } catch {
      failed += 1;
      line.hidden = failed < 2;
    }
    asking = false;
    if (again) { again = false; refresh(); }
  };

  const poll = () => {
    if (!polling) polling = setInterval(refresh, 3000);
  };

  if ("EventSource" in window) {
    const events = new EventSource(panel.dataset.events);
    events.onmessage = refresh;
    events.addEventListener("end", () => { events.close(); refresh(); });
    events.onopen = () => { clearInterval(polling); polling = 0; refresh(); };
    events.onerror = poll;
  } else {
    poll();
  }
  // Back from the wallet's app, or by the back button: look at once.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  setInterval(tick, 500);
  bind();
})();
