"""The checkout page as customers use it."""

from town import DESKTOP, PHONE, check, read_state, same, says, stays, until, write_state


def pays_by_phone_in_chinese(town):
    """A calm payment, and how many bytes its first view takes."""
    payment = town.pay_api()
    phone = town.device("zh-CN", PHONE, has_touch=True, is_mobile=True)
    seen = []
    phone.on("response", lambda answer: seen.append(answer))
    page = town.open(phone, payment["checkout_url"])
    stays(page)
    says(page, "¥19.90")
    says(page, "支付宝")
    check(page.get_attribute("html", "lang") == "zh-CN", "the page says its language")
    first = [a for a in seen if a.url.startswith(town.gateway) and "/events" not in a.url]
    size = sum(len(answer.body()) for answer in first)
    print(f"       first view: {size} bytes in {len(first)} answers")
    check(size < 50_000, f"the first view is {size} bytes")
    width = page.evaluate("document.documentElement.scrollWidth")
    check(width <= 390, f"nothing is wider than a phone: {width}")
    town.accessible(page, "a code")
    town.shot(page, "pay-zh-phone")
    town.customer_pays(town.code(payment))
    says(page, "支付成功")
    same(page)
    town.shot(page, "paid-zh-phone")
    town.settled(payment)
    check(not page.complaints, lambda: f"no complaints: {page.complaints}")
    check(not phone.cookies(), "no cookie was needed")


def pays_by_desktop_in_english(town):
    """The same in English, by a code that is scanned, and the language kept by a switch."""
    payment = town.pay_api(["wechat_pay", "alipay", "card", "bank_transfer"][:2])
    desk = town.device("en-US", DESKTOP)
    page = town.open(desk, payment["checkout_url"])
    says(page, "Time left")
    check(page.get_attribute("html", "lang") == "en", "the page says its language")
    town.accessible(page, "a code")
    town.shot(page, "pay-en-desktop")
    page.get_by_role("link", name="中文").click()
    says(page, "剩余时间")
    page.goto(payment["checkout_url"])
    says(page, "剩余时间")
    page.get_by_role("link", name="English").click()
    says(page, "Time left")
    left = page.locator("[data-left]").inner_text()
    until("the time that is left grows less", lambda: page.locator("[data-left]").inner_text() != left)
    town.customer_pays(town.code(payment))
    says(page, "Paid")
    town.shot(page, "paid-en-desktop")
    town.settled(payment)


def alipay_fails_while_the_page_is_open(town):
    """The prompt appears by itself; the customer goes to another way and pays once."""
    payment = town.pay_api()
    page = town.open(town.device("zh-CN"), payment["checkout_url"])
    stays(page)
    says(page, "支付宝")
    town.break_alipay()
    says(page, "支付宝暂时不可用，请使用微信支付")
    same(page)
    town.accessible(page, "a prompt")
    town.shot(page, "alipay-out-zh-phone")
    english = town.open(town.device("en-US", DESKTOP), payment["checkout_url"])
    says(english, "Alipay is unavailable right now, please use WeChat Pay")
    town.shot(english, "alipay-out-en-desktop")
    page.get_by_role("button", name="微信支付").click()
    page.get_by_role("heading", name="微信支付").wait_for()
    off = page.locator("button[value=alipay]")
    check(off.is_disabled() and "暂时不可用" in off.inner_text(), "the one that is out says so")
    town.shot(page, "switched-zh-phone")
    town.customer_pays(town.code(payment))
    says(page, "支付成功")
    paid = town.settled(payment)
    states = [attempt["state"] for attempt in paid["attempts"]]
    check(states.count("paid") == 1 and not paid["refunds"], f"paid once: {states}")


