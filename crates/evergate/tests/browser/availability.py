"""The availability feed and script on a shop's own page."""

import functools
import http.server
import json
import threading

from town import DESKTOP, check, says, until

SHOP = """<!doctype html><html lang="{lang}"><title>Shop</title>
<p data-evergate-prompt role="status"></p>
<button data-evergate-method="alipay">A</button>
<button data-evergate-method="wechat_pay">W</button>
<button data-evergate-method="gold">G</button>
<script src="{gateway}/availability.js" data-every="2" async></script>"""


def serve(html):
    """A page on another origin, truly served: browsers keep made-up ones off this machine."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def shop(town, lang):
    device = town.device("en-US", DESKTOP)
    html = SHOP.format(lang=lang, gateway=town.gateway)
    return device, town.open(device, serve(html))


def a_shops_own_page(town):
    """Marks what is out and says so, in the page's language; unmarks it later."""
    pages = {lang: shop(town, lang)[1] for lang in ("zh", "en")}
    for page in pages.values():
        page.locator("[data-evergate-method=alipay][data-evergate-available=true]").wait_for()
    town.break_alipay()
    says(pages["zh"], "支付宝暂时不可用，请使用微信支付")
    says(pages["en"], "Alipay is unavailable right now, please use WeChat Pay")
    for page in pages.values():
        check(page.locator("[data-evergate-method=alipay]").is_disabled(), "what is out is off")
        check(page.locator("[data-evergate-method=wechat_pay]").is_enabled(), "the rest is on")
        check(page.locator("[data-evergate-method=gold]").is_enabled(), "so is what is not known")
    town.shot(pages["zh"], "shop-zh")
    town.heal()
    for page in pages.values():
        page.locator("[data-evergate-method=alipay]:enabled").wait_for()
        check(page.locator("[data-evergate-prompt]").is_hidden(), "nothing is left to say")


def fulfill(answer, route):
    route.fulfill(**answer)


def the_feed_fails_open(town):
    """Whatever is wrong with the feed, every way counts as available."""
    town.break_alipay()
    device, page = shop(town, "en")
    page.locator("[data-evergate-method=alipay]:disabled").wait_for()
    feed = town.gateway + "/v1/availability"
    for answer in (dict(status=503, body="{}"), dict(status=200, body="<html>"),
                   dict(status=200, body=json.dumps({"methods": 7}))):
        device.route(feed, functools.partial(fulfill, answer))
        page.locator("[data-evergate-method=alipay]:enabled").wait_for()
        device.unroute(feed)
        page.locator("[data-evergate-method=alipay]:disabled").wait_for()
    device.route(feed, lambda route: route.abort())
    page.locator("[data-evergate-method=alipay]:enabled").wait_for()


def the_feed_is_cheap(town):
    """An entity tag saves the body, and any page may read it."""
    status, headers, text = town.call("GET", town.gateway + "/v1/availability")
    headers = {name.lower(): value for name, value in headers.items()}
    check(status == 200 and headers["access-control-allow-origin"] == "*", "open to all")
    check("max-age=3" in headers["cache-control"], "kept for seconds")
    again, _, text = town.call("GET", town.gateway + "/v1/availability",
                               headers={"if-none-match": headers["etag"]})
    check((again, text) == (304, ""), f"{again} {text}")


ALL = [a_shops_own_page, the_feed_fails_open, the_feed_is_cheap]
