// Keeps the checkout page current. The page works without it.
(() => {
  "use strict";
  const panel = document.getElementById("panel");
  const line = document.getElementById("line");
  if (!panel) return;
  let due = 0, timer = 0, polling = 0, failed = 0;

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
    // A second click of the same button is the same wish.
    for (const form of panel.querySelectorAll("form")) {
      form.addEventListener("submit", (event) => {
        if (form.dataset.sent) event.preventDefault();
        form.dataset.sent = "1";
      });
    }
  };

  const tick = () => {
    const left = panel.querySelector("[data-left]");
    if (!left || !due) return;
    const seconds = Math.max(0, Math.round((due - Date.now()) / 1000));
    left.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
    if (seconds === 0) { due = 0; refresh(); }
  };

  const refresh = async () => {
    try {
      const answer = await fetch(panel.dataset.panel, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const version = answer.headers.get("x-version");
      failed = 0;
      line.hidden = true;
      if (version === panel.dataset.version) return;
      const focused = document.activeElement && document.activeElement.value;
      panel.innerHTML = await answer.text();
      panel.dataset.version = version;
      if (focused) panel.querySelector(`button[value="${CSS.escape(focused)}"]`)?.focus();
      bind();
    } catch {
      failed += 1;
      line.hidden = failed < 2;
    }
  };

  const poll = () => {
    if (polling) return;
    polling = setInterval(refresh, 3000);
  };

  if ("EventSource" in window) {
    const events = new EventSource(panel.dataset.events);
    events.onmessage = refresh;
    events.onopen = () => { clearInterval(polling); polling = 0; refresh(); };
    events.onerror = poll;
  } else {
    poll();
  }
  // Back from the wallet's app, or by the back button: look at once.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  timer = setInterval(tick, 500);
  window.addEventListener("pagehide", () => clearInterval(timer));
  bind();
})();