def clicks_twice(town):
    """A double click, and a second click on a page that is older, wish nothing new."""
    payment = town.pay_api()
    device = town.device("en-US", DESKTOP)
    page = town.open(device, payment["checkout_url"])
    page.get_by_role("button", name="WeChat Pay").dblclick()
    page.get_by_role("heading", name="WeChat Pay").wait_for()
    check(len(town.payment(payment)["attempts"]) == 2, "one attempt more")
    # The same without a script that would hold the second click back.
    slow = town.device("en-US", DESKTOP, java_script_enabled=False)
    page = town.open(slow, payment["checkout_url"])
    page.get_by_role("button", name="Alipay").dblclick()
    page.get_by_role("heading", name="Alipay").wait_for()
    until("one attempt more", lambda: len(town.payment(payment)["attempts"]) == 3)
    town.customer_pays(town.code(payment))
    town.settled(payment)


def goes_back(town):
    """The back button shows how it stands now, and sends no form again."""
    payment = town.pay_api()
    page = town.open(town.device("en-US"), "about:blank")
    page.goto(payment["checkout_url"])
    page.get_by_role("button", name="WeChat Pay").click()
    page.get_by_role("heading", name="WeChat Pay").wait_for()
    page.go_back()
    page.goto(payment["checkout_url"])
    page.get_by_role("heading", name="WeChat Pay").wait_for()
    page.go_back()
    page.go_forward()
    page.get_by_role("heading", name="WeChat Pay").wait_for()
    check(len(town.payment(payment)["attempts"]) == 2, "no further attempt")
    town.customer_pays(town.code(payment))
    says(page, "Paid")
    page.go_back()
    page.go_forward()
    says(page, "Paid")


def two_tabs(town):
    """Both tabs follow, whichever is used, and an older form has no effect."""
    payment = town.pay_api()
    device = town.device("zh-CN", DESKTOP)
    one = town.open(device, payment["checkout_url"])
    other = town.open(device, payment["checkout_url"])
    stays(other)
    one.get_by_role("button", name="微信支付").click()
    other.get_by_role("heading", name="微信支付").wait_for()
    same(other)
    old = f"after=1&method=union_pay"
    status, _, _ = town.call("POST", payment["checkout_url"] + "/method", form=old)
    check(status == 200, "back on the page")
    check(len(town.payment(payment)["attempts"]) == 2, "an older form has no effect")
    town.customer_pays(town.code(payment))
    for page in (one, other):
        says(page, "支付成功")
    same(other)


def without_javascript(town):
    """Choosing, paying and hearing of it need no script."""
    payment = town.pay_api()
    device = town.device("zh-CN", PHONE, java_script_enabled=False)
    page = town.open(device, payment["checkout_url"])
    says(page, "剩余时间")
    town.shot(page, "no-script-zh-phone")
    page.get_by_role("button", name="微信支付").click()
    page.get_by_role("heading", name="微信支付").wait_for()
    town.customer_pays(town.code(payment))
    says(page, "支付成功", within=15)
    town.settled(payment)


def union_pays_form(town):
    """A form that is posted to the provider, which the policy of the page allows for it alone."""
    payment = town.pay_api(["union_pay", "alipay"], device="desktop")
    page = town.open(town.device("en-US", DESKTOP), payment["checkout_url"])
    page.get_by_role("button", name="Open and pay").click()
    page.wait_for_url(lambda url: url.startswith(town.sandbox))
    page.get_by_role("button", name="Pay").first.click()
    town.settled(payment)
    check(not page.complaints, lambda: f"no complaints: {page.complaints}")


def polls_where_nothing_streams(town):
    """A proxy that cuts streams off costs seconds, not the news."""
    payment = town.pay_api()
    device = town.device("en-US")
    device.route("**/events", lambda route: route.abort())
    page = town.open(device, payment["checkout_url"])
    stays(page)
    says(page, "Time left")
    town.customer_pays(town.code(payment))
    says(page, "Paid")
    same(page)


