"""What is wrong with a link, a form or a second payment, and the safe answer to it."""

from town import DESKTOP, check, says, until

BOTH = [("zh-CN", "zh"), ("en-US", "en")]


def links_that_lead_nowhere(town):
    """An unknown, cut or strange link is answered plainly in both languages."""
    payment = town.pay_api()
    unknown = payment["checkout_url"][:-1] + ("0" if payment["id"][-1] != "0" else "1")
    for locale, lang in BOTH:
        for url in (unknown, payment["checkout_url"][:-6], town.gateway + "/pay/%00%ff"):
            page = town.open(town.device(locale), url)
            says(page, {"zh": "没有找到这笔付款", "en": "There is no such payment"}[lang])
        town.accessible(page, "no such payment")
        town.shot(page, f"unknown-{lang}")
    status, headers, _ = town.call("GET", unknown)
    check(status == 404 and "default-src 'none'" in headers["content-security-policy"], "404")


def a_link_whose_time_is_over(town):
    """An expired payment says so, and that nothing was charged only once that is proven."""
    payment = town.pay_api(["wechat_pay"])
    town.api("POST", f"/v1/payments/{payment['id']}/cancel", {})
    town.settled(payment, "cancelled")
    for locale, text, free in [("zh-CN", "订单已取消", "您没有被扣款"),
                               ("en-US", "The order was cancelled", "You were not charged")]:
        page = town.open(town.device(locale), payment["checkout_url"])
        says(page, text)
        says(page, free)
        check(page.get_by_role("button").count() == 0, "nothing to press")
        town.shot(page, f"cancelled-{locale[:2]}")


def tampered_amounts(town):
    """No field of a form and no query changes what is paid, or is refused."""
    payment = town.pay_api()
    url = payment["checkout_url"]
    before = town.payment(payment)["attempts"]
    forms = ["method=wechat_pay&after=1&amount=1", "method=wechat_pay&after=1&currency=USD",
             "method=wechat_pay&after=1&method=alipay", "method=wechat_pay", "after=1",
             "method=gold&after=1", "method=wechat_pay&after=-1", "", "amount=1"]
    for form in forms:
        status, _, text = town.call("POST", url + "/method", form=form,
                                    headers={"accept-language": "en"})
        check(status == 422 and "nothing was done" in text, f"{form}: {status}")
    status, _, text = town.call("POST", url + "/method", form=forms[0],
                                headers={"accept-language": "zh"})
    check(status == 422 and "未做任何处理" in text, "the same in Chinese")
    # A method that the payment does not allow has no effect.
    status, _, _ = town.call("POST", url + "/method", form="method=paypal&after=1")
    check(status == 200, "back on the page")
    status, _, _ = town.call("POST", url + "/later", form="amount=1")
    check(status == 422, "the form has no fields")
    for query in ("?amount=1", "?amount=1&currency=USD&lang=en", "?out_trade_no=1&sign=x"):
        _, _, text = town.call("GET", url + query)
        check("¥19.90" in text, "a query changes nothing")
    after = town.payment(payment)
    check(after["attempts"] == before and after["amount"] == 1990, "nothing was done")
    # In the browser: the field is there, and its page says what happened.
    page = town.open(town.device("en-US", DESKTOP), url)
    page.evaluate("""() => {
        const field = document.createElement("input");
        field.type = "hidden"; field.name = "amount"; field.value = "1";
        document.querySelector("form.ways").append(field);
    }""")
    page.get_by_role("button", name="WeChat Pay").click()
    says(page, "nothing was done")
    town.shot(page, "tampered-en")
    page.get_by_role("link", name="Back to the payment page").click()
    says(page, "Time left")


def forms_of_other_sites(town):
    """Another site cannot press a button for the customer."""
    payment = town.pay_api()
    device = town.device("en-US", DESKTOP)
    url = payment["checkout_url"] + "/method"
    other = town.gateway.replace("127.0.0.1", "localhost")
    html = f"""<form method=post action="{url}"><input name=after value=1>
        <button name=method value=wechat_pay>Win</button></form>"""
    device.route(other + "/shop", lambda route: route.fulfill(body=html, content_type="text/html"))
    page = town.open(device, other + "/shop")
    page.get_by_role("button", name="Win").click()
    says(page, "came from another site")
    check(len(town.payment(payment)["attempts"]) == 1, "nothing was done")
    status, _, _ = town.call("POST", url, form="after=1&method=wechat_pay",
                             headers={"origin": "https://evil.example"})
    check(status == 403, "an older browser says where it comes from")


def paid_twice_from_two_devices(town):
    """Both codes are paid: one counts, the other goes back, and the page says so (rule 2)."""
    payment = town.pay_api()
    first = town.code(payment)
    phone, desk = town.device("zh-CN"), town.device("en-US", DESKTOP)
    one = town.open(phone, payment["checkout_url"])
    says(one, "支付宝")
    # The close of the first code is not heard of, so it can still be paid.
    town.fault("refuse", provider="alipay", operation=["close", "cancel"])
    other = town.open(desk, payment["checkout_url"])
    other.get_by_role("button", name="WeChat Pay").click()
    other.get_by_role("heading", name="WeChat Pay").wait_for()
    town.customer_pays(town.code(payment))
    says(other, "Paid")
    town.customer_pays(first)
    says(other, "You paid twice")
    says(one, "多付")
    town.shot(other, "twice-en-desktop")
    town.shot(one, "twice-zh-phone")

    def back():
        now = town.payment(payment)
        done = [r for r in now["refunds"] if r["status"] == "succeeded"]
        return len(done) == 1 and done[0]["amount"] == 1990 and done[0]["cause"] == "duplicate"
    until("the second payment went back", back, within=20)
    check(town.payment(payment)["status"] == "paid", "paid once")
    says(other, "has been sent back")


ALL = [links_that_lead_nowhere, a_link_whose_time_is_over, tampered_amounts, forms_of_other_sites,
       paid_twice_from_two_devices]
