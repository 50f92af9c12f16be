"""The gateway, the sandbox and the browser as scenarios use them. Nothing here sleeps: what is
waited for is a condition with a deadline."""

import json
import pathlib
import time
import urllib.error
import urllib.parse
import urllib.request

from axe_playwright_python.sync_playwright import Axe

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1200, "height": 900}
WITHIN = 10


class Failed(AssertionError):
    pass


def check(holds, what):
    if not holds:
        raise Failed(what() if callable(what) else what)


def until(what, ask, within=WITHIN):
    """Asks until the answer pleases; gives it."""
    deadline = time.monotonic() + within
    while True:
        answer = ask()
        if answer:
            return answer
        check(time.monotonic() < deadline, f"within {within} s: {what}")
        time.sleep(0.05)


class Town:
    def __init__(self, config, playwright):
        self.config = config
        self.gateway = config["gateway"]
        self.sandbox = config["sandbox"]
        self.shots = pathlib.Path(config["shots"])
        self.shots.mkdir(parents=True, exist_ok=True)
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--disable-background-networking"]
        self.browser = playwright.chromium.launch(
            executable_path=config["chromium"], args=arguments)
        self.broken = False
        self.orders = int(time.time() * 1000)
        self.http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    # HTTP

    def call(self, method, url, body=None, headers=None, form=None):
        data = None
        headers = dict(headers or {})
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        if form is not None:
            data = form.encode()
            headers["content-type"] = "application/x-www-form-urlencoded"
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        try:
            with self.http.open(request, timeout=15) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    def api(self, method, path, body=None, key="api_key"):
        headers = {"authorization": f"Bearer {self.config[key]}"}
        status, _, text = self.call(method, self.gateway + path, body, headers)
        return status, json.loads(text) if text else None

    def pay_api(self, methods=("alipay", "wechat_pay", "union_pay"), **more):
        """A payment as a merchant makes it."""
        self.orders += 1
        wish = {"order_no": f"B-{self.orders}", "amount": 1990, "currency": "CNY",
                "subject": "明前龙井 50 g", "methods": list(methods), **more}
        status, payment = self.api("POST", "/v1/payments", wish)
        check(status == 201, lambda: f"{status} {payment}")
        return payment

    def payment(self, payment):
        return self.api("GET", f"/v1/payments/{payment['id']}")[1]

    def settled(self, payment, status="paid"):
        until(f"{payment['id']} is {status}",
              lambda: self.payment(payment)["status"] == status)
        return self.payment(payment)

    def fault(self, kind, **match):
        fault = kind if isinstance(kind, (dict, str)) else {"kind": kind}
        status, _, text = self.call("POST", self.sandbox + "/sandbox/faults",
                                    {"match": match, "fault": fault})
        check(status == 201, text)
        self.broken = True
        return json.loads(text)["id"]

    def customer_pays(self, code):
        """What a customer does with a code or link."""
        status, _, text = self.call("POST", self.sandbox + "/sandbox/pay", {"code": code})
        check(status == 200 and json.loads(text)["paid"], text)

    def code(self, payment):
        """What the shown attempt is paid by."""
        shown = self.payment(payment)["presentation"]
        check(shown, f"something is shown: {shown}")
        if shown["type"] == "form":
            fields = urllib.parse.urlencode(shown["fields"])
            return f"{shown['url']}?{fields}"
        return shown.get("content") or shown.get("url") or shown.get("secret")

    def availability(self):
        _, _, text = self.call("GET", self.gateway + "/v1/availability")
        return {one["method"]: one["available"] for one in json.loads(text)["methods"]}

    def heal(self):
        """Ends all faults, and has the gateway find out by payments of others, who pay: codes
        that nobody pays are evidence against a channel."""
        if not self.broken:
            return
        self.call("DELETE", self.sandbox + "/sandbox/faults")

        def fine():
            out = [method for method, works in self.availability().items() if not works]
            for method in out:
                payment = self.pay_api([method], currency="USD" if method == "paypal" else "CNY")
                if payment["presentation"]:
                    self.customer_pays(self.code(payment))
            return not out
        until("everything works again", fine, within=40)
        self.broken = False

    def break_alipay(self):
        """Makes Alipay fail wherever it is taken, and has the gateway find out by others."""
        self.fault("refuse", provider="alipay")
        self.fault("refuse", provider="stripe", method="alipay")

        def out():
            self.pay_api(["alipay"])
            return self.availability()["alipay"] is False
        until("alipay is out", out, within=15)

    # Browser

    def device(self, locale="zh-CN", size=PHONE, **more):
        context = self.browser.new_context(locale=locale, viewport=size, **more)
        context.set_default_timeout(WITHIN * 1000)
        return context

    def open(self, context, url):
        page = context.new_page()
        page.complaints = []
        own = lambda said: said.location["url"].startswith(self.gateway)
        page.on("console", lambda said: said.type == "error" and own(said)
                and page.complaints.append(said.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(url)
        return page

    def shot(self, page, name):
        path = self.shots / f"{name}.png"
        page.screenshot(path=str(path), full_page=True)

    def accessible(self, page, name):
        """No finding of axe for WCAG 2.1 AA."""
        options = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
        found = Axe().run(page, options=options).response["violations"]
        told = [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]
        check(not found, f"{name} is accessible: {told}")


def says(page, text, within=WITHIN):
    shown = page.get_by_text(text).locator("visible=true").first
    shown.wait_for(timeout=within * 1000)


def stays(page):
    """Marks the document, so that a reload would be noticed."""
    page.evaluate("window.same = true")


def same(page):
    check(page.evaluate("window.same === true"), "the page was not loaded again")


def write_state(config, state):
    path = pathlib.Path(config["state"])
    path.write_text(json.dumps(state))


def read_state(config):
    return json.loads(pathlib.Path(config["state"]).read_text())