def an_operator_takes_alipay_out(town):
    """Within a second of the operator's word the open page follows, and again when it ends."""
    payment = town.pay_api()
    page = town.open(town.device("zh-CN"), payment["checkout_url"])
    stays(page)
    says(page, "剩余时间")
    lanes = ["alipay-main", "stripe-main"]
    for channel in lanes:
        word = {"method": "alipay", "reason": "announced by the bank", "for_s": 600}
        status, said = town.api("POST", f"/v1/channels/{channel}/disable", word, key="operator_key")
        check(status == 200, said)
    says(page, "支付宝暂时不可用", within=1)
    same(page)
    for channel in lanes:
        word = {"method": "alipay", "reason": "done"}
        town.api("POST", f"/v1/channels/{channel}/enable", word, key="operator_key")
    page.get_by_text("支付宝暂时不可用").wait_for(state="hidden")
    same(page)


def everything_is_down(town):
    """Orders are kept, with a link for later, and it is said that nothing was charged."""
    town.fault("refuse")
    word = {"scope": "all", "level": "held", "reason": "nothing works", "for_s": 600}
    status, said = town.api("POST", "/v1/ladder/move", word, key="operator_key")
    check(status == 200, said)

    def held():
        payment = town.pay_api()
        return payment if payment["status"] == "held" else None
    kept = [until("an order is kept", held, within=40) for _ in range(2)]
    for locale, size, texts in [
            ("zh-CN", PHONE, ["暂时无法付款", "您没有被扣款", "订单已为您保留"]),
            ("en-US", DESKTOP, ["not possible right now", "You were not charged", "is kept"])]:
        page = town.open(town.device(locale, size), kept[0]["checkout_url"])
        for text in texts:
            says(page, text)
        says(page, kept[0]["checkout_url"])
        width = page.evaluate("document.documentElement.scrollWidth")
        check(width <= size["width"], f"nothing is wider than the screen: {width}")
        town.accessible(page, "a kept order")
        town.shot(page, f"held-{locale[:2]}")
    write_state(town.config, {"kept": kept})


def returns_the_next_day(town):
    """Through the same link the customer pays what was kept."""
    payment = read_state(town.config)["kept"][0]
    page = town.open(town.device("zh-CN"), payment["checkout_url"])
    says(page, "订单已为您保留")
    town.shot(page, "next-day-zh")
    page.get_by_role("button", name="微信支付").click()
    says(page, "等待支付")
    town.shot(page, "next-day-pay-zh")
    town.customer_pays(town.code(payment))
    says(page, "支付成功")
    paid = town.settled(payment)
    states = [attempt["state"] for attempt in paid["attempts"]]
    check(states.count("paid") == 1 and not paid["refunds"], f"paid once: {states}")


def a_kept_order_paid_from_two_devices(town):
    """Paid once; what the second device paid goes back (rules 2 and 10)."""
    payment = read_state(town.config)["kept"][1]
    one = town.open(town.device("zh-CN"), payment["checkout_url"])
    one.get_by_role("button", name="支付宝").click()
    says(one, "等待支付")
    first = town.code(payment)
    town.fault("refuse", provider="alipay", operation=["close", "cancel"])
    other = town.open(town.device("en-US", DESKTOP), payment["checkout_url"])
    other.get_by_role("button", name="WeChat Pay").click()
    other.get_by_role("heading", name="WeChat Pay").wait_for()
    town.customer_pays(town.code(payment))
    says(other, "Paid")
    town.customer_pays(first)
    says(other, "You paid twice")
    says(one, "多付")

    def back():
        refunds = town.payment(payment)["refunds"]
        return [r["status"] for r in refunds] == ["succeeded"]
    until("the second payment went back", back, within=20)
    check(town.payment(payment)["status"] == "paid", "paid once")


TODAY = [pays_by_phone_in_chinese, pays_by_desktop_in_english, an_operator_takes_alipay_out,
         alipay_fails_while_the_page_is_open,
         clicks_twice, goes_back, two_tabs, without_javascript, union_pays_form,
         polls_where_nothing_streams, everything_is_down]
TOMORROW = [returns_the_next_day, a_kept_order_paid_from_two_devices]
