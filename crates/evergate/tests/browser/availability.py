"""The availability feed and script on a shop's own page."""

import json

from town import DESKTOP, check, says, until

SHOP = """<!doctype html><html lang="{lang}"><title>Shop</title>
<p data-evergate-prompt role="status"></p>
<button data-evergate-method="alipay">A</button>
<button data-evergate-method="wechat_pay">W</button>
<button data-evergate-method="gold">G</button>
<script src="{gateway}/availability.js" data-every="2" async></script>"""


def shop(town, lang):
    device = town.device("en-US", DESKTOP)
    html = SHOP.format(lang=lang, gateway=town.gateway)
    # Another origin on this machine: browsers keep public sites away from private addresses.
    own = town.gateway.replace("127.0.0.1", "localhost") + "/shop"
    device.route(own, lambda route: route.fulfill(body=html, content_type="text/html"))
    return device, town.open(device, own)


def a_shops_own_page(town):
    """Marks what is out and says so, in the page's language; unmarks it later."""
    pages = {lang: shop(town, lang)[1] for lang in ("zh", "en")}
    for page in pages.values():
        page.locator("[data-evergate-method=alipay][data-evergate-available=true]").wait_for()
    town.break_method("alipay", "alipay")
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


def the_feed_fails_open(town):
    """Whatever is wrong with the feed, every way counts as available."""
    town.break_method("alipay", "alipay")
    device, page = shop(town, "en")
    page.locator("[data-evergate-method=alipay]:disabled").wait_for()
    feed = town.gateway + "/v1/availability"
    for answer in (dict(status=503, body="{}"), dict(status=200, body="<html>"),
                   dict(status=200, body=json.dumps({"methods": 7}))):
        device.route(feed, lambda route, answer=answer: route.fulfill(**answer))
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
